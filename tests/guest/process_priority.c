// Scheduling policies and I/O priorities: what was set is what is shown (sched(7), ioprio_set(2)).
#include "guest.h"

#define IOPRIO(class, level) ((class) << 13 | (level))
enum { PROCESS = 1, GROUP, USER };

static long get(int which, int who) { return syscall(SYS_ioprio_get, which, who); }
static long set(int which, int who, int value) { return syscall(SYS_ioprio_set, which, who, value); }

static pid_t thread_id;
static int pipes[2][2];

static void *in_thread(void *arg) {
    char c;
    thread_id = gettid();
    SHOW(getpriority(PRIO_PROCESS, 0)); // its maker's
    SHOW(setpriority(PRIO_PROCESS, 0, 7));
    CHECK(write(pipes[0][1], "x", 1) == 1);
    CHECK(read(pipes[1][0], &c, 1) == 1);
    SHOW(getpriority(PRIO_PROCESS, 0));
    return arg;
}

static int nice_of(const char *path) {
    char text[500] = {0};
    int fd = open(path, O_RDONLY), n = -99;
    CHECK(read(fd, text, sizeof text - 1) > 0);
    close(fd);
    sscanf(strrchr(text, ')'), ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %d", &n);
    return n;
}

// Each thread has its own.
static void threads(void) {
    char path[60], c;
    pthread_t t;
    CHECK(pipe(pipes[0]) == 0 && pipe(pipes[1]) == 0);
    SHOW(setpriority(PRIO_PROCESS, 0, 3));
    pthread_create(&t, NULL, in_thread, NULL);
    CHECK(read(pipes[0][0], &c, 1) == 1);
    SHOW(getpriority(PRIO_PROCESS, 0));
    SHOW(getpriority(PRIO_PROCESS, thread_id));
    SHOW(nice_of("/proc/self/stat"));
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", thread_id);
    SHOW(nice_of(path));
    SHOW(get(PROCESS, thread_id));
    SHOW(setpriority(PRIO_PROCESS, thread_id, 11));
    SHOW(getpriority(PRIO_PROCESS, getpid()));
    SHOW(getpriority(PRIO_PROCESS, thread_id));
    say_status("own group", CHILD(setpgid(0, 0); SHOW(getpriority(PRIO_PGRP, 0)); SHOW(setpriority(PRIO_PGRP, 0, 12)); SHOW(getpriority(PRIO_PGRP, 0))));
    CHECK(write(pipes[1][1], "x", 1) == 1);
    pthread_join(t, NULL);
}

struct attr {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
    uint32_t clamps[2];
    uint64_t later;
};

static void show_attr(void) {
    struct attr a = {.nice = 99};
    SHOW(syscall(SYS_sched_getattr, 0, &a, 48, 0));
    printf("size %u policy %u flags %llu nice %d priority %u\n", a.size, a.policy, (unsigned long long)a.flags, a.nice, a.priority);
}

// sched_setattr and sched_getattr; RLIMIT_NICE.
static void attributes(void) {
    struct attr a = {.size = 48, .policy = SCHED_BATCH, .nice = 5};
    SHOW(syscall(SYS_sched_setattr, 0, &a, 0));
    show_attr();
    SHOW(getpriority(PRIO_PROCESS, 0));
    a = (struct attr){.policy = SCHED_OTHER, .flags = 1, .nice = -100}; // size 0 is the first one's
    SHOW(syscall(SYS_sched_setattr, getpid(), &a, 0));
    show_attr();
    say_status("made by it", CHILD(show_attr()));
    a = (struct attr){.size = 48, .policy = 77, .flags = 8, .nice = 7}; // keeps the policy
    SHOW(syscall(SYS_sched_setattr, 0, &a, 0));
    show_attr();
    a = (struct attr){.size = 48, .policy = SCHED_BATCH, .flags = 16, .nice = 9, .priority = 50}; // keeps all but the flag
    SHOW(syscall(SYS_sched_setattr, 0, &a, 0));
    a.priority = 0;
    SHOW(syscall(SYS_sched_setattr, 0, &a, 0));
    show_attr();
    a = (struct attr){.size = 48, .policy = SCHED_OTHER, .priority = 1};
    SHOW(syscall(SYS_sched_setattr, 0, &a, 0));
    a = (struct attr){.size = 48, .policy = SCHED_FIFO};
    SHOW(syscall(SYS_sched_setattr, 0, &a, 0));
    a = (struct attr){.size = 48, .policy = SCHED_FIFO, .priority = 100};
    SHOW(syscall(SYS_sched_setattr, 0, &a, 0));
    a = (struct attr){.size = 48, .policy = 77};
    SHOW(syscall(SYS_sched_setattr, 0, &a, 0));
    a.policy = -1;
    SHOW(syscall(SYS_sched_setattr, 0, &a, 0));
    a = (struct attr){.size = 48, .flags = 0x80};
    SHOW(syscall(SYS_sched_setattr, 0, &a, 0));
    a = (struct attr){.size = 48, .flags = 0x20}; // clamps, for which the structure is too small
    SHOW(syscall(SYS_sched_setattr, 0, &a, 0));
    a = (struct attr){.size = 64};
    SHOW(syscall(SYS_sched_setattr, 0, &a, 0));
    a = (struct attr){.size = 64, .later = 1};
    SHOW(syscall(SYS_sched_setattr, 0, &a, 0));
    SHOW(a.size);
    a.size = 47;
    SHOW(syscall(SYS_sched_setattr, 0, &a, 0));
    SHOW(a.size);
    SHOW(syscall(SYS_sched_setattr, 0, &a, 1));
    SHOW(syscall(SYS_sched_setattr, -1, &a, 0));
    SHOW(syscall(SYS_sched_setattr, 99999999, &a, 0));
    SHOW(syscall(SYS_sched_setattr, 0, NULL, 0));
    SHOW(syscall(SYS_sched_setattr, 0, (void *)8, 0));
    SHOW(syscall(SYS_sched_getattr, 0, &a, 47, 0));
    SHOW(syscall(SYS_sched_getattr, 0, &a, 4097, 0));
    SHOW(syscall(SYS_sched_getattr, 0, &a, 48, 1));
    SHOW(syscall(SYS_sched_getattr, -1, &a, 48, 0));
    SHOW(syscall(SYS_sched_getattr, 99999999, &a, 48, 0));
    SHOW(syscall(SYS_sched_getattr, 0, NULL, 48, 0));
    SHOW(syscall(SYS_sched_getattr, 0, (void *)8, 48, 0));
    // Without privilege: the flag stays, SCHED_IDLE is for good and has no nice value, and RLIMIT_NICE says how far that may go.
    struct rlimit none = {0, 0};
    a = (struct attr){.size = 48, .policy = SCHED_IDLE, .flags = 1, .nice = 3};
    SHOW(syscall(SYS_sched_setattr, 0, &a, 0));
    CHECK(setrlimit(RLIMIT_NICE, &none) == 0);
    SHOW(setresuid(1234, 1234, 1234));
    a.flags = 0;
    SHOW(syscall(SYS_sched_setattr, 0, &a, 0));
    a.flags = 1, a.nice = -1;
    SHOW(syscall(SYS_sched_setattr, 0, &a, 0));
    a.nice = 0;
    SHOW(syscall(SYS_sched_setattr, 0, &a, 0));
    SHOW(setpriority(PRIO_PROCESS, 0, 4));
    SHOW(setpriority(PRIO_PROCESS, 0, 0));
    a.policy = SCHED_OTHER;
    SHOW(syscall(SYS_sched_setattr, 0, &a, 0));
    a = (struct attr){.size = 48, .policy = SCHED_FIFO, .flags = 1, .priority = 5};
    SHOW(syscall(SYS_sched_setattr, 0, &a, 0));
    a = (struct attr){.size = 48, .policy = 6, .flags = 1, .runtime = 2000000, .deadline = 1000000};
    SHOW(syscall(SYS_sched_setattr, 0, &a, 0));
    a.deadline = 4000000;
    SHOW(syscall(SYS_sched_setattr, 0, &a, 0));
    show_attr();
}

static void tests(void) {
    struct sched_param zero = {0}, one = {1};
    SHOW(get(PROCESS, 0));
    for (int level = 0; level < 8; level += 7) {
        SHOW(set(PROCESS, 0, IOPRIO(2, level)));
        SHOW(get(PROCESS, 0));
    }
    say_status("inherited", CHILD(SHOW(get(PROCESS, 0))));
    SHOW(set(PROCESS, 0, IOPRIO(3, 0)));
    SHOW(get(PROCESS, getpid()));
    SHOW(set(PROCESS, 0, IOPRIO(1, 2)));
    SHOW(get(PROCESS, 0));
    SHOW(set(PROCESS, 0, IOPRIO(0, 1)));
    SHOW(set(PROCESS, 0, IOPRIO(4, 0)));
    SHOW(set(9, 0, 0));
    SHOW(get(9, 0));
    SHOW(get(PROCESS, 99999999));
    SHOW(set(PROCESS, 0, 0));
    SHOW(get(PROCESS, 0));
    say_status("own group", CHILD(setpgid(0, 0); SHOW(get(GROUP, 0)); SHOW(set(GROUP, 0, IOPRIO(2, 6))); SHOW(get(GROUP, 0))));
    say_status("unprivileged", CHILD(CHECK(setresuid(54342, 54342, 54342) == 0); SHOW(set(PROCESS, 0, IOPRIO(2, 1))); SHOW(set(PROCESS, 0, IOPRIO(1, 1)));
                                     SHOW(set(PROCESS, getppid(), IOPRIO(2, 1))); SHOW(get(PROCESS, getppid()))));

    SHOW(sched_getscheduler(0));
    SHOW(sched_setscheduler(0, SCHED_BATCH, &zero));
    SHOW(sched_getscheduler(0));
    say_status("inherited", CHILD(SHOW(sched_getscheduler(0))));
    SHOW(sched_setscheduler(0, SCHED_BATCH, &one));
    SHOW(sched_setscheduler(0, SCHED_IDLE | SCHED_RESET_ON_FORK, &zero));
    SHOW(sched_getscheduler(0));
    say_status("flag not inherited", CHILD(SHOW(sched_getscheduler(0) & SCHED_RESET_ON_FORK)));
    SHOW(sched_setscheduler(0, 77, &zero));
    SHOW(sched_getscheduler(-1));
    say_status("attributes", CHILD(attributes()));

    SHOW(setpriority(PRIO_USER, 54341, 3));
    SHOW(getpriority(PRIO_USER, 54341));
    say_status("a user's", CHILD({
                   SHOW(setresuid(54341, 54341, 54341));
                   int box[2];
                   CHECK(pipe(box) == 0);
                   pid_t other = fork();
                   if (!other) {
                       char c;
                       CHECK(read(box[0], &c, 1) == 1);
                       SHOW(getpriority(PRIO_PROCESS, 0));
                       fflush(stdout);
                       _exit(0);
                   }
                   fflush(stdout);
                   SHOW(setpriority(PRIO_PROCESS, other, 7));
                   SHOW(getpriority(PRIO_USER, 0)); // the best of both
                   SHOW(setpriority(PRIO_USER, 0, 9));
                   SHOW(getpriority(PRIO_PROCESS, other));
                   SHOW(getpriority(PRIO_USER, 54341));
                   SHOW(setpriority(PRIO_USER, 54341, 8));
                   SHOW(setpriority(PRIO_USER, 0xffff, 8));
                   fflush(stdout);
                   CHECK(write(box[1], "x", 1) == 1);
                   wait_for(other);
                   // Nobody's but root's.
                   SHOW(setpriority(PRIO_PROCESS, 1, 5));
                   SHOW(sched_setscheduler(1, SCHED_BATCH, &zero));
                   SHOW(sched_setscheduler(getppid(), SCHED_BATCH, &zero));
                   cpu_set_t one_cpu;
                   CPU_ZERO(&one_cpu);
                   CPU_SET(0, &one_cpu);
                   SHOW(sched_setaffinity(1, sizeof one_cpu, &one_cpu));
               }));
    say_status("threads", CHILD(threads()));
    SHOW(syscall(SYS_reboot, 1, 2, 3, NULL));
    say_status("unprivileged", CHILD(CHECK(setresuid(54342, 54342, 54342) == 0); SHOW(syscall(SYS_reboot, 1, 2, 3, NULL))));
}
