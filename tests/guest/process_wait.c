// wait4, waitid: selection, options, statuses, siginfo, errors.
#include "guest.h"

static void tests(void) {
    int st;
    siginfo_t si;
    SHOW(wait(NULL));
    SHOW(waitpid(-1, &st, WNOHANG));
    SHOW(waitpid(99999999, &st, 0));
    SHOW(waitpid(-1, &st, 0x40000));
    SHOW(waitpid(INT_MIN, &st, 0));

    pid_t p = fork();
    if (!p) pause();
    SHOW(waitpid(p, &st, WNOHANG));
    memset(&si, 0xff, sizeof si);
    SHOW(waitid(P_PID, p, &si, WEXITED | WNOHANG));
    printf("nothing yet: signo %d pid %d\n", si.si_signo, si.si_pid);
    SHOW(waitid(P_PID, p, &si, WNOHANG));
    SHOW(waitid(P_PID, p, &si, 0));
    SHOW(waitid(9, p, &si, WEXITED));
    SHOW(waitid(P_PID, 0, &si, WEXITED));
    SHOW(waitid(P_PID, -5, &si, WEXITED));
    SHOW(waitid(P_PIDFD, 1, &si, WEXITED));
    SHOW(waitid(P_PIDFD, 555, &si, WEXITED));

    kill(p, SIGSTOP);
    CHECK(waitpid(p, &st, WUNTRACED) == p);
    say_status("1", st);
    SHOW(waitpid(p, &st, WUNTRACED | WNOHANG)); // said once
    kill(p, SIGCONT);
    CHECK(waitpid(p, &st, WCONTINUED) == p);
    say_status("2", st);
    kill(p, SIGSTOP);
    SHOW(waitid(P_ALL, 0, &si, WSTOPPED | WNOWAIT));
    printf("code %d (CLD_STOPPED %d) status %s\n", si.si_code, CLD_STOPPED, name_of(si.si_status));
    SHOW(waitid(P_PID, p, &si, WSTOPPED));
    kill(p, SIGCONT);
    SHOW(waitid(P_PID, p, &si, WCONTINUED));
    printf("code %d (CLD_CONTINUED %d) status %s\n", si.si_code, CLD_CONTINUED, name_of(si.si_status));
    kill(p, SIGTERM);
    SHOW(waitid(P_PID, p, &si, WEXITED | WNOWAIT));
    printf("code %d (CLD_KILLED %d) status %s signo %s\n", si.si_code, CLD_KILLED, name_of(si.si_status), name_of(si.si_signo));
    CHECK(si.si_pid == p && si.si_uid == getuid());
    until_state(p, 'Z');
    SHOW(kill(p, 0)); // a zombie can be signalled
    CHECK(waitpid(p, &st, 0) == p);
    say_status("3", st);
    SHOW(kill(p, 0));
    SHOW(waitpid(p, &st, 0));

    // By group.
    pid_t a = fork();
    if (!a) {
        setpgid(0, 0);
        _exit(1);
    }
    pid_t b = fork();
    if (!b) _exit(2);
    setpgid(a, a);
    CHECK(waitpid(-a, &st, 0) == a);
    say_status("group", st);
    CHECK(waitpid(0, &st, 0) == b);
    say_status("mine", st);
    a = fork();
    if (!a) setpgid(0, 0), _exit(3);
    setpgid(a, a);
    SHOW(waitid(P_PGID, a, &si, WEXITED));
    SHOW(si.si_status);
    SHOW(waitid(P_PGID, a, &si, WEXITED));

    // Ignored SIGCHLD: no zombies, and wait blocks until the last is gone.
    signal(SIGCHLD, SIG_IGN);
    for (int i = 0; i < 3; i++)
        if (!fork()) nap(5 * i), _exit(i);
    SHOW(wait(&st));
    signal(SIGCHLD, SIG_DFL);
    struct sigaction nowait = {.sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT};
    sigaction(SIGCHLD, &nowait, NULL);
    if (!fork()) _exit(0);
    SHOW(wait(&st));
    signal(SIGCHLD, SIG_DFL);

    // Usage of children; the status may be unwanted.
    struct rusage ru;
    memset(&ru, 0xff, sizeof ru);
    p = fork();
    if (!p) {
        for (volatile long i = 0; i < 20000000; i++) {}
        _exit(0);
    }
    CHECK(wait4(p, NULL, 0, &ru) == p);
    // Which of the two it is counted as depends on where the host's ticks found it.
    #define USED(r) ((r).ru_utime.tv_sec * 1000000 + (r).ru_utime.tv_usec + (r).ru_stime.tv_sec * 1000000 + (r).ru_stime.tv_usec)
    CHECK(ru.ru_utime.tv_sec < 50 && USED(ru) > 1000);
    CHECK(ru.ru_maxrss >= 0); // of a small process Linux may have counted nothing yet
    getrusage(RUSAGE_CHILDREN, &ru);
    CHECK(USED(ru) > 1000);

    // Wait by one thread for children of another: allowed, unless __WNOTHREAD.
    p = fork();
    if (!p) _exit(6);
    pthread_t t;
    pthread_create(&t, NULL, (void *(*)(void *))({ void *f(void *v) { int s; SHOW(waitpid((pid_t)(long)v, &s, __WNOTHREAD)); CHECK(waitpid((pid_t)(long)v, &s, 0) == (pid_t)(long)v); say_status("thread", s); return 0; } f; }), (void *)(long)p);
    pthread_join(t, NULL);
    struct itimerval soon = {.it_value = {0, 30000}};
    handle(SIGALRM, ({ void f(int s) {} f; }), 0);
    p = fork();
    if (!p) pause();
    setitimer(ITIMER_REAL, &soon, NULL);
    SHOW(wait(&st));
    kill(p, SIGKILL);
    say_status("killed", wait_for(p));
}
