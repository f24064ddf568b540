// The session leader of a pseudo-terminal exits: SIGHUP for those in the foreground, and the terminal goes on.
// needs: pace
#include "guest.h"
#include <pty.h>

static volatile int hup, cont;
static void on(int s) { *(s == SIGHUP ? &hup : &cont) += 1; }

static void tests(void) {
    int master, slave, done[2], ready[2];
    CHECK(openpty(&master, &slave, NULL, NULL, NULL) == 0 && pipe(done) == 0 && pipe(ready) == 0);
    pid_t leader = fork();
    if (!leader) {
        setsid();
        SHOW(ioctl(slave, TIOCSCTTY, 0));
        if (!fork()) {
            handle(SIGHUP, on, 0);
            handle(SIGCONT, on, 0);
            write(ready[1], "x", 1);
            while (!hup) nap(5);
            nap(50);
            printf("hangups %d continued %d\n", hup, cont);
            SHOW(open("/dev/tty", O_RDWR));
            SHOW(write(slave, "still here", 10));
            SHOW(tcgetpgrp(slave));
            struct pollfd p = {slave, POLLIN | POLLOUT};
            SHOW(poll(&p, 1, 0));
            SHOW(p.revents);
            write(done[1], "x", 1);
            _exit(0);
        }
        char c;
        CHECK(read(ready[0], &c, 1) == 1);
        _exit(3);
    }
    say_status("leader", wait_for(leader));
    char text[20] = "";
    read(done[0], text, 1);
    SHOW(read(master, text, sizeof text));
    puts(text);
    // Free for the next.
    say_status("next", CHILD(setsid(); SHOW(ioctl(slave, TIOCSCTTY, 0)); SHOW(tcgetpgrp(slave) == getpid())));
}
