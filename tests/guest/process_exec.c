// execve, execveat: what stays, what goes, how it fails.
#define MAIN_ARGS 1
static int again(int, char **);
#include "guest.h"

static void on_sig(int s) {}
extern char **environ;
static char *self = "/proc/self/exe";

static void file(const char *name, const char *text, int mode) {
    int fd = open(name, O_CREAT | O_WRONLY | O_TRUNC, 0600);
    CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    fchmod(fd, mode);
    close(fd);
}

// The program after exec.
static int again(int argc, char **argv) {
    if (!strcmp(argv[1], "state")) {
        sigset_t set, pending;
        struct sigaction a;
        stack_t ss;
        sigprocmask(0, NULL, &set);
        sigpending(&pending);
        printf("mask USR1 %d, pending USR1 %d\n", sigismember(&set, SIGUSR1), sigismember(&pending, SIGUSR1));
        sigaction(SIGUSR2, NULL, &a);
        printf("handler reset %d\n", a.sa_handler == SIG_DFL);
        sigaction(SIGHUP, NULL, &a);
        printf("ignored stays %d\n", a.sa_handler == SIG_IGN);
        sigaltstack(NULL, &ss);
        printf("alternate stack %s\n", ss.ss_flags & SS_DISABLE ? "gone" : "there");
        printf("descriptors: 40 %s, 41 %s\n", fcntl(40, F_GETFD) < 0 ? "closed" : "open", fcntl(41, F_GETFD) < 0 ? "closed" : "open");
        printf("alarm left %d\n", alarm(0) > 50);
        timer_t none = 0;
        printf("posix timers gone: %s\n", timer_delete(none) ? strerrorname_np(errno) : "no");
        char name[17] = "";
        prctl(PR_GET_NAME, name);
        printf("name %s, pid kept %d, umask %o, nice %d\n", name, atoi(argv[2]) == getpid(), umask(0), getpriority(PRIO_PROCESS, 0));
        printf("threads: %d\n", gettid() == getpid());
        return 0;
    }
    for (int i = 0; i < argc; i++) printf("[%s]", i == 0 ? "0" : argv[i]);
    for (char **e = environ; *e; e++) printf(" {%s}", *e);
    puts("");
    return 7;
}

static void *exec_in_thread(void *v) {
    char *args[] = {"thread", "from a thread", NULL}, *env[] = {NULL};
    execve(self, args, env);
    return NULL;
}

static void *wait_forever(void *v) {
    for (;;) pause();
}

static void tests(void) {
    char *args[] = {"zero", "one two", "", NULL}, *env[] = {"A=1", "B=", NULL}, *none[] = {NULL};
    say_status("execve", CHILD(execve(self, args, env)));
    say_status("fexecve", CHILD(fexecve(open(self, O_RDONLY | O_CLOEXEC), args, env)));
    say_status("execveat", CHILD({
                   int fd = open(self, O_PATH);
                   syscall(SYS_execveat, fd, "", args, env, AT_EMPTY_PATH);
               }));
    say_status("thread", CHILD({
                   pthread_t t[3];
                   for (int i = 0; i < 2; i++) pthread_create(&t[i], NULL, wait_forever, NULL);
                   pthread_create(&t[2], NULL, exec_in_thread, NULL);
                   wait_forever(NULL);
               }));
    say_status("state", CHILD({
                   sigset_t s = sigs(SIGUSR1, 0);
                   sigprocmask(SIG_BLOCK, &s, NULL);
                   raise(SIGUSR1);
                   handle(SIGUSR2, on_sig, 0);
                   signal(SIGHUP, SIG_IGN);
                   static char stack[32768];
                   stack_t ss = {.ss_sp = stack, .ss_size = sizeof stack};
                   sigaltstack(&ss, NULL);
                   dup3(1, 40, O_CLOEXEC);
                   dup2(1, 41);
                   alarm(100);
                   timer_t t;
                   struct sigevent ev = {.sigev_notify = SIGEV_NONE};
                   timer_create(CLOCK_MONOTONIC, &ev, &t);
                   umask(027);
                   setpriority(PRIO_PROCESS, 0, 3);
                   prctl(PR_SET_NAME, "other");
                   char pid[16];
                   snprintf(pid, sizeof pid, "%d", getpid());
                   char path[256] = "";
                   CHECK(readlink(self, path, 255) > 0);
                   symlink(path, "a-name");
                   execl("a-name", "x", "state", pid, NULL);
               }));
    file("script", "#!/bin/echo  hello world \nrest\n", 0755);
    say_status("script", CHILD(execl("./script", "zero", "argument", NULL)));
    file("nested", "#!./script\n", 0755);
    say_status("nested", CHILD(execl("./nested", "zero", "argument", NULL)));
    file("plain", "echo no header\n", 0755);
    SHOW(execve("plain", args, env));
    file("bad", "#!/does/not/exist\n", 0755);
    SHOW(execve("bad", args, env));
    file("loop", "#!./loop\n", 0755);
    SHOW(execve("loop", args, env));
    file("empty", "", 0755);
    SHOW(execve("empty", args, env));
    file("closed", "#!/bin/sh\n", 0644);
    SHOW(execve("closed", args, env));
    SHOW(execve(".", args, env));
    SHOW(execve("missing", args, env));
    SHOW(execve("", args, env));
    SHOW(execve("plain/x", args, env));
    SHOW(execve((char *)8, args, env));
    SHOW(execve(self, (char **)8, env));
    file("elf", "\177ELF\2\1\1", 0755);
    SHOW(execve("elf", args, env));
    symlink("turn", "turn");
    SHOW(execve("turn", args, env));
    SHOW(syscall(SYS_execveat, AT_FDCWD, "turn", args, env, AT_SYMLINK_NOFOLLOW));
    symlink(self, "link");
    SHOW(syscall(SYS_execveat, AT_FDCWD, "link", args, env, AT_SYMLINK_NOFOLLOW));
    SHOW(syscall(SYS_execveat, 99, "link", args, env, 0));
    SHOW(syscall(SYS_execveat, AT_FDCWD, "link", args, env, 0x10));
    char *huge = malloc(200000);
    memset(huge, 'x', 199999);
    huge[199999] = 0;
    char *large[] = {"x", huge, NULL};
    SHOW(execve(self, large, env));
    file("copy", "#!/bin/sh\nexit 5\n", 0755);
    say_status("copy", CHILD(execve("copy", args, env)));
    say_status("no arguments", CHILD({
                   signal(SIGCHLD, SIG_DFL);
                   file("count", "#!/bin/sh\necho \"$# arguments\"\n", 0755);
                   execve("count", none, none);
               }));
    say_status("vfork", ({
                   pid_t p = vfork();
                   if (!p) {
                       execve(self, args, env);
                       _exit(1);
                   }
                   wait_for(p);
               }));
}
