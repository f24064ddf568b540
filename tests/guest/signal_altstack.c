// sigaltstack: where handlers run, what can be changed when, autodisarm, overflow of the main stack.
#include "guest.h"
#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1u << 31)
#endif

static char alt[65536], other[65536];
static bool within(const char *s, const void *p) { return (char *)p >= s && (char *)p < s + sizeof alt; }
static sigjmp_buf env;

static void on_usr1(int s, siginfo_t *si, void *c) {
    ucontext_t *u = c;
    stack_t ss;
    int here;
    sigaltstack(NULL, &ss);
    printf("USR1 on %s, flags %d, context's stack %s flags %d\n", within(alt, &here) ? "alt" : within(other, &here) ? "other" : "main", ss.ss_flags,
           u->uc_stack.ss_sp == alt ? "alt" : u->uc_stack.ss_sp == other ? "other" : "none", u->uc_stack.ss_flags);
    ss = (stack_t){.ss_sp = other, .ss_size = sizeof other};
    SHOW(sigaltstack(&ss, NULL));
    if (si->si_value.sival_int) raise(SIGUSR2);
}
static void on_usr2(int s) {
    int here;
    printf("USR2 on %s\n", within(alt, &here) ? "alt" : within(other, &here) ? "other" : "main");
}
static void on_segv(int s, siginfo_t *si, void *c) {
    int here;
    printf("SEGV on %s, code %d\n", within(alt, &here) ? "alt" : "main", si->si_code);
    siglongjmp(env, 1);
}
static void on_armed(int s, siginfo_t *si, void *c) {
    stack_t ss;
    sigaltstack(NULL, &ss);
    printf("disarmed: %d\n", ss.ss_flags == SS_DISABLE);
    ss = (stack_t){.ss_sp = other, .ss_size = sizeof other};
    SHOW(sigaltstack(&ss, NULL)); // allowed: this stack is not the registered one
}
__attribute__((noinline)) static int deep(int n) {
    volatile char page[4096];
    page[0] = n;
    return deep(n + 1) + page[0];
}

static void *thread(void *v) {
    stack_t ss;
    sigaltstack(NULL, &ss);
    printf("a thread starts with flags %d\n", ss.ss_flags);
    return NULL;
}

static void tests(void) {
    stack_t ss, old;
    SHOW(sigaltstack(NULL, &old));
    SHOW(old.ss_flags);
    ss = (stack_t){.ss_sp = alt, .ss_size = 100};
    SHOW(sigaltstack(&ss, NULL));
    ss = (stack_t){.ss_sp = alt, .ss_size = sizeof alt, .ss_flags = 0x40};
    SHOW(sigaltstack(&ss, NULL));
    ss.ss_flags = SS_ONSTACK; // tolerated
    SHOW(sigaltstack(&ss, NULL));
    SHOW(sigaltstack(NULL, &old));
    printf("size %zu flags %d\n", old.ss_size, old.ss_flags);
    SHOW(sigaltstack((void *)8, NULL));
    SHOW(sigaltstack(NULL, (void *)8));

    handle_info(SIGUSR1, on_usr1, SA_ONSTACK);
    handle(SIGUSR2, on_usr2, SA_ONSTACK);
    raise(SIGUSR1);
    sigqueue(getpid(), SIGUSR1, (union sigval){.sival_int = 1});
    raise(SIGUSR2);
    handle(SIGUSR2, on_usr2, 0);
    sigqueue(getpid(), SIGUSR1, (union sigval){.sival_int = 1}); // goes on where it is
    raise(SIGUSR2);

    // A stack overflow is caught on the alternate stack, twice.
    handle_info(SIGSEGV, on_segv, SA_ONSTACK);
    for (int i = 0; i < 2; i++)
        if (!sigsetjmp(env, 1)) deep(0);
    SHOW(sigaltstack(NULL, &old));
    SHOW(old.ss_flags);

    // ...and kills where there is none.
    say_status("overflow", CHILD(signal(SIGSEGV, SIG_DFL); deep(0)));
    say_status("handler without a stack", CHILD(handle_info(SIGSEGV, on_segv, 0); deep(0)));
    say_status("bad alternate stack", CHILD({
                   ss = (stack_t){.ss_sp = (void *)0x10000, .ss_size = 65536};
                   SHOW(sigaltstack(&ss, NULL));
                   raise(SIGUSR1);
               }));

    ss = (stack_t){.ss_sp = alt, .ss_size = sizeof alt, .ss_flags = SS_AUTODISARM};
    SHOW(sigaltstack(&ss, NULL));
    handle_info(SIGUSR1, on_armed, SA_ONSTACK);
    raise(SIGUSR1);
    SHOW(sigaltstack(NULL, &old));
    printf("armed again: %s flags %#x\n", old.ss_sp == alt ? "alt" : "?", old.ss_flags);
    ss = (stack_t){.ss_flags = SS_DISABLE};
    SHOW(sigaltstack(&ss, NULL));
    SHOW(sigaltstack(NULL, &old));
    SHOW(old.ss_flags);
    pthread_t t;
    pthread_create(&t, NULL, thread, NULL);
    pthread_join(t, NULL);
}
