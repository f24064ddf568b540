// /proc/locks and the lock lines of /proc/PID/fdinfo, of this test's own files.
#include "guest.h"
#include <sys/file.h>
#include <sys/sysmacros.h>

static struct stat st;

static int by_text(const void *a, const void *b) {
    return strcmp(a, b);
}

// The lines of `path` about our file in the order of their text (Linux lists the newest of a processor first), without
// numbers of locks, of processes but ours, and of devices.
static void locks(const char *path, const char *prefix) {
    char file[64], line[256], out[16][128];
    size_t n = 0;
    snprintf(file, sizeof file, "%02x:%02x:%lu", major(st.st_dev), minor(st.st_dev), (unsigned long)st.st_ino);
    FILE *f = fopen(path, "r");
    if (!f) {
        printf("no %s\n", path);
        return;
    }
    while (fgets(line, sizeof line, f)) {
        int number, pid, end = 0;
        char kind[16], how[16], access[16], where[64], rest[64];
        if (strncmp(line, prefix, strlen(prefix))) continue;
        char *l = line + strlen(prefix);
        if (sscanf(l, "%d: %n", &number, &end) < 1) continue;
        l += end;
        int waiting = !strncmp(l, "-> ", 3);
        if (waiting) l += 3;
        if (sscanf(l, "%15s %15s %15s %d %63s %63[^\n]", kind, how, access, &pid, where, rest) != 6) {
            printf("odd line: %s", line);
            continue;
        }
        // With btrfs and overlays the device of a lock is not that of stat(2): the inode tells.
        if (strcmp(strrchr(where, ':'), strrchr(file, ':'))) continue;
        if (n == COUNT(out)) break;
        snprintf(out[n++], sizeof out[0], "%s%.7s%s %s %s %s", waiting ? "waits: " : "", l, how, access,
               pid == getpid() ? "mine" : pid == -1 ? "nobody's" : "another's", rest);
    }
    fclose(f);
    qsort(out, n, sizeof out[0], by_text);
    for (size_t i = 0; i < n; i++) puts(out[i]);
}

static void both(const char *label, int fd) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
    printf("-- %s\n", label);
    locks("/proc/locks", "");
    printf("fdinfo:\n");
    locks(path, "lock:\t");
}

static int set(int fd, int cmd, int type, off_t start, off_t len) {
    struct flock l = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len};
    return fcntl(fd, cmd, &l);
}

static void tests(void) {
    int fd = open("f", O_CREAT | O_RDWR, 0644), two = open("f", O_RDWR);
    fstat(fd, &st);
    both("none", fd);
    SHOW(flock(fd, LOCK_EX));
    both("flock", fd);
    both("flock, another description", two);
    SHOW(flock(fd, LOCK_SH));
    both("flock shared", fd);
    SHOW(flock(fd, LOCK_UN));
    SHOW(set(fd, F_SETLK, F_WRLCK, 10, 20));
    SHOW(set(fd, F_SETLK, F_RDLCK, 100, 0));
    both("record locks", fd);
    both("record locks, another description", two);
    SHOW(set(fd, F_SETLK, F_UNLCK, 0, 0));
    SHOW(set(fd, F_OFD_SETLK, F_RDLCK, 1, 2));
    both("a description's", fd);
    SHOW(set(fd, F_OFD_SETLK, F_UNLCK, 0, 0));

    SHOW(set(fd, F_SETLK, F_WRLCK, 0, 0));
    pid_t p = fork();
    if (p == 0) {
        set(two, F_SETLKW, F_RDLCK, 5, 5);
        _exit(0);
    }
    // Until it waits.
    for (int i = 0; i < 1000; i++) {
        char buf[4096];
        int l = open("/proc/locks", O_RDONLY);
        ssize_t n = read(l, buf, sizeof buf - 1);
        close(l);
        buf[n > 0 ? n : 0] = 0;
        if (strstr(buf, "-> ")) break;
        usleep(5000);
    }
    both("one waits", fd);
    SHOW(set(fd, F_SETLK, F_UNLCK, 0, 0));
    waitpid(p, NULL, 0);
    both("none again", fd);
}
