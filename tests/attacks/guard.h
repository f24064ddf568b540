// What the attacks on the guard share: is it open, and what code at an address comes to.
#pragma once
#include "attack.h"
static sigjmp_buf back;
static volatile int got;
static void caught(int s) { got = s; siglongjmp(back, 1); }
static void catch_all(void) {
    // What the attacks jump into may lose the stack.
    stack_t st = {.ss_sp = mmap(0, 65536, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), .ss_size = 65536};
    sigaltstack(&st, 0);
    int sigs[] = {SIGSEGV, SIGILL, SIGTRAP, SIGBUS, SIGSYS, SIGFPE};
    for (unsigned i = 0; i < COUNT(sigs); i++) {
        struct sigaction a = {.sa_handler = caught, .sa_flags = SA_NODEFER | SA_ONSTACK};
        sigaction(sigs[i], &a, 0);
    }
}
static int reads_kernel(void) {
    if (sigsetjmp(back, 1)) return 0;
    (void)*(volatile long *)HEAP;
    return 1;
}
// Calls `at` with EAX, ECX, EDX and RDI; the signal that it ended with, or 0.
static int call_at(void *at, unsigned eax, unsigned edx, void *rdi) {
    got = 0;
    if (sigsetjmp(back, 1) == 0)
        asm volatile("push %%rbx\n push %%rbp\n call *%0\n pop %%rbp\n pop %%rbx" ::"r"(at), "a"(eax), "c"(0), "d"(edx), "D"(rdi), "S"(rdi)
                     : "memory", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "cc");
    return got;
}
// As call_at, and a hole if the guard is open afterwards.
static int attempt(const char *what, void *at, unsigned eax, unsigned edx, void *rdi) {
    got = 0;
    // At once: any call into the guest kernel, sigsetjmp's for one, closes the guard on its way back.
    if (sigsetjmp(back, 1) == 0) {
        asm volatile("push %%rbx\n push %%rbp\n call *%0\n mov %5, %%rax\n mov (%%rax), %%rax\n pop %%rbp\n pop %%rbx"
                     ::"r"(at), "a"(eax), "c"(0), "d"(edx), "D"(rdi), "i"(HEAP) : "memory", "rsi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "cc");
        HOLE("%s opened the guard", what);
    }
    return got;
}
// Bytes that can be read at `a`, of the `PAGE` there; a few less where the next page can not be.
static int can_read(unsigned long a) {
    // No mask to save: nothing is blocked while a handler runs.
    if (sigsetjmp(back, 0)) return 0;
    (void)*(volatile char *)a;
    return 1;
}
static unsigned long readable(unsigned long a) { return !can_read(a) ? 0 : can_read(a + PAGE) ? PAGE : PAGE - 16; }
// Calls `f` with each place in readable guest kernel text that `is` one of those looked for; how many there were.
static int each_in_kernel(int (*is)(const unsigned char *), void (*f)(unsigned char *)) {
    int n = 0;
    for (unsigned long a = KERNEL; a < KERNEL + 0x400000; a += PAGE)
        for (unsigned long i = 0, len = readable(a); i < len; i++)
            if (is((void *)(a + i))) { n++; f((void *)(a + i)); }
    return n;
}
// The control: memory made executable in the same way runs harmless code. `mov $42, %eax; ret`
static const unsigned char harmless[] = {0xb8, 42, 0, 0, 0, 0xc3};
static void control(const char *what, void *at) {
    int r = 0;
    got = 0;
    if (sigsetjmp(back, 1) == 0) r = ((int (*)(void))at)();
    if (r != 42) { holes++; printf("CONTROL FAILED: %s: harmless code gave %d, signal %d\n", what, r, got); fflush(stdout); }
}
