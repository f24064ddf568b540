// What /proc/PID counts and lets be set: io, timers, timerslack_ns, coredump_filter, oom_*, loginuid, *_map, children, stat.
#include "guest.h"
#include <dirent.h>

static const char *text(const char *path) {
    static char t[4096];
    int fd = open(path, O_RDONLY);
    if (fd < 0) return strerrorname_np(errno);
    ssize_t n = read(fd, t, sizeof t - 1);
    close(fd);
    if (n < 0) return strerrorname_np(errno);
    t[n] = 0;
    if (n && t[n - 1] == '\n') t[n - 1] = 0;
    return t;
}

static void put(const char *path, const char *value) {
    int fd = open(path, O_WRONLY);
    if (fd < 0) {
        printf("%s: open %s\n", path, strerrorname_np(errno));
        return;
    }
    ssize_t n = write(fd, value, strlen(value));
    printf("%s < %s: %s", path, value, n < 0 ? strerrorname_np(errno) : "ok");
    close(fd);
    printf(", now %s\n", text(path));
}

static void io(const char *path, long out[4]) {
    if (sscanf(text(path), "rchar: %ld\nwchar: %ld\nsyscr: %ld\nsyscw: %ld\n", out, out + 1, out + 2, out + 3) != 4)
        printf("%s: %s\n", path, text(path));
}

static void *in_thread(void *arg) {
    char b[100];
    CHECK(pread(*(int *)arg, b, 100, 0) == 100);
    return NULL;
}

static void counts(void) {
    long a[4], b[4];
    char buf[1000] = {0};
    int fd = open("io", O_CREAT | O_RDWR, 0600);
    io("/proc/self/io", a);
    write(fd, buf, 1000);
    pwrite(fd, buf, 10, 5);
    struct iovec v[2] = {{buf, 3}, {buf, 4}};
    writev(fd, v, 2);
    pread(fd, buf, 500, 0);
    preadv(fd, v, 2, 0);
    read(99, buf, 1);
    pthread_t t;
    pthread_create(&t, NULL, in_thread, &fd);
    pthread_join(t, NULL);
    io("/proc/self/io", b);
    // Reading the first file counts, too.
    long first = strlen(text("/proc/self/io")) + 1;
    printf("read in calls %ld, written %ld in %ld calls\n", b[2] - a[2], b[1] - a[1], b[3] - a[3]);
    CHECK(labs(b[0] - a[0] - 607 - first) < 20);
    io("/proc/thread-self/io", a);
    pread(fd, buf, 10, 0);
    io("/proc/thread-self/io", b);
    printf("this thread: %ld calls, %ld written\n", b[2] - a[2], b[1] - a[1]);
    close(fd);
}

static void timers(void) {
    timer_t one, two;
    struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 5};
    struct sigevent n = {.sigev_notify = SIGEV_NONE};
    CHECK(timer_create(CLOCK_MONOTONIC, &e, &one) == 0);
    CHECK(timer_create(CLOCK_PROCESS_CPUTIME_ID, &n, &two) == 0);
    char all[600], pid[30];
    snprintf(all, sizeof all, "%s", text("/proc/self/timers"));
    snprintf(pid, sizeof pid, "pid.%d", getpid());
    for (char *l = strtok(all, "\n"); l; l = strtok(NULL, "\n")) {
        char *at = strstr(l, pid);
        if (at) *at = 0;
        puts(l);
    }
    timer_delete(one);
    timer_delete(two);
    printf("left: '%s'\n", text("/proc/self/timers"));
}

static void slack(void) {
    SHOW(prctl(PR_GET_TIMERSLACK));
    SHOW(prctl(PR_SET_TIMERSLACK, 1234));
    SHOW(prctl(PR_GET_TIMERSLACK));
    printf("file: %s\n", text("/proc/self/timerslack_ns"));
    say_status("child", CHILD(SHOW(prctl(PR_GET_TIMERSLACK)); prctl(PR_SET_TIMERSLACK, 9); prctl(PR_SET_TIMERSLACK, 0);
                              SHOW(prctl(PR_GET_TIMERSLACK))));
    put("/proc/self/timerslack_ns", "4321");
    SHOW(prctl(PR_GET_TIMERSLACK));
    put("/proc/self/timerslack_ns", "0");
    put("/proc/self/timerslack_ns", "x");
}

static void marks(void) {
    printf("coredump_filter %s\n", text("/proc/self/coredump_filter"));
    put("/proc/self/coredump_filter", "0x7");
    put("/proc/self/coredump_filter", "010");
    put("/proc/self/coredump_filter", "99999");
    put("/proc/self/coredump_filter", "x");
    say_status("child", CHILD(printf("inherits %s\n", text("/proc/self/coredump_filter"))));
    int score = atoi(text("/proc/self/oom_score"));
    CHECK(score >= 660 && score < 700);
    put("/proc/self/oom_score_adj", "500");
    printf("oom_adj %s\n", text("/proc/self/oom_adj"));
    put("/proc/self/oom_adj", "15");
    printf("oom_score_adj %s\n", text("/proc/self/oom_score_adj"));
    put("/proc/self/oom_adj", "16");
    put("/proc/self/oom_adj", "-18");
    put("/proc/self/oom_score_adj", "1000");
    CHECK(atoi(text("/proc/self/oom_score")) >= 1333);
    put("/proc/self/uid_map", "0 0 1");
    put("/proc/self/gid_map", "0 0 1");
    put("/proc/self/projid_map", "0 0 1");
    put("/proc/self/setgroups", "allow");
    put("/proc/self/setgroups", "deny");
    put("/proc/self/setgroups", "no");
    say_status("login", CHILD({
                   int unset = !strcmp(text("/proc/self/loginuid"), "4294967295");
                   put("/proc/self/loginuid", "x");
                   put("/proc/self/loginuid", "1000");
                   CHECK(!unset || strcmp(text("/proc/self/sessionid"), "4294967295"));
                   say_status("child", CHILD(printf("inherits %s\n", text("/proc/self/loginuid"))));
                   char other[60];
                   snprintf(other, sizeof other, "/proc/%d/loginuid", getppid());
                   int fd = open(other, O_WRONLY);
                   SHOW(write(fd, "7", 1));
               }));
}

static void names(void) {
    static const char *both[] = {"auxv", "clear_refs", "comm", "environ", "io", "loginuid", "maps", "mem", "numa_maps", "oom_adj",
                                 "oom_score", "pagemap", "projid_map", "schedstat", "setgroups", "smaps", "smaps_rollup", "uid_map"};
    static const char *whole[] = {"coredump_filter", "map_files", "mountstats", "task", "timers", "timerslack_ns"};
    char path[100];
    struct stat s;
    for (size_t i = 0; i < COUNT(both); i++) {
        snprintf(path, sizeof path, "/proc/self/%s", both[i]);
        int one = stat(path, &s) ? -1 : (int)s.st_mode;
        snprintf(path, sizeof path, "/proc/thread-self/%s", both[i]);
        int two = stat(path, &s) ? -1 : (int)s.st_mode;
        printf("%s %o %o\n", both[i], one, two);
    }
    for (size_t i = 0; i < COUNT(whole); i++) {
        snprintf(path, sizeof path, "/proc/self/%s", whole[i]);
        int one = stat(path, &s) ? -1 : (int)s.st_mode;
        snprintf(path, sizeof path, "/proc/thread-self/%s", whole[i]);
        printf("%s %o %s\n", whole[i], one, stat(path, &s) ? strerrorname_np(errno) : "there");
    }
    // What is listed can be looked up.
    DIR *d = opendir("/proc/self");
    for (struct dirent *e; (e = readdir(d));) {
        snprintf(path, sizeof path, "/proc/self/%s", e->d_name);
        if (lstat(path, &s)) printf("%s: %s\n", e->d_name, strerrorname_np(errno));
        else CHECK(s.st_ino == e->d_ino || !strcmp(e->d_name, ".."));
    }
    closedir(d);
}

static unsigned long ticks(void) {
    unsigned long v[4] = {0};
    sscanf(text("/proc/stat"), "cpu %lu %lu %lu", v, v + 1, v + 2);
    return v[0] + v[1] + v[2];
}

static void burn(int ms) {
    struct timespec t;
    do clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    while (t.tv_sec * 1000 + t.tv_nsec / 1000000 < ms);
}

// Time that was used once stays used, whoever has waited for the process.
static void processors(void) {
    unsigned long start = ticks(), last = start;
    say_status("parent", CHILD(for (int i = 0; i < 3; i++) {
                   CHILD(burn(100));
                   unsigned long now = ticks();
                   CHECK(now >= last);
                   last = now;
               }));
    unsigned long now = ticks();
    CHECK(now >= last && now >= start + 25);
    unsigned long faults = 0, forks = 0;
    char *at = strstr(text("/proc/stat"), "\nprocesses ");
    CHECK(at && sscanf(at, "\nprocesses %lu", &forks) == 1 && forks > 3);
    FILE *f = fopen("/proc/vmstat", "r");
    char line[100];
    while (f && fgets(line, sizeof line, f)) sscanf(line, "pgfault %lu", &faults);
    fclose(f);
    CHECK(faults > 0);
    unsigned long open_files = 0;
    CHECK(sscanf(text("/proc/sys/fs/file-nr"), "%lu", &open_files) == 1 && open_files >= 3);
}

static void tests(void) {
    counts();
    timers();
    slack();
    marks();
    names();
    processors();
    SHOW(strlen(text("/proc/self/mountstats")) > 20);
    char mine[20];
    pid_t p = fork();
    if (p == 0)
        for (;;) pause();
    snprintf(mine, sizeof mine, "%d ", p);
    const char *children = text("/proc/thread-self/children");
    // Not every Linux is built with this file.
    CHECK(!strcmp(children, "ENOENT") || !strcmp(children, mine));
    kill(p, SIGKILL);
    waitpid(p, NULL, 0);
}
