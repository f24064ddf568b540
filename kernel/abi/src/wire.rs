//! Message kinds of the control channel. The protocol's text is docs/reference/control-protocol.md;
//! `src/lodger/boot/wire.py` has the same numbers and `tests/house` compares the two.

pub const VERSION: u32 = 1;
/// The longest message, in bytes.
pub const MAX_MESSAGE: usize = 128 * 1024;
/// The most descriptors on one message.
pub const MAX_FDS: usize = 16;
/// A descriptor index that names none.
pub const NO_FD: u32 = 0xffff_ffff;
/// SPAWN's group where it is the one that /etc/passwd has for the user.
pub const NO_ID: u32 = 0xffff_ffff;
/// The most bytes of arguments and environment that SPAWN gives in a file. Linux takes 6 MiB at most.
pub const MAX_WORDS: usize = 8 << 20;

pub const BOOT: u32 = 1;
pub const MOUNT: u32 = 2;
pub const NODE: u32 = 3;
pub const START: u32 = 4;
pub const SPAWN: u32 = 5;
pub const SIGNAL: u32 = 6;
pub const WINSIZE: u32 = 7;
pub const STATS: u32 = 8;
pub const SHUTDOWN: u32 = 9;
pub const TERMINAL: u32 = 10;

pub const READY: u32 = 101;
pub const STARTED: u32 = 102;
pub const SPAWN_FAILED: u32 = 103;
pub const EXITED: u32 = 104;
pub const STATS_REPLY: u32 = 105;
pub const ACK: u32 = 106;
pub const PANIC: u32 = 107;
pub const ERROR: u32 = 108;
pub const ASKS: u32 = 109;

pub const MONITOR_INLINE: u32 = 0;
pub const MONITOR_HOST: u32 = 1;
pub const MONITOR_PROCESS: u32 = 2;

pub const GUARD_PKEY: u32 = 0;
pub const GUARD_NONE: u32 = 1;
pub const GUARD_MPROTECT: u32 = 2;

pub const SPACES_MULTI: u32 = 0;
pub const SPACES_REMAP: u32 = 1;

pub const FLAG_TRACE: u32 = 1;
pub const FLAG_DEBUG: u32 = 2;
pub const FLAG_LANDLOCK: u32 = 4;
/// System calls are counted one by one, with their time and host calls.
pub const FLAG_COUNT: u32 = 8;
/// The host lacks syscall user dispatch: the seccomp filter diverts the calls of applications.
pub const FLAG_SECCOMP_TRAP: u32 = 16;

/// SPAWN: the command gets a terminal.
pub const SPAWN_TTY: u32 = 1;
/// SPAWN: it begins in the background of the host's terminal, as TERMINAL_HELD says it.
pub const SPAWN_HELD: u32 = 4;
/// SPAWN: who stops it by SIGTSTP is told so, and continues it.
pub const SPAWN_JOB: u32 = 8;

/// The command may read the host's terminal; it may not now; it never will.
pub const TERMINAL_OPEN: u32 = 0;
pub const TERMINAL_HELD: u32 = 1;
pub const TERMINAL_REFUSED: u32 = 2;

/// A process wants to read the host's terminal, which it may not; one of a job has stopped, and nobody in the guest can
/// continue it.
pub const ASK_READ: u32 = 0;
pub const ASK_STOP: u32 = 1;
