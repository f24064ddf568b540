/* micro NAME: nanoseconds for one operation, median of 9 batches. Runs alike on the host and in a guest. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;
static char buffer[1 << 20];
static int fd, out[2], back[2];
static const char *self;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e9 + t.tv_nsec;
}
static void need(int ok, const char *what) {
    if (!ok) { perror(what); exit(2); }
}

static void getppid_(void) { syscall(SYS_getppid); }
static void read1(void) { need(read(fd, buffer, 1) == 1, "read"); }
static void write1(void) { need(write(fd, buffer, 1) == 1, "write"); }
static void lseek_(void) { lseek(fd, 0, SEEK_SET); }
static void fstat_(void) { struct stat s; fstat(fd, &s); }
static void clock_(void) { struct timespec t; syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t); }
static void stat_(void) { struct stat s; need(stat("/usr/bin/env", &s) == 0, "stat"); }
static void open_(void) { int f = open("/usr/bin/env", O_RDONLY); need(f >= 0, "open"); close(f); }
static void read4k(void) { need(pread(fd, buffer, 4096, 0) == 4096, "pread"); }
static void write4k(void) { need(pwrite(fd, buffer, 4096, 0) == 4096, "pwrite"); }
static void read1m(void) { need(pread(fd, buffer, 1 << 20, 0) == 1 << 20, "pread"); }
static void write1m(void) { need(pwrite(fd, buffer, 1 << 20, 0) == 1 << 20, "pwrite"); }
static void ping(void) {
    need(write(out[1], buffer, 1) == 1 && read(back[0], buffer, 1) == 1, "ping");
}
static void touch(void) {
    char *p = mmap(0, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    need(p != MAP_FAILED, "mmap");
    for (int i = 0; i < 1 << 20; i += 4096) p[i] = 1;
    munmap(p, 1 << 20);
}
static void protect(void) {
    mprotect(buffer + 4096 - (unsigned long)buffer % 4096, 4096, PROT_READ);
    mprotect(buffer + 4096 - (unsigned long)buffer % 4096, 4096, PROT_READ | PROT_WRITE);
}
static void fork_(void) {
    pid_t p = fork();
    if (!p) _exit(0);
    need(p > 0 && waitpid(p, 0, 0) == p, "fork");
}
static void spawn_(void) {
    pid_t p;
    char *argv[] = {"micro", "nothing", 0};
    need(posix_spawn(&p, self, 0, 0, argv, environ) == 0 && waitpid(p, 0, 0) == p, "spawn");
}
static void *nothing(void *a) { return a; }
static void thread_(void) {
    pthread_t t;
    need(pthread_create(&t, 0, nothing, 0) == 0, "thread");
    pthread_join(t, 0);
}
static volatile int word;
static void handover(int from, int to) {
    while (__atomic_load_n(&word, __ATOMIC_ACQUIRE) != from)
        syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, to, 0, 0, 0);
    __atomic_store_n(&word, to, __ATOMIC_RELEASE);
    syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0);
}
static void *partner(void *a) { for (;;) handover(1, 0); return a; }
static void futex_(void) { handover(0, 1); }

static void echo_child(void) {
    pid_t p = fork();
    if (p) { close(out[0]); close(back[1]); return; }
    close(out[1]);
    close(back[0]);
    while (read(out[0], buffer, 1) == 1 && write(back[1], buffer, 1) == 1) {}
    _exit(0);
}
static void at_zero(void) { fd = open("/dev/zero", O_RDONLY); }
static void at_null(void) { fd = open("/dev/null", O_WRONLY); }
static void at_file(void) {
    char name[] = "/tmp/microXXXXXX";
    fd = mkstemp(name);
    unlink(name);
    write1m();
}
static void at_pipe(void) { need(!pipe(out) && !pipe(back), "pipe"); echo_child(); }
static void at_unix(void) {
    int a[2], b[2];
    need(!socketpair(AF_UNIX, SOCK_STREAM, 0, a) && !socketpair(AF_UNIX, SOCK_STREAM, 0, b), "socketpair");
    out[0] = a[0]; out[1] = a[1]; back[0] = b[0]; back[1] = b[1];
    echo_child();
}
static void at_futex(void) { pthread_t t; pthread_create(&t, 0, partner, 0); }
static void at_none(void) {}

static const struct { const char *name; void (*set)(void), (*op)(void); int batch; } all[] = {
    {"getppid", at_none, getppid_, 200000}, {"read1", at_zero, read1, 100000}, {"write1", at_null, write1, 100000},
    {"lseek", at_file, lseek_, 100000}, {"fstat", at_file, fstat_, 100000}, {"clock", at_none, clock_, 100000},
    {"stat", at_none, stat_, 20000}, {"open", at_none, open_, 20000}, {"read4k", at_file, read4k, 20000},
    {"write4k", at_file, write4k, 20000}, {"read1m", at_file, read1m, 200}, {"write1m", at_file, write1m, 200},
    {"pipe", at_pipe, ping, 3000}, {"unix", at_unix, ping, 3000}, {"futex", at_futex, futex_, 3000},
    {"touch", at_none, touch, 50}, {"mprotect", at_none, protect, 5000}, {"fork", at_none, fork_, 100},
    {"spawn", at_none, spawn_, 50}, {"thread", at_none, thread_, 200},
};
static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}
int main(int argc, char **argv) {
    if (argc != 2) return 2;
    if (!strcmp(argv[1], "nothing")) return 0;
    self = argv[0];
    memset(buffer, 1, sizeof buffer);
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++)
        if (!strcmp(all[i].name, argv[1])) {
            double times[9];
            all[i].set();
            all[i].op();
            for (int round = 0; round < 9; round++) {
                double start = now();
                for (int n = 0; n < all[i].batch; n++) all[i].op();
                times[round] = (now() - start) / all[i].batch;
            }
            qsort(times, 9, sizeof *times, ascending);
            printf("%.1f\n", times[4]);
            return 0;
        }
    return 2;
}
