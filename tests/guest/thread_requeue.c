// FUTEX_WAIT_REQUEUE_PI and FUTEX_CMP_REQUEUE_PI: condition variables whose waiters go on to a priority-inheriting lock.
#include "guest.h"

enum { WAIT_REQUEUE_PI = 11, CMP_REQUEUE_PI = 12, LOCK_PI = 6, UNLOCK_PI = 7, PRIVATE = 128, REALTIME = 256 };
#define WAITERS 4

static uint32_t cond, lock;
static int inside, most, done;
static pid_t tids[WAITERS];

static long futex(uint32_t *a, int op, long val, void *t, uint32_t *b, uint32_t val3) {
    return syscall(SYS_futex, a, op | PRIVATE, val, t, b, val3);
}

static void *waiter(void *arg) {
    __atomic_store_n(&tids[(long)arg], gettid(), __ATOMIC_SEQ_CST);
    CHECK(futex(&cond, WAIT_REQUEUE_PI, 0, NULL, &lock, 0) == 0);
    CHECK((lock & 0x3fffffff) == (uint32_t)gettid());
    int n = __atomic_add_fetch(&inside, 1, __ATOMIC_SEQ_CST);
    if (n > most) most = n;
    nap(5);
    done++;
    __atomic_sub_fetch(&inside, 1, __ATOMIC_SEQ_CST);
    CHECK(futex(&lock, UNLOCK_PI, 0, NULL, NULL, 0) == 0);
    return NULL;
}

static void start(pthread_t *t) {
    memset(tids, 0, sizeof tids);
    most = done = 0;
    for (long i = 0; i < WAITERS; i++) pthread_create(&t[i], NULL, waiter, (void *)i);
    for (int i = 0; i < WAITERS; i++) {
        while (!__atomic_load_n(&tids[i], __ATOMIC_SEQ_CST)) nap(1);
        until_state(tids[i], 'S');
    }
}

static void finish(pthread_t *t) {
    for (int i = 0; i < WAITERS; i++) pthread_join(t[i], NULL);
    printf("%d done, at most %d inside, lock %#x\n", done, most, lock);
}

static volatile int caught;
static void on(int s) { caught++; }

static void *interrupt(void *arg) {
    pid_t main = (pid_t)(long)arg;
    until_state(main, 'S');
    CHECK(syscall(SYS_tgkill, getpid(), main, SIGUSR1) == 0);
    return NULL;
}

static void tests(void) {
    pthread_t t[WAITERS];
    // All at once, the lock free: one takes it, the others follow one another.
    start(t);
    SHOW(futex(&cond, CMP_REQUEUE_PI, 1, (void *)(long)INT_MAX, &lock, 0));
    finish(t);
    // The lock held by the one who signals.
    start(t);
    SHOW(futex(&lock, LOCK_PI, 0, NULL, NULL, 0));
    SHOW(futex(&cond, CMP_REQUEUE_PI, 1, (void *)(long)INT_MAX, &lock, 0));
    nap(50);
    printf("%d done while it is held\n", done);
    SHOW(futex(&lock, UNLOCK_PI, 0, NULL, NULL, 0));
    finish(t);
    // One by one.
    start(t);
    for (int i = 0; i < WAITERS; i++) SHOW(futex(&cond, CMP_REQUEUE_PI, 1, NULL, &lock, 0));
    SHOW(futex(&cond, CMP_REQUEUE_PI, 1, NULL, &lock, 0));
    finish(t);

    struct timespec past = {0, 0}, bad = {0, -1}, soon;
    clock_gettime(CLOCK_REALTIME, &soon);
    soon.tv_sec++;
    SHOW(futex(&cond, WAIT_REQUEUE_PI, 0, &past, &lock, 0));
    SHOW(futex(&cond, WAIT_REQUEUE_PI, 0, &bad, &lock, 0));
    SHOW(futex(&cond, WAIT_REQUEUE_PI, 1, NULL, &lock, 0));
    SHOW(futex(&cond, WAIT_REQUEUE_PI, 0, NULL, &cond, 0));
    SHOW(futex(&cond, CMP_REQUEUE_PI, 1, NULL, &lock, 5));
    SHOW(futex(&cond, CMP_REQUEUE_PI, 0, NULL, &lock, 0));
    SHOW(futex(&cond, CMP_REQUEUE_PI, 2, NULL, &lock, 0));
    SHOW(futex(&cond, CMP_REQUEUE_PI, 1, NULL, &cond, 0));
    SHOW(futex((uint32_t *)((char *)&cond + 1), WAIT_REQUEUE_PI, 0, NULL, &lock, 0));
    SHOW(futex(&cond, WAIT_REQUEUE_PI, 0, NULL, (uint32_t *)((char *)&lock + 1), 0));
    // A handler runs and the wait goes on, on the clock that was asked for.
    handle(SIGUSR1, on, 0);
    pthread_t i;
    pthread_create(&i, NULL, interrupt, (void *)(long)gettid());
    SHOW(futex(&cond, WAIT_REQUEUE_PI | REALTIME, 0, &soon, &lock, 0));
    pthread_join(i, NULL);
    printf("caught %d, lock %#x\n", caught, lock);
}
