// A vfork child that makes a thread: the thread lives on in the parent's memory when the child's first thread has ended, and
// ends, or becomes another program, without the parent.
#include "guest.h"

static volatile int seen;

static void *exits(void *unused) {
    nap(30);
    seen++;
    _exit(7);
}

static void *execs(void *unused) {
    nap(30);
    seen++;
    execl("/bin/sh", "sh", "-c", "exit 9", NULL);
    _exit(1);
}

static void *execs_at_once(void *unused) {
    execl("/bin/sh", "sh", "-c", "exit 11", NULL);
    _exit(1);
}

static int by(void *(*what)(void *), bool leave) {
    pid_t p = vfork();
    if (!p) {
        pthread_t t;
        if (pthread_create(&t, NULL, what, NULL)) _exit(1);
        if (leave) syscall(SYS_exit, 0);
        for (;;) pause();
    }
    return wait_for(p);
}

static void *stays(void *unused) {
    for (;;) pause();
}

static void *alone(void *unused) {
    until_state(getpid(), 'Z');
    execl("/bin/sh", "sh", "-c", "exit 12", NULL);
    _exit(1);
}

static void tests(void) {
    // Few times: glibc keeps the stack of each such thread.
    for (int i = 0; i < 4; i++) {
        CHECK(by(exits, true) == 7 << 8);
        CHECK(by(exits, false) == 7 << 8);
        CHECK(by(execs, true) == 9 << 8);
        CHECK(by(execs_at_once, false) == 11 << 8);
    }
    SHOW(seen);
    // The child itself becomes another program: its thread ends.
    pid_t p = vfork();
    if (!p) {
        pthread_t t;
        if (pthread_create(&t, NULL, stays, NULL)) _exit(1);
        execl("/bin/sh", "sh", "-c", "exit $(ls /proc/$$/task | wc -l)", NULL);
        _exit(1);
    }
    SHOW(wait_for(p) >> 8);
    // The last thread, which is not the leader, becomes another program: with the leader's number.
    p = fork();
    if (!p) {
        pthread_t t;
        pthread_create(&t, NULL, alone, NULL);
        pthread_exit(NULL);
    }
    SHOW(wait_for(p) >> 8);
}
