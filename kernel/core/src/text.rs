//! Patched program text: one copy of a file's executable part for all processes that map it at the same address.
//!
//! The copy lives in RAM frames, is complete before anybody executes it, and never changes afterwards, so no processor
//! ever sees a half-written instruction. Making one is `entry::patch`'s.

use crate::{Mutex, ram};
use alloc::vec::Vec;

/// A part of a file at an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Key {
    /// Device and inode.
    pub file: (u64, u64),
    pub offset: u64,
    pub start: u64,
    pub len: u64,
}

struct Text {
    key: Key,
    /// Offset in the RAM file.
    ram: u64,
}

struct State {
    ready: Vec<Text>,
    /// How often calls from a text have trapped that has no copy yet.
    traps: Vec<(Key, u32)>,
}

static STATE: Mutex<State> = host::sync::mutex(State { ready: Vec::new(), traps: Vec::new() });

/// Traps after which a copy pays: it costs about as much as a thousand of them, and programs that trap this often go on.
const THRESHOLD: u32 = 32;
/// The longest text that is copied.
const MAX_LEN: u64 = 256 << 20;
/// Most texts looked after.
const MAX_TEXTS: usize = 4096;

/// The copy for `key`: offset in the RAM file.
#[must_use]
pub fn lookup(key: &Key) -> Option<u64> {
    STATE.lock().ready.iter().find(|t| t.key == *key).map(|t| t.ram)
}

/// Counts a trap; true when the caller should make the copy now.
#[must_use]
pub fn trapped(key: &Key) -> bool {
    if key.len > MAX_LEN {
        return false;
    }
    let mut s = STATE.lock();
    if let Some(e) = s.traps.iter_mut().find(|e| e.0 == *key) {
        e.1 = e.1.saturating_add(1);
        return e.1 == THRESHOLD;
    }
    if s.traps.len() < MAX_TEXTS {
        s.traps.push((*key, 1));
    }
    false
}

/// Keeps a finished copy; false where there is no memory for it.
#[must_use]
pub fn keep(key: &Key, bytes: &[u8]) -> bool {
    let frames = key.len / ram::FRAME;
    let Ok(f) = ram::alloc(frames, None) else { return false };
    if f.len < frames {
        ram::free(f.first, f.len);
        return false;
    }
    let at = f.first * ram::FRAME;
    let mut done = 0;
    while done < bytes.len() {
        match host::file::pwrite(host::ram::fd(), &bytes[done..], at + done as u64) {
            Ok(n) if n > 0 => done += n,
            _ => {
                ram::free(f.first, f.len);
                return false;
            }
        }
    }
    STATE.lock().ready.push(Text { key: *key, ram: at });
    true
}

/// Number of texts with a copy.
#[must_use]
pub fn count() -> usize {
    STATE.lock().ready.len()
}
