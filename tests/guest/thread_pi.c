// Priority-inheriting futexes: FUTEX_LOCK_PI and its relatives, and the mutexes made of them.
#include "guest.h"
#include <linux/futex.h>

static long futex(void *a, int op, unsigned val, const void *t, void *b, unsigned v3) { return syscall(SYS_futex, a, op, val, t, b, v3); }
static unsigned word;
static volatile int order[8], n;
static volatile pid_t tid;
static void *locks(void *v) {
    tid = gettid();
    if (futex(&word, FUTEX_LOCK_PI, 0, NULL, NULL, 0) == 0) {
        order[__atomic_fetch_add(&n, 1, __ATOMIC_SEQ_CST)] = (long)v;
        CHECK((word & FUTEX_TID_MASK) == gettid());
        CHECK(futex(&word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0) == 0);
    }
    return NULL;
}
static void *try_it(void *v) { return (void *)(futex(&word, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0) ? (long)errno : 0); }
static void *unlock_it(void *v) { return (void *)(futex(&word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0) ? (long)errno : 0); }
static void *timed(void *v) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_nsec += 5000000;
    if (t.tv_nsec >= 1000000000) t.tv_sec++, t.tv_nsec -= 1000000000;
    return (void *)(futex(&word, FUTEX_LOCK_PI, 0, &t, NULL, 0) ? (long)errno : 0);
}
static pthread_mutex_t m;
static pthread_cond_t c = PTHREAD_COND_INITIALIZER;
static long counter;
static void *adds(void *v) {
    for (int i = 0; i < 2000; i++) {
        pthread_mutex_lock(&m);
        counter++;
        pthread_mutex_unlock(&m);
    }
    return NULL;
}
static int ready;
static void *waits(void *v) {
    pthread_mutex_lock(&m);
    while (!ready) pthread_cond_wait(&c, &m);
    ready--;
    pthread_mutex_unlock(&m);
    return NULL;
}
static void *dies(void *v) { return pthread_mutex_lock(v), NULL; }

static void *other(void *(*f)(void *)) {
    pthread_t t;
    void *r;
    pthread_create(&t, NULL, f, NULL);
    pthread_join(t, &r);
    return r;
}

static void tests(void) {
    SHOW(futex(&word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
    SHOW(futex(&word, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
    CHECK(word == (unsigned)gettid());
    SHOW(futex(&word, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
    SHOW(futex(&word, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0));
    printf("another tries: %s\n", strerrorname_np((long)other(try_it)));
    printf("another unlocks: %s\n", strerrorname_np((long)other(unlock_it)));
    printf("another waits a little: %s\n", strerrorname_np((long)other(timed)));
    pthread_t t[4];
    for (long i = 0; i < 3; i++) {
        tid = 0;
        pthread_create(&t[i], NULL, locks, (void *)(i + 1));
        while (!tid) nap(1);
        until_state(tid, 'S');
    }
    SHOW((word & FUTEX_WAITERS) != 0);
    SHOW(futex(&word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
    for (int i = 0; i < 3; i++) pthread_join(t[i], NULL);
    printf("order %d %d %d, word %u\n", order[0], order[1], order[2], word);
    word = 99999999;
    SHOW(futex(&word, FUTEX_LOCK_PI, 0, NULL, NULL, 0)); // no such owner
    word = 0;
    SHOW(futex((char *)&word + 2, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
    SHOW(futex((void *)8, FUTEX_LOCK_PI, 0, NULL, NULL, 0));

    pthread_mutexattr_t a;
    pthread_mutexattr_init(&a);
    SHOW(pthread_mutexattr_setprotocol(&a, PTHREAD_PRIO_INHERIT));
    SHOW(pthread_mutex_init(&m, &a));
    for (int i = 0; i < 4; i++) pthread_create(&t[i], NULL, adds, NULL);
    for (int i = 0; i < 4; i++) pthread_join(t[i], NULL);
    SHOW(counter);
    for (int i = 0; i < 4; i++) pthread_create(&t[i], NULL, waits, NULL);
    for (int i = 0; i < 4; i++) {
        pthread_mutex_lock(&m);
        ready++;
        pthread_cond_signal(&c);
        pthread_mutex_unlock(&m);
    }
    for (int i = 0; i < 4; i++) pthread_join(t[i], NULL);
    SHOW(ready);
    struct timespec past = {1, 0};
    pthread_mutex_lock(&m);
    printf("timed: %s\n", strerrorname_np(pthread_mutex_timedlock(&m, &past)));
    pthread_mutex_unlock(&m);
    // Robust and inheriting: the next owner hears of the death.
    pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
    pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
    pthread_mutex_t *s = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    SHOW(pthread_mutex_init(s, &a));
    pthread_create(&t[0], NULL, dies, s);
    pthread_join(t[0], NULL);
    printf("after a thread's death: %s\n", strerrorname_np(pthread_mutex_lock(s)));
    SHOW(pthread_mutex_consistent(s));
    SHOW(pthread_mutex_unlock(s));
    say_status("owner", CHILD(pthread_mutex_lock(s); _exit(4)));
    printf("after a process's death: %s\n", strerrorname_np(pthread_mutex_lock(s)));
    SHOW(pthread_mutex_consistent(s));
    SHOW(pthread_mutex_unlock(s));
    SHOW(pthread_mutex_lock(s));
}
