// Pseudo-terminals: line discipline, flow, sizes, flushing, hang-up.
#include "guest.h"
#include <termios.h>

static int m, s;
static void send_(const char *t) { CHECK(write(m, t, strlen(t)) == (ssize_t)strlen(t)); }
static void quoted(const char *what, int fd) {
    char b[256];
    struct pollfd p = {fd, POLLIN};
    if (poll(&p, 1, 50) <= 0) {
        printf("%s: nothing\n", what);
        return;
    }
    ssize_t n = read(fd, b, sizeof b);
    printf("%s:", what);
    if (n < 0) printf(" %s", strerrorname_np(errno));
    for (ssize_t i = 0; i < n; i++) printf(b[i] > 32 && b[i] < 127 ? "%c" : "<%d>", b[i]);
    puts("");
}
// A line discipline may work in its own time: until something can be read, and a moment longer.
static void settle(void) {
    struct pollfd p[] = {{m, POLLIN}, {s, POLLIN}};
    poll(p, 2, 100);
    nap(5);
}
static void both(const char *what) {
    char label[64];
    snprintf(label, sizeof label, "%s, echo", what);
    settle();
    quoted(label, m);
    quoted(what, s);
}

static void tests(void) {
    m = OK(posix_openpt(O_RDWR | O_NOCTTY));
    SHOW(grantpt(m));
    char *name = ptsname(m);
    SHOW(strncmp(name, "/dev/pts/", 9));
    SHOW(open(name, O_RDWR | O_NOCTTY)); // locked
    SHOW(unlockpt(m));
    s = OK(open(name, O_RDWR | O_NOCTTY));
    // The other way in, which openpty(3) takes: the same file, under its name.
    int peer = OK(ioctl(m, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
    struct stat named, got;
    CHECK(stat(name, &named) == 0 && fstat(peer, &got) == 0);
    SHOW(named.st_rdev == got.st_rdev && named.st_ino == got.st_ino && named.st_dev == got.st_dev);
    char by_peer[40] = "";
    SHOW(ttyname_r(peer, by_peer, sizeof by_peer));
    SHOW(strcmp(by_peer, name));
    SHOW(fcntl(peer, F_GETFD));
    close(peer);
    SHOW(isatty(m));
    SHOW(isatty(s));
    struct termios t;
    SHOW(tcgetattr(s, &t));
    printf("i %o o %o c %o l %o\n", t.c_iflag, t.c_oflag, t.c_cflag, t.c_lflag);
    // System V's form of the same (ioctl_tty(2)).
    struct termio old, now;
    SHOW(ioctl(s, TCGETA, &old));
    now = old;
    now.c_lflag &= ~ECHO;
    now.c_cc[VERASE] = '#';
    SHOW(ioctl(s, TCSETA, &now));
    SHOW(tcgetattr(s, &t));
    printf("l %o erase %d\n", t.c_lflag, t.c_cc[VERASE]);
    SHOW(ioctl(s, TCSETAF, &old));
    SHOW(ioctl(s, TCSETAW, &old));
    SHOW(ioctl(s, TCSETA, (void *)8));
    SHOW(tcgetattr(s, &t));
    for (int i = 0; i < 17; i++) printf("%d ", t.c_cc[i]);
    puts("");
    send_("hello\n"), both("a line");
    send_("abc\x7f\x7fX\r"), both("erase and return");
    send_("one two\x17three\n"), both("word erase");
    send_("gone\x15kept\n"), both("kill");
    send_("\x16\x03\n"), both("quoted");
    send_("no newline"), both("unfinished");
    send_("\x04"), both("end of file pushes");
    send_("\x04"), both("end of file alone");
    send_("two\nlines\n");
    settle();
    quoted("first", s), quoted("second", s), quoted("echo", m);
    CHECK(write(s, "out\tput\n", 8) == 8);
    quoted("output", m);
    int n;
    send_("12345\n678");
    settle();
    SHOW(ioctl(s, FIONREAD, &n));
    SHOW(n);
    char c[3];
    SHOW(read(s, c, 3)); // a part of a line
    quoted("rest", s);
    SHOW(tcflush(s, TCIFLUSH));
    quoted("flushed", s);
    quoted("master", m);

    cfmakeraw(&t);
    t.c_cc[VMIN] = 1, t.c_cc[VTIME] = 0;
    SHOW(tcsetattr(s, TCSANOW, &t));
    send_("raw\x03\r\n"), both("raw");
    CHECK(write(s, "a\nb", 3) == 3);
    quoted("raw output", m);
    t.c_cc[VMIN] = 0, t.c_cc[VTIME] = 0;
    tcsetattr(s, TCSANOW, &t);
    SHOW(read(s, c, 3));
    t.c_cc[VMIN] = 0, t.c_cc[VTIME] = 1;
    tcsetattr(s, TCSANOW, &t);
    SHOW(read(s, c, 3)); // after a tenth of a second
    t.c_cc[VMIN] = 3, t.c_cc[VTIME] = 1;
    tcsetattr(s, TCSANOW, &t);
    send_("x");
    SHOW(read(s, c, 3));
    t.c_lflag |= ISIG | ICANON | ECHO;
    t.c_iflag |= ICRNL | IXON;
    t.c_oflag |= OPOST | ONLCR;
    t.c_cc[VMIN] = 1;
    SHOW(tcsetattr(s, TCSADRAIN, &t));
    fcntl(s, F_SETFL, O_NONBLOCK);
    struct pollfd p = {s, POLLOUT};
    send_("\x13"); // stop
    for (int i = 0; i < 500 && poll(&p, 1, 0) != 0; i++) nap(2);
    SHOW(write(s, "held", 4));
    quoted("while stopped", m);
    send_("\x11");
    CHECK(poll(&p, 1, 1000) == 1);
    SHOW(write(s, "free", 4));
    quoted("after start", m);
    SHOW(poll(&p, 1, 0));
    fcntl(s, F_SETFL, 0);

    struct winsize w = {24, 80, 1, 2}, w2;
    SHOW(ioctl(m, TIOCSWINSZ, &w));
    SHOW(ioctl(s, TIOCGWINSZ, &w2));
    printf("%d %d %d %d\n", w2.ws_row, w2.ws_col, w2.ws_xpixel, w2.ws_ypixel);
    SHOW(tcgetpgrp(s));
    SHOW(tcgetsid(s));
    SHOW(ioctl(s, TIOCGPTN, &n));
    SHOW(ioctl(m, TIOCGPTN, &n));
    int on = 1;
    SHOW(ioctl(m, TIOCPKT, &on));
    send_("p\n");
    settle();
    quoted("packet mode", m);
    tcflush(s, TCIFLUSH);
    quoted("packet: flushed", m);
    on = 0;
    ioctl(m, TIOCPKT, &on);
    SHOW(tcsendbreak(s, 0));
    SHOW(tcdrain(s));
    SHOW(tcsetattr(s, 9, &t));
    SHOW(cfgetospeed(&t) == B38400);
    SHOW(ioctl(s, TIOCEXCL, 0));
    SHOW(ioctl(s, TIOCNXCL, 0));

    // The slave's end is seen by the master; a new slave revives it.
    CHECK(write(s, "last words", 10) == 10);
    close(s);
    p = (struct pollfd){m, POLLIN | POLLOUT};
    poll(&p, 1, 0);
    printf("revents %#x\n", p.revents);
    quoted("after closing", m);
    SHOW(read(m, c, 1));
    s = OK(open(name, O_RDWR | O_NOCTTY));
    CHECK(write(s, "again", 5) == 5);
    quoted("revived", m);
    close(m);
    SHOW(read(s, c, 1));
    SHOW(write(s, "x", 1));
    p = (struct pollfd){s, POLLIN | POLLOUT};
    poll(&p, 1, 0);
    printf("revents %#x\n", p.revents);
    SHOW(tcgetattr(s, &t));
    SHOW(open(name, O_RDWR));
}
