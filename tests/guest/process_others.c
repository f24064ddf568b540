// What a user may not do to another user's process: signal it, look into its memory map, say how it runs.
#include "guest.h"

static void at(pid_t p) {
    char path[64], text[64];
    SHOW(kill(p, 0));
    SHOW(kill(p, SIGCONT));
    snprintf(path, sizeof path, "/proc/%d/maps", p);
    int fd = open(path, O_RDONLY);
    printf("maps: %s\n", fd >= 0 && read(fd, text, sizeof text) > 0 ? "read" : "not read");
    snprintf(path, sizeof path, "/proc/%d/status", p);
    printf("status: %s\n", access(path, R_OK) == 0 ? "readable" : "not readable");
    SHOW(setpriority(PRIO_PROCESS, p, 3));
    SHOW(setpriority(PRIO_PROCESS, p, 1));
    cpu_set_t set;
    CHECK(sched_getaffinity(p, sizeof set, &set) == 0);
    SHOW(sched_setaffinity(p, sizeof set, &set));
}

static void tests(void) {
    pid_t roots = fork();
    if (!roots) for (;;) pause();
    pid_t theirs = fork();
    if (!theirs) {
        CHECK(setsid() > 0 && setresuid(64002, 64002, 64002) == 0);
        for (;;) pause();
    }
    until_state(theirs, 'S');
    say_status("root to root", CHILD(at(roots)));
    say_status("root to user", CHILD(at(theirs)));
    say_status("user to root", CHILD(CHECK(setsid() > 0 && setresuid(64001, 64001, 64001) == 0); at(roots)));
    say_status("user to other user", CHILD(CHECK(setsid() > 0 && setresuid(64001, 64001, 64001) == 0); at(theirs)));
    say_status("user to process 1", CHILD(CHECK(setresuid(64001, 64001, 64001) == 0); SHOW(kill(1, 0)); SHOW(kill(1, SIGTERM));
                                          SHOW(setpriority(PRIO_PROCESS, 1, 19))));
    kill(roots, SIGKILL);
    kill(theirs, SIGKILL);
    wait_for(roots);
    wait_for(theirs);
}
