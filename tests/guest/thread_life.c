// Threads: names, masks, directed signals, exit orders, exec, credentials, cancellation, membarrier, affinity.
#include "guest.h"
#include <linux/membarrier.h>

static volatile pid_t on_tid, tids[4];
static void where(int s) { on_tid = gettid(); }
static volatile int go;
static void *masked(void *v) {
    sigset_t s = sigs(SIGUSR1, 0);
    pthread_sigmask(SIG_BLOCK, &s, NULL);
    tids[(long)v] = gettid();
    while (!go) nap(1);
    sigset_t pending;
    sigpending(&pending);
    return (void *)(long)sigismember(&pending, SIGUSR1);
}
static void *plain(void *v) {
    tids[(long)v] = gettid();
    while (!go) nap(1);
    return (void *)7;
}
static void *ender(void *v) {
    nap(20);
    exit((long)v);
}
static void *survivor(void *v) {
    until_state(getpid(), 'Z');
    printf("the leader is gone, pid kept %d\n", getpid() == *(pid_t *)v);
    _exit(23);
}
static void *sleeper(void *v) {
    for (;;) pause();
}
static void cleanup(void *v) { printf("cleanup %s\n", (char *)v); }
static void *cancelled(void *v) {
    pthread_cleanup_push(cleanup, "outer");
    pthread_cleanup_push(cleanup, "inner");
    tids[0] = gettid();
    for (;;) {
        char b;
        (void)!read((int)(long)v, &b, 1);
    }
    pthread_cleanup_pop(0);
    pthread_cleanup_pop(0);
}
static void *faulter(void *v) { return (void *)(long)*(volatile char *)8; }
static void *change_ids(void *v) { return (void *)(long)(setuid(1000) == 0); }
static __thread int local = 5;
static void *uses_tls(void *v) {
    local += (long)v;
    nap(1);
    return (void *)(long)local;
}
static pthread_key_t key;
static void destroy(void *v) { printf("destroyed %ld\n", (long)v); }
static void *uses_key(void *v) { return pthread_setspecific(key, (void *)33), NULL; }

static void tests(void) {
    pthread_t t[4];
    void *r;
    handle(SIGUSR1, where, 0);
    sigset_t usr = sigs(SIGUSR1, 0);
    CHECK(getpid() == gettid());
    pthread_create(&t[0], NULL, masked, (void *)0);
    pthread_create(&t[1], NULL, plain, (void *)1);
    while (!tids[0] || !tids[1]) nap(1);
    // To the process: the only thread that takes it.
    pthread_sigmask(SIG_BLOCK, &usr, NULL);
    kill(getpid(), SIGUSR1);
    while (!on_tid) nap(1);
    printf("process signal went to the open thread: %d\n", on_tid == tids[1]);
    on_tid = 0;
    pthread_kill(t[0], SIGUSR1);
    nap(5);
    printf("directed, but masked: %d\n", on_tid);
    on_tid = 0;
    pthread_kill(t[1], SIGUSR1);
    while (!on_tid) nap(1);
    printf("directed: %d\n", on_tid == tids[1]);
    SHOW(pthread_setname_np(t[1], "a-name"));
    char name[16], path[64];
    SHOW(pthread_getname_np(t[1], name, sizeof name));
    puts(name);
    snprintf(path, sizeof path, "/proc/self/task/%d/comm", tids[1]);
    int fd = open(path, O_RDONLY);
    memset(name, 0, sizeof name);
    CHECK(read(fd, name, 15) > 0);
    printf("%s", name);
    struct stat st;
    CHECK(stat("/proc/self/task", &st) == 0);
    SHOW(st.st_nlink - 2); // threads
    go = 1;
    pthread_join(t[0], &r);
    SHOW(r);
    pthread_join(t[1], &r);
    SHOW(r);
    pthread_sigmask(SIG_UNBLOCK, &usr, NULL);
    // Joined is a moment before gone.
    while (syscall(SYS_tgkill, getpid(), tids[1], 0) == 0) nap(1);
    SHOW(syscall(SYS_tgkill, getpid(), tids[1], 0));

    say_status("exit by a thread", CHILD(pthread_create(&t[0], NULL, ender, (void *)12); for (;;) pause()));
    pid_t me;
    say_status("the leader ends first", CHILD(me = getpid(); pthread_create(&t[0], NULL, survivor, &me); pthread_exit(NULL)));
    say_status("all end", CHILD(pthread_create(&t[0], NULL, uses_tls, NULL); pthread_exit(NULL)));
    say_status("a thread faults", CHILD(pthread_create(&t[0], NULL, faulter, NULL); for (;;) pause()));
    say_status("killed with threads", CHILD(for (int i = 0; i < 4; i++) pthread_create(&t[i], NULL, sleeper, NULL); kill(getpid(), SIGKILL); for (;;) pause()));
    say_status("fork leaves threads behind", CHILD({
                   pthread_create(&t[0], NULL, sleeper, NULL);
                   say_status("lonely", CHILD(CHECK(stat("/proc/self/task", &st) == 0); printf("%ld thread\n", (long)st.st_nlink - 2)));
               }));
    say_status("setuid reaches all threads", CHILD({
                   pthread_create(&t[0], NULL, change_ids, NULL);
                   pthread_join(t[0], &r);
                   printf("%ld %d\n", (long)r, getuid());
               }));
    say_status("raw setuid is a thread's own", CHILD({
                   int s2 = CHILD(syscall(SYS_setuid, 1000); printf("%d\n", getuid()));
                   say_status("x", s2);
               }));
    int p[2];
    CHECK(pipe(p) == 0);
    tids[0] = 0;
    pthread_create(&t[0], NULL, cancelled, (void *)(long)p[0]);
    while (!tids[0]) nap(1);
    until_state(tids[0], 'S');
    CHECK(pthread_cancel(t[0]) == 0);
    pthread_join(t[0], &r);
    SHOW(r == PTHREAD_CANCELED);
    for (int i = 0; i < 4; i++) pthread_create(&t[i], NULL, uses_tls, (void *)(long)i);
    long sum = 0;
    for (int i = 0; i < 4; i++) pthread_join(t[i], &r), sum += (long)r;
    SHOW(sum);
    SHOW(local);
    pthread_key_create(&key, destroy);
    pthread_create(&t[0], NULL, uses_key, NULL);
    pthread_join(t[0], NULL);
    for (int i = 0; i < 300; i++) {
        CHECK(pthread_create(&t[0], NULL, uses_tls, NULL) == 0);
        pthread_join(t[0], NULL);
    }
    CHECK(syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0) & MEMBARRIER_CMD_PRIVATE_EXPEDITED);
    SHOW(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0));
    SHOW(syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0));
    SHOW(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0));
    SHOW(syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0));
    SHOW(syscall(SYS_membarrier, 1 << 30, 0, 0));
    SHOW(syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 8, 0));
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    SHOW(sched_setaffinity(0, sizeof cpus, &cpus));
    CPU_SET(0, &cpus);
    SHOW(sched_setaffinity(0, sizeof cpus, &cpus));
    CPU_ZERO(&cpus);
    SHOW(sched_getaffinity(0, sizeof cpus, &cpus));
    SHOW(CPU_COUNT(&cpus));
    SHOW(sched_getscheduler(0));
    SHOW(sched_setscheduler(0, 99, &(struct sched_param){0}));
    SHOW(sched_get_priority_max(SCHED_FIFO));
}
