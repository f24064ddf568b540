// What the guest programs share. A program prints facts that are the same on every Linux: no numbers of processes, no
// addresses, no times. CHECK is for what can not be printed.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define PAGE 4096ul
#define COUNT(a) (sizeof(a) / sizeof *(a))

static int failures;

// A fact that must hold; silent when it does.
#define CHECK(c) ((c) ? (void)0 : (void)(failures++, printf("FAIL %s:%d: %s (errno %s)\n", __FILE__, __LINE__, #c, strerrorname_np(errno))))

// Prints "expression = value", or "= -1 ENAME".
#define SHOW(e) show(#e, (errno = 0, (long)(e)))
static inline void show(const char *text, long value) {
    if (value == -1 && errno) printf("%s = -1 %s\n", text, strerrorname_np(errno));
    else printf("%s = %ld\n", text, value);
}

// Prints "expression: ok" for any value but -1: for descriptors, addresses and numbers of processes. Gives the value back.
#define OK(e) ok(#e, (errno = 0, (long)(e)))
static inline long ok(const char *text, long value) {
    printf("%s: %s\n", text, value == -1 ? strerrorname_np(errno) : "ok");
    return value;
}

static inline const char *name_of(int sig) {
    static char rt[16];
    if (sig >= SIGRTMIN) return snprintf(rt, sizeof rt, "RT+%d", sig - SIGRTMIN), rt;
    return sig ? sigabbrev_np(sig) : "0";
}

static inline void say_status(const char *who, int st) {
    if (WIFEXITED(st)) printf("%s: exit %d\n", who, WEXITSTATUS(st));
    else if (WIFSIGNALED(st)) printf("%s: killed by %s\n", who, name_of(WTERMSIG(st)));
    else if (WIFSTOPPED(st)) printf("%s: stopped by %s\n", who, name_of(WSTOPSIG(st)));
    else if (WIFCONTINUED(st)) printf("%s: continued\n", who);
    else printf("%s: status %#x\n", who, st);
}

static inline int wait_for(pid_t p) {
    int st = -1;
    while (waitpid(p, &st, 0) < 0 && errno == EINTR) {}
    return st;
}

// Runs BODY in a child and gives back its wait status.
#define CHILD(...)                                                                                                                \
    ({                                                                                                                            \
        pid_t child_ = fork();                                                                                                    \
        if (child_ == 0) {                                                                                                        \
            failures = 0;                                                                                                         \
            __VA_ARGS__;                                                                                                          \
            _exit(failures ? 99 : 0);                                                                                             \
        }                                                                                                                         \
        wait_for(child_);                                                                                                         \
    })

static inline void nap(int ms) {
    struct timespec t = {ms / 1000, ms % 1000 * 1000000l};
    while (nanosleep(&t, &t) < 0 && errno == EINTR) {}
}

static inline void handle(int sig, void (*f)(int), int flags) {
    struct sigaction a = {.sa_handler = f, .sa_flags = flags};
    CHECK(sigaction(sig, &a, NULL) == 0);
}

static inline void handle_info(int sig, void (*f)(int, siginfo_t *, void *), int flags) {
    struct sigaction a = {.sa_sigaction = f, .sa_flags = flags | SA_SIGINFO};
    CHECK(sigaction(sig, &a, NULL) == 0);
}

// Waits until `p` sleeps in a call or is stopped (state from /proc: S, T, Z).
static inline void until_state(pid_t p, char want) {
    char path[40], text[256];
    snprintf(path, sizeof path, "/proc/%d/stat", p);
    for (int i = 0, seen = 0; i < 2000; i++) {
        int fd = open(path, O_RDONLY);
        ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
        if (fd >= 0) close(fd);
        text[n > 0 ? n : 0] = 0;
        char *state = strrchr(text, ')');
        // Seen twice, some time apart: a call may pass through sleeps of its own.
        seen = state && state[2] == want ? seen + 1 : 0;
        if (seen == 4) return;
        nap(2);
    }
    printf("process never reached state %c\n", want);
}

static inline sigset_t sigs(int a, int b) {
    sigset_t s;
    sigemptyset(&s);
    if (a) sigaddset(&s, a);
    if (b) sigaddset(&s, b);
    return s;
}

static void tests(void);

int main(int argc, char **argv) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    umask(022);
#ifdef MAIN_ARGS
    if (argc > 1) return again(argc, argv);
#endif
    tests();
    printf("%d failures\n", failures);
    return failures != 0;
}
