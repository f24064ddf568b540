// A6: writing while the guest kernel looks, in every way there is, and executing before it has ended.
#include "guard.h"
static const unsigned char wr[] = {0x0f, 0x01, 0xef, 0xc3};
static unsigned char *volatile page;
static volatile int stop;
static int fds[2];
static __thread sigjmp_buf own;
static __thread int inside;
static void any(int s) { if (inside) siglongjmp(own, 1); siglongjmp(back, 1); }
static void *writer(void *arg) {
    inside = 1;
    while (!stop) {
        if (sigsetjmp(own, 1)) continue;
        unsigned char *p = page;
        if (!p) continue;
        if (arg) { write(fds[1], wr, 4); read(fds[0], p, 4); }
        else for (int i = 0; i < 64; i++) { memcpy(p, wr, 4); memcpy(p, harmless, 4); }
    }
    return 0;
}
int main(void) {
    int sigs[] = {SIGSEGV, SIGILL, SIGTRAP, SIGBUS};
    for (unsigned i = 0; i < COUNT(sigs); i++) { struct sigaction a = {.sa_handler = any, .sa_flags = SA_NODEFER}; sigaction(sigs[i], &a, 0); }
    pipe(fds);
    unsigned ran = 0;
    for (int how = 0; how < 2; how++) {
        pthread_t t[2];
        stop = 0;
        for (long i = 0; i < 2; i++) pthread_create(&t[i], 0, writer, (void *)i);
        for (int round = 0; round < 20; round++) {
            unsigned char *p = mmap(0, PAGE, how ? 7 : 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            memcpy(p, harmless, sizeof harmless);
            page = p;
            for (int i = 0; i < 5; i++) {
                if (!how && mprotect(p, PAGE, 5)) continue;
                if (sigsetjmp(back, 1) == 0) {
                    int r;
                    asm volatile("call *%1" : "=a"(r) : "r"(p), "0"(0), "c"(0), "d"(0) : "memory");
                    // No call into the guest kernel in between: it would close the guard.
                    if (r != 42) { (void)*(volatile long *)HEAP; HOLE("round %d: a page written while it was looked at opened the guard", round); _exit(1); }
                    ran++;
                }
                if (!how) mprotect(p, PAGE, 3);
            }
            page = 0;
            munmap(p, PAGE);
        }
        stop = 1;
        // Let the reader out.
        write(fds[1], wr, 4);
        for (int i = 0; i < 2; i++) pthread_join(t[i], 0);
    }
    if (!ran) { holes++; printf("CONTROL FAILED: harmless code never ran\n"); }
    printf("harmless code ran %u times\n", ran);
    return holes;
}
