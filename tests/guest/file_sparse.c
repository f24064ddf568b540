// Holes: lseek(SEEK_DATA, SEEK_HOLE), fallocate's modes, truncation, sparse writes.
#include "guest.h"

static void map(int fd) {
    off_t end = lseek(fd, 0, SEEK_END), at = 0;
    printf("size %ld:", (long)end);
    while (at < end) {
        off_t data = lseek(fd, at, SEEK_DATA);
        if (data < 0) break;
        off_t hole = lseek(fd, data, SEEK_HOLE);
        printf(" %ld-%ld", (long)data, (long)hole);
        at = hole;
    }
    struct stat st;
    fstat(fd, &st);
    printf(" blocks %ld\n", (long)st.st_blocks);
}
static int byte(int fd, off_t at) {
    char c;
    return pread(fd, &c, 1, at) == 1 ? c : -1;
}

static void tests(void) {
    int fd = open("f", O_CREAT | O_RDWR, 0644);
    map(fd);
    SHOW(lseek(fd, 0, SEEK_DATA));
    SHOW(lseek(fd, 0, SEEK_HOLE));
    SHOW(pwrite(fd, "x", 1, 10 * PAGE + 5));
    map(fd);
    SHOW(pwrite(fd, "y", 1, 3 * PAGE));
    map(fd);
    SHOW(lseek(fd, 10 * PAGE + 2, SEEK_DATA));
    SHOW(lseek(fd, 10 * PAGE + 6, SEEK_DATA));
    SHOW(lseek(fd, 3 * PAGE + 1, SEEK_HOLE));
    SHOW(lseek(fd, -1, SEEK_DATA));
    SHOW(lseek(fd, 0, 9));
    SHOW(lseek(fd, -1, SEEK_SET));
    SHOW(lseek(fd, LONG_MAX, SEEK_SET));
    SHOW(lseek(fd, 1, SEEK_CUR));
    SHOW(lseek(fd, 100, SEEK_SET));
    SHOW(ftruncate(fd, 100 * PAGE));
    map(fd);
    SHOW(byte(fd, 50 * PAGE));
    SHOW(ftruncate(fd, 3 * PAGE + 1));
    map(fd);
    SHOW(ftruncate(fd, 11 * PAGE));
    printf("%d %d\n", byte(fd, 3 * PAGE), byte(fd, 10 * PAGE + 5));
    // Modes of fallocate.
    SHOW(fallocate(fd, 0, 0, 0));
    SHOW(fallocate(fd, 0, -1, 5));
    SHOW(fallocate(fd, 0, 0, LONG_MAX));
    SHOW(fallocate(fd, 0, 5 * PAGE, 2 * PAGE)); // whether this is a hole is left open by lseek(2)
    SHOW(byte(fd, 5 * PAGE));
    SHOW(fallocate(fd, FALLOC_FL_KEEP_SIZE, 20 * PAGE, PAGE));
    SHOW(lseek(fd, 0, SEEK_END));
    SHOW(fallocate(fd, 0, 20 * PAGE, PAGE));
    SHOW(lseek(fd, 0, SEEK_END));
    char buf[4 * PAGE];
    memset(buf, 7, sizeof buf);
    CHECK(pwrite(fd, buf, sizeof buf, 0) == sizeof buf);
    SHOW(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, PAGE));
    SHOW(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PAGE / 2, 2 * PAGE));
    printf("%d %d %d %d %d\n", byte(fd, PAGE / 2 - 1), byte(fd, PAGE / 2), byte(fd, PAGE), byte(fd, 2 * PAGE + PAGE / 2 - 1), byte(fd, 2 * PAGE + PAGE / 2));
    SHOW(lseek(fd, 0, SEEK_HOLE));
    SHOW(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 100 * PAGE, PAGE));
    SHOW(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, PAGE));
    SHOW(fallocate(fd, FALLOC_FL_INSERT_RANGE, 0, PAGE));
    SHOW(fallocate(fd, 0x800, 0, PAGE));
    SHOW(fallocate(open("f", O_RDONLY), 0, 0, PAGE));
    int p[2];
    CHECK(pipe(p) == 0);
    SHOW(fallocate(p[1], 0, 0, PAGE));
    SHOW(fallocate(open(".", O_RDONLY), 0, 0, PAGE));
    SHOW(fallocate(99, 0, 0, PAGE));
    SHOW(lseek(p[0], 0, SEEK_CUR));
    // Reading and writing around the end.
    fd = open("g", O_CREAT | O_RDWR, 0644);
    CHECK(write(fd, "abc", 3) == 3);
    SHOW(pread(fd, buf, 10, 1));
    SHOW(pread(fd, buf, 10, 3));
    SHOW(pread(fd, buf, 10, 1000));
    SHOW(pread(fd, buf, 10, -1));
    SHOW(read(fd, buf, 0));
    SHOW(pwrite(fd, "", 0, 100));
    SHOW(lseek(fd, 0, SEEK_END));
    SHOW(pread(fd, (void *)8, 1, 0));
    SHOW(pwrite(fd, (void *)8, 1, 0));
    struct iovec v[3] = {{buf, 2}, {NULL, 0}, {buf + 10, 5}};
    SHOW(preadv(fd, v, 3, 0));
    SHOW(pwritev(fd, v, 3, 0));
    SHOW(readv(fd, v, -1));
    SHOW(readv(fd, v, 2000));
    SHOW(readv(fd, v, 0));
    v[1] = (struct iovec){buf, -1};
    SHOW(writev(fd, v, 3));
    v[1] = (struct iovec){(void *)8, 5};
    SHOW(pwritev(fd, v, 3, 0)); // what could be written
}
