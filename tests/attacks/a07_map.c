// A7: every call that takes an address, over every place that belongs to the guest kernel.
#include "attack.h"
#include <sys/auxv.h>

static struct { const char *name; unsigned long at, len; } places[] = {
    // The host's, which the guest kernel calls: code in its place would run with the guard open.
    {"vDSO", 0, PAGE}, {"vDSO's data", -PAGE, PAGE}, {"vDSO and around", -32 * PAGE, 64 * PAGE}, {"half of the vDSO", -8 * PAGE, 9 * PAGE},
    {"kernel text", KERNEL, PAGE}, {"kernel text, all", KERNEL, KERNEL_END - KERNEL}, {"heap", HEAP, PAGE},
    {"thread slots", SLOTS, 2 * PAGE}, {"open pages", OPEN_PAGES, PAGE}, {"trusted pages", TRUSTED, PAGE},
    {"alias of the jump table", JUMP_ALIAS, PAGE}, {"last page", KERNEL_END - PAGE, PAGE},
    {"seam below", KERNEL - PAGE, 2 * PAGE}, {"seam above", KERNEL_END - PAGE, 2 * PAGE},
    {"jump table", JUMP_TABLE, PAGE}, {"stubs", STUBS, PAGE}, {"last stub", 0x05180000 - PAGE, PAGE},
    {"seam of the jump table", JUMP_TABLE - PAGE, 2 * PAGE}, {"RAM window", RAM_WINDOW, PAGE},
    {"RAM window, later", RAM_WINDOW + (1ul << 39), PAGE}, {"seam of the RAM window", RAM_WINDOW - PAGE, 2 * PAGE},
    {"everything", 0x10000, 0x7ffffffe0000ul}, {"wrapping", 0x7fffffff0000ul, -0x7fffffff0000ul + KERNEL + PAGE},
    {"kernel half", 0xffff800000000000ul, PAGE}, {"vsyscall", 0xffffffffff600000ul, PAGE}, {"end of the half", 0x7ffffffff000ul, PAGE},
    {"nearly all of memory", 0x10000, -0x20000ul}, {"length that wraps when rounded", KERNEL, -1ul},
};

static void refused(const char *call, const char *place, long ret) {
    if (ret >= 0 || ret < -4095) HOLE("%s over %s gives %#lx", call, place, ret);
}

int main(void) {
    char *own = mmap(0, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(own, 7, 16 * PAGE);
    for (int i = 0; i < 4; i++) places[i].at += getauxval(AT_SYSINFO_EHDR);
    int fd = memfd_create("x", 0);
    ftruncate(fd, 1 << 20);
    for (unsigned i = 0; i < COUNT(places); i++) {
        const char *n = places[i].name;
        unsigned long at = places[i].at, len = places[i].len;
        refused("mmap fixed", n, raw(SYS_mmap, at, len, 3, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        refused("mmap fixed exec", n, raw(SYS_mmap, at, len, 7, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        refused("mmap fixed shared file", n, raw(SYS_mmap, at, len, 3, MAP_FIXED | MAP_SHARED, fd, 0));
        refused("mmap fixed growsdown", n, raw(SYS_mmap, at, len, 3, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN, -1, 0));
        refused("mmap noreplace", n, raw(SYS_mmap, at, len, 3, MAP_FIXED_NOREPLACE | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        refused("munmap", n, raw(SYS_munmap, at, len, 0, 0, 0, 0));
        for (int prot = 0; prot < 8; prot++) refused("mprotect", n, raw(SYS_mprotect, at, len, prot, 0, 0, 0));
        refused("mprotect growsdown", n, raw(SYS_mprotect, at, len, 7 | 0x01000000, 0, 0, 0));
        refused("pkey_mprotect", n, raw(SYS_pkey_mprotect, at, len, 7, 0, 0, 0));
        refused("pkey_mprotect -1", n, raw(SYS_pkey_mprotect, at, len, 7, -1, 0, 0));
        for (int advice = 0; advice < 26; advice++) refused("madvise", n, raw(SYS_madvise, at, len, advice, 0, 0, 0));
        refused("madvise hwpoison", n, raw(SYS_madvise, at, len, 100, 0, 0, 0));
        refused("mremap from", n, raw(SYS_mremap, at, len, len, MREMAP_MAYMOVE, 0, 0));
        refused("mremap shrink", n, raw(SYS_mremap, at, len, PAGE, 0, 0, 0) == (long)at && len == PAGE ? at : -1);
        refused("mremap copy", n, raw(SYS_mremap, at, 0, PAGE, MREMAP_MAYMOVE, 0, 0));
        refused("mremap to", n, raw(SYS_mremap, (long)own, PAGE, len, MREMAP_MAYMOVE | MREMAP_FIXED, at, 0));
        refused("mremap to, same size", n, at + PAGE > at && len > PAGE ? -1 : raw(SYS_mremap, (long)own, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, at, 0));
        refused("mremap dontunmap", n, raw(SYS_mremap, at, len, len, MREMAP_MAYMOVE | 4, 0, 0));
        refused("msync", n, raw(SYS_msync, at, len, MS_INVALIDATE, 0, 0, 0));
        // Linux takes a length that rounds up to nothing as nothing.
        refused("mlock", n, len + PAGE - 1 < len ? -1 : raw(SYS_mlock, at, len, 0, 0, 0, 0));
        refused("mincore", n, raw(SYS_mincore, at, len, (long)own, 0, 0, 0));
        refused("remap_file_pages", n, raw(SYS_remap_file_pages, at, len, 0, 0, 0, 0));
        refused("mbind", n, raw(SYS_mbind, at, len, 0, 0, 0, 0));
        refused("process_madvise", n, raw(SYS_process_madvise, -1, at, len, 4, 0, 0));
        refused("mseal", n, raw(462, at, len, 0, 0, 0, 0));
        refused("map_shadow_stack", n, raw(453, at, len, 0, 0, 0, 0));
        refused("shmat", n, raw(SYS_shmat, 0, at, 0, 0, 0, 0));
    }
    // A hint is a wish: whatever comes must not lie there.
    for (unsigned i = 0; i < COUNT(places); i++) {
        unsigned long got = raw(SYS_mmap, places[i].at, PAGE, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (got > -4096ul) continue;
        if ((got + PAGE > KERNEL && got < KERNEL_END) || (got + PAGE > JUMP_TABLE && got < 0x05180000) ||
            (got + PAGE > RAM_WINDOW && got < RAM_WINDOW + (1ul << 40)))
            HOLE("mmap with a hint to %s gives %#lx", places[i].name, got);
        munmap((void *)got, PAGE);
    }
    // The break may not grow into anything.
    unsigned long old = raw(SYS_brk, 0, 0, 0, 0, 0, 0);
    const unsigned long breaks[] = {JUMP_TABLE + 1, STUBS + 1, KERNEL + 1, KERNEL_END + 1, RAM_WINDOW + 1, -1ul, 1ul << 63, 0x7ffffffff000};
    for (unsigned i = 0; i < COUNT(breaks); i++)
        if ((unsigned long)raw(SYS_brk, breaks[i], 0, 0, 0, 0, 0) != old) HOLE("brk to %#lx", breaks[i]);
    // A stack that grows down to the guest kernel's end, and one above the jump table.
    const unsigned long ends[] = {KERNEL_END, 0x05180000};
    for (int i = 0; i < 2; i++) {
        char *p = mmap((void *)(ends[i] + PAGE), PAGE, 3, MAP_FIXED_NOREPLACE | MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN, -1, 0);
        if (p == MAP_FAILED) continue;
        p[0] = 1;
        pid_t c = fork();
        if (!c) {
            volatile char *q = p;
            for (int k = 0; k < 3; k++) q -= PAGE, *q = 1;
            _exit(0);
        }
        int st;
        waitpid(c, &st, 0);
        if (st == 0) HOLE("a stack grew below %#lx", ends[i]);
    }
    // Huge and empty.
    refused("mmap of everything", "", raw(SYS_mmap, 0, 1ul << 47, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    refused("mmap of nothing", "", raw(SYS_mmap, 0, 0, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    refused("mmap of -1", "", raw(SYS_mmap, 0, -1, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    for (int i = 0; i < 16 * PAGE; i++)
        if (own[i] != 7 && i >= PAGE && i < 2 * PAGE) HOLE("own page changed");
    // mincore of a huge reservation: the answer does not fit anywhere, and the guest kernel must not try.
    long big = raw(SYS_mmap, 0, 1ul << 44, 0, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (big > 0) refused("mincore of 16 TiB", "", raw(SYS_mincore, big, 1ul << 44, (long)own, 0, 0, 0));
    // The gate still works.
    if (getppid() <= 0 || fork() == -1) HOLE("the guest kernel is broken");
    return holes;
}
