// What is easily left out: flags that are only kept, calls that wait for nothing, the limit of what is queued, numbers of threads.
#include "guest.h"
#include <sys/pidfd.h>

static char alt[65536];
static int got;
static void on(int s) { got++; }
static void on_alt(int s, siginfo_t *si, void *c) {
    char here;
    printf("%s: on it %d, told %#x\n", name_of(s), &here >= alt && &here < alt + sizeof alt, ((ucontext_t *)c)->uc_stack.ss_flags);
    if (s == SIGUSR1) raise(SIGUSR2);
}

static void stacks(void) {
    stack_t s = {.ss_sp = alt, .ss_size = 77, .ss_flags = (int)(SS_DISABLE | 1u << 31)}, now;
    SHOW(sigaltstack(&s, NULL));
    sigaltstack(NULL, &now);
    printf("disabled: flags %#x size %zu\n", now.ss_flags, now.ss_size);
    s = (stack_t){.ss_sp = alt, .ss_size = sizeof alt};
    SHOW(sigaltstack(&s, NULL));
    handle_info(SIGUSR1, on_alt, SA_ONSTACK);
    handle_info(SIGUSR2, on_alt, SA_ONSTACK);
    raise(SIGUSR1);
    struct {
        void *handler;
        unsigned long flags;
        void *restorer;
        unsigned long mask;
    } a = {(void *)on, 0xc00, NULL, 0};
    SHOW(syscall(SYS_rt_sigaction, SIGHUP, &a, NULL, 8));
    SHOW(syscall(SYS_rt_sigaction, SIGHUP, NULL, &a, 8));
    printf("flags %#lx\n", a.flags);
}

static void no_wait(void) {
    sigset_t usr = sigs(SIGUSR1, 0), none = sigs(0, 0), pending;
    handle(SIGUSR1, on, 0);
    sigprocmask(SIG_BLOCK, &usr, NULL);
    got = 0;
    raise(SIGUSR1);
    SHOW(pselect(0, NULL, NULL, NULL, &(struct timespec){0, 0}, &none));
    SHOW(got);
    raise(SIGUSR1);
    SHOW(ppoll(NULL, 0, &(struct timespec){0, 0}, &none));
    SHOW(got);
    // epoll tells what is there and leaves the signal for later.
    int ep = epoll_create1(0);
    struct epoll_event ev;
    raise(SIGUSR1);
    SHOW(epoll_pwait(ep, &ev, 1, 0, &none));
    SHOW(got);
    sigpending(&pending);
    SHOW(sigismember(&pending, SIGUSR1));
    sigprocmask(SIG_UNBLOCK, &usr, NULL);
    close(ep);
    // A signal that is ignored and not blocked does not come, even to who waits for it.
    sigset_t winch = sigs(SIGWINCH, 0);
    pid_t p = fork();
    if (!p) {
        nap(20);
        kill(getppid(), SIGWINCH);
        _exit(0);
    }
    SHOW(sigtimedwait(&winch, NULL, &(struct timespec){0, 100000000}));
    wait_for(p);
}

static void limit(void) {
    struct rlimit few = {2, 2};
    sigset_t all;
    sigfillset(&all);
    setresuid(4321, 4321, 4321);
    setrlimit(RLIMIT_SIGPENDING, &few);
    sigprocmask(SIG_BLOCK, &all, NULL);
    for (int i = 0; i < 3; i++) SHOW(sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = i}));
    SHOW(sigqueue(getpid(), SIGRTMIN, (union sigval){0}));
    SHOW(kill(getpid(), SIGRTMIN + 3));
    SHOW(kill(getpid(), SIGUSR1));
    SHOW(sigqueue(getpid(), SIGUSR2, (union sigval){.sival_int = 5}));
    siginfo_t si;
    for (int s; (s = sigtimedwait(&all, &si, &(struct timespec){0, 0})) > 0;)
        printf("%s code %d value %d from me %d\n", name_of(s), si.si_code, si.si_code == SI_QUEUE ? si.si_value.sival_int : 0, si.si_pid == getpid());
}

// RLIMIT_SIGPENDING counts what is queued for all processes of the user, and timers.
static void limit_of_user(void) {
    struct rlimit few = {4, 4};
    sigset_t all;
    int pipes[2];
    char c, line[200];
    sigfillset(&all);
    setresuid(4322, 4322, 4322);
    setrlimit(RLIMIT_SIGPENDING, &few);
    sigprocmask(SIG_BLOCK, &all, NULL);
    CHECK(pipe(pipes) == 0);
    pid_t p = fork();
    if (!p) {
        close(pipes[1]);
        read(pipes[0], &c, 1);
        _exit(0);
    }
    union sigval v = {0};
    SHOW(sigqueue(getpid(), SIGRTMIN, v));
    SHOW(sigqueue(p, SIGRTMIN, v));
    SHOW(sigqueue(p, SIGRTMIN, v));
    timer_t t, u;
    SHOW(timer_create(CLOCK_MONOTONIC, NULL, &t));
    SHOW(timer_create(CLOCK_MONOTONIC, NULL, &u));
    SHOW(sigqueue(getpid(), SIGRTMIN, v));
    SHOW(sigqueue(p, SIGRTMIN, v));
    FILE *f = fopen("/proc/self/status", "r");
    while (fgets(line, sizeof line, f))
        if (!strncmp(line, "SigQ:", 5)) printf("%s", line);
    fclose(f);
    SHOW(timer_delete(t));
    SHOW(sigqueue(p, SIGRTMIN, v));
    CHECK(write(pipes[1], "x", 1) == 1);
    int st;
    CHECK(waitpid(p, &st, 0) == p);
    siginfo_t si;
    SHOW(sigtimedwait(&all, &si, &(struct timespec){0, 0}) == SIGCHLD);
    // What was queued for it is free again.
    for (int i = 0; i < 4; i++) SHOW(sigqueue(getpid(), SIGRTMIN, v));
}

static void *thread(void *v) {
    *(volatile pid_t *)v = gettid();
    nap(200);
    return NULL;
}

static void numbers(void) {
    siginfo_t si = {.si_code = SI_QUEUE};
    SHOW(syscall(SYS_rt_sigqueueinfo, 0, SIGRTMIN, &si));
    volatile pid_t tid = 0;
    pthread_t t;
    pthread_create(&t, NULL, thread, (void *)&tid);
    while (!tid) sched_yield();
    SHOW(kill(tid, 0));
    SHOW(getpgid(tid) == getpgrp());
    SHOW(getsid(tid) == getsid(0));
    SHOW(getpriority(PRIO_PROCESS, tid));
    SHOW(setpgid(tid, 0));
    SHOW(pidfd_send_signal(open("/proc/self", O_RDONLY | O_DIRECTORY), 0, NULL, 0));
    SHOW(pidfd_send_signal(open("/proc/self", O_PATH | O_DIRECTORY), 0, NULL, 0));
    pthread_join(t, NULL);
    // Killed while it was stopped, which nobody had asked about: only its end is told.
    pid_t p = fork();
    if (!p) for (;;) pause();
    kill(p, SIGSTOP);
    until_state(p, 'T');
    kill(p, SIGKILL);
    SHOW(waitid(P_PID, p, &si, WEXITED | WSTOPPED));
    printf("code %d status %s\n", si.si_code, name_of(si.si_status));
}

static void tests(void) {
    stacks();
    no_wait();
    CHILD(limit());
    CHILD(limit_of_user());
    numbers();
}
