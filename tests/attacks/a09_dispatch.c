// A9: losing syscall user dispatch: by prctl, fork, clone, vfork, exec, signals, threads. What reached the host would see
// another pid, or die of the filter.
#include "attack.h"
#include <spawn.h>
extern char **environ;

static long jit_pid(void) {
    static unsigned char *p;
    unsigned char code[] = {0xb8, 39, 0, 0, 0, 0x90, 0x0f, 0x05, 0xc3};
    if (!p) {
        p = mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        memcpy(p, code, sizeof code);
        mprotect(p, PAGE, PROT_READ | PROT_EXEC);
    }
    return ((long (*)(void))p)();
}
static void check(const char *where) { if (jit_pid() != getpid()) HOLE("%s: another pid", where); if (raw(SYS_socket, AF_INET, 3, 1, 0, 0, 0) >= 0) HOLE("%s: raw socket", where); }
static void *thread(void *x) { check("thread"); return 0; }
static void handler(int s) { check("handler"); }
static int cloned(void *x) { check("clone"); _exit(holes); }

int main(int argc, char **argv) {
    if (argc > 1) { check("after exec"); return holes; }
    char sel = 0;
    struct { long on, off, len; void *sel; } t[] = {{0, 0, 0, 0}, {1, 0, 0, &sel}, {1, 0, -1ul, &sel}, {1, 0x400000, 0x1000000, &sel}, {1, 0, 0, (void *)TRUSTED}};
    for (unsigned i = 0; i < COUNT(t); i++) {
        if (raw(SYS_prctl, 59, t[i].on, t[i].off, t[i].len, (long)t[i].sel, 0) >= 0) HOLE("prctl(SYSCALL_USER_DISPATCH) %u", i);
        check("after prctl");
    }
    if (raw(SYS_prctl, PR_SET_SECCOMP, 2, 0, 0, 0, 0) >= 0) HOLE("seccomp by prctl with no program");
    if (raw(SYS_prctl, PR_SET_TSC, PR_TSC_SIGSEGV, 0, 0, 0, 0) >= 0) { /* harmless */ }
    int st;
    pid_t p = fork();
    if (!p) { check("fork"); if (!fork()) { check("fork of fork"); _exit(holes); } int s; wait(&s); _exit(holes + WEXITSTATUS(s)); }
    waitpid(p, &st, 0);
    if (st) HOLE("fork: %#x", st);
    p = vfork();
    if (!p) { _exit(raw(39, 0, 0, 0, 0, 0, 0) == getpid() ? 0 : 1); }
    waitpid(p, &st, 0);
    if (st) HOLE("vfork: %#x", st);
    check("after vfork");
    static char stack[65536];
    p = clone(cloned, stack + sizeof stack, SIGCHLD, 0);
    waitpid(p, &st, 0);
    if (st) HOLE("clone: %#x", st);
    p = clone(cloned, stack + sizeof stack, SIGCHLD | CLONE_VM | CLONE_VFORK, 0);
    waitpid(p, &st, 0);
    if (st) HOLE("clone vfork: %#x", st);
    pthread_t th[8];
    for (int i = 0; i < 8; i++) pthread_create(&th[i], 0, thread, 0);
    for (int i = 0; i < 8; i++) pthread_join(th[i], 0);
    signal(SIGUSR1, handler);
    raise(SIGUSR1);
    check("after handler");
    char *av[] = {argv[0], "x", 0};
    if (posix_spawn(&p, "/proc/self/exe", 0, 0, av, environ)) HOLE("spawn");
    waitpid(p, &st, 0);
    if (st) HOLE("exec: %#x", st);
    if (holes) return holes;
    execv("/proc/self/exe", av);
    return 1;
}
