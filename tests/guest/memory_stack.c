// mprotect(2) from the beginning of an area that grows downwards: what ld.so does for objects that want an executable stack.
#include "guest.h"

#define GROWSDOWN 0x01000000
#define GROWSUP 0x02000000
#define RW (PROT_READ | PROT_WRITE)

static void stack_is(void) {
    FILE *f = fopen("/proc/self/maps", "r");
    char line[300], prot[5] = "none";
    while (fgets(line, sizeof line, f))
        if (strstr(line, "[stack]")) sscanf(line, "%*s %4s", prot);
    fclose(f);
    printf("stack: %s\n", prot);
}

static void tests(void) {
    char *here = (char *)((long)__builtin_frame_address(0) & -PAGE);
    SHOW(mprotect(here, PAGE, RW | GROWSDOWN));
    stack_is();
    SHOW(mprotect(here, PAGE, RW | PROT_EXEC | GROWSDOWN));
    stack_is();
    // It is a stack still, and code on it runs.
    volatile char deep[64 << 10];
    deep[0] = 1;
    volatile unsigned char code[16];
    for (int i = 0; i < 6; i++) code[i] = "\xb8\x2a\0\0\0\xc3"[i];
    SHOW(((int (*)(void))code)());
    SHOW(mprotect(here, PAGE, RW | GROWSDOWN));
    stack_is();
    SHOW(mprotect(here, PAGE, RW | GROWSUP));
    SHOW(mprotect(here, PAGE, RW | GROWSUP | GROWSDOWN));
    SHOW(mprotect(here + 1, PAGE, RW | GROWSDOWN));
    SHOW(mprotect(here, 0, RW | GROWSDOWN));
    char *m = mmap(NULL, 4 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    SHOW(mprotect(m, PAGE, RW | GROWSDOWN));
    char *g = mmap(NULL, 4 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN, -1, 0);
    SHOW(mprotect(g + 2 * PAGE, PAGE, PROT_READ | GROWSDOWN));
}
