// flock, fcntl locks of processes, locks of open files.
#include "guest.h"
#include <sys/file.h>

static int lock(int fd, int cmd, int type, off_t start, off_t len) {
    struct flock l = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len};
    int r = fcntl(fd, cmd, &l);
    if (r == 0 && (cmd == F_GETLK || cmd == F_OFD_GETLK)) {
        if (l.l_type == F_UNLCK) printf("free; ");
        else printf("held %s %ld+%ld by %s; ", l.l_type == F_RDLCK ? "read" : "write", (long)l.l_start, (long)l.l_len,
                    l.l_pid == getppid() ? "parent" : l.l_pid == -1 ? "an open file" : "another");
    }
    return r;
}

static void tests(void) {
    int fd = open("f", O_CREAT | O_RDWR, 0644), two = open("f", O_RDWR), ro = open("f", O_RDONLY), copy = dup(fd);
    ftruncate(fd, 100);
    SHOW(flock(fd, LOCK_EX));
    SHOW(flock(two, LOCK_EX | LOCK_NB));
    SHOW(flock(two, LOCK_SH | LOCK_NB));
    SHOW(flock(copy, LOCK_SH | LOCK_NB)); // the same open file: changed
    SHOW(flock(two, LOCK_SH | LOCK_NB));
    SHOW(flock(fd, LOCK_EX | LOCK_NB));
    SHOW(flock(two, LOCK_UN));
    SHOW(flock(ro, LOCK_EX | LOCK_NB)); // after a failed conversion, the shared one is... whatever shows here
    SHOW(flock(copy, LOCK_UN));
    SHOW(flock(ro, LOCK_EX | LOCK_NB));
    SHOW(flock(ro, LOCK_UN));
    SHOW(flock(99, LOCK_EX));
    SHOW(flock(fd, 64));
    SHOW(flock(fd, LOCK_EX));
    say_status("inherited", CHILD(SHOW(flock(fd, LOCK_EX | LOCK_NB)); SHOW(flock(two, LOCK_EX | LOCK_NB)); SHOW(flock(fd, LOCK_UN))));
    SHOW(flock(two, LOCK_EX | LOCK_NB));
    close(two);
    SHOW(flock(ro, LOCK_SH | LOCK_NB));
    flock(ro, LOCK_UN);

    SHOW(lock(fd, F_SETLK, F_WRLCK, 10, 20));
    SHOW(lock(fd, F_GETLK, F_WRLCK, 0, 0)); // one's own do not count
    SHOW(lock(ro, F_SETLK, F_WRLCK, 50, 1));
    SHOW(lock(fd, F_SETLK, 9, 50, 1));
    SHOW(lock(fd, F_SETLK, F_WRLCK, -5, 1));
    SHOW(lock(fd, F_SETLK, F_RDLCK, 20, 10)); // the middle changes
    say_status("another", CHILD({
                   SHOW(lock(fd, F_GETLK, F_WRLCK, 0, 0));
                   SHOW(lock(fd, F_GETLK, F_RDLCK, 20, 5));
                   SHOW(lock(fd, F_GETLK, F_WRLCK, 20, 5));
                   SHOW(lock(fd, F_SETLK, F_WRLCK, 0, 10));
                   SHOW(lock(fd, F_SETLK, F_WRLCK, 0, 11));
                   SHOW(lock(fd, F_SETLK, F_RDLCK, 25, 100));
                   SHOW(lock(fd, F_GETLK, F_WRLCK, 30, 0));
               }));
    SHOW(lock(fd, F_SETLK, F_UNLCK, 15, 2)); // a gap
    say_status("gap", CHILD(SHOW(lock(fd, F_SETLK, F_WRLCK, 15, 2)); SHOW(lock(fd, F_SETLK, F_WRLCK, 14, 1)); SHOW(lock(fd, F_SETLK, F_WRLCK, 17, 1))));
    // Closing any descriptor of the file gives them all up.
    close(open("f", O_RDONLY));
    say_status("given up", CHILD(SHOW(lock(fd, F_SETLK, F_WRLCK, 0, 0))));
    // Waiting, and deadlock.
    int box[2];
    CHECK(pipe(box) == 0);
    SHOW(lock(fd, F_SETLK, F_WRLCK, 0, 1));
    pid_t p = fork();
    if (!p) {
        lock(fd, F_SETLK, F_WRLCK, 1, 1);
        CHECK(write(box[1], "x", 1) == 1);
        _exit(lock(fd, F_SETLKW, F_WRLCK, 0, 1) == 0 ? 5 : 6);
    }
    char c;
    CHECK(read(box[0], &c, 1) == 1);
    until_state(p, 'S');
    SHOW(lock(fd, F_SETLKW, F_WRLCK, 1, 1));
    lock(fd, F_SETLK, F_UNLCK, 0, 1);
    say_status("waiter", wait_for(p));
    SHOW(lock(fd, F_SETLK, F_WRLCK, 1, 1)); // its death freed it
    lock(fd, F_SETLK, F_UNLCK, 0, 0);

    // Open-file locks: between open files, even of one process; they survive closing others.
    two = open("f", O_RDWR);
    SHOW(lock(fd, F_OFD_SETLK, F_WRLCK, 0, 10));
    SHOW(lock(two, F_OFD_SETLK, F_RDLCK, 5, 1));
    SHOW(lock(two, F_OFD_GETLK, F_RDLCK, 5, 1));
    SHOW(lock(two, F_SETLK, F_WRLCK, 5, 1)); // against those of processes, too
    SHOW(lock(two, F_OFD_SETLK, F_RDLCK, 10, 1));
    close(open("f", O_RDONLY));
    SHOW(lock(two, F_OFD_SETLK, F_RDLCK, 0, 1));
    say_status("ofd inherited", CHILD(SHOW(lock(fd, F_OFD_SETLK, F_WRLCK, 0, 10)); SHOW(lock(two, F_OFD_SETLK, F_WRLCK, 3, 1))));
    close(fd);
    SHOW(lock(two, F_OFD_SETLK, F_RDLCK, 0, 1)); // the copy still holds it
    close(copy);
    SHOW(lock(two, F_OFD_SETLK, F_RDLCK, 0, 1));
    struct flock l = {.l_type = F_WRLCK, .l_pid = 5};
    SHOW(fcntl(two, F_OFD_SETLK, &l));
    l = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_END, .l_start = -10, .l_len = 5};
    SHOW(fcntl(two, F_SETLK, &l) == 0 || errno == EAGAIN);
    SHOW(fcntl(two, F_SETLK, (void *)8));
}
