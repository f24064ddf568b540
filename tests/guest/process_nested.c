// Scripts that are run by scripts: how deep it may go.
#include "guest.h"

static void tests(void) {
    char *args[] = {"name", NULL}, *none[] = {NULL};
    for (int i = 0; i < 8; i++) {
        char name[16], text[32];
        snprintf(name, sizeof name, "script%d", i);
        snprintf(text, sizeof text, i ? "#!./script%d\n" : "#!/bin/true\n", i - 1);
        int fd = open(name, O_CREAT | O_WRONLY, 0755);
        write(fd, text, strlen(text));
        close(fd);
        say_status(name, CHILD(execve(name, args, none); _exit(errno)));
    }
    SHOW(syscall(SYS_execveat, AT_FDCWD, "", args, none, AT_EMPTY_PATH));
    SHOW(syscall(SYS_execveat, AT_FDCWD, "", args, none, 0));
    SHOW(syscall(SYS_timer_settime, 9999, 0, NULL, NULL));
}
