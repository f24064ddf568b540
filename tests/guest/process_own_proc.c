// /proc of oneself after giving up root: the process is not dumpable any more, its files there are root's, but its own descriptors
// and places stay its own (proc_fd_permission, ptrace_may_access).
#include "guest.h"
#include <sys/personality.h>
#include <dirent.h>

static int entries(const char *path) {
    DIR *d = opendir(path);
    if (!d) return -1;
    int n = 0;
    for (struct dirent *e; (e = readdir(d));) n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static void look(void) {
    char text[256], path[64];
    struct stat st;
    errno = 0;
    CHECK(entries("/proc/self/fd") >= 3);
    printf("fd: %s\n", errno ? strerrorname_np(errno) : "ok");
    errno = 0;
    printf("fdinfo: %s\n", entries("/proc/self/fdinfo") >= 3 ? "ok" : strerrorname_np(errno));
    snprintf(path, sizeof path, "/proc/%d/fd/1", getpid());
    OK(readlink(path, text, sizeof text));
    OK(readlink("/proc/self/exe", text, sizeof text));
    OK(readlink("/proc/self/cwd", text, sizeof text));
    OK(readlink("/proc/self/root", text, sizeof text));
    OK(stat("/proc/self/exe", &st));
    OK(open("/proc/self/environ", O_RDONLY));
    OK(open("/proc/self/maps", O_RDONLY));
    OK(open("/proc/self/status", O_RDONLY));
    snprintf(path, sizeof path, "/proc/%d/exe", getppid());
    OK(readlink(path, text, sizeof text));
    snprintf(path, sizeof path, "/proc/%d/fd", getppid());
    OK(entries(path));
    CHECK(stat("/proc/self/fd", &st) == 0);
    printf("fd is user %u's, mode %o\n", st.st_uid, st.st_mode & 07777);
}

static void *in_thread(void *arg) {
    printf("another thread, fd: %s\n", entries("/proc/self/fd") >= 3 ? "ok" : strerrorname_np(errno));
    printf("task, fd: %s\n", entries("/proc/thread-self/fd") >= 3 ? "ok" : strerrorname_np(errno));
    return arg;
}

static void show_personality(const char *who) {
    char text[20] = "";
    int fd = open("/proc/self/personality", O_RDONLY);
    CHECK(read(fd, text, sizeof text - 1) == 9);
    close(fd);
    printf("%s: %#x, %s", who, personality(0xffffffff), text);
}

// Addresses without randomisation: ThreadSanitizer asks for them, and starts itself again until they are said to be so.
static void personalities(void) {
    int old = personality(0xffffffff);
    CHECK(old != -1 && personality(0) == old);
    show_personality("at first");
    SHOW(personality(ADDR_NO_RANDOMIZE));
    show_personality("then");
    fflush(stdout);
    say_status("child", CHILD(show_personality("forked")));
    say_status("program", CHILD(execl("/bin/cat", "cat", "/proc/self/personality", NULL)));
    SHOW(personality(0));
    show_personality("at last");
    personality(old);
}

static void tests(void) {
    personalities();
    say_status("root", CHILD(look()));
    say_status("no longer root", CHILD(CHECK(setresgid(64001, 64001, 64001) == 0 && setresuid(64001, 64001, 64001) == 0); look()));
    say_status("threads", CHILD({
        CHECK(setresuid(64001, 64001, 64001) == 0);
        pthread_t t;
        CHECK(pthread_create(&t, NULL, in_thread, NULL) == 0);
        pthread_join(t, NULL);
    }));
}
