// clone3(2) with set_tid: a child with a chosen number, as checkpoint and restore needs it.
#include "guest.h"
#include <linux/sched.h>

static long make(int32_t *tids, size_t n) {
    struct clone_args a = {.exit_signal = SIGCHLD, .set_tid = (uintptr_t)tids, .set_tid_size = n};
    long p = syscall(SYS_clone3, &a, sizeof a);
    if (p == 0) _exit(tids && getpid() == tids[0] ? 7 : 8);
    return p;
}

static void tests(void) {
    int32_t tids[40] = {0};
    pid_t free_one = fork();
    if (free_one == 0) _exit(0);
    wait_for(free_one);
    tids[0] = free_one;
    long p = make(tids, 1);
    CHECK(p == free_one);
    say_status("a number that was just given back", wait_for(p));
    tids[0] = getpid();
    SHOW(make(tids, 1));
    tids[0] = 1;
    SHOW(make(tids, 1));
    tids[0] = 0;
    SHOW(make(tids, 1));
    tids[0] = -5;
    SHOW(make(tids, 1));
    tids[0] = 1 << 22;
    SHOW(make(tids, 1));
    tids[0] = free_one;
    SHOW(make(tids, 33));
    SHOW(make(tids, 0));
    SHOW(make(NULL, 1));
    SHOW(make((int32_t *)8, 1));
    // Numbers are the privileged's to choose.
    say_status("unprivileged", CHILD(CHECK(setresuid(1000, 1000, 1000) == 0); SHOW(make(tids, 1))));
    tids[0] = getpid();
    say_status("unprivileged, taken", CHILD(CHECK(setresuid(1000, 1000, 1000) == 0); SHOW(make(tids, 1))));
}
