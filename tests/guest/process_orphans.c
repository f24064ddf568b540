// Orphans: who adopts them, parent-death signals, groups that lose their last link.
#include "guest.h"

static int box[2];
static void put(char c) { CHECK(write(box[1], &c, 1) == 1); }
static int get(void) {
    char c = 0;
    struct pollfd p = {box[0], POLLIN};
    return poll(&p, 1, 5000) == 1 && read(box[0], &c, 1) == 1 ? c : '-';
}
static void on_hup(int s) { put('h'); }
static void on_cont(int s) { put('c'); }
static volatile int told;
static void on_usr(int s, siginfo_t *si, void *c) { told = 1, put(si->si_code == SI_USER ? 'u' : 'k'); }

static void *sleeper(void *v) {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    pid_t p = fork();
    if (!p) {
        sigset_t none;
        sigemptyset(&none);
        prctl(PR_SET_PDEATHSIG, SIGUSR1);
        sigprocmask(SIG_SETMASK, &none, NULL);
        put('r');
        while (!told) nap(2);
        _exit(0);
    }
    *(pid_t *)v = p;
    CHECK(get() == 'r');
    return NULL;
}

static void tests(void) {
    int sub = -1, st;
    CHECK(pipe(box) == 0);
    SHOW(prctl(PR_GET_CHILD_SUBREAPER, &sub));
    SHOW(sub);
    SHOW(prctl(PR_SET_CHILD_SUBREAPER, 1));
    SHOW(prctl(PR_GET_CHILD_SUBREAPER, &sub));
    SHOW(sub);
    pid_t me = getpid();
    st = CHILD({
        int is = 9;
        prctl(PR_GET_CHILD_SUBREAPER, &is);
        printf("inherited: %d\n", is);
        if (!fork()) {
            for (int i = 0; i < 1000 && getppid() != me; i++) nap(2);
            put(getppid() == me ? 'm' : 'x');
            _exit(8);
        }
    });
    say_status("middle", st);
    printf("orphan says %c\n", get());
    CHECK(wait(&st) > 0);
    say_status("orphan", st);
    SHOW(wait(&st));

    // Parent-death signal: a signal from the kernel, when the thread that forked ends.
    int sig = -1;
    SHOW(prctl(PR_GET_PDEATHSIG, &sig));
    SHOW(sig);
    SHOW(prctl(PR_SET_PDEATHSIG, 65));
    SHOW(prctl(PR_SET_PDEATHSIG, SIGUSR1));
    SHOW(prctl(PR_GET_PDEATHSIG, &sig));
    printf("pdeathsig %s\n", name_of(sig));
    st = CHILD(prctl(PR_GET_PDEATHSIG, &sig); printf("a child has %d\n", sig));
    SHOW(prctl(PR_SET_PDEATHSIG, 0));
    handle_info(SIGUSR1, on_usr, 0);
    st = CHILD({
        pid_t p = fork();
        if (!p) {
            prctl(PR_SET_PDEATHSIG, SIGUSR1);
            put('r');
            while (!told) nap(2);
            _exit(3);
        }
        CHECK(get() == 'r');
    });
    printf("on the parent's death: %c\n", get());
    CHECK(wait(&st) > 0);
    say_status("survivor", st);
    pid_t p = 0;
    pthread_t t;
    pthread_create(&t, NULL, sleeper, &p);
    pthread_join(t, NULL);
    printf("on the thread's death: %c\n", get());
    wait_for(p);
    st = CHILD({
        if (!fork()) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            put('r');
            pause();
        }
        CHECK(get() == 'r');
    });
    CHECK(wait(&st) > 0);
    say_status("killed with its parent", st);

    // A stopped group that becomes orphaned gets SIGHUP and SIGCONT.
    st = CHILD({
        setsid();
        pid_t leader = fork();
        if (!leader) {
            setpgid(0, 0);
            pid_t q = fork();
            if (!q) {
                handle(SIGHUP, on_hup, SA_RESTART);
                handle(SIGCONT, on_cont, SA_RESTART);
                put('r');
                raise(SIGSTOP);
                nap(50);
                _exit(0);
            }
            CHECK(get() == 'r');
            until_state(q, 'T');
            _exit(0); // the link between the group and its session
        }
        wait_for(leader);
    });
    int a = get(), b = get();
    printf("orphaned group: %c %c\n", a < b ? a : b, a < b ? b : a);
    CHECK(wait(&st) > 0);
    say_status("continued", st);
    // One that has been orphaned all along hears nothing when a member ends, wherever the member's parent is.
    st = CHILD({
        setsid();
        handle(SIGHUP, on_hup, SA_RESTART);
        pid_t stopped = fork();
        if (!stopped) raise(SIGSTOP), _exit(0);
        until_state(stopped, 'T');
        pid_t member = fork();
        if (!member) {
            if (!fork()) nap(20), _exit(0);
            _exit(0);
        }
        wait_for(member);
        nap(100);
        until_state(stopped, 'T');
        kill(stopped, SIGKILL);
        say_status("stopped member", wait_for(stopped));
        put('e');
    });
    printf("orphaned all along: %c\n", get());
    say_status("its leader", st);
    // An orphaned group is not stopped by SIGTSTP.
    st = CHILD(setsid(); raise(SIGTSTP); puts("not stopped"));
    say_status("TSTP", st);
    st = CHILD(setsid(); handle(SIGTTIN, SIG_DFL, 0); raise(SIGTTIN); raise(SIGTTOU); puts("not stopped"));
    say_status("TTIN", st);
}
