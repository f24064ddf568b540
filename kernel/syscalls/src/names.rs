//! The names of flags and numbers, as strace spells them. The numbers are those of Linux's headers.

use crate::kind::{Kind, Names, Value};
use crate::layouts::{EPOLL_EVENT, FLOCK, INT, PID, TIMESPEC, WINDOW_SIZE, WORD};
use abi::ioctl::*;
use abi::linux::*;
use abi::net::*;
use abi::prctl::*;

/// What the headers of `linux-raw-sys` leave out, or call otherwise.
mod more {
    pub const SOCK_CLOEXEC: u32 = super::O_CLOEXEC;
    pub const SOCK_NONBLOCK: u32 = super::O_NONBLOCK;
    pub const SFD_CLOEXEC: u32 = super::O_CLOEXEC;
    pub const SFD_NONBLOCK: u32 = super::O_NONBLOCK;
    pub const CLOSE_RANGE_UNSHARE: u32 = 2;
    pub const CLOSE_RANGE_CLOEXEC: u32 = 4;
    pub const SCHED_OTHER: u32 = super::SCHED_NORMAL;
    pub const MSG_WAITFORONE: u32 = 0x1_0000;
    pub const ARCH_SET_GS: u32 = 0x1001;
    pub const ARCH_GET_FS: u32 = 0x1003;
    pub const ARCH_GET_GS: u32 = 0x1004;
    pub const SIG_DFL: u32 = 0;
    pub const SIG_IGN: u32 = 1;
}
use more::*;

/// `NAME` or `NAME [kinds of the arguments behind it]`, each.
macro_rules! values {
    ($($name:ident $([$($kind:ident $(($of:ident))?),*])?),* $(,)?) => {
        &[$(Value { number: $name as i64 as u64, name: stringify!($name), next: next!($([$($kind $(($of))?),*])?) }),*]
    };
}

macro_rules! next {
    () => { None };
    ([$($kind:ident $(($of:ident))?),*]) => { Some(&[$(Kind::$kind $((&$of))?),*]) };
}

/// Numbers that mean one thing each.
const fn one(prefix: &'static str, values: &'static [Value]) -> Names {
    Names { prefix, field: u64::MAX, values, bits: &[], bits_first: false }
}

/// Flags.
const fn bits(prefix: &'static str, bits: &'static [Value]) -> Names {
    Names { prefix, field: 0, values: &[], bits, bits_first: false }
}

/// Flags, and a number in the bits `field`.
const fn both(prefix: &'static str, field: u32, values: &'static [Value], bits: &'static [Value]) -> Names {
    Names { prefix, field: field as u64, values, bits, bits_first: false }
}

// Files.

pub static OPEN_FLAGS: Names = both(
    "O_",
    O_ACCMODE,
    values![O_RDONLY, O_WRONLY, O_RDWR],
    values! {
        O_TMPFILE, O_SYNC, O_CREAT, O_EXCL, O_NOCTTY, O_TRUNC, O_APPEND, O_NONBLOCK, O_DSYNC, FASYNC, O_DIRECT,
        O_LARGEFILE, O_DIRECTORY, O_NOFOLLOW, O_NOATIME, O_CLOEXEC, O_PATH
    },
);
/// Flags of a new descriptor (pipe2, dup3).
pub static FD_FLAGS: Names = bits("O_", values![O_CLOEXEC, O_NONBLOCK, O_DIRECT]);
pub static AT_FLAGS: Names = bits(
    "AT_",
    values! {
        AT_SYMLINK_NOFOLLOW, AT_SYMLINK_FOLLOW, AT_NO_AUTOMOUNT, AT_EMPTY_PATH, AT_STATX_FORCE_SYNC,
        AT_STATX_DONT_SYNC, AT_RECURSIVE
    },
);
/// The bit that means AT_EACCESS there means this here.
pub static UNLINK_FLAGS: Names = bits("AT_", values![AT_REMOVEDIR]);
pub static ACCESS_FLAGS: Names = bits("AT_", values![AT_EACCESS, AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH]);
pub static ACCESS: Names = bits("?_OK", values![F_OK, R_OK, W_OK, X_OK]);
pub static WHENCE: Names = one("SEEK_", values![SEEK_SET, SEEK_CUR, SEEK_END, SEEK_DATA, SEEK_HOLE]);
pub static CLOEXEC: Names = bits("FD_", values![FD_CLOEXEC]);
pub static FCNTL: Names = one(
    "F_",
    values! {
        F_DUPFD [Int], F_GETFD [Result(CLOEXEC)], F_SETFD [Named(CLOEXEC)], F_GETFL [Result(OPEN_FLAGS)], F_SETFL [Named(OPEN_FLAGS)],
        F_GETLK [InOut(FLOCK)], F_SETLK [In(FLOCK)], F_SETLKW [In(FLOCK)], F_SETOWN [Int], F_GETOWN [],
        F_SETSIG [Sig], F_GETSIG [], F_SETOWN_EX [Ptr], F_GETOWN_EX [Ptr], F_OFD_GETLK [InOut(FLOCK)],
        F_OFD_SETLK [In(FLOCK)], F_OFD_SETLKW [In(FLOCK)], F_SETLEASE [Named(LOCK_TYPE)], F_GETLEASE [],
        F_NOTIFY [Hex], F_DUPFD_CLOEXEC [Int], F_SETPIPE_SZ [Size], F_GETPIPE_SZ [], F_ADD_SEALS [Named(SEALS)],
        F_GET_SEALS [Result(SEALS)]
    },
);
pub static SEALS: Names =
    bits("F_SEAL_", values![F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE, F_SEAL_FUTURE_WRITE, F_SEAL_EXEC]);
pub static LOCK_TYPE: Names = one("F_", values![F_RDLCK, F_WRLCK, F_UNLCK]);
pub static LOCK: Names = bits("LOCK_", values![LOCK_SH, LOCK_EX, LOCK_UN, LOCK_NB]);
pub static IOCTL: Names = one(
    "",
    values! {
        TCGETS [Ptr], TCSETS [Ptr], TCSETSW [Ptr], TCSETSF [Ptr], TCSBRK [Int], TCXONC [Int], TCFLSH [Int],
        TCGETS2 [Ptr], TCSETS2 [Ptr], TCSETSW2 [Ptr], TCSETSF2 [Ptr], TIOCEXCL [], TIOCNXCL [], TIOCSCTTY [Int],
        TIOCNOTTY [], TIOCGPGRP [Out(PID)], TIOCSPGRP [In(PID)], TIOCGSID [Out(PID)], TIOCOUTQ [Out(INT)],
        TIOCSTI [Ptr], TIOCGWINSZ [Out(WINDOW_SIZE)], TIOCSWINSZ [In(WINDOW_SIZE)], FIONREAD [Out(INT)],
        FIONBIO [In(INT)], FIOASYNC [In(INT)], FIOCLEX [], FIONCLEX [], TIOCPKT [In(INT)], TIOCSPTLCK [In(INT)],
        TIOCGPTN [Out(INT)], TIOCGPTPEER [Named(OPEN_FLAGS)]
    },
);
pub static RENAME: Names = bits("RENAME_", values![RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT]);
pub static FALLOCATE: Names = bits(
    "FALLOC_FL_",
    values! {
        FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, FALLOC_FL_COLLAPSE_RANGE, FALLOC_FL_ZERO_RANGE,
        FALLOC_FL_INSERT_RANGE, FALLOC_FL_UNSHARE_RANGE
    },
);
pub static FADVISE: Names = one(
    "POSIX_FADV_",
    values! {
        POSIX_FADV_NORMAL, POSIX_FADV_RANDOM, POSIX_FADV_SEQUENTIAL, POSIX_FADV_WILLNEED, POSIX_FADV_DONTNEED,
        POSIX_FADV_NOREUSE
    },
);
pub static XATTR: Names = bits("XATTR_", values![XATTR_CREATE, XATTR_REPLACE]);
pub static STATX: Names = bits(
    "STATX_",
    values! {
        STATX_ALL, STATX_BASIC_STATS, STATX_TYPE, STATX_MODE, STATX_NLINK, STATX_UID, STATX_GID, STATX_ATIME,
        STATX_MTIME, STATX_CTIME, STATX_INO, STATX_SIZE, STATX_BLOCKS, STATX_BTIME, STATX_MNT_ID
    },
);
pub static MEMFD: Names = bits("MFD_", values![MFD_CLOEXEC, MFD_ALLOW_SEALING, MFD_HUGETLB, MFD_NOEXEC_SEAL, MFD_EXEC]);
pub static CLOSE_RANGE: Names = bits("CLOSE_RANGE_", values![CLOSE_RANGE_UNSHARE, CLOSE_RANGE_CLOEXEC]);
pub static SPLICE: Names = bits("SPLICE_F_", values![SPLICE_F_MOVE, SPLICE_F_NONBLOCK, SPLICE_F_MORE, SPLICE_F_GIFT]);
pub static RWF: Names = bits("RWF_", values![RWF_HIPRI, RWF_DSYNC, RWF_SYNC, RWF_NOWAIT, RWF_APPEND]);
pub static MOUNT: Names = bits(
    "MS_",
    values! {
        MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_SYNCHRONOUS, MS_REMOUNT, MS_MANDLOCK, MS_DIRSYNC,
        MS_NOSYMFOLLOW, MS_NOATIME, MS_NODIRATIME, MS_BIND, MS_MOVE, MS_REC, MS_SILENT, MS_UNBINDABLE, MS_PRIVATE,
        MS_SLAVE, MS_SHARED, MS_RELATIME, MS_STRICTATIME, MS_LAZYTIME
    },
);
pub static UMOUNT: Names = bits("MNT_", values![MNT_FORCE, MNT_DETACH, MNT_EXPIRE, UMOUNT_NOFOLLOW]);

// Memory.

pub static PROT: Names =
    bits("PROT_", values![PROT_NONE, PROT_READ, PROT_WRITE, PROT_EXEC, PROT_SEM, PROT_GROWSDOWN, PROT_GROWSUP]);
pub static MAP_FLAGS: Names = both(
    "MAP_",
    MAP_TYPE,
    values![MAP_SHARED, MAP_PRIVATE, MAP_SHARED_VALIDATE],
    values! {
        MAP_FIXED, MAP_ANONYMOUS, MAP_GROWSDOWN, MAP_DENYWRITE, MAP_EXECUTABLE, MAP_LOCKED, MAP_NORESERVE,
        MAP_POPULATE, MAP_NONBLOCK, MAP_STACK, MAP_HUGETLB, MAP_SYNC, MAP_FIXED_NOREPLACE
    },
);
pub static MREMAP: Names = bits("MREMAP_", values![MREMAP_MAYMOVE, MREMAP_FIXED, MREMAP_DONTUNMAP]);
pub static MSYNC: Names = bits("MS_", values![MS_SYNC, MS_ASYNC, MS_INVALIDATE]);
pub static MLOCKALL: Names = bits("MCL_", values![MCL_CURRENT, MCL_FUTURE, MCL_ONFAULT]);
pub static MADVISE: Names = one(
    "MADV_",
    values! {
        MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED, MADV_DONTNEED, MADV_FREE, MADV_REMOVE,
        MADV_DONTFORK, MADV_DOFORK, MADV_MERGEABLE, MADV_UNMERGEABLE, MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_DONTDUMP,
        MADV_DODUMP, MADV_WIPEONFORK, MADV_KEEPONFORK, MADV_COLD, MADV_PAGEOUT, MADV_POPULATE_READ,
        MADV_POPULATE_WRITE
    },
);

// Processes and signals.

pub static CLONE: Names = Names {
    bits_first: true,
    ..both(
        "CLONE_",
        CSIGNAL,
        values![SIGCHLD, SIGUSR1, SIGUSR2],
        values! {
            CLONE_VM, CLONE_FS, CLONE_FILES, CLONE_SIGHAND, CLONE_PIDFD, CLONE_PTRACE, CLONE_VFORK, CLONE_PARENT,
            CLONE_THREAD, CLONE_NEWNS, CLONE_SYSVSEM, CLONE_SETTLS, CLONE_PARENT_SETTID, CLONE_CHILD_CLEARTID,
            CLONE_DETACHED, CLONE_UNTRACED, CLONE_CHILD_SETTID, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC,
            CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET, CLONE_IO, CLONE_CLEAR_SIGHAND, CLONE_INTO_CGROUP
        },
    )
};
pub static WAIT: Names =
    bits("W", values![WNOHANG, WUNTRACED, WEXITED, WCONTINUED, WNOWAIT, __WNOTHREAD, __WALL, __WCLONE]);
pub static WAIT_FOR: Names = one("P_", values![P_ALL, P_PID, P_PGID, P_PIDFD]);
pub static HOW: Names = one("SIG_", values![SIG_BLOCK, SIG_UNBLOCK, SIG_SETMASK]);
pub static HANDLER: Names = one("", values![SIG_DFL, SIG_IGN]);
pub static ACTION_FLAGS: Names = bits(
    "SA_",
    values![SA_RESTORER, SA_ONSTACK, SA_RESTART, SA_NODEFER, SA_RESETHAND, SA_SIGINFO, SA_NOCLDSTOP, SA_NOCLDWAIT],
);
pub static STACK_FLAGS: Names = bits("SS_", values![SS_ONSTACK, SS_DISABLE, SS_AUTODISARM]);
pub static PRCTL: Names = one(
    "PR_",
    values! {
        PR_SET_PDEATHSIG [Sig], PR_GET_PDEATHSIG [Out(INT)], PR_GET_DUMPABLE [], PR_SET_DUMPABLE [Int],
        PR_GET_KEEPCAPS [], PR_SET_KEEPCAPS [Int], PR_SET_NAME [Str], PR_GET_NAME [Ptr], PR_GET_SECCOMP [],
        PR_SET_SECCOMP [Int, Ptr], PR_CAPBSET_READ [Int], PR_CAPBSET_DROP [Int], PR_SET_TIMERSLACK [Size],
        PR_GET_TIMERSLACK [], PR_SET_CHILD_SUBREAPER [Int], PR_GET_CHILD_SUBREAPER [Out(INT)],
        PR_SET_NO_NEW_PRIVS [Int, Int, Int, Int], PR_GET_NO_NEW_PRIVS [Int, Int, Int, Int], PR_SET_MM,
        PR_SET_PTRACER [Int], PR_SET_THP_DISABLE, PR_GET_THP_DISABLE, PR_CAP_AMBIENT, PR_SET_VMA
    },
);
pub static ARCH_PRCTL: Names =
    one("ARCH_", values![ARCH_SET_GS, ARCH_SET_FS[Ptr], ARCH_GET_FS[Out(WORD)], ARCH_GET_GS]);
pub static RESOURCE: Names = one(
    "RLIMIT_",
    values! {
        RLIMIT_CPU, RLIMIT_FSIZE, RLIMIT_DATA, RLIMIT_STACK, RLIMIT_CORE, RLIMIT_RSS, RLIMIT_NPROC, RLIMIT_NOFILE,
        RLIMIT_MEMLOCK, RLIMIT_AS, RLIMIT_LOCKS, RLIMIT_SIGPENDING, RLIMIT_MSGQUEUE, RLIMIT_NICE, RLIMIT_RTPRIO,
        RLIMIT_RTTIME
    },
);
pub static USAGE_OF: Names = one("RUSAGE_", values![RUSAGE_SELF, RUSAGE_THREAD]);
pub static PRIORITY_OF: Names = one("PRIO_", values![PRIO_PROCESS, PRIO_PGRP, PRIO_USER]);
pub static SCHEDULER: Names =
    one("SCHED_", values![SCHED_OTHER, SCHED_FIFO, SCHED_RR, SCHED_BATCH, SCHED_IDLE, SCHED_DEADLINE]);
pub static FUTEX: Names = Names {
    field: !(FUTEX_CLOCK_REALTIME as u64),
    bits: values![FUTEX_CLOCK_REALTIME],
    ..one(
        "FUTEX_",
        values! {
            FUTEX_WAIT [Int, In(TIMESPEC)], FUTEX_WAIT_PRIVATE [Int, In(TIMESPEC)], FUTEX_WAKE [Int],
            FUTEX_WAKE_PRIVATE [Int], FUTEX_REQUEUE [Int, Size, Ptr], FUTEX_REQUEUE_PRIVATE [Int, Size, Ptr],
            FUTEX_CMP_REQUEUE [Int, Size, Ptr, Int], FUTEX_CMP_REQUEUE_PRIVATE [Int, Size, Ptr, Int], FUTEX_WAKE_OP,
            FUTEX_WAKE_OP_PRIVATE, FUTEX_LOCK_PI [Unused, In(TIMESPEC)], FUTEX_LOCK_PI_PRIVATE [Unused, In(TIMESPEC)],
            FUTEX_UNLOCK_PI [], FUTEX_UNLOCK_PI_PRIVATE [], FUTEX_TRYLOCK_PI [], FUTEX_TRYLOCK_PI_PRIVATE [],
            FUTEX_WAIT_BITSET [Int, In(TIMESPEC), Unused, Named(BITSET)],
            FUTEX_WAIT_BITSET_PRIVATE [Int, In(TIMESPEC), Unused, Named(BITSET)],
            FUTEX_WAKE_BITSET [Int, Unused, Unused, Named(BITSET)],
            FUTEX_WAKE_BITSET_PRIVATE [Int, Unused, Unused, Named(BITSET)]
        },
    )
};
pub static BITSET: Names = one("", values![FUTEX_BITSET_MATCH_ANY]);

// Waiting and time.

pub static CLOCK: Names = one(
    "CLOCK_",
    values! {
        CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID, CLOCK_MONOTONIC_RAW,
        CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME, CLOCK_REALTIME_ALARM, CLOCK_BOOTTIME_ALARM,
        CLOCK_TAI
    },
);
pub static TIMER_FLAGS: Names = bits("TIMER_", values![TIMER_ABSTIME]);
pub static ITIMER: Names = one("ITIMER_", values![ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF]);
pub static TIMERFD_FLAGS: Names = bits("TFD_", values![TFD_CLOEXEC, TFD_NONBLOCK]);
pub static TIMERFD_SET: Names = bits("TFD_TIMER_", values![TFD_TIMER_ABSTIME, TFD_TIMER_CANCEL_ON_SET]);
pub static EVENTFD: Names = bits("EFD_", values![EFD_CLOEXEC, EFD_NONBLOCK, EFD_SEMAPHORE]);
pub static SIGNALFD: Names = bits("SFD_", values![SFD_CLOEXEC, SFD_NONBLOCK]);
pub static EPOLL_FLAGS: Names = bits("EPOLL_", values![EPOLL_CLOEXEC]);
pub static EPOLL_CTL: Names = one(
    "EPOLL_CTL_",
    values! {
        EPOLL_CTL_ADD [Fd, In(EPOLL_EVENT)], EPOLL_CTL_DEL [Fd, Ptr], EPOLL_CTL_MOD [Fd, In(EPOLL_EVENT)]
    },
);
pub static EPOLL_EVENTS: Names = bits(
    "EPOLL",
    values! {
        EPOLLIN, EPOLLPRI, EPOLLOUT, EPOLLERR, EPOLLHUP, EPOLLRDNORM, EPOLLRDBAND, EPOLLWRNORM, EPOLLWRBAND, EPOLLMSG,
        EPOLLRDHUP, EPOLLEXCLUSIVE, EPOLLWAKEUP, EPOLLONESHOT, EPOLLET
    },
);
pub static POLL_EVENTS: Names = bits(
    "POLL",
    values! {
        POLLIN, POLLPRI, POLLOUT, POLLERR, POLLHUP, POLLNVAL, POLLRDNORM, POLLRDBAND, POLLWRNORM, POLLWRBAND, POLLMSG,
        POLLRDHUP
    },
);
pub static RANDOM: Names = bits("GRND_", values![GRND_NONBLOCK, GRND_RANDOM, GRND_INSECURE]);

// Sockets.

pub static DOMAIN: Names = one("AF_", values![AF_UNSPEC, AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_VSOCK]);
pub static SOCKET_TYPE: Names = both(
    "SOCK_",
    0xf,
    values![SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_RDM, SOCK_SEQPACKET],
    values![SOCK_CLOEXEC, SOCK_NONBLOCK],
);
pub static SOCKET_FLAGS: Names = bits("SOCK_", values![SOCK_CLOEXEC, SOCK_NONBLOCK]);
pub static MESSAGE: Names = bits(
    "MSG_",
    values! {
        MSG_OOB, MSG_PEEK, MSG_DONTROUTE, MSG_CTRUNC, MSG_TRUNC, MSG_DONTWAIT, MSG_EOR, MSG_WAITALL, MSG_CONFIRM,
        MSG_ERRQUEUE, MSG_NOSIGNAL, MSG_MORE, MSG_WAITFORONE, MSG_CMSG_CLOEXEC
    },
);
pub static SHUTDOWN: Names = one("SHUT_", values![SHUT_RD, SHUT_WR, SHUT_RDWR]);
pub static SOCKET_LEVEL: Names = one("SOL_", values![SOL_SOCKET]);
pub static SOCKET_OPTION: Names = one(
    "SO_",
    values! {
        SO_REUSEADDR, SO_TYPE, SO_ERROR, SO_DONTROUTE, SO_BROADCAST, SO_SNDBUF, SO_RCVBUF, SO_KEEPALIVE, SO_PRIORITY,
        SO_LINGER, SO_REUSEPORT, SO_PASSCRED, SO_PEERCRED, SO_RCVLOWAT, SO_SNDLOWAT, SO_RCVTIMEO_OLD, SO_SNDTIMEO_OLD,
        SO_PEERNAME, SO_ACCEPTCONN, SO_PEERSEC, SO_PASSSEC, SO_SNDBUFFORCE, SO_RCVBUFFORCE, SO_PROTOCOL, SO_DOMAIN,
        SO_PEERPIDFD, SO_PASSPIDFD, SO_PEEK_OFF, SO_PEERGROUPS
    },
);

// siginfo_t's si_code: those of any signal, and those of some.

pub static ANY_CODE: Names = one("SI_", values![SI_USER, SI_KERNEL, SI_QUEUE, SI_TIMER, SI_TKILL]);
pub static CHILD_CODE: Names =
    one("CLD_", values![CLD_EXITED, CLD_KILLED, CLD_DUMPED, CLD_TRAPPED, CLD_STOPPED, CLD_CONTINUED]);
pub static SEGV_CODE: Names = one("SEGV_", values![SEGV_MAPERR, SEGV_ACCERR, SEGV_BNDERR, SEGV_PKUERR]);
pub static BUS_CODE: Names = one("BUS_", values![BUS_ADRALN, BUS_ADRERR, BUS_OBJERR]);
pub static FPE_CODE: Names = one(
    "FPE_",
    values![FPE_INTDIV, FPE_INTOVF, FPE_FLTDIV, FPE_FLTOVF, FPE_FLTUND, FPE_FLTRES, FPE_FLTINV, FPE_FLTSUB],
);
pub static ILL_CODE: Names = one(
    "ILL_",
    values![ILL_ILLOPC, ILL_ILLOPN, ILL_ILLADR, ILL_ILLTRP, ILL_PRVOPC, ILL_PRVREG, ILL_COPROC, ILL_BADSTK],
);
pub static TRAP_CODE: Names = one("TRAP_", values![TRAP_BRKPT, TRAP_TRACE, TRAP_BRANCH, TRAP_HWBKPT]);
