// timerfd, timer_create, setitimer, alarm, sleeps, clocks.
#include "guest.h"
#include <sys/timerfd.h>

static volatile int ticks, code, value, overrun;
static void on_tick(int s, siginfo_t *si, void *c) { ticks++, code = si->si_code, value = si->si_value.sival_int, overrun = si->si_overrun; }
static void burn(int ms, clockid_t clock) {
    struct timespec a, b;
    clock_gettime(clock, &a);
    do clock_gettime(clock, &b);
    while ((b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000 < ms);
}
static void *thread_timer(void *v) {
    *(pid_t *)v = gettid();
    for (;;) pause();
}
static volatile pid_t ran_on;
static void on_tid(int s) { ran_on = gettid(); }
static volatile int notified;
static void notify(union sigval v) { notified = v.sival_int; }

static void tests(void) {
    struct itimerspec its = {{0, 0}, {0, 10000000}}, old, periodic = {{0, 5000000}, {0, 5000000}}, off = {};
    unsigned long n;
    SHOW(timerfd_create(99, 0));
    SHOW(timerfd_create(CLOCK_MONOTONIC, 64));
    SHOW(timerfd_create(CLOCK_PROCESS_CPUTIME_ID, 0));
    int fd = OK(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
    SHOW(read(fd, &n, 8));
    SHOW(read(fd, &n, 4));
    SHOW(timerfd_settime(fd, 0, &its, &old));
    printf("old %ld %ld\n", old.it_value.tv_sec, old.it_value.tv_nsec);
    struct pollfd p = {fd, POLLIN};
    SHOW(poll(&p, 1, 2000));
    SHOW(read(fd, &n, 8));
    SHOW(n);
    SHOW(read(fd, &n, 8));
    SHOW(timerfd_gettime(fd, &old));
    printf("spent %ld %ld\n", old.it_value.tv_sec, old.it_value.tv_nsec);
    SHOW(timerfd_settime(fd, 0, &periodic, NULL));
    nap(60);
    SHOW(read(fd, &n, 8));
    CHECK(n >= 8 && n < 1000);
    SHOW(timerfd_settime(fd, 0, &off, &old));
    SHOW(old.it_interval.tv_nsec);
    its.it_value.tv_nsec = 1000000000;
    SHOW(timerfd_settime(fd, 0, &its, NULL));
    SHOW(timerfd_settime(fd, 64, &off, NULL));
    SHOW(timerfd_settime(1, 0, &off, NULL));
    SHOW(timerfd_settime(fd, 0, (void *)8, NULL));
    its = (struct itimerspec){{0, 0}, {1, 0}};
    SHOW(timerfd_settime(fd, TFD_TIMER_ABSTIME, &its, NULL)); // past
    SHOW(poll(&p, 1, 1000));
    SHOW(read(fd, &n, 8));
    SHOW(n);
    int real = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK);
    its = (struct itimerspec){{1000, 0}, {1, 0}};
    SHOW(timerfd_settime(real, TFD_TIMER_ABSTIME, &its, NULL));
    SHOW(read(real, &n, 8));
    CHECK(n > 1000000);

    // POSIX timers.
    timer_t t;
    struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 3, .sigev_value.sival_int = 99};
    handle_info(SIGRTMIN + 3, on_tick, 0);
    handle_info(SIGALRM, on_tick, 0);
    SHOW(timer_create(99, &ev, &t));
    ev.sigev_signo = 65;
    SHOW(timer_create(CLOCK_MONOTONIC, &ev, &t));
    ev.sigev_signo = SIGRTMIN + 3;
    SHOW(timer_create(CLOCK_MONOTONIC, &ev, &t));
    SHOW(timer_gettime(t, &old));
    printf("%ld %ld\n", old.it_value.tv_sec, old.it_value.tv_nsec);
    its = (struct itimerspec){{0, 0}, {0, 2000000}};
    SHOW(timer_settime(t, 0, &its, NULL));
    while (!ticks) nap(1);
    printf("code %d value %d overrun %d\n", code, value, overrun);
    SHOW(timer_getoverrun(t));
    its = (struct itimerspec){{7, 0}, {100, 0}};
    SHOW(timer_settime(t, 0, &its, NULL));
    SHOW(timer_gettime(t, &old));
    printf("interval %ld, left %d\n", old.it_interval.tv_sec, old.it_value.tv_sec >= 98);
    SHOW(timer_settime(t, 0, &off, &old));
    printf("%d\n", old.it_value.tv_sec >= 98);
    SHOW(timer_settime((timer_t)12345, 0, &its, NULL));
    its.it_value.tv_nsec = -1;
    SHOW(timer_settime(t, 0, &its, NULL));
    SHOW(timer_delete(t));
    SHOW(timer_delete(t));
    SHOW(timer_create(CLOCK_REALTIME, NULL, &t)); // SIGALRM with the timer's number
    ticks = 0;
    its = (struct itimerspec){{0, 0}, {1, 0}};
    SHOW(timer_settime(t, TIMER_ABSTIME, &its, NULL));
    while (!ticks) nap(1);
    printf("code %d\n", code);
    timer_delete(t);
    // To one thread, and by a thread.
    pthread_t th;
    volatile pid_t tid = 0;
    pthread_create(&th, NULL, thread_timer, (void *)&tid);
    while (!tid) nap(1);
    handle(SIGRTMIN + 4, on_tid, 0);
    ev = (struct sigevent){.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN + 4};
    ev._sigev_un._tid = tid;
    SHOW(timer_create(CLOCK_MONOTONIC, &ev, &t));
    its = (struct itimerspec){{0, 0}, {0, 1000000}};
    timer_settime(t, 0, &its, NULL);
    while (!ran_on) nap(1);
    SHOW(ran_on == tid);
    timer_delete(t);
    ev._sigev_un._tid = 99999999;
    SHOW(timer_create(CLOCK_MONOTONIC, &ev, &t));
    ev = (struct sigevent){.sigev_notify = SIGEV_THREAD, .sigev_notify_function = notify, .sigev_value.sival_int = 31};
    SHOW(timer_create(CLOCK_MONOTONIC, &ev, &t));
    timer_settime(t, 0, &its, NULL);
    while (!notified) nap(1);
    SHOW(notified);
    timer_delete(t);
    // Processor time.
    ev = (struct sigevent){.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 3};
    clockid_t clocks[] = {CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID};
    for (int i = 0; i < 2; i++) {
        SHOW(timer_create(clocks[i], &ev, &t));
        its = (struct itimerspec){{0, 0}, {0, 20000000}};
        ticks = 0;
        SHOW(timer_settime(t, 0, &its, NULL));
        nap(60);
        SHOW(ticks); // sleeping uses none
        for (int k = 0; k < 3000 && !ticks; k++) burn(1, CLOCK_MONOTONIC);
        SHOW(ticks);
        timer_delete(t);
    }
    int which[] = {ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF}, sig[] = {SIGALRM, SIGVTALRM, SIGPROF};
    for (int i = 0; i < 3; i++) {
        handle_info(sig[i], on_tick, 0);
        ticks = 0;
        struct itimerval it = {{0, 10000}, {0, 10000}}, was, none = {};
        SHOW(setitimer(which[i], &it, NULL));
        for (volatile long k = 0; ticks < 3;) k++;
        SHOW(setitimer(which[i], &none, &was));
        printf("interval %ld code %d\n", was.it_interval.tv_usec, code - SI_KERNEL);
        SHOW(getitimer(which[i], &was));
        SHOW(was.it_value.tv_usec);
    }
    SHOW(setitimer(3, &(struct itimerval){}, NULL));
    SHOW(setitimer(0, &(struct itimerval){{0, 0}, {0, 1000000}}, NULL));
    SHOW(alarm(50));
    SHOW(alarm(0));
    // Clocks and sleeps.
    struct timespec a, b, bad = {0, 1000000000};
    int clocks2[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID, CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME};
    for (unsigned i = 0; i < COUNT(clocks2); i++) {
        CHECK(clock_gettime(clocks2[i], &a) == 0 && clock_getres(clocks2[i], &b) == 0);
        printf("clock %d resolution %ld\n", clocks2[i], clocks2[i] == 5 || clocks2[i] == 6 ? b.tv_nsec > 100 : b.tv_nsec);
    }
    SHOW(clock_gettime(77, &a));
    SHOW(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &a, NULL));
    SHOW(nanosleep(&bad, NULL));
    clockid_t other;
    SHOW(clock_getcpuclockid(getppid(), &other));
    SHOW(clock_gettime(other, &a));
    SHOW(clock_getcpuclockid(99999999, &other));
    clock_gettime(CLOCK_MONOTONIC, &a);
    CHECK(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &a, NULL) == 0);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
    burn(30, CLOCK_THREAD_CPUTIME_ID);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
    CHECK((b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000 >= 30);
}
