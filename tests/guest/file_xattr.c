// Extended attributes.
#include "guest.h"
#include <sys/xattr.h>

static void list(const char *name) {
    char b[256];
    ssize_t n = listxattr(name, b, sizeof b);
    int users = 0, bytes = 0;
    for (char *p = b; p < b + n; p += strlen(p) + 1)
        if (!strncmp(p, "user.", 5) || !strncmp(p, "trusted.", 8)) users++, bytes += strlen(p) + 1;
    printf("%s lists %d names of %d bytes\n", name, users, bytes);
}

static void tests(void) {
    char b[128] = "";
    int fd = open("f", O_CREAT | O_RDWR, 0644);
    mkdir("d", 0755);
    symlink("f", "l");
    if (setxattr("f", "user.probe", "x", 1, 0) && errno == EOPNOTSUPP) puts("no user attributes here");
    removexattr("f", "user.probe");
    SHOW(setxattr("f", "trusted.a", "value", 5, 0));
    SHOW(getxattr("f", "trusted.a", b, sizeof b));
    puts(b);
    SHOW(getxattr("f", "trusted.a", NULL, 0));
    SHOW(getxattr("f", "trusted.a", b, 3));
    SHOW(getxattr("f", "trusted.none", b, 3));
    SHOW(getxattr("f", "nodomain", b, 3));
    SHOW(getxattr("f", "unknown.x", b, 3));
    SHOW(getxattr("f", "", b, 3));
    SHOW(getxattr("none", "trusted.a", b, 3));
    SHOW(setxattr("f", "trusted.a", "v2", 2, XATTR_CREATE));
    SHOW(setxattr("f", "trusted.b", "v2", 2, XATTR_REPLACE));
    SHOW(setxattr("f", "trusted.a", "v2", 2, XATTR_REPLACE));
    SHOW(setxattr("f", "trusted.b", "", 0, XATTR_CREATE));
    SHOW(setxattr("f", "trusted.b", "", 0, 8));
    SHOW(getxattr("f", "trusted.b", b, sizeof b));
    list("f");
    SHOW(fgetxattr(fd, "trusted.a", b, sizeof b));
    SHOW(fsetxattr(fd, "trusted.c", "c", 1, 0));
    SHOW(fremovexattr(fd, "trusted.c"));
    SHOW(fremovexattr(fd, "trusted.c"));
    SHOW(getxattr("l", "trusted.a", b, sizeof b));
    SHOW(lgetxattr("l", "trusted.a", b, sizeof b));
    SHOW(lsetxattr("l", "trusted.l", "own", 3, 0));
    SHOW(lgetxattr("l", "trusted.l", b, sizeof b));
    SHOW(getxattr("f", "trusted.l", b, sizeof b));
    SHOW(setxattr("d", "trusted.d", "dir", 3, 0));
    SHOW(getxattr("d", "trusted.d", b, sizeof b));
    char name[300] = "trusted.";
    memset(name + 8, 'n', 291);
    SHOW(setxattr("f", name, "x", 1, 0));
    name[255] = 0;
    SHOW(setxattr("f", name, "x", 1, 0));
    static char big[70000];
    SHOW(setxattr("f", "trusted.big", big, sizeof big, 0));
    SHOW(fgetxattr(99, "trusted.a", b, 1));
    SHOW(fsetxattr(open("f", O_PATH), "trusted.a", "", 0, 0));
    say_status("without privilege", CHILD({
                   chmod("f", 0666);
                   setuid(1000);
                   SHOW(setxattr("f", "trusted.x", "x", 1, 0));
                   SHOW(getxattr("f", "trusted.a", b, sizeof b));
                   list("f");
                   SHOW(setxattr("f", "security.x", "x", 1, 0));
               }));
    rename("f", "g");
    SHOW(getxattr("g", "trusted.a", b, sizeof b)); // they go with the file
    link("g", "h");
    SHOW(removexattr("h", "trusted.a"));
    SHOW(getxattr("g", "trusted.a", b, sizeof b));
}
