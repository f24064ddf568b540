// How much memory a process has, as /proc tells: what grows when memory is mapped, and what when it is touched.
#include "guest.h"

#define MIB (1l << 20)

static long field(const char *name) {
    FILE *f = fopen("/proc/self/status", "r");
    char line[200];
    long kib = -1;
    while (f && fgets(line, sizeof line, f))
        if (!strncmp(line, name, strlen(name)) && line[strlen(name)] == ':') kib = atol(line + strlen(name) + 1);
    if (f) fclose(f);
    return kib * 1024;
}

static long statm(int column) {
    long n[7] = {0};
    FILE *f = fopen("/proc/self/statm", "r");
    CHECK(f && fscanf(f, "%ld %ld %ld %ld %ld %ld %ld", n, n + 1, n + 2, n + 3, n + 4, n + 5, n + 6) == 7);
    if (f) fclose(f);
    return n[column] * 4096;
}

static long stat_rss(void) {
    char line[1000] = "";
    FILE *f = fopen("/proc/self/stat", "r");
    CHECK(f && fgets(line, sizeof line, f));
    if (f) fclose(f);
    char *at = strrchr(line, ')');
    for (int i = 2; at && i < 24; i++) at = strchr(at + 1, ' ');
    return at ? atol(at) * 4096 : -1;
}

// Within 1 MiB: other things come and go, and host kernels count in batches.
static bool near(long a, long b) { return labs(a - b) <= MIB; }

static void tests(void) {
    long rss = field("VmRSS"), data = field("VmData"), size = field("VmSize");
    CHECK(rss > 200 << 10 && rss < 64 * MIB);
    CHECK(near(field("RssAnon") + field("RssFile") + field("RssShmem"), rss));
    CHECK(near(statm(0), size) && near(statm(1), rss) && near(stat_rss(), rss));
    CHECK(near(statm(5), data + field("VmStk")));
    CHECK(field("VmExe") > 0 && field("VmLib") >= 0); // no libraries: the program is static
    CHECK(field("VmStk") > 0);

    char *p = mmap(NULL, 64 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(near(field("VmSize"), size + 64 * MIB));
    CHECK(near(field("VmData"), data + 64 * MIB));
    CHECK(near(field("VmRSS"), rss)); // nothing is touched yet
    memset(p, 1, 48 * MIB);
    CHECK(near(field("VmRSS"), rss + 48 * MIB) && near(statm(1), rss + 48 * MIB) && near(stat_rss(), rss + 48 * MIB));
    CHECK(near(field("RssAnon") - (rss - field("RssFile")), 48 * MIB));
    CHECK(madvise(p, 16 * MIB, MADV_DONTNEED) == 0);
    CHECK(near(field("VmRSS"), rss + 32 * MIB));
    CHECK(field("VmHWM") >= rss + 47 * MIB); // the most that there was
    CHECK(munmap(p, 64 * MIB) == 0);
    CHECK(near(field("VmRSS"), rss));
    CHECK(near(field("VmData"), data));

    p = mmap(NULL, 8 * MIB, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); // no data: it can not be written
    CHECK(near(field("VmData"), data) && near(field("VmSize"), size + 8 * MIB));
    CHECK(mprotect(p, 8 * MIB, PROT_READ | PROT_WRITE) == 0);
    CHECK(near(field("VmData"), data + 8 * MIB));
    munmap(p, 8 * MIB);

    p = mmap(NULL, 8 * MIB, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(near(field("VmData"), data));
    memset(p, 1, 8 * MIB);
    CHECK(near(field("VmRSS"), rss + 8 * MIB));
    munmap(p, 8 * MIB);

    // A terabyte of address space costs no time to look at.
    p = mmap(NULL, 1024 * 1024 * MIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(p != MAP_FAILED && near(field("VmRSS"), rss));
}
