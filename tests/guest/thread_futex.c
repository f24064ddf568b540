// futex: wait, wake, bitsets, timeouts, requeue, wake_op, private and shared, errors.
#include "guest.h"
#include <linux/futex.h>

static long futex(void *a, int op, unsigned val, const void *t, void *b, unsigned v3) { return syscall(SYS_futex, a, op, val, t, b, v3); }
static unsigned word, other;
static struct waiter {
    pthread_t thread;
    unsigned *at, bits;
    volatile pid_t tid;
    volatile long result;
} ws[8];

static void *waiter(void *v) {
    struct waiter *w = v;
    w->tid = gettid();
    w->result = futex(w->at, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, 0, NULL, NULL, w->bits) == 0 ? 1 : errno;
    return NULL;
}
static void start(int i, unsigned *at, unsigned bits) {
    ws[i] = (struct waiter){.at = at, .bits = bits, .result = -100};
    pthread_create(&ws[i].thread, NULL, waiter, &ws[i]);
    while (!ws[i].tid) nap(1);
    until_state(ws[i].tid, 'S');
}
static int counted(int n) {
    int k = 0;
    for (int i = 0; i < n; i++) k += ws[i].result == 1;
    return k;
}
// Of the first `n`, once at least `some` have: and a moment later, in case there are more.
static int finished(int n, int some) {
    for (int i = 0; i < 1000 && counted(n) < some; i++) nap(2);
    nap(10);
    return counted(n);
}
static void join(int n) {
    for (int i = 0; i < n; i++) pthread_join(ws[i].thread, NULL);
}

static void tests(void) {
    struct timespec zero = {0}, soon = {0, 5000000}, bad = {0, 1000000000}, past = {1, 0}, negative = {-1, 0};
    int P = FUTEX_PRIVATE_FLAG;
    SHOW(futex(&word, FUTEX_WAIT | P, 1, NULL, NULL, 0));
    SHOW(futex(&word, FUTEX_WAIT | P, 0, &zero, NULL, 0));
    SHOW(futex(&word, FUTEX_WAIT | P, 0, &soon, NULL, 0));
    SHOW(futex(&word, FUTEX_WAIT | P, 0, &bad, NULL, 0));
    SHOW(futex(&word, FUTEX_WAIT | P, 0, &negative, NULL, 0));
    SHOW(futex(&word, FUTEX_WAIT | P, 0, (void *)8, NULL, 0));
    SHOW(futex((char *)&word + 1, FUTEX_WAIT | P, 0, NULL, NULL, 0));
    SHOW(futex((void *)8, FUTEX_WAIT | P, 0, NULL, NULL, 0));
    SHOW(futex((void *)8, FUTEX_WAKE | P, 1, NULL, NULL, 0)); // private: nothing is read
    SHOW(futex((void *)8, FUTEX_WAKE, 1, NULL, NULL, 0));
    SHOW(futex(&word, 99, 0, NULL, NULL, 0));
    SHOW(futex(&word, FUTEX_WAIT_BITSET | P, 0, &past, NULL, ~0u));
    SHOW(futex(&word, FUTEX_WAIT_BITSET | P | FUTEX_CLOCK_REALTIME, 0, &past, NULL, ~0u));
    SHOW(futex(&word, FUTEX_WAIT | P | FUTEX_CLOCK_REALTIME, 0, &soon, NULL, 0));
    SHOW(futex(&word, FUTEX_WAKE | P | FUTEX_CLOCK_REALTIME, 0, NULL, NULL, 0));
    SHOW(futex(&word, FUTEX_WAIT_BITSET | P, 0, &past, NULL, 0));
    SHOW(futex(&word, FUTEX_WAKE_BITSET | P, 1, NULL, NULL, 0));
    SHOW(futex(&word, FUTEX_WAKE | P, 1, NULL, NULL, 0));

    for (int i = 0; i < 4; i++) start(i, &word, ~0u);
    SHOW(futex(&word, FUTEX_WAKE, 4, NULL, NULL, 0)); // shared: another key
    SHOW(futex(&word, FUTEX_WAKE | P, 1, NULL, NULL, 0));
    SHOW(finished(4, 1));
    SHOW(ws[0].result); // first come, first woken
    SHOW(futex(&word, FUTEX_WAKE | P, 10, NULL, NULL, 0));
    join(4);
    for (int i = 0; i < 3; i++) start(i, &word, 1u << i);
    SHOW(futex(&word, FUTEX_WAKE_BITSET | P, 10, NULL, NULL, 8));
    SHOW(futex(&word, FUTEX_WAKE_BITSET | P, 10, NULL, NULL, 2));
    finished(3, 1);
    printf("%ld %ld %ld\n", ws[0].result, ws[1].result, ws[2].result);
    SHOW(futex(&word, FUTEX_WAKE | P, 10, NULL, NULL, 0));
    join(3);

    for (int i = 0; i < 5; i++) start(i, &word, ~0u);
    SHOW(futex(&word, FUTEX_CMP_REQUEUE | P, 1, (void *)2, &other, 9));
    SHOW(futex(&word, FUTEX_CMP_REQUEUE | P, 1, (void *)2, &other, 0));
    SHOW(finished(5, 1));
    SHOW(futex(&other, FUTEX_WAKE | P, 10, NULL, NULL, 0));
    SHOW(futex(&word, FUTEX_REQUEUE | P, 0, (void *)10, &other, 0));
    SHOW(futex(&word, FUTEX_WAKE | P, 10, NULL, NULL, 0));
    SHOW(futex(&other, FUTEX_WAKE | P, 10, NULL, NULL, 0));
    join(5);
    SHOW(futex(&word, FUTEX_REQUEUE | P, -1, (void *)1, &other, 0));

    for (int i = 0; i < 3; i++) start(i, i ? &other : &word, ~0u);
    other = 4;
    SHOW(futex(&word, FUTEX_WAKE_OP | P, 1, (void *)10, &other, FUTEX_OP(FUTEX_OP_ADD, 3, FUTEX_OP_CMP_EQ, 5)));
    SHOW(other);
    SHOW(futex(&word, FUTEX_WAKE_OP | P, 1, (void *)10, &other, FUTEX_OP(FUTEX_OP_XOR, 1, FUTEX_OP_CMP_GE, 7)));
    SHOW(other);
    join(3);
    SHOW(futex(&word, FUTEX_WAKE_OP | P, 1, (void *)1, &other, FUTEX_OP(FUTEX_OP_OR | FUTEX_OP_OPARG_SHIFT, 4, FUTEX_OP_CMP_LT, 0)));
    SHOW(other);
    SHOW(futex(&word, FUTEX_WAKE_OP | P, 1, (void *)1, &other, FUTEX_OP(7, 4, FUTEX_OP_CMP_LT, 0)));
    SHOW(futex(&word, FUTEX_WAKE_OP | P, 1, (void *)1, (void *)8, FUTEX_OP(FUTEX_OP_SET, 4, FUTEX_OP_CMP_LT, 0)));

    // Between processes: shared anonymous memory and a file; a private futex does not cross.
    unsigned *sh = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t p = fork();
    if (!p) _exit(futex(sh, FUTEX_WAIT, 0, NULL, NULL, 0) == 0 ? 7 : errno);
    until_state(p, 'S');
    SHOW(futex(sh, FUTEX_WAKE | P, 1, NULL, NULL, 0));
    SHOW(futex(sh, FUTEX_WAKE, 1, NULL, NULL, 0));
    say_status("shared", wait_for(p));
    int fd = open("f", O_RDWR | O_CREAT, 0600);
    ftruncate(fd, 2 * PAGE);
    unsigned *a = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, PAGE);
    p = fork();
    if (!p) {
        unsigned *b = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        _exit(futex(b + 1024, FUTEX_WAIT, 0, NULL, NULL, 0) == 0 ? 7 : errno);
    }
    nap(10);
    until_state(p, 'S');
    SHOW(futex(a, FUTEX_WAKE, 1, NULL, NULL, 0));
    say_status("file", wait_for(p));
}
