// clone3 and clone: flags, exit signals, identifiers, errors.
#include "guest.h"
#include <linux/sched.h>

static volatile int chld, usr1;
static void on_chld(int s) { chld++; }
static void on_usr1(int s) { usr1++; }

static int in_our_memory(void *word) {
    nap(10);
    *(volatile int *)word = 5;
    return 12;
}

static long clone3(struct clone_args *a) { return syscall(SYS_clone3, a, sizeof *a); }

static void tests(void) {
    struct clone_args a = {.exit_signal = SIGCHLD};
    handle(SIGCHLD, on_chld, SA_RESTART);
    handle(SIGUSR1, on_usr1, SA_RESTART);
    int st, pidfd = -1, ptid = 0;
    static int ctid;

    pid_t p = clone3(&a);
    if (!p) _exit(1);
    say_status("plain", wait_for(p));

    a = (struct clone_args){.flags = CLONE_PIDFD | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID, .exit_signal = SIGCHLD, .pidfd = (uintptr_t)&pidfd,
                            .parent_tid = (uintptr_t)&ptid, .child_tid = (uintptr_t)&ctid};
    p = clone3(&a);
    if (!p) _exit(ctid == getpid() ? 0 : 1);
    CHECK(ptid == p && pidfd > 2);
    SHOW(fcntl(pidfd, F_GETFD));
    siginfo_t si = {};
    SHOW(waitid(P_PIDFD, pidfd, &si, WEXITED));
    CHECK(si.si_pid == p);
    SHOW(si.si_status);
    close(pidfd);

    // Exit signals other than SIGCHLD need __WCLONE or __WALL.
    a = (struct clone_args){.exit_signal = SIGUSR1};
    p = clone3(&a);
    if (!p) _exit(2);
    SHOW(waitpid(p, &st, 0));
    CHECK(waitpid(p, &st, __WCLONE) == p);
    say_status("USR1 child", st);
    SHOW(usr1);
    a.exit_signal = 0;
    p = clone3(&a);
    if (!p) _exit(3);
    CHECK(waitpid(p, &st, __WALL) == p);
    say_status("silent child", st);
    SHOW(chld);

    // Shared memory with vfork's wait, shared descriptors, shared working directory.
    static char stack[65536] __attribute__((aligned(16)));
    volatile int word = 0;
    p = clone(in_our_memory, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, (void *)&word);
    SHOW(word);
    say_status("in our memory", wait_for(p));
    mkdir("d", 0755);
    a = (struct clone_args){.flags = CLONE_FILES | CLONE_FS, .exit_signal = SIGCHLD};
    int fd = dup(1);
    p = clone3(&a);
    if (!p) {
        close(fd);
        umask(077);
        _exit(chdir("d"));
    }
    say_status("sharer", wait_for(p));
    SHOW(fcntl(fd, F_GETFD));
    SHOW(umask(022));
    SHOW(access("../d", F_OK));

    a = (struct clone_args){.flags = CLONE_CLEAR_SIGHAND, .exit_signal = SIGCHLD};
    signal(SIGUSR2, SIG_IGN);
    p = clone3(&a);
    if (!p) {
        struct sigaction s;
        sigaction(SIGUSR1, NULL, &s);
        CHECK(s.sa_handler == SIG_DFL);
        sigaction(SIGUSR2, NULL, &s);
        CHECK(s.sa_handler == SIG_IGN);
        _exit(failures);
    }
    say_status("cleared", wait_for(p));

    // A brother: CLONE_PARENT makes the child our parent's.
    say_status("brothers", CHILD({
                   a = (struct clone_args){.flags = CLONE_PARENT};
                   pid_t mother = getppid();
                   p = clone3(&a);
                   if (!p) _exit(getppid() == mother ? 40 : 41);
                   SHOW(waitpid(p, NULL, __WALL));
               }));
    CHECK(wait4(-1, &st, __WALL, NULL) > 0);
    say_status("brother", st);

    a = (struct clone_args){.flags = CLONE_THREAD};
    SHOW(clone3(&a));
    a = (struct clone_args){.flags = CLONE_SIGHAND};
    SHOW(clone3(&a));
    a = (struct clone_args){.flags = CLONE_SIGHAND | CLONE_CLEAR_SIGHAND | CLONE_VM};
    SHOW(clone3(&a));
    a = (struct clone_args){.exit_signal = 65};
    SHOW(clone3(&a));
    a = (struct clone_args){.exit_signal = SIGCHLD, .stack = (uintptr_t)stack};
    SHOW(clone3(&a));
    a = (struct clone_args){.exit_signal = SIGCHLD, .stack_size = 4096};
    SHOW(clone3(&a));
    a = (struct clone_args){.flags = 1ull << 60};
    SHOW(clone3(&a));
    a = (struct clone_args){.exit_signal = SIGCHLD};
    SHOW(syscall(SYS_clone3, &a, 8));
    SHOW(syscall(SYS_clone3, &a, 8192));
    SHOW(syscall(SYS_clone3, NULL, sizeof a));
    struct { struct clone_args a; long more; } big = {a, 1};
    SHOW(syscall(SYS_clone3, &big, sizeof big));
    int set[1] = {1};
    a = (struct clone_args){.exit_signal = SIGCHLD, .set_tid = (uintptr_t)set, .set_tid_size = 1};
    a.set_tid_size = 0;
    SHOW(clone3(&a));
    SHOW(syscall(SYS_clone, CLONE_PIDFD | CLONE_PARENT_SETTID | SIGCHLD, 0, &ptid, 0, 0));
    SHOW(syscall(SYS_clone, CLONE_FS | 0x20000 /* NEWNS */ | SIGCHLD, 0, 0, 0, 0));

    // The same word twice, a stack beyond all addresses, a word in no memory, an exit signal that is none.
    a = (struct clone_args){.flags = CLONE_PIDFD | CLONE_PARENT_SETTID, .exit_signal = SIGCHLD, .pidfd = (uintptr_t)&ptid, .parent_tid = (uintptr_t)&ptid};
    SHOW(clone3(&a));
    a = (struct clone_args){.exit_signal = SIGCHLD, .stack = 8, .stack_size = -1ul};
    SHOW(clone3(&a));
    a = (struct clone_args){.flags = CLONE_PARENT_SETTID, .exit_signal = SIGCHLD, .parent_tid = 8};
    p = clone3(&a);
    if (!p) _exit(14);
    say_status("nowhere to tell", wait_for(p));
    p = syscall(SYS_clone, 70, 0, 0, 0, 0);
    if (!p) _exit(15);
    CHECK(waitpid(p, &st, __WCLONE) == p);
    say_status("signal 70", st);
}
