// Transfers that end where memory or where offsets end, and locks of files that are no files.
#include "guest.h"
#include <sys/file.h>
#include <sys/random.h>
#include <sys/sendfile.h>

static char big[20000];
static char *end; // the first byte after the memory at hand

static int queued(int fd) {
    int n = -1;
    ioctl(fd, FIONREAD, &n);
    return n;
}

static void memory_ends(void) {
    struct iovec v[3] = {{big, 10}, {end, 10}, {big, 10}};
    int p[2], f = open("f", O_RDWR | O_CREAT | O_TRUNC, 0600);
    CHECK(write(f, big, sizeof big) == sizeof big);
    SHOW(getrandom(end - 100, 200, 0));
    SHOW(getrandom(end - 5000, 9000, 0));
    SHOW(getrandom(end, 10, 0));
    SHOW(getrandom(big, 0, 0));
    const char *devices[] = {"/dev/zero", "/dev/urandom", "/dev/random"};
    for (int i = 0; i < 3; i++) {
        int d = open(devices[i], O_RDWR);
        puts(devices[i]);
        SHOW(read(d, end - 100, 200));
        SHOW(read(d, end - 5000, 9000));
        SHOW(read(d, end, 10));
        SHOW(readv(d, v, 3));
        // /dev/zero looks at nothing.
        SHOW(write(d, end - 100, 200) == (i ? 100 : 200));
        SHOW(write(d, end, 1));
    }
    SHOW(pread(f, end - 100, 200, 0));
    SHOW(pread(f, end - 5000, 9000, 50));
    SHOW(pread(f, end, 10, 0));
    SHOW(pread(f, end, 10, sizeof big));
    SHOW(pwrite(f, end - 100, 200, 0));
    SHOW(pwrite(f, end, 10, 0));
    CHECK(pipe(p) == 0 && write(p[1], big, 10000) == 10000);
    SHOW(read(p[0], end - 100, 200));
    SHOW(read(p[0], end - 5000, 9000));
    printf("left %d\n", queued(p[0]));
    CHECK(pipe(p) == 0);
    SHOW(write(p[1], end - 100, 200));
    long whole = write(p[1], end - 5000, 9000);
    CHECK(whole == 4096 || whole == 4904); // whether a page that came in part counts: Linux 6.18 says no, 6.12 yes
    CHECK(queued(p[0]) == whole);
    int text = open("/proc/self/status", O_RDONLY);
    SHOW(read(text, end - 100, 200));
    SHOW(lseek(text, 0, SEEK_CUR));
    SHOW(read(text, end, 20));
}

static void offsets_end(void) {
    const long max = LONG_MAX, offs[] = {max, max - 1, max - 9, max - 10, max - 11, max - (long)PAGE, max & -PAGE, LONG_MIN, 1l << 62};
    int p[2], f = open("f", O_RDWR), z = open("/dev/zero", O_RDWR), text = open("/proc/self/status", O_RDONLY), d = open(".", O_RDONLY);
    struct iovec w = {big, 10};
    CHECK(pipe(p) == 0 && write(p[1], big, 1000) == 1000);
    for (int i = 0; i < COUNT(offs); i++) {
        long off = offs[i], o;
        printf("offset %d\n", i);
        SHOW(pread(f, big, 10, off));
        SHOW(pwrite(f, big, 10, off));
        CHECK(ftruncate(f, 20000) == 0);
        SHOW(pread(f, big, 0, off));
        SHOW(pwrite(f, big, 0, off));
        SHOW(preadv(f, &w, 1, off));
        SHOW(pwritev(f, &w, 1, off));
        SHOW(pread(z, big, 10, off));
        SHOW(pwrite(z, big, 10, off));
        SHOW(pread(p[0], big, 10, off));
        SHOW(pread(text, big, 10, off));
        SHOW(pread(d, big, 10, off));
        SHOW(lseek(f, off, SEEK_SET));
        SHOW(read(f, big, 10));
        CHECK(ftruncate(f, 20000) == 0);
        lseek(f, 0, SEEK_SET);
        SHOW((o = off, sendfile(z, f, &o, 10)));
        SHOW((o = off, copy_file_range(f, &o, f, NULL, 10, 0)));
        if (off >= 0) SHOW((o = off, copy_file_range(f, NULL, f, &o, 10, 0)));
        CHECK(ftruncate(f, 20000) == 0);
        SHOW((o = off, splice(f, &o, p[1], NULL, 10, 0)));
        SHOW((o = off, splice(p[0], NULL, f, &o, 10, 0)));
        CHECK(ftruncate(f, 20000) == 0);
        SHOW(fallocate(f, 0, off, 10));
        SHOW(sync_file_range(f, off, 10, 0));
        CHECK(ftruncate(f, 20000) == 0);
    }
}

static void locks(void) {
    int p[2], s[2], a = eventfd(0, 0), b = epoll_create1(0);
    char path[40];
    CHECK(pipe(p) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    SHOW(flock(p[0], LOCK_EX | LOCK_NB));
    SHOW(flock(p[1], LOCK_EX | LOCK_NB)); // one pipe
    snprintf(path, sizeof path, "/proc/self/fd/%d", p[0]);
    int again = open(path, O_RDONLY);
    SHOW(flock(again, LOCK_SH | LOCK_NB));
    say_status("child, one open file", CHILD(CHECK(flock(p[0], LOCK_SH | LOCK_NB) == 0)));
    SHOW(flock(p[1], LOCK_SH | LOCK_NB));
    SHOW(flock(again, LOCK_SH | LOCK_NB));
    SHOW(flock(p[0], LOCK_UN));
    close(again);
    SHOW(flock(p[1], LOCK_EX | LOCK_NB));
    // All event objects are one file.
    SHOW(flock(a, LOCK_EX | LOCK_NB));
    SHOW(flock(b, LOCK_EX | LOCK_NB));
    close(a);
    SHOW(flock(b, LOCK_EX | LOCK_NB));
    SHOW(flock(s[0], LOCK_EX | LOCK_NB));
    SHOW(flock(s[1], LOCK_EX | LOCK_NB));
    struct flock l = {.l_type = F_WRLCK};
    SHOW(fcntl(s[0], F_SETLK, &l));
    SHOW(fcntl(p[0], F_SETLK, &l)); // not open for writing
    SHOW(fcntl(p[1], F_SETLK, &l));
    say_status("child", CHILD(struct flock k = {.l_type = F_RDLCK}; SHOW(fcntl(p[0], F_SETLK, &k)); SHOW(fcntl(p[0], F_GETLK, &k)); CHECK(k.l_pid == getppid())));
    SHOW(flock(-1, LOCK_EX | LOCK_SH));
    SHOW(flock(-1, LOCK_MAND | LOCK_READ));
    SHOW(flock(s[0], 0));
    SHOW(flock(s[0], 64 | LOCK_SH));
    SHOW(flock(open(".", O_PATH), LOCK_SH));
}

static void tests(void) {
    end = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    end += 2 * PAGE;
    munmap(end, 2 * PAGE);
    memory_ends();
    offsets_end();
    locks();
}
