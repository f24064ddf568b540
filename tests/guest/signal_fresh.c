// needs: parallel
// Signals to processes that have just begun, while others end: each must arrive, though the process makes no system call.
#include "guest.h"

static volatile sig_atomic_t rung;
static void on_alarm(int s) { rung = 1; }

// Computes until the alarm rings; true where it does not.
static bool deaf(void) {
    struct itimerval soon = {.it_value = {0, 300}};
    handle(SIGALRM, on_alarm, 0);
    setitimer(ITIMER_REAL, &soon, NULL);
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    // The vDSO's clock: no system call.
    for (time_t end = t.tv_sec + 10; !rung && t.tv_sec < end;) clock_gettime(CLOCK_MONOTONIC, &t);
    return !rung;
}

static void tests(void) {
    for (int maker = 0; maker < 6; maker++) {
        if (fork()) continue;
        int lost = 0;
        for (int i = 0; i < 300; i++) {
            // Every other one ends at once: its place is the next one's.
            pid_t p = fork();
            if (!p) _exit((i + maker) % 2 ? 0 : deaf());
            lost += wait_for(p) != 0;
        }
        _exit(lost != 0);
    }
    int st, makers = 0, deaf_ones = 0;
    while (wait(&st) > 0) makers++, deaf_ones += st != 0;
    SHOW(makers);
    SHOW(deaf_ones);
}
