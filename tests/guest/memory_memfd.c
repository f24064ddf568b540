// memfd_create and seals.
#include "guest.h"
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x10
#endif
#define RW (PROT_READ | PROT_WRITE)

static int sealed(int seals) {
    int fd = memfd_create("x", MFD_ALLOW_SEALING);
    ftruncate(fd, 2 * PAGE);
    CHECK(fcntl(fd, F_ADD_SEALS, seals) == 0);
    return fd;
}

static void tests(void) {
    char b[64] = "", path[40];
    SHOW(memfd_create("n", 0x1000));
    char name[260];
    memset(name, 'n', sizeof name);
    name[250] = 0;
    SHOW(memfd_create(name, 0));
    name[249] = 0;
    OK(memfd_create(name, 0));
    SHOW(memfd_create((void *)8, 0));
    int fd = OK(memfd_create("hello", MFD_CLOEXEC));
    SHOW(fcntl(fd, F_GETFD));
    SHOW(fcntl(fd, F_GETFL) & O_ACCMODE);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    CHECK(readlink(path, b, 63) > 0);
    puts(b);
    SHOW(fcntl(fd, F_GET_SEALS));
    SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
    struct stat st;
    CHECK(fstat(fd, &st) == 0);
    printf("mode %o size %ld links %lu\n", st.st_mode, (long)st.st_size, (unsigned long)st.st_nlink);
    SHOW(write(fd, "0123456789", 10));
    SHOW(lseek(fd, 5, SEEK_SET));
    SHOW(read(fd, b, 20));
    int again = OK(open(path, O_RDWR));
    SHOW(lseek(again, 0, SEEK_CUR)); // a new open file of the same file
    SHOW(pread(again, b, 3, 1));
    SHOW(open(path, O_RDWR | O_TRUNC) >= 0);
    CHECK(fstat(fd, &st) == 0);
    SHOW(st.st_size);

    fd = memfd_create("s", MFD_ALLOW_SEALING);
    SHOW(fcntl(fd, F_GET_SEALS));
    SHOW(fcntl(fd, F_ADD_SEALS, 0x1000));
    SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL));
    SHOW(fcntl(fd, F_GET_SEALS));
    SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW));
    SHOW(fcntl(fd, F_ADD_SEALS, 0));
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    SHOW(fcntl(open(path, O_RDONLY), F_ADD_SEALS, F_SEAL_GROW));

    fd = sealed(F_SEAL_SHRINK);
    SHOW(ftruncate(fd, PAGE));
    SHOW(ftruncate(fd, 3 * PAGE));
    SHOW(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PAGE));
    fd = sealed(F_SEAL_GROW);
    SHOW(ftruncate(fd, 3 * PAGE));
    SHOW(pwrite(fd, "xy", 2, 2 * PAGE - 1)); // what fits
    SHOW(pwrite(fd, "xy", 2, 2 * PAGE));
    SHOW(fallocate(fd, 0, 0, 3 * PAGE));
    SHOW(ftruncate(fd, PAGE));
    fd = sealed(F_SEAL_GROW);
    SHOW(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 3 * PAGE));
    SHOW(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 2 * PAGE));
    SHOW(fallocate(fd, FALLOC_FL_ZERO_RANGE, 0, PAGE));
    fd = sealed(F_SEAL_WRITE);
    SHOW(write(fd, "x", 1));
    SHOW(mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0));
    char *ro = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0), *pr = mmap(NULL, PAGE, RW, MAP_PRIVATE, fd, 0);
    CHECK(pr != MAP_FAILED);
    CHECK(ro == MAP_FAILED || mprotect(ro, PAGE, RW) == -1);
    pr[0] = 1;
    SHOW(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PAGE));
    SHOW(ftruncate(fd, PAGE));
    fd = memfd_create("w", MFD_ALLOW_SEALING);
    ftruncate(fd, PAGE);
    char *w = mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0);
    SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE)); // a writable mapping forbids it
    SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE));
    w[0] = 'q';
    SHOW(write(fd, "x", 1));
    SHOW(mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0));
    SHOW(mprotect(w, PAGE, PROT_READ)); // older than the seal
    SHOW(mprotect(w, PAGE, RW));
    w[0] = 'r';
    pr = mmap(NULL, PAGE, RW, MAP_PRIVATE, fd, 0);
    pr[0] = 's';
    munmap(w, PAGE);
    SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE)); // private ones do not count
    SHOW(fcntl(fd, F_GET_SEALS));
    printf("%c\n", pr[0]);
    fd = sealed(F_SEAL_FUTURE_WRITE);
    ro = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
    SHOW(mprotect(ro, PAGE, RW));
    say_status("child", CHILD(CHECK(mprotect(ro, PAGE, RW) == -1 && errno == EACCES)));
    ro = mremap(ro, PAGE, 2 * PAGE, MREMAP_MAYMOVE);
    SHOW(mprotect(ro, PAGE, RW));
    printf("%d\n", ro[0]);
    SHOW(fcntl(1, F_GET_SEALS));
    // Ordinary files of tmpfs have no room for seals.
    int f = open("f", O_RDWR | O_CREAT, 0600);
    SHOW(fcntl(f, F_ADD_SEALS, F_SEAL_WRITE));
    // Executing one.
    int exe = open("/bin/true", O_RDONLY);
    fd = memfd_create("program", MFD_CLOEXEC);
    char *copy = malloc(1 << 20);
    ssize_t n;
    while ((n = read(exe, copy, 1 << 20)) > 0) CHECK(write(fd, copy, n) == n);
    say_status("program", CHILD(char *argv[] = {"true", NULL}; fexecve(fd, argv, argv + 1)));
    // Sharing with a child, by descriptor and by mapping.
    fd = memfd_create("c", 0);
    ftruncate(fd, PAGE);
    w = mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0);
    say_status("child", CHILD(pwrite(fd, "from child", 10, 0); w[20] = '!'));
    printf("%.10s%c\n", w, w[20]);
}
