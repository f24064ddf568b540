// A5: what is executable is changed after it was looked at: write+execute pages, the same page mapped twice, files that change, pages
// given back to the file, seams made by moving.
#include "guard.h"
static const unsigned char wr[] = {0x0f, 0x01, 0xef, 0xc3};
static int count;
static char *fresh(void) { static char name[64]; snprintf(name, 64, "/tmp/a05.%d.%d", getpid(), count++); return name; }
int main(void) {
    catch_all();
    // Write and execute in turn: harmless code runs, may be rewritten, and runs; the dangerous never does.
    unsigned char *p = mmap(0, 2 * PAGE, 7, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < 3 && p != MAP_FAILED; i++) {
        memset(p, 0x90, 2 * PAGE);
        memcpy(p, harmless, sizeof harmless);
        control("write+execute", p);
        memcpy(p, wr, 4);
        attempt("write+execute", p, 0, 0, 0);
        // By the guest kernel's hand: read(2) into a page that is executable at the moment.
        int fds[2];
        pipe(fds);
        memcpy(p, harmless, sizeof harmless);
        control("write+execute, again", p);
        write(fds[1], wr, 4);
        if (read(fds[0], p, 4) != 4) { holes++; printf("CONTROL FAILED: read(2) into a write+execute page: %s\n", strerror(errno)); }
        attempt("write+execute, filled by read", p, 0, 0, 0);
        int fd = open(fresh(), O_RDWR | O_CREAT, 0600);
        write(fd, wr, 4);
        memcpy(p, harmless, sizeof harmless);
        control("write+execute, a third time", p);
        if (pread(fd, p, 4, 0) != 4) { holes++; printf("CONTROL FAILED: pread(2) into a write+execute page: %s\n", strerror(errno)); }
        attempt("write+execute, filled by pread", p, 0, 0, 0);
        close(fd), close(fds[0]), close(fds[1]);
        // Half on each page.
        memset(p, 0x90, 2 * PAGE);
        memcpy(p + PAGE, harmless, sizeof harmless);
        control("second page", p + PAGE);
        memcpy(p + PAGE - 1, wr, 4);
        attempt("seam of write+execute pages", p + PAGE - 1, 0, 0, 0);
    }
    // Two mappings of one page, in every order.
    int fd = memfd_create("x", 0);
    ftruncate(fd, 4 * PAGE);
    unsigned char *w = mmap(0, PAGE, 3, MAP_SHARED, fd, 0);
    memcpy(w, harmless, sizeof harmless);
    int protections[] = {5, 7, 4};
    for (unsigned i = 0; i < COUNT(protections); i++) {
        unsigned char *x = mmap(0, PAGE, protections[i], MAP_SHARED, fd, 0);
        if (x != MAP_FAILED) { memcpy(w, wr, 4); attempt("shared alias", x, 0, 0, 0); memcpy(w, harmless, sizeof harmless); }
        x = mmap(0, PAGE, 1, MAP_SHARED, fd, 0);
        if (mprotect(x, PAGE, protections[i]) == 0) { memcpy(w, wr, 4); attempt("shared alias by mprotect", x, 0, 0, 0); memcpy(w, harmless, sizeof harmless); }
    }
    unsigned char *anon = mmap(0, PAGE, 3, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (fork() == 0) { memcpy(anon, wr, 4); _exit(0); }
    mprotect(anon, PAGE, 5);
    wait(0);
    attempt("shared anonymous", anon, 0, 0, 0);
    // A private mapping of a file that changes afterwards, through write and through a shared mapping.
    unsigned char *x = mmap(0, PAGE, 5, MAP_PRIVATE, fd, 0);
    if (x != MAP_FAILED) control("private mapping of a memfd", x);
    memcpy(w, wr, 4);
    pwrite(fd, wr, 4, 0);
    if (x != MAP_FAILED) attempt("private mapping of a memfd that changed", x, 0, 0, 0);
    int tmp = open(fresh(), O_RDWR | O_CREAT, 0700);
    ftruncate(tmp, PAGE);
    pwrite(tmp, harmless, sizeof harmless, 0);
    x = mmap(0, PAGE, 5, MAP_PRIVATE, tmp, 0);
    if (x != MAP_FAILED) control("private mapping of a file", x); else { holes++; printf("CONTROL FAILED: a file of our own can not be executed\n"); }
    pwrite(tmp, wr, 4, 0);
    attempt("private mapping of a file that changed", x, 0, 0, 0);
    // Pages given back: what comes again is the file's.
    unsigned char *d = mmap(0, PAGE, 3, MAP_PRIVATE, tmp, 0);
    memcpy(d, harmless, sizeof harmless);
    mprotect(d, PAGE, 5);
    control("own pages of a file", d);
    madvise(d, PAGE, MADV_DONTNEED);
    attempt("pages given back to the file", d, 0, 0, 0);
    d = mmap(0, PAGE, 3, MAP_PRIVATE, tmp, 0);
    memcpy(d, harmless, sizeof harmless);
    mprotect(d, PAGE, 7);
    control("own writable pages of a file", d);
    madvise(d, PAGE, MADV_DONTNEED);
    attempt("writable pages given back to the file", d, 0, 0, 0);
    // Two harmless halves that become neighbours.
    unsigned char *base = mmap(0, 8 * PAGE, 0, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    unsigned char *one = mmap(base, PAGE, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    unsigned char *two = mmap(base + 4 * PAGE, PAGE, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    memset(one, 0x90, PAGE), memset(two, 0x90, PAGE);
    memcpy(two + 16, harmless, sizeof harmless);
    one[PAGE - 1] = 0x0f;
    two[0] = 0x01, two[1] = 0xef, two[2] = 0xc3;
    mprotect(one, PAGE, 5), mprotect(two, PAGE, 5);
    control("half of it", two + 16);
    void *moved = mremap(two, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, base + PAGE);
    if (moved == base + PAGE) attempt("neighbours by mremap", base + PAGE - 1, 0, 0, 0);
    return holes;
}
