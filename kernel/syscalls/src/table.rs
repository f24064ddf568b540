//! The system-call table: one row a call. Dispatch, trace lines and `lodger syscalls` come from it.
//!
//! `number name(argument: kind, …) handler support "note";`; `missing` gives ENOSYS and is counted. A kind in capitals is the
//! name of a row of [`crate::names`] or [`crate::layouts`].

use crate::args::Args;
use crate::kind::Kind;
use crate::layouts::*;
use crate::names::*;
use crate::{attr, dir, mount, open, rw, stat};
use core_::{Errno, Result};

/// How far a call is supported.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Support {
    Full,
    Partial,
    Missing,
}

impl Support {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Support::Full => "full",
            Support::Partial => "partial",
            Support::Missing => "missing",
        }
    }
}

/// One row.
pub struct Call {
    pub nr: u32,
    pub name: &'static str,
    pub args: &'static [(&'static str, Kind)],
    pub handler: fn(&Args) -> Result<i64>,
    pub support: Support,
    pub note: &'static str,
}

/// One more than the highest number in the table.
pub const LEN: usize = 470;

fn missing(_: &Args) -> Result<i64> {
    Err(Errno::ENOSYS)
}

const NONE: Call = Call { nr: 0, name: "?", args: &[], handler: missing, support: Support::Missing, note: "" };

macro_rules! table {
    ($($nr:literal $name:ident ( $($arg:ident : $kind:ident $(($of:ident))?),* ) $($handler:ident)::+ $support:ident $note:literal;)*) => {
        /// All calls, indexed by number.
        pub static CALLS: [Call; LEN] = {
            let mut t = [NONE; LEN];
            $(t[$nr] = Call {
                nr: $nr,
                name: stringify!($name),
                args: &[$((stringify!($arg), Kind::$kind $((&$of))?)),*],
                handler: $($handler)::+,
                support: Support::$support,
                note: $note,
            };)*
            t
        };
    };
}

table! {
    0 read(fd: Fd, buf: Out(BYTES), count: Size) rw::read Full "";
    1 write(fd: Fd, buf: In(BYTES), count: Size) rw::write Full "";
    2 open(path: Str, flags: Named(OPEN_FLAGS), mode: CreateMode) open::open Full "";
    3 close(fd: Fd) open::close Full "";
    4 stat(path: Str, statbuf: Out(STAT)) stat::stat Full "";
    5 fstat(fd: Fd, statbuf: Out(STAT)) stat::fstat Full "";
    6 lstat(path: Str, statbuf: Out(STAT)) stat::lstat Full "";
    7 poll(fds: InOut(POLL), nfds: Size, timeout: Int) crate::poll::poll Full "";
    8 lseek(fd: Fd, offset: Off, whence: Named(WHENCE)) rw::lseek Full "";
    9 mmap(addr: Addr, length: Size, prot: Named(PROT), flags: Named(MAP_FLAGS), fd: Fd, offset: Hex) crate::mm::mmap Full "";
    10 mprotect(addr: Ptr, len: Size, prot: Named(PROT)) crate::mm::mprotect Full "";
    11 munmap(addr: Ptr, length: Size) crate::mm::munmap Full "";
    12 brk(addr: Addr) crate::mm::brk Full "";
    13 rt_sigaction(signum: Sig, act: In(ACTION), oldact: Out(ACTION), size: Size) crate::signal::rt_sigaction Full "";
    14 rt_sigprocmask(how: Named(HOW), set: In(SIGNALS), oldset: Out(SIGNALS), size: Size) crate::signal::rt_sigprocmask Full "";
    15 rt_sigreturn() crate::signal::rt_sigreturn Full "";
    16 ioctl(fd: Fd, request: Named(IOCTL), arg: Hex) crate::ioctl::ioctl Full "";
    17 pread64(fd: Fd, buf: Out(BYTES), count: Size, offset: Off) rw::pread64 Full "";
    18 pwrite64(fd: Fd, buf: In(BYTES), count: Size, offset: Off) rw::pwrite64 Full "";
    19 readv(fd: Fd, iov: Out(IOVEC_OUT), iovcnt: Int) rw::readv Full "";
    20 writev(fd: Fd, iov: In(IOVEC_IN), iovcnt: Int) rw::writev Full "";
    21 access(path: Str, mode: Named(ACCESS)) stat::access Full "";
    22 pipe(pipefd: Out(FD_PAIR)) crate::pipe::pipe Full "";
    23 select(nfds: Int, readfds: In(FD_SET), writefds: In(FD_SET), exceptfds: In(FD_SET), timeout: In(TIMEVAL)) crate::poll::select Full "";
    24 sched_yield() crate::sched::sched_yield Full "";
    25 mremap(old_address: Addr, old_size: Size, new_size: Size, flags: Named(MREMAP), new_address: Ptr) crate::mm::mremap Full "";
    26 msync(addr: Ptr, length: Size, flags: Named(MSYNC)) crate::mm::msync Full "";
    27 mincore(addr: Ptr, length: Size, vec: Ptr) crate::mm::mincore Full "";
    28 madvise(addr: Ptr, length: Size, advice: Named(MADVISE)) crate::mm::madvise Full "";
    29 shmget() missing Missing "";
    30 shmat() missing Missing "";
    31 shmctl() missing Missing "";
    32 dup(fd: Fd) open::dup Full "";
    33 dup2(oldfd: Fd, newfd: Fd) open::dup2 Full "";
    34 pause() crate::signal::pause Full "";
    35 nanosleep(req: In(TIMESPEC), rem: Ptr) crate::time::nanosleep Full "";
    36 getitimer(which: Named(ITIMER), value: Out(ITIMERVAL)) crate::time::getitimer Full "";
    37 alarm(seconds: Int) crate::time::alarm Full "";
    38 setitimer(which: Named(ITIMER), new: In(ITIMERVAL), old: Out(ITIMERVAL)) crate::time::setitimer Full "";
    39 getpid() crate::process::ids::getpid Full "";
    40 sendfile(out_fd: Fd, in_fd: Fd, offset: InOut(OFFSET), count: Size) rw::sendfile Full "";
    41 socket(domain: Named(DOMAIN), type: Named(SOCKET_TYPE), protocol: Int) crate::socket::socket Partial "AF_UNIX only";
    42 connect(fd: Fd, addr: In(ADDRESS), addrlen: Size) crate::socket::connect Partial "AF_UNIX only";
    43 accept(fd: Fd, addr: Out(ADDRESS), addrlen: Out(INT)) crate::socket::accept Partial "AF_UNIX only";
    44 sendto(fd: Fd, buf: In(BYTES), len: Size, flags: Named(MESSAGE), addr: In(ADDRESS), addrlen: Size) crate::socket::sendto Partial "AF_UNIX only";
    45 recvfrom(fd: Fd, buf: Out(BYTES), len: Size, flags: Named(MESSAGE), addr: Out(ADDRESS), addrlen: Out(INT)) crate::socket::recvfrom Partial "AF_UNIX only";
    46 sendmsg(fd: Fd, msg: In(MESSAGE_IN), flags: Named(MESSAGE)) crate::socket::sendmsg Partial "AF_UNIX only";
    47 recvmsg(fd: Fd, msg: Out(MESSAGE_OUT), flags: Named(MESSAGE)) crate::socket::recvmsg Partial "AF_UNIX only";
    48 shutdown(fd: Fd, how: Named(SHUTDOWN)) crate::socket::shutdown Partial "AF_UNIX only";
    49 bind(fd: Fd, addr: In(ADDRESS), addrlen: Size) crate::socket::bind Partial "AF_UNIX only";
    50 listen(fd: Fd, backlog: Int) crate::socket::listen Partial "AF_UNIX only";
    51 getsockname(fd: Fd, addr: Out(ADDRESS), addrlen: Out(INT)) crate::socket::getsockname Partial "AF_UNIX only";
    52 getpeername(fd: Fd, addr: Out(ADDRESS), addrlen: Out(INT)) crate::socket::getpeername Partial "AF_UNIX only";
    53 socketpair(domain: Named(DOMAIN), type: Named(SOCKET_TYPE), protocol: Int, sv: Out(FD_PAIR)) crate::socket::socketpair Partial "AF_UNIX only";
    54 setsockopt(fd: Fd, level: Named(SOCKET_LEVEL), optname: Named(SOCKET_OPTION), optval: Ptr, optlen: Size) crate::socket::setsockopt Partial "AF_UNIX only";
    55 getsockopt(fd: Fd, level: Named(SOCKET_LEVEL), optname: Named(SOCKET_OPTION), optval: Ptr, optlen: Out(INT)) crate::socket::getsockopt Partial "AF_UNIX only";
    56 clone(flags: Named(CLONE), stack: Ptr, parent_tid: Ptr, child_tid: Ptr, tls: Ptr) crate::process::fork::clone Partial "no namespaces";
    57 fork() crate::process::fork::fork Full "";
    58 vfork() crate::process::fork::vfork Full "";
    59 execve(path: Str, argv: In(STRINGS), envp: In(ENVIRONMENT)) crate::process::exec::execve Full "";
    60 exit(status: Int) crate::process::exit::exit Full "";
    61 wait4(pid: Pid, wstatus: Out(STATUS), options: Named(WAIT), rusage: Out(RUSAGE)) crate::process::wait::wait4 Full "";
    62 kill(pid: Pid, sig: Sig) crate::signal::kill Full "";
    63 uname(buf: Out(UTSNAME)) crate::misc::uname Full "";
    64 semget() missing Missing "";
    65 semop() missing Missing "";
    66 semctl() missing Missing "";
    67 shmdt() missing Missing "";
    68 msgget() missing Missing "";
    69 msgsnd() missing Missing "";
    70 msgrcv() missing Missing "";
    71 msgctl() missing Missing "";
    72 fcntl(fd: Fd, cmd: Named(FCNTL), arg: Hex) open::fcntl Partial "no leases, no directory notification, no F_SETSIG";
    73 flock(fd: Fd, operation: Named(LOCK)) open::flock Full "";
    74 fsync(fd: Fd) attr::fsync Full "";
    75 fdatasync(fd: Fd) attr::fdatasync Full "";
    76 truncate(path: Str, length: Off) attr::truncate Full "";
    77 ftruncate(fd: Fd, length: Off) attr::ftruncate Full "";
    78 getdents(fd: Fd, dirp: Out(ENTRIES), count: Size) dir::getdents Full "";
    79 getcwd(buf: Out(TEXT), size: Size) dir::getcwd Full "";
    80 chdir(path: Str) dir::chdir Full "";
    81 fchdir(fd: Fd) dir::fchdir Full "";
    82 rename(oldpath: Str, newpath: Str) dir::rename Full "";
    83 mkdir(path: Str, mode: Mode) dir::mkdir Full "";
    84 rmdir(path: Str) dir::rmdir Full "";
    85 creat(path: Str, mode: Mode) open::creat Full "";
    86 link(oldpath: Str, newpath: Str) dir::link Full "";
    87 unlink(path: Str) dir::unlink Full "";
    88 symlink(target: Str, linkpath: Str) dir::symlink Full "";
    89 readlink(path: Str, buf: Out(BYTES), size: Size) dir::readlink Full "";
    90 chmod(path: Str, mode: Mode) attr::chmod Full "";
    91 fchmod(fd: Fd, mode: Mode) attr::fchmod Full "";
    92 chown(path: Str, owner: Int, group: Int) attr::chown Full "";
    93 fchown(fd: Fd, owner: Int, group: Int) attr::fchown Full "";
    94 lchown(path: Str, owner: Int, group: Int) attr::lchown Full "";
    95 umask(mask: Mode) attr::umask Full "";
    96 gettimeofday(tv: Out(TIMEVAL), tz: Ptr) crate::time::gettimeofday Full "";
    97 getrlimit(resource: Named(RESOURCE), rlim: Out(RLIMIT)) crate::misc::getrlimit Full "";
    98 getrusage(who: Named(USAGE_OF), usage: Out(RUSAGE)) crate::misc::getrusage Full "";
    99 sysinfo(info: Ptr) crate::misc::sysinfo Full "";
    100 times(buf: Ptr) crate::misc::times Full "";
    101 ptrace() missing Missing "";
    102 getuid() crate::cred::getuid Full "";
    103 syslog(type: Int, buf: Ptr, len: Int) crate::misc::syslog Partial "reading does not wait for lines to come";
    104 getgid() crate::cred::getgid Full "";
    105 setuid(uid: Int) crate::cred::setuid Full "";
    106 setgid(gid: Int) crate::cred::setgid Full "";
    107 geteuid() crate::cred::geteuid Full "";
    108 getegid() crate::cred::getegid Full "";
    109 setpgid(pid: Pid, pgid: Pid) crate::process::ids::setpgid Full "";
    110 getppid() crate::process::ids::getppid Full "";
    111 getpgrp() crate::process::ids::getpgrp Full "";
    112 setsid() crate::process::ids::setsid Full "";
    113 setreuid(ruid: Int, euid: Int) crate::cred::setreuid Full "";
    114 setregid(rgid: Int, egid: Int) crate::cred::setregid Full "";
    115 getgroups(size: Int, list: Out(IDS)) crate::cred::getgroups Full "";
    116 setgroups(size: Size, list: Ptr) crate::cred::setgroups Full "";
    117 setresuid(ruid: Int, euid: Int, suid: Int) crate::cred::setresuid Full "";
    118 getresuid(ruid: Out(INT), euid: Out(INT), suid: Out(INT)) crate::cred::getresuid Full "";
    119 setresgid(rgid: Int, egid: Int, sgid: Int) crate::cred::setresgid Full "";
    120 getresgid(rgid: Out(INT), egid: Out(INT), sgid: Out(INT)) crate::cred::getresgid Full "";
    121 getpgid(pid: Pid) crate::process::ids::getpgid Full "";
    122 setfsuid(fsuid: Int) crate::cred::setfsuid Full "";
    123 setfsgid(fsgid: Int) crate::cred::setfsgid Full "";
    124 getsid(pid: Pid) crate::process::ids::getsid Full "";
    125 capget(hdrp: Ptr, datap: Ptr) crate::cred::capget Full "";
    126 capset(hdrp: Ptr, datap: Ptr) crate::cred::capset Full "";
    127 rt_sigpending(set: Out(SIGNALS), size: Size) crate::signal::rt_sigpending Full "";
    128 rt_sigtimedwait(set: In(SIGNALS), info: Out(SIGINFO), timeout: In(TIMESPEC), size: Size) crate::signal::rt_sigtimedwait Full "";
    129 rt_sigqueueinfo(pid: Pid, sig: Sig, info: In(SIGINFO)) crate::signal::rt_sigqueueinfo Full "";
    130 rt_sigsuspend(mask: In(SIGNALS), size: Size) crate::signal::rt_sigsuspend Full "";
    131 sigaltstack(ss: In(STACK), old_ss: Out(STACK)) crate::signal::sigaltstack Full "";
    132 utime(path: Str, times: Ptr) attr::utime Full "";
    133 mknod(path: Str, mode: Mode, dev: Hex) dir::mknod Full "";
    134 uselib() missing Missing "";
    135 personality(persona: Hex) crate::misc::personality Partial "PER_LINUX, ADDR_NO_RANDOMIZE";
    136 ustat() missing Missing "";
    137 statfs(path: Str, buf: Ptr) stat::statfs Full "";
    138 fstatfs(fd: Fd, buf: Ptr) stat::fstatfs Full "";
    139 sysfs() missing Missing "";
    140 getpriority(which: Named(PRIORITY_OF), who: Int) crate::sched::getpriority Partial "kept; the host schedules";
    141 setpriority(which: Named(PRIORITY_OF), who: Int, prio: Int) crate::sched::setpriority Partial "kept; the host schedules";
    142 sched_setparam(pid: Pid, param: In(INT)) crate::sched::sched_setparam Partial "kept; the host schedules";
    143 sched_getparam(pid: Pid, param: Out(INT)) crate::sched::sched_getparam Partial "kept; the host schedules";
    144 sched_setscheduler(pid: Pid, policy: Named(SCHEDULER), param: In(INT)) crate::sched::sched_setscheduler Partial "kept; the host schedules";
    145 sched_getscheduler(pid: Pid) crate::sched::sched_getscheduler Partial "kept; the host schedules";
    146 sched_get_priority_max(policy: Named(SCHEDULER)) crate::sched::sched_get_priority_max Partial "kept; the host schedules";
    147 sched_get_priority_min(policy: Named(SCHEDULER)) crate::sched::sched_get_priority_min Partial "kept; the host schedules";
    148 sched_rr_get_interval(pid: Pid, tp: Ptr) crate::sched::sched_rr_get_interval Partial "kept; the host schedules";
    149 mlock(addr: Ptr, len: Size) crate::mm::mlock Full "";
    150 munlock(addr: Ptr, len: Size) crate::mm::munlock Full "";
    151 mlockall(flags: Named(MLOCKALL)) crate::mm::mlockall Full "";
    152 munlockall() crate::mm::munlockall Full "";
    153 vhangup() missing Missing "";
    154 modify_ldt() missing Missing "";
    155 pivot_root() missing Missing "";
    156 _sysctl() missing Missing "";
    157 prctl(option: Named(PRCTL), arg2: Hex, arg3: Hex, arg4: Hex, arg5: Hex) crate::misc::prctl Partial "";
    158 arch_prctl(code: Named(ARCH_PRCTL), addr: Hex) crate::misc::arch_prctl Partial "GS belongs to the guest kernel";
    159 adjtimex() missing Missing "";
    160 setrlimit(resource: Named(RESOURCE), rlim: In(RLIMIT)) crate::misc::setrlimit Full "";
    161 chroot(path: Str) dir::chroot Full "";
    162 sync() attr::sync Full "";
    163 acct() missing Missing "";
    164 settimeofday() crate::time::settimeofday Partial "EPERM: the clock is the host's";
    165 mount(source: Str, target: Str, fstype: Str, flags: Named(MOUNT), data: Ptr) mount::mount Partial "bind, remount, tmpfs, proc, sysfs; no namespaces";
    166 umount2(target: Str, flags: Named(UMOUNT)) mount::umount2 Partial "no MNT_EXPIRE";
    167 swapon() missing Missing "";
    168 swapoff() missing Missing "";
    169 reboot(magic: Hex, magic2: Hex, cmd: Hex, arg: Ptr) crate::misc::reboot Partial "EPERM: a machine ends when its VMM says so";
    170 sethostname(name: Str, len: Size) crate::misc::sethostname Full "";
    171 setdomainname(name: Str, len: Size) crate::misc::setdomainname Full "";
    172 iopl() missing Missing "";
    173 ioperm() missing Missing "";
    174 create_module() missing Missing "";
    175 init_module() missing Missing "";
    176 delete_module() missing Missing "";
    177 get_kernel_syms() missing Missing "";
    178 query_module() missing Missing "";
    179 quotactl() missing Missing "";
    180 nfsservctl() missing Missing "";
    181 getpmsg() missing Missing "";
    182 putpmsg() missing Missing "";
    183 afs_syscall() missing Missing "";
    184 tuxcall() missing Missing "";
    185 security() missing Missing "";
    186 gettid() crate::process::ids::gettid Full "";
    187 readahead(fd: Fd, offset: Off, count: Size) rw::readahead Full "";
    188 setxattr(path: Str, name: Str, value: In(BYTES), size: Size, flags: Named(XATTR)) attr::setxattr Full "";
    189 lsetxattr(path: Str, name: Str, value: In(BYTES), size: Size, flags: Named(XATTR)) attr::lsetxattr Full "";
    190 fsetxattr(fd: Fd, name: Str, value: In(BYTES), size: Size, flags: Named(XATTR)) attr::fsetxattr Full "";
    191 getxattr(path: Str, name: Str, value: Out(BYTES), size: Size) attr::getxattr Full "";
    192 lgetxattr(path: Str, name: Str, value: Out(BYTES), size: Size) attr::lgetxattr Full "";
    193 fgetxattr(fd: Fd, name: Str, value: Out(BYTES), size: Size) attr::fgetxattr Full "";
    194 listxattr(path: Str, list: Out(BYTES), size: Size) attr::listxattr Full "";
    195 llistxattr(path: Str, list: Out(BYTES), size: Size) attr::llistxattr Full "";
    196 flistxattr(fd: Fd, list: Out(BYTES), size: Size) attr::flistxattr Full "";
    197 removexattr(path: Str, name: Str) attr::removexattr Full "";
    198 lremovexattr(path: Str, name: Str) attr::lremovexattr Full "";
    199 fremovexattr(fd: Fd, name: Str) attr::fremovexattr Full "";
    200 tkill(tid: Pid, sig: Sig) crate::signal::tkill Full "";
    201 time(tloc: Ptr) crate::time::time Full "";
    202 futex(uaddr: Ptr, op: Named(FUTEX), val: Int, timeout: Ptr, uaddr2: Ptr, val3: Hex) crate::futex::futex Partial "PI locks inherit no priority";
    203 sched_setaffinity(pid: Pid, size: Size, mask: Ptr) crate::sched::sched_setaffinity Partial "kept; the host schedules";
    204 sched_getaffinity(pid: Pid, size: Size, mask: Ptr) crate::sched::sched_getaffinity Partial "kept; the host schedules";
    205 set_thread_area() missing Missing "";
    206 io_setup() missing Missing "";
    207 io_destroy() missing Missing "";
    208 io_getevents() missing Missing "";
    209 io_submit() missing Missing "";
    210 io_cancel() missing Missing "";
    211 get_thread_area() missing Missing "";
    212 lookup_dcookie() missing Missing "";
    213 epoll_create(size: Int) crate::epoll::epoll_create Full "";
    214 epoll_ctl_old() missing Missing "";
    215 epoll_wait_old() missing Missing "";
    216 remap_file_pages() missing Missing "";
    217 getdents64(fd: Fd, dirp: Out(ENTRIES), count: Size) dir::getdents64 Full "";
    218 set_tid_address(tidptr: Ptr) crate::process::ids::set_tid_address Full "";
    219 restart_syscall() crate::time::restart_syscall Full "";
    220 semtimedop() missing Missing "";
    221 fadvise64(fd: Fd, offset: Off, len: Size, advice: Named(FADVISE)) rw::fadvise64 Full "";
    222 timer_create(clockid: Named(CLOCK), sevp: Ptr, timerid: Out(INT)) crate::time::timer_create Full "";
    223 timer_settime(timerid: Int, flags: Named(TIMER_FLAGS), new: In(ITIMERSPEC), old: Out(ITIMERSPEC)) crate::time::timer_settime Full "";
    224 timer_gettime(timerid: Int, value: Out(ITIMERSPEC)) crate::time::timer_gettime Full "";
    225 timer_getoverrun(timerid: Int) crate::time::timer_getoverrun Full "";
    226 timer_delete(timerid: Int) crate::time::timer_delete Full "";
    227 clock_settime(clockid: Named(CLOCK), tp: In(TIMESPEC)) crate::time::clock_settime Partial "EPERM: the clock is the host's";
    228 clock_gettime(clockid: Named(CLOCK), tp: Out(TIMESPEC)) crate::time::clock_gettime Full "";
    229 clock_getres(clockid: Named(CLOCK), res: Out(TIMESPEC)) crate::time::clock_getres Full "";
    230 clock_nanosleep(clockid: Named(CLOCK), flags: Named(TIMER_FLAGS), req: In(TIMESPEC), rem: Ptr) crate::time::clock_nanosleep Full "";
    231 exit_group(status: Int) crate::process::exit::exit_group Full "";
    232 epoll_wait(epfd: Fd, events: Out(EPOLL_READY), maxevents: Int, timeout: Int) crate::epoll::epoll_wait Full "";
    233 epoll_ctl(epfd: Fd, op: Named(EPOLL_CTL), fd: Fd, event: Ptr) crate::epoll::epoll_ctl Full "";
    234 tgkill(tgid: Pid, tid: Pid, sig: Sig) crate::signal::tgkill Full "";
    235 utimes(path: Str, times: In(TIMEVALS)) attr::utimes Full "";
    236 vserver() missing Missing "";
    237 mbind() missing Missing "";
    238 set_mempolicy() missing Missing "";
    239 get_mempolicy() missing Missing "";
    240 mq_open() missing Missing "";
    241 mq_unlink() missing Missing "";
    242 mq_timedsend() missing Missing "";
    243 mq_timedreceive() missing Missing "";
    244 mq_notify() missing Missing "";
    245 mq_getsetattr() missing Missing "";
    246 kexec_load() missing Missing "";
    247 waitid(idtype: Named(WAIT_FOR), id: Pid, infop: Out(SIGINFO), options: Named(WAIT), rusage: Out(RUSAGE)) crate::process::wait::waitid Full "";
    248 add_key() missing Missing "";
    249 request_key() missing Missing "";
    250 keyctl() missing Missing "";
    251 ioprio_set(which: Int, who: Int, ioprio: Hex) crate::ioprio::ioprio_set Partial "kept; the host schedules";
    252 ioprio_get(which: Int, who: Int) crate::ioprio::ioprio_get Partial "kept; the host schedules";
    253 inotify_init() missing Missing "";
    254 inotify_add_watch() missing Missing "";
    255 inotify_rm_watch() missing Missing "";
    256 migrate_pages() missing Missing "";
    257 openat(dirfd: Dirfd, path: Str, flags: Named(OPEN_FLAGS), mode: CreateMode) open::openat Full "";
    258 mkdirat(dirfd: Dirfd, path: Str, mode: Mode) dir::mkdirat Full "";
    259 mknodat(dirfd: Dirfd, path: Str, mode: Mode, dev: Hex) dir::mknodat Full "";
    260 fchownat(dirfd: Dirfd, path: Str, owner: Int, group: Int, flags: Named(AT_FLAGS)) attr::fchownat Full "";
    261 futimesat(dirfd: Dirfd, path: Str, times: In(TIMEVALS)) attr::futimesat Full "";
    262 newfstatat(dirfd: Dirfd, path: Str, statbuf: Out(STAT), flags: Named(AT_FLAGS)) stat::newfstatat Full "";
    263 unlinkat(dirfd: Dirfd, path: Str, flags: Named(UNLINK_FLAGS)) dir::unlinkat Full "";
    264 renameat(olddirfd: Dirfd, oldpath: Str, newdirfd: Dirfd, newpath: Str) dir::renameat Full "";
    265 linkat(olddirfd: Dirfd, oldpath: Str, newdirfd: Dirfd, newpath: Str, flags: Named(AT_FLAGS)) dir::linkat Full "";
    266 symlinkat(target: Str, newdirfd: Dirfd, linkpath: Str) dir::symlinkat Full "";
    267 readlinkat(dirfd: Dirfd, path: Str, buf: Out(BYTES), size: Size) dir::readlinkat Full "";
    268 fchmodat(dirfd: Dirfd, path: Str, mode: Mode) attr::fchmodat Full "";
    269 faccessat(dirfd: Dirfd, path: Str, mode: Named(ACCESS)) stat::faccessat Full "";
    270 pselect6(nfds: Int, readfds: In(FD_SET), writefds: In(FD_SET), exceptfds: In(FD_SET), timeout: In(TIMESPEC), sigmask: Ptr) crate::poll::pselect6 Full "";
    271 ppoll(fds: InOut(POLL), nfds: Size, timeout: In(TIMESPEC), sigmask: In(SIGNALS), size: Size) crate::poll::ppoll Full "";
    272 unshare() missing Missing "";
    273 set_robust_list(head: Ptr, len: Size) crate::futex::set_robust_list Full "";
    274 get_robust_list(pid: Pid, head: Ptr, len: Ptr) crate::futex::get_robust_list Full "";
    275 splice(fd_in: Fd, off_in: InOut(OFFSET), fd_out: Fd, off_out: InOut(OFFSET), len: Size, flags: Named(SPLICE)) rw::splice Partial "copies; SPLICE_F_* are hints";
    276 tee(fd_in: Fd, fd_out: Fd, len: Size, flags: Named(SPLICE)) rw::tee Partial "copies; may wait for room for all of it";
    277 sync_file_range(fd: Fd, offset: Off, nbytes: Size, flags: Hex) attr::sync_file_range Full "";
    278 vmsplice(fd: Fd, iov: In(IOVEC_IN), nr: Size, flags: Named(SPLICE)) rw::vmsplice Partial "copies";
    279 move_pages() missing Missing "";
    280 utimensat(dirfd: Dirfd, path: Str, times: In(TIMES), flags: Named(AT_FLAGS)) attr::utimensat Full "";
    281 epoll_pwait(epfd: Fd, events: Out(EPOLL_READY), maxevents: Int, timeout: Int, sigmask: In(SIGNALS), size: Size) crate::epoll::epoll_pwait Full "";
    282 signalfd(fd: Fd, mask: In(SIGNALS), size: Size) crate::event::signalfd Full "";
    283 timerfd_create(clockid: Named(CLOCK), flags: Named(TIMERFD_FLAGS)) crate::event::timerfd_create Full "";
    284 eventfd(initval: Int) crate::event::eventfd Full "";
    285 fallocate(fd: Fd, mode: Named(FALLOCATE), offset: Off, len: Off) attr::fallocate Full "";
    286 timerfd_settime(fd: Fd, flags: Named(TIMERFD_SET), new: In(ITIMERSPEC), old: Out(ITIMERSPEC)) crate::event::timerfd_settime Partial "TFD_TIMER_CANCEL_ON_SET never cancels";
    287 timerfd_gettime(fd: Fd, value: Out(ITIMERSPEC)) crate::event::timerfd_gettime Full "";
    288 accept4(fd: Fd, addr: Out(ADDRESS), addrlen: Out(INT), flags: Named(SOCKET_FLAGS)) crate::socket::accept4 Partial "AF_UNIX only";
    289 signalfd4(fd: Fd, mask: In(SIGNALS), size: Size, flags: Named(SIGNALFD)) crate::event::signalfd4 Full "";
    290 eventfd2(initval: Int, flags: Named(EVENTFD)) crate::event::eventfd2 Full "";
    291 epoll_create1(flags: Named(EPOLL_FLAGS)) crate::epoll::epoll_create1 Full "";
    292 dup3(oldfd: Fd, newfd: Fd, flags: Named(FD_FLAGS)) open::dup3 Full "";
    293 pipe2(pipefd: Out(FD_PAIR), flags: Named(FD_FLAGS)) crate::pipe::pipe2 Full "";
    294 inotify_init1() missing Missing "";
    295 preadv(fd: Fd, iov: Out(IOVEC_OUT), iovcnt: Int, pos_l: Off, pos_h: Off) rw::preadv Full "";
    296 pwritev(fd: Fd, iov: In(IOVEC_IN), iovcnt: Int, pos_l: Off, pos_h: Off) rw::pwritev Full "";
    297 rt_tgsigqueueinfo(tgid: Pid, tid: Pid, sig: Sig, info: In(SIGINFO)) crate::signal::rt_tgsigqueueinfo Full "";
    298 perf_event_open() missing Missing "";
    299 recvmmsg(fd: Fd, msgvec: Ptr, vlen: Int, flags: Named(MESSAGE), timeout: In(TIMESPEC)) crate::socket::recvmmsg Partial "AF_UNIX only";
    300 fanotify_init() missing Missing "";
    301 fanotify_mark() missing Missing "";
    302 prlimit64(pid: Pid, resource: Named(RESOURCE), new: In(RLIMIT), old: Out(RLIMIT)) crate::misc::prlimit64 Full "";
    303 name_to_handle_at() missing Missing "";
    304 open_by_handle_at() missing Missing "";
    305 clock_adjtime() missing Missing "";
    306 syncfs(fd: Fd) attr::syncfs Full "";
    307 sendmmsg(fd: Fd, msgvec: Ptr, vlen: Int, flags: Named(MESSAGE)) crate::socket::sendmmsg Partial "AF_UNIX only";
    308 setns() missing Missing "";
    309 getcpu(cpu: Out(INT), node: Out(INT)) crate::misc::getcpu Full "";
    310 process_vm_readv(pid: Int, local: Ptr, liovcnt: Size, remote: Ptr, riovcnt: Size, flags: Hex) crate::process::memory::process_vm_readv Full "";
    311 process_vm_writev(pid: Int, local: Ptr, liovcnt: Size, remote: Ptr, riovcnt: Size, flags: Hex) crate::process::memory::process_vm_writev Full "";
    312 kcmp() missing Missing "";
    313 finit_module() missing Missing "";
    314 sched_setattr(pid: Pid, attr: Ptr, flags: Hex) crate::sched::sched_setattr Partial "kept; the host schedules";
    315 sched_getattr(pid: Pid, attr: Ptr, size: Size, flags: Hex) crate::sched::sched_getattr Partial "kept; the host schedules";
    316 renameat2(olddirfd: Dirfd, oldpath: Str, newdirfd: Dirfd, newpath: Str, flags: Named(RENAME)) dir::renameat2 Full "";
    317 seccomp() missing Missing "";
    318 getrandom(buf: Out(BYTES), count: Size, flags: Named(RANDOM)) crate::misc::getrandom Full "";
    319 memfd_create(name: Str, flags: Named(MEMFD)) open::memfd_create Partial "no huge pages";
    320 kexec_file_load() missing Missing "";
    321 bpf() missing Missing "";
    322 execveat(dirfd: Dirfd, path: Str, argv: In(STRINGS), envp: In(ENVIRONMENT), flags: Named(AT_FLAGS)) crate::process::exec::execveat Full "";
    323 userfaultfd() missing Missing "";
    324 membarrier(cmd: Int, flags: Hex, cpu: Int) crate::mm::membarrier Full "";
    325 mlock2(addr: Ptr, len: Size, flags: Hex) crate::mm::mlock2 Full "";
    326 copy_file_range(fd_in: Fd, off_in: InOut(OFFSET), fd_out: Fd, off_out: InOut(OFFSET), len: Size, flags: Hex) rw::copy_file_range Full "";
    327 preadv2(fd: Fd, iov: Out(IOVEC_OUT), iovcnt: Int, pos_l: Off, pos_h: Off, flags: Named(RWF)) rw::preadv2 Partial "RWF_NOWAIT and RWF_APPEND: EOPNOTSUPP";
    328 pwritev2(fd: Fd, iov: In(IOVEC_IN), iovcnt: Int, pos_l: Off, pos_h: Off, flags: Named(RWF)) rw::pwritev2 Partial "RWF_NOWAIT and RWF_APPEND: EOPNOTSUPP";
    329 pkey_mprotect() missing Missing "";
    330 pkey_alloc() missing Missing "";
    331 pkey_free() missing Missing "";
    332 statx(dirfd: Dirfd, path: Str, flags: Named(AT_FLAGS), mask: Named(STATX), statxbuf: Out(STATX_BUFFER)) stat::statx Full "";
    333 io_pgetevents() missing Missing "";
    334 rseq(rseq: Ptr, len: Size, flags: Hex, sig: Hex) missing Missing "";
    424 pidfd_send_signal(pidfd: Fd, sig: Sig, info: In(SIGINFO), flags: Hex) crate::process::pidfd::pidfd_send_signal Full "";
    425 io_uring_setup() missing Missing "";
    426 io_uring_enter() missing Missing "";
    427 io_uring_register() missing Missing "";
    428 open_tree() missing Missing "";
    429 move_mount() missing Missing "";
    430 fsopen() missing Missing "";
    431 fsconfig() missing Missing "";
    432 fsmount() missing Missing "";
    433 fspick() missing Missing "";
    434 pidfd_open(pid: Pid, flags: Hex) crate::process::pidfd::pidfd_open Full "";
    435 clone3(args: In(CLONE_ARGS), size: Size) crate::process::fork::clone3 Partial "no namespaces";
    436 close_range(first: Size, last: Size, flags: Named(CLOSE_RANGE)) open::close_range Full "";
    437 openat2(dirfd: Dirfd, path: Str, how: In(OPEN_HOW), size: Size) open::openat2 Partial "RESOLVE_CACHED gives EAGAIN";
    438 pidfd_getfd(pidfd: Fd, targetfd: Fd, flags: Hex) crate::process::pidfd::pidfd_getfd Full "";
    439 faccessat2(dirfd: Dirfd, path: Str, mode: Named(ACCESS), flags: Named(ACCESS_FLAGS)) stat::faccessat2 Full "";
    440 process_madvise() missing Missing "";
    441 epoll_pwait2(epfd: Fd, events: Out(EPOLL_READY), maxevents: Int, timeout: In(TIMESPEC), sigmask: In(SIGNALS), size: Size) crate::epoll::epoll_pwait2 Full "";
    442 mount_setattr() missing Missing "";
    443 quotactl_fd() missing Missing "";
    444 landlock_create_ruleset() missing Missing "";
    445 landlock_add_rule() missing Missing "";
    446 landlock_restrict_self() missing Missing "";
    447 memfd_secret() missing Missing "";
    448 process_mrelease() missing Missing "";
    449 futex_waitv(waiters: Ptr, nr: Int, flags: Hex, timeout: Ptr, clockid: Int) crate::futex::futex_waitv Full "";
    450 set_mempolicy_home_node() missing Missing "";
    451 cachestat() missing Missing "";
    452 fchmodat2(dirfd: Dirfd, path: Str, mode: Mode, flags: Named(AT_FLAGS)) attr::fchmodat2 Full "";
    453 map_shadow_stack() missing Missing "";
    454 futex_wake() missing Missing "";
    455 futex_wait() missing Missing "";
    456 futex_requeue() missing Missing "";
    457 statmount() missing Missing "";
    458 listmount() missing Missing "";
    459 lsm_get_self_attr() missing Missing "";
    460 lsm_set_self_attr() missing Missing "";
    461 lsm_list_modules() missing Missing "";
    462 mseal() missing Missing "";
}
