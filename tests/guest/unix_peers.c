// Local sockets: who the peer is (groups, pidfd), who sent a message, and peeking at an offset.
#include "guest.h"
#include <grp.h>
#ifndef SO_PASSPIDFD
#define SO_PASSPIDFD 76
#define SO_PEERPIDFD 77
#endif
#define SCM_PIDFD 4

static int sv[2];
static char b[64];

static const char *peek(int n) {
    memset(b, 0, sizeof b);
    long got = recv(sv[1], b, n, MSG_PEEK | MSG_DONTWAIT);
    if (got < 0) return strerrorname_np(errno);
    return b;
}

static int off(void) {
    int v = -99;
    socklen_t len = sizeof v;
    CHECK(getsockopt(sv[1], SOL_SOCKET, SO_PEEK_OFF, &v, &len) == 0 && len == 4);
    return v;
}

static void peeks(int type) {
    CHECK(socketpair(AF_UNIX, type, 0, sv) == 0);
    printf("type %d: %d", type, off());
    send(sv[0], "abcdef", 6, 0);
    send(sv[0], "ghij", 4, 0);
    printf(" [%s]", peek(3));
    int v = 2;
    CHECK(setsockopt(sv[1], SOL_SOCKET, SO_PEEK_OFF, &v, sizeof v) == 0);
    printf(" [%s] %d", peek(3), off());
    printf(" [%s] %d", peek(30), off());
    printf(" [%s] %d", peek(30), off());
    printf(" [%s] %d", peek(30), off());
    memset(b, 0, sizeof b);
    printf(" took %ld", (long)recv(sv[1], b, 4, 0));
    printf(" [%s] %d", b, off());
    printf(" [%s] %d", peek(30), off());
    v = -1;
    CHECK(setsockopt(sv[1], SOL_SOCKET, SO_PEEK_OFF, &v, sizeof v) == 0);
    printf(" [%s] %d\n", peek(2), off());
    close(sv[0]);
    close(sv[1]);
}

// Takes a message; what came with it.
static void take(int fd, pid_t from) {
    char control[200];
    struct iovec v = {b, sizeof b};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    printf("%ld bytes", (long)recvmsg(fd, &m, 0));
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
        printf(", type %d of %ld", c->cmsg_type, (long)c->cmsg_len);
        if (c->cmsg_type == SCM_PIDFD) {
            int p = *(int *)CMSG_DATA(c);
            printf(" (%d)", fcntl(p, F_GETFD));
            siginfo_t i;
            if (from != getpid()) CHECK(waitid(P_PIDFD, p, &i, WEXITED) == 0 && i.si_pid == from);
            close(p);
        }
    }
    printf(", flags %x\n", m.msg_flags);
}

static void pidfds(void) {
    int one = 1, v;
    socklen_t len = sizeof v;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, sv) == 0);
    // Since 6.5.
    if (setsockopt(sv[1], SOL_SOCKET, SO_PASSPIDFD, &one, sizeof one) < 0) {
        CHECK(errno == ENOPROTOOPT);
        return;
    }
    CHECK(getsockopt(sv[1], SOL_SOCKET, SO_PASSPIDFD, &v, &len) == 0 && v == 1);
    CHECK(write(sv[0], "x", 1) == 1);
    take(sv[1], getpid());
    pid_t p = fork();
    if (!p) _exit(write(sv[0], "yz", 2) != 2);
    until_state(p, 'Z');
    take(sv[1], p);
    CHECK(setsockopt(sv[1], SOL_SOCKET, SO_PASSCRED, &one, sizeof one) == 0);
    CHECK(write(sv[0], "x", 1) == 1);
    take(sv[1], getpid());
    // Who connected.
    int l = socket(AF_UNIX, SOCK_STREAM, 0), c = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un a = {AF_UNIX, "s"};
    SHOW(getsockopt(c, SOL_SOCKET, SO_PEERPIDFD, &v, &len));
    CHECK(bind(l, (void *)&a, sizeof a) == 0 && listen(l, 1) == 0);
    p = fork();
    if (!p) {
        CHECK(connect(c, (void *)&a, sizeof a) == 0);
        read(c, b, 1);
        _exit(5);
    }
    c = accept(l, NULL, NULL);
    SHOW(getsockopt(c, SOL_SOCKET, SO_PEERPIDFD, &v, &len));
    SHOW(fcntl(v, F_GETFD));
    CHECK(write(c, "x", 1) == 1);
    siginfo_t i;
    SHOW(waitid(P_PIDFD, v, &i, WEXITED));
    CHECK(i.si_pid == p && i.si_status == 5);
}

static void groups(void) {
    gid_t list[8], mine[] = {5, 7, 1000};
    bool root = geteuid() == 0;
    if (root) CHECK(setgroups(3, mine) == 0);
    int n = getgroups(0, NULL);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, sv) == 0);
    if (root) CHECK(setgroups(1, mine) == 0); // later than the pair
    socklen_t len = sizeof list;
    CHECK(getsockopt(sv[0], SOL_SOCKET, SO_PEERGROUPS, list, &len) == 0 && len == n * sizeof *list);
    if (root) CHECK(memcmp(list, mine, sizeof mine) == 0);
    len = 4;
    if (root) CHECK(getsockopt(sv[0], SOL_SOCKET, SO_PEERGROUPS, list, &len) == -1 && errno == ERANGE && len == 12);
    SHOW(getsockopt(socket(AF_UNIX, SOCK_STREAM, 0), SOL_SOCKET, SO_PEERGROUPS, list, &len));
}

static void tests(void) {
    peeks(SOCK_STREAM);
    peeks(SOCK_DGRAM);
    peeks(SOCK_SEQPACKET);
    pidfds();
    groups();
}
