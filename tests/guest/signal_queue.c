// Queueing: real-time signals queue in order, standard ones once; process and thread queues; sigpending; counts of timers.
// needs: pace
#include "guest.h"

static int seen[64], values[64], n;
static void on_rt(int s, siginfo_t *si, void *c) { seen[n] = s, values[n++] = si->si_value.sival_int; }
static void dump(const char *what) {
    printf("%s:", what);
    for (int i = 0; i < n; i++) printf(" %s/%d", name_of(seen[i]), values[i]);
    puts("");
    n = 0;
}

static void tests(void) {
    sigset_t all, full, pending;
    sigemptyset(&all);
    for (int i = 0; i < 4; i++) {
        struct sigaction a = {.sa_sigaction = on_rt, .sa_flags = SA_SIGINFO};
        sigfillset(&a.sa_mask);
        sigaction(SIGRTMIN + i, &a, NULL);
        sigaddset(&all, SIGRTMIN + i);
    }
    struct sigaction a = {.sa_sigaction = on_rt, .sa_flags = SA_SIGINFO};
    sigfillset(&a.sa_mask);
    sigaction(SIGUSR1, &a, NULL);
    sigaction(SIGUSR2, &a, NULL);
    sigaddset(&all, SIGUSR1), sigaddset(&all, SIGUSR2);
    sigprocmask(SIG_BLOCK, &all, NULL);
    pid_t me = getpid();
    for (int i = 0; i < 3; i++) {
        for (int k = 3; k >= 0; k--) sigqueue(me, SIGRTMIN + k, (union sigval){.sival_int = 10 * k + i});
        sigqueue(me, SIGUSR2, (union sigval){.sival_int = 100 + i});
        sigqueue(me, SIGUSR1, (union sigval){.sival_int = 200 + i});
    }
    sigpending(&pending);
    SHOW(sigismember(&pending, SIGRTMIN + 2));
    SHOW(sigismember(&pending, SIGUSR1));
    SHOW(sigismember(&pending, SIGHUP));
    sigprocmask(SIG_UNBLOCK, &all, NULL);
    dump("all");
    // Those of the thread come before those of the process.
    sigprocmask(SIG_BLOCK, &all, NULL);
    sigqueue(me, SIGRTMIN, (union sigval){.sival_int = 1});
    union sigval v = {.sival_int = 2};
    pthread_sigqueue(pthread_self(), SIGRTMIN, v);
    v.sival_int = 3;
    pthread_sigqueue(pthread_self(), SIGRTMIN + 1, v);
    kill(me, SIGUSR1);
    sigprocmask(SIG_UNBLOCK, &all, NULL);
    dump("thread first");
    // sigwaitinfo takes the lowest of its set and leaves the rest.
    sigprocmask(SIG_BLOCK, &all, NULL);
    sigqueue(me, SIGRTMIN + 2, (union sigval){.sival_int = 7});
    sigqueue(me, SIGRTMIN + 1, (union sigval){.sival_int = 8});
    sigqueue(me, SIGRTMIN + 1, (union sigval){.sival_int = 9});
    siginfo_t si;
    printf("took %s", name_of(sigwaitinfo(&all, &si)));
    printf(" value %d code %d pid %d\n", si.si_value.sival_int, si.si_code, si.si_pid == me);
    sigset_t two = sigs(SIGRTMIN + 2, 0);
    printf("took %s\n", name_of(sigwaitinfo(&two, &si)));
    sigprocmask(SIG_UNBLOCK, &all, NULL);
    dump("the rest");
    // From another process; the sender is told; a child's queue is its own.
    sigprocmask(SIG_BLOCK, &all, NULL);
    int st = CHILD(for (int i = 0; i < 5; i++) sigqueue(getppid(), SIGRTMIN + i % 2, (union sigval){.sival_int = i}));
    say_status("sender", st);
    st = CHILD(sigpending(&pending); SHOW(sigismember(&pending, SIGRTMIN)));
    sigprocmask(SIG_UNBLOCK, &all, NULL);
    dump("from a child");
    // RT signals ignored are not queued; SIG_DFL kills.
    signal(SIGRTMIN + 3, SIG_IGN);
    sigprocmask(SIG_BLOCK, &all, NULL);
    sigqueue(me, SIGRTMIN + 3, v);
    sigpending(&pending);
    SHOW(sigismember(&pending, SIGRTMIN + 3)); // blocked: kept, for the action may change
    sigprocmask(SIG_UNBLOCK, &all, NULL);
    say_status("default", CHILD(signal(SIGRTMIN, SIG_DFL); raise(SIGRTMIN)));
    SHOW(sigqueue(me, 0, v));
    SHOW(sigqueue(me, 65, v));
    SHOW(sigqueue(99999999, SIGRTMIN, v));
    SHOW(sigqueue(-1, SIGRTMIN, v));
    dump("none");
    // A timer's signal is pending once, and counts its overruns.
    sigfillset(&full);
    sigprocmask(SIG_BLOCK, &full, NULL);
    timer_t t;
    struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN, .sigev_value.sival_int = 55};
    SHOW(timer_create(CLOCK_MONOTONIC, &ev, &t));
    struct itimerspec its = {{0, 1000000}, {0, 1000000}};
    SHOW(timer_settime(t, 0, &its, NULL));
    nap(50);
    printf("took %s", name_of(sigwaitinfo(&full, &si)));
    printf(" value %d code %d overrun %d\n", si.si_value.sival_int, si.si_code, si.si_overrun >= 20 && si.si_overrun < 5000);
    SHOW(timer_delete(t));
    SHOW(sigtimedwait(&full, &si, &(struct timespec){0, 5000000}));
}
