//! Objects without a path: pipes, sockets, event objects.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

static NEXT_INO: AtomicU64 = AtomicU64::new(1);

/// An inode number for an object without a file system (Linux's pipefs, sockfs, anon_inodefs).
#[must_use]
pub fn next_ino() -> u64 {
    NEXT_INO.fetch_add(1, Ordering::Relaxed)
}

/// The text of /proc/PID/fd for such an object: `pipe:[12]`.
#[must_use]
pub fn link_text(kind: &str, ino: u64) -> Vec<u8> {
    alloc::format!("{kind}:[{ino}]").into_bytes()
}
