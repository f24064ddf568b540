// Robust lists, set_tid_address, clear_child_tid, robust and process-shared mutexes.
#include "guest.h"
#include <linux/futex.h>

static struct {
    struct robust_list_head head;
    struct { struct robust_list link; unsigned word; } locks[3];
} *r;
static unsigned cleared = 1;

static void *owner(void *v) {
    r->head.list.next = &r->locks[0].link;
    r->locks[0].link.next = &r->locks[1].link;
    r->locks[1].link.next = &r->head.list;
    r->head.futex_offset = offsetof(typeof(r->locks[0]), word);
    r->head.list_op_pending = &r->locks[2].link;
    r->locks[0].word = gettid();
    r->locks[1].word = 12345678; // somebody else's: left alone
    r->locks[2].word = gettid() | FUTEX_WAITERS;
    CHECK(syscall(SYS_set_robust_list, &r->head, sizeof r->head) == 0);
    return NULL;
}
static volatile pid_t waiting;
static long woken;
static void *wait_on_third(void *v) {
    while (!(r->locks[2].word & FUTEX_WAITERS)) nap(1);
    waiting = gettid();
    unsigned w = r->locks[2].word;
    woken = syscall(SYS_futex, &r->locks[2].word, FUTEX_WAIT, w, NULL);
    return NULL;
}
static void *set_tid(void *v) {
    CHECK(syscall(SYS_set_tid_address, &cleared) == gettid());
    syscall(SYS_exit, 0);
    return NULL;
}
static void *locker(void *v) {
    pthread_mutex_lock(v);
    return NULL;
}

static void tests(void) {
    struct robust_list_head *head;
    size_t len;
    r = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    SHOW(syscall(SYS_set_robust_list, &r->head, 8));
    SHOW(syscall(SYS_get_robust_list, 0, &head, &len));
    SHOW(len);
    SHOW(syscall(SYS_get_robust_list, 99999999, &head, &len));
    pthread_t t, w;
    pthread_create(&t, NULL, owner, NULL);
    pthread_join(t, NULL);
    for (int i = 0; i < 3; i++)
        printf("lock %d: died %d waiters %d tid %s\n", i, !!(r->locks[i].word & FUTEX_OWNER_DIED), !!(r->locks[i].word & FUTEX_WAITERS),
               r->locks[i].word & FUTEX_TID_MASK ? "kept" : "0");
    memset(r, 0, sizeof *r);
    // A whole process dies by SIGKILL; a waiter is woken.
    pid_t p = fork();
    if (!p) {
        owner(NULL);
        for (;;) pause();
    }
    pthread_create(&w, NULL, wait_on_third, NULL);
    while (!waiting) nap(1);
    until_state(waiting, 'S');
    kill(p, SIGKILL);
    wait_for(p);
    pthread_join(w, NULL);
    printf("woken %ld, died %d\n", woken, !!(r->locks[2].word & FUTEX_OWNER_DIED));
    // Exec releases, too.
    memset(r, 0, sizeof *r);
    say_status("exec", CHILD(owner(NULL); execl("/bin/true", "true", NULL)));
    printf("after exec: %d %d\n", !!(r->locks[0].word & FUTEX_OWNER_DIED), !!(r->locks[2].word & FUTEX_OWNER_DIED));
    // A list that bites its own tail, and one of rubbish.
    say_status("ring", CHILD(r->head.list.next = &r->locks[0].link; r->locks[0].link.next = &r->locks[0].link; r->head.list_op_pending = NULL;
                             syscall(SYS_set_robust_list, &r->head, sizeof r->head)));
    say_status("rubbish", CHILD(syscall(SYS_set_robust_list, (void *)0x10, sizeof r->head)));

    pthread_create(&t, NULL, set_tid, NULL);
    while (__atomic_load_n(&cleared, __ATOMIC_ACQUIRE)) syscall(SYS_futex, &cleared, FUTEX_WAIT, 1, &(struct timespec){0, 50000000});
    printf("cleared %u\n", cleared);

    // glibc's robust mutexes.
    pthread_mutexattr_t at;
    pthread_mutexattr_init(&at);
    pthread_mutexattr_setrobust(&at, PTHREAD_MUTEX_ROBUST);
    pthread_mutexattr_setpshared(&at, PTHREAD_PROCESS_SHARED);
    pthread_mutex_t *m = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_mutex_init(m, &at);
    pthread_create(&t, NULL, locker, m);
    pthread_join(t, NULL);
    printf("%s\n", strerrorname_np(pthread_mutex_lock(m)));
    SHOW(pthread_mutex_consistent(m));
    SHOW(pthread_mutex_unlock(m));
    say_status("locker", CHILD(pthread_mutex_lock(m); raise(SIGKILL)));
    printf("%s\n", strerrorname_np(pthread_mutex_lock(m)));
    SHOW(pthread_mutex_unlock(m)); // without repair
    printf("%s\n", strerrorname_np(pthread_mutex_lock(m)));
    // Process-shared conditions and barriers.
    struct { pthread_mutex_t m; pthread_cond_t c; pthread_barrier_t b; int turn; } *s = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_condattr_t ca;
    pthread_barrierattr_t ba;
    pthread_condattr_init(&ca), pthread_condattr_setpshared(&ca, 1);
    pthread_barrierattr_init(&ba), pthread_barrierattr_setpshared(&ba, 1);
    pthread_mutexattr_init(&at), pthread_mutexattr_setpshared(&at, 1);
    pthread_mutex_init(&s->m, &at), pthread_cond_init(&s->c, &ca), pthread_barrier_init(&s->b, &ba, 3);
    pid_t ps[2];
    for (int i = 0; i < 2; i++)
        if (!(ps[i] = fork())) {
            pthread_barrier_wait(&s->b);
            for (int k = 0; k < 100; k++) {
                pthread_mutex_lock(&s->m);
                while (s->turn % 2 != i) pthread_cond_wait(&s->c, &s->m);
                s->turn++;
                pthread_cond_broadcast(&s->c);
                pthread_mutex_unlock(&s->m);
            }
            _exit(0);
        }
    pthread_barrier_wait(&s->b);
    for (int i = 0; i < 2; i++) say_status("player", wait_for(ps[i]));
    SHOW(s->turn);
}
