// /proc/PID/syscall, /proc/PID/map_files (proc(5)), and what is left of a process that has ended.
#include "guest.h"
#include <dirent.h>

static void *sleeper(void *arg) {
    *(pid_t *)arg = gettid();
    char c;
    CHECK(read(((int *)arg)[1], &c, 1) == 1);
    return NULL;
}

static void calls(void) {
    char want[100], got[200] = {0}, path[60];
    int fd = open("/proc/self/syscall", O_RDONLY);
    snprintf(want, sizeof want, "%d %#x %#lx %#lx ", SYS_read, fd, (long)got, sizeof got - 1);
    CHECK(syscall(SYS_read, fd, got, sizeof got - 1) > 0);
    printf("own: %s\n", strncmp(want, got, strlen(want)) == 0 ? "as called" : got);
    int words = 0;
    for (char *w = strtok(got, " \n"); w; w = strtok(NULL, " \n")) words++;
    printf("%d words\n", words);
    close(fd);
    // Another thread that sleeps in read(2).
    int pipes[2];
    CHECK(pipe(pipes) == 0);
    volatile int arg[2] = {0, pipes[0]};
    pthread_t t;
    pthread_create(&t, NULL, sleeper, (void *)arg);
    while (!arg[0]) nap(1);
    until_state(arg[0], 'S');
    snprintf(path, sizeof path, "/proc/self/task/%d/syscall", arg[0]);
    fd = open(path, O_RDONLY);
    memset(got, 0, sizeof got);
    CHECK(read(fd, got, sizeof got - 1) > 0);
    snprintf(want, sizeof want, "%d %#x 0x", SYS_read, pipes[0]);
    printf("asleep: %s\n", strncmp(want, got, strlen(want)) == 0 ? "in read" : got);
    CHECK(write(pipes[1], "x", 1) == 1);
    pthread_join(t, NULL);
}

static void maps(void) {
    int fd = open("mapped", O_RDWR | O_CREAT, 0600);
    CHECK(ftruncate(fd, 3 * PAGE) == 0 && pwrite(fd, "hello", 5, PAGE) == 5);
    char *p = mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, fd, PAGE);
    char name[80], link[300], here[200];
    snprintf(name, sizeof name, "/proc/self/map_files/%lx-%lx", (long)p, (long)p + 2 * PAGE);
    ssize_t n = readlink(name, link, sizeof link - 1);
    CHECK(n > 0);
    link[n > 0 ? n : 0] = 0;
    CHECK(getcwd(here, sizeof here));
    printf("link: %s\n", strncmp(link, here, strlen(here)) == 0 ? link + strlen(here) : link);
    struct stat s, t;
    CHECK(lstat(name, &s) == 0);
    printf("mode %o\n", s.st_mode);
    // The file is found through the mapping even when its name is gone.
    CHECK(unlink("mapped") == 0 && fstat(fd, &t) == 0);
    CHECK(stat(name, &s) == 0 && s.st_ino == t.st_ino);
    int again = OK(open(name, O_RDONLY));
    char text[6] = {0};
    CHECK(pread(again, text, 5, PAGE) == 5);
    printf("%s\n", text);
    say_status("unprivileged", CHILD(CHECK(setresuid(1000, 1000, 1000) == 0); CHECK(prctl(PR_SET_DUMPABLE, 1) == 0); OK(open(name, O_RDONLY))));
    const char *wrong[] = {"/proc/self/map_files/0%lx-%lx", "/proc/self/map_files/%lx-0%lx", "/proc/self/map_files/%lX-%lx0", "/proc/self/map_files/%lx"};
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof name, wrong[i], (long)p, (long)p + 2 * PAGE);
        OK(readlink(name, link, sizeof link));
    }
    DIR *d = opendir("/proc/self/map_files");
    CHECK(d);
    int found = 0;
    snprintf(name, sizeof name, "%lx-%lx", (long)p, (long)p + 2 * PAGE);
    for (struct dirent *e; (e = readdir(d));) found += strcmp(e->d_name, name) == 0 && e->d_type == DT_LNK;
    printf("listed %d\n", found);
    closedir(d);
    CHECK(fstatat(AT_FDCWD, "/proc/self/map_files", &s, 0) == 0);
    printf("directory %o\n", s.st_mode);
    OK(access("/proc/thread-self/map_files", F_OK));
}

static void show_lines(const char *path, const char *const *names) {
    FILE *f = fopen(path, "r");
    char line[300];
    while (f && fgets(line, sizeof line, f))
        for (int i = 0; names[i]; i++)
            if (!strncmp(line, names[i], strlen(names[i]))) printf("%s", line);
    if (f) fclose(f);
}

static int entries(const char *path) {
    DIR *d = opendir(path);
    int n = 0;
    for (struct dirent *e; d && (e = readdir(d));) n++;
    if (d) closedir(d);
    return d ? n : -1;
}

// What is left of a process that nobody has waited for.
static void zombie(void) {
    pid_t p = fork();
    if (!p) {
        prctl(PR_SET_NAME, "a zombie to be");
        CHECK(setresgid(123, 123, 123) == 0 && setresuid(54361, 54361, 54361) == 0);
        _exit(3);
    }
    siginfo_t si;
    CHECK(waitid(P_PID, p, &si, WEXITED | WNOWAIT) == 0);
    SHOW(si.si_uid);
    char path[60], text[100] = "";
    snprintf(path, sizeof path, "/proc/%d/status", p);
    show_lines(path, (const char *const[]){"Name:", "State:", "Uid:", "Gid:", "Threads:", NULL});
    snprintf(path, sizeof path, "/proc/%d/comm", p);
    FILE *f = fopen(path, "r");
    CHECK(f && fgets(text, sizeof text, f));
    printf("%s", text);
    if (f) fclose(f);
    snprintf(path, sizeof path, "/proc/%d/fd", p);
    SHOW(entries(path));
    snprintf(path, sizeof path, "/proc/%d", p);
    struct stat st;
    SHOW(stat(path, &st));
    printf("%o, of %d:%d\n", st.st_mode, st.st_uid, st.st_gid);
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "/proc/%d/%s", p, (const char *const[]){"cwd", "root", "exe"}[i]);
        SHOW(readlink(path, text, sizeof text));
    }
    snprintf(path, sizeof path, "/proc/%d/cmdline", p);
    int fd = open(path, O_RDONLY);
    SHOW(read(fd, text, sizeof text));
    close(fd);
    wait_for(p);
    SHOW(stat(path, &st));
}

static void tests(void) {
    calls();
    maps();
    zombie();
    // A process that has set its memory aside is still its user's.
    struct stat st;
    say_status("not dumpable", CHILD(CHECK(setresuid(54361, 54361, 54361) == 0); SHOW(stat("/proc/self", &st)); printf("of %d\n", st.st_uid);
                                      SHOW(stat("/proc/self/environ", &st)); printf("of %d\n", st.st_uid)));
}
