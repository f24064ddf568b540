// needs: pace
// A signal ends a wait, not a write that need not wait: output between the ticks of a timer is complete.
#include "guest.h"

static volatile int ticks;
static void on_tick(int s) { ticks++; }

static void tests(void) {
    handle(SIGALRM, on_tick, 0);
    struct itimerval often = {{0, 200}, {0, 200}}, never = {0};
    setitimer(ITIMER_REAL, &often, NULL);
    int cut = 0;
    // Less than a pipe holds, however slow its reader is.
    for (int i = 0; i < 1500; i++) cut += write(1, "another line\n", 13) != 13;
    while (ticks < 20) {
        for (volatile int k = 0; k < 100000; k++) {}
        cut += write(1, ".", 0) != 0;
    }
    setitimer(ITIMER_REAL, &never, NULL);
    SHOW(cut);
}
