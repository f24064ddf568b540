// epoll: level, edge, one-shot, exclusive, changes, closing, nesting, errors.
#include "guest.h"

static int ep;
static int ctl(int op, int fd, unsigned events) {
    struct epoll_event e = {.events = events, .data.u32 = fd};
    return epoll_ctl(ep, op, fd, &e);
}
static void look(const char *what) {
    struct epoll_event e[8];
    int n = epoll_wait(ep, e, 8, 0);
    printf("%s: %d", what, n);
    unsigned all = 0;
    for (int i = 0; i < n; i++) all |= e[i].events;
    printf("%s%s%s%s%s\n", all & EPOLLIN ? " IN" : "", all & EPOLLOUT ? " OUT" : "", all & EPOLLHUP ? " HUP" : "", all & EPOLLRDHUP ? " RDHUP" : "",
           all & EPOLLERR ? " ERR" : "");
}
static void *late_writer(void *v) {
    nap(20);
    CHECK(write(*(int *)v, "x", 1) == 1);
    return NULL;
}
static volatile int woken;
static void *sleeper(void *v) {
    struct epoll_event e;
    if (epoll_wait(*(int *)v, &e, 1, 3000) == 1) __atomic_fetch_add(&woken, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

// As many events as there are, however many are asked for (CPython's test_selectors: 32752).
static void many(void) {
    enum { MANY = 5000 };
    struct rlimit most;
    CHECK(getrlimit(RLIMIT_NOFILE, &most) == 0);
    most.rlim_cur = most.rlim_max;
    CHECK(setrlimit(RLIMIT_NOFILE, &most) == 0);
    ep = epoll_create1(0);
    int full = eventfd(1, 0);
    for (int i = 0; i < MANY; i++) {
        int fd = dup(full);
        CHECK(fd >= 0 && ctl(EPOLL_CTL_ADD, fd, EPOLLIN) == 0);
    }
    static struct epoll_event all[MANY + 1];
    SHOW(epoll_wait(ep, all, MANY + 1, 0));
    SHOW(epoll_wait(ep, all, MANY - 1, 0));
}

static void tests(void) {
    int p[2], q[2], s[2];
    char b[64];
    struct epoll_event e = {};
    SHOW(epoll_create1(64));
    SHOW(epoll_create(0));
    ep = OK(epoll_create1(EPOLL_CLOEXEC));
    CHECK(pipe2(p, O_NONBLOCK) == 0 && pipe2(q, O_NONBLOCK) == 0);
    SHOW(ctl(EPOLL_CTL_MOD, p[0], EPOLLIN));
    SHOW(ctl(EPOLL_CTL_DEL, p[0], 0));
    SHOW(ctl(EPOLL_CTL_ADD, p[0], EPOLLIN));
    SHOW(ctl(EPOLL_CTL_ADD, p[0], EPOLLIN));
    SHOW(ctl(9, p[0], EPOLLIN));
    SHOW(ctl(EPOLL_CTL_ADD, 99, EPOLLIN));
    SHOW(ctl(EPOLL_CTL_ADD, ep, EPOLLIN));
    SHOW(ctl(EPOLL_CTL_ADD, open("f", O_CREAT | O_RDWR, 0600), EPOLLIN));
    SHOW(ctl(EPOLL_CTL_ADD, open(".", O_RDONLY), EPOLLIN));
    SHOW(epoll_ctl(p[0], EPOLL_CTL_ADD, p[1], &e));
    SHOW(epoll_ctl(ep, EPOLL_CTL_MOD, p[0], NULL));
    SHOW(epoll_wait(ep, &e, 0, 0));
    SHOW(epoll_wait(ep, &e, -1, 0));
    SHOW(epoll_wait(p[0], &e, 1, 0));
    SHOW(epoll_wait(99, &e, 1, 0));
    SHOW(read(ep, b, 1));
    look("nothing");
    CHECK(write(p[1], "ab", 2) == 2);
    SHOW(epoll_wait(ep, (void *)8, 1, 0));
    look("level");
    look("level again");
    CHECK(read(p[0], b, 1) == 1);
    look("level, half read");
    SHOW(ctl(EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLET));
    look("edge after change");
    look("edge again");
    CHECK(write(p[1], "c", 1) == 1);
    look("edge, new data");
    look("edge, nothing new");
    CHECK(read(p[0], b, 8) == 2);
    look("edge, emptied");
    CHECK(write(p[1], "d", 1) == 1);
    SHOW(ctl(EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLONESHOT));
    look("one shot");
    look("one shot, spent");
    CHECK(write(p[1], "e", 1) == 1);
    look("one shot, still spent");
    SHOW(ctl(EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLONESHOT));
    look("one shot, armed again");
    SHOW(ctl(EPOLL_CTL_MOD, p[0], 0));
    look("no events wanted");
    close(p[1]);
    look("hang-up comes unasked");
    SHOW(ctl(EPOLL_CTL_DEL, p[0], 0));
    look("removed");
    // Closing removes, unless a copy is left.
    CHECK(write(q[1], "x", 1) == 1);
    SHOW(ctl(EPOLL_CTL_ADD, q[0], EPOLLIN));
    int copy = dup(q[0]);
    SHOW(ctl(EPOLL_CTL_ADD, copy, EPOLLIN)); // another number, another entry
    look("two");
    close(q[0]);
    look("the first closed, its file open");
    close(copy);
    look("both closed");
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    SHOW(ctl(EPOLL_CTL_ADD, s[0], EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET));
    look("socket");
    look("socket, again");
    CHECK(write(s[1], "x", 1) == 1);
    look("data");
    shutdown(s[1], SHUT_WR);
    look("shut");
    close(s[1]);
    look("closed");
    close(s[0]);
    // Round robin among ready ones when there is little room.
    int ev[3], seen = 0;
    for (int i = 0; i < 3; i++) ev[i] = eventfd(1, 0), ctl(EPOLL_CTL_ADD, ev[i], EPOLLIN);
    for (int i = 0; i < 3; i++) CHECK(epoll_wait(ep, &e, 1, 0) == 1), seen |= 1 << (e.data.u32 - ev[0]);
    SHOW(seen == 1 + (1 << (ev[1] - ev[0])) + (1 << (ev[2] - ev[0])));
    for (int i = 0; i < 3; i++) close(ev[i]);
    // Nesting, and rings.
    int outer = epoll_create1(0), inner = ep;
    e.events = EPOLLIN;
    SHOW(epoll_ctl(outer, EPOLL_CTL_ADD, inner, &e));
    SHOW(epoll_ctl(inner, EPOLL_CTL_ADD, outer, &e));
    SHOW(epoll_wait(outer, &e, 1, 0));
    int n = eventfd(1, 0);
    ctl(EPOLL_CTL_ADD, n, EPOLLIN);
    SHOW(epoll_wait(outer, &e, 1, 0));
    struct pollfd pf = {outer, POLLIN};
    SHOW(poll(&pf, 1, 0));
    unsigned long v;
    CHECK(read(n, &v, 8) == 8);
    SHOW(epoll_wait(outer, &e, 1, 0));
    SHOW(poll(&pf, 1, 0));
    pthread_t t, ts[3];
    int twice[2];
    CHECK(pipe(twice) == 0);
    ctl(EPOLL_CTL_ADD, twice[0], EPOLLIN);
    pthread_create(&t, NULL, late_writer, &twice[1]);
    SHOW(epoll_wait(outer, &e, 1, 3000));
    pthread_join(t, NULL);
    int chain[8];
    for (int i = 0; i < 8; i++) {
        chain[i] = epoll_create1(0);
        e.events = EPOLLIN;
        if (i) printf("depth %d: %s\n", i, epoll_ctl(chain[i], EPOLL_CTL_ADD, chain[i - 1], &e) ? strerrorname_np(errno) : "ok");
    }
    // Added while somebody waits; one edge wakes one waiter.
    CHECK(read(twice[0], b, 1) == 1);
    ctl(EPOLL_CTL_DEL, twice[0], 0);
    pthread_create(&ts[0], NULL, sleeper, &ep);
    nap(20);
    int now = eventfd(1, 0);
    SHOW(ctl(EPOLL_CTL_ADD, now, EPOLLIN | EPOLLET));
    pthread_join(ts[0], NULL);
    SHOW(woken);
    SHOW(ctl(EPOLL_CTL_ADD, dup(now), EPOLLIN | EPOLLEXCLUSIVE));
    SHOW(ctl(EPOLL_CTL_ADD, eventfd(0, 0), EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT));
    SHOW(ctl(EPOLL_CTL_MOD, now, EPOLLIN | EPOLLEXCLUSIVE));
    // Masks, nanoseconds.
    sigset_t none = {};
    struct timespec soon = {0, 1000000}, bad = {0, 1000000000};
    int quiet = epoll_create1(0);
    SHOW(syscall(SYS_epoll_pwait2, quiet, &e, 1, &soon, NULL, 0));
    SHOW(syscall(SYS_epoll_pwait2, quiet, &e, 1, &bad, NULL, 0));
    SHOW(epoll_pwait(quiet, &e, 1, 1, &none));
    SHOW(syscall(SYS_epoll_pwait, quiet, &e, 1, 1, &none, 4));
    say_status("inherited", CHILD(SHOW(epoll_wait(outer, &e, 1, 0))));
    say_status("many", CHILD(many()));
}
