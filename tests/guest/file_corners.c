// Flags that do not go together, set-ID bits that a change ends, copies that end in the middle, limits that hold for all calls.
#include "guest.h"
#include <linux/falloc.h>
#include <sys/sendfile.h>
#include <sys/xattr.h>

static void mode_of(const char *what) {
    struct stat st;
    stat("set-id", &st);
    printf("%s: %o\n", what, st.st_mode);
    chmod("set-id", 06777);
}
#define OTHER(...) CHILD(CHECK(setresgid(1001, 1001, 1001) == 0 && setresuid(1001, 1001, 1001) == 0); __VA_ARGS__)

static void set_ids(void) {
    int fd = open("set-id", O_CREAT | O_RDWR, 0777);
    fchown(fd, 1000, 1000);
    chmod("set-id", 06777);
    OTHER(SHOW(truncate("set-id", 9)));
    mode_of("truncate");
    OTHER(int f = open("set-id", O_RDWR); SHOW(ftruncate(f, 10)));
    mode_of("ftruncate");
    OTHER(int f = open("set-id", O_RDWR); SHOW(fallocate(f, 0, 0, 20)));
    mode_of("fallocate");
    OTHER(SHOW(open("set-id", O_RDWR | O_TRUNC) >= 0));
    mode_of("O_TRUNC");
    OTHER(int f = open("set-id", O_RDWR); SHOW(pwrite(f, "x", 1, 0)));
    mode_of("write");
    chmod("set-id", 06767);
    OTHER(int f = open("set-id", O_RDWR); SHOW(pwrite(f, "x", 1, 0)));
    mode_of("write, no group execution");
    SHOW(pwrite(fd, "x", 1, 0));
    mode_of("root writes");
    close(fd);
}

static void flags(void) {
    int fd = open("file", O_CREAT | O_RDWR, 0644), path = open("file", O_PATH), pipes[2];
    SHOW(open("file/", O_CREAT | O_EXCL, 0644));
    SHOW(open("", O_CREAT | O_DIRECTORY, 0644));
    SHOW(open(".", O_TMPFILE & ~O_DIRECTORY));
    SHOW(open(".", O_TMPFILE | O_RDONLY));
    SHOW(linkat(fd, "", AT_FDCWD, "link", 0));
    struct stat st;
    SHOW(fstatat(fd, "", &st, 0));
    SHOW(fstatat(fd, "x", &st, 0));
    SHOW(posix_fadvise(path, 0, 0, 0));
    SHOW(syncfs(path));
    struct timespec keep[2] = {{0, UTIME_OMIT}, {0, UTIME_OMIT}};
    SHOW(utimensat(AT_FDCWD, "nothing", keep, 0));
    SHOW(fcntl(fd, F_SETOWN, 99999999));
    SHOW(fcntl(fd, F_SETOWN, -99999999));
    SHOW(fcntl(fd, F_SETOWN, INT_MIN));
    SHOW(fcntl(fd, F_SETOWN, getpid()));
    SHOW(fcntl(fd, F_SETOWN, -getpgrp()));
    SHOW(fcntl(fd, F_SETOWN, 0));
    SHOW(setxattr("file", "user.", "1", 1, 0));
    mkdir("shared", 01777);
    chmod("shared", 01777);
    OTHER(SHOW(setxattr("shared", "user.a", "1", 1, 0)));
    SHOW(setxattr("shared", "user.a", "1", 1, 0));
    pipe2(pipes, O_NONBLOCK);
    SHOW(write(pipes[1], "abc", 3));
    SHOW(sendfile(fd, pipes[0], NULL, 1));
    SHOW(sendfile(fd, open(".", O_RDONLY), NULL, 1));
    SHOW(vmsplice(pipes[1], &(struct iovec){"x", 1}, 1, 0x20));
    // RLIMIT_FSIZE holds for copies, too.
    CHILD(
        struct rlimit few = {100, 100}; signal(SIGXFSZ, SIG_IGN); CHECK(setrlimit(RLIMIT_FSIZE, &few) == 0);
        off_t from = 0, to = 95; int in = open("/etc/passwd", O_RDONLY);
        SHOW(copy_file_range(fd, &from, fd, &to, 0, 0));
        lseek(fd, 95, SEEK_SET);
        SHOW(sendfile(fd, in, NULL, 10));
        SHOW(sendfile(fd, in, NULL, 10));
        to = 100;
        SHOW(splice(pipes[0], NULL, fd, &to, 1, 0));
    );
}

static void edges(void) {
    // The last bytes before memory that is not there.
    char *end = (char *)mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) + PAGE;
    munmap(end, PAGE);
    char some[100] = "0123456789";
    int fd = open("edge", O_CREAT | O_RDWR, 0644), pipes[2], ends[2], event = eventfd(3, EFD_NONBLOCK);
    write(fd, some, sizeof some);
    for (int i = 0; i < 3; i++) { // in whichever way the bytes go
        SHOW(pread(fd, end - 5, 10, 0));
        SHOW(pread(fd, end - 50, 60, 0));
        SHOW(pwrite(fd, end - 5, 10, 0));
    }
    pipe2(pipes, O_NONBLOCK);
    SHOW(write(pipes[1], end - 5, 10));
    SHOW(write(pipes[1], some, 10));
    SHOW(read(pipes[0], end - 5, 10));
    SHOW(read(pipes[0], some, 100));
    struct iovec v[2] = {{some, 10}, {end, 10}};
    SHOW(writev(pipes[1], v, 2));
    SHOW(read(pipes[0], some, 100));
    SHOW(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends));
    SHOW(write(ends[0], end - 5, 10));
    SHOW(write(ends[0], some, 10));
    SHOW(read(ends[1], end - 5, 10));
    SHOW(read(ends[1], some, 100));
    SHOW(read(event, end - 4, 8));
}

static void seals(void) {
    int fd = memfd_create("no", 0x8), yes = memfd_create("yes", 0x10 | MFD_ALLOW_SEALING);
    SHOW(fchmod(fd, 0777));
    SHOW(fchmod(fd, 0600));
    SHOW(fcntl(yes, F_ADD_SEALS, 0x20));
    SHOW(fcntl(yes, F_GET_SEALS));
    SHOW(fchmod(yes, 0600));
    SHOW(fchmod(yes, 0711));
}

// A directory whose name is longer than a path can be.
static void deep(void) {
    char name[32], text[8192];
    memset(name, 'd', 31), name[31] = 0;
    int top = open(".", O_RDONLY), depth = 0;
    long length = syscall(SYS_getcwd, text, sizeof text) - 1;
    CHECK(length > 0);
    for (; length + 32 < 4094 - 31; length += 32, depth++) CHECK(mkdir(name, 0700) == 0 && chdir(name) == 0);
    char last[64];
    memset(last, 'e', sizeof last), last[4095 - length - 1] = 0; // 4096 bytes with the NUL
    CHECK(mkdir(last, 0700) == 0 && chdir(last) == 0);
    SHOW(syscall(SYS_getcwd, text, sizeof text));
    SHOW(syscall(SYS_getcwd, text, 4095));
    SHOW(readlink("/proc/self/cwd", text, sizeof text));
    CHECK(chdir("..") == 0 && rmdir(last) == 0);
    strcat(last, "e");
    CHECK(mkdir(last, 0700) == 0 && chdir(last) == 0);
    SHOW(syscall(SYS_getcwd, text, sizeof text));
    SHOW(syscall(SYS_getcwd, text, 10));
    SHOW(readlink("/proc/self/cwd", text, sizeof text));
    int here = OK(open("/proc/self/cwd", O_RDONLY | O_DIRECTORY));
    char link[40];
    snprintf(link, sizeof link, "/proc/self/fd/%d", here);
    SHOW(readlink(link, text, sizeof text));
    SHOW(chdir(link));
    CHECK(getcwd(text, sizeof text) && strlen(text) == 4096); // the library climbs
    CHECK(chdir("..") == 0 && rmdir(last) == 0);
    for (; depth; depth--) CHECK(chdir("..") == 0 && rmdir(name) == 0);
    CHECK(fchdir(top) == 0);
    close(here), close(top);
}

static void tests(void) {
    set_ids();
    deep();
    flags();
    edges();
    seals();
}
