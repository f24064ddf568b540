// Job control: controlling terminals, foreground groups, signals from keys, background reads and writes, hang-up.
#include "guest.h"
#include <termios.h>

static int m;
static char *name;
static volatile int last, count;
static void on_sig(int s) { last = s, count++; }
static void key(char c) { CHECK(write(m, &c, 1) == 1); }
static int until(int sig) {
    for (int i = 0; i < 1000 && last != sig; i++) nap(2);
    return last;
}

static void tests(void) {
    m = posix_openpt(O_RDWR | O_NOCTTY);
    grantpt(m), unlockpt(m);
    name = ptsname(m);
    int box[2];
    CHECK(pipe(box) == 0);
    say_status("session", CHILD({
                   CHECK(setsid() == getpid());
                   int s = open(name, O_RDWR); // becomes the controlling terminal
                   CHECK(tcgetsid(s) == getpid() && tcgetpgrp(s) == getpid());
                   OK(open("/dev/tty", O_RDWR));
                   int keys[] = {SIGINT, SIGQUIT, SIGTSTP, SIGWINCH, SIGTTOU, SIGTTIN, SIGHUP, SIGCONT};
                   for (int i = 0; i < 4; i++) handle(keys[i], on_sig, SA_RESTART);
                   key(3);
                   printf("^C: %s\n", name_of(until(SIGINT)));
                   key(28);
                   printf("^\\: %s\n", name_of(until(SIGQUIT)));
                   key(26);
                   printf("^Z: %s\n", name_of(until(SIGTSTP)));
                   struct winsize w = {10, 20};
                   SHOW(ioctl(s, TIOCSWINSZ, &w));
                   printf("size: %s\n", name_of(until(SIGWINCH)));
                   count = 0;
                   SHOW(ioctl(s, TIOCSWINSZ, &w)); // no change, no signal
                   nap(10);
                   SHOW(count);
                   struct termios t;
                   tcgetattr(s, &t);
                   // A background group.
                   pid_t p = fork();
                   if (!p) {
                       setpgid(0, 0);
                       char c;
                       for (int i = 0; i < 4; i++) signal(keys[i], SIG_DFL);
                       CHECK(write(box[1], "x", 1) == 1);
                       SHOW(write(s, "background writes\n", 18)); // allowed without TOSTOP
                       (void)!read(s, &c, 1);                      // SIGTTIN stops it
                       printf("read %d after coming forward\n", c);
                       t.c_lflag |= TOSTOP;
                       _exit(7);
                   }
                   char c;
                   CHECK(read(box[0], &c, 1) == 1);
                   int st;
                   CHECK(waitpid(p, &st, WUNTRACED) == p);
                   say_status("reader in the background", st);
                   SHOW(tcsetpgrp(s, p));
                   CHECK(tcgetpgrp(s) == p);
                   kill(-p, SIGCONT);
                   CHECK(write(m, "Q\n", 2) == 2);
                   say_status("reader", wait_for(p));
                   // Now this process is in the background.
                   handle(SIGTTOU, on_sig, SA_RESTART);
                   signal(SIGTTIN, SIG_IGN);
                   SHOW(read(s, &c, 1)); // ignored: EIO
                   signal(SIGTTOU, SIG_IGN);
                   SHOW(tcsetpgrp(s, getpgrp())); // ignored: allowed
                   SHOW(tcsetpgrp(s, 99999999));
                   SHOW(tcsetpgrp(s, -1));
                   SHOW(tcsetpgrp(s, getppid()));
                   // TOSTOP.
                   tcgetattr(s, &t);
                   t.c_lflag |= TOSTOP;
                   tcsetattr(s, TCSANOW, &t);
                   p = fork();
                   if (!p) {
                       setpgid(0, 0);
                       signal(SIGTTOU, SIG_DFL);
                       CHECK(write(s, "stopped first\n", 14) == 14);
                       _exit(3);
                   }
                   CHECK(waitpid(p, &st, WUNTRACED) == p);
                   say_status("writer in the background", st);
                   tcsetpgrp(s, p);
                   kill(p, SIGCONT);
                   say_status("writer", wait_for(p));
                   tcsetpgrp(s, getpgrp());
                   p = fork();
                   if (!p) {
                       setpgid(0, 0);
                       signal(SIGTTOU, SIG_DFL);
                       tcsetattr(s, TCSANOW, &t); // changing it from behind stops, too
                       _exit(4);
                   }
                   CHECK(waitpid(p, &st, WUNTRACED) == p);
                   say_status("setter", st);
                   kill(p, SIGKILL);
                   wait_for(p);
                   // NOFLSH, ^C flushes input otherwise.
                   signal(SIGINT, SIG_IGN);
                   CHECK(write(m, "typed\x03"
                                  "after\n",
                               12) == 12);
                   char line[32] = "";
                   nap(10);
                   ssize_t n = read(s, line, 31);
                   printf("read %.*s", (int)n, line);
                   signal(SIGHUP, SIG_IGN);
                   SHOW(ioctl(s, TIOCNOTTY));
                   SHOW(open("/dev/tty", O_RDWR));
                   SHOW(ioctl(s, TIOCSCTTY, 0));
                   OK(open("/dev/tty", O_RDWR));
                   // A session that is not a leader's, a second one wanting the same terminal.
                   int st2 = CHILD(setsid(); SHOW(ioctl(s, TIOCSCTTY, 0)); SHOW(tcgetpgrp(s)); SHOW(tcgetsid(s)));
                   say_status("other session", st2);
                   st2 = CHILD(SHOW(ioctl(s, TIOCSCTTY, 0)); CHECK(tcgetsid(s) == getppid()));
                   say_status("member", st2);
               }));
    // The leader's end hangs the terminal up: foreground members get SIGHUP and SIGCONT.
    int done[2];
    CHECK(pipe(done) == 0);
    pid_t leader = fork();
    if (!leader) {
        setsid();
        int s = open(name, O_RDWR);
        pid_t p = fork();
        if (!p) {
            handle(SIGHUP, on_sig, 0);
            CHECK(write(box[1], "r", 1) == 1);
            printf("member: %s\n", name_of(until(SIGHUP)));
            SHOW(open("/dev/tty", O_RDWR));
            CHECK(write(done[1], "d", 1) == 1);
            _exit(0);
        }
        char c;
        CHECK(read(box[0], &c, 1) == 1);
        _exit(0);
    }
    char c;
    CHECK(read(done[0], &c, 1) == 1);
    say_status("leader", wait_for(leader));
    // Closing the master: SIGHUP to the leader's session.
    int m2 = posix_openpt(O_RDWR | O_NOCTTY);
    grantpt(m2), unlockpt(m2);
    name = ptsname(m2);
    pid_t p = fork();
    if (!p) {
        close(m2);
        setsid();
        handle(SIGHUP, on_sig, 0);
        int s = open(name, O_RDWR);
        CHECK(write(box[1], "r", 1) == 1);
        printf("leader: %s\n", name_of(until(SIGHUP)));
        SHOW(read(s, &c, 1));
        _exit(5);
    }
    CHECK(read(box[0], &c, 1) == 1);
    close(m2);
    say_status("leader", wait_for(p));
}
