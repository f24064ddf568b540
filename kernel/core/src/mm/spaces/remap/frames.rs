//! Frames of the memory file as pages of address spaces: who refers to them, and the page cache of host files.

use crate::file::File;
use crate::{Errno, Mutex, Result, ram};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// A page of a file whose content has an identity (`FileOps::text_identity`).
type CacheKey = ((u64, u64), u64);

#[derive(Default)]
struct State {
    /// References to frames that have more than one.
    shared: BTreeMap<u64, u32>,
    cache: BTreeMap<CacheKey, u64>,
    /// The frame of zeros that reading an untouched page shows.
    zero: Option<u64>,
}

static STATE: Mutex<State> = host::sync::mutex(State { shared: BTreeMap::new(), cache: BTreeMap::new(), zero: None });

/// A frame with undefined content and one reference.
///
/// # Errors
/// `ENOMEM`: the machine's memory is used up.
fn take() -> Result<(u64, bool)> {
    ram::alloc(1, None).map(|f| (f.first, f.fresh))
}

/// A frame of zeros.
///
/// # Errors
/// `ENOMEM`; the host's.
pub fn zeroed() -> Result<u64> {
    let (f, fresh) = take()?;
    if !fresh {
        host::ram::zero(f * ram::FRAME, ram::FRAME).inspect_err(|_| ram::free(f, 1))?;
    }
    Ok(f)
}

/// A copy of a frame.
///
/// # Errors
/// `ENOMEM`; the host's.
pub fn copy_of(frame: u64) -> Result<u64> {
    if STATE.lock().zero == Some(frame) {
        return zeroed();
    }
    let (f, _) = take()?;
    host::ram::copy_page(f * ram::FRAME, frame * ram::FRAME).inspect_err(|_| ram::free(f, 1))?;
    Ok(f)
}

/// A frame with the page at `off` of host descriptor `fd`.
///
/// # Errors
/// `ENOMEM`; the host's.
pub fn read_from(fd: i32, off: u64) -> Result<u64> {
    let (f, _) = take()?;
    host::ram::fill_page(f * ram::FRAME, fd, off).inspect_err(|_| ram::free(f, 1))?;
    Ok(f)
}

/// One more reference.
pub fn share(frame: u64) {
    *STATE.lock().shared.entry(frame).or_insert(1) += 1;
}

/// One reference less; the last one frees the frame.
pub fn release(frame: u64) {
    let mut s = STATE.lock();
    match s.shared.get_mut(&frame) {
        Some(n) if *n > 2 => *n -= 1,
        Some(_) => {
            s.shared.remove(&frame);
        }
        None => {
            drop(s);
            ram::free(frame, 1);
        }
    }
}

/// True where the caller's is the only reference.
pub fn exclusive(frame: u64) -> bool {
    !STATE.lock().shared.contains_key(&frame)
}

/// The frame of zeros, with one more reference.
///
/// # Errors
/// `ENOMEM`.
pub fn zero() -> Result<u64> {
    let known = STATE.lock().zero;
    let f = match known {
        Some(f) => f,
        None => {
            let f = zeroed()?;
            STATE.lock().zero = Some(f);
            f
        }
    };
    share(f);
    Ok(f)
}

/// The cached page at `off` of `file`, with one more reference; None where the file's content has no identity.
///
/// # Errors
/// `ENOMEM`; the host's.
pub fn cached(file: &Arc<File>, fd: i32, off: u64) -> Result<Option<u64>> {
    let Some(id) = file.ops().text_identity(file) else { return Ok(None) };
    let key = (id, off / ram::FRAME);
    let known = STATE.lock().cache.get(&key).copied();
    let f = match known {
        Some(f) => f,
        None => {
            let f = read_from(fd, off)?;
            STATE.lock().cache.insert(key, f);
            f
        }
    };
    share(f);
    Ok(Some(f))
}

/// The cached pages from `off` of `file` on, without a reference to them: `n` of them, None where one is not cached. Page
/// `wanted` of them is; where it was not, those around it that were not cached either are read with it.
///
/// # Errors
/// `ENOMEM`; the host's.
pub fn cached_around(id: (u64, u64), fd: i32, off: u64, n: usize, wanted: usize) -> Result<Vec<Option<u64>>> {
    let key = |i: usize| (id, off / ram::FRAME + i as u64);
    let look = || {
        let s = STATE.lock();
        (0..n).map(|i| s.cache.get(&key(i)).copied()).collect::<Vec<_>>()
    };
    let known = look();
    if known[wanted].is_some() {
        return Ok(known);
    }
    let mut low = known[..wanted].iter().rposition(Option::is_some).map_or(0, |i| i + 1);
    let high = known[wanted..].iter().position(Option::is_some).map_or(n, |i| wanted + i);
    let got = ram::alloc((high - low) as u64, None)?;
    // Fewer than asked for: the wanted one among them.
    low = low.max((wanted + 1).saturating_sub(got.len as usize));
    let from = off + low as u64 * ram::FRAME;
    host::ram::fill(got.first * ram::FRAME, fd, from, got.len * ram::FRAME)
        .inspect_err(|_| ram::free(got.first, got.len))?;
    {
        let mut s = STATE.lock();
        for i in 0..got.len {
            s.cache.insert(key(low + i as usize), got.first + i);
        }
    }
    Ok(look())
}

/// Frees the cached pages that nobody maps; false where there are none.
pub fn reclaim() -> bool {
    let unused: Vec<u64> = {
        let mut s = STATE.lock();
        let keys: Vec<CacheKey> = s.cache.iter().filter(|(_, f)| !s.shared.contains_key(f)).map(|(k, _)| *k).collect();
        keys.iter().filter_map(|k| s.cache.remove(k)).collect()
    };
    for f in &unused {
        ram::free(*f, 1);
    }
    !unused.is_empty()
}

/// Pages in the page cache.
#[must_use]
pub fn cache_pages() -> u64 {
    STATE.lock().cache.len() as u64
}

/// Pages of an anonymous mapping that processes share: by offset in it.
#[derive(Default)]
pub struct SharedPages(Mutex<BTreeMap<u64, u64>>);

impl SharedPages {
    /// The frame at `page`, with one more reference.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn get(&self, page: u64) -> Result<u64> {
        let mut m = self.0.lock();
        let f = match m.get(&page) {
            Some(f) => *f,
            None => {
                let f = zeroed()?;
                m.insert(page, f);
                f
            }
        };
        share(f);
        Ok(f)
    }

    /// MADV_REMOVE: the page reads as zeros from now on; mappings of the old one must be gone.
    pub fn drop_page(&self, page: u64) {
        let old = self.0.lock().remove(&page);
        if let Some(f) = old {
            release(f);
        }
    }
}

impl Drop for SharedPages {
    fn drop(&mut self) {
        for f in self.0.lock().values() {
            release(*f);
        }
    }
}

/// As errno for a page fault: no memory, or the file can not be read.
#[must_use]
pub fn is_oom(e: Errno) -> bool {
    e == Errno::ENOMEM
}
