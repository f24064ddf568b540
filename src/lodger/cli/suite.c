// The small works of `lodger ladder --suite`: null | switch | pipe | server, and how often.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static void must(int ok, const char *what) {
    if (!ok) {
        perror(what);
        exit(1);
    }
}

static void null_call(long n) {
    for (long i = 0; i < n; i++)
        syscall(SYS_getppid);
}

// A byte goes back and forth between two processes: two process switches a turn on a uniprocessor.
static void process_switch(long n) {
    int there[2], back[2];
    char c = 'x';
    must(!pipe(there) && !pipe(back), "pipe");
    pid_t child = fork();
    must(child >= 0, "fork");
    if (!child) {
        for (long i = 0; i < n; i++)
            if (read(there[0], &c, 1) != 1 || write(back[1], &c, 1) != 1)
                _exit(1);
        _exit(0);
    }
    for (long i = 0; i < n; i++)
        must(write(there[1], &c, 1) == 1 && read(back[0], &c, 1) == 1, "ping");
    int status;
    must(waitpid(child, &status, 0) == child && status == 0, "child");
}

// n blocks of 64 KiB from one process to another.
static void bulk(long n) {
    static char block[65536];
    int p[2];
    must(!pipe(p), "pipe");
    pid_t child = fork();
    must(child >= 0, "fork");
    if (!child) {
        close(p[1]);
        long total = 0, got;
        while ((got = read(p[0], block, sizeof block)) > 0)
            total += got;
        _exit(total != n * (long)sizeof block);
    }
    close(p[0]);
    for (long i = 0; i < n; i++)
        for (size_t done = 0; done < sizeof block;) {
            ssize_t put = write(p[1], block + done, sizeof block - done);
            must(put > 0, "write");
            done += put;
        }
    close(p[1]);
    int status;
    must(waitpid(child, &status, 0) == child && status == 0, "child");
}

static void whole(int fd, char *buffer, size_t n) {
    for (size_t done = 0; done < n;) {
        ssize_t got = read(fd, buffer + done, n - done);
        must(got > 0, "read");
        done += got;
    }
}

// A server answers each connection's 128-byte request with a 4 KiB page.
static void server(long n) {
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int length = snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "lodger-suite-%d", getpid());
    socklen_t size = sizeof name.sun_family + 1 + length;
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    must(!bind(listener, (void *)&name, size) && !listen(listener, 16), "listen");
    char request[128] = "GET / HTTP/1.0\r\n\r\n", page[4096];
    memset(page, 'p', sizeof page);
    pid_t child = fork();
    must(child >= 0, "fork");
    if (!child) {
        for (long i = 0; i < n; i++) {
            int c = accept(listener, 0, 0);
            must(c >= 0, "accept");
            whole(c, request, sizeof request);
            must(write(c, page, sizeof page) == sizeof page, "answer");
            close(c);
        }
        _exit(0);
    }
    for (long i = 0; i < n; i++) {
        int c = socket(AF_UNIX, SOCK_STREAM, 0);
        must(!connect(c, (void *)&name, size), "connect");
        must(write(c, request, sizeof request) == sizeof request, "request");
        whole(c, page, sizeof page);
        close(c);
    }
    int status;
    must(waitpid(child, &status, 0) == child && status == 0, "child");
}

int main(int argc, char **argv) {
    long n = argc == 3 ? atol(argv[2]) : 0;
    if (n > 0 && !strcmp(argv[1], "null"))
        null_call(n);
    else if (n > 0 && !strcmp(argv[1], "switch"))
        process_switch(n);
    else if (n > 0 && !strcmp(argv[1], "pipe"))
        bulk(n);
    else if (n > 0 && !strcmp(argv[1], "server"))
        server(n);
    else {
        fprintf(stderr, "usage: suite null|switch|pipe|server COUNT\n");
        return 2;
    }
    return 0;
}
