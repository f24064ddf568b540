// stat, statx, access, utimensat, chmod, chown, links: attributes and how they change.
#include "guest.h"
#include <sys/statfs.h>
#include <sys/sysmacros.h>

static void show_stat(const char *name) {
    struct stat st;
    if (lstat(name, &st)) {
        printf("%s: %s\n", name, strerrorname_np(errno));
        return;
    }
    printf("%s: mode %o links %lu owner %u:%u size %ld blocks %ld\n", name, st.st_mode, (unsigned long)st.st_nlink, st.st_uid, st.st_gid,
           S_ISDIR(st.st_mode) ? -1 : (long)st.st_size, S_ISREG(st.st_mode) ? (long)st.st_blocks : -1);
}
static long ctime_of(const char *n) {
    struct stat st;
    stat(n, &st);
    return st.st_ctim.tv_sec * 1000000000l + st.st_ctim.tv_nsec;
}
static long mtime_of(const char *n) {
    struct stat st;
    stat(n, &st);
    return st.st_mtim.tv_sec * 1000000000l + st.st_mtim.tv_nsec;
}

static void tests(void) {
    struct statx sx;
    struct stat st;
    int fd = open("f", O_CREAT | O_RDWR, 0644);
    CHECK(write(fd, "0123456789", 10) == 10);
    mkdir("d", 0755);
    show_stat("f"), show_stat("d");
    mkdir("d/a", 0755), mkdir("d/b", 0700);
    stat("d", &st);
    SHOW(st.st_nlink);
    rmdir("d/a");
    stat("d", &st);
    SHOW(st.st_nlink);
    symlink("target-of-it", "l");
    show_stat("l");
    SHOW(link("f", "g"));
    SHOW(link("l", "l2")); // the link itself
    SHOW(link("d", "d2"));
    SHOW(link("none", "x"));
    SHOW(link("f", "g"));
    show_stat("f"), show_stat("l2");
    SHOW(unlink("f"));
    show_stat("g"), show_stat("f");
    SHOW(unlink("g"));
    fstat(fd, &st);
    printf("unlinked: links %lu size %ld\n", (unsigned long)st.st_nlink, (long)st.st_size);
    SHOW(unlink("d"));
    SHOW(rmdir("d"));
    SHOW(rmdir("l"));
    SHOW(rmdir("d/."));
    SHOW(rmdir("d/b/.."));
    SHOW(unlink("."));
    SHOW(mkdir("d", 0755));
    SHOW(mkdir("x/y", 0755));
    SHOW(mkdir("slash/", 0755));
    char b[64];
    SHOW(readlink("l", b, 4));
    SHOW(readlink("d", b, 4));
    SHOW(readlink("l", b, 0));
    SHOW(symlink("", "e"));
    SHOW(symlink("a", "l"));

    close(open("m", O_CREAT | O_RDWR, 0644));
    SHOW(chmod("m", 07777));
    show_stat("m");
    SHOW(chown("m", 1000, 2000)); // takes the set-id bits
    show_stat("m");
    SHOW(chmod("m", 06755));
    SHOW(chown("m", -1, -1));
    show_stat("m");
    SHOW(chmod("m", 02644)); // no execute for the group: the bit means something else and stays
    SHOW(chown("m", 3, 4));
    show_stat("m");
    SHOW(chmod("m", 06777));
    say_status("writer", CHILD(int w = open("m", O_WRONLY); setuid(1000); SHOW(write(w, "x", 1))));
    show_stat("m");
    SHOW(lchown("l", 7, 8));
    show_stat("l");
    SHOW(fchmodat(AT_FDCWD, "l", 0600, AT_SYMLINK_NOFOLLOW));
    SHOW(chmod("l", 0600));
    mkdir("sg", 0755);
    SHOW(chown("sg", 0, 50));
    SHOW(chmod("sg", 02755));
    mkdir("sg/d", 0755);
    close(open("sg/f", O_CREAT | O_RDWR, 0644));
    show_stat("sg/d"), show_stat("sg/f");

    struct timespec t[2] = {{100, 5}, {200, 7}};
    SHOW(utimensat(AT_FDCWD, "m", t, 0));
    stat("m", &st);
    printf("%ld.%ld %ld.%ld\n", st.st_atim.tv_sec, st.st_atim.tv_nsec, st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
    t[0].tv_nsec = UTIME_OMIT, t[1].tv_nsec = UTIME_NOW;
    SHOW(utimensat(AT_FDCWD, "m", t, 0));
    stat("m", &st);
    printf("%ld %d\n", st.st_atim.tv_sec, st.st_mtim.tv_sec > 1000000);
    t[0].tv_nsec = 2000000000;
    SHOW(utimensat(AT_FDCWD, "m", t, 0));
    SHOW(utimensat(AT_FDCWD, "m", NULL, 0x800000));
    t[0] = t[1] = (struct timespec){-5, 0};
    SHOW(utimensat(AT_FDCWD, "l", t, AT_SYMLINK_NOFOLLOW));
    lstat("l", &st);
    SHOW(st.st_mtim.tv_sec);
    // What touches which time.
    fd = open("t", O_CREAT | O_RDWR, 0644);
    long c = ctime_of("t"), m = mtime_of("t");
    nap(20);
    chmod("t", 0600);
    printf("chmod: ctime %d mtime %d\n", ctime_of("t") > c, mtime_of("t") > m);
    c = ctime_of("t");
    nap(20);
    CHECK(write(fd, "x", 1) == 1);
    printf("write: ctime %d mtime %d\n", ctime_of("t") > c, mtime_of("t") > m);
    c = ctime_of("t");
    nap(20);
    link("t", "t2");
    printf("link: ctime %d\n", ctime_of("t") > c);
    m = mtime_of("sg");
    nap(20);
    unlink("sg/f");
    printf("unlink: directory mtime %d\n", mtime_of("sg") > m);
    m = mtime_of("t");
    nap(20);
    ftruncate(fd, 1);
    printf("truncate to the same size: mtime %d\n", mtime_of("t") > m);

    SHOW(statx(AT_FDCWD, "t", 0, STATX_BASIC_STATS | STATX_BTIME, &sx));
    printf("mask %d, type %o, links %u, btime %d\n", (sx.stx_mask & STATX_BASIC_STATS) == STATX_BASIC_STATS, sx.stx_mode, sx.stx_nlink, sx.stx_btime.tv_sec > 1000000);
    SHOW(statx(fd, "", AT_EMPTY_PATH, STATX_SIZE, &sx));
    SHOW(sx.stx_size);
    SHOW(statx(fd, "", 0, STATX_SIZE, &sx));
    SHOW(statx(AT_FDCWD, "t", 0x80000, 0, &sx));
    SHOW(statx(AT_FDCWD, "t", AT_STATX_FORCE_SYNC | AT_STATX_DONT_SYNC, 0, &sx));
    SHOW(statx(AT_FDCWD, "t", 0, STATX__RESERVED, &sx));
    SHOW(statx(AT_FDCWD, "l", AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &sx));
    printf("%o\n", sx.stx_mode);
    SHOW(fstatat(AT_FDCWD, "", &st, 0));
    SHOW(fstatat(AT_FDCWD, "", &st, AT_EMPTY_PATH));
    SHOW(faccessat(AT_FDCWD, "t", X_OK, 0));
    SHOW(access("t", 8));
    SHOW(access("sg", X_OK | W_OK));
    struct statfs fs;
    SHOW(statfs(".", &fs));
    printf("type %#lx name length %ld\n", (long)fs.f_type, (long)fs.f_namelen);
    SHOW(truncate("t", -1));
    SHOW(truncate("d", 0));
    SHOW(truncate("none", 0));
    SHOW(ftruncate(open("t", O_RDONLY), 0));
}
