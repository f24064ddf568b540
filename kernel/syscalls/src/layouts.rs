//! What lies at the addresses that calls get: the structures of Linux's interface, as far as strace shows them.

use crate::kind::{Count, Field, Fields, Kind, Layout};
use crate::names::{
    ACTION_FLAGS, CLONE, EPOLL_EVENTS, HANDLER, LOCK_TYPE, MESSAGE, OPEN_FLAGS, POLL_EVENTS, STACK_FLAGS, STATX, WHENCE,
};

pub static BYTES: Layout = Layout::Bytes;
pub static TEXT: Layout = Layout::Text;
pub static STRINGS: Layout = Layout::Strings;
pub static ENVIRONMENT: Layout = Layout::Environment;
pub static ADDRESS: Layout = Layout::Address;
pub static FD_SET: Layout = Layout::FdSet;
pub static ENTRIES: Layout = Layout::Entries;

pub static INT: Layout = Layout::Array(4, Kind::Int, Count::Fixed(1));
pub static PID: Layout = Layout::Array(4, Kind::Pid, Count::Fixed(1));
pub static WORD: Layout = Layout::Array(8, Kind::Hex, Count::Fixed(1));
pub static FD_PAIR: Layout = Layout::Array(4, Kind::Fd, Count::Fixed(2));
pub static IDS: Layout = Layout::Array(4, Kind::Int, Count::Result);
pub static OFFSET: Layout = Layout::Array(8, Kind::Off, Count::Fixed(1));
pub static STATUS: Layout = Layout::Array(4, Kind::Status, Count::Found);
pub static SIGNALS: Layout = Layout::One(8, Kind::SigSet);
pub static SIGINFO: Layout = Layout::One(128, Kind::SigInfo);

macro_rules! given {
    () => {
        false
    };
    ($mark:tt) => {
        true
    };
}

/// `name: Kind @ offset size`, each, with `?` for those that are left out where they are zero; `..` where there are more.
macro_rules! fields {
    ($($name:ident $(($opt:tt))? : $kind:ident $(($of:ident))? @ $at:literal $size:literal),* $(, $(($more:tt))?)?) => {
        Fields {
            list: &[$(Field {
                name: stringify!($name),
                at: $at,
                size: $size,
                kind: Kind::$kind $((&$of))?,
                optional: given!($($opt)?),
            }),*],
            more: given!($($($more)?)?),
        }
    };
}

static TIMESPEC_: Fields = fields!(tv_sec: Off @ 0 8, tv_nsec: Off @ 8 8);
pub static TIMESPEC: Layout = Layout::One(16, Kind::Struct(&TIMESPEC_));
pub static TIMES: Layout = Layout::Array(16, Kind::Struct(&TIMESPEC_), Count::Fixed(2));
static TIMEVAL_: Fields = fields!(tv_sec: Off @ 0 8, tv_usec: Off @ 8 8);
pub static TIMEVAL: Layout = Layout::One(16, Kind::Struct(&TIMEVAL_));
pub static TIMEVALS: Layout = Layout::Array(16, Kind::Struct(&TIMEVAL_), Count::Fixed(2));
static ITIMERVAL_: Fields = fields!(it_interval: Struct(TIMEVAL_) @ 0 16, it_value: Struct(TIMEVAL_) @ 16 16);
pub static ITIMERVAL: Layout = Layout::One(32, Kind::Struct(&ITIMERVAL_));
static ITIMERSPEC_: Fields = fields!(it_interval: Struct(TIMESPEC_) @ 0 16, it_value: Struct(TIMESPEC_) @ 16 16);
pub static ITIMERSPEC: Layout = Layout::One(32, Kind::Struct(&ITIMERSPEC_));

static STAT_: Fields = fields!(st_mode: FileMode @ 24 4, st_size: Off @ 48 8, (..));
pub static STAT: Layout = Layout::One(144, Kind::Struct(&STAT_));
static STATX_: Fields = fields!(
    stx_mask: Named(STATX) @ 0 4, stx_attributes: Hex @ 8 8, stx_mode: FileMode @ 28 2, stx_size: Size @ 40 8, (..)
);
pub static STATX_BUFFER: Layout = Layout::One(256, Kind::Struct(&STATX_));
static FLOCK_: Fields = fields!(
    l_type: Named(LOCK_TYPE) @ 0 2, l_whence: Named(WHENCE) @ 2 2, l_start: Off @ 8 8, l_len: Off @ 16 8
);
pub static FLOCK: Layout = Layout::One(32, Kind::Struct(&FLOCK_));
static OPEN_HOW_: Fields = fields!(flags: Named(OPEN_FLAGS) @ 0 8, mode (?): Mode @ 8 8, resolve: Hex @ 16 8);
pub static OPEN_HOW: Layout = Layout::One(24, Kind::Struct(&OPEN_HOW_));
static IOVEC_IN_: Fields = fields!(iov_base: In(BYTES) @ 0 8, iov_len: Size @ 8 8);
pub static IOVEC_IN: Layout = Layout::Array(16, Kind::Struct(&IOVEC_IN_), Count::Next);
static IOVEC_OUT_: Fields = fields!(iov_base: Out(BYTES) @ 0 8, iov_len: Size @ 8 8);
pub static IOVEC_OUT: Layout = Layout::Array(16, Kind::Struct(&IOVEC_OUT_), Count::Next);

static ACTION_: Fields = fields!(
    sa_handler: Named(HANDLER) @ 0 8, sa_mask: SigSet @ 24 8, sa_flags: Named(ACTION_FLAGS) @ 8 8, sa_restorer (?): Ptr @ 16 8
);
pub static ACTION: Layout = Layout::One(32, Kind::Struct(&ACTION_));
static STACK_: Fields = fields!(ss_sp: Ptr @ 0 8, ss_flags: Named(STACK_FLAGS) @ 8 4, ss_size: Size @ 16 8);
pub static STACK: Layout = Layout::One(24, Kind::Struct(&STACK_));
static CLONE_ARGS_: Fields = fields!(
    flags: Named(CLONE) @ 0 8, pidfd (?): Ptr @ 8 8, child_tid (?): Ptr @ 16 8, parent_tid (?): Ptr @ 24 8,
    exit_signal: Sig @ 32 8, stack: Ptr @ 40 8, stack_size: Hex @ 48 8, tls (?): Ptr @ 56 8
);
pub static CLONE_ARGS: Layout = Layout::One(64, Kind::Struct(&CLONE_ARGS_));
static RLIMIT_: Fields = fields!(rlim_cur: Limit @ 0 8, rlim_max: Limit @ 8 8);
pub static RLIMIT: Layout = Layout::One(16, Kind::Struct(&RLIMIT_));
static RUSAGE_: Fields = fields!(ru_utime: Struct(TIMEVAL_) @ 0 16, ru_stime: Struct(TIMEVAL_) @ 16 16, (..));
pub static RUSAGE: Layout = Layout::One(144, Kind::Struct(&RUSAGE_));
static UTSNAME_: Fields = fields!(sysname: Chars @ 0 65, nodename: Chars @ 65 65, (..));
pub static UTSNAME: Layout = Layout::One(390, Kind::Struct(&UTSNAME_));
static WINDOW_SIZE_: Fields =
    fields!(ws_row: Size @ 0 2, ws_col: Size @ 2 2, ws_xpixel: Size @ 4 2, ws_ypixel: Size @ 6 2);
pub static WINDOW_SIZE: Layout = Layout::One(8, Kind::Struct(&WINDOW_SIZE_));

static POLL_: Fields = fields!(fd: Fd @ 0 4, events: Named(POLL_EVENTS) @ 4 2, revents (?): Named(POLL_EVENTS) @ 6 2);
pub static POLL: Layout = Layout::Array(8, Kind::Struct(&POLL_), Count::Next);
static EPOLL_DATA_: Fields = fields!(u32: Size @ 0 4, u64: Size @ 0 8);
static EPOLL_: Fields = fields!(events: Named(EPOLL_EVENTS) @ 0 4, data: Struct(EPOLL_DATA_) @ 4 8);
pub static EPOLL_EVENT: Layout = Layout::One(12, Kind::Struct(&EPOLL_));
pub static EPOLL_READY: Layout = Layout::Array(12, Kind::Struct(&EPOLL_), Count::Result);

static MESSAGE_IN_: Fields = fields!(
    msg_name: Ptr @ 0 8, msg_namelen: Size @ 8 4, msg_iov: In(IOVEC_IN) @ 16 8, msg_iovlen: Size @ 24 8,
    msg_controllen: Size @ 40 8, msg_flags: Named(MESSAGE) @ 48 4
);
pub static MESSAGE_IN: Layout = Layout::One(56, Kind::Struct(&MESSAGE_IN_));
static MESSAGE_OUT_: Fields = fields!(
    msg_name: Ptr @ 0 8, msg_namelen: Size @ 8 4, msg_iov: Out(IOVEC_OUT) @ 16 8, msg_iovlen: Size @ 24 8,
    msg_controllen: Size @ 40 8, msg_flags: Named(MESSAGE) @ 48 4
);
pub static MESSAGE_OUT: Layout = Layout::One(56, Kind::Struct(&MESSAGE_OUT_));
