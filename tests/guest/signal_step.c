// Single steps: a trap after each instruction while the trap flag is set.
#include "guest.h"

static volatile int traps, code;
static void on_trap(int s, siginfo_t *si, void *c) { traps++, code = si->si_code; }

static void tests(void) {
    handle_info(SIGTRAP, on_trap, 0);
    asm volatile("pushfq; orq $0x100, (%%rsp); popfq; nop; nop; nop; pushfq; andq $~0x100, (%%rsp); popfq; nop" ::: "cc", "memory");
    printf("%d steps, code %d\n", traps, code);
}
