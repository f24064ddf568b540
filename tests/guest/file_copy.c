// copy_file_range, sendfile, splice, tee, vmsplice.
#include "guest.h"

static const char *content(int fd) {
    static char b[64];
    ssize_t n = pread(fd, b, 63, 0);
    b[n > 0 ? n : 0] = 0;
    return b;
}
static const char *drain(int fd) {
    static char b[64];
    int old = fcntl(fd, F_GETFL);
    fcntl(fd, F_SETFL, old | O_NONBLOCK);
    ssize_t n = read(fd, b, 63);
    fcntl(fd, F_SETFL, old);
    b[n > 0 ? n : 0] = 0;
    return b;
}

static void tests(void) {
    int a = open("a", O_CREAT | O_RDWR, 0644), b = open("b", O_CREAT | O_RDWR, 0644), p[2], q[2], s[2];
    CHECK(pipe(p) == 0 && pipe(q) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    CHECK(write(a, "0123456789", 10) == 10);
    long in = 2, out = 1;
    SHOW(copy_file_range(a, &in, b, &out, 5, 0));
    printf("%ld %ld %d\n", in, out, content(b)[0]);
    pwrite(b, "-", 1, 0);
    puts(content(b));
    lseek(a, 0, SEEK_SET);
    SHOW(copy_file_range(a, NULL, b, NULL, 100, 0));
    puts(content(b));
    SHOW(lseek(a, 0, SEEK_CUR));
    SHOW(copy_file_range(a, NULL, b, NULL, 100, 0));
    in = 0, out = 3;
    SHOW(copy_file_range(a, &in, a, &out, 5, 0)); // overlap
    in = 0, out = 20;
    SHOW(copy_file_range(a, &in, a, &out, 5, 0));
    SHOW(copy_file_range(a, &in, b, &out, 5, 1));
    SHOW(copy_file_range(p[0], NULL, b, NULL, 5, 0));
    SHOW(copy_file_range(open(".", O_RDONLY), NULL, b, NULL, 5, 0));
    SHOW(copy_file_range(open("a", O_WRONLY), NULL, b, NULL, 5, 0));
    SHOW(copy_file_range(a, NULL, open("b", O_RDONLY), NULL, 5, 0));
    SHOW(copy_file_range(a, NULL, open("b", O_WRONLY | O_APPEND), NULL, 5, 0));

    ftruncate(a, 10), ftruncate(b, 0), lseek(b, 0, SEEK_SET);
    in = 3;
    SHOW(sendfile(b, a, &in, 4));
    SHOW(in);
    puts(content(b));
    lseek(a, 8, SEEK_SET);
    SHOW(sendfile(p[1], a, NULL, 100));
    puts(drain(p[0]));
    SHOW(sendfile(p[1], a, NULL, 100));
    in = 0;
    SHOW(sendfile(s[0], a, &in, 3));
    puts(drain(s[1]));
    SHOW(sendfile(open("b", O_RDONLY), a, &in, 3));
    in = -5;
    SHOW(sendfile(b, a, &in, 3));

    in = 1;
    SHOW(splice(a, &in, p[1], NULL, 4, 0));
    SHOW(in);
    SHOW(tee(p[0], q[1], 3, 0));
    puts(drain(q[0]));
    SHOW(tee(p[0], q[1], 100, 0));
    puts(drain(q[0]));
    SHOW(splice(p[0], NULL, q[1], NULL, 2, 0)); // moved
    puts(drain(q[0]));
    puts(drain(p[0]));
    SHOW(tee(p[0], q[1], 100, SPLICE_F_NONBLOCK));
    SHOW(tee(p[0], p[1], 100, 0));
    SHOW(tee(a, q[1], 100, 0));
    SHOW(tee(p[0], q[1], 0, 0));
    SHOW(tee(p[0], q[1], 1, 64));
    CHECK(write(p[1], "splice", 6) == 6);
    ftruncate(b, 0);
    out = 2;
    SHOW(splice(p[0], NULL, b, &out, 3, 0));
    printf("%ld %s\n", out, content(b) + 2);
    SHOW(splice(p[0], &in, b, &out, 3, 0));
    SHOW(splice(a, &in, b, &out, 3, 0));
    SHOW(splice(p[0], NULL, p[1], NULL, 3, 0));
    SHOW(splice(p[0], NULL, s[0], NULL, 100, 0));
    puts(drain(s[1]));
    SHOW(splice(p[0], NULL, s[0], NULL, 100, SPLICE_F_NONBLOCK));
    CHECK(write(s[0], "socket", 6) == 6);
    SHOW(splice(s[1], NULL, p[1], NULL, 100, 0));
    puts(drain(p[0]));
    SHOW(splice(p[0], NULL, open("b", O_WRONLY | O_APPEND), NULL, 3, SPLICE_F_NONBLOCK));
    SHOW(splice(a, NULL, p[1], NULL, 0, 0));
    in = 100;
    SHOW(splice(a, &in, p[1], NULL, 5, 0)); // at the end
    struct iovec v[2] = {{"one", 3}, {"two", 3}};
    SHOW(vmsplice(p[1], v, 2, 0));
    puts(drain(p[0]));
    SHOW(vmsplice(a, v, 2, 0));
    // Ends of pipes.
    close(q[0]);
    signal(SIGPIPE, SIG_IGN);
    CHECK(write(p[1], "x", 1) == 1);
    SHOW(splice(p[0], NULL, q[1], NULL, 1, 0));
    SHOW(tee(p[0], q[1], 1, 0));
    drain(p[0]);
    close(p[1]);
    CHECK(pipe(q) == 0);
    SHOW(tee(p[0], q[1], 1, 0));
    SHOW(splice(p[0], NULL, q[1], NULL, 1, 0));
}
