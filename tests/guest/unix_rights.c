// Descriptors and credentials in messages.
#include "guest.h"

static ssize_t send_fds(int s, const int *fds, int n, const void *text, size_t len) {
    char ctl[CMSG_SPACE(300 * sizeof(int))] = {};
    struct iovec v = {(void *)text, len};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = ctl, .msg_controllen = CMSG_SPACE(n * sizeof(int))};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    *c = (struct cmsghdr){.cmsg_len = CMSG_LEN(n * sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(c), fds, n * sizeof(int));
    return sendmsg(s, &m, MSG_NOSIGNAL);
}
static int got[300], ngot, mflags;
static struct ucred who;
static bool has_cred;
static ssize_t receive(int s, size_t room, int flags, size_t ctl_room) {
    static char b[64];
    char ctl[2048] = {};
    struct iovec v = {b, room};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = ctl, .msg_controllen = ctl_room};
    ssize_t n = recvmsg(s, &m, flags | MSG_DONTWAIT);
    ngot = 0, mflags = m.msg_flags, has_cred = false;
    if (n >= 0)
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
            if (c->cmsg_type == SCM_RIGHTS) ngot = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int), memcpy(got, CMSG_DATA(c), ngot * sizeof(int));
            if (c->cmsg_type == SCM_CREDENTIALS) has_cred = true, memcpy(&who, CMSG_DATA(c), sizeof who);
        }
    return n;
}
static int send_cred(int s, int pid, int uid, int gid) {
    char ctl[CMSG_SPACE(sizeof(struct ucred))] = {};
    struct iovec v = {"c", 1};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = ctl, .msg_controllen = sizeof ctl};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    *c = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(struct ucred)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_CREDENTIALS};
    struct ucred u = {pid, uid, gid};
    memcpy(CMSG_DATA(c), &u, sizeof u);
    return sendmsg(s, &m, 0);
}

static void tests(void) {
    int sv[2], p[2], dg[2];
    char b[16];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, sv) == 0 && pipe(p) == 0 && socketpair(AF_UNIX, SOCK_DGRAM, 0, dg) == 0);
    size_t room = CMSG_SPACE(4 * sizeof(int));
    SHOW(send_fds(sv[0], p, 2, "x", 1));
    SHOW(receive(sv[1], 8, MSG_CMSG_CLOEXEC, room));
    SHOW(ngot);
    SHOW(fcntl(got[0], F_GETFD));
    CHECK(write(got[1], "through", 7) == 7 && read(p[0], b, 7) == 7);
    close(got[0]), close(got[1]);
    SHOW(send_fds(sv[0], (int[]){999}, 1, "x", 1));
    SHOW(send_fds(sv[0], p, 0, "x", 1));
    receive(sv[1], 8, 0, room);
    SHOW(send_fds(sv[0], p, 2, "", 0)); // a stream carries nothing without a byte
    SHOW(receive(sv[1], 8, 0, room));
    SHOW(send_fds(dg[0], p, 2, "", 0)); // a datagram does
    SHOW(receive(dg[1], 8, 0, room));
    SHOW(ngot);
    int many[260];
    for (int i = 0; i < 260; i++) many[i] = p[0];
    SHOW(send_fds(sv[0], many, 253, "m", 1));
    SHOW(send_fds(sv[0], many, 254, "m", 1));
    SHOW(receive(sv[1], 8, 0, CMSG_SPACE(253 * sizeof(int))));
    SHOW(ngot);
    for (int i = 0; i < ngot; i++) close(got[i]);
    // Too little room: what does not fit is closed, and said.
    SHOW(send_fds(sv[0], many, 4, "m", 1));
    SHOW(receive(sv[1], 8, 0, CMSG_LEN(2 * sizeof(int))));
    printf("%d descriptors, truncated %d\n", ngot, !!(mflags & MSG_CTRUNC));
    SHOW(send_fds(sv[0], many, 4, "m", 1));
    SHOW(receive(sv[1], 8, 0, 0));
    printf("%d descriptors, truncated %d\n", ngot, !!(mflags & MSG_CTRUNC));
    // Descriptors are a border in the stream.
    CHECK(write(sv[0], "plain", 5) == 5);
    CHECK(send_fds(sv[0], p, 1, "with", 4) == 4);
    CHECK(write(sv[0], "after", 5) == 5);
    SHOW(receive(sv[1], 64, 0, room));
    SHOW(ngot);
    SHOW(receive(sv[1], 64, 0, room));
    SHOW(ngot);
    // read() throws them away; peeking gives copies.
    while (read(sv[1], b, 0) > 0) {}
    recv(sv[1], b, 16, MSG_DONTWAIT);
    CHECK(send_fds(sv[0], p, 1, "z", 1) == 1);
    SHOW(receive(sv[1], 64, MSG_PEEK, room));
    SHOW(ngot);
    SHOW(read(sv[1], b, 16));
    // A descriptor in flight keeps its file open.
    int q[2];
    CHECK(pipe(q) == 0);
    CHECK(send_fds(sv[0], &q[1], 1, "w", 1) == 1);
    close(q[1]);
    fcntl(q[0], F_SETFL, O_NONBLOCK);
    SHOW(read(q[0], b, 1));
    receive(sv[1], 8, 0, room);
    close(got[0]);
    SHOW(read(q[0], b, 1));
    // A socket sent over itself, both ends closed: nothing is left behind.
    int loop[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, loop) == 0 && pipe(q) == 0);
    CHECK(send_fds(loop[0], (int[]){loop[1], q[1]}, 2, "l", 1) == 1);
    close(loop[0]), close(loop[1]), close(q[1]);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, loop) == 0); // gives the collector a chance
    CHECK(send_fds(loop[0], &loop[0], 1, "l", 1) == 1);
    close(loop[0]), close(loop[1]);
    struct pollfd pf = {q[0], POLLIN};
    SHOW(poll(&pf, 1, 3000));
    // The receiver's table is full.
    say_status("full table", CHILD({
                   CHECK(send_fds(sv[0], p, 2, "f", 1) == 1);
                   struct rlimit r = {64, 64};
                   setrlimit(RLIMIT_NOFILE, &r);
                   while (dup(0) >= 0) {}
                   close(40);
                   SHOW(receive(sv[1], 8, 0, room));
                   printf("%d descriptors, truncated %d\n", ngot, !!(mflags & MSG_CTRUNC));
               }));

    // Credentials.
    int on = 1;
    struct ucred u;
    socklen_t len = sizeof u;
    SHOW(getsockopt(sv[0], SOL_SOCKET, SO_PEERCRED, &u, &len));
    printf("peer: pid %d uid %d gid %d\n", u.pid == getpid(), u.uid, u.gid);
    CHECK(write(sv[0], "a", 1) == 1);
    SHOW(receive(sv[1], 1, 0, 200));
    SHOW(has_cred);
    SHOW(setsockopt(sv[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on));
    CHECK(write(sv[0], "b", 1) == 1);
    SHOW(receive(sv[1], 1, 0, 200));
    printf("has %d: pid %d uid %d\n", has_cred, who.pid == getpid(), who.uid);
    SHOW(send_cred(sv[0], getpid(), 5, 6)); // root may say what it likes
    receive(sv[1], 1, 0, 200);
    printf("has %d: pid %d uid %d gid %d\n", has_cred, who.pid == getpid(), who.uid, who.gid);
    SHOW(send_cred(sv[0], 99999999, 0, 0));
    say_status("others", CHILD({
                   setgid(1001), setuid(1000);
                   SHOW(send_cred(sv[0], getpid(), 0, 0));
                   SHOW(send_cred(sv[0], getppid(), 1000, 1001));
                   SHOW(send_cred(sv[0], getpid(), 1000, 1001));
                   receive(sv[1], 1, 0, 200);
                   printf("has %d: pid %d uid %d gid %d\n", has_cred, who.pid == getpid(), who.uid, who.gid);
               }));
    int l = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un a = {AF_UNIX, "s"};
    CHECK(bind(l, (void *)&a, sizeof a) == 0 && listen(l, 5) == 0);
    chmod("s", 0777), chmod(".", 0755);
    say_status("client", CHILD(setgid(1001); setuid(1000); int s = socket(AF_UNIX, SOCK_STREAM, 0); SHOW(connect(s, (void *)&a, sizeof a)); len = sizeof u;
                               getsockopt(s, SOL_SOCKET, SO_PEERCRED, &u, &len); printf("server is pid %d uid %d\n", u.pid == getppid(), u.uid)));
    int acc = accept(l, NULL, NULL);
    len = sizeof u;
    getsockopt(acc, SOL_SOCKET, SO_PEERCRED, &u, &len);
    printf("client was uid %d gid %d\n", u.uid, u.gid);
    chmod("s", 0700);
    say_status("forbidden", CHILD(setuid(1000); SHOW(connect(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&a, sizeof a))));
}
