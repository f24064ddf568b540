// System calls from code of every shape that compilers and libraries make: each many times, since a monitor may change a call's
// code after some. Registers that a call leaves alone, jumps right to the call, restarts.
#include "guest.h"

#define SHAPE(name, body) __asm__(".text; .type " name ", @function; " name ": " body)
__attribute__((used)) char word[8];
static char far[0x20000];

// (number, a, b, c)
typedef long call(long, long, long, long);
call shape_mov, shape_cmp_eax, shape_cmp_rax, shape_lea_rip, shape_lea_reg, shape_lea_high, shape_direct, shape_bare;

SHAPE("shape_bare", "mov %rdi, %rax; mov %rsi, %rdi; mov %rdx, %rsi; mov %rcx, %rdx; syscall; ret");
// getppid
SHAPE("shape_mov", "mov $110, %eax; syscall; ret");
// Negative results become 1.
SHAPE("shape_cmp_rax", "mov %rdi, %rax; mov %rsi, %rdi; mov %rdx, %rsi; mov %rcx, %rdx; syscall; cmp $-4095, %rax; jae 1f; ret; 1: mov $1, %eax; ret");
SHAPE("shape_cmp_eax", "mov %rdi, %rax; mov %rsi, %rdi; mov %rdx, %rsi; mov %rcx, %rdx; syscall; cmp $-4095, %eax; jae 1f; ret; 1: mov $1, %eax; ret");
// read(a, word, c); -1000 where the address is not in its register afterwards.
SHAPE("shape_lea_rip", "mov %rsi, %rdi; mov %rcx, %rdx; mov $0, %eax; lea word(%rip), %rsi; syscall; "
                       "lea word(%rip), %r8; cmp %r8, %rsi; je 1f; mov $-1000, %rax; 1: ret");
// The same with an address from a register: far + 0x12345.
SHAPE("shape_lea_reg", "push %rbx; mov %rsi, %rdi; mov %rdx, %rbx; mov %rcx, %rdx; xor %eax, %eax; lea 0x12345(%rbx), %rsi; syscall; "
                       "lea 0x12345(%rbx), %r8; cmp %r8, %rsi; je 1f; mov $-1000, %rax; 1: pop %rbx; ret");
// mmap of a page: its flags come by an lea between two of the upper registers.
SHAPE("shape_lea_high", "push %r13; mov $-0x1000000, %r13; xor %edi, %edi; mov $4096, %esi; mov $3, %edx; mov $-1, %r8; xor %r9d, %r9d; "
                        "mov $9, %eax; lea 0x1000022(%r13), %r10; syscall; pop %r13; ret");
// A jump right to a call that has an lea before it.
SHAPE("shape_direct", "mov %rdi, %rax; mov %rsi, %rdi; mov %rdx, %rsi; mov %rcx, %rdx; jmp 2f; 1: lea word(%rip), %rsi; 2: syscall; ret");

static int pipefd[2];
static volatile int caught;
static void on_usr(int s) { caught++; }

static void many(int times) {
    int wrong[8] = {0};
    for (int i = 0; i < times; i++) {
        wrong[0] += shape_mov(0, 0, 0, 0) != getppid();
        wrong[1] += shape_bare(SYS_getpid, 0, 0, 0) != getpid();
        wrong[2] += shape_cmp_rax(SYS_close, 999, 0, 0) != 1 || shape_cmp_rax(SYS_getpid, 0, 0, 0) != getpid();
        wrong[3] += shape_cmp_eax(SYS_close, 999, 0, 0) != 1 || shape_cmp_eax(SYS_getpid, 0, 0, 0) != getpid();
        char c = 'a' + i % 26;
        CHECK(write(pipefd[1], &c, 1) == 1);
        wrong[4] += shape_lea_rip(0, pipefd[0], 0, 1) != 1 || word[0] != c;
        CHECK(write(pipefd[1], &c, 1) == 1);
        wrong[5] += shape_lea_reg(0, pipefd[0], (long)far, 1) != 1 || far[0x12345] != c;
        void *p = (void *)shape_lea_high(0, 0, 0, 0);
        wrong[6] += p == MAP_FAILED || munmap(p, 4096) != 0;
        CHECK(write(pipefd[1], &c, 1) == 1);
        char got = 0;
        wrong[7] += shape_direct(SYS_read, pipefd[0], (long)&got, 1) != 1 || got != c;
    }
    for (size_t i = 0; i < COUNT(wrong); i++) printf("shape %zu: %d wrong\n", i, wrong[i]);
}

// A call that waits is interrupted, restarted by SA_RESTART, and ends with what another process writes.
static void restarted(const char *name, call *shape, long a, long b) {
    caught = 0;
    pid_t me = getpid(), p = fork();
    if (p == 0) {
        until_state(me, 'S');
        kill(me, SIGUSR1);
        nap(20);
        until_state(me, 'S');
        _exit(write(pipefd[1], "z", 1) != 1);
    }
    long n = shape(0, a, b, 1);
    printf("%s: %ld after %d signal\n", name, n, caught);
    say_status("writer", wait_for(p));
}

static void *in_thread(void *arg) {
    many(100);
    return arg;
}

static void tests(void) {
    CHECK(pipe(pipefd) == 0);
    many(200);
    handle(SIGUSR1, on_usr, SA_RESTART);
    restarted("lea of an address", shape_lea_rip, pipefd[0], 0);
    restarted("lea from a register", shape_lea_reg, pipefd[0], (long)far);
    CHECK(word[0] == 'z' && far[0x12345] == 'z');
    pthread_t t;
    CHECK(pthread_create(&t, NULL, in_thread, NULL) == 0);
    CHECK(pthread_join(t, NULL) == 0);
    say_status("in a child", CHILD(many(100)));
}
