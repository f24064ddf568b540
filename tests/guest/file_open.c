// open, openat2: flags, modes, resolution, errors.
#include "guest.h"
#include <linux/openat2.h>
#include <sys/sysmacros.h>

static int openat2(int dir, const char *path, long flags, long mode, long resolve) {
    struct open_how how = {.flags = flags, .mode = mode, .resolve = resolve};
    int fd;
    // EAGAIN: something anywhere was renamed or mounted during a walk over ".." (openat2(2)); any other test may do so.
    do fd = syscall(SYS_openat2, dir, path, &how, sizeof how);
    while (fd == -1 && errno == EAGAIN && !(resolve & RESOLVE_CACHED));
    return fd;
}

static void tests(void) {
    struct stat st;
    mkdir("d", 0755), mkdir("d/sub", 0755);
    close(open("d/f", O_CREAT | O_WRONLY, 0644));
    symlink("f", "d/link"), symlink("/etc", "d/abs"), symlink("../..", "d/up"), symlink("nowhere", "d/dangling"), symlink("ring", "d/ring");
    int d = open("d", O_RDONLY | O_DIRECTORY), p = open("d", O_PATH);
    SHOW(open("none", O_RDONLY));
    SHOW(open("", O_RDONLY));
    SHOW(open("d/f/x", O_RDONLY));
    SHOW(open("d/f/", O_RDONLY));
    SHOW(open("d", O_WRONLY));
    SHOW(open("d", O_CREAT | O_RDWR, 0600));
    SHOW(open("new/", O_CREAT | O_RDWR, 0600));
    SHOW(open("d/f", O_DIRECTORY));
    SHOW(open("d/f", O_CREAT | O_EXCL, 0600));
    SHOW(open("d/dangling", O_CREAT | O_EXCL, 0600));
    SHOW(open("d/dangling", O_RDONLY));
    SHOW(open("d/ring", O_RDONLY));
    SHOW(open("d/link", O_RDONLY | O_NOFOLLOW));
    OK(open("d/link", O_RDONLY | O_NOFOLLOW | O_PATH));
    SHOW(open((char *)8, O_RDONLY));
    char longname[300];
    memset(longname, 'x', 299), longname[299] = 0;
    SHOW(open(longname, O_RDONLY));
    longname[255] = 0;
    SHOW(open(longname, O_CREAT | O_RDWR, 0600) >= 0);
    SHOW(unlink(longname));
    static char deep[5000];
    for (int i = 0; i < 4998; i += 2) strcpy(deep + i, "./");
    SHOW(open(deep, O_RDONLY));
    deep[4090] = 0;
    OK(open(deep, O_RDONLY));
    OK(open("d/dangling", O_CREAT | O_RDWR, 0600)); // makes the target
    SHOW(access("d/nowhere", F_OK));
    SHOW(openat(99, "f", O_RDONLY));
    SHOW(openat(1, "f", O_RDONLY));
    OK(openat(d, "f", O_RDONLY));
    OK(openat(p, "f", O_RDONLY));
    OK(openat(99, "/etc/passwd", O_RDONLY));
    umask(027);
    int fd = open("m", O_CREAT | O_RDWR, 07777);
    fstat(fd, &st);
    printf("mode %o\n", st.st_mode);
    umask(022);
    fd = open("w", O_CREAT | O_RDONLY, 0); // the mode counts from the next open
    OK(fd);
    char b[8];
    SHOW(write(fd, "x", 1));
    SHOW(read(open("m", O_WRONLY), b, 1));
    SHOW(read(p, b, 1));
    SHOW(fchmod(p, 0700));
    SHOW(fstat(p, &st));
    SHOW(fchdir(p));
    SHOW(fchdir(open("..", O_RDONLY)));
    SHOW(ioctl(p, FIONREAD, b));
    SHOW(fcntl(p, F_GETFL) & O_PATH);
    SHOW(read(d, b, 1));
    fd = open("m", O_RDWR | O_APPEND);
    SHOW(write(fd, "abc", 3));
    SHOW(lseek(fd, 0, SEEK_SET));
    SHOW(write(fd, "def", 3));
    SHOW(lseek(fd, 0, SEEK_CUR));
    SHOW(pwrite(fd, "X", 1, 0)); // appended all the same
    SHOW(pread(fd, b, 7, 0));
    printf("%.7s\n", b);
    OK(open("m", O_RDWR | O_TRUNC));
    fstat(fd, &st);
    SHOW(st.st_size);
    // Unnamed files.
    fd = OK(open(".", O_TMPFILE | O_RDWR, 0640));
    SHOW((fcntl(fd, F_GETFL) & O_TMPFILE) == O_TMPFILE);
    fstat(fd, &st);
    printf("links %lu mode %o\n", (unsigned long)st.st_nlink, st.st_mode);
    SHOW(open(".", O_TMPFILE | O_RDONLY, 0600));
    SHOW(open("d/f", O_TMPFILE | O_RDWR, 0600));
    SHOW(open(".", O_TMPFILE | O_CREAT | O_RDWR, 0600));
    char proc[40];
    snprintf(proc, sizeof proc, "/proc/self/fd/%d", fd);
    CHECK(write(fd, "tmp", 3) == 3);
    SHOW(linkat(AT_FDCWD, proc, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
    stat("named", &st);
    printf("links %lu size %ld\n", (unsigned long)st.st_nlink, (long)st.st_size);
    fd = open(".", O_TMPFILE | O_RDWR | O_EXCL, 0600);
    snprintf(proc, sizeof proc, "/proc/self/fd/%d", fd);
    SHOW(linkat(AT_FDCWD, proc, AT_FDCWD, "named2", AT_SYMLINK_FOLLOW));

    OK(openat2(d, "f", O_RDONLY, 0, 0));
    SHOW(openat2(d, "../m", O_RDONLY, 0, RESOLVE_BENEATH));
    SHOW(openat2(d, "/etc/passwd", O_RDONLY, 0, RESOLVE_BENEATH));
    SHOW(openat2(d, "abs/passwd", O_RDONLY, 0, RESOLVE_BENEATH));
    SHOW(openat2(d, "up", O_RDONLY, 0, RESOLVE_BENEATH));
    OK(openat2(d, "sub/../f", O_RDONLY, 0, RESOLVE_BENEATH));
    OK(openat2(d, "/f", O_RDONLY, 0, RESOLVE_IN_ROOT));
    OK(openat2(d, "../../../f", O_RDONLY, 0, RESOLVE_IN_ROOT));
    SHOW(openat2(d, "abs", O_RDONLY, 0, RESOLVE_IN_ROOT));
    OK(openat2(d, "up", O_RDONLY, 0, RESOLVE_IN_ROOT));
    SHOW(openat2(d, "link", O_RDONLY, 0, RESOLVE_NO_SYMLINKS));
    SHOW(openat2(d, "/proc/self/fd/0", O_RDONLY, 0, RESOLVE_NO_MAGICLINKS));
    SHOW(openat2(d, "/proc/version", O_RDONLY, 0, RESOLVE_NO_XDEV));
    SHOW(openat2(d, "f", O_RDONLY, 0600, 0));
    SHOW(openat2(d, "f", O_RDONLY, 0, 1 << 20));
    SHOW(openat2(d, "f", 1ul << 40, 0, 0));
    SHOW(openat2(d, "f", O_PATH | O_RDWR, 0, 0));
    SHOW(openat2(d, "g", O_CREAT | O_RDWR, 0100000, 0));
    SHOW(openat2(d, "f", O_RDONLY, 0, RESOLVE_BENEATH | RESOLVE_IN_ROOT));
    struct { struct open_how how; long more; } big = {{.flags = O_RDONLY}, 0};
    OK(syscall(SYS_openat2, d, "f", &big, sizeof big));
    big.more = 1;
    SHOW(syscall(SYS_openat2, d, "f", &big, sizeof big));
    SHOW(syscall(SYS_openat2, d, "f", &big, 8));
    // Special files.
    SHOW(mknod("null", S_IFCHR | 0600, makedev(1, 3)));
    SHOW(mknod("plain", S_IFREG | 0600, 0));
    SHOW(mknod("dir", S_IFDIR | 0600, 0));
    SHOW(mkfifo("fifo", 0600));
    SHOW(mkfifo("fifo", 0600));
    SHOW(open("fifo", O_WRONLY | O_NONBLOCK));
    OK(open("fifo", O_RDONLY | O_NONBLOCK));
    OK(open("fifo", O_WRONLY | O_NONBLOCK));
    struct sockaddr_un a = {AF_UNIX, "sock"};
    SHOW(bind(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&a, sizeof a));
    SHOW(open("sock", O_RDWR));
}
