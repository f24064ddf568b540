// rename, renameat2, link and unlink against each other.
#include "guest.h"

static int renameat2_(const char *a, const char *b, unsigned f) { return syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, f); }
static void put(const char *name, const char *text) {
    int fd = open(name, O_CREAT | O_WRONLY | O_TRUNC, 0644);
    CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}
static const char *get(const char *name) {
    static char b[4][32];
    static int turn;
    char *t = b[turn++ % 4];
    int fd = open(name, O_RDONLY);
    if (fd < 0) return strerrorname_np(errno);
    ssize_t n = read(fd, t, 31);
    close(fd);
    if (n < 0) return strerrorname_np(errno);
    t[n] = 0;
    return t;
}

static void tests(void) {
    put("a", "A"), put("b", "B");
    mkdir("d", 0755), mkdir("e", 0755), mkdir("full", 0755);
    put("full/x", "X");
    SHOW(rename("a", "c"));
    printf("%s %s\n", get("a"), get("c"));
    int held = open("b", O_RDONLY);
    SHOW(rename("c", "b"));
    char t;
    CHECK(read(held, &t, 1) == 1);
    printf("%s, the old one still reads %c\n", get("b"), t);
    SHOW(rename("none", "x"));
    SHOW(rename("b", "d"));
    SHOW(rename("d", "b"));
    SHOW(rename("d", "e"));
    SHOW(rename("e", "full"));
    SHOW(rename("full", "full/inner"));
    SHOW(rename("full", "full/x"));
    SHOW(rename("full/x", "full"));
    SHOW(rename(".", "z"));
    SHOW(rename("e", "."));
    SHOW(rename("e/", "f/"));
    SHOW(rename("b/", "g"));
    SHOW(rename("b", "g/"));
    SHOW(rename("", "g"));
    SHOW(rename("f", "none/f"));
    link("b", "same");
    SHOW(rename("b", "same")); // the same file: nothing happens
    printf("%s %s\n", get("b"), get("same"));
    unlink("same");
    symlink("b", "l");
    SHOW(rename("l", "m")); // the link
    char text[8];
    SHOW(readlink("m", text, 8));
    put("x", "X"), put("y", "Y");
    SHOW(renameat2_("x", "y", RENAME_NOREPLACE));
    SHOW(renameat2_("x", "z", RENAME_NOREPLACE));
    SHOW(renameat2_("y", "z", RENAME_EXCHANGE));
    printf("%s %s\n", get("y"), get("z"));
    SHOW(renameat2_("y", "none", RENAME_EXCHANGE));
    mkdir("dir", 0755);
    put("dir/in", "in");
    SHOW(renameat2_("dir", "y", RENAME_EXCHANGE)); // a directory with a file
    printf("%s %s\n", get("y/in"), get("dir"));
    SHOW(renameat2_("y", "y/in", RENAME_EXCHANGE));
    SHOW(renameat2_("y", "z", RENAME_EXCHANGE | RENAME_NOREPLACE));
    SHOW(renameat2_("y", "z", 64));
    SHOW(renameat2_("y", "dir", RENAME_WHITEOUT | RENAME_EXCHANGE));
    // Across directories; ".." follows.
    mkdir("p", 0755), mkdir("q", 0755), mkdir("p/sub", 0755);
    put("q/mark", "m");
    SHOW(rename("p/sub", "q/sub"));
    printf("%s\n", get("q/sub/../mark"));
    struct stat st;
    stat("p", &st);
    printf("links of p %lu", (unsigned long)st.st_nlink);
    stat("q", &st);
    printf(" of q %lu\n", (unsigned long)st.st_nlink);
    SHOW(rename("q", "q/sub/q"));
    // A working directory that is renamed, and removed.
    say_status("moved", CHILD({
                   char cwd[256];
                   chdir("q/sub");
                   rename("../../q", "../../r");
                   CHECK(getcwd(cwd, sizeof cwd) != NULL);
                   printf("%s\n", strstr(cwd, "/r/sub") ? "in r/sub" : cwd);
                   rmdir("../sub");
                   SHOW(getcwd(cwd, sizeof cwd));
                   SHOW(open("x", O_CREAT | O_RDWR, 0600));
                   SHOW(mkdir("x", 0700));
                   OK(open(".", O_RDONLY));
                   SHOW(open("..", O_RDONLY) >= 0);
                   SHOW(chdir(".."));
                   CHECK(getcwd(cwd, sizeof cwd) != NULL);
               }));
    // Sticky directories.
    mkdir("sticky", 0777);
    chmod("sticky", 01777);
    put("sticky/f", "F");
    chmod(".", 0755);
    say_status("other user", CHILD({
                   setuid(1000);
                   SHOW(unlink("sticky/f"));
                   SHOW(rename("sticky/f", "sticky/g"));
                   SHOW(open("sticky/mine", O_CREAT | O_RDWR, 0600) >= 0);
                   SHOW(rename("sticky/mine", "sticky/f"));
                   SHOW(unlink("sticky/mine"));
               }));
    // The time of a rename and of unlinking open files.
    int fd = open("sticky/f", O_RDWR);
    SHOW(unlink("sticky/f"));
    SHOW(write(fd, "more", 4));
    SHOW(pread(fd, text, 4, 0));
    char path[40];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    char link_[300] = "";
    CHECK(readlink(path, link_, 299) > 0);
    puts(strstr(link_, "/sticky/f"));
    SHOW(linkat(fd, "", AT_FDCWD, "back", AT_EMPTY_PATH)); // no links left: refused
}
