//! The kernel log: its last lines are kept for syslog(2), and copied to the kernel's standard error where the VMM asks for it
//! (`LODGER_LOG`).

use crate::Mutex;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::vec::Vec;
use core::fmt::Arguments;
use core::sync::atomic::{AtomicBool, Ordering};

/// Bytes kept; older lines go.
pub const SIZE: usize = 16 << 10;

struct Log {
    /// Whole lines.
    text: VecDeque<u8>,
    /// How much of `text` SYSLOG_ACTION_CLEAR hides from reading all.
    cleared: usize,
    /// How much of `text` SYSLOG_ACTION_READ has taken.
    read: usize,
}

static LOG: Mutex<Log> = host::sync::mutex(Log { text: VecDeque::new(), cleared: 0, read: 0 });

/// Lines go to the kernel's standard error, too.
static COPIED: AtomicBool = AtomicBool::new(false);

pub fn copy_to_stderr() {
    COPIED.store(true, Ordering::Relaxed);
}

/// Appends a line of this level (0 to 7, syslog(2)). May be called with any lock but the allocator's held.
pub fn line(level: u8, text: Arguments) {
    let us = host::time::monotonic_ns().saturating_sub(crate::counters::BORN.get()) / 1000;
    let line = format!("<{level}>[{:5}.{:06}] {text}\n", us / 1_000_000, us % 1_000_000);
    if COPIED.load(Ordering::Relaxed) {
        // The log is a help, and its reader may be gone.
        let _ = host::file::write(2, line.as_bytes());
    }
    let mut log = LOG.lock();
    log.text.extend(line.as_bytes());
    while log.text.len() > SIZE {
        let n = log.text.iter().position(|c| *c == b'\n').map_or(log.text.len(), |n| n + 1);
        log.text.drain(..n);
        log.cleared = log.cleared.saturating_sub(n);
        log.read = log.read.saturating_sub(n);
    }
}

/// The last lines that `len` bytes have room for, of those not cleared; `clear` hides them from now on.
#[must_use]
pub fn last(len: usize, clear: bool) -> Vec<u8> {
    let mut log = LOG.lock();
    let from = log.cleared;
    let mut text = &log.text.make_contiguous()[from..];
    while text.len() > len {
        let n = text.iter().position(|c| *c == b'\n').map_or(text.len(), |n| n + 1);
        text = &text[n..];
    }
    let text = text.to_vec();
    if clear {
        log.cleared = log.text.len();
    }
    text
}

/// Hides everything so far from [`last`].
pub fn clear() {
    let mut log = LOG.lock();
    log.cleared = log.text.len();
}

/// Up to `len` bytes that nobody has read yet.
#[must_use]
pub fn read(len: usize) -> Vec<u8> {
    let mut log = LOG.lock();
    let from = log.read;
    log.read = log.text.len().min(from + len);
    log.text.range(from..log.read).copied().collect()
}

/// Bytes that [`read`] has left.
#[must_use]
pub fn unread() -> usize {
    let log = LOG.lock();
    log.text.len() - log.read
}
