// pidfd_open, pidfd_send_signal, pidfd_getfd, polling a pidfd, waitid(P_PIDFD).
#include "guest.h"

static int pidfd_open(pid_t p, unsigned f) { return syscall(SYS_pidfd_open, p, f); }
static int pidfd_send(int fd, int sig, siginfo_t *si, unsigned f) { return syscall(SYS_pidfd_send_signal, fd, sig, si, f); }
static int pidfd_getfd(int fd, int n, unsigned f) { return syscall(SYS_pidfd_getfd, fd, n, f); }
static volatile int got, value, code;
static void on_usr(int s, siginfo_t *si, void *c) { got = s, value = si->si_value.sival_int, code = si->si_code; }

static void tests(void) {
    SHOW(pidfd_open(0, 0));
    SHOW(pidfd_open(-1, 0));
    SHOW(pidfd_open(99999999, 0));
    SHOW(pidfd_open(getpid(), 1));
    int me = OK(pidfd_open(getpid(), 0));
    SHOW(fcntl(me, F_GETFD));
    handle_info(SIGUSR1, on_usr, 0);
    SHOW(pidfd_send(me, SIGUSR1, NULL, 0));
    printf("got %s code %d\n", name_of(got), code);
    siginfo_t si = {.si_signo = SIGUSR1, .si_code = SI_QUEUE};
    si.si_value.sival_int = 77;
    SHOW(pidfd_send(me, SIGUSR1, &si, 0));
    printf("got %s code %d value %d\n", name_of(got), code, value);
    si.si_signo = SIGUSR2;
    SHOW(pidfd_send(me, SIGUSR1, &si, 0));
    SHOW(pidfd_send(me, SIGUSR1, NULL, 64));
    SHOW(pidfd_send(me, 65, NULL, 0));
    SHOW(pidfd_send(me, 0, NULL, 0));
    SHOW(pidfd_send(1, SIGUSR1, NULL, 0));
    SHOW(pidfd_send(-1, SIGUSR1, NULL, 0));

    // A directory of /proc will do, for signals.
    int dir = open("/proc/self", O_DIRECTORY);
    got = 0;
    SHOW(pidfd_send(dir, SIGUSR1, NULL, 0));
    SHOW(got);
    SHOW(pidfd_getfd(dir, 0, 0));
    SHOW(pidfd_send(open("/proc", O_DIRECTORY), SIGUSR1, NULL, 0));
    int pipefd[2];
    CHECK(pipe(pipefd) == 0);
    pid_t p = fork();
    if (!p) {
        int f = open("child-file", O_RDWR | O_CREAT, 0600);
        dup2(f, 50);
        CHECK(write(50, "from the child", 14) == 14);
        CHECK(write(pipefd[1], "x", 1) == 1);
        pause();
    }
    char c, text[32] = "";
    CHECK(read(pipefd[0], &c, 1) == 1);
    int fd = OK(pidfd_open(p, 0));
    int theirs = OK(pidfd_getfd(fd, 50, 0));
    SHOW(fcntl(theirs, F_GETFD));
    CHECK(pread(theirs, text, 14, 0) == 14);
    puts(text);
    SHOW(lseek(theirs, 0, SEEK_CUR)); // the same open file
    SHOW(pidfd_getfd(fd, 999, 0));
    SHOW(pidfd_getfd(fd, 50, 1));
    SHOW(pidfd_getfd(1, 50, 0));

    struct pollfd pf = {.fd = fd, .events = POLLIN};
    SHOW(poll(&pf, 1, 0));
    int ep = epoll_create1(0);
    struct epoll_event ev = {.events = EPOLLIN, .data.u32 = 5};
    SHOW(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev));
    SHOW(epoll_wait(ep, &ev, 1, 0));
    char b;
    SHOW(read(fd, &b, 1));
    SHOW(write(fd, &b, 1));
    SHOW(pidfd_send(fd, SIGTERM, NULL, 0));
    SHOW(poll(&pf, 1, 5000));
    SHOW(pf.revents & POLLIN);
    SHOW(epoll_wait(ep, &ev, 1, 5000));
    si = (siginfo_t){};
    SHOW(waitid(P_PIDFD, fd, &si, WEXITED | WNOWAIT));
    printf("code %d status %s\n", si.si_code, name_of(si.si_status));
    SHOW(pidfd_send(fd, 0, NULL, 0)); // a zombie
    SHOW(waitid(P_PIDFD, fd, &si, WEXITED));
    SHOW(pidfd_send(fd, 0, NULL, 0));
    SHOW(waitid(P_PIDFD, fd, &si, WEXITED));
    SHOW(pidfd_getfd(fd, 0, 0));
    SHOW(poll(&pf, 1, 0));
    SHOW(pf.revents & POLLIN);

    // A non-blocking pidfd makes waitid non-blocking.
    p = fork();
    if (!p) pause();
    fd = OK(pidfd_open(p, O_NONBLOCK));
    SHOW(fcntl(fd, F_GETFL) & O_NONBLOCK);
    SHOW(waitid(P_PIDFD, fd, &si, WEXITED));
    kill(p, SIGKILL);
    wait_for(p);

    // Not for a child of somebody else.
    SHOW(waitid(P_PIDFD, me, &si, WEXITED | WNOHANG));
    char link[64] = "", path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", me);
    CHECK(readlink(path, link, 63) > 0);
    printf("%.18s\n", strstr(link, "pidfd") ? "a pidfd" : link);
}
