// eventfd and signalfd.
#include "guest.h"
#include <sys/signalfd.h>

static void *late(void *v) {
    nap(20);
    unsigned long one = 1;
    CHECK(write(*(int *)v, &one, 8) == 8);
    return NULL;
}

static void tests(void) {
    unsigned long v = 0;
    int e = OK(eventfd(3, EFD_NONBLOCK | EFD_CLOEXEC));
    SHOW(eventfd(0, 64));
    SHOW(read(e, &v, 4));
    SHOW(read(e, &v, 8));
    SHOW(v);
    SHOW(read(e, &v, 8));
    v = 5;
    SHOW(write(e, &v, 8));
    SHOW(write(e, &v, 4));
    SHOW(read(e, &v, 16));
    SHOW(v);
    v = -1;
    SHOW(write(e, &v, 8));
    v = -2;
    SHOW(write(e, &v, 8));
    v = 1;
    SHOW(write(e, &v, 8));
    SHOW(read(e, &v, 8));
    SHOW(v == -2ul);
    SHOW(pread(e, &v, 8, 0));
    int s = OK(eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK));
    SHOW(read(s, &v, 8));
    SHOW(v);
    SHOW(read(s, &v, 8));
    SHOW(read(s, &v, 8));
    int b = eventfd(0, 0);
    pthread_t t;
    pthread_create(&t, NULL, late, &b);
    SHOW(read(b, &v, 8));
    pthread_join(t, NULL);
    say_status("child", CHILD(v = 9; CHECK(write(b, &v, 8) == 8)));
    SHOW(read(b, &v, 8));
    SHOW(v);

    sigset_t set = sigs(SIGUSR1, SIGRTMIN), other = sigs(SIGUSR2, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    sigprocmask(SIG_BLOCK, &other, NULL);
    int fd = OK(signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
    struct signalfd_siginfo si[4];
    SHOW(signalfd(-1, &set, 64));
    SHOW(signalfd(1, &set, 0));
    SHOW(signalfd(99, &set, 0));
    SHOW(read(fd, si, sizeof si));
    SHOW(read(fd, si, 10));
    SHOW(write(fd, si, 10));
    struct pollfd p = {fd, POLLIN};
    SHOW(poll(&p, 1, 0));
    raise(SIGUSR1);
    SHOW(poll(&p, 1, 0));
    sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 42});
    sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 43});
    raise(SIGUSR2);
    SHOW(read(fd, si, sizeof si) / sizeof *si);
    for (int i = 0; i < 3; i++)
        printf("%s code %d pid %d uid %d int %d\n", name_of(si[i].ssi_signo), si[i].ssi_code, si[i].ssi_pid == getpid(), si[i].ssi_uid, si[i].ssi_int);
    SHOW(read(fd, si, sizeof si));
    SHOW(signalfd(fd, &other, 0) == fd); // another set
    SHOW(read(fd, si, sizeof si) / (long)sizeof *si);
    printf("%s\n", name_of(si[0].ssi_signo));
    pid_t c = fork();
    if (!c) _exit(17);
    wait_for(c);
    SHOW(poll(&p, 1, 1000));
    SHOW(read(fd, si, sizeof *si) / (long)sizeof *si);
    printf("%s code %d pid %d status %d\n", name_of(si[0].ssi_signo), si[0].ssi_code, si[0].ssi_pid == (unsigned)c, si[0].ssi_status);
    // A blocking read woken by a child's signal; epoll on it.
    int blocking = signalfd(-1, &other, 0);
    pid_t me = getpid();
    c = fork();
    if (!c) {
        until_state(me, 'S');
        kill(me, SIGUSR2);
        _exit(0);
    }
    SHOW(read(blocking, si, sizeof *si) / (long)sizeof *si);
    printf("%s from child %d\n", name_of(si[0].ssi_signo), si[0].ssi_pid == (unsigned)c);
    wait_for(c);
    while (read(fd, si, sizeof *si) > 0) {}
    int ep = epoll_create1(0);
    struct epoll_event ev = {.events = EPOLLIN};
    SHOW(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev));
    SHOW(epoll_wait(ep, &ev, 1, 0));
    kill(me, SIGUSR2);
    SHOW(epoll_wait(ep, &ev, 1, 1000));
    SHOW(read(fd, si, sizeof *si) / (long)sizeof *si);
    SHOW(epoll_wait(ep, &ev, 1, 0));
    // A child reads its own signals through an inherited signalfd.
    raise(SIGUSR2);
    say_status("child", CHILD(SHOW(read(fd, si, sizeof *si)); raise(SIGUSR2); SHOW(read(fd, si, sizeof *si) / (long)sizeof *si)));
    SHOW(read(fd, si, sizeof *si) / (long)sizeof *si);
    // SIGKILL and SIGSTOP are left out in silence.
    sigset_t odd = sigs(SIGKILL, SIGSTOP);
    OK(signalfd(-1, &odd, 0));
    SHOW(syscall(SYS_signalfd4, -1, &odd, 4, 0));
}
