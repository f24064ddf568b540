// What a handler does to a call that waits: SA_RESTART, EINTR, and calls that never restart.
#include "guest.h"
#include <linux/futex.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <semaphore.h>

static volatile int caught;
static void on_usr(int s) { caught++; }
static int pipefd[2], sv[2];
static char b[8];

// Another process signals this one when it sleeps, twice if `finish`; then it makes the call end.
static pid_t poke(bool finish) {
    pid_t me = getpid(), p = fork();
    if (p) return p;
    until_state(me, 'S');
    kill(me, SIGUSR1);
    if (finish) {
        nap(20);
        until_state(me, 'S');
        CHECK(write(pipefd[1], "ab", 2) == 2);
        CHECK(write(sv[1], "ab", 2) == 2);
    }
    _exit(0);
}

#define TRY(flags, finish, e)                                                                                                     \
    do {                                                                                                                          \
        caught = 0;                                                                                                               \
        handle(SIGUSR1, on_usr, flags);                                                                                           \
        pid_t p_ = poke(finish);                                                                                                  \
        SHOW(e);                                                                                                                  \
        while (!caught) nap(1);                                                                                                   \
        waitpid(p_, NULL, 0);                                                                                                     \
        while (recv(sv[0], b, 8, MSG_DONTWAIT) > 0) {}                                                                            \
        fcntl(pipefd[0], F_SETFL, O_NONBLOCK);                                                                                    \
        while (read(pipefd[0], b, 8) > 0) {}                                                                                      \
        fcntl(pipefd[0], F_SETFL, 0);                                                                                             \
    } while (0)

static int futex_word;
static fd_set *only(fd_set *set, int fd) {
    FD_ZERO(set);
    FD_SET(fd, set);
    return set;
}

static void tests(void) {
    CHECK(pipe(pipefd) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, sv) == 0);
    struct timespec long_ = {100, 0}, left;
    struct pollfd pf = {pipefd[0], POLLIN};
    fd_set set;
    sigset_t none = {};
    struct epoll_event ev = {.events = EPOLLIN};
    int ep = epoll_create1(0);
    epoll_ctl(ep, EPOLL_CTL_ADD, pipefd[0], &ev);

    TRY(0, false, read(pipefd[0], b, 8));
    TRY(SA_RESTART, true, read(pipefd[0], b, 8));
    TRY(0, false, recv(sv[0], b, 8, 0));
    TRY(SA_RESTART, true, recv(sv[0], b, 8, 0));
    struct timeval tv = {100, 0};
    setsockopt(sv[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
    TRY(SA_RESTART, false, recv(sv[0], b, 8, 0)); // a timeout forbids restarting
    tv.tv_sec = 0;
    setsockopt(sv[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);

    TRY(SA_RESTART, false, poll(&pf, 1, 100000));
    TRY(SA_RESTART, false, select(pipefd[0] + 1, only(&set, pipefd[0]), NULL, NULL, NULL));
    TRY(SA_RESTART, false, ppoll(&pf, 1, NULL, &none));
    TRY(SA_RESTART, false, epoll_wait(ep, &ev, 1, -1));
    TRY(SA_RESTART, false, pause());
    TRY(SA_RESTART, false, sigsuspend(&none));
    TRY(SA_RESTART, false, nanosleep(&long_, &left));
    CHECK(left.tv_sec >= 90 && left.tv_sec <= 100);
    TRY(SA_RESTART, false, clock_nanosleep(CLOCK_MONOTONIC, 0, &long_, &left));
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += 100;
    TRY(SA_RESTART, false, clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL));
    sigset_t usr2 = sigs(SIGUSR2, 0);
    TRY(SA_RESTART, false, sigtimedwait(&usr2, NULL, &long_));
    TRY(SA_RESTART, false, sigwaitinfo(&usr2, NULL));

    TRY(0, false, syscall(SYS_futex, &futex_word, FUTEX_WAIT, 0, NULL));
    TRY(0, false, syscall(SYS_futex, &futex_word, FUTEX_WAIT, 0, &long_));
    TRY(SA_RESTART, false, syscall(SYS_futex, &futex_word, FUTEX_WAIT, 0, &long_));

    // A lock, an open of a fifo.
    int fd = open("f", O_CREAT | O_RDWR, 0600), box[2];
    CHECK(pipe(box) == 0);
    pid_t holder = fork();
    if (!holder) {
        int f = open("f", O_RDWR);
        flock(f, LOCK_EX);
        struct flock fl = {.l_type = F_WRLCK};
        fcntl(f, F_SETLK, &fl);
        CHECK(write(box[1], "x", 1) == 1);
        pause();
    }
    CHECK(read(box[0], b, 1) == 1);
    struct flock fl = {.l_type = F_WRLCK};
    TRY(0, false, flock(fd, LOCK_EX));
    TRY(0, false, fcntl(fd, F_SETLKW, &fl));
    mkfifo("fifo", 0600);
    TRY(0, false, open("fifo", O_RDONLY));
    TRY(0, false, waitpid(holder, NULL, 0));
    kill(holder, SIGKILL);
    wait_for(holder);
    unsigned long big = 0;
    int efd = eventfd(0, 0);
    TRY(0, false, read(efd, &big, 8));
    int tfd = timerfd_create(CLOCK_MONOTONIC, 0);
    TRY(0, false, read(tfd, &big, 8));
    int sfd = signalfd(-1, &usr2, 0);
    sigprocmask(SIG_BLOCK, &usr2, NULL);
    static struct signalfd_siginfo ssi;
    TRY(0, false, read(sfd, &ssi, sizeof ssi));

    // A full pipe: what was written counts, EINTR only if nothing was.
    static char much[1 << 20];
    TRY(0, false, write(pipefd[1], much, sizeof much) < (long)sizeof much);
    // Ignored signals, stop and continue do not interrupt.
    signal(SIGUSR1, SIG_IGN);
    caught = 1;
    pid_t p = poke(true);
    SHOW(read(pipefd[0], b, 2));
    wait_for(p);
}
