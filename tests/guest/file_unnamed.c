// What stat(2) shows of pipes, sockets and event objects, and what chmod(2) and its like change of it.
#include "guest.h"

static void shown(const char *name, int fd) {
    struct stat s;
    CHECK(fstat(fd, &s) == 0);
    printf("%s: %o of %d:%d, %ld links, size %ld, block %ld\n", name, s.st_mode, s.st_uid, s.st_gid, (long)s.st_nlink, (long)s.st_size, (long)s.st_blksize);
}

static void change(const char *name, int fd) {
    struct timespec t[2] = {{1, 0}, {2, 5}};
    struct stat s;
    shown(name, fd);
    SHOW(fchmod(fd, 0640));
    SHOW(fchown(fd, 5, 6));
    if (!futimens(fd, t)) CHECK(fstat(fd, &s) == 0 && s.st_mtim.tv_sec == 2 && s.st_mtim.tv_nsec == 5 && s.st_atim.tv_sec == 1);
    else printf("times: %s\n", strerrorname_np(errno));
    shown(name, fd);
}

static void tests(void) {
    int p[2], s[2];
    char path[60];
    struct stat one, two;
    CHECK(pipe(p) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    change("pipe", p[0]);
    shown("other end", p[1]);
    change("socket", s[0]);
    shown("other socket", s[1]);
    snprintf(path, sizeof path, "/proc/self/fd/%d", s[0]);
    SHOW(chmod(path, 0600));
    SHOW(stat(path, &one));
    printf("%o\n", one.st_mode);
    CHECK(fstat(s[0], &one) == 0 && fstat(s[1], &two) == 0 && one.st_ino != two.st_ino && one.st_dev == two.st_dev);
    CHECK(fstat(p[0], &one) == 0 && fstat(p[1], &two) == 0 && one.st_ino == two.st_ino && one.st_dev == two.st_dev);
    shown("eventfd", eventfd(0, 0));
    shown("epoll", epoll_create1(0));
    // Whoever makes them has them.
    say_status("a user's", CHILD({
                   CHECK(setresgid(1001, 1001, 1001) == 0 && setresuid(1000, 1000, 1000) == 0);
                   CHECK(pipe(p) == 0);
                   shown("pipe", p[0]);
                   shown("socket", socket(AF_UNIX, SOCK_DGRAM, 0));
                   SHOW(fchmod(p[0], 0600));
                   SHOW(fchown(p[0], 0, -1));
                   SHOW(fchmod(s[0], 0600)); // root's
               }));
}
