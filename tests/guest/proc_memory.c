// /proc/PID/{smaps,smaps_rollup,numa_maps,pagemap,mem,clear_refs}: of the process itself and of others in every state.
#include "guest.h"

// The value of `field` of the area at `addr` in a file like smaps, in KiB; -1 without one.
static long area_of(const char *path, const void *addr, const char *field) {
    FILE *f = fopen(path, "r");
    if (!f) return -1;
    char line[600];
    long found = -1;
    bool inside = false;
    while (fgets(line, sizeof line, f)) {
        unsigned long start, end;
        if (sscanf(line, "%lx-%lx ", &start, &end) == 2) inside = !addr || start == (unsigned long)addr;
        else if (inside && !strncmp(line, field, strlen(field)) && line[strlen(field)] == ':') {
            found = strtol(line + strlen(field) + 1, NULL, 10);
            break;
        }
    }
    fclose(f);
    return found;
}

static const char *path_of(pid_t p, const char *name) {
    static char path[100];
    snprintf(path, sizeof path, "/proc/%d/%s", p, name);
    return path;
}

static void show_area(const char *label, pid_t p, const void *addr) {
    static const char *fields[] = {"Size", "KernelPageSize", "Rss", "Pss", "Pss_Dirty", "Private_Dirty", "Shared_Dirty",
                                   "Private_Clean", "Shared_Clean", "Referenced", "Anonymous", "Swap"};
    printf("%s:", label);
    for (size_t i = 0; i < COUNT(fields); i++) printf(" %s %ld", fields[i], area_of(path_of(p, "smaps"), addr, fields[i]));
    puts("");
}

static void *memory(size_t pages, int prot, int flags) {
    // With a hole on both sides: areas next to each other become one.
    char *p = mmap(NULL, (pages + 2) * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    return mmap(p + PAGE, pages * PAGE, prot, flags | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

static void smaps(void) {
    char *m = memory(10, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    show_area("untouched", getpid(), m);
    memset(m, 1, 4 * PAGE);
    show_area("four pages", getpid(), m);
    madvise(m, 2 * PAGE, MADV_DONTNEED);
    show_area("two given back", getpid(), m);
    FILE *f = fopen("/proc/self/numa_maps", "r");
    char line[300], start[40];
    snprintf(start, sizeof start, "%lx ", (long)m);
    while (f && fgets(line, sizeof line, f))
        if (!strncmp(line, start, strlen(start))) CHECK(strstr(line, " default anon=2 dirty=2 ") && strstr(line, " N0=2 kernelpagesize_kB=4"));
    if (f) fclose(f);
    // The sums of all areas are about what the rollup says: this program reads with memory of its own.
    long sum = 0, rss = area_of("/proc/self/smaps_rollup", NULL, "Rss");
    f = fopen("/proc/self/smaps", "r");
    while (f && fgets(line, sizeof line, f))
        if (!strncmp(line, "Rss:", 4)) sum += strtol(line + 4, NULL, 10);
    if (f) fclose(f);
    CHECK(rss > 100 && labs(sum - rss) < 200);
    f = fopen("/proc/self/smaps_rollup", "r");
    while (f && fgets(line, sizeof line, f)) {
        char *tail = strrchr(line, '['), *colon = strchr(line, ':');
        if (tail) printf("rollup ---p: %s%s", strstr(line, " ---p 00000000 00:00 0 ") ? "" : line, tail);
        else if (colon) printf("%.*s ", (int)(colon - line), line);
    }
    puts("");
    if (f) fclose(f);
}

static unsigned long entry(int fd, const void *addr) {
    unsigned long e = 0;
    CHECK(pread(fd, &e, 8, (long)addr / PAGE * 8) == 8);
    return e >> 55 & ~1ul & ~2ul; // the two lowest: soft-dirty, exclusive
}

static void pagemap(void) {
    char *m = memory(8, PROT_READ | PROT_WRITE, MAP_PRIVATE), *s = memory(2, PROT_READ | PROT_WRITE, MAP_SHARED);
    m[PAGE] = m[7 * PAGE] = s[0] = 1;
    int fd = OK(open("/proc/self/pagemap", O_RDONLY));
    for (int i = 0; i < 8; i++) printf("page %d: %#lx\n", i, entry(fd, m + i * PAGE));
    printf("shared: %#lx %#lx\n", entry(fd, s), entry(fd, s + PAGE));
    unsigned long many[20];
    SHOW(pread(fd, many, 8 * 20, (long)m / PAGE * 8));
    SHOW(pread(fd, many, 7, 0));
    SHOW(pread(fd, many, 8, 4));
    SHOW(lseek(fd, 0, SEEK_END));
    SHOW(lseek(fd, 16, SEEK_SET));
    SHOW(pread(fd, many, 16, 1l << 60));
    close(fd);
}

static void clear_refs(void) {
    int fd = OK(open("/proc/self/clear_refs", O_WRONLY));
    SHOW(write(fd, "5", 1));
    SHOW(write(fd, "5\n", 2));
    SHOW(write(fd, "0", 1));
    SHOW(write(fd, "6", 1));
    SHOW(write(fd, "x", 1));
    close(fd);
    SHOW(open("/proc/self/clear_refs", O_RDONLY) >= 0);
}

struct place {
    volatile long value;
    char text[3 * PAGE];
};

// Reads and writes another's memory, whatever it does meanwhile.
static void others(const char *label, pid_t p, struct place *at) {
    static char got[2 * PAGE];
    printf("-- %s\n", label);
    int fd = OK(open(path_of(p, "mem"), O_RDWR));
    long v = 0;
    SHOW(pread(fd, &v, sizeof v, (long)&at->value));
    printf("value %ld\n", v);
    SHOW(pread(fd, got, sizeof got, (long)at->text + 100));
    CHECK(got[0] == 'a' && got[2 * PAGE - 1] == 'a');
    v = 77;
    SHOW(pwrite(fd, &v, sizeof v, (long)&at->value));
    v = 0;
    SHOW(pread(fd, &v, sizeof v, (long)&at->value));
    printf("value %ld\n", v);
    SHOW(pread(fd, got, 10, 4096));
    SHOW(pwrite(fd, got, 10, 4096));
    SHOW(pread(fd, got, 0, 4096));
    close(fd);
    fd = open(path_of(p, "pagemap"), O_RDONLY);
    printf("pagemap %#lx\n", entry(fd, at->text + PAGE));
    close(fd);
    printf("Rss %ld\n", area_of(path_of(p, "smaps"), at, "Rss"));
}

static void *spin(void *arg) {
    volatile int *stop = arg;
    while (!*stop) {}
    return NULL;
}

static void mem(void) {
    struct place *at = memory(8, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    memset(at, 0, 7 * PAGE);
    memset(at->text, 'a', sizeof at->text);
    at->value = 1;
    int fd = OK(open("/proc/self/mem", O_RDWR));
    long v;
    SHOW(pread(fd, &v, sizeof v, (long)&at->value));
    v = 2;
    SHOW(pwrite(fd, &v, sizeof v, (long)&at->value));
    printf("value %ld\n", at->value);
    // Ends where the memory does.
    static char big[20 * PAGE];
    munmap((char *)at + 7 * PAGE, PAGE);
    SHOW(pread(fd, big, sizeof big, (long)at->text + 96));
    SHOW(lseek(fd, (long)&at->value, SEEK_SET) == (long)&at->value);
    SHOW(read(fd, &v, sizeof v));
    SHOW(lseek(fd, 0, SEEK_END));
    close(fd);

    int told[2];
    char c;
    CHECK(pipe(told) == 0);
    pid_t p = fork();
    if (p == 0) {
        at->value = 10;
        write(told[1], "x", 1);
        for (;;) pause();
    }
    CHECK(read(told[0], &c, 1) == 1);
    until_state(p, 'S');
    others("asleep", p, at);
    kill(p, SIGSTOP);
    until_state(p, 'T');
    others("stopped", p, at);
    kill(p, SIGCONT);
    fd = open(path_of(p, "mem"), O_RDONLY);
    kill(p, SIGKILL);
    waitpid(p, NULL, 0);
    SHOW(pread(fd, &v, sizeof v, (long)&at->value)); // nobody has that memory any more
    close(fd);

    p = fork();
    if (p == 0) {
        at->value = 11;
        write(told[1], "x", 1);
        for (;;) {}
    }
    CHECK(read(told[0], &c, 1) == 1);
    others("running", p, at);
    kill(p, SIGKILL);
    waitpid(p, NULL, 0);

    int pipes[2];
    pipe(pipes);
    p = fork();
    if (p == 0) {
        static volatile int stop;
        pthread_t t;
        at->value = 12;
        pthread_create(&t, NULL, spin, (void *)&stop);
        write(told[1], "x", 1);
        read(pipes[0], &c, 1);
        printf("the child sees %ld\n", at->value);
        stop = 1;
        pthread_join(t, NULL);
        fflush(stdout);
        _exit(0);
    }
    CHECK(read(told[0], &c, 1) == 1);
    until_state(p, 'S');
    fflush(stdout);
    others("two threads", p, at);
    fflush(stdout);
    write(pipes[1], "x", 1);
    say_status("child", wait_for(p));

    // Who gave up root may not look into root's.
    p = fork();
    if (p == 0)
        for (;;) pause();
    say_status("another user", CHILD({
                   CHECK(setresgid(1000, 1000, 1000) == 0 && setresuid(1000, 1000, 1000) == 0);
                   SHOW(open(path_of(p, "mem"), O_RDONLY));
                   SHOW(open(path_of(p, "pagemap"), O_RDONLY));
               }));
    kill(p, SIGKILL);
    waitpid(p, NULL, 0);
}

// A program's title, written over its arguments, is seen by others.
static void title(void) {
    FILE *f = fopen("/proc/self/stat", "r");
    unsigned long arg_start = 0;
    char line[1000];
    if (fgets(line, sizeof line, f)) {
        char *s = strrchr(line, ')') + 2;
        for (int i = 3; i < 48; i++) s = strchr(s, ' ') + 1;
        arg_start = strtoul(s, NULL, 10);
    }
    fclose(f);
    CHECK(arg_start);
    pid_t p = fork();
    if (p == 0) {
        memcpy((char *)arg_start, "TI", 2);
        for (;;) pause();
    }
    until_state(p, 'S');
    char got[3] = {0};
    int fd = open(path_of(p, "cmdline"), O_RDONLY);
    SHOW(read(fd, got, 2));
    printf("title %s\n", got);
    close(fd);
    kill(p, SIGKILL);
    waitpid(p, NULL, 0);
}

static void tests(void) {
    smaps();
    pagemap();
    clear_refs();
    mem();
    title();
}
