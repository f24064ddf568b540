// clone(2) with CLONE_VM alone: processes of their own in one memory. Signals, ends, execve and waits are each one's own.
#include "guest.h"

static volatile int box[8];
static char stacks[8][65536] __attribute__((aligned(16)));
static int word; // a futex

static pid_t start(int (*f)(void *), int flags, int n) {
    return clone(f, stacks[n] + sizeof stacks[n], CLONE_VM | flags, (void *)(long)n, &word, NULL, &word);
}

static void until(int n, int value) {
    while (box[n] != value) nap(1);
}

static int writes(void *arg) {
    box[0] = 7;
    box[1] = getpid() != getppid() && getpid() == syscall(SYS_gettid);
    return 3;
}

static int waits(void *arg) {
    box[(long)arg] = 1;
    for (;;) pause();
}

static int spins(void *arg) {
    for (;;) box[(long)arg]++;
}

static int execs(void *arg) {
    execl("/bin/sh", "sh", "-c", "exit 9", NULL);
    return 1;
}

static void on_usr1(int sig) {
    box[5] = getpid();
}

static int handles(void *arg) {
    signal(SIGUSR1, on_usr1);
    box[4] = 1;
    while (!box[5]) nap(1);
    return 0;
}

static int opens(void *arg) {
    box[6] = open("/dev/null", O_RDONLY);
    CHECK(chdir("/") == 0);
    return 0;
}

static int faults(void *arg) {
    *(volatile int *)8 = 1;
    return 0;
}

static int maps(void *arg) {
    char *m = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    m[0] = 'm';
    *(char *volatile *)&box[0] = m;
    return 0;
}

static int forks(void *arg) {
    box[2] = 1;
    pid_t p = fork();
    if (!p) box[2] = 2, _exit(4);
    return WEXITSTATUS(wait_for(p)) == 4 && box[2] == 1 ? 5 : 6;
}

static int makes_another(void *arg) {
    pid_t p = start(writes, SIGCHLD, 3);
    return WEXITSTATUS(wait_for(p));
}

static int outlives(void *arg) {
    while (getppid() == box[3]) nap(1);
    return 0;
}

static void *thread(void *arg) {
    for (;;) pause();
}

static void tests(void) {
    int st;
    pid_t p = start(writes, SIGCHLD, 0), q;
    say_status("it writes", wait_for(p));
    printf("%d %d\n", box[0], box[1]);
    // No signal at its end: not waited for but with __WCLONE.
    p = start(writes, 0, 0);
    SHOW(waitpid(p, &st, 0));
    SHOW(waitpid(p, &st, __WCLONE) == p);
    say_status("without a signal", st);
    // Its word is cleared where it ends.
    word = 1;
    p = start(writes, CLONE_CHILD_CLEARTID | SIGCHLD, 0);
    while (__atomic_load_n(&word, __ATOMIC_SEQ_CST)) syscall(SYS_futex, &word, 0, 1, NULL, NULL, 0);
    say_status("cleared", wait_for(p));
    // Killed while it sleeps, while it runs, and while it is stopped.
    p = start(waits, SIGCHLD, 0);
    until_state(p, 'S');
    CHECK(kill(p, SIGTERM) == 0);
    say_status("asleep", wait_for(p));
    p = start(spins, SIGCHLD, 1);
    nap(5);
    CHECK(kill(p, SIGSTOP) == 0 && waitpid(p, &st, WUNTRACED) == p);
    say_status("spinning", st);
    int seen = box[1];
    nap(10);
    CHECK(seen == box[1]);
    CHECK(kill(p, SIGCONT) == 0 && kill(p, SIGKILL) == 0);
    say_status("spinning", wait_for(p));
    // The program of one is not the other's.
    p = start(execs, SIGCHLD, 0);
    say_status("execve", wait_for(p));
    p = start(faults, SIGCHLD, 0);
    say_status("a fault", wait_for(p));
    p = start(forks, SIGCHLD, 0);
    say_status("it forks", wait_for(p));
    p = start(makes_another, SIGCHLD, 0);
    say_status("one more", wait_for(p));
    // Handlers are each one's own, or common.
    signal(SIGUSR1, SIG_IGN);
    p = start(handles, SIGCHLD, 0);
    until(4, 1);
    CHECK(kill(getpid(), SIGUSR1) == 0 && box[5] == 0);
    CHECK(kill(p, SIGUSR1) == 0);
    say_status("own handlers", wait_for(p));
    CHECK(box[5] == p);
    box[4] = box[5] = 0;
    p = start(handles, CLONE_SIGHAND | SIGCHLD, 0);
    until(4, 1);
    CHECK(raise(SIGUSR1) == 0 && box[5] == getpid());
    say_status("common handlers", wait_for(p));
    // Descriptors and directories likewise.
    char dir[PATH_MAX], now[PATH_MAX];
    getcwd(dir, sizeof dir);
    p = start(opens, SIGCHLD, 0);
    say_status("own files", wait_for(p));
    printf("%d %d\n", fcntl(box[6], F_GETFD), strcmp(dir, getcwd(now, sizeof now)));
    p = start(opens, CLONE_FILES | CLONE_FS | SIGCHLD, 0);
    say_status("common files", wait_for(p));
    printf("%d %s\n", fcntl(box[6], F_GETFD), getcwd(now, sizeof now));
    CHECK(chdir(dir) == 0);
    p = start(maps, SIGCHLD, 0);
    say_status("it maps", wait_for(p));
    printf("%c\n", **(char *volatile *)&box[0]);
    // Several at once, and a thread besides.
    pthread_t t;
    CHECK(pthread_create(&t, NULL, thread, NULL) == 0);
    p = start(waits, SIGCHLD, 1), q = start(waits, SIGCHLD, 2);
    until_state(p, 'S');
    until_state(q, 'S');
    kill(p, SIGKILL);
    say_status("first", wait_for(p));
    CHECK(kill(q, 0) == 0);
    kill(q, SIGKILL);
    say_status("second", wait_for(q));
    // The parent ends, or becomes another program, before it.
    int pipes[2];
    char c;
    CHECK(pipe(pipes) == 0);
    p = fork();
    if (!p) {
        box[3] = getpid();
        start(outlives, 0, 1);
        syscall(SYS_exit_group, 0);
    }
    close(pipes[1]);
    SHOW(read(pipes[0], &c, 1)); // until both are gone
    say_status("parent", wait_for(p));
    CHECK(pipe(pipes) == 0);
    p = fork();
    if (!p) {
        fcntl(pipes[1], F_SETFD, FD_CLOEXEC);
        box[1] = 0;
        snprintf(now, sizeof now, "%d", start(waits, SIGCHLD, 1));
        until(1, 1);
        execl("/bin/sh", "sh", "-c", "kill -9 $0; exit 8", now, NULL);
    }
    close(pipes[1]);
    SHOW(read(pipes[0], &c, 1));
    say_status("parent", wait_for(p));
    for (int i = 0; i < 50; i++) {
        p = start(i % 2 ? execs : writes, SIGCHLD, i % 8);
        st = wait_for(p);
        CHECK(WEXITSTATUS(st) == (i % 2 ? 9 : 3));
    }
}
