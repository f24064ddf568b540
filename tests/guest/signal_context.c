// The context of a handler: registers changed there are changed here; vectors, flags and errno survive.
#include "guest.h"
#include <immintrin.h>

static volatile int handled;
static void spoil(int s) {
    // Everything that a handler may use is used.
    asm volatile("fninit; fldpi; vpcmpeqd %%ymm0,%%ymm0,%%ymm0; vmovdqa %%ymm0,%%ymm1; vmovdqa %%ymm0,%%ymm15; std; cld; stc" ::: "xmm0", "xmm1",
                 "xmm15", "cc");
    errno = 77;
    handled++;
}
static void set_rax(int s, siginfo_t *si, void *c) {
    ucontext_t *u = c;
    gregset_t *g = &u->uc_mcontext.gregs;
    (*g)[REG_RBX] = 0x1122334455667788;
    (*g)[REG_R15] = 42;
    (*g)[REG_EFL] |= 1; // carry
    ((char *)u->uc_mcontext.fpregs->_xmm)[0] = 0x5a;
    handled++;
}
static void jump(int s, siginfo_t *si, void *c) {
    extern char landing[];
    ((ucontext_t *)c)->uc_mcontext.gregs[REG_RIP] = (long)landing;
}
static void check_frame(int s, siginfo_t *si, void *c) {
    ucontext_t *u = c;
    gregset_t *g = &u->uc_mcontext.gregs;
    printf("rsp aligned %d, link %d, segments %#lx\n", ((long)__builtin_frame_address(0) & 15) == 0, u->uc_link == NULL, (*g)[REG_CSGSFS] & 0xffff);
    printf("flags %#lx, interrupt flag %d, siginfo before context %d\n", u->uc_flags & 7, ((*g)[REG_EFL] & 0x200) != 0, (char *)c < (char *)si);
    unsigned *sw = (unsigned *)((char *)u->uc_mcontext.fpregs + 464);
    printf("extended state magic %#x, features x87+SSE+AVX %d\n", sw[0], (sw[2] & 7) == 7);
    printf("fpregs aligned to 64: %d\n", ((long)u->uc_mcontext.fpregs & 63) == 0);
}
static ucontext_t main_ctx, co_ctx;
static int steps;
static void coroutine(void) {
    for (int i = 0; i < 3; i++) {
        steps++;
        swapcontext(&co_ctx, &main_ctx);
    }
}

static void tests(void) {
    handle(SIGUSR1, spoil, 0);
    // Interrupted at a call.
    double x[4] = {1.5, 2.5, 3.5, 4.5}, y[4];
    unsigned long flags;
    pid_t me = getpid();
    long tid = gettid();
    asm volatile("vmovupd (%2), %%ymm1; vmovupd (%2), %%ymm15; fninit; fld1; fldl2e; stc; syscall; pushfq; popq %0; vmovupd %%ymm1, (%3)"
                 : "=&r"(flags)
                 : "a"(SYS_tgkill), "r"(x), "r"(y), "D"(me), "S"(tid), "d"(SIGUSR1)
                 : "rcx", "r11", "xmm1", "xmm15", "memory", "cc", "st");
    printf("carry kept %ld, vector %g %g %g %g, handled %d\n", flags & 1, y[0], y[1], y[2], y[3], handled);
    double log2e, one;
    asm volatile("vmovupd %%ymm15, (%0); fstpl %1; fstpl %2" : : "r"(y), "m"(log2e), "m"(one) : "memory");
    printf("x87 %g %g, ymm15 %g\n", log2e, one, y[3]);
    errno = 0;
    // In the middle of a computation, by a timer.
    handled = 0;
    struct itimerval it = {{0, 1000}, {0, 1000}}, off = {};
    handle(SIGALRM, spoil, 0);
    setitimer(ITIMER_REAL, &it, NULL);
    long bad = 0;
    for (long i = 0; handled < 20; i++) {
        double s = 0;
        long double l = 0;
        for (int k = 0; k < 100; k++) s += k * 0.5, l += k;
        if (s != 2475 || l != 4950) bad++;
    }
    setitimer(ITIMER_REAL, &off, NULL);
    SHOW(bad);

    // Written registers take effect.
    handle_info(SIGUSR2, set_rax, 0);
    long rbx = 1, r15 = 2;
    unsigned char low[16];
    asm volatile("mov $1, %%ebx; xor %%r15d, %%r15d; pxor %%xmm0, %%xmm0; clc; syscall; pushfq; popq %0; mov %%rbx, %1; mov %%r15, %2; movdqu %%xmm0, (%3)"
                 : "=&r"(flags), "=&r"(rbx), "=&r"(r15)
                 : "r"(low), "a"(SYS_tgkill), "D"(me), "S"(tid), "d"(SIGUSR2)
                 : "rbx", "r15", "rcx", "r11", "xmm0", "memory", "cc");
    printf("rbx %#lx r15 %ld carry %ld xmm0 %#x\n", rbx, r15, flags & 1, low[0]);
    handle_info(SIGUSR2, jump, 0);
    long reached = 0;
    asm volatile("syscall; jmp 1f; .globl landing; landing: mov $1, %0; 1:" : "+r"(reached) : "a"(SYS_tgkill), "D"(me), "S"(tid), "d"(SIGUSR2) : "rcx", "r11", "memory");
    SHOW(reached);
    handle_info(SIGUSR2, check_frame, 0);
    raise(SIGUSR2);
    // The direction flag is clear in handlers, rounding modes are kept.
    unsigned csr = _mm_getcsr();
    _mm_setcsr(csr | 0x6000);
    raise(SIGUSR1);
    SHOW((_mm_getcsr() & 0x6000) == 0x6000);
    _mm_setcsr(csr);
    // A result of -EINTR-like numbers is no error, and rcx/r11 hold what syscall puts there.
    // makecontext.
    static char stack[65536];
    getcontext(&co_ctx);
    co_ctx.uc_stack.ss_sp = stack, co_ctx.uc_stack.ss_size = sizeof stack, co_ctx.uc_link = &main_ctx;
    makecontext(&co_ctx, coroutine, 0);
    for (int i = 0; i < 3; i++) swapcontext(&main_ctx, &co_ctx);
    SHOW(steps);
    say_status("a broken frame", CHILD(handle_info(SIGUSR1, ({ void f(int s, siginfo_t *si, void *c) { ((ucontext_t *)c)->uc_mcontext.gregs[REG_RIP] = 0x8000000000000000; } f; }), 0); raise(SIGUSR1)));
    say_status("a frame out of nowhere", CHILD(asm volatile("mov $0x1000, %rsp; mov $15, %eax; syscall")));
}
