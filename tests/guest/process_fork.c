// fork, vfork: what a child shares, what it does not.
#include "guest.h"

static int global = 1;
static void on_alarm(int s) {}

static void tests(void) {
    int local = 1;
    pid_t me = getpid();
    int st = CHILD(global = 2; local = 2; CHECK(getppid() == me); CHECK(getpid() != me); CHECK(gettid() == getpid()); _exit(300 & 0xff));
    say_status("fork", st);
    printf("memory of the parent: %d %d\n", global, local);

    // Offsets are shared, descriptor flags and numbers are not.
    int fd = open("f", O_RDWR | O_CREAT | O_TRUNC, 0600);
    CHECK(write(fd, "0123456789", 10) == 10);
    lseek(fd, 0, SEEK_SET);
    char b[8] = "";
    st = CHILD(CHECK(read(fd, b, 4) == 4); fcntl(fd, F_SETFD, FD_CLOEXEC); fcntl(fd, F_SETFL, O_APPEND); close(0));
    say_status("reader", st);
    SHOW(lseek(fd, 0, SEEK_CUR));
    SHOW(fcntl(fd, F_GETFD));
    SHOW(fcntl(fd, F_GETFL) & O_APPEND);
    SHOW(fcntl(0, F_GETFD));

    // Alarms, pending signals and timers stay with the parent; mask, actions and the alternate stack go along.
    handle(SIGALRM, on_alarm, 0);
    sigset_t set = sigs(SIGUSR1, SIGUSR2), pending;
    sigprocmask(SIG_BLOCK, &set, NULL);
    raise(SIGUSR1);
    alarm(100);
    static char stack[32768];
    stack_t ss = {.ss_sp = stack, .ss_size = sizeof stack}, old;
    sigaltstack(&ss, NULL);
    st = CHILD(sigset_t now; SHOW(alarm(0)); sigpending(&pending); SHOW(sigismember(&pending, SIGUSR1)); sigprocmask(0, NULL, &now);
               SHOW(sigismember(&now, SIGUSR2)); struct sigaction a; sigaction(SIGALRM, NULL, &a); CHECK(a.sa_handler == on_alarm);
               sigaltstack(NULL, &old); CHECK(old.ss_sp == stack && old.ss_flags == 0));
    say_status("signals", st);
    CHECK(alarm(0) > 90);
    sigpending(&pending);
    SHOW(sigismember(&pending, SIGUSR1));
    signal(SIGUSR1, SIG_IGN);
    sigprocmask(SIG_UNBLOCK, &set, NULL);

    // vfork: the memory is shared and the parent waits.
    volatile int shared = 0;
    pid_t p = vfork();
    if (p == 0) {
        shared = 7;
        nap(20);
        shared++;
        _exit(4);
    }
    printf("after vfork: %d\n", shared);
    say_status("vfork", wait_for(p));

    // A child of a child; names of the process go along.
    prctl(PR_SET_NAME, "a-long-name-that-is-cut");
    st = CHILD(char n[17] = ""; prctl(PR_GET_NAME, n); printf("name %s\n", n); int s2 = CHILD(_exit(9)); say_status("grandchild", s2));
    say_status("child", st);

    // umask, working directory, limits and priority are copies.
    mkdir("d", 0755);
    st = CHILD(CHECK(chdir("d") == 0); umask(077); struct rlimit r = {10, 10}; setrlimit(RLIMIT_CORE, &r); setpriority(PRIO_PROCESS, 0, 5));
    SHOW(access("f", F_OK));
    SHOW(umask(022));
    SHOW(getpriority(PRIO_PROCESS, 0));

    // Many at once, waited for in any order.
    pid_t ps[30];
    int sum = 0;
    for (int i = 0; i < 30; i++)
        if (!(ps[i] = fork())) _exit(i);
    for (int i = 29; i >= 0; i--) {
        int s;
        CHECK(waitpid(ps[i], &s, 0) == ps[i]);
        sum += WEXITSTATUS(s);
    }
    SHOW(sum);
    SHOW(wait(NULL));
}
