// Resource limits: reading, setting, inheriting, and what happens at them.
#include "guest.h"

static volatile int xfsz;
static void on_xfsz(int s) { xfsz++; }
static volatile int xcpu;
static void on_xcpu(int s) { xcpu++; }

static int set(int what, rlim_t soft, rlim_t hard) {
    struct rlimit r = {soft, hard};
    return setrlimit(what, &r);
}

static void tests(void) {
    struct rlimit r, old;
    SHOW(getrlimit(99, &r));
    SHOW(setrlimit(99, &r));
    SHOW(getrlimit(RLIMIT_CORE, (void *)8));
    SHOW(set(RLIMIT_NOFILE, 20, 10));
    SHOW(set(RLIMIT_NOFILE, 1ul << 40, 1ul << 40));
    SHOW(prlimit(99999999, RLIMIT_CORE, NULL, &r));
    SHOW(prlimit(-1, RLIMIT_CORE, NULL, &r));

    say_status("descriptors", CHILD({
                   SHOW(set(RLIMIT_NOFILE, 20, 30));
                   int n = 0;
                   while (dup(0) >= 0) n++;
                   printf("then %s, highest %d\n", strerrorname_np(errno), n > 10 && fcntl(19, F_GETFD) == 0 ? 19 : -1);
                   SHOW(dup2(0, 20));
                   SHOW(dup2(0, 19));
                   SHOW(fcntl(0, F_DUPFD, 20));
                   SHOW(open("/", O_RDONLY));
                   int p[2];
                   SHOW(pipe(p));
                   SHOW(socketpair(AF_UNIX, SOCK_STREAM, 0, p));
                   SHOW(epoll_create1(0));
                   close(19);
                   SHOW(pipe(p));
                   SHOW(open("/", O_RDONLY));
               }));
    say_status("file size", CHILD({
                   SHOW(set(RLIMIT_FSIZE, 1000, 2000));
                   handle(SIGXFSZ, on_xfsz, 0);
                   int fd = open("big", O_RDWR | O_CREAT | O_TRUNC, 0600);
                   char b[1500];
                   SHOW(write(fd, b, 900));
                   SHOW(write(fd, b, 900)); // what fits
                   SHOW(xfsz);
                   SHOW(write(fd, b, 1));
                   SHOW(xfsz);
                   SHOW(ftruncate(fd, 1001));
                   SHOW(xfsz);
                   SHOW(pwrite(fd, b, 10, 990));
                   SHOW(fallocate(fd, 0, 0, 5000));
                   signal(SIGXFSZ, SIG_DFL);
                   write(fd, b, 1);
               }));
    say_status("cpu time", CHILD({
                   SHOW(set(RLIMIT_CPU, 1, 30));
                   handle(SIGXCPU, on_xcpu, 0);
                   while (!xcpu) {}
                   struct rusage ru;
                   getrusage(RUSAGE_SELF, &ru);
                   CHECK(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec <= 3);
               }));
    say_status("address space", CHILD({
                   SHOW(set(RLIMIT_AS, 512ul << 20, RLIM_INFINITY));
                   SHOW(mmap(NULL, 1ul << 30, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
                   OK(mmap(NULL, 1ul << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
               }));
    say_status("data", CHILD({
                   SHOW(set(RLIMIT_DATA, 64ul << 20, RLIM_INFINITY));
                   SHOW(mmap(NULL, 128ul << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
                   OK(mmap(NULL, 128ul << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
                   CHECK(sbrk(128 << 20) == (void *)-1);
               }));
    say_status("signals", CHILD({
                   SHOW(setuid(54331));
                   SHOW(set(RLIMIT_SIGPENDING, 3, 3));
                   sigset_t s = sigs(SIGRTMIN, SIGUSR1);
                   sigprocmask(SIG_BLOCK, &s, NULL);
                   int n = 0;
                   while (n < 10 && sigqueue(getpid(), SIGRTMIN, (union sigval){0}) == 0) n++;
                   printf("queued %d, then %s\n", n, strerrorname_np(errno));
                   SHOW(kill(getpid(), SIGUSR1)); // standard signals always get through
               }));
    say_status("processes", CHILD({
                   SHOW(set(RLIMIT_NPROC, 3, 3));
                   pid_t root = fork();  // root may have as many as it likes
                   if (!root) _exit(0);
                   say_status("root's", wait_for(root));
                   SHOW(setresuid(54331, 54331, 54331));
                   pid_t kids[5];
                   int n = 0;
                   for (pid_t kid; n < 5 && (kid = fork()) >= 0; n++) {
                       if (!kid) {
                           pause();
                           _exit(0);
                       }
                       kids[n] = kid;
                   }
                   printf("%d children, then %s\n", n, strerrorname_np(errno));
                   if (n < 2) _exit(98);
                   kill(kids[0], SIGKILL);
                   siginfo_t si;
                   SHOW(waitid(P_PID, kids[0], &si, WEXITED | WNOWAIT));
                   SHOW(si.si_uid);
                   SHOW(fork() < 0);  // it counts until somebody waits for it
                   wait_for(kids[0]);
                   kids[0] = fork();
                   if (!kids[0]) _exit(7);
                   say_status("room again", wait_for(kids[0]));
                   kill(kids[1], SIGKILL);
                   wait_for(kids[1]);
               }));
    say_status("processes at execve", CHILD({
                   SHOW(set(RLIMIT_NPROC, 0, 0));
                   SHOW(setresuid(54332, 54332, 54332));
                   execl("/bin/true", "true", NULL);
                   SHOW(errno);
                   SHOW(fork());
               }));
    say_status("processes at execve, before there are too many", CHILD({
                   SHOW(setresuid(54332, 54332, 54332));
                   SHOW(set(RLIMIT_NPROC, 0, 0));
                   execl("/bin/true", "true", NULL);
               }));
    // Who may raise what.
    say_status("lower", CHILD({
                   SHOW(set(RLIMIT_CORE, 0, 100));
                   SHOW(setresuid(1000, 1000, 1000));
                   SHOW(set(RLIMIT_CORE, 100, 100));
                   SHOW(set(RLIMIT_CORE, 100, 101));
                   SHOW(set(RLIMIT_CORE, 50, 50));
                   SHOW(set(RLIMIT_CORE, 51, 51));
               }));
    // Of another process, and across exec's border (here: fork).
    int box[2];
    CHECK(pipe(box) == 0);
    pid_t p = fork();
    if (!p) {
        char c;
        CHECK(read(box[0], &c, 1) == 1);
        getrlimit(RLIMIT_CORE, &r);
        printf("the other's: %ld %ld\n", (long)r.rlim_cur, (long)r.rlim_max);
        _exit(0);
    }
    r = (struct rlimit){11, 22};
    SHOW(prlimit(p, RLIMIT_CORE, &r, &old));
    SHOW(prlimit(p, RLIMIT_CORE, NULL, &old));
    printf("%ld %ld\n", (long)old.rlim_cur, (long)old.rlim_max);
    CHECK(write(box[1], "x", 1) == 1);
    say_status("other", wait_for(p));
    SHOW(set(RLIMIT_STACK, 1 << 20, RLIM_INFINITY));
    SHOW(getrlimit(RLIMIT_STACK, &r));
    SHOW(r.rlim_cur);
    SHOW(setpriority(PRIO_PROCESS, 0, 100));
    SHOW(getpriority(PRIO_PROCESS, 0));
    SHOW(getpriority(7, 0));
}
