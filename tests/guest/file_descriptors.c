// dup, fcntl, close_range, pipes and their sizes, getdents, FIONREAD, random(4)'s ioctls.
#include "guest.h"
#include <dirent.h>
#include <linux/fs.h>
#include <linux/random.h>

static void tests(void) {
    int fd = open("f", O_CREAT | O_RDWR, 0644);
    SHOW(dup(-1));
    SHOW(dup2(fd, fd) == fd);
    SHOW(dup2(99, 99));
    SHOW(dup2(99, 5));
    SHOW(dup3(fd, fd, 0));
    SHOW(dup3(fd, 60, O_NONBLOCK));
    SHOW(dup3(fd, 60, O_CLOEXEC));
    SHOW(fcntl(60, F_GETFD));
    SHOW(fcntl(60, F_SETFD, 0));
    SHOW(fcntl(60, F_GETFD));
    SHOW(fcntl(fd, F_DUPFD, 70));
    SHOW(fcntl(fd, F_DUPFD_CLOEXEC, 70));
    SHOW(fcntl(71, F_GETFD));
    SHOW(fcntl(fd, F_DUPFD, -1));
    SHOW(fcntl(fd, 9999));
    SHOW(fcntl(99, F_GETFD));
    SHOW(close(99));
    SHOW(fcntl(fd, F_SETFL, O_APPEND | O_NONBLOCK | O_RDONLY | O_CREAT));
    SHOW(fcntl(70, F_GETFL) & (O_APPEND | O_NONBLOCK | O_ACCMODE)); // shared by copies
    SHOW(fcntl(fd, F_SETFL, 0));
    for (int i = 100; i < 110; i++) dup2(fd, i);
    SHOW(close_range(103, 105, 0));
    SHOW(fcntl(102, F_GETFD));
    SHOW(fcntl(104, F_GETFD));
    SHOW(close_range(106, ~0u, CLOSE_RANGE_CLOEXEC));
    SHOW(fcntl(108, F_GETFD));
    SHOW(close_range(110, 100, 0));
    SHOW(close_range(0, 0, 64));
    say_status("unshared", CHILD(SHOW(close_range(100, ~0u, CLOSE_RANGE_UNSHARE)); SHOW(fcntl(101, F_GETFD))));
    SHOW(close_range(60, ~0u, 0));

    int p[2], n;
    SHOW(pipe2(p, O_NONBLOCK | O_CLOEXEC));
    SHOW(pipe2(p, 64));
    SHOW(pipe((void *)8));
    char b[70000] = "";
    SHOW(read(p[0], b, 1));
    SHOW(fcntl(p[1], F_GETPIPE_SZ));
    SHOW(write(p[1], b, sizeof b)); // partly
    SHOW(write(p[1], b, 1));
    SHOW(ioctl(p[0], FIONREAD, &n));
    SHOW(n);
    SHOW(read(p[0], b, 4095));
    SHOW(read(p[0], b, 1));
    SHOW(write(p[1], b, 4096));
    SHOW(fcntl(p[1], F_SETPIPE_SZ, 4096));
    while (read(p[0], b, sizeof b) > 0) {}
    SHOW(fcntl(p[1], F_SETPIPE_SZ, 5000));
    SHOW(write(p[1], b, 4096));
    SHOW(write(p[1], b, 5000));
    SHOW(write(p[1], b, 10));
    while (read(p[0], b, sizeof b) > 0) {}
    SHOW(write(p[0], b, 1));
    SHOW(read(p[1], b, 1));
    SHOW(write(p[1], b, 0));
    SHOW(lseek(p[0], 0, SEEK_SET));
    SHOW(pread(p[0], b, 1, 0));
    SHOW(ftruncate(p[1], 0));
    SHOW(fsync(p[1]));
    close(p[1]);
    SHOW(read(p[0], b, 1));
    CHECK(pipe(p) == 0);
    close(p[0]);
    signal(SIGPIPE, SIG_IGN);
    SHOW(write(p[1], b, 1));
    say_status("SIGPIPE", CHILD(signal(SIGPIPE, SIG_DFL); write(p[1], b, 1)));
    // Packets.
    CHECK(pipe2(p, O_DIRECT) == 0);
    SHOW(write(p[1], "one", 3));
    SHOW(write(p[1], "two", 3));
    SHOW(read(p[0], b, 2)); // the rest of the packet is lost
    SHOW(read(p[0], b, 10));

    // Directories.
    mkdir("d", 0755);
    char name[40];
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "d/file-%03d", i);
        close(open(name, O_CREAT | O_WRONLY, 0600));
    }
    mkdir("d/sub", 0700), symlink("x", "d/link"), mkfifo("d/fifo", 0600);
    DIR *d = opendir("d");
    struct dirent *e;
    int types[16] = {}, sum = 0;
    while ((e = readdir(d))) {
        types[e->d_type & 15]++;
        if (!strncmp(e->d_name, "file-", 5)) sum += atoi(e->d_name + 5);
    }
    printf("directories %d files %d links %d fifos %d sum %d\n", types[DT_DIR], types[DT_REG], types[DT_LNK], types[DT_FIFO], sum);
    rewinddir(d);
    int count = 0, removed = 0;
    while ((e = readdir(d))) { // removing while reading
        count++;
        if (!strncmp(e->d_name, "file-", 5)) snprintf(name, sizeof name, "d/%s", e->d_name), removed += unlink(name) == 0;
    }
    printf("%d read, %d removed\n", count, removed);
    rewinddir(d);
    for (count = 0; readdir(d); count++) {}
    SHOW(count);
    int dir = open("d", O_RDONLY);
    SHOW(syscall(SYS_getdents64, dir, b, 1));
    SHOW(syscall(SYS_getdents64, dir, b, sizeof b) > 0);
    SHOW(syscall(SYS_getdents64, dir, b, sizeof b));
    SHOW(syscall(SYS_getdents64, fd, b, sizeof b));
    SHOW(lseek(dir, 0, SEEK_SET));
    SHOW(syscall(SYS_getdents64, dir, (void *)8, 100));
    unlink("d/link"), unlink("d/fifo"), rmdir("d/sub");
    SHOW(rmdir("d"));
    lseek(dir, 0, SEEK_SET);
    SHOW(syscall(SYS_getdents64, dir, b, sizeof b));
    SHOW(ioctl(fd, 0x12345, b));
    SHOW(ioctl(fd, TCGETS, b));
    SHOW(isatty(fd));
    SHOW(posix_fadvise(fd, 0, 0, 99));
    SHOW(posix_fadvise(p[0], 0, 0, 0));
    SHOW(fsync(fd));
    SHOW(sync_file_range(fd, 0, 0, 64));

    // What every file answers, and random(4)'s own.
    long long size = -1;
    SHOW(ioctl(p[0], FIGETBSZ, &n));
    SHOW(n);
    SHOW(ioctl(p[0], FIOQSIZE, &size));
    SHOW(ioctl(fd, FIOQSIZE, &size));
    int r = open("/dev/urandom", O_RDWR);
    SHOW(ioctl(r, TCGETS, b));
    SHOW(ioctl(r, FIONREAD, &n));
    SHOW(ioctl(r, FIGETBSZ, &n));
    SHOW(ioctl(r, FIOQSIZE, &size));
    SHOW(ioctl(r, RNDGETENTCNT, &n));
    SHOW(n);
    SHOW(ioctl(r, RNDGETENTCNT, 8));
    SHOW(write(r, "seed", 4));
    SHOW(write(r, (void *)8, 4));
    CHILD((void)!setresuid(65534, 65534, 65534); SHOW(ioctl(r, RNDADDTOENTCNT, &n)); SHOW(ioctl(r, RNDADDENTROPY, 0));
          SHOW(ioctl(r, RNDZAPENTCNT)); SHOW(ioctl(r, RNDRESEEDCRNG)));
}
