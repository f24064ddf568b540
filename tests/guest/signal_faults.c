// Faults: signal, code, address, what the context says, and going on after a repair.
#include "guest.h"
#include <fenv.h>

static sigjmp_buf env;
static siginfo_t last;
static long trapno, err, cr2, rip;
static void on_fault(int s, siginfo_t *si, void *c) {
    gregset_t *g = &((ucontext_t *)c)->uc_mcontext.gregs;
    last = *si, trapno = (*g)[REG_TRAPNO], err = (*g)[REG_ERR], cr2 = (*g)[REG_CR2], rip = (*g)[REG_RIP];
    siglongjmp(env, 1);
}
static void report(const char *what, void *want) {
    printf("%s: %s code %d address %s", what, name_of(last.si_signo), last.si_code, last.si_addr == want ? "as expected" : last.si_addr ? "other" : "0");
    printf(" trap %ld error %ld", trapno, trapno == 14 ? err : 0);
    if (trapno == 14) printf(" cr2 %s", (void *)cr2 == want ? "same" : "other");
    puts("");
}
#define FAULT(what, want, ...)                                                                                                    \
    do {                                                                                                                          \
        if (!sigsetjmp(env, 1)) {                                                                                                 \
            __VA_ARGS__;                                                                                                          \
            printf("%s: no fault\n", what);                                                                                       \
        } else report(what, want);                                                                                                \
    } while (0)

static char *page;
static void repair(int s, siginfo_t *si, void *c) { mprotect((void *)((long)si->si_addr & -4096), 4096, PROT_READ | PROT_WRITE); }
static void skip(int s, siginfo_t *si, void *c) { ((ucontext_t *)c)->uc_mcontext.gregs[REG_RIP] += 2; }

static void tests(void) {
    int list[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
    for (unsigned i = 0; i < COUNT(list); i++) handle_info(list[i], on_fault, 0);
    static volatile char *null = (char *)16;
    FAULT("read nothing", (void *)16, (void)*null);
    FAULT("write nothing", (void *)16, *null = 1);
    page = mmap(NULL, 3 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    volatile char *p = page;
    FAULT("write read-only", page + 5, p[5] = 1);
    (void)*p;
    FAULT("write read-only, present", page + 5, p[5] = 1);
    mprotect(page, PAGE, PROT_NONE);
    FAULT("read forbidden", page + 7, (void)p[7]);
    munmap(page + PAGE, PAGE);
    FAULT("read unmapped", page + PAGE, (void)p[PAGE]);
    FAULT("execute data", page + 2 * PAGE, ((void (*)(void))(page + 2 * PAGE))());
    FAULT("execute nothing", (void *)8, ((void (*)(void))8)());
    FAULT("not canonical", NULL, (void)*(volatile char *)0x8000000000000000);
    FAULT("privileged", NULL, asm volatile("hlt"));
    FAULT("kernel half", (void *)0xffffffff80000000, (void)*(volatile char *)0xffffffff80000000);
    volatile int zero = 0, one = 1;
    if (!sigsetjmp(env, 1)) one = one / zero;
    report("divide", (void *)rip);
    if (!sigsetjmp(env, 1)) one = INT_MIN / -one;
    else report("overflow", (void *)rip);
    feenableexcept(FE_DIVBYZERO);
    volatile double d = 1, z = 0;
    if (!sigsetjmp(env, 1)) d = d / z;
    report("float divide", (void *)rip);
    feenableexcept(FE_INVALID);
    if (!sigsetjmp(env, 1)) d = z / z;
    report("float invalid", (void *)rip);
    fedisableexcept(FE_ALL_EXCEPT);
    feclearexcept(FE_ALL_EXCEPT);
    if (!sigsetjmp(env, 1)) asm volatile("ud2");
    report("ud2", (void *)rip);
    if (!sigsetjmp(env, 1)) asm volatile("int3");
    report("int3", NULL);
    if (!sigsetjmp(env, 1)) asm volatile("int $0x80" ::"a"(9999));
    if (!sigsetjmp(env, 1)) asm volatile("int $0x20");
    report("int 0x20", NULL);
    int fd = open("short", O_CREAT | O_RDWR, 0600);
    ftruncate(fd, 100);
    char *m = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    m[99] = 1;
    m[4000] = 1; // in the last page
    FAULT("beyond the end", m + PAGE, (void)((volatile char *)m)[PAGE]);
    FAULT("write beyond the end", m + PAGE + 3, ((volatile char *)m)[PAGE + 3] = 1);

    // Repaired and retried.
    handle_info(SIGSEGV, repair, 0);
    mprotect(page, PAGE, PROT_NONE);
    p[3] = 9;
    printf("repaired: %d\n", p[3]);
    handle_info(SIGILL, skip, 0);
    asm volatile("ud2");
    puts("skipped");
    // A fault whose signal is blocked or ignored kills.
    handle_info(SIGSEGV, on_fault, 0);
    sigset_t s = sigs(SIGSEGV, 0);
    say_status("blocked", CHILD(sigprocmask(SIG_BLOCK, &s, NULL); *null = 1));
    say_status("ignored", CHILD(signal(SIGSEGV, SIG_IGN); *null = 1));
    say_status("within its handler", CHILD(handle_info(SIGSEGV, ({ void f(int a, siginfo_t *b, void *c) { *null = 1; } f; }), 0); *null = 1));
    say_status("default", CHILD(signal(SIGFPE, SIG_DFL); one = 7 / zero));
    // Kernel-made EFAULT is no signal.
    SHOW(write(1, page + PAGE, 4));
    SHOW(read(fd, page + PAGE, 4));
    // Sent ones carry no address.
    if (!sigsetjmp(env, 1)) raise(SIGSEGV);
    printf("sent: code %d\n", last.si_code);
}
