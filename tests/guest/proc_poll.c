// poll(2) and epoll(7) of files whose contents are made: most of /proc/PID has no poll function, what shows the mounts tells of
// changes. As root: in a mount namespace of its own on the host.
#include "guest.h"
#include <sched.h>
#include <sys/mount.h>

static char dir[] = "/tmp/poll.XXXXXX";

static void look(const char *path) {
    struct epoll_event e = {.events = EPOLLIN | EPOLLPRI | EPOLLOUT}, got = {0};
    int fd = open(path, O_RDONLY | O_NONBLOCK), ep = epoll_create1(0);
    struct pollfd p = {fd, -1};
    CHECK(fd >= 0);
    if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e) < 0) printf("%s: %s", path, strerrorname_np(errno));
    else printf("%s: %d", path, epoll_wait(ep, &got, 1, 0)), printf(" %x", got.events);
    CHECK(poll(&p, 1, 0) >= 0);
    printf(", %x", p.revents);
    char c;
    if (strstr(path, "/online")) CHECK(read(fd, &c, 1) == 1 && poll(&p, 1, 0) == 1), printf(", after reading %x", p.revents);
    puts("");
    close(fd);
    close(ep);
}

static short events(int fd, int timeout) {
    struct pollfd p = {fd, POLLPRI};
    return poll(&p, 1, timeout) == 1 ? p.revents : 0;
}

static void *later(void *arg) {
    nap(30);
    CHECK(mount("none", dir, "tmpfs", 0, NULL) == 0);
    return NULL;
}

static void mounts(void) {
    // A namespace is a thread's own: all threads must be in it.
    if (geteuid() != 0 || (unshare(CLONE_NEWNS) != 0 && errno != ENOSYS)) return;
    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL);
    CHECK(mkdtemp(dir) != NULL);
    int info = open("/proc/self/mountinfo", O_RDONLY), plain = open("/proc/self/mounts", O_RDONLY), ep = epoll_create1(0);
    struct epoll_event e = {.events = EPOLLPRI | EPOLLET}, got = {0};
    CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, plain, &e) == 0);
    CHECK(events(info, 0) == 0 && epoll_wait(ep, &got, 1, 0) == 0);
    CHECK(mount("none", dir, "tmpfs", 0, NULL) == 0);
    CHECK(events(info, 0) == (POLLPRI | POLLERR) && events(info, 0) == 0);
    CHECK(epoll_wait(ep, &got, 1, 0) == 1 && got.events == (EPOLLPRI | EPOLLERR) && epoll_wait(ep, &got, 1, 0) == 0);
    int fresh = open("/proc/self/mountinfo", O_RDONLY);
    CHECK(events(fresh, 0) == 0);
    CHECK(mount("none", dir, NULL, MS_REMOUNT | MS_BIND | MS_NOEXEC, NULL) == 0);
    CHECK(events(info, 0) == (POLLPRI | POLLERR) && events(fresh, 0) == (POLLPRI | POLLERR));
    CHECK(umount(dir) == 0);
    CHECK(events(info, 0) == (POLLPRI | POLLERR));
    // Somebody sleeps for it.
    pthread_t t;
    CHECK(pthread_create(&t, NULL, later, NULL) == 0);
    CHECK(events(info, 5000) == (POLLPRI | POLLERR));
    pthread_join(t, NULL);
    CHECK(umount2(dir, MNT_DETACH) == 0);
    CHECK(epoll_wait(ep, &got, 1, 0) == 1);
    CHECK(rmdir(dir) == 0);
}

static void tests(void) {
    const char *names[] = {"/proc", "/proc/self/mounts", "/proc/mounts", "/proc/self/mountinfo", "/proc/self/mountstats", "/proc/self/status",
        "/proc/self/maps", "/proc/self/mem", "/proc/self/pagemap", "/proc/self/cmdline", "/proc/self/comm", "/proc/self/stat", "/proc/self/fd",
        "/proc/self/fdinfo/0", "/proc/self/task", "/proc/self/oom_score_adj", "/proc/self/environ", "/proc/self/auxv", "/proc/self/timerslack_ns",
        "/proc/thread-self/comm", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/uptime", "/proc/version", "/proc/loadavg",
        "/proc/filesystems", "/proc/locks", "/proc/net/unix", "/proc/sys/kernel/ostype", "/proc/sys/kernel/pid_max", "/proc/sys/kernel",
        "/sys/devices/system/cpu/online", "/sys/devices", "/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/ptmx"};
    for (int i = 0; i < COUNT(names); i++) look(names[i]);
    mounts();
}
