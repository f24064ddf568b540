// A14: the guest kernel as confused deputy. One table: each row is a call with its pointer arguments marked; each is tried with
// every bad address in every pointer's place. None may succeed, none may hang.
#include "attack.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <linux/futex.h>
#include <linux/openat2.h>

#define P 0x5a5a0001l   // the pointer under attack
#define OK 0x5a5a0002l  // 64 KiB of good zeroed memory
#define PATH 0x5a5a0003l
#define FD 0x5a5a0004l  // a regular file
#define PIPER 0x5a5a0005l
#define PIPEW 0x5a5a0006l
#define SOCK 0x5a5a0007l
#define EPOLL 0x5a5a0008l
#define DIRFD 0x5a5a0009l
#define TFD 0x5a5a000al
#define EFD 0x5a5a000bl
#define LINK 0x5a5a000cl
#define IOV 0x5a5a000dl  // an iovec array whose second piece is the bad address
#define MSG 0x5a5a000el  // a msghdr whose iovec is bad
#define MSG2 0x5a5a000fl // a msghdr whose control buffer is bad
#define SEV 0x5a5a0010l
#define PTMX 0x5a5a0011l
#define MEM 0x5a5a0012l   // /proc/PID/mem of the parent, which sleeps
#define SELF 0x5a5a0013l
#define PARENT 0x5a5a0014l
#define FINE 0x5a5a0015l // an iovec array of good memory

static const struct { const char *name; int nr; long a[6]; int may; } rows[] = {
    // `may`: success is Linux's own answer (the pointer is only noted, or may be any).
    {"read", SYS_read, {FD, P, 16}}, {"read pipe", SYS_read, {PIPER, P, 1}}, {"read eventfd", SYS_read, {EFD, P, 8}}, {"read dir", SYS_getdents64, {DIRFD, P, 4096}},
    {"getdents", SYS_getdents, {DIRFD, P, 4096}}, {"write", SYS_write, {FD, P, 16}}, {"write pipe", SYS_write, {PIPEW, P, 16}}, {"write pipe big", SYS_write, {PIPEW, P, 70000}},
    {"write eventfd", SYS_write, {EFD, P, 8}}, {"write socket", SYS_write, {SOCK, P, 16}}, {"write tty", SYS_write, {PTMX, P, 16}}, {"pread", SYS_pread64, {FD, P, 16, 0}}, {"pwrite", SYS_pwrite64, {FD, P, 16, 0}},
    {"readv", SYS_readv, {FD, P, 1}}, {"writev", SYS_writev, {FD, P, 1}}, {"readv iov", SYS_readv, {FD, IOV, 1}}, {"writev iov", SYS_writev, {FD, IOV, 1}},
    {"writev pipe iov", SYS_writev, {PIPEW, IOV, 2}}, {"preadv", SYS_preadv, {FD, IOV, 2, 0, 0}}, {"pwritev", SYS_pwritev, {FD, IOV, 2, 0, 0}}, {"preadv2", SYS_preadv2, {FD, IOV, 1, 0, 0, 0}},
    {"vmsplice", SYS_vmsplice, {PIPEW, IOV, 1, 0}}, {"stat", SYS_stat, {P, OK}}, {"stat buf", SYS_stat, {PATH, P}}, {"lstat", SYS_lstat, {PATH, P}}, {"fstat", SYS_fstat, {FD, P}},
    {"newfstatat", SYS_newfstatat, {AT_FDCWD, PATH, P, 0}}, {"newfstatat path", SYS_newfstatat, {AT_FDCWD, P, OK, 0}}, {"statx", SYS_statx, {AT_FDCWD, PATH, 0, 0x7ff, P}}, {"statx path", SYS_statx, {AT_FDCWD, P, 0, 0x7ff, OK}},
    {"statfs", SYS_statfs, {PATH, P}}, {"fstatfs", SYS_fstatfs, {FD, P}}, {"statfs path", SYS_statfs, {P, OK}}, {"open", SYS_open, {P, 0, 0}}, {"openat", SYS_openat, {AT_FDCWD, P, 0, 0}}, {"openat2 path", SYS_openat2, {AT_FDCWD, P, OK, 24}},
    {"openat2 how", SYS_openat2, {AT_FDCWD, PATH, P, 24}}, {"creat", SYS_creat, {P, 0600}}, {"access", SYS_access, {P, 0}}, {"faccessat2", 439, {AT_FDCWD, P, 0, 0}}, {"chdir", SYS_chdir, {P}}, {"mkdir", SYS_mkdir, {P, 0}},
    {"rmdir", SYS_rmdir, {P}}, {"unlink", SYS_unlink, {P}}, {"rename", SYS_rename, {P, PATH}}, {"rename to", SYS_rename, {PATH, P}}, {"renameat2", SYS_renameat2, {AT_FDCWD, P, AT_FDCWD, P, 0}}, {"link", SYS_link, {P, PATH}},
    {"symlink", SYS_symlink, {P, PATH}}, {"symlink to", SYS_symlink, {PATH, P}}, {"readlink", SYS_readlink, {LINK, P, 64}}, {"readlink path", SYS_readlink, {P, OK, 64}}, {"chmod", SYS_chmod, {P, 0}}, {"chown", SYS_chown, {P, 0, 0}},
    {"truncate", SYS_truncate, {P, 0}}, {"utimensat", SYS_utimensat, {AT_FDCWD, PATH, P, 0}}, {"utimes", SYS_utimes, {PATH, P}}, {"utime", SYS_utime, {PATH, P}}, {"getcwd", SYS_getcwd, {P, 4096}}, {"mknod", SYS_mknod, {P, 0010600, 0}},
    {"setxattr", SYS_setxattr, {PATH, P, OK, 1, 0}}, {"setxattr value", SYS_setxattr, {PATH, OK, P, 8, 0}}, {"getxattr", SYS_getxattr, {PATH, P, OK, 8}}, {"listxattr", SYS_listxattr, {P, OK, 8}}, {"removexattr", SYS_removexattr, {PATH, P}},
    {"sendfile off", SYS_sendfile, {PIPEW, FD, P, 16}}, {"copy_file_range", SYS_copy_file_range, {FD, P, FD, 0, 16, 0}}, {"splice off", SYS_splice, {FD, P, PIPEW, 0, 16, 0}}, {"pipe", SYS_pipe, {P}}, {"pipe2", SYS_pipe2, {P, 0}},
    {"socketpair", SYS_socketpair, {AF_UNIX, SOCK_STREAM, 0, P}}, {"bind", SYS_bind, {SOCK, P, 16}}, {"connect", SYS_connect, {SOCK, P, 16}}, {"getsockname", SYS_getsockname, {SOCK, P, OK}}, {"getsockname len", SYS_getsockname, {SOCK, OK, P}},
    {"getpeername", SYS_getpeername, {SOCK, OK, P}}, {"accept", SYS_accept, {SOCK, P, P}}, {"sendto", SYS_sendto, {SOCK, P, 16, 0, 0, 0}}, {"sendto addr", SYS_sendto, {SOCK, OK, 16, 0, P, 16}, 1}, {"recvfrom", SYS_recvfrom, {SOCK, P, 16, MSG_DONTWAIT, 0, 0}},
    {"sendmsg", SYS_sendmsg, {SOCK, P, 0}}, {"recvmsg", SYS_recvmsg, {SOCK, P, MSG_DONTWAIT}}, {"sendmsg iov", SYS_sendmsg, {SOCK, MSG, 0}}, {"recvmsg iov", SYS_recvmsg, {SOCK, MSG, MSG_DONTWAIT}}, {"sendmsg control", SYS_sendmsg, {SOCK, MSG2, 0}},
    {"sendmmsg", SYS_sendmmsg, {SOCK, P, 2, 0}}, {"recvmmsg", SYS_recvmmsg, {SOCK, P, 2, MSG_DONTWAIT, 0}}, {"getsockopt", SYS_getsockopt, {SOCK, SOL_SOCKET, SO_TYPE, P, OK}}, {"getsockopt len", SYS_getsockopt, {SOCK, SOL_SOCKET, SO_TYPE, OK, P}},
    {"setsockopt", SYS_setsockopt, {SOCK, SOL_SOCKET, SO_PASSCRED, P, 4}}, {"poll", SYS_poll, {P, 1, 0}}, {"ppoll", SYS_ppoll, {P, 1, 0, 0, 8}}, {"ppoll time", SYS_ppoll, {0, 0, P, 0, 8}}, {"ppoll mask", SYS_ppoll, {0, 0, OK, P, 8}},
    {"select", SYS_select, {64, P, 0, 0, OK}}, {"select time", SYS_select, {0, 0, 0, 0, P}}, {"pselect6", SYS_pselect6, {64, 0, P, 0, OK, 0}}, {"pselect6 mask", SYS_pselect6, {0, 0, 0, 0, OK, P}}, {"epoll_ctl", SYS_epoll_ctl, {EPOLL, EPOLL_CTL_ADD, PIPER, P}},
    {"epoll_wait", SYS_epoll_wait, {EPOLL, P, 4, 0}}, {"epoll_pwait mask", SYS_epoll_pwait, {EPOLL, OK, 4, 0, P, 8}}, {"epoll_pwait2", 441, {EPOLL, OK, 4, P, 0, 8}}, {"signalfd", SYS_signalfd4, {-1, P, 8, 0}}, {"timerfd_settime", SYS_timerfd_settime, {TFD, 0, P, 0}},
    {"timerfd_settime old", SYS_timerfd_settime, {TFD, 0, OK, P}}, {"timerfd_gettime", SYS_timerfd_gettime, {TFD, P}}, {"timer_create", SYS_timer_create, {0, P, OK}}, {"timer_create id", SYS_timer_create, {0, SEV, P}}, {"setitimer", SYS_setitimer, {0, P, 0}},
    {"setitimer old", SYS_setitimer, {0, OK, P}}, {"getitimer", SYS_getitimer, {0, P}}, {"nanosleep", SYS_nanosleep, {P, 0}}, {"clock_nanosleep", SYS_clock_nanosleep, {0, 0, P, 0}}, {"clock_gettime", SYS_clock_gettime, {0, P}}, {"clock_getres", SYS_clock_getres, {0, P}},
    {"clock_settime", SYS_clock_settime, {0, P}}, {"gettimeofday", SYS_gettimeofday, {P, 0}}, {"time", SYS_time, {P}}, {"times", SYS_times, {P}}, {"getrusage", SYS_getrusage, {0, P}}, {"getrlimit", SYS_getrlimit, {7, P}}, {"setrlimit", SYS_setrlimit, {7, P}},
    {"prlimit", SYS_prlimit64, {0, 7, P, 0}}, {"prlimit old", SYS_prlimit64, {0, 7, 0, P}}, {"sysinfo", SYS_sysinfo, {P}}, {"uname", SYS_uname, {P}}, {"getcpu", SYS_getcpu, {P, 0, 0}}, {"getrandom", SYS_getrandom, {P, 16, 0}}, {"getgroups", SYS_getgroups, {64, P}, 1},
    {"setgroups", SYS_setgroups, {1, P}}, {"getresuid", SYS_getresuid, {P, OK, OK}}, {"capget", SYS_capget, {P, OK}}, {"capset", SYS_capset, {P, OK}}, {"sched_getaffinity", SYS_sched_getaffinity, {0, 128, P}}, {"sched_setaffinity", SYS_sched_setaffinity, {0, 128, P}},
    {"sched_getparam", SYS_sched_getparam, {0, P}}, {"sched_setscheduler", SYS_sched_setscheduler, {0, 0, P}}, {"sched_getattr", SYS_sched_getattr, {0, P, 48, 0}}, {"sched_rr_get_interval", SYS_sched_rr_get_interval, {0, P}}, {"rt_sigaction", SYS_rt_sigaction, {10, P, 0, 8}},
    {"rt_sigaction old", SYS_rt_sigaction, {10, 0, P, 8}}, {"rt_sigprocmask", SYS_rt_sigprocmask, {0, P, 0, 8}}, {"rt_sigprocmask old", SYS_rt_sigprocmask, {0, 0, P, 8}}, {"rt_sigpending", SYS_rt_sigpending, {P, 8}}, {"rt_sigtimedwait", SYS_rt_sigtimedwait, {P, 0, OK, 8}},
    {"rt_sigtimedwait time", SYS_rt_sigtimedwait, {OK, 0, P, 8}}, {"rt_sigsuspend", SYS_rt_sigsuspend, {P, 8}}, {"rt_sigqueueinfo", SYS_rt_sigqueueinfo, {1, 10, P}}, {"rt_tgsigqueueinfo", SYS_rt_tgsigqueueinfo, {1, 1, 10, P}}, {"sigaltstack", SYS_sigaltstack, {P, 0}},
    {"sigaltstack old", SYS_sigaltstack, {0, P}}, {"pidfd_send_signal", SYS_pidfd_send_signal, {FD, 10, P, 0}}, {"futex wait", SYS_futex, {P, FUTEX_WAIT, 0, OK, 0, 0}}, {"futex time", SYS_futex, {OK, FUTEX_WAIT, 0, P, 0, 0}},
    {"futex requeue", SYS_futex, {OK, FUTEX_CMP_REQUEUE, 1, 1, P, 1}}, {"futex wake_op", SYS_futex, {OK, FUTEX_WAKE_OP, 1, 1, P, 0}}, {"futex lock_pi", SYS_futex, {P, FUTEX_LOCK_PI, 0, 0, 0, 0}}, {"futex shared", SYS_futex, {P, FUTEX_WAIT, 0, 0, 0, 0}},
    {"futex_waitv", 449, {P, 1, 0, 0, 0}}, {"get_robust_list", SYS_get_robust_list, {0, P, OK}}, {"set_robust_list", SYS_set_robust_list, {P, 24}, 1}, {"set_tid_address", SYS_set_tid_address, {P}, 1}, {"rseq", SYS_rseq, {P, 32, 0, 0x53053053}},
    {"execve", SYS_execve, {P, 0, 0}}, {"execve argv", SYS_execve, {PATH, P, 0}}, {"execve env", SYS_execve, {PATH, 0, P}}, {"execveat", SYS_execveat, {AT_FDCWD, P, 0, 0, 0}}, {"waitid", SYS_waitid, {0, 0, P, WEXITED | WNOHANG, 0}}, {"clone3", SYS_clone3, {P, 88}},
    {"clone parent_tid", SYS_clone, {CLONE_PARENT_SETTID | SIGCHLD, 0, P, 0, 0}, 1}, {"clone pidfd", SYS_clone, {CLONE_PIDFD | SIGCHLD, 0, P, 0, 0}}, {"arch_prctl", SYS_arch_prctl, {0x1003, P}}, {"prctl name", SYS_prctl, {PR_SET_NAME, P}}, {"prctl get name", SYS_prctl, {PR_GET_NAME, P}},
    {"prctl pdeath", SYS_prctl, {PR_GET_PDEATHSIG, P}}, {"fcntl lock", SYS_fcntl, {FD, F_SETLK, P}}, {"fcntl getlk", SYS_fcntl, {FD, F_GETLK, P}}, {"fcntl owner", SYS_fcntl, {FD, F_SETOWN_EX, P}}, {"ioctl", SYS_ioctl, {PIPER, 0x541b, P}}, {"ioctl tcgets", SYS_ioctl, {PTMX, 0x5401, P}},
    {"ioctl tcsets", SYS_ioctl, {PTMX, 0x5402, P}}, {"ioctl winsize", SYS_ioctl, {PTMX, 0x5413, P}}, {"ioctl ptn", SYS_ioctl, {PTMX, 0x80045430, P}}, {"mincore", SYS_mincore, {OK, 4096, P}}, {"memfd_create", SYS_memfd_create, {P, 0}}, {"mount", SYS_mount, {P, PATH, P, 0, 0}},
    {"umount2", SYS_umount2, {P, 0}}, {"chroot", SYS_chroot, {P}}, {"pivot_root", SYS_pivot_root, {P, P}}, {"sethostname", SYS_sethostname, {P, 4}}, {"syslog", SYS_syslog, {3, P, 16}, 1}, {"inotify_add_watch", SYS_inotify_add_watch, {FD, P, 1}},
    {"name_to_handle_at", SYS_name_to_handle_at, {AT_FDCWD, PATH, P, OK, 0}}, {"process_vm_readv", SYS_process_vm_readv, {PARENT, P, 1, FINE, 1, 0}},
    {"process_vm_readv pieces", SYS_process_vm_readv, {PARENT, FINE, 1, P, 1, 0}}, {"process_vm_readv to", SYS_process_vm_readv, {PARENT, IOV, 1, FINE, 1, 0}}, {"process_vm_readv from", SYS_process_vm_readv, {PARENT, FINE, 1, IOV, 1, 0}},
    {"process_vm_readv self", SYS_process_vm_readv, {SELF, FINE, 1, IOV, 1, 0}}, {"process_vm_writev from", SYS_process_vm_writev, {PARENT, IOV, 1, FINE, 1, 0}}, {"process_vm_writev to", SYS_process_vm_writev, {PARENT, FINE, 1, IOV, 1, 0}},
    {"process_vm_writev self", SYS_process_vm_writev, {SELF, FINE, 1, IOV, 1, 0}}, {"mem read", SYS_pread64, {MEM, OK, 16, P}}, {"mem write", SYS_pwrite64, {MEM, OK, 16, P}}, {"mem read to", SYS_pread64, {MEM, P, 16, OK}}, {"mem write from", SYS_pwrite64, {MEM, P, 16, OK}}, {"io_setup", SYS_io_setup, {8, P}}, {"io_uring_setup", 425, {8, P}}, {"bpf", SYS_bpf, {0, P, 64}}, {"perf_event_open", SYS_perf_event_open, {P, 0, -1, -1, 0}},
    {"userfaultfd", SYS_userfaultfd, {0}}, {"modify_ldt", SYS_modify_ldt, {1, P, 16}}, {"modify_ldt read", SYS_modify_ldt, {0, P, 16}, 1}, {"add_key", SYS_add_key, {P, P, P, 8, -3}}, {"landlock_create_ruleset", 444, {P, 8, 0}}, {"seccomp", SYS_seccomp, {1, 0, P}},
    {"ptrace peek", SYS_ptrace, {1, 1, P, OK}}, {"kcmp", SYS_kcmp, {1, 1, 0, 0, 0}, 1}, {"swapon", SYS_swapon, {P, 0}}, {"acct", SYS_acct, {P}}, {"quotactl", SYS_quotactl, {0, P, 0, P}}, {"init_module", SYS_init_module, {P, 16, P}}, {"adjtimex", SYS_adjtimex, {P}}, {"clock_adjtime", SYS_clock_adjtime, {0, P}},
    {"msgsnd", SYS_msgsnd, {0, P, 8, 0}}, {"semop", SYS_semop, {0, P, 1}}, {"mq_open", SYS_mq_open, {P, 0, 0, 0}}, {"getitimer prof", SYS_getitimer, {2, P}}, {"ustat", SYS_ustat, {0, P}}, {"uselib", SYS_uselib, {P}}, {"set_thread_area", SYS_set_thread_area, {P}}, {"migrate_pages", SYS_migrate_pages, {0, 64, P, P}},
    {"move_pages", SYS_move_pages, {0, 1, P, 0, P, 0}}, {"get_mempolicy", SYS_get_mempolicy, {P, OK, 64, 0, 0}}, {"cachestat", 451, {FD, P, OK, 0}}, {"statmount", 457, {P, OK, 64, 0}}, {"listmount", 458, {P, OK, 4, 0}},
};

static unsigned long bad[] = {KERNEL, KERNEL + 0x1234, HEAP, SLOTS + 0x8000, OPEN_PAGES, TRUSTED, TRUSTED + 8, JUMP_ALIAS, KERNEL_END - 8, KERNEL - 4, RAM_WINDOW, RAM_WINDOW + 64,
    0x7ffffffff000, 0x7fffffffeffe, 0x800000000000, 0xffff800000000000, 0xffffffffff600000, -1ul, -8ul, -4096ul, 1, 8};
static char *good; static int fd, dirfd_, ep, tfd, efd, pp[2], sv[2], ptmx, mem;

static long value(long v, unsigned long p) {
    struct iovec *iov = (void *)(good + 32768);
    struct msghdr *mh = (void *)(good + 33792);
    switch (v) {
    case P: return p; case OK: return (long)good; case PATH: return (long)"/tmp/a14"; case LINK: return (long)"/proc/self/exe";
    case FD: return fd; case PIPER: return pp[0]; case PIPEW: return pp[1]; case SOCK: return sv[0]; case EPOLL: return ep; case DIRFD: return dirfd_; case TFD: return tfd; case EFD: return efd; case PTMX: return ptmx;
    case MEM: return mem; case SELF: return getpid(); case PARENT: return getppid();
    case FINE: { struct iovec *f = (void *)(good + 34816); f[0] = (struct iovec){good + 36864, 16}; return (long)f; }
    case IOV: iov[0] = (struct iovec){(void *)p, 16}; iov[1] = (struct iovec){(void *)p, 1 << 20}; return (long)iov;
    case MSG: memset(mh, 0, sizeof *mh); iov[0] = (struct iovec){(void *)p, 16}; mh->msg_iov = iov; mh->msg_iovlen = 1; return (long)mh;
    case MSG2: memset(mh, 0, sizeof *mh); iov[0] = (struct iovec){good, 16}; mh->msg_iov = iov; mh->msg_iovlen = 1; mh->msg_control = (void *)p; mh->msg_controllen = 64; return (long)mh;
    case SEV: { struct sigevent *s = (void *)(good + 40000); memset(s, 0, sizeof *s); s->sigev_notify = SIGEV_NONE; return (long)s; }
    }
    return v;
}
static void nothing(int s) {}
static void one_row(void *at) {
    unsigned i = *(unsigned *)at;
    struct sigaction sa = {.sa_handler = nothing};
    sigaction(SIGALRM, &sa, 0);
    for (unsigned b = 0; b < COUNT(bad); b++) {
        memset(good, 0, 32768);
        uint64_t one = 1;
        write(efd, &one, 8);  // something to read, and an event
        *(int *)good = strstr(rows[i].name, "sock") || strstr(rows[i].name, "peer") ? 128 : 0;
        struct itimerval it = {.it_value.tv_usec = 300000};
        setitimer(ITIMER_REAL, &it, 0);
        long a[6];
        for (int k = 0; k < 6; k++) a[k] = value(rows[i].a[k], bad[b]);
        long r = raw(rows[i].nr, a[0], a[1], a[2], a[3], a[4], a[5]);
        if (rows[i].nr == SYS_clone && r == 0) _exit(0);
        // Addresses below a page and at the top of the application's memory are merely bad; the rest must never be taken.
        if (r >= 0 && !rows[i].may) HOLE("%s with %#lx gives %ld", rows[i].name, bad[b], r);
        if (r == -EINTR) HOLE("%s with %#lx waits", rows[i].name, bad[b]);
        if (r < -4095) HOLE("%s with %#lx gives %#lx", rows[i].name, bad[b], r);
    }
    _exit(holes > 100 ? 100 : holes);
}
// Noted now, used later: by the dying thread, by a timer, by exec.
static void *cleartid(void *p) { raw(SYS_set_tid_address, (long)p, 0, 0, 0, 0, 0); raw(SYS_set_robust_list, (long)p, 24, 0, 0, 0, 0); raw(SYS_exit, 0, 0, 0, 0, 0, 0); return 0; }
static void later(void *p) {
    unsigned long at = *(unsigned long *)p;
    pthread_t t;
    // The C library would wait for its own word; these threads are simply left.
    for (int i = 0; i < 4; i++) pthread_create(&t, 0, cleartid, (void *)at);
    unsigned long head[3] = {at, 0, at};
    raw(SYS_set_robust_list, (long)head, 24, 0, 0, 0, 0);
    unsigned long loop[3] = {(unsigned long)loop, -8, 0};
    raw(SYS_set_robust_list, (long)loop, 24, 0, 0, 0, 0);
    if (fork() == 0) _exit(0);
    struct { unsigned long flags, pidfd, ctid, ptid, sig, stack, ssz, tls; } c = {CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID, 0, at, 0, SIGCHLD, 0, 0, 0};
    if (raw(SYS_clone3, (long)&c, 64, 0, 0, 0, 0) == 0) raw(SYS_exit_group, 0, 0, 0, 0, 0, 0);
    usleep(20000);
    raw(SYS_set_robust_list, at, 24, 0, 0, 0, 0);
    raw(SYS_exit_group, 0, 0, 0, 0, 0, 0);
}
int main(void) {
    good = mmap(0, 65536, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    fd = open("/tmp/a14", O_RDWR | O_CREAT, 0644);
    write(fd, good, 65536); lseek(fd, 0, SEEK_SET);
    dirfd_ = open("/", O_RDONLY); ep = epoll_create1(0); tfd = timerfd_create(CLOCK_MONOTONIC, 0); efd = eventfd(1, EFD_NONBLOCK);
    pipe2(pp, O_NONBLOCK); write(pp[1], "x", 1); socketpair(AF_UNIX, SOCK_STREAM, 0, sv); write(sv[1], "hello world, hello world", 24);
    mem = open("/proc/self/mem", O_RDWR);
    ptmx = open("/dev/ptmx", O_RDWR | O_NOCTTY);
    struct epoll_event ev = {EPOLLIN}; epoll_ctl(ep, EPOLL_CTL_ADD, efd, &ev);
    sigset_t s; sigemptyset(&s);
    for (unsigned i = 0; i < COUNT(rows); i++) {
        int st = in_child(one_row, &i);
        if (WIFEXITED(st)) holes += WEXITSTATUS(st);
        else if (!(WIFSIGNALED(st) && WTERMSIG(st) == SIGSEGV && rows[i].may)) HOLE("%s: the child ended with %#x", rows[i].name, st);
    }
    for (unsigned b = 0; b < COUNT(bad); b++) in_child(later, &bad[b]);
    return holes > 100 ? 100 : holes;
}
