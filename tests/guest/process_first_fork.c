// The first forks of a program where memory is scarce, while other threads of it make calls that write to its memory: what the
// fork has just made unwritable, to be counted when it is written, is no bad address.
// needs: parallel
#define MAIN_ARGS 1
static int again(int argc, char **argv);
#include "guest.h"
#include <sys/sysinfo.h>

#define RW (PROT_READ | PROT_WRITE)
#define MIB (1ul << 20)

static char *team;
static volatile int over;
static long errors[4];

static void *call(void *arg) {
    long who = (long)arg;
    int q[2];
    CHECK(pipe(q) == 0);
    for (size_t at = 0; !over; at = (at + PAGE) % (8 * MIB)) {
        char *mine = team + at + who * 1024;
        // By the guest kernel first, not by the vDSO.
        errors[who] += syscall(SYS_clock_gettime, CLOCK_MONOTONIC, mine) != 0;
        CHECK(write(q[1], mine + 256, 100) == 100);
        errors[who] += read(q[0], mine + 512, 100) != 100;
    }
    return NULL;
}

static int again(int argc, char **argv) {
    struct sysinfo i;
    sysinfo(&i);
    CHECK(mmap(NULL, i.totalram / 10 * 9, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) != MAP_FAILED);
    team = mmap(NULL, 8 * MIB, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(team != MAP_FAILED);
    memset(team, 1, 8 * MIB);
    pthread_t t[4];
    for (long k = 0; k < 4; k++) CHECK(pthread_create(t + k, NULL, call, (void *)k) == 0);
    for (int k = 0; k < 3; k++) {
        nap(1);
        CHECK(wait_for(fork() ?: (_exit(team[3000] != 1), 0)) == 0);
    }
    over = 1;
    for (int k = 0; k < 4; k++) pthread_join(t[k], NULL);
    for (int k = 0; k < 4; k++) failures += errors[k] != 0;
    return failures || argc != 2 || !argv[1];
}

static void tests(void) {
    int bad = 0;
    for (int i = 0; i < 24; i++) {
        pid_t p = fork();
        if (p == 0) {
            execl("/proc/self/exe", "first", "x", NULL);
            _exit(9);
        }
        bad += wait_for(p) != 0;
    }
    printf("%d bad\n", bad);
}
