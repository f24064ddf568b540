// sigsuspend, sigwaitinfo, sigtimedwait, pause: what wakes them, in which order, with which mask.
#include "guest.h"

static int order[8], n;
static void on_sig(int s) { order[n++] = s; }
static pid_t later(int sig) {
    pid_t me = getpid(), p = fork();
    if (!p) {
        until_state(me, 'S');
        kill(me, sig);
        _exit(0);
    }
    return p;
}
static int worker_got;
static void *worker(void *v) {
    sigset_t s = sigs(SIGUSR1, 0);
    sigwait(&s, &worker_got);
    return NULL;
}

static void tests(void) {
    sigset_t usr = sigs(SIGUSR1, SIGUSR2), none = {}, now;
    siginfo_t si;
    struct timespec zero = {0}, soon = {0, 10000000}, bad = {0, 1000000000}, negative = {-1, 0};
    handle(SIGUSR1, on_sig, 0);
    handle(SIGUSR2, on_sig, 0);
    sigprocmask(SIG_BLOCK, &usr, NULL);
    SHOW(sigtimedwait(&usr, &si, &zero));
    SHOW(sigtimedwait(&usr, &si, &soon));
    SHOW(sigtimedwait(&usr, &si, &bad));
    SHOW(sigtimedwait(&usr, &si, &negative));
    SHOW(syscall(SYS_rt_sigtimedwait, &usr, &si, &zero, 4));
    SHOW(syscall(SYS_rt_sigtimedwait, 8, &si, &zero, 8));
    raise(SIGUSR2);
    raise(SIGUSR1);
    printf("first %s\n", name_of(sigtimedwait(&usr, &si, &zero)));
    printf("code %d\n", si.si_code);
    printf("second %s\n", name_of(sigtimedwait(&usr, NULL, &zero)));
    SHOW(n);
    // A pending one ends sigsuspend at once, with its handler run.
    raise(SIGUSR1);
    SHOW(sigsuspend(&none));
    printf("handled %d: %s\n", n, name_of(order[0]));
    sigprocmask(0, NULL, &now);
    SHOW(sigismember(&now, SIGUSR1)); // the mask is back
    n = 0;
    raise(SIGUSR1), raise(SIGUSR2);
    SHOW(sigsuspend(&none));
    SHOW(n); // both
    n = 0;
    sigset_t only1 = sigs(SIGUSR1, 0);
    pid_t p = later(SIGUSR2);
    raise(SIGUSR1);
    SHOW(sigsuspend(&only1));
    printf("handled %d: %s\n", n, name_of(order[0]));
    wait_for(p);
    printf("still pending: %s\n", name_of(sigtimedwait(&usr, NULL, &zero)));

    p = later(SIGUSR1);
    printf("waited for %s\n", name_of(sigwaitinfo(&usr, &si)));
    printf("from child %d uid %d\n", si.si_pid == p, si.si_uid);
    wait_for(p);
    // Waiting for an ignored or default-ignored signal works while it is blocked.
    usr = sigs(SIGCHLD, SIGURG);
    sigprocmask(SIG_BLOCK, &usr, NULL);
    p = fork();
    if (!p) _exit(3);
    printf("waited for %s", name_of(sigwaitinfo(&usr, &si)));
    printf(" status %d code %d\n", si.si_status, si.si_code);
    wait_for(p);
    // SIGKILL and SIGSTOP can not be waited for.
    usr = sigs(SIGKILL, SIGSTOP);
    SHOW(sigtimedwait(&usr, &si, &zero));
    // A thread in sigwait gets the process's signal though the main thread blocks it too.
    usr = sigs(SIGUSR1, 0);
    sigprocmask(SIG_BLOCK, &usr, NULL);
    pthread_t t;
    pthread_create(&t, NULL, worker, NULL);
    nap(20);
    kill(getpid(), SIGUSR1);
    pthread_join(t, NULL);
    printf("worker got %s\n", name_of(worker_got));
    // Stopped and continued: this call is one of those that then fail with EINTR (signal(7)).
    p = fork();
    if (!p) {
        usr = sigs(SIGUSR1, 0);
        struct timespec t5 = {5, 0};
        _exit(sigtimedwait(&usr, NULL, &t5) == -1 && errno == EINTR ? 21 : 22);
    }
    until_state(p, 'S');
    kill(p, SIGSTOP);
    until_state(p, 'T');
    kill(p, SIGCONT);
    say_status("stopped in between", wait_for(p));
    // A handler for another signal: EINTR.
    handle(SIGHUP, on_sig, SA_RESTART);
    p = later(SIGHUP);
    SHOW(sigwaitinfo(&only1, &si));
    wait_for(p);
    SHOW(sigsuspend((void *)8));
    SHOW(syscall(SYS_rt_sigsuspend, &none, 4));
}
