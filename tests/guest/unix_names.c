// Abstract names are of one kind of socket; ancillary data of other layers is nobody's business.
#include "guest.h"
#include <sys/xattr.h>

// What lsfd shows of a socket.
static void protocols(void) {
    static const int kinds[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
    char path[40], text[64], names[200];
    for (int i = 0; i < 3; i++) {
        int ends[2];
        CHECK(socketpair(AF_UNIX, kinds[i], 0, ends) == 0);
        snprintf(path, sizeof path, "/proc/self/fd/%d", ends[1]);
        SHOW(fgetxattr(ends[0], "system.sockprotoname", text, sizeof text));
        SHOW(getxattr(path, "system.sockprotoname", text, sizeof text));
        printf("%s\n", text);
        SHOW(fgetxattr(ends[0], "system.sockprotoname", text, 4));
        SHOW(fsetxattr(ends[0], "system.sockprotoname", "x", 1, 0));
        ssize_t n = flistxattr(ends[0], names, sizeof names);
        CHECK(n >= 21 && memmem(names, n, "system.sockprotoname", 21));
        close(ends[0]), close(ends[1]);
    }
    struct sockaddr_un name = {AF_UNIX, "named"};
    int bound = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(bind(bound, (void *)&name, sizeof name) == 0);
    SHOW(getxattr("named", "system.sockprotoname", text, sizeof text));
    CHECK(close(bound) == 0 && unlink("named") == 0);
    int pipes[2];
    CHECK(pipe(pipes) == 0);
    SHOW(fgetxattr(pipes[0], "system.sockprotoname", text, sizeof text));
    close(pipes[0]), close(pipes[1]);
}

static void tests(void) {
    protocols();
    struct sockaddr_un name = {AF_UNIX, "\0lodger-names"};
    socklen_t len = 2 + 13;
    int stream = socket(AF_UNIX, SOCK_STREAM, 0), dgram = socket(AF_UNIX, SOCK_DGRAM, 0), seq = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    SHOW(bind(stream, (void *)&name, len));
    SHOW(connect(socket(AF_UNIX, SOCK_DGRAM, 0), (void *)&name, len));
    SHOW(bind(dgram, (void *)&name, len));
    SHOW(bind(seq, (void *)&name, len));
    SHOW(bind(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&name, len));
    SHOW(listen(stream, 1));
    SHOW(listen(seq, 1));
    SHOW(connect(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&name, len));
    SHOW(connect(socket(AF_UNIX, SOCK_DGRAM, 0), (void *)&name, len));
    SHOW(connect(socket(AF_UNIX, SOCK_SEQPACKET, 0), (void *)&name, len));
    close(dgram);
    SHOW(connect(socket(AF_UNIX, SOCK_DGRAM, 0), (void *)&name, len));
    SHOW(connect(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&name, len));
    int pair[2];
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    char control[CMSG_SPACE(4)] = "";
    struct iovec v = {"x", 1};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    *c = (struct cmsghdr){.cmsg_len = CMSG_LEN(4), .cmsg_level = 99, .cmsg_type = 1};
    SHOW(sendmsg(pair[0], &m, 0));
    c->cmsg_level = SOL_SOCKET, c->cmsg_type = 77;
    SHOW(sendmsg(pair[0], &m, 0));
}
