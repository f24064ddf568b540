// tmpfs mounts with options (tmpfs(5), mount(2)): sizes, owners, what /proc/mounts says, remounts. As root: in a mount namespace
// of its own on the host, where nobody else sees it.
#include "guest.h"
#include <sched.h>
#include <sys/mount.h>
#include <sys/statfs.h>

static char dir[] = "/tmp/mount.XXXXXX";

static int try(const char *options) {
    if (mount("none", dir, "tmpfs", 0, options) != 0) return errno;
    CHECK(umount(dir) == 0);
    return 0;
}

// The line of /proc/mounts of `dir`, from the type on.
static const char *shown(void) {
    static char line[1024];
    FILE *f = fopen("/proc/self/mounts", "r");
    const char *found = "";
    CHECK(f != NULL);
    while (fgets(line, sizeof line, f)) {
        char *at = strstr(line, dir);
        if (at && at[strlen(dir)] == ' ') {
            line[strcspn(line, "\n")] = 0;
            found = at + strlen(dir) + 1;
        }
        if (*found) break;
    }
    fclose(f);
    return found;
}

static long written(const char *name, long want) {
    static char page[4096];
    char path[128];
    long done = 0;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);
    if (fd < 0) return -errno;
    memset(page, 'x', sizeof page);
    while (done < want) {
        ssize_t n = write(fd, page, sizeof page);
        if (n < 0) break;
        done += n;
    }
    int e = errno;
    close(fd);
    errno = e;
    return done;
}

static char *at(const char *name) {
    static char paths[4][200];
    static int n;
    char *p = paths[n++ % 4];
    snprintf(p, sizeof paths[0], "%s/%s", dir, name);
    return p;
}

static int made(const char *name) {
    int fd = open(at(name), O_CREAT | O_WRONLY, 0600);
    return fd < 0 ? errno : close(fd);
}

static bool there(const char *name) {
    return access(at(name), F_OK) == 0;
}

// Mounts on mounts: bound with or without them, moved, taken away as a whole.
static void trees(void) {
    CHECK(mount("top", dir, "tmpfs", 0, NULL) == 0);
    for (const char **n = (const char *[]){"a", "a/d", "b", "c", "e", NULL}; *n; n++) CHECK(mkdir(at(*n), 0755) == 0);
    CHECK(made("file") == 0 && made("a/f") == 0);
    CHECK(mount("one", at("a/d"), "tmpfs", 0, NULL) == 0 && made("a/d/in") == 0 && mkdir(at("a/d/deep"), 0755) == 0);
    CHECK(mount("two", at("a/d/deep"), "tmpfs", 0, NULL) == 0 && made("a/d/deep/inner") == 0);

    CHECK(mount(at("a"), at("b"), NULL, MS_BIND, NULL) == 0);
    CHECK(there("b/f") && there("b/d") && !there("b/d/in"));
    CHECK(mount(at("a"), at("c"), NULL, MS_BIND | MS_REC, NULL) == 0);
    CHECK(there("c/f") && there("c/d/in") && there("c/d/deep/inner"));
    CHECK(made("c/d/deep/new") == 0 && there("a/d/deep/new") && !there("b/d/deep"));
    CHECK(umount(at("c")) == -1 && errno == EBUSY);
    CHECK(umount(at("c/d/deep")) == 0 && !there("c/d/deep/inner") && there("a/d/deep/inner"));
    CHECK(umount2(at("c"), MNT_DETACH) == 0 && !there("c/d") && there("a/d/deep/inner"));
    CHECK(umount(at("c")) == -1 && errno == EINVAL);

    CHECK(mount(at("a/d"), at("e"), NULL, MS_MOVE, NULL) == 0);
    CHECK(there("e/in") && there("e/deep/inner") && !there("a/d/in"));
    CHECK(mount(at("e"), at("e/deep"), NULL, MS_MOVE, NULL) == -1 && errno == ELOOP);
    CHECK(mount(at("a"), at("c"), NULL, MS_MOVE, NULL) == -1 && errno == EINVAL);
    CHECK(mount(at("e"), at("file"), NULL, MS_MOVE, NULL) == -1);
    CHECK(there("e/deep/inner"));
    CHECK(mount(at("nothing"), at("c"), NULL, MS_MOVE, NULL) == -1 && errno == ENOENT);
    CHECK(mount(at("e/deep"), at("c"), NULL, MS_MOVE, NULL) == 0 && there("c/inner") && there("e/in"));
    CHECK(umount(at("e")) == 0 && !there("e/in"));
    // All at once, with a file of it open.
    int fd = open(at("c/inner"), O_RDWR);
    CHECK(fd >= 0 && umount(dir) == -1 && errno == EBUSY);
    CHECK(umount2(dir, MNT_DETACH) == 0 && !there("c"));
    CHECK(write(fd, "x", 1) == 1 && close(fd) == 0);
}

static void tests(void) {
    struct statfs s;
    struct stat st;
    // The guest has one namespace, and is alone in it.
    if (unshare(CLONE_NEWNS) == 0) CHECK(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
    else CHECK(errno == ENOSYS);
    CHECK(mkdtemp(dir) != NULL);

    CHECK(try("") == 0 && try("size=1m") == 0 && try("size=10%") == 0 && try("nr_blocks=4k,nr_inodes=1K") == 0);
    CHECK(try("size=0") == 0 && try("huge=never") == 0 && try("inode64") == 0);
    CHECK(try("size=") == EINVAL && try("size=1x") == EINVAL && try("size=-1") == EINVAL);
    CHECK(try("mode=8") == EINVAL && try("uid=x") == EINVAL && try("nonsense") == EINVAL && try("nonsense=1") == EINVAL);
    CHECK(try("huge=perhaps") == EINVAL);

    CHECK(mount("mine", dir, "tmpfs", MS_NOSUID, "size=64k,nr_inodes=5,mode=750,uid=7,gid=8") == 0);
    CHECK(stat(dir, &st) == 0 && st.st_mode == (S_IFDIR | 0750) && st.st_uid == 7 && st.st_gid == 8);
    CHECK(statfs(dir, &s) == 0 && s.f_blocks == 16 && s.f_bfree == 16 && s.f_files == 5 && s.f_ffree == 4);
    CHECK(strncmp(shown(), "tmpfs rw,nosuid,relatime,size=64k,nr_inodes=5,mode=750,uid=7,gid=8", 66) == 0);

    // Its own limit, not the machine's.
    CHECK(written("a", 40 << 10) == 40 << 10);
    CHECK(written("b", 40 << 10) == 24 << 10 && errno == ENOSPC);
    CHECK(statfs(dir, &s) == 0 && s.f_bfree == 0 && s.f_ffree == 2);
    CHECK(written("c", 0) == 0 && written("d", 0) == 0);
    CHECK(written("e", 0) == -ENOSPC);

    // Less than is in use is refused; more can be used at once.
    CHECK(mount("mine", dir, "tmpfs", MS_REMOUNT, "size=32k") == -1 && errno == EINVAL);
    CHECK(mount("mine", dir, "tmpfs", MS_REMOUNT, "nonsense") == -1 && errno == EINVAL);
    CHECK(mount("mine", dir, "tmpfs", MS_REMOUNT, "size=128k") == 0);
    CHECK(written("b", 80 << 10) == 80 << 10);
    CHECK(statfs(dir, &s) == 0 && s.f_blocks == 32 && s.f_bfree == 2);
    CHECK(mount("mine", dir, "tmpfs", MS_REMOUNT | MS_RDONLY, "") == 0);
    CHECK(written("a", 1) == -EROFS);
    CHECK(strncmp(shown(), "tmpfs ro,relatime,size=128k", 27) == 0);

    // In use.
    char path[128];
    snprintf(path, sizeof path, "%s/a", dir);
    int fd = open(path, O_RDONLY);
    CHECK(fd >= 0 && umount(dir) == -1 && errno == EBUSY);
    void *map = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
    CHECK(close(fd) == 0 && umount(dir) == -1 && errno == EBUSY);
    CHECK(munmap(map, 4096) == 0 && chdir(dir) == 0 && umount(dir) == -1 && errno == EBUSY);
    CHECK(chdir("/") == 0 && umount(dir) == 0);
    CHECK(umount(dir) == -1 && errno == EINVAL);

    // Lazily: the open file goes on.
    CHECK(mount("mine", dir, "tmpfs", 0, NULL) == 0 && written("a", 4096) == 4096);
    fd = open(path, O_RDWR);
    CHECK(fd >= 0 && umount2(dir, MNT_DETACH) == 0 && access(path, F_OK) == -1 && errno == ENOENT);
    CHECK(pread(fd, path, 4, 4092) == 4 && memcmp(path, "xxxx", 4) == 0);
    CHECK(close(fd) == 0);
    trees();
    CHECK(rmdir(dir) == 0);
}
