// Handlers: masks, flags, siginfo, order, nesting.
#include "guest.h"

static char log_[256];
static void note(char c) { log_[strlen(log_)] = c; }
static void show_log(const char *what) {
    printf("%s: %s\n", what, log_);
    memset(log_, 0, sizeof log_);
}
static siginfo_t last;
static void *context;
static void on_info(int s, siginfo_t *si, void *c) { last = *si, context = c, note('i'); }
static void outer(int s) {
    note('(');
    raise(SIGUSR2);
    note(')');
}
static void inner(int s) { note('x'); }
static void again(int s) {
    static int depth;
    note('0' + depth);
    if (depth++ < 3) raise(s);
    note('e');
}
static void ranked(int s) {
    note(s >= SIGRTMIN ? '0' + s - SIGRTMIN : s == SIGUSR1 ? 'u' : s == SIGHUP ? 'h' : s == SIGTERM ? 't' : '?');
}
static void edit_mask(int s, siginfo_t *si, void *c) {
    ucontext_t *u = c;
    sigset_t now;
    sigprocmask(0, NULL, &now);
    printf("within: own %d, sa_mask %d; context: own %d\n", sigismember(&now, s), sigismember(&now, SIGHUP), sigismember(&u->uc_sigmask, s));
    sigaddset(&u->uc_sigmask, SIGTERM);
}

static void tests(void) {
    struct sigaction a, old;
    SHOW(sigaction(SIGKILL, &(struct sigaction){.sa_handler = SIG_IGN}, NULL));
    SHOW(sigaction(SIGSTOP, &(struct sigaction){.sa_handler = inner}, NULL));
    SHOW(sigaction(SIGKILL, NULL, &old));
    SHOW(sigaction(65, NULL, &old));
    SHOW(sigaction(0, NULL, &old));
    SHOW(syscall(SYS_rt_sigaction, SIGHUP, NULL, NULL, 4));
    SHOW(syscall(SYS_rt_sigaction, SIGHUP, 8, NULL, 8));

    // Nesting: another signal interrupts a handler unless the mask says no.
    handle(SIGUSR1, outer, 0);
    handle(SIGUSR2, inner, 0);
    raise(SIGUSR1);
    show_log("nested");
    a = (struct sigaction){.sa_handler = outer};
    sigaddset(&a.sa_mask, SIGUSR2);
    sigaction(SIGUSR1, &a, NULL);
    raise(SIGUSR1);
    show_log("masked");
    handle(SIGUSR1, again, SA_NODEFER);
    raise(SIGUSR1);
    show_log("nodefer");
    handle(SIGUSR1, inner, SA_RESETHAND);
    raise(SIGUSR1);
    sigaction(SIGUSR1, NULL, &old);
    printf("reset: %d flags %#x\n", old.sa_handler == SIG_DFL, (unsigned)old.sa_flags & ~0x04000000u);
    show_log("resethand");

    // What handlers are told.
    handle_info(SIGUSR1, on_info, 0);
    kill(getpid(), SIGUSR1);
    printf("kill: code %d pid %d uid %d\n", last.si_code, last.si_pid == getpid(), last.si_uid);
    raise(SIGUSR1);
    printf("raise: code %d\n", last.si_code);
    sigqueue(getpid(), SIGUSR1, (union sigval){.sival_ptr = (void *)0x123456789});
    printf("sigqueue: code %d value %#lx\n", last.si_code, (long)last.si_value.sival_ptr);
    handle_info(SIGCHLD, on_info, 0);
    pid_t p = fork();
    if (!p) _exit(42);
    wait_for(p);
    printf("child: code %d pid %d status %d\n", last.si_code, last.si_pid == p, last.si_status);
    p = fork();
    if (!p) abort();
    wait_for(p);
    printf("aborted child: code %d in %d %d status %s\n", last.si_code, CLD_KILLED, CLD_DUMPED, name_of(last.si_status));
    handle_info(SIGALRM, on_info, 0);
    struct itimerval it = {.it_value = {0, 1000}};
    memset(&last, 0, sizeof last);
    setitimer(ITIMER_REAL, &it, NULL);
    while (!last.si_signo) nap(1);
    printf("alarm: code %d\n", last.si_code - SI_KERNEL);
    handle_info(SIGPIPE, on_info, 0);
    int pipefd[2];
    CHECK(pipe(pipefd) == 0);
    close(pipefd[0]);
    SHOW(write(pipefd[1], "x", 1));
    printf("pipe: code %d pid %d\n", last.si_code, last.si_pid == getpid());
    siginfo_t mine = {.si_signo = 1, .si_code = -7};
    SHOW(syscall(SYS_rt_sigqueueinfo, getpid(), SIGUSR1, &mine));
    printf("own code %d signo %d\n", last.si_code, last.si_signo);
    mine.si_code = 0;
    SHOW(syscall(SYS_rt_sigqueueinfo, getpid(), SIGUSR1, &mine)); // to oneself anything goes
    SHOW(syscall(SYS_rt_sigqueueinfo, getppid(), SIGUSR1, &mine));
    mine.si_code = SI_TKILL;
    SHOW(syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SIGUSR1, &mine));
    memset(log_, 0, sizeof log_);

    // Several pending at once: lowest numbers last in, so that they run... in the order that shows here.
    sigset_t all, before;
    sigfillset(&all);
    int list[] = {SIGTERM, SIGRTMIN + 2, SIGHUP, SIGRTMIN, SIGUSR1, SIGRTMIN + 2};
    for (unsigned i = 0; i < COUNT(list); i++) handle(list[i], ranked, 0);
    sigprocmask(SIG_BLOCK, &all, &before);
    for (unsigned i = 0; i < COUNT(list); i++) raise(list[i]), raise(list[i] == SIGHUP ? SIGHUP : list[i]);
    sigprocmask(SIG_SETMASK, &before, NULL);
    show_log("all at once");
    for (unsigned i = 0; i < COUNT(list); i++) {
        a = (struct sigaction){.sa_handler = ranked, .sa_mask = all};
        sigaction(list[i], &a, NULL);
    }
    sigprocmask(SIG_BLOCK, &all, NULL);
    for (unsigned i = 0; i < COUNT(list); i++) raise(list[i]);
    sigprocmask(SIG_SETMASK, &before, NULL);
    show_log("one after another");

    // The mask in a handler and after it.
    a = (struct sigaction){.sa_sigaction = edit_mask, .sa_flags = SA_SIGINFO, .sa_mask = sigs(SIGHUP, 0)};
    sigaction(SIGUSR1, &a, NULL);
    raise(SIGUSR1);
    sigprocmask(0, NULL, &before);
    printf("after: TERM %d HUP %d USR1 %d\n", sigismember(&before, SIGTERM), sigismember(&before, SIGHUP), sigismember(&before, SIGUSR1));
    all = sigs(SIGKILL, SIGSTOP);
    SHOW(sigprocmask(SIG_BLOCK, &all, NULL));
    sigprocmask(0, NULL, &before);
    SHOW(sigismember(&before, SIGKILL));
    SHOW(sigprocmask(7, &all, NULL));
    SHOW(sigprocmask(7, NULL, &all));
    // Ignoring a pending signal drops it.
    all = sigs(SIGHUP, 0);
    sigprocmask(SIG_BLOCK, &all, NULL);
    raise(SIGHUP);
    signal(SIGHUP, SIG_IGN);
    handle(SIGHUP, ranked, 0);
    sigprocmask(SIG_UNBLOCK, &all, NULL);
    show_log("dropped");
}
