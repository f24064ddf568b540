// A4: another GS base than the guest kernel's: own WRGSBASE, the guest kernel's, arch_prctl, a load of GS. With it the guest kernel's
// entries would take forged pages for trusted ones. Each in a child, which may die of it.
#include "guard.h"
static unsigned long gs_base(void) { unsigned long v; asm volatile("rdgsbase %0" : "=r"(v)); return v; }
static void forge_page(unsigned long open) {
    // Trusted pages lie at a fixed distance from the open ones.
    mmap((void *)(open + TRUSTED - OPEN_PAGES), PAGE, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    mmap((void *)open, PAGE, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}
static void poke(void) {
    for (int i = 0; i < 3; i++) raw(SYS_getppid, 0, 0, 0, 0, 0, 0);
    getpid();
    asm volatile("ud2");
}
static void own(void *arg) {
    extern unsigned char wrgs[], wrgs32[];
    unsigned long before = gs_base();
    forge_page(0x200000);
    int s = call_at(arg ? wrgs32 : wrgs, 0, 0, (void *)0x200000);
    if (gs_base() != before) { HOLE("own WRGSBASE changed the base"); _exit(1); }
    if (s != SIGILL) { printf("CONTROL FAILED: WRGSBASE gave signal %d\n", s); fflush(stdout); _exit(2); }
    // The same in memory made executable, with prefixes that do nothing.
    unsigned char *p = mmap(0, PAGE, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memcpy(p, "\xf3\x66\x2e\x48\x0f\xae\xdf\xc3", 8);
    mprotect(p, PAGE, 5);
    call_at(p, 0, 0, (void *)0x200000);
    if (gs_base() != before) { HOLE("WRGSBASE made executable changed the base"); _exit(1); }
}
static void prctl_gs(void *arg) {
    unsigned long before = gs_base();
    forge_page(0x200000);
    raw(SYS_arch_prctl, 0x1001, 0x200000, 0, 0, 0, 0);
    if (gs_base() != before) { HOLE("arch_prctl changed the base"); _exit(1); }
}
static void load(void *arg) {
    forge_page(0x10000);
    asm volatile("mov %0, %%gs" ::"r"((long)arg));
    poke();
    if (reads_kernel()) { HOLE("loading GS with %ld opened the guard", (long)arg); _exit(1); }
}
static unsigned char *site;
static void kernels(void *arg) {
    // Another slot's pages, and forged ones.
    unsigned long to = arg ? OPEN_PAGES : 0x200000, before = gs_base();
    if (!arg) forge_page(to);
    if (sigsetjmp(back, 1)) _exit(gs_base() != before);
    asm volatile("mov %1, %%rax\n mov %1, %%rbx\n mov %1, %%rcx\n mov %1, %%rdx\n mov %1, %%rsi\n mov %1, %%rdi\n mov %1, %%r8\n mov %1, %%r9\n"
                 "mov %1, %%r10\n mov %1, %%r12\n mov %1, %%r13\n mov %1, %%r14\n mov %1, %%r15\n push $0\n jmp *%0"
                 ::"r"((long)site), "r"(to) : "memory");
}
static int is_wrgsbase(const unsigned char *q) { return q[0] == 0xf3 && (q[1] & 0xf0) == 0x40 && q[2] == 0x0f && q[3] == 0xae && (q[4] & 0xf8) == 0xd8; }
static void with_both(unsigned char *q) {
    site = q;
    for (long other = 0; other < 2; other++) {
        int st = in_child(kernels, (void *)other);
        if (WIFEXITED(st) && WEXITSTATUS(st)) HOLE("the guest kernel's WRGSBASE changed the base");
    }
}
int main(void) {
    catch_all();
    asm volatile("jmp 1f\n .global wrgs\nwrgs: wrgsbase %%rdi\n ret\n .global wrgs32\nwrgs32: wrgsbase %%edi\n ret\n1:" ::: "memory");
    in_child(own, 0) != 0 && holes++;
    in_child(own, (void *)1) != 0 && holes++;
    in_child(prctl_gs, 0) != 0 && holes++;
    long selectors[] = {0, 3, 0x2b, 0x33, 0x7b};
    for (unsigned i = 0; i < COUNT(selectors); i++) {
        int st = in_child(load, (void *)selectors[i]);
        if (WIFEXITED(st) && WEXITSTATUS(st) == 1) holes++;
    }
    int found = each_in_kernel(is_wrgsbase, with_both);
    if (!found) { holes++; printf("CONTROL FAILED: the guest kernel has some\n"); }
    printf("%d in the guest kernel\n", found);
    return holes;
}
