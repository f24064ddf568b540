// Datagram and sequenced-packet sockets.
#include "guest.h"

static struct sockaddr_un at(const char *n) {
    struct sockaddr_un a = {AF_UNIX};
    strcpy(a.sun_path, n);
    return a;
}
#define ADDR(n) (void *)&(struct sockaddr_un[]){at(n)}, sizeof(struct sockaddr_un)

static void tests(void) {
    signal(SIGPIPE, SIG_IGN);
    char b[128];
    struct sockaddr_un from;
    socklen_t len;
    int a = socket(AF_UNIX, SOCK_DGRAM, 0), c = socket(AF_UNIX, SOCK_DGRAM, 0), anon = socket(AF_UNIX, SOCK_DGRAM, 0);
    SHOW(bind(a, ADDR("a")));
    SHOW(bind(c, ADDR("c")));
    SHOW(listen(a, 1));
    SHOW(send(anon, "x", 1, 0));
    SHOW(sendto(anon, "nobody", 6, 0, ADDR("none")));
    SHOW(sendto(anon, "one", 3, 0, ADDR("a")));
    SHOW(sendto(c, "two", 3, 0, ADDR("a")));
    SHOW(sendto(c, "", 0, 0, ADDR("a")));
    SHOW(sendto(c, "longer", 6, 0, ADDR("a")));
    len = sizeof from;
    SHOW(recvfrom(a, b, sizeof b, 0, (void *)&from, &len));
    SHOW(len); // the sender has no name
    len = sizeof from;
    SHOW(recvfrom(a, b, sizeof b, MSG_PEEK, (void *)&from, &len));
    SHOW(recvfrom(a, b, sizeof b, 0, (void *)&from, &len));
    printf("%.3s from %s\n", b, from.sun_path);
    SHOW(recv(a, b, sizeof b, 0));
    struct iovec v = {b, 3};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    SHOW(recvmsg(a, &m, MSG_PEEK | MSG_TRUNC));
    SHOW((m.msg_flags & MSG_TRUNC) != 0);
    SHOW(recvmsg(a, &m, 0));
    SHOW((m.msg_flags & MSG_TRUNC) != 0);
    SHOW(recv(a, b, sizeof b, MSG_DONTWAIT)); // the rest is gone
    // Connected: only from there.
    SHOW(connect(c, ADDR("a")));
    SHOW(connect(a, ADDR("c")));
    SHOW(send(c, "ok", 2, 0));
    SHOW(sendto(anon, "x", 1, 0, ADDR("a")));
    SHOW(sendto(c, "to", 2, 0, ADDR("a")));
    SHOW(recv(a, b, sizeof b, 0));
    SHOW(recv(a, b, sizeof b, 0));
    sa_family_t none = AF_UNSPEC;
    SHOW(connect(a, (void *)&none, sizeof none)); // loose again
    SHOW(sendto(anon, "x", 1, 0, ADDR("a")));
    SHOW(recv(a, b, sizeof b, 0));
    // A queue has its limit; a message too.
    fcntl(c, F_SETFL, O_NONBLOCK);
    int n = 0;
    while (n < 5000 && send(c, "x", 1, 0) == 1) n++;
    CHECK(n > 2 && n < 5000);
    printf("then %s\n", strerrorname_np(errno));
    struct pollfd p = {c, POLLOUT};
    SHOW(poll(&p, 1, 0));
    SHOW(recv(a, b, sizeof b, 0));
    static char huge[1 << 20];
    SHOW(send(c, huge, sizeof huge, 0));
    int small = 4096;
    SHOW(setsockopt(anon, SOL_SOCKET, SO_SNDBUF, &small, sizeof small));
    SHOW(sendto(anon, huge, 100000, 0, ADDR("c")));
    close(a);
    SHOW(send(c, "x", 1, 0));
    SHOW(send(c, "x", 1, 0));
    SHOW(connect(c, ADDR("a")));
    SHOW(shutdown(c, SHUT_RDWR));

    // Sequenced packets: connected, with borders.
    int sv[2];
    SHOW(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv));
    SHOW(send(sv[0], "first", 5, 0));
    SHOW(send(sv[0], "second", 6, MSG_EOR));
    SHOW(send(sv[0], "", 0, 0));
    SHOW(recv(sv[1], b, 2, 0));
    v.iov_len = sizeof b;
    SHOW(recvmsg(sv[1], &m, 0));
    SHOW(recvmsg(sv[1], &m, 0));
    struct mmsghdr mm[3] = {};
    struct iovec vs[3] = {{"aa", 2}, {"bbb", 3}, {"c", 1}};
    for (int i = 0; i < 3; i++) mm[i].msg_hdr.msg_iov = &vs[i], mm[i].msg_hdr.msg_iovlen = 1;
    SHOW(sendmmsg(sv[0], mm, 3, 0));
    for (int i = 0; i < 3; i++) vs[i] = (struct iovec){b + 8 * i, 8};
    SHOW(recvmmsg(sv[1], mm, 3, MSG_DONTWAIT, NULL));
    printf("%u %u %u\n", mm[0].msg_len, mm[1].msg_len, mm[2].msg_len);
    SHOW(recvmmsg(sv[1], mm, 3, MSG_DONTWAIT, NULL));
    close(sv[0]);
    SHOW(recv(sv[1], b, 8, 0));
    SHOW(send(sv[1], "x", 1, MSG_NOSIGNAL));
    int l = socket(AF_UNIX, SOCK_SEQPACKET, 0), k = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    SHOW(bind(l, ADDR("q")));
    SHOW(listen(l, 3));
    SHOW(connect(socket(AF_UNIX, SOCK_STREAM, 0), ADDR("q"))); // another type
    SHOW(connect(k, ADDR("q")));
    int acc = OK(accept(l, NULL, NULL));
    SHOW(write(k, "packet", 6));
    SHOW(read(acc, b, 64));
    SHOW(shutdown(k, SHUT_WR));
    SHOW(read(acc, b, 64));
    SHOW(write(k, "x", 1));
}
