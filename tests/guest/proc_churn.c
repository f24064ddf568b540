// Others look into processes that begin, sleep, run, stop, exec, make threads and end at that moment: nobody hangs, and
// nobody is disturbed.
#include "guest.h"

static struct {
    volatile pid_t now;
    volatile int stop;
    volatile long reads[2];
} *shared;

static void look(pid_t p, long addr) {
    static const char *names[] = {"smaps", "cmdline", "environ", "smaps_rollup", "io"};
    static char buf[1 << 16];
    char path[60];
    for (size_t i = 0; i < COUNT(names); i++) {
        snprintf(path, sizeof path, "/proc/%d/%s", p, names[i]);
        int fd = open(path, O_RDONLY);
        if (fd < 0) continue;
        while (read(fd, buf, sizeof buf) > 0) {}
        close(fd);
    }
    struct iovec l = {buf, 5000}, r = {(void *)addr, 5000};
    syscall(SYS_process_vm_readv, p, &l, 1ul, &r, 1ul, 0ul);
    syscall(SYS_process_vm_writev, p, &l, 1ul, &r, 1ul, 0ul);
}

static void *thread(void *arg) {
    for (volatile int i = 0; i < 20000; i++) {}
    return arg;
}

static void life(int kind, int pipe_in) {
    char c;
    switch (kind) {
    case 0: return;
    case 1:
        for (;;) {}
    case 2:
        for (;;) pause();
    case 3: execl("/bin/true", "true", NULL); return;
    case 4: {
        pthread_t t[3];
        for (int i = 0; i < 3; i++) pthread_create(&t[i], NULL, thread, NULL);
        for (int i = 0; i < 3; i++) pthread_join(t[i], NULL);
        return;
    }
    case 5:
        if (vfork() == 0) {
            execl("/bin/true", "true", NULL);
            _exit(9);
        }
        return;
    case 6: CHECK(read(pipe_in, &c, 1) == 1); return;
    }
}

static void tests(void) {
    shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    static char target[8192];
    pid_t readers[2];
    for (int i = 0; i < 2; i++) {
        readers[i] = fork();
        if (readers[i] == 0) {
            while (!shared->stop) {
                pid_t p = shared->now;
                // Each also looks into the other, and into its parent.
                look(p ? p : getppid(), (long)target);
                look(getppid(), (long)target);
                look(i ? readers[0] : getppid(), (long)target);
                shared->reads[i]++;
            }
            _exit(0);
        }
    }
    for (int round = 0; round < 84; round++) {
        int kind = round % 7, pipes[2];
        CHECK(pipe(pipes) == 0);
        pid_t p = fork();
        if (p == 0) {
            life(kind, pipes[0]);
            _exit(failures ? 99 : 0);
        }
        shared->now = p;
        if (kind == 1 || kind == 2) {
            nap(3);
            kill(p, SIGSTOP);
            nap(2);
            if (round % 2) kill(p, SIGCONT);
            kill(p, SIGKILL);
        } else if (kind == 6) {
            nap(3);
            CHECK(write(pipes[1], "x", 1) == 1);
        }
        int st = wait_for(p);
        CHECK(kind == 1 || kind == 2 ? WIFSIGNALED(st) && WTERMSIG(st) == SIGKILL : st == 0);
        close(pipes[0]);
        close(pipes[1]);
    }
    shared->stop = 1;
    for (int i = 0; i < 2; i++) say_status("reader", wait_for(readers[i]));
    CHECK(shared->reads[0] > 0 && shared->reads[1] > 0);
}
