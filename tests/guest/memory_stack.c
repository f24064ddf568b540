// mprotect(2) from the beginning of an area that grows downwards: what ld.so does for objects that want an executable stack.
#include "guest.h"

#define GROWSDOWN 0x01000000
#define GROWSUP 0x02000000
#define RW (PROT_READ | PROT_WRITE)

// Of the area that holds `here`. Whether [stack] stands behind it says nothing: that name is on the area of argc, which may be
// another after the split.
static void stack_is(const char *here) {
    FILE *f = fopen("/proc/self/maps", "r");
    char line[300], prot[5] = "none";
    unsigned long from, to;
    while (fgets(line, sizeof line, f))
        if (sscanf(line, "%lx-%lx", &from, &to) == 2 && from <= (unsigned long)here && (unsigned long)here < to)
            sscanf(line, "%*s %4s", prot);
    fclose(f);
    printf("stack: %s\n", prot);
}

// Field 28 of stat: where argc lies, and so the one area that is called [stack].
static void named(void) {
    char text[2000], line[300];
    FILE *f = fopen("/proc/self/stat", "r");
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    char *field = strrchr(text, ')') + 1;
    for (int i = 3; i < 28; i++) field = strchr(field + 1, ' ');
    unsigned long argc = strtoul(field, NULL, 10), from, to;
    f = fopen("/proc/self/maps", "r");
    int names = 0, right = 0;
    while (fgets(line, sizeof line, f))
        if (strstr(line, "[stack]") && sscanf(line, "%lx-%lx", &from, &to) == 2) names++, right += from <= argc && argc <= to;
    fclose(f);
    // Two where argc lies exactly on their border.
    printf("areas called [stack]: %d, all of argc: %d\n", names > 0, right == names);
}

// Finds the area of `here` in maps; gives its start, and through `before` the end of the one before it.
static unsigned long area_of(unsigned long here, unsigned long *before) {
    static char text[1 << 16];
    int fd = open("/proc/self/maps", O_RDONLY);
    size_t got = 0;
    for (ssize_t n; (n = read(fd, text + got, sizeof text - 1 - got)) > 0;) got += n;
    close(fd);
    text[got] = 0;
    unsigned long from, to;
    *before = 0;
    for (char *line = text; sscanf(line, "%lx-%lx", &from, &to) == 2; line = strchr(line, '\n') + 1) {
        if (from <= here && here < to) return from;
        *before = to;
    }
    return 0;
}

static unsigned long on_stack;
static void on_overflow(int s, siginfo_t *i, void *c) {
    unsigned long below, start = area_of(on_stack, &below), at = (unsigned long)i->si_addr;
    printf("overflow: code %d, below the stack %d, near it %d\n", i->si_code, at < start, start - at <= 16 * PAGE);
    // What libsigsegv asks to tell it from another fault: what comes next is farther than the stack.
    printf("free %d\n", start - below >= 256 * PAGE);
    void *near = (void *)(start - 16 * PAGE);
    SHOW(mmap(near, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == near);
    void *p = mmap(near, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    SHOW(p == near);
    memset(p, 1, PAGE);
    SHOW(munmap(p, PAGE));
    SHOW(mprotect(p, PAGE, PROT_READ));
    fflush(stdout);
    _exit(7);
}

static int deeper(int n) {
    volatile char some[1024];
    some[0] = n;
    return deeper(n + 1) + some[0];
}

static void overflow(void) {
    struct rlimit r;
    CHECK(getrlimit(RLIMIT_STACK, &r) == 0);
    if (r.rlim_cur > 8 << 20) r.rlim_cur = 8 << 20, CHECK(setrlimit(RLIMIT_STACK, &r) == 0);
    static char other[64 << 10];
    stack_t alt = {.ss_sp = other, .ss_size = sizeof other};
    struct sigaction a = {.sa_sigaction = on_overflow, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    CHECK(sigaltstack(&alt, NULL) == 0 && sigaction(SIGSEGV, &a, NULL) == 0);
    on_stack = (unsigned long)&r;
    deeper(0);
}

static void tests(void) {
    say_status("overflow", CHILD(overflow()));
    char *here = (char *)((long)__builtin_frame_address(0) & -PAGE);
    SHOW(mprotect(here, PAGE, RW | GROWSDOWN));
    stack_is(here);
    SHOW(mprotect(here, PAGE, RW | PROT_EXEC | GROWSDOWN));
    stack_is(here);
    named();
    // It is a stack still, and code on it runs.
    volatile char deep[64 << 10];
    deep[0] = 1;
    volatile unsigned char code[16];
    for (int i = 0; i < 6; i++) code[i] = "\xb8\x2a\0\0\0\xc3"[i];
    SHOW(((int (*)(void))code)());
    SHOW(mprotect(here, PAGE, RW | GROWSDOWN));
    stack_is(here);
    SHOW(mprotect(here, PAGE, RW | GROWSUP));
    SHOW(mprotect(here, PAGE, RW | GROWSUP | GROWSDOWN));
    SHOW(mprotect(here + 1, PAGE, RW | GROWSDOWN));
    SHOW(mprotect(here, 0, RW | GROWSDOWN));
    char *m = mmap(NULL, 4 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    SHOW(mprotect(m, PAGE, RW | GROWSDOWN));
    char *g = mmap(NULL, 4 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN, -1, 0);
    SHOW(mprotect(g + 2 * PAGE, PAGE, PROT_READ | GROWSDOWN));
}
