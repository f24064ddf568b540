// The machine's name is one, whoever changes it. As root: in a namespace of its own on the host.
#include "guest.h"
#include <sched.h>
#include <sys/utsname.h>

static const char path[] = "/proc/sys/kernel/hostname";

static void both(void) {
    struct utsname u;
    char text[80] = "";
    int fd = open(path, O_RDONLY);
    CHECK(uname(&u) == 0 && read(fd, text, 79) > 0);
    printf("%s %s", u.nodename, text);
    close(fd);
}

static void tests(void) {
    // A guest has one namespace, which is its own (ENOSYS).
    if (geteuid() != 0 || (unshare(CLONE_NEWUTS) != 0 && errno != ENOSYS)) return;
    struct utsname u;
    CHECK(uname(&u) == 0);
    SHOW(sethostname("one", 3));
    both();
    int fd = open(path, O_WRONLY);
    SHOW(write(fd, "two\n", 4));
    both();
    SHOW(sethostname("x", 65));
    both();
    // The machine is used for other tests.
    CHECK(sethostname(u.nodename, strlen(u.nodename)) == 0);
}
