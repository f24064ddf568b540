// needs: parallel
// A signal to a long chain of processes that each wait for the end of their vfork: the last one runs, and gets its own only.
#include "guest.h"

enum { DEPTH = 200, ROUNDS = 30 };

static volatile int *sum;
static void heard(int s) { __atomic_add_fetch(sum, 1, __ATOMIC_SEQ_CST); }

static void chain(int left) {
    while (left--)
        if (vfork()) _exit(0);
    __atomic_store_n(&sum[1], 1, __ATOMIC_SEQ_CST);
    // Computes, so that what is sent interrupts it.
    while (__atomic_load_n(&sum[2], __ATOMIC_SEQ_CST) == 0) {}
}

static void tests(void) {
    sum = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    handle(SIGUSR1, heard, SA_RESTART);
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    for (int i = 0; i < ROUNDS; i++) {
        memset((void *)sum, 0, PAGE);
        pid_t p = fork();
        if (!p) {
            setpgid(0, 0);
            chain(DEPTH);
            _exit(0);
        }
        while (!__atomic_load_n(&sum[1], __ATOMIC_SEQ_CST)) sched_yield();
        for (int n = 0; n < 5; n++) CHECK(kill(-p, SIGUSR1) == 0);
        sum[2] = 1;
        int st;
        while (wait(&st) > 0) CHECK(st == 0);
        CHECK(sum[0] >= DEPTH);
    }
    SHOW(failures);
}
