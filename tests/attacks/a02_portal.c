// A2, A4, A11 under the mprotect guard: guest kernel memory, the portal's instructions with registers of one's own choice, forged
// signal frames, and a GS of one's own. Each attempt is a child's; after each the guest kernel's memory must still be closed.
#include "attack.h"
#define PORTAL 0x6f000000ul
#define STACKS 0x60000000ul
#define VIEW 0x6c000000ul
#define PROCESS 0xb6000000ul
#define DELTA 0x44000000ul
static sigjmp_buf back;
static int deep;

static void caught(int s) { if (++deep > 50) _exit(3); siglongjmp(back, 1); }
static int can(unsigned long a, int write) {
    if (sigsetjmp(back, 1)) return 0;
    volatile unsigned char *p = (void *)a;
    unsigned char v = *p;
    if (write) *p = v;
    return 1;
}
static void closed(const char *when, unsigned long x) {
    static const unsigned long at[] = {KERNEL + 0x1000, 0x70130000, HEAP, SLOTS + 0x9000, JUMP_ALIAS, PROCESS};
    for (unsigned i = 0; i < COUNT(at); i++)
        if (can(at[i], 0)) { HOLE("%s %#lx: guest kernel memory at %#lx can be read", when, x, at[i]); _exit(1); }
}

// What an attempt does: where to, with which registers.
struct regs { unsigned long rax, rcx, rdx, rsi, rdi, rsp, gs, rip; };
static struct regs now;
static unsigned char own_stack[65536] __attribute__((aligned(4096)));
static void go(void) {
    if (sigsetjmp(back, 1)) return;
    if (now.gs) asm volatile("wrgsbase %0" :: "r"(now.gs));
    asm volatile(
        "mov %[r], %%rbx\n mov 0(%%rbx), %%rax\n mov 16(%%rbx), %%rdx\n mov 24(%%rbx), %%rsi\n mov 32(%%rbx), %%rdi\n"
        "mov 8(%%rbx), %%rcx\n test %%rcx, %%rcx\n jne 2f\n lea 1f(%%rip), %%rcx\n 2:\n"
        "mov %%rsp, %%r12\n mov 40(%%rbx), %%r13\n test %%r13, %%r13\n cmovne %%r13, %%rsp\n jmp *56(%%rbx)\n"
        "1: mov %%r12, %%rsp\n"
        :: [r] "r"(&now) : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc");
}
static void attempt(const char *what, struct regs r) {
    fflush(stdout);
    pid_t p = fork();
    if (p == 0) {
        struct sigaction sa = {.sa_handler = caught, .sa_flags = SA_ONSTACK | SA_NODEFER};
        int sigs[] = {SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGSYS, SIGFPE};
        stack_t ss = {.ss_sp = malloc(65536), .ss_size = 65536};
        sigaltstack(&ss, 0);
        for (unsigned i = 0; i < COUNT(sigs); i++) sigaction(sigs[i], &sa, 0);
        setitimer(ITIMER_REAL, &(struct itimerval){.it_value = {0, 400000}}, 0); // some of them loop
        now = r;
        go();
        closed(what, r.rip);
        _exit(0);
    }
    int st = 0;
    waitpid(p, &st, 0);
    if (WIFEXITED(st) && WEXITSTATUS(st) == 1) holes++;
}

static void memory(void) {
    struct sigaction sa = {.sa_handler = caught, .sa_flags = SA_NODEFER};
    sigaction(SIGSEGV, &sa, 0);
    unsigned char mine = 7;
    if (!can((unsigned long)&mine, 1)) HOLE("a wrong test: own memory can not be touched");
    static const unsigned long no[] = {KERNEL, KERNEL + 0x100000, 0x70130000, HEAP, HEAP + 0x1000, SLOTS, SLOTS + 0x9000, TRUSTED, JUMP_ALIAS, PROCESS, RAM_WINDOW};
    for (unsigned i = 0; i < COUNT(no); i++) { deep = 0; if (can(no[i], 0)) HOLE("%#lx can be read", no[i]); if (can(no[i], 1)) HOLE("%#lx can be written", no[i]); }
    for (int i = 0; i < 64; i++) { deep = 0; if (can(TRUSTED + i * PAGE, 0)) HOLE("trusted page %d can be read", i); if (can(VIEW + i * PAGE, 1)) HOLE("view of trusted page %d can be written", i); }
    if (can(PORTAL, 1)) HOLE("the portal can be written");
    if (can(JUMP_TABLE, 1) || can(STUBS, 1)) HOLE("the jump table can be written");
}

// Jumps to every syscall instruction of the portal with arguments of one's own, and with the right ones.
static void sites(void) {
    unsigned char *p = (void *)PORTAL;
    int n = 0;
    static struct regs r[] = {
        {39}, {10, 0, 7, 0x50000000, KERNEL}, {10, 0, 7, 0x1000, KERNEL}, {10, 0, 7, 0x50000000, KERNEL + 0x1000}, {10, 0, 5, 0x50000000, KERNEL},
        {10, 0, 0, 0x50000000, KERNEL}, {10ul | 1ul << 32, 0, 7, 0x50000000, KERNEL}, {10, 0, 7 | 1ul << 32, 0x50000000, KERNEL}, {329, 0, 7, 0x50000000, KERNEL},
        {0x4000000a, 0, 7, 0x50000000, KERNEL}, {11, 0, 0, 0x50000000, KERNEL}, {9, 0, 7, 0x1000, 0}, {57}, {59}, {231}, {15}};
    for (unsigned long a = 0; a < 0x1000; a++) {
        if (p[a] != 0x0f || p[a + 1] != 5) continue;
        n++;
        for (unsigned i = 0; i < COUNT(r); i++) {
            unsigned long stacks[] = {0, SLOTS + 0x20000, HEAP + 0x10000, (unsigned long)own_stack + 32768};
            for (unsigned k = 0; k < COUNT(stacks); k++) { struct regs x = r[i]; x.rip = PORTAL + a; x.rsp = stacks[k]; attempt("syscall instruction", x); }
        }
    }
    if (n != 4) HOLE("a wrong test: the portal has %d syscall instructions", n);
}

// Jumps everywhere in the portal, with frames forged where the handler might look for them.
static void frames(int step) {
    static unsigned long uc[256];
    for (int i = 0; i < 256; i++) uc[i] = HEAP + 8 * i;
    for (unsigned long a = 0; a < 0x6c0; a += step) {
        // What lies on the trap stacks is ours to write.
        for (int s = 0; s < 12; s++)
            for (unsigned long *w = (void *)(STACKS + s * 32768 + 20480); w < (unsigned long *)(STACKS + (s + 1) * 32768); w++)
                *w = a % 3 == 0 ? PORTAL + a : a % 3 == 1 ? HEAP + 64 : 0x4141414141414141;
        uc[21] = PORTAL + (a * 7) % 0x6c0;
        attempt("portal", (struct regs){10, 0, (unsigned long)uc, (unsigned long)uc, 23, 0, 0, PORTAL + a});
        attempt("portal, right arguments", (struct regs){10, 0, 7, 0x50000000, KERNEL, STACKS + 32768 * (a % 9) + 30000, 0, PORTAL + a});
    }
}

static void base(void *gs) {
    asm volatile("wrgsbase %0" :: "r"(gs));
    for (int i = 0; i < 3; i++) { raw(39, 0, 0, 0, 0, 0, 0); for (volatile int k = 0; k < 6000000; k++); }
    closed("a GS of one's own", (unsigned long)gs);
}
static void fs(void *base) {
    asm volatile("wrfsbase %0\n mov $39, %%eax\n syscall\n mov $60, %%eax\n xor %%edi, %%edi\n syscall" :: "r"(base) : "rax", "rcx", "r11", "rdi");
}
static void bases(void) {
    unsigned long *open = mmap((void *)0x10000000, PAGE, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    unsigned long *trusted = mmap((void *)(0x10000000 + DELTA), PAGE, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    for (int i = 0; i < 512; i++) trusted[i] = HEAP + 4096;
    trusted[0] = 0;
    unsigned long gs[] = {0, 0x1000, 0x10000000, 0x6e000000, 0x6e001000, 0x6e003000, 0x6e005000, KERNEL, HEAP, SLOTS, STACKS, VIEW, PORTAL, 0x7fffffff0000};
    for (unsigned i = 0; i < COUNT(gs); i++) {
        in_child(base, (void *)gs[i]);
        in_child(fs, (void *)gs[i]);
        struct regs r = {10, 0, 7, 0x50000000, KERNEL, 0, gs[i]};
        for (unsigned long a = 0; a < 0x1000; a++)
            if (((unsigned char *)PORTAL)[a] == 0x0f && ((unsigned char *)PORTAL)[a + 1] == 5) { r.rip = PORTAL + a; attempt("syscall instruction, own GS", r); }
    }
    (void)open;
}

int main(int argc, char **argv) {
    if (!strcmp(argv[1], "memory")) memory();
    if (!strcmp(argv[1], "sites")) sites();
    if (!strcmp(argv[1], "frames")) frames(atoi(argv[2]));
    if (!strcmp(argv[1], "bases")) bases();
    return holes;
}
