// Leaving handlers by siglongjmp, from faults and timers, over and over; signals against fork and threads.
#include "guest.h"

static sigjmp_buf env;
static volatile int hits;
static void on_fault(int s) {
    hits++;
    siglongjmp(env, s);
}
static void on_tick(int s) {
    hits++;
    siglongjmp(env, 1);
}
static void count(int s) { hits++; }

static void *spinner(void *v) {
    for (volatile int *stop = v; !*stop;) {}
    return NULL;
}

static void tests(void) {
    handle(SIGSEGV, on_fault, 0);
    handle(SIGFPE, on_fault, SA_NODEFER);
    for (int i = 0; i < 500; i++)
        if (!sigsetjmp(env, 1)) *(volatile int *)8 = 1;
    SHOW(hits);
    hits = 0;
    volatile int zero = 0, sink;
    for (int i = 0; i < 500; i++)
        if (!sigsetjmp(env, 0)) sink = 7 / zero;
    SHOW(hits);
    // siglongjmp without the mask leaves the signal blocked.
    handle(SIGUSR1, on_fault, 0);
    sigset_t now;
    if (!sigsetjmp(env, 0)) raise(SIGUSR1);
    sigprocmask(0, NULL, &now);
    SHOW(sigismember(&now, SIGUSR1));
    sigset_t unblock = sigs(SIGUSR1, 0);
    sigprocmask(SIG_UNBLOCK, &unblock, NULL);

    // Out of an endless loop, and out of a blocked call.
    handle(SIGALRM, on_tick, 0);
    hits = 0;
    struct itimerval it = {.it_value = {0, 2000}};
    for (volatile int i = 0; i < 20; i++)
        if (!sigsetjmp(env, 1)) {
            setitimer(ITIMER_REAL, &it, NULL);
            for (;;) {}
        }
    SHOW(hits);
    hits = 0;
    int p[2];
    CHECK(pipe(p) == 0);
    char b;
    for (volatile int i = 0; i < 20; i++)
        if (!sigsetjmp(env, 1)) {
            setitimer(ITIMER_REAL, &it, NULL);
            (void)!read(p[0], &b, 1);
        }
    SHOW(hits);
    // The pipe still works.
    CHECK(write(p[1], "x", 1) == 1 && read(p[0], &b, 1) == 1);

    // A fast timer against calls, forks and faults.
    handle(SIGALRM, count, SA_RESTART);
    hits = 0;
    it = (struct itimerval){{0, 500}, {0, 500}};
    setitimer(ITIMER_REAL, &it, NULL);
    int faults = 0, children = 0;
    for (volatile int i = 0; i < 60; i++) {
        pid_t c = fork();
        if (!c) _exit(i);
        int st = wait_for(c);
        if (WIFEXITED(st) && WEXITSTATUS(st) == i) children++;
        if (!sigsetjmp(env, 1)) *(volatile int *)8 = 1;
        else faults++;
        if (write(p[1], "y", 1) == 1 && read(p[0], &b, 1) == 1) faults += 0;
        else CHECK(0);
    }
    it = (struct itimerval){};
    setitimer(ITIMER_REAL, &it, NULL);
    SHOW(children);
    CHECK(hits > 10);

    // Signals to threads that only compute.
    volatile int stop = 0;
    pthread_t t[3];
    handle(SIGUSR1, count, 0);
    hits = 0;
    for (int i = 0; i < 3; i++) pthread_create(&t[i], NULL, spinner, (void *)&stop);
    for (int i = 0; i < 30; i++) {
        int before = hits;
        pthread_kill(t[i % 3], SIGUSR1);
        for (int k = 0; k < 5000 && hits == before; k++) nap(1);
    }
    SHOW(hits);
    stop = 1;
    for (int i = 0; i < 3; i++) pthread_join(t[i], NULL);
}
