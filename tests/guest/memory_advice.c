// madvise, mincore, mlock, msync.
#include "guest.h"
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define RW (PROT_READ | PROT_WRITE)

static void tests(void) {
    char *m = mmap(NULL, 8 * PAGE, RW, ANON, -1, 0);
    memset(m, 'a', 8 * PAGE);
    SHOW(madvise(m + PAGE, 2 * PAGE, MADV_DONTNEED));
    printf("%c %d %d %c\n", m[0], m[PAGE], m[3 * PAGE - 1], m[3 * PAGE]);
    SHOW(madvise(m, 0, MADV_DONTNEED));
    SHOW(madvise(m + 1, PAGE, MADV_DONTNEED));
    SHOW(madvise(m, PAGE, 9999));
    SHOW(madvise((void *)0x10000, PAGE, MADV_DONTNEED));
    SHOW(madvise(m, -PAGE, MADV_DONTNEED));
    munmap(m + 5 * PAGE, PAGE);
    SHOW(madvise(m, 8 * PAGE, MADV_DONTNEED)); // done around the hole, and said
    printf("%d %d\n", m[0], m[7 * PAGE]);
    int harmless[] = {MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED, MADV_FREE, MADV_DONTFORK, MADV_DOFORK, MADV_DONTDUMP, MADV_DODUMP,
                      MADV_COLD, MADV_PAGEOUT, MADV_POPULATE_READ, MADV_POPULATE_WRITE};
    for (unsigned i = 0; i < COUNT(harmless); i++) printf("%d: ", harmless[i]), SHOW(madvise(m, 2 * PAGE, harmless[i]));
    m[0] = 'f';
    SHOW(madvise(m, PAGE, MADV_FREE));
    m[1] = 'g'; // written again: kept
    printf("%c\n", m[1]);
    SHOW(madvise(m, PAGE, MADV_WIPEONFORK));
    m[0] = 'w', m[2 * PAGE] = 'k';
    say_status("wiped child", CHILD(printf("%d %c\n", m[0], m[2 * PAGE])));
    printf("%c\n", m[0]);
    SHOW(madvise(m, PAGE, MADV_KEEPONFORK));
    say_status("kept child", CHILD(printf("%c\n", m[0])));
    SHOW(madvise(m, PAGE, MADV_DONTFORK));
    say_status("no page in child", CHILD(m[0] = 1));
    char *sh = mmap(NULL, 4 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    memset(sh, 's', 4 * PAGE);
    SHOW(madvise(sh, PAGE, MADV_WIPEONFORK));
    SHOW(madvise(sh, 2 * PAGE, MADV_DONTNEED));
    printf("shared stays %c\n", sh[0]);
    SHOW(madvise(sh, 2 * PAGE, MADV_REMOVE));
    printf("removed %d %c\n", sh[0], sh[2 * PAGE]);
    SHOW(madvise(m, PAGE, MADV_REMOVE));
    SHOW(madvise(sh, PAGE, MADV_FREE));
    // Private pages of a file go back to the file.
    int fd = open("f", O_RDWR | O_CREAT, 0600);
    ftruncate(fd, 2 * PAGE);
    pwrite(fd, "file", 4, 0);
    char *p = mmap(NULL, 2 * PAGE, RW, MAP_PRIVATE, fd, 0);
    p[0] = 'X';
    SHOW(madvise(p, PAGE, MADV_DONTNEED));
    printf("%.4s\n", p);

    unsigned char v[8];
    char *q = mmap(NULL, 4 * PAGE, RW, ANON, -1, 0);
    q[PAGE] = 1;
    SHOW(mincore(q, 4 * PAGE, v));
    printf("resident %d\n", v[1] & 1);
    SHOW(mincore(q + 1, PAGE, v));
    SHOW(mincore((void *)0x10000, PAGE, v));
    SHOW(mincore(q, PAGE, (void *)8));
    SHOW(mlock(q, 2 * PAGE));
    SHOW(mlock((void *)0x10000, PAGE));
    SHOW(munlock(q, 2 * PAGE));
    SHOW(syscall(SYS_mlock2, q, PAGE, 1));
    SHOW(syscall(SYS_mlock2, q, PAGE, 8));
    SHOW(mlockall(0));
    SHOW(mlockall(64));
    SHOW(munlockall());
    char *f = mmap(NULL, 2 * PAGE, RW, MAP_SHARED, fd, 0);
    f[0] = 'M';
    SHOW(msync(f, PAGE, MS_SYNC));
    SHOW(msync(f, PAGE, MS_ASYNC));
    SHOW(msync(f, PAGE, MS_SYNC | MS_ASYNC));
    SHOW(msync(f, PAGE, 64));
    SHOW(msync(f + 1, PAGE, MS_SYNC));
    SHOW(msync((void *)0x10000, PAGE, MS_SYNC));
    SHOW(msync(f, 0, MS_SYNC));
    char c;
    CHECK(pread(fd, &c, 1, 0) == 1);
    printf("%c\n", c);
}
