// Stream sockets: names, listening, connecting, shutdown, out-of-band, options, errors.
#include "guest.h"

static struct sockaddr_un name_(const char *n, socklen_t *len) {
    struct sockaddr_un a = {AF_UNIX};
    if (*n == '@') memcpy(a.sun_path + 1, n + 1, strlen(n + 1)), *len = 2 + strlen(n);
    else strcpy(a.sun_path, n), *len = 2 + strlen(n) + 1;
    return a;
}
static int bind_(int s, const char *n) {
    socklen_t len;
    struct sockaddr_un a = name_(n, &len);
    return bind(s, (void *)&a, len);
}
static int connect_(int s, const char *n) {
    socklen_t len;
    struct sockaddr_un a = name_(n, &len);
    return connect(s, (void *)&a, len);
}
static void who(const char *what, int s, int (*f)(int, struct sockaddr *, socklen_t *)) {
    struct sockaddr_un a;
    socklen_t len = sizeof a;
    memset(&a, 'z', sizeof a);
    if (f(s, (void *)&a, &len)) {
        printf("%s: %s\n", what, strerrorname_np(errno));
        return;
    }
    printf("%s: length %d", what, (int)len);
    if (len > 2) printf(" %s%.*s", a.sun_path[0] ? "" : "@", (int)len - 3, a.sun_path[0] ? a.sun_path : a.sun_path + 1);
    puts("");
}
static int stream(void) { return socket(AF_UNIX, SOCK_STREAM, 0); }

static void tests(void) {
    char b[64];
    signal(SIGPIPE, SIG_IGN);
    SHOW(socket(AF_UNIX, 77, 0));
    SHOW(socket(AF_UNIX, SOCK_STREAM, 77));
    SHOW(socket(77, SOCK_STREAM, 0));
    SHOW(socketpair(AF_UNIX, SOCK_STREAM, 0, (void *)8));
    int l = stream(), c = stream(), t;
    SHOW(listen(l, 1)); // no name yet
    SHOW(bind_(l, "s"));
    SHOW(bind_(l, "s2"));
    SHOW(bind_(stream(), "s"));
    SHOW(bind_(stream(), "none/s"));
    SHOW(connect_(c, "s")); // nobody listens
    SHOW(accept(l, NULL, NULL));
    SHOW(listen(l, 1));
    SHOW(connect_(c, "missing"));
    close(open("plain", O_CREAT | O_RDWR, 0600));
    SHOW(connect_(c, "plain"));
    SHOW(connect_(c, "s"));
    SHOW(connect_(c, "s"));
    SHOW(write(c, "early", 5)); // before accept
    int a = OK(accept4(l, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC));
    SHOW(fcntl(a, F_GETFL) & O_NONBLOCK);
    SHOW(read(a, b, 64));
    SHOW(read(a, b, 64));
    who("listener", l, getsockname), who("client", c, getsockname), who("client's peer", c, getpeername), who("server's peer", a, getpeername);
    who("fresh", stream(), getsockname), who("fresh's peer", stream(), getpeername);
    SHOW(listen(c, 1));
    SHOW(accept(c, NULL, NULL));
    SHOW(write(l, "x", 1));
    SHOW(read(l, b, 1));
    SHOW(send(stream(), "x", 1, 0));
    SHOW(recv(stream(), b, 1, 0));
    // A full backlog.
    fcntl(l, F_SETFL, O_NONBLOCK);
    SHOW(accept(l, NULL, NULL));
    int made = 0;
    for (int i = 0; i < 10; i++) {
        int s = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        if (connect_(s, "s") == 0) made++;
        else {
            printf("after %d: %s\n", made, strerrorname_np(errno));
            break;
        }
    }
    // Data.
    SHOW(send(c, "hello", 5, MSG_MORE));
    SHOW(recv(a, b, 2, MSG_PEEK));
    SHOW(recv(a, b, 64, MSG_TRUNC));
    SHOW(sendto(c, "x", 1, 0, (void *)&(struct sockaddr_un){AF_UNIX, "s"}, sizeof(struct sockaddr_un)));
    SHOW(shutdown(c, 7));
    SHOW(shutdown(stream(), SHUT_RD));
    recv(a, b, 64, 0);
    recv(a, b, 64, 0);
    CHECK(write(a, "for c", 5) == 5);
    SHOW(shutdown(a, SHUT_WR));
    SHOW(write(a, "x", 1));
    SHOW(read(c, b, 3));
    SHOW(read(c, b, 64));
    SHOW(read(c, b, 64));
    SHOW(write(c, "still", 5));
    SHOW(shutdown(a, SHUT_RD));
    SHOW(write(c, "x", 1));
    SHOW(read(a, b, 64));
    close(a);
    SHOW(write(c, "x", 1));
    SHOW(read(c, b, 1));
    int sv[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, sv) == 0);
    CHECK(write(sv[0], "unread", 6) == 6);
    close(sv[1]);
    SHOW(read(sv[0], b, 1)); // the peer went with data unread
    SHOW(send(sv[0], "x", 1, 0));
    say_status("SIGPIPE", CHILD(signal(SIGPIPE, SIG_DFL); send(sv[0], "x", 1, MSG_NOSIGNAL); puts("not yet"); send(sv[0], "x", 1, 0)));
    // Waiting for everything, peeking with an offset, timeouts.
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, sv) == 0);
    pid_t p = fork();
    if (!p) {
        CHECK(write(sv[1], "abc", 3) == 3);
        nap(20);
        CHECK(write(sv[1], "defgh", 5) == 5);
        _exit(0);
    }
    SHOW(recv(sv[0], b, 6, MSG_WAITALL));
    wait_for(p);
    SHOW(recv(sv[0], b, 6, MSG_DONTWAIT));
    struct timeval tv = {0, 20000};
    SHOW(setsockopt(sv[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv));
    SHOW(read(sv[0], b, 1));
    int v;
    socklen_t len = sizeof v;
    int opts[] = {SO_TYPE, SO_DOMAIN, SO_PROTOCOL, SO_ERROR, SO_ACCEPTCONN, SO_PASSCRED, SO_REUSEADDR, SO_KEEPALIVE};
    for (unsigned i = 0; i < COUNT(opts); i++) v = -1, len = sizeof v, printf("option %d: %d", opts[i], getsockopt(sv[0], SOL_SOCKET, opts[i], &v, &len)), printf(" %d\n", v);
    len = sizeof v;
    getsockopt(l, SOL_SOCKET, SO_ACCEPTCONN, &v, &len);
    SHOW(v);
    SHOW(getsockopt(sv[0], SOL_SOCKET, 999, &v, &len));
    SHOW(setsockopt(sv[0], SOL_SOCKET, 999, &v, len));
    SHOW(getsockopt(1, SOL_SOCKET, SO_TYPE, &v, &len));
    SHOW(setsockopt(sv[0], SOL_SOCKET, SO_PASSCRED, &v, 1));
    // Abstract names vanish with their socket; autobind.
    t = stream();
    SHOW(bind_(t, "@abstract-name"));
    SHOW(bind_(stream(), "@abstract-name"));
    who("abstract", t, getsockname);
    close(t);
    t = stream();
    SHOW(bind_(t, "@abstract-name"));
    t = stream();
    sa_family_t just = AF_UNIX;
    SHOW(bind(t, (void *)&just, 2));
    struct sockaddr_un got;
    len = sizeof got;
    getsockname(t, (void *)&got, &len);
    printf("autobound: length %d, abstract %d\n", (int)len, got.sun_path[0] == 0);
    SHOW(bind(stream(), (void *)&just, 1));
    SHOW(connect(stream(), (void *)&just, 2));
    struct sockaddr_un wrong = {AF_INET, "x"};
    SHOW(bind(stream(), (void *)&wrong, sizeof wrong));
    SHOW(bind(stream(), (void *)&wrong, 500));
    unlink("s");
    SHOW(connect_(stream(), "s"));
    SHOW(ioctl(sv[0], FIONREAD, &v));
    SHOW(v);
}
