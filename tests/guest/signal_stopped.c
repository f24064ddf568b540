// A stopped process takes nothing: threads of it that wait in a call when another thread takes the stop signal.
#include "guest.h"
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/wait.h>

static int in[2], out[2], data[2], events[2];

static void *reader(void *unused) {
    char c;
    CHECK(read(data[0], &c, 1) == 1);
    CHECK(write(out[1], &c, 1) == 1);
    return NULL;
}

static void *waiter(void *unused) {
    struct epoll_event e = {.events = EPOLLIN};
    int ep = epoll_create1(0);
    CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, in[0], &e) == 0);
    // signal(7): ended by a stop and a continue even without a handler.
    int r = epoll_wait(ep, &e, 1, -1);
    char c = r == -1 && errno == EINTR ? 'i' : '?';
    CHECK(write(events[1], &c, 1) == 1);
    return NULL;
}

static void child(void) {
    pthread_t a, b;
    sigset_t all;
    sigfillset(&all);
    // A group of its own is not orphaned, wherever the test runs.
    setpgid(0, 0);
    // The main thread is who takes the signals.
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    pthread_create(&a, NULL, reader, NULL);
    pthread_create(&b, NULL, waiter, NULL);
    pthread_sigmask(SIG_UNBLOCK, &all, NULL);
    pthread_join(a, NULL);
    pthread_join(b, NULL);
    _exit(failures != 0);
}

static void tests(void) {
    char c = 0;
    int status;
    CHECK(pipe(in) == 0 && pipe(out) == 0 && pipe(data) == 0 && pipe(events) == 0);
    fcntl(out[0], F_SETFL, O_NONBLOCK);
    pid_t pid = fork();
    if (pid == 0) child();
    usleep(100000);
    CHECK(kill(pid, SIGTSTP) == 0);
    CHECK(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status) && WSTOPSIG(status) == SIGTSTP);
    // Long enough for a thread that waits to hear of it.
    usleep(20000);
    CHECK(write(data[1], "a", 1) == 1);
    usleep(50000);
    CHECK(read(out[0], &c, 1) == -1 && errno == EAGAIN);
    // It is still there for somebody else.
    CHECK(read(data[0], &c, 1) == 1 && c == 'a');
    CHECK(write(data[1], "b", 1) == 1);
    CHECK(kill(pid, SIGCONT) == 0);
    fcntl(out[0], F_SETFL, 0);
    CHECK(read(out[0], &c, 1) == 1 && c == 'b');
    CHECK(read(events[0], &c, 1) == 1 && c == 'i');
    CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
