// Process groups and sessions.
#include "guest.h"

static void tests(void) {
    pid_t me = getpid();
    CHECK(getpgrp() == getpgid(0) && getpgid(me) == getpgrp());
    CHECK(getsid(0) == getsid(me));
    SHOW(getpgid(99999999));
    SHOW(getsid(99999999));
    SHOW(setpgid(0, -1));
    SHOW(setpgid(-1, 0));
    SHOW(setpgid(99999999, 0));
    SHOW(setpgid(0, 99999999));
    SHOW(setpgid(0, 0));
    CHECK(getpgrp() == me);
    SHOW(setsid()); // a leader of a group can not
    say_status("session", CHILD({
                   CHECK(getpgrp() == me);
                   CHECK(setsid() == getpid());
                   CHECK(getsid(0) == getpid() && getpgrp() == getpid());
                   SHOW(setsid());
                   SHOW(setpgid(0, 0)); // a session leader can not
                   SHOW(setpgid(0, me));
                   SHOW(open("/dev/tty", O_RDWR));
               }));
    say_status("pgid of a child", CHILD({
                   pid_t p = fork();
                   if (!p) pause();
                   SHOW(setpgid(p, p));
                   CHECK(getpgid(p) == p);
                   pid_t q = fork();
                   if (!q) pause();
                   SHOW(setpgid(q, p)); // join
                   CHECK(getpgid(q) == p);
                   SHOW(setpgid(q, getpgrp()));
                   CHECK(getpgid(q) == getpgrp());
                   SHOW(setpgid(q, p));
                   SHOW(kill(-p, SIGTERM));
                   say_status("p", wait_for(p));
                   say_status("q", wait_for(q));
                   SHOW(kill(-p, SIGTERM));
                   SHOW(setpgid(0, p)); // nobody left in it
               }));
    // A child in another session, a child that has run exec: EPERM, EACCES.
    int pipefd[2];
    CHECK(pipe(pipefd) == 0);
    pid_t p = fork();
    if (!p) {
        setsid();
        CHECK(write(pipefd[1], "x", 1) == 1);
        pause();
    }
    char c;
    CHECK(read(pipefd[0], &c, 1) == 1);
    SHOW(setpgid(p, 0));
    CHECK(getsid(p) == p);
    kill(p, SIGKILL);
    wait_for(p);
    p = fork();
    if (!p) {
        execl("/bin/sleep", "sleep", "100", NULL);
        _exit(1);
    }
    char path[40], text[64] = "";
    snprintf(path, sizeof path, "/proc/%d/comm", p);
    for (int i = 0; i < 1000 && strcmp(text, "sleep\n"); i++) {
        int fd = open(path, O_RDONLY);
        text[read(fd, text, 63)] = 0;
        close(fd);
        nap(2);
    }
    SHOW(setpgid(p, p));
    kill(p, SIGKILL);
    wait_for(p);
    // Not for processes that are no children.
    say_status("grandchild", CHILD({
                   pid_t parent = getppid();
                   SHOW(setpgid(parent, 0));
               }));
    // A group lives on without its leader; its number is not given out again.
    p = fork();
    if (!p) {
        setpgid(0, 0);
        if (!fork()) pause();
        _exit(0);
    }
    wait_for(p);
    SHOW(kill(-p, 0));
    SHOW(kill(-p, SIGKILL));
    SHOW(getpriority(PRIO_PGRP, 99999999));
    SHOW(setpriority(PRIO_PGRP, 0, 3));
    SHOW(getpriority(PRIO_PROCESS, 0));
}
