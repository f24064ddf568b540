// What the attacks share. A program prints a line with HOLE for each attack that got through, and exits with their number.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

static int holes;
#define HOLE(...) (holes++, printf("HOLE: " __VA_ARGS__), printf("\n"), fflush(stdout))
#define COUNT(a) (sizeof(a) / sizeof *(a))
#define PAGE 4096ul

// The guest kernel's places (kernel/abi/src/layout.rs).
#define KERNEL 0x70000000ul
#define KERNEL_END 0xc0000000ul
#define HEAP 0x72000000ul
#define SLOTS 0x90000000ul
#define OPEN_PAGES 0x6e000000ul
#define TRUSTED 0xb2000000ul
#define JUMP_ALIAS 0xb4000000ul
#define JUMP_TABLE 0x050f0000ul
#define STUBS 0x05100000ul
#define RAM_WINDOW 0x3f0000000000ul

static inline long raw(long nr, long a, long b, long c, long d, long e, long f) {
    register long r10 asm("r10") = d, r8 asm("r8") = e, r9 asm("r9") = f;
    long ret;
    asm volatile("syscall" : "=a"(ret) : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
    return ret;
}

// Runs `f` in a child; gives back its wait status.
static inline int in_child(void (*f)(void *), void *arg) {
    fflush(stdout);
    pid_t p = fork();
    if (p < 0) return -1;
    if (p == 0) {
        alarm(20);
        f(arg);
        _exit(0);
    }
    int st = 0;
    while (waitpid(p, &st, 0) < 0 && errno == EINTR) {}
    return st;
}
