// An epoll in an epoll: each event is news to an edge-triggered watch; positions of what has none; the parent-death signal.
#include "guest.h"
#include <sys/signalfd.h>
#include <sys/timerfd.h>

static void tests(void) {
    int inner = epoll_create1(0), outer = epoll_create1(0), p[2];
    pipe(p);
    struct epoll_event ev = {.events = EPOLLIN};
    epoll_ctl(inner, EPOLL_CTL_ADD, p[0], &ev);
    ev.events = EPOLLIN | EPOLLET;
    epoll_ctl(outer, EPOLL_CTL_ADD, inner, &ev);
    SHOW(epoll_wait(outer, &ev, 1, 0));
    for (int i = 0; i < 3; i++) {
        write(p[1], "x", 1);
        SHOW(epoll_wait(outer, &ev, 1, 0));
        SHOW(epoll_wait(outer, &ev, 1, 0));
    }
    char b[8];
    SHOW(read(p[0], b, 8));
    SHOW(epoll_wait(outer, &ev, 1, 0));
    write(p[1], "x", 1);
    SHOW(epoll_wait(outer, &ev, 1, 0));
    SHOW(epoll_ctl(outer, EPOLL_CTL_ADD, open(".", O_PATH), &ev));
    sigset_t s = sigs(SIGUSR1, 0);
    SHOW(lseek(inner, 5, SEEK_SET));
    SHOW(lseek(eventfd(0, 0), 5, SEEK_END));
    SHOW(lseek(signalfd(-1, &s, 0), 0, SEEK_CUR));
    SHOW(lseek(timerfd_create(CLOCK_MONOTONIC, 0), 0, SEEK_CUR));
    int sig = 0;
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    CHILD(CHECK(prctl(PR_GET_PDEATHSIG, &sig) == 0); SHOW(sig));
    CHILD(prctl(PR_SET_PDEATHSIG, SIGTERM); setuid(1000); CHECK(prctl(PR_GET_PDEATHSIG, &sig) == 0); SHOW(sig));
}
