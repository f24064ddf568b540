// openat2 with RESOLVE_BENEATH and RESOLVE_IN_ROOT while directories change places: never out of the root.
// needs: parallel
#include "guest.h"
#include <linux/openat2.h>

static volatile int stop;
static void *swapper(void *v) {
    while (!stop) syscall(SYS_renameat2, AT_FDCWD, "root/a/c", AT_FDCWD, "root/b", RENAME_EXCHANGE);
    return NULL;
}

static void tests(void) {
    mkdir("root", 0755), mkdir("root/a", 0755), mkdir("root/a/c", 0755), mkdir("root/b", 0755);
    int dir = open("root/a", O_PATH);
    struct stat outside[3], st;
    stat(".", &outside[0]), stat("..", &outside[1]), stat("root", &outside[2]);
    pthread_t t;
    pthread_create(&t, NULL, swapper, NULL);
    long resolve[] = {RESOLVE_BENEATH, RESOLVE_IN_ROOT};
    for (int k = 0; k < 2; k++) {
        int escapes = 0, other = 0;
        for (int i = 0; i < 30000; i++) {
            struct open_how how = {.flags = O_PATH, .resolve = resolve[k]};
            int fd = syscall(SYS_openat2, dir, "c/../../c/../../c/../..", &how, sizeof how);
            if (fd < 0) {
                other += errno != EAGAIN && errno != EXDEV && errno != ENOENT;
                continue;
            }
            fstat(fd, &st);
            for (int j = 0; j < 3; j++) escapes += st.st_ino == outside[j].st_ino && st.st_dev == outside[j].st_dev;
            close(fd);
        }
        printf("escapes %d, other errors %d\n", escapes, other);
    }
    stop = 1;
    pthread_join(t, NULL);
}
