// Forks where memory is scarce: what parent and child have in common until one of them writes, by itself or through the kernel.
#include "guest.h"
#include <sys/sysinfo.h>
#include <linux/futex.h>

#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define MIB (1ul << 20)
static char *map(size_t n, int how) {
    char *m = mmap(NULL, n, RW, how | MAP_ANONYMOUS, -1, 0);
    CHECK(m != MAP_FAILED);
    return m;
}
static char data[8 * MIB];
static size_t sum(const char *m, size_t n) {
    size_t s = 0;
    for (size_t i = 0; i < n; i += PAGE) s += m[i];
    return s;
}
static sigjmp_buf env;
static void on_segv(int s) { siglongjmp(env, 1); }
static const char *write_at(volatile char *p) { return sigsetjmp(env, 1) ? "SEGV" : (*p = 1, "ok"); }

static void plain(void) {
    printf("-- plain\n");
    char *m = map(10 * MIB, MAP_PRIVATE);
    memset(m, 1, 10 * MIB), memset(data, 2, sizeof data);
    // Each sees its own writes only.
    int p[2];
    CHECK(pipe(p) == 0);
    pid_t c = fork();
    if (!c) {
        CHECK(sum(m, 10 * MIB) == 10 * MIB / PAGE && sum(data, sizeof data) == 2 * sizeof data / PAGE);
        for (size_t i = 0; i < 10 * MIB; i += 2 * PAGE) m[i] = 3;
        char b;
        CHECK(read(p[0], &b, 1) == 1);
        printf("child: %zu %zu\n", sum(m, 10 * MIB), sum(data, sizeof data));
        _exit(failures);
    }
    for (size_t i = 0; i < 10 * MIB; i += 3 * PAGE) m[i] = 5;
    data[0] = 9;
    CHECK(write(p[1], "", 1) == 1);
    say_status("child", wait_for(c));
    printf("parent: %zu %zu\n", sum(m, 10 * MIB), sum(data, sizeof data));
    // Generations, the older ones gone.
    for (int i = 0; i < 5; i++) {
        m[i * MIB] = 40 + i;
        if ((c = fork())) {
            say_status("next", wait_for(c));
            if (i) _exit(failures);
            break;
        }
        if (i == 4) {
            for (int k = 0; k < 5; k++) CHECK(m[k * MIB] == 40 + k);
            data[0] = 1;
            _exit(failures);
        }
    }
    // The parent ends first.
    CHECK(pipe(p) == 0);
    say_status("middle", CHILD(if (!fork()) {
        close(p[1]);
        nap(20);
        m[7 * MIB] = 77, data[5 * MIB] = 78;
        bool good = m[7 * MIB] == 77 && m[8 * MIB] == 1 && data[6 * MIB] == 2;
        _exit(!good);
    }));
    close(p[1]);
    SHOW(read(p[0], data, 1));
    munmap(m, 10 * MIB);
}

static void by_the_kernel(void) {
    printf("-- by the kernel\n");
    char *m = map(16 * MIB, MAP_PRIVATE);
    memset(m, 1, 16 * MIB);
    int z = open("/dev/zero", O_RDONLY), f = open("f", O_CREAT | O_RDWR, 0600), q[2];
    CHECK(pipe(q) == 0 && write(f, m, 8 * MIB) == (ssize_t)(8 * MIB));
    int st = CHILD({
        SHOW(read(z, m, 3 * MIB));
        SHOW(pread(f, m + 4 * MIB, 8 * MIB, 0));
        SHOW(write(q[1], m + 13 * MIB, 100));
        SHOW(read(q[0], m + 14 * MIB, 100));
        SHOW(clock_gettime(CLOCK_MONOTONIC, (void *)(m + 15 * MIB)));
        SHOW(fstat(f, (void *)(m + 15 * MIB + PAGE)));
        int *w = (int *)(m + 15 * MIB + 2 * PAGE);
        SHOW(syscall(SYS_futex, w, FUTEX_WAKE_OP, 1, 1, w + PAGE / 4, FUTEX_OP(FUTEX_OP_SET, 5, FUTEX_OP_CMP_EQ, 1)));
        SHOW(w[PAGE / 4]);
        SHOW(syscall(SYS_futex, w, FUTEX_WAIT, 1, NULL, NULL, 0));
        struct iovec v[2] = {{m + 12 * MIB, 10}, {m + 13 * MIB, 10}};
        SHOW(preadv(f, v, 2, 0));
        printf("%zu\n", sum(m, 12 * MIB));
    });
    say_status("child", st);
    printf("%zu\n", sum(m, 16 * MIB));
    // A handler on a stack that both have.
    say_status("child", CHILD({
        stack_t s = {.ss_sp = m, .ss_size = MIB};
        SHOW(sigaltstack(&s, NULL));
        handle(SIGSEGV, on_segv, SA_ONSTACK);
        printf("%s\n", write_at((char *)8));
    }));
    // Another process's memory, in common and in a file's hole.
    int fd = memfd_create("hole", 0);
    CHECK(ftruncate(fd, 1l << 40) == 0);
    char *h = mmap(NULL, 1l << 40, RW, MAP_SHARED, fd, 0);
    pid_t c = fork();
    if (!c) {
        char b;
        CHECK(read(q[0], &b, 1) == 1);
        printf("%d %d %d %d\n", m[2 * MIB - 1], m[2 * MIB], m[2 * MIB + 9999], m[2 * MIB + 10000]);
        _exit(failures);
    }
    memset(data, 55, 10000);
    struct iovec in = {data, 10000}, out = {m + 2 * MIB, 10000}, hole = {h + (1l << 39), 10000};
    SHOW(process_vm_writev(c, &in, 1, &out, 1, 0));
    SHOW(process_vm_writev(c, &in, 1, &hole, 1, 0));
    SHOW(process_vm_readv(c, &in, 1, &out, 1, 0));
    SHOW(data[9999] + h[(1l << 39) + 9999] + m[2 * MIB]);
    CHECK(write(q[1], "", 1) == 1);
    say_status("child", wait_for(c));
    munmap(h, 1l << 40);
    munmap(m, 16 * MIB);
}

static void changes(void) {
    printf("-- changes\n");
    size_t n = 16 * MIB;
    char *m = map(n, MAP_PRIVATE);
    memset(m, 1, n);
    handle(SIGSEGV, on_segv, 0);
    int st = CHILD({
        m[5 * MIB] = 2; // in the middle of what is in common
        SHOW(mprotect(m, n, PROT_READ));
        printf("%s %s\n", write_at(m + 5 * MIB), write_at(m));
        SHOW(mprotect(m, n, RW));
        printf("%s %s %s %zu\n", write_at(m + 5 * MIB), write_at(m), write_at(m + MIB), sum(m, n));
        SHOW(mprotect(m + 2 * MIB, MIB, PROT_NONE));
        printf("%s\n", write_at(m + 2 * MIB));
        SHOW(mprotect(m + 2 * MIB, MIB, RW | PROT_EXEC));
        m[2 * MIB] = (char)0xc3;
        ((void (*)(void))(m + 2 * MIB))();
        SHOW(mprotect(m + 2 * MIB, MIB, RW));
        m[9 * MIB] = 2;
        char *o = mremap(m, n, 2 * n, MREMAP_MAYMOVE);
        CHECK(o != MAP_FAILED);
        m = o;
        SHOW(m[9 * MIB] + m[10 * MIB] + m[n]);
        m[10 * MIB] = 3, m[n] = 3, m[2 * n - 1] = 3;
        SHOW(madvise(m, 4 * MIB, MADV_DONTNEED));
        SHOW(sum(m, 5 * MIB));
        m[MIB] = 4;
        SHOW(munmap(m + 3 * MIB, 8 * MIB));
        m[2 * MIB] = 4, m[12 * MIB] = 4;
        CHECK(mmap(m + 3 * MIB, MIB, RW, ANON | MAP_FIXED, -1, 0) == m + 3 * MIB);
        SHOW(m[3 * MIB]);
        m[3 * MIB] = 1;
        SHOW(mremap(m + 12 * MIB, MIB, 2 * MIB, 0) == MAP_FAILED);
        SHOW(madvise(m + 12 * MIB, MIB, 23));
        // The heap.
        char *h = sbrk(0);
        CHECK(sbrk(MIB) == h);
        memset(h, 1, MIB);
        pid_t c = fork();
        if (!c) {
            memset(h, 2, MIB);
            CHECK(sbrk(MIB) == h + MIB);
            memset(h + MIB, 3, MIB);
            _exit(failures || h[0] != 2);
        }
        say_status("grandchild", wait_for(c));
        SHOW(sum(h, MIB));
    });
    say_status("child", st);
    printf("parent: %zu\n", sum(m, n));
    // Shared memory stays shared, whoever ends.
    char *s = map(n, MAP_SHARED);
    s[0] = 1;
    say_status("child", CHILD(s[0]++; s[n - 1] = 7; CHECK(mprotect(s, n, PROT_READ) == 0 && mprotect(s, n, RW) == 0); s[MIB] = 3;
                              s = mremap(s, n, n / 2, MREMAP_MAYMOVE); s[MIB]++));
    printf("%d %d %d\n", s[0], s[n - 1], s[MIB]);
    // A private file mapping.
    int fd = open("g", O_CREAT | O_RDWR, 0600);
    CHECK(ftruncate(fd, n) == 0);
    char *p = mmap(NULL, n, RW, MAP_PRIVATE, fd, 0);
    p[MIB] = 1;
    say_status("child", CHILD(p[MIB]++; p[2 * MIB] = 5; printf("%d %d\n", p[MIB], p[3 * MIB]); CHECK(pwrite(fd, "x", 1, 3 * MIB) == 1)));
    printf("%d %d %d\n", p[MIB], p[2 * MIB], p[3 * MIB]);
    munmap(m, n);
}

static char *team;
static void *write_some(void *arg) {
    for (size_t i = 0; i < 8 * MIB; i += PAGE) team[i + (long)arg]++;
    return NULL;
}

static void threads(void) {
    printf("-- threads\n");
    team = map(8 * MIB, MAP_PRIVATE);
    memset(team, 1, 8 * MIB);
    pthread_t t[3];
    // They write while the fork goes on, and after it.
    for (long i = 0; i < 3; i++) CHECK(pthread_create(t + i, NULL, write_some, (void *)i) == 0);
    pid_t c[4];
    for (int i = 0; i < 4; i++)
        if (!(c[i] = fork())) {
            write_some((void *)5);
            for (size_t k = 0; k < 8 * MIB; k += PAGE) CHECK(team[k + 5] == 2 && team[k] >= 1 && team[k] <= 2);
            _exit(failures);
        }
    for (int i = 0; i < 3; i++) pthread_join(t[i], NULL);
    for (int i = 0; i < 4; i++) say_status("child", wait_for(c[i]));
    for (size_t k = 0; k < 8 * MIB; k += PAGE) CHECK(!memcmp(team + k, "\2\2\2\1\1\1", 6));
    munmap(team, 8 * MIB);
}

static void many(void) {
    printf("-- many\n");
    struct sysinfo i;
    sysinfo(&i);
    // All of them together would be more than there is, if each had its own.
    size_t n = i.totalram / 40;
    n = (n > 32 * MIB ? 32 * MIB : n) & -PAGE;
    char *m = map(n, MAP_PRIVATE);
    memset(m, 1, MIB);
    int p[2], c[60];
    CHECK(pipe(p) == 0);
    for (size_t k = 0; k < COUNT(c); k++) {
        CHECK((c[k] = fork()) >= 0);
        if (!c[k]) {
            char b;
            close(p[1]);
            m[k * PAGE] = 2;
            b = read(p[0], &b, 1);
            _exit(m[k * PAGE] != 2 || m[k * PAGE + PAGE] != 1);
        }
    }
    close(p[1]);
    int good = 0;
    for (size_t k = 0; k < COUNT(c); k++) good += wait_for(c[k]) == 0;
    SHOW(good);
    memset(m, 3, MIB);
}

static void tests(void) {
    struct sysinfo i;
    sysinfo(&i);
    size_t most = i.totalram / 10 * 9;
    CHECK(mmap(NULL, most, RW, ANON | MAP_NORESERVE, -1, 0) != MAP_FAILED);
    plain();
    by_the_kernel();
    changes();
    threads();
    many();
}
