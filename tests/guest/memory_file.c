// Mapped files that change: truncation and SIGBUS, growth, holes, tails of pages, writes through both ways.
#include "guest.h"

#define RW (PROT_READ | PROT_WRITE)
static sigjmp_buf env;
static volatile int code;
static void on_bus(int s, siginfo_t *si, void *c) {
    code = s == SIGBUS ? si->si_code : -1;
    siglongjmp(env, 1);
}
static const char *at(volatile char *p) {
    static char text[4][24];
    static int turn;
    char *t = text[turn++ % 4];
    if (!sigsetjmp(env, 1)) sprintf(t, "%d", *p);
    else sprintf(t, "%s/%d", code < 0 ? "SEGV" : "BUS", code);
    return t;
}

static void both(const char *what, int fd) {
    printf("-- %s\n", what);
    ftruncate(fd, 4 * PAGE);
    char *m = mmap(NULL, 8 * PAGE, RW, MAP_SHARED, fd, 0), *p = mmap(NULL, 8 * PAGE, RW, MAP_PRIVATE, fd, 0);
    memset(m, 7, 4 * PAGE);
    p[PAGE] = 9;
    p[3 * PAGE] = 9;
    printf("before: %s %s", at(m + 3 * PAGE), at(m + 4 * PAGE));
    printf(" private %s %s\n", at(p + 3 * PAGE), at(p + 4 * PAGE));
    ftruncate(fd, PAGE + 100);
    printf("after: %s %s %s %s\n", at(m + PAGE + 99), at(m + PAGE + 100), at(m + 2 * PAGE), at(m + 3 * PAGE));
    printf("private: %s %s %s\n", at(p + PAGE), at(p + 2 * PAGE), at(p + 3 * PAGE));
    char b[16];
    // The kernel touching it: EFAULT.
    int n = open("/dev/zero", O_RDONLY), q[2];
    CHECK(pipe(q) == 0);
    SHOW(read(n, m + 3 * PAGE, 8));
    SHOW(write(q[1], m + 3 * PAGE, 8));
    ftruncate(fd, 4 * PAGE);
    printf("grown: %s %s %s private %s\n", at(m + PAGE + 99), at(m + PAGE + 100), at(m + 3 * PAGE), at(p + 3 * PAGE));
    m[3 * PAGE] = 5;
    SHOW(pread(fd, b, 2, 3 * PAGE));
    SHOW(b[0]);
    // Growth by a write shows up.
    pwrite(fd, "z", 1, 6 * PAGE);
    printf("written: %s %s %s\n", at(m + 5 * PAGE), at(m + 6 * PAGE), at(m + 7 * PAGE));
    // A child's truncation, a truncation seen by a child.
    say_status("child", CHILD(ftruncate(fd, 2 * PAGE); printf("child: %s\n", at(m + 3 * PAGE)); exit(0)));
    printf("parent: %s %s\n", at(m + PAGE), at(m + 3 * PAGE));
    pid_t c;
    int box[2], looked[2];
    CHECK(pipe(box) == 0 && pipe(looked) == 0);
    if (!(c = fork())) {
        printf("child before: %s\n", at(m + PAGE));
        CHECK(write(looked[1], "x", 1) == 1);
        CHECK(read(box[0], b, 1) == 1);
        printf("child after: %s %s\n", at(m), at(m + PAGE));
        exit(0);
    }
    CHECK(read(looked[0], b, 1) == 1);
    ftruncate(fd, 0);
    CHECK(write(box[1], "x", 1) == 1);
    say_status("child", wait_for(c));
    printf("empty: %s\n", at(m));
    munmap(m, 8 * PAGE), munmap(p, 8 * PAGE);
}

static void tests(void) {
    handle_info(SIGBUS, on_bus, 0);
    handle_info(SIGSEGV, on_bus, 0);
    both("tmpfs file", open("f", O_RDWR | O_CREAT, 0600));
    both("memfd", memfd_create("m", 0));
    // The tail of the last page is zero for readers, and not kept in the file.
    int fd = open("g", O_RDWR | O_CREAT, 0600);
    CHECK(write(fd, "abc", 3) == 3);
    char *m = mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0), b[8];
    SHOW(m[3]);
    struct stat st;
    fstat(fd, &st);
    SHOW(st.st_size);
    SHOW(pread(fd, b, 8, 0));
    // O_TRUNC at open counts as truncation; unlinking does not.
    OK(open("g", O_RDWR | O_TRUNC));
    printf("after O_TRUNC: %s\n", at(m));
    CHECK(write(fd, "def", 3) == 3);
    unlink("g");
    printf("after unlink: %s %s\n", at(m + 3), at(m + 5));
    // Punched holes read as zeros, in the mapping too.
    fd = open("h", O_RDWR | O_CREAT, 0600);
    ftruncate(fd, 4 * PAGE);
    m = mmap(NULL, 4 * PAGE, RW, MAP_SHARED, fd, 0);
    memset(m, 3, 4 * PAGE);
    SHOW(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PAGE + 10, 2 * PAGE));
    printf("%s %s %s %s\n", at(m + PAGE + 9), at(m + PAGE + 10), at(m + 3 * PAGE + 9), at(m + 3 * PAGE + 10));
    m[2 * PAGE] = 6;
    SHOW(pread(fd, b, 1, 2 * PAGE));
    SHOW(b[0]);
    say_status("killed", CHILD(signal(SIGBUS, SIG_DFL); ftruncate(fd, 0); m[0] = 1));
}
