//! The host-call list: number, reason, and what the seccomp filter checks about the arguments.
//!
//! Adding a host call means adding a row here, with its reason, in the group that it belongs to.

/// What the filter requires of one argument.
#[derive(Clone, Copy, Debug)]
pub enum Check {
    /// Nothing: the call is harmless with any argument (or Landlock confines it).
    Any,
    /// `arg & mask` must be zero.
    Clear { arg: usize, mask: u32 },
    /// The low 32 bits of the argument must be one of these.
    OneOf { arg: usize, values: &'static [u32] },
    /// As `OneOf`; and where the argument is `when`, argument `other` must be `must`.
    Pinned { arg: usize, values: &'static [u32], when: u32, other: usize, must: u32 },
    /// All 64 bits of the argument must be zero.
    Null { arg: usize },
}

/// One row of the host-call list.
#[derive(Clone, Copy, Debug)]
pub struct HostCall {
    pub name: &'static str,
    pub nr: u32,
    pub reason: &'static str,
    pub check: Check,
}

macro_rules! host_calls {
    ($($name:ident = $nr:literal, $reason:literal $(, $check:expr)?;)*) => {
        /// System-call numbers of the rows, by name.
        pub mod nr { $(#[allow(non_upper_case_globals)] pub const $name: i64 = $nr;)* }
        /// Every host call that the guest kernel may make.
        pub const TABLE: &[HostCall] = &[$(HostCall {
            name: stringify!($name), nr: $nr, reason: $reason, check: host_calls!(@check $($check)?),
        }),*];
    };
    (@check $check:expr) => { $check };
    (@check) => { Check::Any };
}

/// clone(2): every CLONE_NEW* flag, CLONE_PTRACE and CLONE_UNTRACED.
const CLONE_FORBIDDEN: u32 = 0x7e02_0000 | 0x80 | 0x2000 | 0x0080_0000;
const PR_SET_PDEATHSIG: u32 = 1;
/// What is asked of prctl(2) after boot: the parent-death signal, PR_SET_SYSCALL_USER_DISPATCH.
const PRCTLS: &[u32] = &[PR_SET_PDEATHSIG, 59];
const SIGKILL: u32 = 9;
/// FIONREAD, TCGETS, TCSETS, TIOCGWINSZ: what a console's descriptor answers.
const IOCTLS: &[u32] = &[0x541b, 0x5401, 0x5402, 0x5413];

host_calls! {
    // Files: everything beneath descriptors from the VMM, confined by Landlock.
    read = 0, "console input, directory and volume files";
    write = 1, "console output, volume files";
    close = 3, "descriptors this kernel opened";
    poll = 7, "is the console ready";
    lseek = 8, "SEEK_DATA and SEEK_HOLE of volume files; positions of files that are standard streams";
    ioctl = 16, "size of what the console has ready", Check::OneOf { arg: 1, values: IOCTLS };
    pread64 = 17, "file contents";
    pwrite64 = 18, "file contents";
    readv = 19, "console input";
    writev = 20, "console output";
    preadv = 295, "file contents";
    pwritev = 296, "file contents";
    openat2 = 437, "open beneath a passed directory (RESOLVE_BENEATH; Landlock)";
    statx = 332, "attributes of host files";
    getdents64 = 217, "host directories";
    readlinkat = 267, "host symbolic links";
    mkdirat = 258, "writable volumes";
    mknodat = 259, "FIFOs in writable volumes";
    unlinkat = 263, "writable volumes";
    renameat2 = 316, "writable volumes";
    linkat = 265, "writable volumes";
    symlinkat = 266, "writable volumes";
    fchmodat = 268, "writable volumes";
    fchmod = 91, "writable volumes";
    fchownat = 260, "writable volumes";
    utimensat = 280, "writable volumes";
    ftruncate = 77, "writable volumes and the RAM file";
    fallocate = 285, "writable volumes; giving RAM back by punching holes";
    fsync = 74, "writable volumes";
    fdatasync = 75, "writable volumes";
    copy_file_range = 326, "writable volumes";
    fstatfs = 138, "statfs of volumes";
    fgetxattr = 193, "extended attributes of volumes";
    flistxattr = 196, "extended attributes of volumes";
    fcntl = 72, "F_GETFL, F_DUPFD_CLOEXEC, F_ADD_SEALS, F_GETPIPE_SZ on own descriptors", Check::OneOf { arg: 1, values: &[3, 1030, 1033, 1032] };
    // Memory.
    mmap = 9, "the MMU";
    mprotect = 10, "the MMU";
    munmap = 11, "the MMU";
    mremap = 25, "the MMU";
    msync = 26, "write-back of volume files";
    mincore = 27, "residency";
    madvise = 28, "the MMU";
    pkey_mprotect = 329, "the MMU, pkey guard";
    // Threads and processes.
    futex = 202, "sleeping and waking";
    futex_waitv = 449, "the guest's futex_waitv (hosts from 5.16 on)";
    clone = 56, "guest processes and threads", Check::Clear { arg: 0, mask: CLONE_FORBIDDEN };
    exit = 60, "end of a guest thread; a host process ends with its last";
    exit_group = 231, "end of a guest kernel that panicked";
    getpid = 39, "own host identity";
    getppid = 110, "is the supervisor still there";
    gettid = 186, "own host identity";
    tgkill = 234, "kick a thread of this VM (Landlock scope)";
    rt_sigaction = 13, "the trap handlers of a new process";
    rt_sigprocmask = 14, "signals of the supervisor; none for a thread without a trap stack of its own";
    sigaltstack = 131, "the trap stack of a new thread";
    prctl = 157, "syscall user dispatch; the parent-death signal, which may only be SIGKILL (H12)",
        Check::Pinned { arg: 0, values: PRCTLS, when: PR_SET_PDEATHSIG, other: 1, must: SIGKILL };
    sched_yield = 24, "the guest's sched_yield";
    sched_setaffinity = 203, "virtual processors";
    sched_getaffinity = 204, "virtual processors";
    getrusage = 98, "times";
    waitid = 247, "the supervisor reaps guest-machine processes";
    membarrier = 324, "the guest's membarrier; code patching", Check::Any;
    getrandom = 318, "entropy";
    // Time.
    clock_gettime = 228, "clocks";
    clock_getres = 229, "clocks";
    gettimeofday = 96, "the vsyscall page: the host runs what programs call there (old static ones do), asking this filter";
    time = 201, "the vsyscall page";
    getcpu = 309, "the vsyscall page";
    clock_nanosleep = 230, "the guest's sleeps";
    timerfd_settime = 286, "the guest's timers";
    setitimer = 38, "timer interrupt of the virtual processor (ITIMER_REAL)", Check::OneOf { arg: 0, values: &[0] };
    // Events of the supervisor.
    epoll_ctl = 233, "devices: which descriptors are waited for";
    epoll_pwait = 281, "devices: wait";
    recvmsg = 47, "control channel";
    sendto = 44, "control channel (connected: no address)", Check::Null { arg: 4 };
    sendmsg = 46, "control channel";
}
