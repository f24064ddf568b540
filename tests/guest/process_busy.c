// Programs that are open for writing, writers of programs that run: ETXTBSY.
#include "guest.h"

static void copy(const char *from, const char *to) {
    static char b[1 << 20];
    int in = open(from, O_RDONLY), out = open(to, O_CREAT | O_WRONLY | O_TRUNC, 0755);
    for (ssize_t n; (n = read(in, b, sizeof b)) > 0;) CHECK(write(out, b, n) == n);
    close(in), close(out);
}

static void tests(void) {
    char *args[] = {"x", "10", NULL}, *env[] = {NULL};
    copy("/bin/sleep", "program");
    int fd = open("program", O_WRONLY);
    say_status("open for writing", CHILD(execve("program", (char *[]){"x", "0", NULL}, env); _exit(errno == ETXTBSY ? 26 : 1)));
    close(fd);
    pid_t p = fork();
    if (!p) execve("program", args, env);
    until_state(p, 'S');
    SHOW(open("program", O_WRONLY));
    SHOW(truncate("program", 0));
    OK(open("program", O_RDONLY));
    SHOW(unlink("program"));
    kill(p, SIGKILL);
    wait_for(p);
}
