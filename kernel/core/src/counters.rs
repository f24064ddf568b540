//! Machine-wide counters behind `--stats`: what is missing is loud.

use core::sync::atomic::{AtomicU64, Ordering};

/// A relaxed event counter.
#[derive(Default)]
pub struct Counter(AtomicU64);

impl Counter {
    #[must_use]
    pub const fn new() -> Counter {
        Counter(AtomicU64::new(0))
    }

    #[inline]
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Sets it, where it is still zero.
    pub fn set_once(&self, n: u64) {
        let _ = self.0.compare_exchange(0, n, Ordering::Relaxed, Ordering::Relaxed);
    }

    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How often each system call was refused because it, or the asked-for part of it, is not implemented; by number.
pub static MISSING: [Counter; 512] = [const { Counter::new() }; 512];
/// System calls by number.
pub static CALLS: [Counter; 512] = [const { Counter::new() }; 512];
/// Host calls that each system call made, and nanoseconds from its start to its end, sleep included; by number. Only where
/// calls are counted.
pub static CALL_HOST: [Counter; 512] = [const { Counter::new() }; 512];
pub static CALL_NS: [Counter; 512] = [const { Counter::new() }; 512];
/// When the machine was born, had its START done, and ran its first guest thread: CLOCK_MONOTONIC. And how long making the
/// root file system took.
pub static BORN: Counter = Counter::new();
pub static BORN_TICKS: Counter = Counter::new();
pub static STARTED: Counter = Counter::new();
pub static FIRST_THREAD: Counter = Counter::new();
pub static ROOTFS_NS: Counter = Counter::new();
/// Guest processes and threads made since start.
pub static FORKS: Counter = Counter::new();
pub static THREADS: Counter = Counter::new();
pub static EXECS: Counter = Counter::new();
pub static SIGNALS: Counter = Counter::new();
pub static USER_FAULTS: Counter = Counter::new();
pub static PATCHED_SITES: Counter = Counter::new();
/// Instructions replaced by traps, and executable memory refused, because they would open the guard (`mm::wx`).
pub static NEUTRALISED: Counter = Counter::new();
pub static EXEC_REFUSED: Counter = Counter::new();
/// How often the guest kernel acted for a replaced instruction.
pub static DISPLACED: Counter = Counter::new();
pub static KICKS: Counter = Counter::new();

/// Counts an unimplemented part of system call `nr` and gives the errno to return.
#[must_use]
pub fn missing(nr: usize, errno: crate::Errno) -> crate::Errno {
    MISSING[nr & 511].add(1);
    errno
}
