// A10, A13: forged frames for rt_sigreturn; single-stepping through the gate. A child each: it may die of a signal, nothing more.
#include "attack.h"

static int kind;
static char alt[65536];
static void forge(int s, siginfo_t *si, void *v) {
    ucontext_t *u = v;
    greg_t *g = u->uc_mcontext.gregs;
    unsigned char *x = (void *)u->uc_mcontext.fpregs;
    switch (kind) {
    case 0: memset(x + 512, 0xff, 64); break;                         // XSAVE header: all bits
    case 1: *(uint64_t *)(x + 512) = 1ull << 63; break;
    case 2: *(uint64_t *)(x + 520) = 1ull << 63; break;               // compacted format
    case 3: *(uint64_t *)(x + 528) = 1; break;                        // reserved
    case 4: *(uint32_t *)(x + 24) = 0xffffffff; break;                // MXCSR
    case 5: *(uint64_t *)(x + 512) |= 1 << 9; break;                  // PKRU component
    case 6: memset(x, 0xff, 512); break;
    case 7: *(uint32_t *)(x + 464 + 16) = 0xffffffff; break;          // xstate_size
    case 8: *(uint32_t *)(x + 464 + 16) = 0; break;
    case 9: *(uint64_t *)(x + 464 + 8) = ~0ull; break;                // xfeatures
    case 10: u->uc_mcontext.fpregs = (void *)KERNEL; break;
    case 11: u->uc_mcontext.fpregs = (void *)0x800000000000; break;
    case 12: u->uc_mcontext.fpregs = (void *)-1; break;
    case 13: u->uc_mcontext.fpregs = (void *)1; break;
    case 14: u->uc_mcontext.fpregs = (void *)((char *)x + 1); break;
    case 15: u->uc_mcontext.fpregs = 0; break;
    case 16: g[REG_RIP] = KERNEL; break;
    case 17: g[REG_RIP] = KERNEL + 0x12345; break;
    case 18: g[REG_RIP] = 0x800000000000; break;
    case 19: g[REG_RIP] = 0xffff800000000000; break;
    case 20: g[REG_RIP] = -1; break;
    case 21: g[REG_RIP] = 0; break;
    case 22: g[REG_RIP] = 0x7ffffffff000 - 1; break;
    case 23: g[REG_RSP] = KERNEL; break;
    case 24: g[REG_RSP] = SLOTS + 131072; break;
    case 25: g[REG_RSP] = 0x8000000000000000; break;
    case 26: g[REG_RSP] = 1; break;
    case 27: g[REG_CSGSFS] = 0; break;
    case 28: g[REG_CSGSFS] = 0x23ll | 0x2bll << 48; break;            // 32-bit code
    case 29: g[REG_CSGSFS] = 0x10ll | 0x18ll << 48; break;            // ring 0
    case 30: g[REG_CSGSFS] = -1; break;
    case 31: g[REG_EFL] = -1; break;
    case 32: g[REG_EFL] |= 0x100; break;                              // TF
    case 33: g[REG_EFL] |= 0x40000; break;                            // AC
    case 34: g[REG_EFL] |= 0x4000; break;                             // NT
    case 35: g[REG_EFL] |= 0x3000; break;                             // IOPL
    case 36: g[REG_EFL] |= 0x400; break;                              // DF
    case 37: g[REG_EFL] |= 0x20000; break;                            // VM
    case 38: u->uc_stack.ss_sp = (void *)KERNEL; u->uc_stack.ss_size = 1 << 20; u->uc_stack.ss_flags = 0; break;
    case 39: u->uc_stack.ss_flags = -1; break;
    case 40: memset(&u->uc_sigmask, 0xff, 8); break;
    case 41: g[REG_RIP] = JUMP_TABLE; break;
    case 42: g[REG_RIP] = STUBS; break;
    case 43: g[REG_RIP] = STUBS + 3; break;
    case 44: memset(u, 0xff, sizeof *u); break;
    case 45: memset(u, 0x41, 256); break;
    case 46: g[REG_RIP] = RAM_WINDOW; break;
    case 47: g[REG_RIP] = 0xffffffffff600000; break;
    }
}
#define KINDS 48
static void one(void *unused) {
    stack_t ss = {.ss_sp = alt, .ss_size = sizeof alt};
    sigaltstack(&ss, 0);
    struct sigaction sa = {.sa_sigaction = forge, .sa_flags = SA_SIGINFO | SA_RESETHAND | SA_ONSTACK};
    sigaction(SIGUSR1, &sa, 0);
    raise(SIGUSR1);
    for (int i = 0; i < 10; i++) getppid();
    struct stat st;
    stat("/", &st);
    _exit(0);
}
// rt_sigreturn with a stack that holds no frame at all.
static unsigned long sps[] = {0, 8, KERNEL, KERNEL_END - 8, SLOTS, TRUSTED, RAM_WINDOW, 0x7ffffffff000, 0x7fffffffeff8, 0x800000000000, -8ul, -1ul, JUMP_TABLE, STUBS, 0x10000};
static void bare(void *sp) {
    asm volatile("mov %0, %%rsp\n mov $15, %%eax\n syscall\n ud2" :: "r"(*(unsigned long *)sp) : "memory");
}
// The signal frame itself pushed into forbidden memory.
static void handler(int s) {}
static void push_to(void *sp) {
    signal(SIGUSR1, handler);
    pid_t me = getpid();
    asm volatile("mov %0, %%rsp\n mov $62, %%eax\n mov %1, %%edi\n mov $10, %%esi\n syscall\n mov $231, %%eax\n xor %%edi,%%edi\n syscall" :: "r"(*(unsigned long *)sp), "r"(me) : "memory", "rax", "rdi", "rsi");
}
static void alt_to(void *sp) {
    stack_t ss = {.ss_sp = *(void **)sp, .ss_size = 65536};
    sigaltstack(&ss, 0);
    struct sigaction sa = {.sa_handler = handler, .sa_flags = SA_ONSTACK};
    sigaction(SIGUSR1, &sa, 0);
    raise(SIGUSR1);
}
static void handler_at(void *at) {
    struct { void *h; unsigned long fl; void *rest; unsigned long mask; } k = {*(void **)at, 0x04000000, *(void **)at, 0};
    raw(SYS_rt_sigaction, SIGUSR1, (long)&k, 0, 8, 0, 0);
    raise(SIGUSR1);
}
// Stepping through patched sites, stubs, the gate and back (A13).
static volatile long steps;
static void step(int s, siginfo_t *si, void *v) { steps++; }
static void single_step(void *on) {
    struct sigaction sa = {.sa_sigaction = step, .sa_flags = SA_SIGINFO};
    sigaction(SIGTRAP, &sa, 0);
    for (int i = 0; i < 20; i++) getppid();  // the site is patched by now
    asm volatile("pushfq\n orq $0x100, (%%rsp)\n popfq" ::: "memory", "cc");
    getppid();
    char b[8];
    read(-1, b, 1);
    raw(SYS_getpid, 0, 0, 0, 0, 0, 0);
    sched_yield();
    getppid();
    asm volatile("pushfq\n andq $~0x100, (%%rsp)\n popfq" ::: "memory", "cc");
    if (!steps) HOLE("no step was seen");
    _exit(holes);
}
static void step_ignored(void *unused) {
    // No handler, trap flag set right before a call through the gate: the default action, or nothing.
    for (int i = 0; i < 20; i++) getppid();
    asm volatile("pushfq\n orq $0x100, (%%rsp)\n popfq\n mov $39, %%eax\n syscall" ::: "memory", "cc", "rax", "rcx", "r11");
}

// Without a guard an application that runs guest kernel text, or has its stack in guest kernel memory, is the guest kernel: nothing to test.
static int needs_guard(unsigned long at) { return at >= KERNEL && at < KERNEL_END; }

int main(int argc, char **argv) {
    int guarded = argc > 1 && !strcmp(argv[1], "guarded");
    for (kind = 0; kind < KINDS; kind++) {
        if (!guarded && (kind == 16 || kind == 17 || kind == 23 || kind == 24)) continue;
        int st = in_child(one, 0);
        if (WIFSIGNALED(st) && WTERMSIG(st) == SIGKILL) HOLE("frame %d: killed by the host", kind);
        printf("frame %d: %s %d\n", kind, WIFSIGNALED(st) ? "signal" : "exit", WIFSIGNALED(st) ? WTERMSIG(st) : WEXITSTATUS(st));
    }
    for (unsigned i = 0; i < COUNT(sps); i++) {
        int a = in_child(bare, &sps[i]), b = in_child(push_to, &sps[i]), c = in_child(alt_to, &sps[i]), d = needs_guard(sps[i]) && !guarded ? 0 : in_child(handler_at, &sps[i]);
        if (!WIFSIGNALED(a)) HOLE("sigreturn at %#lx: status %#x", sps[i], a);
        if (!WIFSIGNALED(b)) HOLE("frame pushed to %#lx: status %#x", sps[i], b);
        printf("%#lx: %#x %#x %#x %#x\n", sps[i], a, b, c, d);
    }
    int st = in_child(single_step, 0);
    printf("single step: %#x\n", st);
    if (st) HOLE("single step: %#x", st);
    in_child(step_ignored, 0);
    return holes;
}
