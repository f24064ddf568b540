//! Patched program text: one copy of a file's executable part for all processes that map it at the same address.
//!
//! The copy lives in RAM frames, is complete before anybody executes it, and never changes afterwards, so no processor
//! ever sees a half-written instruction. Making one is `entry::inline`'s.

use crate::exec::read_file;
use crate::file::File;
use crate::{Mutex, Result, counters, ram};
use alloc::vec::Vec;
use host::sync::Once;
use lib::opcodes::{self, REACH};

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
    /// How often texts of files that can change have been mapped.
    mapped: Vec<(Key, u32)>,
    /// Parts of files with fixed content (start 0) that were looked at, and whether they are free of dangerous instructions.
    seen: Vec<(Key, bool)>,
}

static STATE: Mutex<State> =
    host::sync::mutex(State { ready: Vec::new(), traps: Vec::new(), mapped: Vec::new(), seen: Vec::new() });

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

/// Patches a text for an address.
pub type Patch = fn(text: &mut [u8], start: u64);

static PATCH: Once<Patch> = Once::new();

/// Tells who patches the system calls of copies that are made for another reason: `entry::inline`, under the `inline` monitor.
pub fn set_patch(f: &'static Patch) {
    PATCH.set(f);
}

/// Whether this part of a file with fixed content has no dangerous instructions (`lib::opcodes`). Each is read once per VM.
///
/// # Errors
/// The file's.
pub fn is_clean(file: &File, offset: u64, len: u64) -> Result<bool> {
    const CHUNK: u64 = 256 << 10;
    let key = file.ops().text_identity(file).map(|id| Key { file: id, offset, start: 0, len });
    if let Some(e) = STATE.lock().seen.iter().find(|e| Some(e.0) == key) {
        return Ok(e.1);
    }
    let mut buf = alloc::vec![0u8; CHUNK.min(len) as usize];
    let mut at = 0;
    let mut clean = true;
    while clean && at < len {
        let n = CHUNK.min(len - at);
        let got = read_file(file, offset + at, &mut buf[..n as usize])?;
        clean = opcodes::clean(&buf[..got]);
        if got < n as usize || at + n >= len {
            break;
        }
        // What straddles two pieces is seen whole in the second one.
        at += n - REACH as u64;
    }
    let mut s = STATE.lock();
    if let Some(key) = key.filter(|_| s.seen.len() < MAX_TEXTS) {
        s.seen.push((key, clean));
    }
    Ok(clean)
}

/// Counts a mapping of a text whose file can change; true where it is worth a copy for all that map it: from the third time on, of
/// content that has not changed meanwhile ([`File`]'s text identity). Copies are never given back: they get an eighth of the memory.
#[must_use]
pub fn mapped_often(file: &File, offset: u64, start: u64, len: u64) -> bool {
    const OFTEN: u32 = 3;
    let Some(id) = file.ops().text_identity(file) else { return false };
    let key = Key { file: id, offset, start, len };
    let mut s = STATE.lock();
    if let Some(e) = s.mapped.iter_mut().find(|e| e.0 == key) {
        e.1 = e.1.saturating_add(1);
        if e.1 < OFTEN {
            return false;
        }
        let copied: u64 = s.ready.iter().map(|t| t.key.len).sum();
        return copied + len <= ram::usage().0 * ram::FRAME / 8;
    }
    if s.mapped.len() == MAX_TEXTS {
        s.mapped.remove(0);
    }
    s.mapped.push((key, 1));
    false
}

/// The copy for a part of a file at an address, if there is one.
#[must_use]
pub fn lookup_at(file: &File, offset: u64, start: u64, len: u64) -> Option<u64> {
    lookup(&Key { file: file.ops().text_identity(file)?, offset, start, len })
}

/// A copy of a text with fixed content without its dangerous instructions, made if need be; None where that is impossible: no memory,
/// or bytes that can not be replaced.
#[must_use]
pub fn safe_copy(file: &File, offset: u64, start: u64, len: u64) -> Option<u64> {
    let key = Key { file: file.ops().text_identity(file)?, offset, start, len };
    if let Some(ram) = lookup(&key) {
        return Some(ram);
    }
    if len > MAX_LEN / 2 {
        return None;
    }
    let mut bytes = alloc::vec![0u8; len as usize];
    read_file(file, offset, &mut bytes).ok()?;
    neutralise(&mut bytes, start)?;
    // The system calls, too, at this price.
    if let Some(patch) = PATCH.get() {
        patch(&mut bytes, start);
    }
    if !opcodes::clean(&bytes) || !keep(&key, &bytes) {
        return None;
    }
    lookup(&key)
}

/// Replaces all dangerous instructions; None where one can not be.
pub fn neutralise(bytes: &mut [u8], start: u64) -> Option<()> {
    let n = lib::displace::neutralise(bytes, start).ok()?;
    counters::NEUTRALISED.add(n as u64);
    Some(())
}
