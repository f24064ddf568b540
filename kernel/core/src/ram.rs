//! The VM's memory for files: frames of the RAM file.
//!
//! A frame is *fresh* (never used or given back to the host: reads as zeros and costs nothing) or *used before*
//! (has memory and old contents). Freed frames are kept for reuse up to a small pool, because their memory is already
//! there; beyond it they are given back in one host call a run.

use crate::{Errno, Mutex, Result};
use lib::ranges::RangeSet;

pub const FRAME: u64 = 4096;
/// Frames kept for reuse.
const POOL: u64 = 1024;

/// Frames that follow each other, from [`alloc`].
#[derive(Clone, Copy, Debug)]
pub struct Frames {
    pub first: u64,
    pub len: u64,
    /// They read as zeros; otherwise they hold old contents, which the owner must overwrite before anybody sees them.
    pub fresh: bool,
}

struct Pool {
    fresh: RangeSet,
    used: RangeSet,
    total: u64,
}

static FRAMES: Mutex<Pool> = host::sync::mutex(Pool { fresh: RangeSet::new(), used: RangeSet::new(), total: 0 });

/// Takes over the RAM file: host descriptor and size in bytes. Called once, by boot.
pub fn init(fd: i32, bytes: u64) {
    host::ram::init(fd, bytes);
    let mut p = FRAMES.lock();
    p.total = bytes / FRAME;
    let n = p.total;
    p.fresh.insert(0, n);
}

/// Up to `n` frames that follow each other, if possible from `near` on.
///
/// # Errors
/// `ENOMEM` when there are none left, not even cached pages that nobody maps.
pub fn alloc(n: u64, near: Option<u64>) -> Result<Frames> {
    match take(n, near) {
        Err(Errno::ENOMEM) if crate::mm::spaces::remap::reclaim() => take(n, near),
        r => r,
    }
}

fn take(n: u64, near: Option<u64>) -> Result<Frames> {
    let mut p = FRAMES.lock();
    // Continuing a run beats all else: a file in one run is mapped and copied in one piece.
    if let Some(first) = near {
        if let Some(len) = p.used.take_at(n, first) {
            return Ok(Frames { first, len, fresh: false });
        }
        if let Some(len) = p.fresh.take_at(n, first) {
            return Ok(Frames { first, len, fresh: true });
        }
    }
    if n <= 16
        && let Some((first, len)) = p.used.take(n)
    {
        return Ok(Frames { first, len, fresh: false });
    }
    if let Some((first, len)) = p.fresh.take(n) {
        return Ok(Frames { first, len, fresh: true });
    }
    let (first, len) = p.used.take(n).ok_or(Errno::ENOMEM)?;
    Ok(Frames { first, len, fresh: false })
}

/// Frames nobody refers to any more.
pub fn free(first: u64, len: u64) {
    let over = {
        let mut p = FRAMES.lock();
        // A long run goes back at once: it would only push everything else out.
        if len >= POOL {
            drop(p);
            release(first, len);
            return;
        }
        p.used.insert(first, len);
        p.used.total() > POOL
    };
    if over {
        trim_to(POOL / 2);
    }
}

/// Gives kept frames back to the host: when the VM is idle.
pub fn trim() {
    trim_to(0);
}

fn trim_to(keep: u64) {
    loop {
        let run = {
            let mut p = FRAMES.lock();
            if p.used.total() <= keep { None } else { p.used.pop() }
        };
        let Some((first, len)) = run else { return };
        release(first, len);
    }
}

/// Punches the run out of the RAM file, then calls it fresh. The frames belong to nobody meanwhile.
fn release(first: u64, len: u64) {
    let punched = host::ram::punch(first * FRAME, len * FRAME).is_ok();
    let mut p = FRAMES.lock();
    if punched { p.fresh.insert(first, len) } else { p.used.insert(first, len) }
}

/// Zeroes frames that have an owner, giving their memory back where that is cheaper.
///
/// # Errors
/// The host's.
pub fn clear(first: u64, len: u64) -> Result<()> {
    if len >= 8 { host::ram::punch(first * FRAME, len * FRAME) } else { host::ram::zero(first * FRAME, len * FRAME) }
}

/// Frames in total, and free.
#[must_use]
pub fn usage() -> (u64, u64) {
    let p = FRAMES.lock();
    (p.total, p.fresh.total() + p.used.total())
}
