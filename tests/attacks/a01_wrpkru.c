// A1, A2: opening the guard with an own WRPKRU (written, made executable, mapped from a file, in the middle of another
// instruction, across a page seam), and with the gate's.
#include "attack.h"
static sigjmp_buf back;
static int got;
static void sig(int s) { got = s; siglongjmp(back, 1); }
static int reads_kernel(void) { if (sigsetjmp(back, 1)) return 0; (void)*(volatile long *)HEAP; return 1; }
static void try_at(const char *what, unsigned char *at) {
    if (sigsetjmp(back, 1) == 0) asm volatile("call *%0" :: "r"(at), "a"(0), "c"(0), "d"(0) : "memory");
    if (reads_kernel()) HOLE("%s opened the guard", what);
}
int main(void) {
    int sigs[] = {SIGSEGV, SIGILL, SIGTRAP, SIGBUS, SIGSYS};
    for (int i = 0; i < 5; i++) signal(sigs[i], sig);
    if (reads_kernel()) HOLE("the guard is open from the start");
    static const unsigned char wr[] = {0x0f, 0x01, 0xef, 0xc3};
    static const unsigned char hidden[] = {0xb8, 0x0f, 0x01, 0xef, 0xc3};  // mov $0xc3ef010f, %eax
    // Text of this program has one, too.
    asm volatile("jmp 1f\n .global own\nown: .byte 0x0f, 0x01, 0xef, 0xc3\n1:");
    extern unsigned char own[];
    try_at("own text", own);
    unsigned char *rwx = mmap(0, 2 * PAGE, 7, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (rwx != MAP_FAILED) { memcpy(rwx, wr, 4); try_at("write+execute memory", rwx); memcpy(rwx + PAGE - 1, wr, 4); try_at("seam, write+execute", rwx + PAGE - 1); }
    for (int off = PAGE - 4; off < (int)PAGE + 1; off++) {
        unsigned char *p = mmap(0, 2 * PAGE, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        memset(p, 0x90, 2 * PAGE);
        memcpy(p + off, wr, 4);
        mprotect(p, PAGE, 5); mprotect(p + PAGE, PAGE, 5);
        try_at("made executable page by page", p + off);
    }
    unsigned char *p = mmap(0, PAGE, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memcpy(p, hidden, sizeof hidden);
    mprotect(p, PAGE, 5);
    try_at("hidden in another instruction", p + 1);
    int fd = memfd_create("x", 0);
    write(fd, wr, 4); ftruncate(fd, PAGE);
    unsigned char *w = mmap(0, PAGE, 3, MAP_SHARED, fd, 0), *x = mmap(0, PAGE, 5, MAP_SHARED, fd, 0);
    if (x != MAP_FAILED) { try_at("shared alias", x); if (w != MAP_FAILED) { memcpy(w, wr, 4); try_at("shared alias, written later", x); } }
    // A2: every WRPKRU that lies in readable kernel text.
    unsigned long a;
    for (a = KERNEL; a < KERNEL + 0x400000; a++) {
        if (sigsetjmp(back, 1)) { a |= PAGE - 1; continue; }
        unsigned char *q = (void *)a;
        if (q[0] == 0x0f && q[1] == 0x01 && q[2] == 0xef) { unsigned long keep = a; try_at("the gate's WRPKRU", q); a = keep; }
    }
    return holes;
}
