// A14, A17: every system-call number with arguments that are often wrong: the guest kernel must stay alive. Seeded, so that
// a failure comes again.
#include "attack.h"
static uint64_t s;
static uint64_t rnd(void) { s ^= s << 13; s ^= s >> 7; s ^= s << 17; return s; }
static char *good;
static long arg(void) {
    static const long v[] = {0, 1, 2, 3, 4, 8, 16, 64, 4095, 4096, 65536, 1 << 20, 0x7fffffff, 0x80000000, 0xffffffff, -1, -2, -100, 1l << 47, 1l << 62, 1l << 63, 0x7fffffffffffffff,
        KERNEL, HEAP, SLOTS, TRUSTED, JUMP_TABLE, RAM_WINDOW, 0x7ffffffff000, 5, 6, 7, 9, 10, 11, 12, 0x80000, 0x800, 0x541b};
    switch (rnd() % 5) {
    case 0: return (long)good + rnd() % 60000;
    case 1: return rnd() % 32;
    case 2: return 1l << rnd() % 64;
    default: return v[rnd() % COUNT(v)];
    }
}
static int spared(int nr) {
    switch (nr) {  // those that end or stop the caller by design
    case SYS_exit: case SYS_exit_group: case SYS_rt_sigreturn: case SYS_pause: case SYS_kill: case SYS_tkill: case SYS_tgkill: case SYS_rt_sigqueueinfo: case SYS_rt_tgsigqueueinfo:
    case SYS_pidfd_send_signal: case SYS_vfork: case SYS_fork: case SYS_clone: case SYS_clone3: case SYS_reboot: return 1;
    }
    return holes;
}
static void noise(void *seed) {
    s = *(uint64_t *)seed * 0x9e3779b97f4a7c15ull + 1;
    alarm(0);
    struct sigaction sa = {.sa_handler = SIG_DFL};
    sigaction(SIGALRM, &sa, 0);
    alarm(2);
    chdir("/tmp");
    for (int i = 0; i < 4; i++) { open("/tmp/noise", O_RDWR | O_CREAT, 0644); int p[2]; pipe(p); socketpair(1, 1 + i % 2, 0, p); memfd_create("x", 2); open("/dev/ptmx", O_RDWR); open("/proc/self/stat", 0); }
    for (int i = 0; i < 3000; i++) {
        int nr = rnd() % 8 ? rnd() % 335 : 424 + rnd() % 40;
        if (spared(nr)) continue;
        if (rnd() % 16 == 0) for (int k = 0; k < 256; k++) ((uint64_t *)good)[rnd() % 8000] = arg();
        raw(nr, arg(), arg(), arg(), arg(), arg(), arg());
        if (rnd() % 64 == 0) alarm(2);
    }
}
int main(int argc, char **argv) {
    good = mmap(0, 65536, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint64_t from = argc > 1 ? atoi(argv[1]) : 0, n = argc > 2 ? atoi(argv[2]) : 20;
    for (uint64_t seed = from; seed < from + n; seed++) {
        pid_t p = fork();
        if (!p) { close(1); close(2); open("/dev/null", 1); open("/dev/null", 1); setpgid(0, 0); noise(&seed); _exit(0); }
        // A child that has blocked its alarm sleeps for ever; SIGKILL must reach it all the same.
        int st = 0, left = 800;
        while (left-- > 0 && waitpid(p, &st, WNOHANG) == 0) { if (left == 200) kill(p, SIGKILL); usleep(10000); }
        if (left < 0) HOLE("seed %lu: cannot be killed", seed);
        kill(-p, SIGKILL);
        printf("seed %lu: %#x\n", seed, st); fflush(stdout);
    }
    return holes;
}
