// needs: parallel
// Processes of several threads that all end at the same moment, and then nothing else happens. A thread that is still on its
// way out when the last one takes the process along must not leave anything behind that somebody waits for.
#include "guest.h"

enum { BURSTS = 150, PROCESSES = 5, THREADS = 6 };

static pthread_barrier_t *together;

static void *ends(void *how) {
    pthread_barrier_wait(together);
    // One ends the process, the others themselves.
    if (how) _exit(0);
    syscall(SYS_exit, 0);
    return NULL;
}

static void tests(void) {
    together = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_barrierattr_t shared;
    pthread_barrierattr_init(&shared);
    pthread_barrierattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
    int st, ended = 0, wrong = 0;
    for (long i = 0; i < BURSTS; i++) {
        pthread_barrier_init(together, &shared, PROCESSES * THREADS);
        for (int p = 0; p < PROCESSES; p++) {
            if (fork()) continue;
            pthread_t t;
            for (long n = 1; n < THREADS; n++)
                if (pthread_create(&t, NULL, ends, (void *)(n == 1 ? i % 2 : 0))) _exit(1);
            ends(NULL);
        }
        while (wait(&st) > 0) ended++, wrong += st != 0;
    }
    SHOW(ended);
    SHOW(wrong);
}
