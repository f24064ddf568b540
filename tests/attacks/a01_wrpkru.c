// A1, A2: opening the guard with an own WRPKRU (written, made executable, mapped from a file, in the middle of another
// instruction, across a page seam), and with the gate's.
#include "guard.h"
// Not static: the compiler would put the bytes into instructions of our text, which are then replaced.
unsigned char wr[] = {0x0f, 0x01, 0xef, 0xc3};
unsigned char hidden[] = {0xb8, 0x0f, 0x01, 0xef, 0xc3};  // mov $0xc3ef010f, %eax
static void try_at(const char *what, unsigned char *at) { attempt(what, at, 0, 0, 0); }
// A2: every WRPKRU that lies in readable kernel text, with a mask of our choice. What follows it may make a call of it: one that comes
// back to where we say, because the gate keeps registers in a page that is ours to write. A child each, which may lose its way.
static int is_wrpkru(const unsigned char *q) { return q[0] == 0x0f && q[1] == 0x01 && q[2] == 0xef; }
static struct { unsigned char *at; unsigned mask; } site;
static void gate(void *unused) {
    if (sigsetjmp(back, 0)) _exit(0);
    asm volatile("lea 1f(%%rip), %%rcx\n movq $110, %%gs:0\n mov %%rcx, %%gs:8\n movq $0, %%gs:16\n mov %%rcx, %%gs:24\n mov %%rcx, %%gs:64\n"
                 "xor %%ecx, %%ecx\n xor %%edx, %%edx\n jmp *%0\n 1: mov %2, %%rax\n mov (%%rax), %%rax"
                 ::"r"(site.at), "a"(site.mask), "i"(HEAP) : "memory", "rcx", "rdx", "cc");
    HOLE("the gate's WRPKRU at %p with %#x opened the guard", site.at, site.mask);
    _exit(1);
}
static void gates(unsigned char *q) {
    static const unsigned masks[] = {0, 0x20, 0x0c, 0x2c, 0x28};
    for (unsigned i = 0; i < COUNT(masks); i++) {
        site.at = q, site.mask = masks[i];
        int st = in_child(gate, 0);
        if (WIFEXITED(st) && WEXITSTATUS(st)) holes++;
    }
}
int main(void) {
    catch_all();
    if (reads_kernel()) HOLE("the guard is open from the start");
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
    int n = each_in_kernel(is_wrpkru, gates);
    printf("%d in the guest kernel\n", n);
    if (n < 4) { holes++; printf("CONTROL FAILED: the gate has more than that\n"); }
    return holes;
}
