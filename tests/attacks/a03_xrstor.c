// A3: XRSTOR of an area with PKRU in it: own text, data made executable, the dynamic loader's, the guest kernel's.
#include "guard.h"
#include <cpuid.h>
static unsigned char area[8192] __attribute__((aligned(4096)));
// An area that says: PKRU 0, in the initial state, and for `kernel` whatever the guest kernel's code looks for beside it.
static void *forged(void) {
    unsigned a, b, c, d;
    memset(area, 0, sizeof area);
    __cpuid_count(13, 9, a, b, c, d);
    *(unsigned short *)area = 0x37f;
    *(unsigned *)(area + 24) = 0x1f80;
    *(unsigned long *)(area + 512) = 1 << 9;
    if (b >= 576 && b < 4000) *(unsigned *)(area + b) = 0;
    return area;
}
// The guest kernel's own, with the area that it looks for at each displacement.
static int is_xrstor(const unsigned char *q) { return q[0] == 0x0f && q[1] == 0xae && (q[2] & 0x38) == 0x28 && q[2] < 0xc0; }
static void kernels(unsigned char *q) {
    int disp = q[2] >> 6 == 2 ? *(int *)(q + 3) : q[2] >> 6 == 1 ? (signed char)q[3] : 0;
    forged();
    attempt("the guest kernel's XRSTOR", q, 1 << 9, 0, area - disp);
    attempt("the guest kernel's XRSTOR64", q - 1, 1 << 9, 0, area - disp);
}
int main(void) {
    catch_all();
    forged();
    asm volatile("jmp 1f\n .global own32\nown32: xrstor (%%rdi)\n ret\n .global own64\nown64: xrstor64 (%%rdi)\n ret\n1:" ::: "memory");
    extern unsigned char own32[], own64[];
    attempt("own XRSTOR", own32, 1 << 9, 0, area);
    attempt("own XRSTOR64", own64, 1 << 9, 0, area);
    attempt("own XRSTOR, initial state", own32, ~0u, ~0u, area);
    // It works where it may: MXCSR comes back.
    unsigned mxcsr = 0;
    *(unsigned long *)(area + 512) = 2;
    *(unsigned *)(area + 24) = 0x1fc0;
    int s = call_at(own64, 2, 0, area);
    asm volatile("stmxcsr %0" : "=m"(mxcsr));
    if (s || mxcsr != 0x1fc0) { holes++; printf("CONTROL FAILED: XRSTOR gave signal %d, MXCSR %x\n", s, mxcsr); }
    *(unsigned *)(area + 24) = 0x1f80;
    call_at(own64, 2, 0, area);
    // An area that the processor refuses is the application's fault, not the guest kernel's.
    memset(area + 512, 0xff, 64);
    if (call_at(own64, ~0u, ~0u, area) != SIGSEGV) { holes++; printf("CONTROL FAILED: a bad XSAVE header gave signal %d\n", got); }
    if (call_at(own64, ~0u, ~0u, (void *)(HEAP + 64)) != SIGSEGV) HOLE("XRSTOR from guest kernel memory");
    forged();
    unsigned char *p = mmap(0, PAGE, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memcpy(p, "\x0f\xae\x2f\xc3", 4);
    mprotect(p, PAGE, 5);
    attempt("XRSTOR made executable", p, 1 << 9, 0, area);
    int found = each_in_kernel(is_xrstor, kernels);
    if (!found) { holes++; printf("CONTROL FAILED: the guest kernel has some\n"); }
    printf("%d in the guest kernel\n", found);
    return holes;
}
