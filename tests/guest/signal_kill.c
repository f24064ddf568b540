// kill, tkill, tgkill: targets, permissions, errors; stop and continue as others see them.
#include "guest.h"

static volatile int got;
static void on_sig(int s) { got++; }
static char states[16];
static char state_of(pid_t p) {
    char path[40], text[256];
    snprintf(path, sizeof path, "/proc/%d/stat", p);
    int fd = open(path, O_RDONLY);
    text[read(fd, text, 255)] = 0;
    close(fd);
    return strrchr(text, ')')[2];
}

static void tests(void) {
    pid_t me = getpid();
    SHOW(kill(me, 0));
    SHOW(kill(me, 65));
    SHOW(kill(me, -1));
    SHOW(kill(99999999, 0));
    SHOW(kill(-99999999, SIGHUP));
    SHOW(kill(INT_MIN, 0));
    SHOW(syscall(SYS_tkill, 0, 0));
    SHOW(syscall(SYS_tkill, -1, 0));
    SHOW(syscall(SYS_tkill, gettid(), 0));
    SHOW(syscall(SYS_tgkill, me, 0, 0));
    SHOW(syscall(SYS_tgkill, -1, gettid(), 0));
    SHOW(syscall(SYS_tgkill, me, 99999999, 0));
    SHOW(syscall(SYS_tgkill, getppid(), gettid(), 0));
    handle(SIGUSR1, on_sig, 0);
    SHOW(syscall(SYS_tgkill, me, gettid(), SIGUSR1));
    SHOW(got);
    say_status("group", CHILD({
                   setpgid(0, 0);
                   got = 0;
                   pid_t p[3];
                   for (int i = 0; i < 3; i++)
                       if (!(p[i] = fork())) {
                           while (!got) nap(1);
                           _exit(10 + i);
                       }
                   SHOW(kill(0, SIGUSR1));
                   for (int i = 0; i < 3; i++) say_status("member", wait_for(p[i]));
                   SHOW(got);
               }));
    say_status("permission", CHILD({
                   pid_t p = fork();
                   if (!p) pause();
                   pid_t q = fork();
                   if (!q) {
                       CHECK(setuid(1234) == 0);
                       SHOW(kill(p, 0));
                       SHOW(kill(p, SIGCONT)); // same session
                       SHOW(kill(p, SIGTERM));
                       SHOW(kill(getpid(), 0));
                       _exit(0);
                   }
                   say_status("q", wait_for(q));
                   kill(p, SIGKILL);
                   wait_for(p);
               }));
    // Default actions.
    int list[] = {SIGHUP, SIGINT, SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGKILL, SIGUSR2, SIGSEGV, SIGPIPE, SIGALRM, SIGTERM, SIGSTKFLT,
                  SIGCHLD, SIGCONT, SIGURG, SIGXCPU, SIGXFSZ, SIGVTALRM, SIGPROF, SIGWINCH, SIGIO, SIGPWR, SIGSYS, SIGRTMIN, SIGRTMAX};
    for (unsigned i = 0; i < COUNT(list); i++) {
        int st = CHILD(struct rlimit none = {0, 0}; setrlimit(RLIMIT_CORE, &none); kill(getpid(), list[i]));
        printf("%s: ", name_of(list[i]));
        say_status("default", st);
    }
    // Stopped: counts nothing, takes signals only after SIGCONT, except SIGKILL.
    int stops[] = {SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU}, st;
    for (unsigned i = 0; i < COUNT(stops); i++) {
        got = 0;
        pid_t p = fork();
        if (!p) {
            while (!got) nap(1);
            _exit(3);
        }
        setpgid(p, p); // its parent is in another group of the session: the terminal's stops work
        kill(p, stops[i]);
        CHECK(waitpid(p, &st, WUNTRACED) == p);
        say_status("stop", st);
        printf("state %c\n", state_of(p));
        SHOW(waitpid(p, &st, WNOHANG));
        kill(p, SIGCONT);
        CHECK(waitpid(p, &st, WCONTINUED) == p);
        say_status("continue", st);
        kill(p, SIGUSR1);
        say_status("end", wait_for(p));
    }
    pid_t p = fork();
    if (!p) pause();
    kill(p, SIGSTOP);
    waitpid(p, &st, WUNTRACED);
    kill(p, SIGTERM);
    SHOW(waitpid(p, &st, WNOHANG));
    kill(p, SIGKILL);
    say_status("killed while stopped", wait_for(p));
    // SIGCONT drops pending stops; a handler for SIGCONT runs; SA_NOCLDSTOP is silent.
    say_status("cont", CHILD({
                   handle(SIGCONT, on_sig, 0);
                   got = 0;
                   sigset_t s = sigs(SIGTSTP, 0);
                   sigprocmask(SIG_BLOCK, &s, NULL);
                   raise(SIGTSTP);
                   raise(SIGCONT);
                   sigprocmask(SIG_UNBLOCK, &s, NULL);
                   SHOW(got);
               }));
    handle(SIGCHLD, on_sig, SA_NOCLDSTOP);
    got = 0;
    p = fork();
    if (!p) pause();
    kill(p, SIGSTOP);
    waitpid(p, &st, WUNTRACED);
    kill(p, SIGCONT);
    waitpid(p, &st, WCONTINUED);
    SHOW(got);
    kill(p, SIGKILL);
    wait_for(p);
    SHOW(got);
}
