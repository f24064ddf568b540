// futex_waitv(2).
#include "guest.h"

struct waiter {
    uint64_t val, uaddr;
    uint32_t flags, reserved;
};
enum { SIZE_U32 = 2, PRIVATE = 128 };

static uint32_t words[130];
static struct waiter list[130];

static long waitv(void *w, unsigned n, unsigned flags, struct timespec *t, int clock) {
    return syscall(449, w, n, flags, t, clock);
}

static void fill(unsigned n, unsigned flags) {
    for (unsigned i = 0; i < n; i++) list[i] = (struct waiter){0, (uintptr_t)&words[i], flags, 0};
}

static struct timespec after(int clock, int ms) {
    struct timespec t;
    clock_gettime(clock, &t);
    t.tv_nsec += ms * 1000000l;
    t.tv_sec += t.tv_nsec / 1000000000;
    t.tv_nsec %= 1000000000;
    return t;
}

struct job {
    unsigned which, flags;
    pid_t tid;
    int signal;
};

static void *later(void *arg) {
    struct job *j = arg;
    until_state(j->tid, 'S');
    if (j->signal) {
        CHECK(syscall(SYS_tgkill, getpid(), j->tid, j->signal) == 0);
        nap(30);
    }
    __atomic_store_n(&words[j->which], 1, __ATOMIC_SEQ_CST);
    CHECK(syscall(SYS_futex, &words[j->which], 1 | (j->flags & PRIVATE), 1, NULL, NULL, 0) == 1);
    return NULL;
}

static volatile int caught;
static void on(int s) { caught++; }

static void woken(unsigned n, unsigned which, unsigned flags, int signal, int restart) {
    struct job j = {which, flags, gettid(), signal};
    pthread_t t;
    memset(words, 0, sizeof words);
    fill(n, flags);
    caught = 0;
    if (signal) handle(signal, on, restart);
    pthread_create(&t, NULL, later, &j);
    errno = 0;
    long r = waitv(list, n, 0, NULL, 0);
    printf("%u words, %u woken, flags %u, signal %d: %ld %s, caught %d\n", n, which, flags, signal != 0, r, r < 0 ? strerrorname_np(errno) : "", caught);
    if (r < 0) {
        // Interrupted: the waker still expects somebody.
        fill(n, flags);
        CHECK(waitv(list, n, 0, NULL, 0) == which);
    }
    pthread_join(t, NULL);
}

static void tests(void) {
    woken(1, 0, SIZE_U32 | PRIVATE, 0, 0);
    woken(30, 29, SIZE_U32 | PRIVATE, 0, 0);
    woken(128, 77, SIZE_U32 | PRIVATE, 0, 0);
    woken(30, 3, SIZE_U32, 0, 0);
    woken(3, 1, SIZE_U32 | PRIVATE, SIGUSR1, SA_RESTART);
    woken(3, 1, SIZE_U32 | PRIVATE, SIGUSR1, 0);

    memset(words, 0, sizeof words);
    fill(130, SIZE_U32 | PRIVATE);
    struct timespec t = after(CLOCK_MONOTONIC, 30);
    SHOW(waitv(list, 5, 0, &t, CLOCK_MONOTONIC));
    t = after(CLOCK_REALTIME, 30);
    SHOW(waitv(list, 5, 0, &t, CLOCK_REALTIME));
    t = (struct timespec){0, 0};
    SHOW(waitv(list, 5, 0, &t, CLOCK_MONOTONIC));
    words[4] = 9;
    SHOW(waitv(list, 5, 0, NULL, 0));
    words[4] = 0;
    SHOW(waitv(list, 0, 0, NULL, 0));
    SHOW(waitv(list, 129, 0, NULL, 0));
    SHOW(waitv(NULL, 1, 0, NULL, 0));
    SHOW(waitv((void *)8, 1, 0, NULL, 0));
    SHOW(waitv(list, 1, 1, NULL, 0));
    SHOW(waitv(list, 1, 0, &t, 7));
    t = (struct timespec){0, 1000000000};
    SHOW(waitv(list, 1, 0, &t, CLOCK_MONOTONIC));
    SHOW(waitv(list, 1, 0, (void *)8, CLOCK_MONOTONIC));
    list[2].flags = PRIVATE;
    SHOW(waitv(list, 5, 0, NULL, 0));
    list[2].flags = SIZE_U32 | 64;
    SHOW(waitv(list, 5, 0, NULL, 0));
    fill(5, SIZE_U32 | PRIVATE);
    list[2].reserved = 1;
    SHOW(waitv(list, 5, 0, NULL, 0));
    fill(5, SIZE_U32 | PRIVATE);
    list[2].uaddr++;
    SHOW(waitv(list, 5, 0, NULL, 0));
    list[2].uaddr = 0;
    SHOW(waitv(list, 5, 0, NULL, 0));
    list[2].uaddr = 1ul << 47;
    SHOW(waitv(list, 5, 0, NULL, 0));
}
