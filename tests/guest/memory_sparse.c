// Mappings of sparse files far larger than memory: holes take none until they are touched, by the program or by the kernel.
#include "guest.h"
#include <linux/futex.h>

#define RW (PROT_READ | PROT_WRITE)
#define MIB (1ul << 20)
#define HUGE (1ul << 40)
static sigjmp_buf env;
static volatile int code;
static void on_fault(int s, siginfo_t *si, void *c) {
    code = s == SIGBUS ? si->si_code : -si->si_code;
    siglongjmp(env, 1);
}
// What a byte is, or what touching it comes to: 1000 and the SIGBUS's code, or less the SIGSEGV's.
static int at(volatile char *p) { return sigsetjmp(env, 1) ? 1000 + code : *p; }
static int put(volatile char *p, char c) { return sigsetjmp(env, 1) ? 1000 + code : (*p = c); }

static int sparse(off_t size) {
    int fd = memfd_create("sparse", 0);
    CHECK(ftruncate(fd, size) == 0);
    return fd;
}
static bool few(int fd) {
    struct stat st;
    CHECK(fstat(fd, &st) == 0);
    return st.st_blocks * 512l < (long)(16 * MIB);
}
static char byte(int fd, off_t off) {
    char c = -1;
    CHECK(pread(fd, &c, 1, off) == 1);
    return c;
}

static void shared(void) {
    printf("-- shared\n");
    int fd = sparse(HUGE);
    char *m = mmap(NULL, HUGE, RW, MAP_SHARED, fd, 0), *r = mmap(NULL, HUGE, PROT_READ, MAP_SHARED, fd, 0);
    CHECK(m != MAP_FAILED && r != MAP_FAILED);
    CHECK(few(fd));
    SHOW(at(m) + at(m + HUGE - 1) + at(m + HUGE / 2));
    for (int i = 0; i < 40; i++) m[i * (HUGE / 40) + i] = i;
    for (int i = 0; i < 40; i++) CHECK(r[i * (HUGE / 40) + i] == i && byte(fd, i * (HUGE / 40) + i) == i);
    CHECK(few(fd));
    // Written by call: before and after the first touch, beside what has been touched.
    CHECK(pwrite(fd, "a", 1, 5 * MIB) == 1);
    SHOW(at(m + 5 * MIB) + at(r + 5 * MIB));
    CHECK(pwrite(fd, "b", 1, 5 * MIB + 1) == 1);
    CHECK(pwrite(fd, "c", 1, 5 * MIB + 3 * PAGE) == 1);
    printf("%d %d %d\n", at(m + 5 * MIB + 1), at(r + 5 * MIB + 3 * PAGE), at(m + 5 * MIB + 2 * PAGE));
    // By a child.
    say_status("child", CHILD(m[9 * MIB] = 3; CHECK(at(m + 5 * MIB) == 'a')));
    SHOW(at(m + 9 * MIB));
    // A long run, one page after the other, and downwards.
    for (size_t i = 0; i < 20 * MIB; i += PAGE) CHECK(!m[HUGE / 3 + i]), m[HUGE / 3 + i] = 1;
    for (size_t i = 0; i < MIB; i += PAGE) CHECK(!m[HUGE / 3 - 1 - i]), m[HUGE / 3 - 1 - i] = 1;
    SHOW(byte(fd, HUGE / 3 + 19 * MIB) + byte(fd, HUGE / 3 - 1));
    CHECK(munmap(m, HUGE) == 0 && munmap(r, HUGE) == 0);
    close(fd);
}

static char *team;
static void *write_some(void *arg) {
    long me = (long)arg;
    for (size_t i = 0; i < 32 * MIB / PAGE; i++) team[i * PAGE + me] = 1;
    return NULL;
}

static void private(void) {
    printf("-- private\n");
    int fd = sparse(HUGE);
    char *p = mmap(NULL, HUGE, PROT_READ, MAP_PRIVATE, fd, HUGE / 2);
    CHECK(p != MAP_FAILED);
    SHOW(at(p) + at(p + HUGE / 2 - 1));
    SHOW(at(p + HUGE / 2)); // beyond the end
    SHOW(put(p, 1));
    p = mmap(NULL, 64 * MIB, RW, MAP_PRIVATE, fd, 0);
    // Every third page written, then the others looked at: nothing is lost, nothing gets into the file.
    for (size_t i = 0; i < 64 * MIB; i += 3 * PAGE) p[i] = 1;
    for (size_t i = 0; i < 64 * MIB; i += PAGE) CHECK(p[i] == (i % (3 * PAGE) == 0));
    CHECK(!byte(fd, 0) && !byte(fd, 3 * PAGE) && !byte(fd, 300 * PAGE));
    CHECK(pwrite(fd, "x", 1, 7 * PAGE) == 1 && pwrite(fd, "x", 1, 9 * PAGE) == 1);
    printf("%d %d\n", at(p + 7 * PAGE), at(p + 9 * PAGE));
    SHOW(madvise(p, 64 * MIB, MADV_DONTNEED));
    printf("%d %d\n", at(p + 7 * PAGE), at(p + 9 * PAGE));
    munmap(p, 64 * MIB);
    // Threads that touch the same pages in the same moment.
    team = mmap(NULL, 32 * MIB, RW, MAP_PRIVATE, fd, 200 * MIB);
    pthread_t t[4];
    for (long i = 0; i < 4; i++) CHECK(pthread_create(t + i, NULL, write_some, (void *)i) == 0);
    for (int i = 0; i < 4; i++) pthread_join(t[i], NULL);
    for (size_t i = 0; i < 32 * MIB; i += PAGE) CHECK(!memcmp(team + i, "\1\1\1\1", 4));
    close(fd);
}

static void by_the_kernel(void) {
    printf("-- by the kernel\n");
    int fd = sparse(HUGE), zero = open("/dev/zero", O_RDONLY), q[2];
    char *m = mmap(NULL, HUGE, RW, MAP_SHARED, fd, 0), b[8] = "";
    CHECK(pipe(q) == 0);
    SHOW(read(zero, m + 3 * MIB, MIB));
    SHOW(write(q[1], m + 20 * MIB, 5));
    SHOW(read(q[0], m + 40 * MIB, 8));
    SHOW(pread(fd, m + 50 * MIB - 3, 9, 100 * MIB));
    int f = open("f", O_CREAT | O_RDWR, 0600);
    SHOW(pwrite(f, m + 60 * MIB, MIB, 0));
    SHOW(pread(f, m + 70 * MIB, MIB, 0));
    struct iovec v[2] = {{m + 80 * MIB, 10}, {m + 90 * MIB, 10}};
    SHOW(preadv(f, v, 2, 5));
    SHOW(syscall(SYS_futex, m + 110 * MIB, FUTEX_WAIT, 5, NULL, NULL, 0));
    SHOW(syscall(SYS_futex, m + 111 * MIB, FUTEX_WAKE, 1, NULL, NULL, 0));
    struct timespec shortly = {0, 1000000};
    SHOW(syscall(SYS_futex, m + 112 * MIB, FUTEX_WAIT, 0, &shortly, NULL, 0));
    SHOW(clock_gettime(CLOCK_MONOTONIC, (void *)(m + 120 * MIB)));
    SHOW(fstat(fd, (void *)(m + 130 * MIB)));
    SHOW(open(m + 140 * MIB, O_RDONLY));
    // Grown after it was mapped.
    int g = memfd_create("g", 0);
    char *n = mmap(NULL, 64 * MIB, RW, MAP_SHARED, g, 0);
    SHOW(read(zero, n, 5));
    CHECK(ftruncate(g, 32 * MIB) == 0);
    SHOW(read(zero, n + 20 * MIB, 5));
    SHOW(read(zero, n + 32 * MIB - 3, 5));
    SHOW(at(n + 31 * MIB));
    SHOW(at(n + 32 * MIB));
    // A signal handler's stack there.
    stack_t s = {.ss_sp = m + 150 * MIB, .ss_size = MIB};
    SHOW(sigaltstack(&s, NULL));
    handle_info(SIGBUS, on_fault, SA_ONSTACK);
    SHOW(at(n + 32 * MIB));
    handle_info(SIGBUS, on_fault, 0);
    s.ss_flags = SS_DISABLE;
    sigaltstack(&s, NULL);
    SHOW(b[0]);
    munmap(m, HUGE);
    close(fd);
}

static void changes(void) {
    printf("-- protection and moves\n");
    int fd = sparse(HUGE);
    size_t len = 64 * MIB;
    char *m = mmap(NULL, len, RW, MAP_SHARED, fd, 0), *p = mmap(NULL, len, RW, MAP_PRIVATE, fd, 0);
    m[5 * MIB] = 1, p[6 * MIB] = 2, p[6 * MIB + PAGE] = 3, p[50 * MIB] = 4;
    SHOW(mprotect(m, len, PROT_READ));
    printf("%d %d %d\n", at(m + 5 * MIB), put(m + 5 * MIB, 1), put(m + 30 * MIB, 1));
    SHOW(mprotect(m, len, PROT_NONE));
    printf("%d %d\n", at(m + 5 * MIB), at(m + 33 * MIB));
    SHOW(mprotect(m, len, RW));
    printf("%d %d %d\n", at(m + 5 * MIB), put(m + 5 * MIB, 7), put(m + 35 * MIB, 8));
    SHOW(byte(fd, 35 * MIB));
    // Private pages that were written go with the move; what was not touched is still the file's.
    CHECK(pwrite(fd, "z", 1, 20 * MIB) == 1);
    char *to = mmap(NULL, 4 * len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    SHOW(mremap(p, len, 2 * len, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to);
    printf("%d %d %d %d %d\n", at(to + 6 * MIB), at(to + 6 * MIB + PAGE), at(to + 50 * MIB), at(to + 20 * MIB), at(to + len + MIB));
    SHOW(at(p) < 0 ? 0 : at(p));
    SHOW(mremap(to, 2 * len, len / 2, 0) == to);
    printf("%d %d\n", at(to + 6 * MIB), at(to + len / 2));
    SHOW(mremap(to, len / 2, len, 0) == to); // in place: there is room
    printf("%d %d %d\n", at(to + 6 * MIB), at(to + 50 * MIB), at(to + 20 * MIB));
    SHOW(mremap(to, len, len / 4, MREMAP_MAYMOVE | MREMAP_FIXED, to + 2 * len) == to + 2 * len);
    printf("%d %d %d\n", at(to + 2 * len + 6 * MIB), at(to + 6 * MIB), at(to + 2 * len + len / 4));
    char *n = mremap(m, len, HUGE, MREMAP_MAYMOVE);
    CHECK(n != MAP_FAILED);
    printf("%d %d %d\n", at(n + 5 * MIB), at(n + 35 * MIB), put(n + HUGE - 1, 9));
    SHOW(byte(fd, HUGE - 1));
    SHOW(mremap(n, HUGE, HUGE + MIB, MREMAP_MAYMOVE) != MAP_FAILED);
    CHECK(few(fd));
    // Unmapped in the middle of what was never touched, and mapped anew there.
    m = mmap(NULL, HUGE, RW, MAP_SHARED, fd, 0);
    SHOW(munmap(m + 200 * MIB, MIB));
    printf("%d %d %d\n", at(m + 200 * MIB - 1), at(m + 200 * MIB), at(m + 201 * MIB));
    CHECK(mmap(m + 200 * MIB, MIB, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == m + 200 * MIB);
    SHOW(put(m + 200 * MIB, 5));
    SHOW(byte(fd, 200 * MIB));
    // Shorter, and longer again.
    CHECK(ftruncate(fd, 300 * MIB) == 0);
    printf("%d %d\n", at(m + 300 * MIB - 1), at(m + 300 * MIB));
    CHECK(ftruncate(fd, HUGE) == 0);
    printf("%d %d\n", at(m + 300 * MIB), at(m + HUGE - 1));
    munmap(m, HUGE);
    // Asked for at once.
    m = mmap(NULL, 8 * MIB, RW, MAP_SHARED | MAP_POPULATE, fd, 400 * MIB);
    unsigned char in[8 * MIB / PAGE];
    SHOW(mincore(m, 8 * MIB, in));
    for (size_t i = 0; i < sizeof in; i++) CHECK(in[i] & 1);
    m = mmap(NULL, 8 * MIB, RW, MAP_SHARED, fd, 500 * MIB);
    SHOW(madvise(m, 8 * MIB, 23));
    SHOW(mincore(m, 8 * MIB, in));
    for (size_t i = 0; i < sizeof in; i++) CHECK(in[i] & 1);
    SHOW(msync(m, 8 * MIB, MS_SYNC));
    m = mmap(NULL, HUGE, RW, MAP_SHARED, fd, 0);
    SHOW(mincore(m + 600 * MIB, 8 * MIB, in));
    for (size_t i = 0; i < sizeof in; i++) CHECK(!(in[i] & 1));
    SHOW(msync(m, HUGE, MS_ASYNC));
    SHOW(madvise(m, HUGE, MADV_DONTNEED));
    SHOW(at(m + 5 * MIB));
}

static void tests(void) {
    handle_info(SIGBUS, on_fault, 0);
    handle_info(SIGSEGV, on_fault, 0);
    shared();
    private();
    by_the_kernel();
    changes();
}
