// Mapping /dev/zero (null(4)): anonymous memory from before MAP_ANONYMOUS.
#include "guest.h"

static void tests(void) {
    int ro = open("/dev/zero", O_RDONLY), rw = open("/dev/zero", O_RDWR), wo = open("/dev/zero", O_WRONLY);
    int fds[] = {ro, rw, wo};
    for (int f = 0; f < 3; f++)
        for (int prot = 0; prot < 4; prot++)
            for (int how = MAP_SHARED; how <= MAP_PRIVATE; how++) {
                errno = 0;
                char *p = mmap(NULL, 2 * PAGE, prot, how, fds[f], 0);
                printf("%s prot %d %s: %s\n", f == 0 ? "r" : f == 1 ? "rw" : "w", prot, how == MAP_SHARED ? "shared" : "private",
                       p == MAP_FAILED ? strerrorname_np(errno) : "ok");
                if (p == MAP_FAILED) continue;
                if (prot & PROT_READ) CHECK(p[0] == 0 && p[PAGE] == 0);
                if (prot == 3) {
                    p[PAGE] = 1;
                    say_status("child", CHILD(p[PAGE]++; p[0] = 7));
                    printf("written by a child: %d, %d\n", p[0], p[PAGE]);
                }
                CHECK(munmap(p, 2 * PAGE) == 0);
            }
    // Where in the file does not matter.
    char *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, rw, 16 * PAGE);
    CHECK(p != MAP_FAILED && p[5] == 0);
    close(ro), close(rw), close(wo);
    p[5] = 3;
    printf("after close: %d\n", p[5]);
    OK(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, open("/dev/null", O_RDONLY), 0));
}
