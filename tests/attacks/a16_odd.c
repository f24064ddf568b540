// A15, A16, A17: 32-bit code, personalities, deep paths, descriptors in flight, exhaustion of whatever the guest kernel counts.
#include "attack.h"
static void refused(const char *what, long r) { if (r >= 0) HOLE("%s gives %ld", what, r); }
static void *sleeper(void *x) { pause(); return 0; }
// A15: lengths and pointers that change while they are read.
static volatile int stop; static struct iovec race[2]; static char buf[64];
static void *flip(void *x) { while (!stop) { race[0].iov_base = (void *)KERNEL; race[0].iov_len = -1ul; race[0].iov_base = buf; race[0].iov_len = 8; } return 0; }
static void threads(void *x) { pthread_attr_t a; pthread_attr_init(&a); pthread_attr_setstacksize(&a, 65536); pthread_t t; int n = 0; while (n < 20000 && pthread_create(&t, &a, sleeper, 0) == 0) n++; printf("%d threads\n", n); fflush(stdout); if (n >= 20000) HOLE("threads without end"); _exit(0); }
static void forks(void *x) { int n = 0; pid_t p; setpgid(0, 0); while (n < 20000 && (p = fork()) >= 0) { if (!p) { pause(); _exit(0); } n++; } printf("%d processes: %s\n", n, strerror(errno)); fflush(stdout); if (n >= 20000 || (errno != EAGAIN && errno != ENOMEM)) HOLE("processes"); signal(SIGTERM, SIG_IGN); kill(0, SIGKILL); }
static void fds(void *x) { int n = 0; while (n < 2000000 && open("/dev/null", 0) >= 0) n++; printf("%d descriptors: %s\n", n, strerror(errno)); fflush(stdout); if (errno != EMFILE && errno != ENFILE) HOLE("descriptors"); _exit(0); }
static void pipes(void *x) { int n = 0, p[2]; char b[65536]; memset(b, 1, sizeof b); while (n < 500000 && pipe2(p, O_NONBLOCK) == 0) { fcntl(p[1], F_SETPIPE_SZ, 1 << 20); while (write(p[1], b, sizeof b) > 0) {} n++; } printf("%d full pipes: %s\n", n, strerror(errno)); fflush(stdout); _exit(0); }
static void sockets(void *x) { int n = 0, p[2]; char b[65536]; memset(b, 1, sizeof b); while (n < 500000 && socketpair(1, SOCK_DGRAM | SOCK_NONBLOCK, 0, p) == 0) { int big = 1 << 30; setsockopt(p[0], SOL_SOCKET, SO_SNDBUF, &big, 4); while (send(p[0], b, sizeof b, 0) > 0) {} n++; } printf("%d full sockets: %s\n", n, strerror(errno)); fflush(stdout); _exit(0); }
static void flight(void *x) {
    // A descriptor in a message in a socket in a message ...: closing the last must not recurse without end.
    int prev = -1, n = 0;
    for (; n < 20000; n++) {
        int p[2]; if (socketpair(1, SOCK_DGRAM, 0, p)) break;
        if (prev >= 0) { struct iovec v = {"x", 1}; char c[CMSG_SPACE(4)]; struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = c, .msg_controllen = sizeof c};
            struct cmsghdr *h = CMSG_FIRSTHDR(&m); h->cmsg_level = SOL_SOCKET; h->cmsg_type = SCM_RIGHTS; h->cmsg_len = CMSG_LEN(4); memcpy(CMSG_DATA(h), &prev, 4);
            if (sendmsg(p[0], &m, MSG_DONTWAIT) < 0) { printf("in flight: %s\n", strerror(errno)); close(p[0]); close(p[1]); break; } close(prev); }
        close(p[0]); prev = p[1];
        if (prev < 0) break;
    }
    printf("%d sockets in each other\n", n); fflush(stdout); close(prev); _exit(0);
}
static void cycle(void *x) { for (int i = 0; i < 2000; i++) { int p[2]; if (socketpair(1, 1, 0, p)) break; struct iovec v = {"x", 1}; char c[CMSG_SPACE(8)]; struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = c, .msg_controllen = sizeof c};
        struct cmsghdr *h = CMSG_FIRSTHDR(&m); h->cmsg_level = SOL_SOCKET; h->cmsg_type = SCM_RIGHTS; h->cmsg_len = CMSG_LEN(8); memcpy(CMSG_DATA(h), p, 8); sendmsg(p[0], &m, MSG_DONTWAIT); sendmsg(p[1], &m, MSG_DONTWAIT); close(p[0]); close(p[1]); } _exit(0); }
static void epolls(void *x) { int prev = -1, n = 0; for (; n < 3000; n++) { int e = raw(SYS_epoll_create1, 0, 0, 0, 0, 0, 0); if (e < 0) break; struct { uint32_t ev; uint64_t d; } __attribute__((packed)) ev = {1, 0}; if (prev >= 0 && raw(SYS_epoll_ctl, e, 1, prev, (long)&ev, 0, 0) < 0) break; prev = e; } printf("%d nested epolls\n", n); fflush(stdout); struct pollfd pf = {prev, POLLIN}; poll(&pf, 1, 0); _exit(0); }
static void paths(void *x) {
    chdir("/tmp"); char name[256]; memset(name, 'd', 255); name[255] = 0; int depth = 0;
    while (depth < 3000 && mkdir(name, 0700) == 0 && chdir(name) == 0) depth++;
    char cwd[16]; getcwd(cwd, sizeof cwd); static char big[1 << 20]; raw(SYS_getcwd, (long)big, sizeof big, 0, 0, 0, 0);
    readlink("/proc/self/cwd", big, sizeof big);
    printf("depth %d: %s\n", depth, strerror(errno));
    chdir("/tmp"); char a[64], b[64];
    symlink("/tmp", "l0"); for (int i = 1; i < 200; i++) { sprintf(a, "l%d", i - 1); sprintf(b, "l%d", i); symlink(a, b); }
    if (open("l100/x", 0) >= 0 || errno != ELOOP) HOLE("deep links: %s", strerror(errno));
    symlink("loop", "loop"); if (open("loop", 0) >= 0 || errno != ELOOP) HOLE("loop");
    static char many[4096]; for (int i = 0; i < 4090; i += 2) memcpy(many + i, "./", 2); open(many, 0);
    memset(many, '/', 4095); open(many, 0); for (int i = 0; i + 3 < 4090; i += 3) memcpy(many + i, "../", 3); open(many, 0);
    char self[64]; for (int i = 0; i < 100; i++) { sprintf(self, "/proc/self/root/proc/self/root/etc"); open(self, 0); }
    _exit(0);
}
static void maps(void *x) { long n = 0; while (n < 5000000) { char *p = mmap(0, 4096 * 64, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0); if (p == MAP_FAILED) break; for (int i = 0; i < 64; i += 2) if (mprotect(p + i * 4096, 4096, PROT_READ)) goto out; n += 32; } out: printf("%ld areas: %s\n", n, strerror(errno)); fflush(stdout); if (n >= 5000000) HOLE("areas without end"); _exit(0); }
static void timers(void *x) { struct sigevent e = {.sigev_notify = SIGEV_NONE}; int n = 0, id; while (n < 1000000 && raw(SYS_timer_create, 1, (long)&e, (long)&id, 0, 0, 0) == 0) n++; printf("%d timers: %s\n", n, strerror(errno)); fflush(stdout); if (n >= 1000000) HOLE("timers without end"); _exit(0); }
static void sigs(void *x) { sigset_t s; sigfillset(&s); sigprocmask(SIG_BLOCK, &s, 0); int n = 0; union sigval v; while (n < 2000000 && sigqueue(getpid(), 40, v) == 0) n++; printf("%d queued signals: %s\n", n, strerror(errno)); fflush(stdout); if (n >= 2000000) HOLE("signals without end"); _exit(0); }
static void files(void *x) { chdir("/tmp"); char nm[32]; int n = 0; for (; n < 3000000; n++) { sprintf(nm, "f%d", n); int f = open(nm, O_CREAT | O_WRONLY, 0600); if (f < 0) break; close(f); } printf("%d empty files: %s\n", n, strerror(errno)); fflush(stdout); if (n >= 3000000) HOLE("files without end"); _exit(0); }
static void xattrs(void *x) { int f = open("/tmp/xa", O_CREAT | O_RDWR, 0600); static char v[65536]; char nm[32]; int n = 0; for (; n < 100000; n++) { sprintf(nm, "user.a%d", n); if (raw(SYS_fsetxattr, f, (long)nm, (long)v, sizeof v, 0, 0) < 0) break; } printf("%d xattrs: %s\n", n, strerror(errno)); fflush(stdout); if (n >= 100000) HOLE("xattrs without end"); _exit(0); }
static void locks(void *x) { int f = open("/tmp/lk", O_CREAT | O_RDWR, 0600), n = 0; for (; n < 3000000; n++) { struct flock l = {.l_type = F_WRLCK, .l_start = n * 2, .l_len = 1}; if (fcntl(f, F_SETLK, &l)) break; } printf("%d locks: %s\n", n, strerror(errno)); fflush(stdout); if (n >= 3000000) HOLE("locks without end"); _exit(0); }
static void pagers(void *x) { int n = 0; for (; n < 200; n++) { int f = memfd_create("x", 0); if (f < 0) break; ftruncate(f, 1l << 40); for (long o = 0; o < 100000; o++) if (pwrite(f, "x", 1, o << 13) != 1) goto out; } out: printf("%d sparse memfds: %s\n", n, strerror(errno)); fflush(stdout); _exit(0); }
static void args(void *x) { static char *v[200000]; static char big[131000]; memset(big, 'a', sizeof big - 1); for (int i = 0; i < 199999; i++) v[i] = big; execv("/bin/true", v); printf("big arguments: %s\n", strerror(errno)); fflush(stdout); _exit(errno != E2BIG); }
static const struct { const char *name; void (*f)(void *); } all[] = {{"forks", forks}, {"threads", threads}, {"fds", fds}, {"pipes", pipes}, {"sockets", sockets}, {"flight", flight}, {"cycle", cycle}, {"epolls", epolls},
    {"paths", paths}, {"maps", maps}, {"timers", timers}, {"sigs", sigs}, {"files", files}, {"xattrs", xattrs}, {"locks", locks}, {"memfds", pagers}, {"args", args}};
int main(int argc, char **argv) {
    for (unsigned i = 0; argc > 1 && i < COUNT(all); i++) if (!strcmp(argv[1], all[i].name)) { fflush(stdout); pid_t p = fork(); if (!p) { all[i].f(0); _exit(0); } int st; waitpid(p, &st, 0); printf("%s: status %#x\n", argv[1], st); return 0; }
    char ldt[16] = {0}; *(int *)ldt = 1; ldt[12] = 0x51;
    refused("modify_ldt", raw(SYS_modify_ldt, 1, (long)ldt, 16, 0, 0, 0)); refused("modify_ldt", raw(SYS_modify_ldt, 0x11, (long)ldt, 16, 0, 0, 0));
    for (long p = 1; p < 0x10000000; p <<= 1) if (p != 0x40000) refused("personality", raw(SYS_personality, p, 0, 0, 0, 0, 0));
    refused("personality", raw(SYS_personality, 8, 0, 0, 0, 0, 0)); refused("set_thread_area", raw(SYS_set_thread_area, (long)ldt, 0, 0, 0, 0, 0));
    for (long c = 0x5001; c < 0x5006; c++) refused("shadow stack", raw(SYS_arch_prctl, c, 1, 0, 0, 0, 0));
    refused("SET_GS", raw(SYS_arch_prctl, 0x1001, 0, 0, 0, 0, 0)); refused("SET_FS", raw(SYS_arch_prctl, 0x1002, 1l << 47, 0, 0, 0, 0)); refused("SET_FS", raw(SYS_arch_prctl, 0x1002, -1, 0, 0, 0, 0));
    refused("AMX", raw(SYS_arch_prctl, 0x1023, 18, 0, 0, 0, 0)); refused("iopl", raw(SYS_iopl, 3, 0, 0, 0, 0, 0)); refused("ioperm", raw(SYS_ioperm, 0, 1024, 1, 0, 0, 0));
    pthread_t t; pthread_create(&t, 0, flip, 0); int f = open("/tmp/race", O_CREAT | O_RDWR, 0600);
    for (int i = 0; i < 20000; i++) { writev(f, race, 1); lseek(f, 0, 0); readv(f, race, 1); lseek(f, 0, 0); }
    stop = 1; pthread_join(t, 0);
    return holes;
}
