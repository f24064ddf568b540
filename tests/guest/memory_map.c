// mmap, munmap, mprotect: placement, errors, splitting, sharing.
#include "guest.h"

#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
static sigjmp_buf env;
static void on_segv(int s) { siglongjmp(env, 1); }
static const char *can(volatile char *p) {
    static char text[4];
    strcpy(text, "--");
    if (!sigsetjmp(env, 1)) (void)*p, text[0] = 'r';
    if (!sigsetjmp(env, 1)) *p = *p, text[1] = 'w';
    return text;
}

// Whoever finds room in /proc/self/maps can have all of it.
static void holes(void) {
    static char text[1 << 16];
    int fd = open("/proc/self/maps", O_RDONLY), holes = 0;
    size_t got = 0;
    for (ssize_t n; (n = read(fd, text + got, sizeof text - 1 - got)) > 0;) got += n;
    close(fd);
    unsigned long below = 0x10000, start, end;
    for (char *line = text; sscanf(line, "%lx-%lx", &start, &end) == 2; line = strchr(line, '\n') + 1) {
        if (start > 0x7ffffffff000) break; // [vsyscall]
        if (start > below) {
            void *at = (void *)below;
            void *p = mmap(at, start - below, PROT_NONE, ANON | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
            if (p != at) printf("no room at %lx-%lx: %s\n", below, start, strerrorname_np(errno));
            else CHECK(munmap(p, start - below) == 0);
            holes++;
        }
        below = end;
    }
    CHECK(holes > 2);
}

static void tests(void) {
    holes();
    handle(SIGSEGV, on_segv, SA_NODEFER);
    int rw = PROT_READ | PROT_WRITE, fd = open("f", O_RDWR | O_CREAT | O_TRUNC, 0600);
    ftruncate(fd, 4 * PAGE);
    pwrite(fd, "file", 4, 0);
    SHOW(mmap(NULL, 0, rw, ANON, -1, 0));
    SHOW(mmap(NULL, PAGE, rw, MAP_ANONYMOUS, -1, 0)); // neither shared nor private
    SHOW(mmap(NULL, PAGE, rw, MAP_PRIVATE, -1, 0));
    SHOW(mmap(NULL, PAGE, rw, MAP_PRIVATE, fd, 100));
    SHOW(mmap(NULL, -PAGE, rw, ANON, -1, 0));
    SHOW(mmap((void *)100, PAGE, rw, ANON | MAP_FIXED, -1, 0));
    SHOW(mmap((void *)0x7ffffffff000, PAGE, rw, ANON | MAP_FIXED, -1, 0));
    SHOW(mmap(NULL, PAGE, rw, MAP_SHARED_VALIDATE | 0x80000, fd, 0));
    int ro = open("f", O_RDONLY), wo = open("f", O_WRONLY), dir = open(".", O_RDONLY), p[2];
    CHECK(pipe(p) == 0);
    SHOW(mmap(NULL, PAGE, rw, MAP_SHARED, ro, 0));
    OK(mmap(NULL, PAGE, rw, MAP_PRIVATE, ro, 0));
    SHOW(mmap(NULL, PAGE, PROT_WRITE, MAP_SHARED, wo, 0));
    SHOW(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, dir, 0));
    SHOW(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, p[0], 0));
    char *shared_ro = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, ro, 0);
    SHOW(mprotect(shared_ro, PAGE, rw));

    char *m = mmap(NULL, 8 * PAGE, rw, ANON, -1, 0);
    printf("fresh: %d %s\n", m[0] + m[8 * PAGE - 1], can(m));
    m[0] = 'a', m[3 * PAGE] = 'b';
    SHOW((long)mmap(m + 2 * PAGE, PAGE, rw, ANON | MAP_FIXED_NOREPLACE, -1, 0));
    SHOW(munmap(m + 2 * PAGE, 2 * PAGE));
    printf("hole %s, around %s", can(m + 2 * PAGE), can(m + PAGE));
    printf(" %s\n", can(m + 4 * PAGE));
    CHECK(mmap(m + 2 * PAGE, PAGE, rw, ANON | MAP_FIXED_NOREPLACE, -1, 0) == m + 2 * PAGE);
    CHECK(mmap(m + 3 * PAGE, PAGE, rw, ANON, -1, 0) == m + 3 * PAGE); // a hint that is free is taken
    CHECK(mmap(m + 3 * PAGE, PAGE, rw, ANON, -1, 0) != m + 3 * PAGE); // one that is not, is not
    printf("new page is empty: %d\n", m[3 * PAGE]);
    SHOW(munmap(m, 0));
    SHOW(munmap(m + 1, PAGE));
    SHOW(munmap(m, 1)); // a whole page goes
    printf("%s\n", can(m));
    SHOW(munmap(m, PAGE)); // nothing there: fine
    CHECK(mmap(m, PAGE, rw, ANON | MAP_FIXED, -1, 0) == m);

    SHOW(mprotect(m + PAGE, 2 * PAGE, PROT_READ));
    printf("%s", can(m));
    printf(" %s", can(m + PAGE));
    printf(" %s\n", can(m + 3 * PAGE));
    SHOW(mprotect(m + 1, PAGE, PROT_READ));
    SHOW(mprotect(m, 0, PROT_READ));
    SHOW(mprotect(m, PAGE, 0x40));
    munmap(m + 5 * PAGE, PAGE);
    SHOW(mprotect(m + 4 * PAGE, 3 * PAGE, PROT_NONE)); // up to the hole
    printf("%s", can(m + 4 * PAGE));
    printf(" %s\n", can(m + 6 * PAGE));
    SHOW(mprotect((void *)0x10000, PAGE, PROT_READ));
    SHOW(mprotect(m, PAGE, PROT_READ | PROT_GROWSDOWN));

    // Private and shared file mappings.
    char *a = mmap(NULL, 4 * PAGE, rw, MAP_SHARED, fd, 0), *b = mmap(NULL, 4 * PAGE, rw, MAP_SHARED, fd, 0);
    char *c = mmap(NULL, 4 * PAGE, rw, MAP_PRIVATE, fd, 0), text[8] = "";
    a[1] = 'I';
    printf("%.4s %.4s\n", b, c);
    c[0] = 'P';
    a[2] = 'L';
    pread(fd, text, 4, 0);
    printf("%.4s %.4s %.4s\n", a, c, text);
    pwrite(fd, "x", 1, 3);
    printf("%.4s\n", b);
    close(fd);
    b[PAGE] = 'z'; // the mapping lives on
    printf("%c\n", a[PAGE]);
    char *last = mmap(NULL, PAGE, rw, MAP_SHARED, ro, 4 * PAGE);
    SHOW(last == MAP_FAILED);
    SHOW(unlink("f"));
    printf("%c %s\n", a[PAGE], can(b + 2 * PAGE));
    // Sharing with children.
    char *sh = mmap(NULL, PAGE, rw, MAP_SHARED | MAP_ANONYMOUS, -1, 0), *pr = mmap(NULL, PAGE, rw, ANON, -1, 0);
    say_status("child", CHILD(sh[0] = 's'; pr[0] = 'p'; a[0] = 'c'; c[1] = 'c'; munmap(sh, PAGE)));
    printf("%c %d %c %c\n", sh[0], pr[0], a[0], c[1]);
    // A big sparse reservation costs nothing.
    char *big = mmap(NULL, 1ul << 38, PROT_NONE, ANON | MAP_NORESERVE, -1, 0);
    CHECK(big != MAP_FAILED);
    SHOW(mprotect(big + (1ul << 37), 16 * PAGE, rw));
    big[1ul << 37] = 1;
    SHOW(munmap(big, 1ul << 38));
    // Many areas, odd pages taken out.
    m = mmap(NULL, 400 * PAGE, rw, ANON, -1, 0);
    for (int i = 1; i < 400; i += 2) CHECK(munmap(m + i * PAGE, PAGE) == 0);
    for (int i = 0; i < 400; i += 2) m[i * PAGE] = i;
    int bad = 0;
    for (int i = 0; i < 400; i += 2) bad += (unsigned char)m[i * PAGE] != (i & 255);
    SHOW(bad);
    SHOW(munmap(m, 400 * PAGE));
    // Odd arguments.
    int named = open("/dev", O_PATH);
    SHOW(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, named, 0) == MAP_FAILED);
    SHOW(errno == EBADF);
    SHOW(mmap(NULL, PAGE, PROT_READ, MAP_SHARED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
    SHOW(errno == EINVAL);
    SHOW(pread(ro, m, -1ul, 0));
}
