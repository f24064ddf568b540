// Single steps: a trap after each instruction while the trap flag is set.
#include "guest.h"

static volatile int traps, code;
static void on_trap(int s, siginfo_t *si, void *c) { traps++, code = si->si_code; }

static void tests(void) {
    handle_info(SIGTRAP, on_trap, 0);
    asm volatile("pushfq; orq $0x100, (%%rsp); popfq; nop; nop; nop; pushfq; andq $~0x100, (%%rsp); popfq; nop" ::: "cc", "memory");
    printf("%d steps, code %d\n", traps, code);
    // Over system calls: the first time, and when the guest kernel has made something quicker of the site (then some steps are one).
    for (int round = 0; round < 3; round++) {
        long parent = getppid(), got = 0;
        traps = 0;
        asm volatile("pushfq; orq $0x100, (%%rsp); popfq; mov $110, %%eax; syscall; nop; nop; pushfq; andq $~0x100, (%%rsp); popfq; nop"
                     : "=a"(got)::"rcx", "r11", "cc", "memory");
        printf("%s steps over a call, %s\n", traps == 5 || traps == 6 ? "5 or 6" : "too few or many", got == parent ? "right" : "wrong");
        asm volatile("pushfq; orq $0x100, (%%rsp); popfq" ::: "cc", "memory");
        got = getppid();
        asm volatile("pushfq; andq $~0x100, (%%rsp); popfq" ::: "cc", "memory");
        printf("a library's call %s\n", got == parent ? "right" : "wrong");
        for (int i = 0; i < 200; i++) getppid();
        for (int i = 0; i < 200; i++) asm volatile("mov $110, %%eax; syscall" : "=a"(got)::"rcx", "r11", "memory");
    }
}
