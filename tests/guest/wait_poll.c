// poll, ppoll, select, pselect: readiness of everything, masks, timeouts, errors.
#include "guest.h"

static const char *bits(int r) {
    static char b[64];
    snprintf(b, sizeof b, "%s%s%s%s%s%s%s%s", r & POLLIN ? "IN " : "", r & POLLRDNORM ? "RDNORM " : "", r & POLLOUT ? "OUT " : "", r & POLLPRI ? "PRI " : "",
             r & POLLERR ? "ERR " : "", r & POLLHUP ? "HUP " : "", r & POLLRDHUP ? "RDHUP " : "", r & POLLNVAL ? "NVAL " : "");
    return b;
}
static void ask(const char *what, int fd) {
    struct pollfd p = {fd, POLLIN | POLLOUT | POLLPRI | POLLRDHUP | POLLRDNORM};
    int n = poll(&p, 1, 0);
    printf("%s: %d %s\n", what, n, bits(p.revents));
}
static volatile int got;
static void on_sig(int s) { got++; }

static void tests(void) {
    int p[2], s[2];
    static char big[1 << 20];
    CHECK(pipe2(p, O_NONBLOCK) == 0);
    ask("empty pipe, reader", p[0]);
    ask("empty pipe, writer", p[1]);
    CHECK(write(p[1], "x", 1) == 1);
    ask("data, reader", p[0]);
    CHECK(write(p[1], big, sizeof big) > 0);
    ask("full, writer", p[1]);
    close(p[1]);
    ask("data, no writer", p[0]);
    while (read(p[0], big, sizeof big) > 0) {}
    ask("no writer", p[0]);
    CHECK(pipe(p) == 0);
    close(p[0]);
    ask("no reader", p[1]);
    mkfifo("fifo", 0600);
    int f = open("fifo", O_RDONLY | O_NONBLOCK);
    ask("fifo that had no writer", f);
    int w = open("fifo", O_WRONLY);
    ask("fifo with one", f);
    close(w);
    ask("fifo that lost it", f);
    ask("regular file", open("f", O_CREAT | O_RDWR, 0600));
    ask("directory", open(".", O_RDONLY));
    ask("null", open("/dev/null", O_RDWR));
    ask("closed number", 99);
    ask("negative number", -1);
    ask("path only", open(".", O_PATH));
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    ask("stream", s[0]);
    CHECK(write(s[1], "x", 1) == 1);
    ask("stream with data", s[0]);
    shutdown(s[1], SHUT_WR);
    ask("peer shut writing", s[0]);
    shutdown(s[0], SHUT_WR);
    ask("both shut writing", s[0]);
    close(s[1]);
    ask("peer closed", s[0]);
    CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, s) == 0);
    ask("dgram", s[0]);
    CHECK(send(s[1], "", 0, 0) == 0);
    ask("dgram with an empty packet", s[0]);
    ask("unconnected stream", socket(AF_UNIX, SOCK_STREAM, 0));
    int l = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un a = {AF_UNIX, "s"};
    bind(l, (void *)&a, sizeof a);
    listen(l, 5);
    ask("listener", l);
    connect(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&a, sizeof a);
    ask("listener with a caller", l);
    int e = eventfd(0, 0);
    ask("eventfd 0", e);
    eventfd_write(e, 5);
    ask("eventfd 5", e);
    eventfd_write(e, 0xfffffffffffffffe - 5);
    ask("eventfd full", e);

    struct pollfd many[3] = {{e, POLLIN}, {99, POLLIN}, {-5, POLLIN, 77}};
    SHOW(poll(many, 3, -1));
    printf("%s", bits(many[0].revents));
    printf("%s%d\n", bits(many[1].revents), many[2].revents);
    SHOW(poll(NULL, 0, 10));
    SHOW(poll((void *)8, 1, 0));
    struct rlimit r;
    getrlimit(RLIMIT_NOFILE, &r);
    SHOW(poll(many, r.rlim_cur + 1, 0));
    struct timespec bad = {0, -1}, zero = {}, soon = {0, 10000000};
    SHOW(ppoll(many, 1, &bad, NULL));
    CHECK(pipe(p) == 0);
    // The mask of ppoll: a pending signal gets through exactly while it waits.
    handle(SIGUSR1, on_sig, 0);
    sigset_t block = sigs(SIGUSR1, 0), none = {};
    sigprocmask(SIG_BLOCK, &block, NULL);
    raise(SIGUSR1);
    many[0] = (struct pollfd){p[0], POLLIN};
    SHOW(ppoll(many, 1, &soon, NULL));
    SHOW(got);
    SHOW(ppoll(many, 1, NULL, &none));
    SHOW(got);
    raise(SIGUSR1);
    CHECK(write(p[1], "x", 1) == 1);
    SHOW(ppoll(many, 1, &zero, &none)); // ready: the signal stays pending
    SHOW(got);
    sigset_t pending;
    sigpending(&pending);
    SHOW(sigismember(&pending, SIGUSR1));

    fd_set in, out, ex;
    FD_ZERO(&in);
    FD_ZERO(&out);
    FD_ZERO(&ex);
    FD_SET(p[0], &in);
    FD_SET(p[1], &out);
    FD_SET(p[0], &out);
    FD_SET(p[0], &ex);
    struct timeval tv = {5, 0};
    SHOW(select(p[1] + 1, &in, &out, &ex, &tv));
    printf("%d %d %d %d, time left %d\n", FD_ISSET(p[0], &in), FD_ISSET(p[1], &out), FD_ISSET(p[0], &out), FD_ISSET(p[0], &ex), tv.tv_sec >= 4);
    FD_SET(99, &in);
    FD_SET(1023, &in);
    CHECK(dup2(p[0], 250) == 250 && close(250) == 0); // room for 256, not for 1023, whatever the parent had open
    SHOW(select(1024, &in, NULL, NULL, NULL));
    FD_CLR(99, &in);
    SHOW(select(1024, &in, NULL, NULL, NULL));
    SHOW(FD_ISSET(1023, &in));
    SHOW(select(-1, &in, NULL, NULL, NULL));
    tv = (struct timeval){-1, 0};
    SHOW(select(0, NULL, NULL, NULL, &tv));
    tv = (struct timeval){0, 20000};
    SHOW(select(0, NULL, NULL, NULL, &tv));
    SHOW(tv.tv_usec);
    
    SHOW(pselect(0, NULL, NULL, NULL, &soon, &none)); // the pending one
    SHOW(got);
    close(p[1]);
    FD_ZERO(&in);
    FD_SET(p[0], &in);
    CHECK(read(p[0], big, 1) == 1);
    SHOW(select(p[0] + 1, &in, NULL, NULL, NULL)); // end of file is readable
}
