// Abstract names are of one kind of socket; ancillary data of other layers is nobody's business.
#include "guest.h"

static void tests(void) {
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
