// The vsyscall page (vsyscall in kernel-parameters.txt), which static programs of old C libraries call; its host may have none.
#include "guest.h"

static sigjmp_buf back;

static void on(int sig, siginfo_t *info, void *context) {
    // Not its code: the host's own signals about this page name no fault that a guest kernel with page tables could look at.
    printf("%s %p\n", name_of(sig), info->si_addr);
    siglongjmp(back, 1);
}

// Calls what is at `address`, or says which signal that gives.
static long call(uintptr_t address, void *a, void *b, void *c) {
    if (sigsetjmp(back, 1)) return -1;
    return ((long (*)(void *, void *, void *))address)(a, b, c);
}

static void tests(void) {
    handle_info(SIGSEGV, on, 0);
    long before = time(NULL), t = call(0xffffffffff600400, NULL, NULL, NULL);
    printf("time: %s\n", t == -1 ? "no" : t >= before && t <= time(NULL) + 1 ? "ok" : "wrong");
    struct timeval v = {0};
    long r = call(0xffffffffff600000, &v, NULL, NULL);
    printf("gettimeofday: %ld, %s\n", r, v.tv_sec >= before ? "ok" : "no");
    unsigned cpu = 9999;
    r = call(0xffffffffff600800, &cpu, NULL, NULL);
    printf("getcpu: %ld, %s\n", r, cpu < 9999 ? "ok" : "no");
    // A bad pointer is a signal here, not EFAULT.
    printf("to nowhere: %ld\n", call(0xffffffffff600000, (void *)8, NULL, NULL));
    printf("between: %ld\n", call(0xffffffffff600010, NULL, NULL, NULL));
    say_status("after fork", CHILD(CHECK(call(0xffffffffff600400, NULL, NULL, NULL) == t || t == -1 || time(NULL) > t)));
    if (!sigsetjmp(back, 1)) printf("read: %d\n", *(volatile char *)0xffffffffff600000);
}
