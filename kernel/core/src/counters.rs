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

    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How often each system call was refused because it, or the asked-for part of it, is not implemented; by number.
pub static MISSING: [Counter; 512] = [const { Counter::new() }; 512];
/// System calls by number.
pub static CALLS: [Counter; 512] = [const { Counter::new() }; 512];
/// Guest processes and threads made since start.
pub static FORKS: Counter = Counter::new();
pub static THREADS: Counter = Counter::new();
pub static EXECS: Counter = Counter::new();
pub static SIGNALS: Counter = Counter::new();
pub static USER_FAULTS: Counter = Counter::new();
pub static PATCHED_SITES: Counter = Counter::new();
pub static KICKS: Counter = Counter::new();

/// Counts an unimplemented part of system call `nr` and gives the errno to return.
#[must_use]
pub fn missing(nr: usize, errno: crate::Errno) -> crate::Errno {
    MISSING[nr & 511].add(1);
    errno
}
