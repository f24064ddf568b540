// mremap: growing, shrinking, moving, errors; brk.
#include "guest.h"

#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define RW (PROT_READ | PROT_WRITE)
static char *area(int pages) {
    char *m = mmap(NULL, (pages + 20) * PAGE, RW, ANON, -1, 0);
    munmap(m + pages * PAGE, 20 * PAGE);
    for (int i = 0; i < pages; i++) m[i * PAGE] = 'A' + i;
    return m;
}
static bool mapped(void *p) {
    unsigned char v;
    return mincore(p, PAGE, &v) == 0;
}

// Three areas, with nothing next to them.
static char *pieces(void) {
    char *m = area(26) + 10 * PAGE;
    munmap(m - 10 * PAGE, 10 * PAGE);
    munmap(m + 6 * PAGE, 10 * PAGE);
    for (int i = 0; i < 6; i++) m[i * PAGE] = 'a' + i;
    mprotect(m + 2 * PAGE, 2 * PAGE, PROT_READ);
    return m;
}

static void tests(void) {
    char *m = area(4), *n;
    SHOW(mremap(m + 1, PAGE, PAGE, 0) != MAP_FAILED);
    SHOW(mremap(m, PAGE, 0, 0) != MAP_FAILED);
    n = mremap(m, 4 * PAGE, 8 * PAGE, 0);
    printf("grown in place: %d %c %d\n", n == m, m[3 * PAGE], m[7 * PAGE]);
    n = mremap(m, 8 * PAGE, 2 * PAGE, 0);
    printf("shrunk: %d %d %d\n", n == m, mapped(m + PAGE), mapped(m + 2 * PAGE));
    // Something in the way.
    mmap(m + 2 * PAGE, PAGE, RW, ANON | MAP_FIXED, -1, 0);
    mprotect(m + 2 * PAGE, PAGE, PROT_READ);
    SHOW((long)mremap(m, 2 * PAGE, 4 * PAGE, 0));
    n = mremap(m, 2 * PAGE, 4 * PAGE, MREMAP_MAYMOVE);
    printf("moved: %d %c%c %d, old %d\n", n != m, n[0], n[PAGE], n[2 * PAGE], mapped(m));
    m = area(6);
    n = mmap(NULL, 6 * PAGE, PROT_NONE, ANON, -1, 0);
    CHECK(mremap(m + PAGE, 2 * PAGE, 3 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, n + PAGE) == n + PAGE);
    printf("fixed: %c%c %d, left %d%d%d%d\n", n[PAGE], n[2 * PAGE], n[3 * PAGE], mapped(m), mapped(m + PAGE), mapped(m + 2 * PAGE), mapped(m + 3 * PAGE));
    SHOW((long)mremap(m, PAGE, PAGE, MREMAP_FIXED, n));
    SHOW((long)mremap(m, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, n + 1));
    m = area(6);
    SHOW((long)mremap(m, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, m + 2 * PAGE)); // overlap
    SHOW((long)mremap(m, PAGE, PAGE, 0x10));
    SHOW((long)mremap((void *)0x10000, PAGE, 2 * PAGE, MREMAP_MAYMOVE));
    munmap(m + 2 * PAGE, PAGE);
    SHOW((long)mremap(m, 4 * PAGE, 5 * PAGE, MREMAP_MAYMOVE)); // across a hole
    // Keeping the old place, empty.
    m = area(3);
    n = mremap(m, 3 * PAGE, 3 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
    printf("dontunmap: %d %c, old mapped %d %d\n", n != m && n != MAP_FAILED, n[PAGE], mapped(m), m[PAGE]);
    // Old length 0 duplicates a shared mapping, and is refused for a private one.
    char *s = mmap(NULL, 2 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    s[PAGE] = 's';
    n = mremap(s, 0, 2 * PAGE, MREMAP_MAYMOVE);
    printf("duplicate: %d %c", n != s && n != MAP_FAILED, n[PAGE]);
    s[PAGE] = 't';
    printf(" %c\n", n[PAGE]);
    SHOW((long)mremap(area(1), 0, PAGE, MREMAP_MAYMOVE));
    // A file mapping keeps its offset.
    int fd = open("f", O_RDWR | O_CREAT, 0600);
    for (int i = 0; i < 8; i++) pwrite(fd, &"abcdefgh"[i], 1, i * PAGE);
    ftruncate(fd, 8 * PAGE);
    m = mmap(NULL, 2 * PAGE, RW, MAP_SHARED, fd, 2 * PAGE);
    n = mremap(m, 2 * PAGE, 5 * PAGE, MREMAP_MAYMOVE);
    printf("file: %c%c%c%c\n", n[0], n[PAGE], n[3 * PAGE], n[4 * PAGE]);
    n[0] = 'C';
    char c;
    pread(fd, &c, 1, 2 * PAGE);
    printf("%c\n", c);
    say_status("child sees it", CHILD(CHECK(n[0] == 'C'); n[PAGE] = 'D'));
    printf("%c\n", n[PAGE]);

    // A page whose protection has gone to and fro is of one piece with its neighbours again.
    m = mmap(NULL, 6 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(m, 7, 6 * PAGE);
    for (int i = 0; i < 600; i++) CHECK(mprotect(m + 2 * PAGE, PAGE, i % 2 ? RW : PROT_READ) == 0);
    say_status("a child moves it", CHILD(CHECK(mremap(m, 6 * PAGE, 9 * PAGE, MREMAP_MAYMOVE) != MAP_FAILED)));
    n = mremap(m, 6 * PAGE, 9 * PAGE, MREMAP_MAYMOVE);
    CHECK(n != MAP_FAILED && n[2 * PAGE] == 7 && n[8 * PAGE] == 0);
    CHECK(mprotect(n + 2 * PAGE, PAGE, PROT_READ) == 0);
    SHOW((long)mremap(n, 9 * PAGE, 12 * PAGE, MREMAP_MAYMOVE)); // two pieces

    // Shrinking unmaps the tail, whatever it is of.
    m = pieces();
    SHOW(mremap(m, 6 * PAGE, 6 * PAGE, 0) == m);
    SHOW(mremap(m, 6 * PAGE, 5 * PAGE, MREMAP_MAYMOVE) == m);
    SHOW((long)mremap(m, 5 * PAGE, 7 * PAGE, MREMAP_MAYMOVE));
    SHOW(mremap(m, 5 * PAGE, 3 * PAGE, 0) == m);
    printf("left %d%d%d\n", mapped(m), mapped(m + 2 * PAGE), mapped(m + 3 * PAGE));
    m = pieces();
    munmap(m + PAGE, PAGE);
    munmap(m + 4 * PAGE, PAGE);
    SHOW(mremap(m, 6 * PAGE, 3 * PAGE, 0) == m);
    printf("left %d%d%d%d%d\n", mapped(m), mapped(m + PAGE), mapped(m + 2 * PAGE), mapped(m + 3 * PAGE), mapped(m + 5 * PAGE));
    SHOW((long)mremap(m + PAGE, 2 * PAGE, PAGE, 0)); // begins in a hole
    m = pieces();
    n = mmap(NULL, 6 * PAGE, PROT_NONE, ANON, -1, 0);
    SHOW((long)mremap(m, 6 * PAGE, 3 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, n + PAGE));
    m = pieces();
    CHECK(mremap(m, 6 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, n + PAGE) == n + PAGE);
    printf("moved %c%c, left %d%d%d\n", n[PAGE], n[2 * PAGE], mapped(m), mapped(m + 2 * PAGE), mapped(m + 5 * PAGE));
    m = pieces();
    SHOW((long)mremap(m, 6 * PAGE, 6 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL));
    SHOW((long)mremap(m, 2 * PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL));
    SHOW((long)mremap(s, 0, PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL));
    SHOW((long)mremap((void *)(1ul << 50), PAGE, PAGE, MREMAP_MAYMOVE));
    SHOW((long)mremap((void *)-PAGE, PAGE, 2 * PAGE, MREMAP_MAYMOVE));

    // brk.
    char *old = sbrk(0);
    CHECK(sbrk(5 * PAGE) == old);
    CHECK(old[4 * PAGE] == 0);
    old[4 * PAGE] = 1;
    CHECK(sbrk(-2 * PAGE) == old + 5 * PAGE);
    CHECK(sbrk(2 * PAGE) == old + 3 * PAGE);
    printf("after shrinking and growing: %d\n", old[4 * PAGE]);
    CHECK(syscall(SYS_brk, 0) == (long)old + 5 * (long)PAGE);
    CHECK(syscall(SYS_brk, 1) == (long)old + 5 * (long)PAGE);
    CHECK(syscall(SYS_brk, (long)old + 1) == (long)old + 1);
    SHOW(sbrk(1l << 46) == (void *)-1);
    // The heap keeps away from what is above it.
    char *top = (char *)(((long)sbrk(0) + PAGE - 1) & -PAGE);
    for (int gap = 0; gap < 3; gap++) {
        char *above = mmap(top + (4 + gap) * PAGE, PAGE, PROT_READ, ANON | MAP_FIXED_NOREPLACE, -1, 0);
        CHECK(above != MAP_FAILED);
        printf("gap %d: %d\n", gap, brk(top + 4 * PAGE));
        munmap(above, PAGE);
        CHECK(brk(top) == 0);
    }
    CHECK(mmap(top + 300 * PAGE, PAGE, PROT_READ, ANON | MAP_GROWSDOWN | MAP_FIXED_NOREPLACE, -1, 0) != MAP_FAILED);
    SHOW(brk(top + 43 * PAGE));
    SHOW(brk(top + 44 * PAGE));
}
