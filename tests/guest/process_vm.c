// process_vm_readv, process_vm_writev: pieces, ends of memory, errors, permissions.
#include "guest.h"

static ssize_t readv_(pid_t p, struct iovec *l, unsigned long nl, struct iovec *r, unsigned long nr, unsigned long flags) {
    return syscall(SYS_process_vm_readv, p, l, nl, r, nr, flags);
}
static ssize_t writev_(pid_t p, struct iovec *l, unsigned long nl, struct iovec *r, unsigned long nr, unsigned long flags) {
    return syscall(SYS_process_vm_writev, p, l, nl, r, nr, flags);
}

static void tests(void) {
    char *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    size_t size = 700 * 1024;
    char *m = mmap(NULL, size + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(m + size, PAGE);
    memset(m, 'p', size);
    pid_t p = fork();
    if (p == 0) {
        for (size_t i = 0; i < size; i++) m[i] = (char)(i * 7);
        mprotect(m + 2 * PAGE, PAGE, PROT_READ);
        *shared = 1;
        while (*shared != 2) nap(1);
        printf("child: %.5s %.3s\n", m + 10, m + 5000);
        fflush(stdout);
        for (;;) pause();
    }
    while (*shared != 1) nap(1);

    static char big[800 * 1024];
    struct iovec l[3] = {{big, 10}, {big + 10, 0}, {big + 10, sizeof big - 10}}, r[3] = {{m, 5}, {m + 5, 200}, {m + 205, size - 205}};
    SHOW(readv_(p, l, 3, r, 3, 0));
    bool right = true;
    for (size_t i = 0; i < size; i++) right &= big[i] == (char)(i * 7);
    CHECK(right);
    CHECK(m[1] == 'p');
    // Up to where the memory ends.
    r[0] = (struct iovec){m + size - 100, 5000};
    SHOW(readv_(p, l, 3, r, 1, 0));
    r[0] = (struct iovec){m + size, 50};
    SHOW(readv_(p, l, 3, r, 1, 0));
    r[0] = (struct iovec){m + size - 100, 100}, r[1] = (struct iovec){(void *)16, 10}, r[2] = (struct iovec){m, 10};
    SHOW(readv_(p, l, 3, r, 3, 0));
    r[0] = (struct iovec){m, 0};
    SHOW(readv_(p, l, 3, r, 1, 0));
    SHOW(readv_(p, l, 0, r, 3, 0));
    SHOW(readv_(p, l, 3, r, 0, 0));
    SHOW(readv_(p, l, 3, r, 3, 1));
    SHOW(readv_(p, l, 2000, r, 3, 0));
    SHOW(readv_(p, l, 3, r, 2000, 0));
    SHOW(readv_(999999, l, 3, r + 2, 1, 0));
    SHOW(readv_(p, (void *)8, 3, r, 3, 0));
    SHOW(readv_(p, l, 3, (void *)8, 3, 0));
    struct iovec bad = {(void *)16, 100};
    r[0] = (struct iovec){m, 100};
    SHOW(readv_(p, &bad, 1, r, 1, 0));

    strcpy(big, "Hallo, Welt");
    l[0] = (struct iovec){big, 5}, l[1] = (struct iovec){big + 7, 3};
    r[0] = (struct iovec){m + 10, 5}, r[1] = (struct iovec){m + 5000, 3};
    SHOW(writev_(p, l, 2, r, 2, 0));
    // Not where the process itself may not write.
    r[0] = (struct iovec){m + 2 * PAGE - 4, 100};
    l[0] = (struct iovec){big, 100};
    SHOW(writev_(p, l, 1, r, 1, 0));
    r[0] = (struct iovec){m + 2 * PAGE, 100};
    SHOW(writev_(p, l, 1, r, 1, 0));
    *shared = 2;
    until_state(p, 'S');

    // Oneself.
    l[0] = (struct iovec){big, 4}, r[0] = (struct iovec){m, 4};
    SHOW(readv_(getpid(), l, 1, r, 1, 0));
    CHECK(!memcmp(big, "pppp", 4));
    SHOW(readv_(gettid(), l, 1, r, 1, 0));

    say_status("another user", CHILD({
                   CHECK(setresgid(1000, 1000, 1000) == 0 && setresuid(1000, 1000, 1000) == 0);
                   SHOW(readv_(p, l, 1, r, 1, 0));
                   SHOW(writev_(p, l, 1, r, 1, 0));
               }));
    kill(p, SIGKILL);
    siginfo_t i;
    waitid(P_PID, p, &i, WEXITED | WNOWAIT);
    SHOW(readv_(p, l, 1, r, 1, 0)); // a zombie has none
    waitpid(p, NULL, 0);
    SHOW(readv_(p, l, 1, r, 1, 0));
}
