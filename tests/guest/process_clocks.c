// CPU clocks of processes and threads: each begins at nothing, and runs with its own work only.
#include "guest.h"

static long used(clockid_t c) {
    struct timespec t = {-1, 0};
    CHECK(clock_gettime(c, &t) == 0);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void burn(long ms) {
    long until = used(CLOCK_THREAD_CPUTIME_ID) + ms;
    while (used(CLOCK_THREAD_CPUTIME_ID) < until) {}
}

static void *other(void *arg) {
    CHECK(used(CLOCK_THREAD_CPUTIME_ID) < 30);
    burn(60);
    *(long *)arg = used(CLOCK_THREAD_CPUTIME_ID);
    return NULL;
}

static void tests(void) {
    burn(60);
    CHECK(used(CLOCK_PROCESS_CPUTIME_ID) >= 60);
    for (int i = 0; i < 2; i++)
        say_status("child", CHILD({
                       CHECK(used(CLOCK_PROCESS_CPUTIME_ID) < 30);
                       CHECK(used(CLOCK_THREAD_CPUTIME_ID) < 30);
                       burn(60);
                       CHECK(used(CLOCK_PROCESS_CPUTIME_ID) >= 60 && used(CLOCK_PROCESS_CPUTIME_ID) < 100);
                       struct rusage r;
                       getrusage(RUSAGE_SELF, &r);
                       CHECK((r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1000 + (r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1000 < 100);
                   }));
    long before = used(CLOCK_THREAD_CPUTIME_ID), process = used(CLOCK_PROCESS_CPUTIME_ID), theirs = 0;
    pthread_t t;
    pthread_create(&t, NULL, other, &theirs);
    pthread_join(t, NULL);
    CHECK(theirs >= 60);
    CHECK(used(CLOCK_THREAD_CPUTIME_ID) - before < 40);
    CHECK(used(CLOCK_PROCESS_CPUTIME_ID) - process >= 55);
    struct rusage r;
    getrusage(RUSAGE_CHILDREN, &r);
    long children = (r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1000 + (r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1000;
    CHECK(children >= 110 && children < 200);
}
