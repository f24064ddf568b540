// renameat2(2) with RENAME_WHITEOUT on tmpfs: what it leaves at the old name.
#include "guest.h"
#include <sys/sysmacros.h>

#define WHITEOUT (1 << 2)

static int re(const char *a, const char *b, int flags) {
    return renameat2(AT_FDCWD, a, AT_FDCWD, b, flags);
}

static void look(const char *p) {
    struct stat s;
    if (lstat(p, &s)) printf("%s: %s\n", p, strerrorname_np(errno));
    else printf("%s: %o %d:%d links %d\n", p, s.st_mode, major(s.st_rdev), minor(s.st_rdev), (int)s.st_nlink);
}

static void make(const char *p) {
    CHECK(close(open(p, O_CREAT | O_WRONLY, 0600)) == 0);
}

static void tests(void) {
    make("a");
    make("b");
    CHECK(mkdir("d", 0700) == 0 && mkdir("e", 0700) == 0);
    SHOW(re("a", "c", WHITEOUT));
    look("a");
    look("c");
    SHOW(re("b", "a", WHITEOUT)); // in place of one
    look("b");
    look("a");
    SHOW(re("c", "c", WHITEOUT));
    look("c");
    SHOW(re("c", "x", WHITEOUT | RENAME_NOREPLACE));
    look("c");
    look("x");
    SHOW(re("x", "a", WHITEOUT | RENAME_NOREPLACE));
    SHOW(re("x", "a", WHITEOUT | RENAME_EXCHANGE));
    SHOW(re("d", "f", WHITEOUT));
    look("d");
    look("f");
    SHOW(re("e", "f", WHITEOUT));
    look("e");
    SHOW(open("b", O_RDONLY));
    SHOW(unlink("b"));
    look("b");
    SHOW(rename("d", "f"));
    SHOW(rmdir("d"));
    SHOW(unlink("d"));
    SHOW(re("nope", "y", WHITEOUT));
    CHECK(link("a", "l") == 0);
    SHOW(re("a", "l", WHITEOUT)); // two names of one file
    look("a");
    look("l");
    CHECK(chmod(".", 0777) == 0);
    // Needs no privilege.
    say_status("user", CHILD(setuid(1234); make("u"); SHOW(re("u", "v", WHITEOUT)); look("u"); look("v")));
}
