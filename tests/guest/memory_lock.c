// mlock and its relatives: what may be locked, what becomes of it, and what is refused where memory is locked.
#include "guest.h"

#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

static long locked(void) {
    FILE *f = fopen("/proc/self/status", "r");
    char line[200];
    long kib = -1;
    while (f && fgets(line, sizeof line, f)) sscanf(line, "VmLck: %ld", &kib);
    if (f) fclose(f);
    return kib;
}

static int set(rlim_t soft) {
    struct rlimit r = {soft, soft};
    return setrlimit(RLIMIT_MEMLOCK, &r);
}

static char *pages(int n, int flags) { return mmap(NULL, n * PAGE, RW, ANON | flags, -1, 0); }

static void unprivileged(void) {
    char *p = pages(32, 0);
    SHOW(mlock(p, 4 * PAGE));
    SHOW(locked());
    SHOW(mlock(p + 2 * PAGE, 4 * PAGE)); // two of them anew
    SHOW(locked());
    SHOW(mlock(p + 100, 1)); // a part of a page is all of it, and this one is
    SHOW(locked());
    SHOW(mlock(p, 20 * PAGE)); // 80 KiB
    SHOW(locked());
    SHOW(mlock(p + 10 * PAGE, 10 * PAGE)); // with the others exactly the limit
    SHOW(locked());
    SHOW(mlock(p + 20 * PAGE, 1));
    SHOW(mlock(p, 16 * PAGE) == 0); // only what is new counts
    SHOW(munlock(p, 32 * PAGE));
    SHOW(locked());
    SHOW(pages(17, MAP_LOCKED) == MAP_FAILED);
    SHOW(errno);
    char *q = pages(3, MAP_LOCKED);
    SHOW(locked());
    SHOW(mremap(q, 3 * PAGE, 17 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED);
    SHOW(errno);
    q = mremap(q, 3 * PAGE, 8 * PAGE, MREMAP_MAYMOVE);
    SHOW(locked());
    munmap(q, 7 * PAGE);
    SHOW(locked());
    SHOW(mlockall(MCL_CURRENT));
    SHOW(mlockall(MCL_FUTURE));
    SHOW(pages(16, 0) == MAP_FAILED);
    SHOW(errno);
    q = pages(2, 0);
    SHOW(locked());
    SHOW(sbrk(1 << 20) == (void *)-1);
    SHOW(munlockall());
    SHOW(locked());
    OK(pages(16, 0));
    SHOW(set(0));
    SHOW(mlock(p, 1));
    SHOW(mlock2(p, 1, MLOCK_ONFAULT));
    SHOW(mlockall(MCL_CURRENT));
    SHOW(pages(1, MAP_LOCKED) == MAP_FAILED);
    SHOW(errno);
    SHOW(munlock(p, 1));
    SHOW(munlockall());
}

static void tests(void) {
    char *p = pages(8, 0);
    munmap(p + 4 * PAGE, PAGE);
    SHOW(mlock(p, 8 * PAGE)); // what lies before the hole is locked
    SHOW(locked());
    SHOW(munlock(p, 8 * PAGE));
    SHOW(locked());
    SHOW(mlock(p, 0));
    SHOW(mlock(p, -1));
    SHOW(mlock2(p, PAGE, 2));
    SHOW(mlock2(p, PAGE, MLOCK_ONFAULT));
    SHOW(madvise(p, PAGE, MADV_DONTNEED));
    SHOW(madvise(p, 3 * PAGE, MADV_FREE));
    SHOW(madvise(p + PAGE, PAGE, MADV_DONTNEED));
    SHOW(msync(p, PAGE, MS_SYNC));
    SHOW(msync(p, PAGE, MS_INVALIDATE));
    SHOW(msync(p + PAGE, PAGE, MS_INVALIDATE));
    say_status("a child has nothing locked", CHILD({ SHOW(locked()); }));
    SHOW(mprotect(p, PAGE, PROT_READ));
    SHOW(locked());
    SHOW(mlockall(0));
    SHOW(mlockall(8));
    SHOW(mlockall(MCL_ONFAULT));
    SHOW(mlockall(MCL_CURRENT | MCL_FUTURE));
    CHECK(locked() > 100);
    SHOW(munlockall());
    SHOW(locked());
    say_status("without privilege", CHILD({
                   SHOW(set(64 << 10));
                   SHOW(setresuid(54351, 54351, 54351));
                   prctl(PR_SET_DUMPABLE, 1);
                   unprivileged();
               }));
}
