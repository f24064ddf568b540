//! mlock and its relatives (mlock(2)): which memory is locked is kept and counted against RLIMIT_MEMLOCK. No host page is
//! pinned for it: what the host does with its memory is not a guest's to say.

use super::map::page_up;
use super::{Mm, Space, flag};
use crate::task::{Cap, rlimit};
use crate::{Errno, Result};
use abi::layout::PAGE;
use core::sync::atomic::Ordering;

/// How many bytes the caller may have locked.
fn allowed() -> u64 {
    let me = crate::current();
    if me.cred().has(Cap::IpcLock) { rlimit::INFINITY } else { me.process.rlimit(rlimit::MEMLOCK) }
}

/// # Errors
/// `EPERM` where the caller may lock nothing at all.
fn may_lock() -> Result<()> {
    if allowed() == 0 { Err(Errno::EPERM) } else { Ok(()) }
}

/// The range of mlock(2), whose address need not be aligned. A length that rounds up beyond 64 bits is none, as on Linux.
fn range(addr: u64, len: u64) -> Result<(u64, u64)> {
    let start = addr & !(PAGE - 1);
    let len = page_up(len.wrapping_add(addr - start)).unwrap_or(0);
    Ok((start, start.checked_add(len).ok_or(Errno::EINVAL)?))
}

impl Space {
    /// Locked bytes in `[start, end)`.
    pub(super) fn locked_in(&self, start: u64, end: u64) -> u64 {
        let locked = |(_, v): &(u64, &super::Vma)| v.flags & flag::LOCKED != 0;
        self.areas.touching(start, end).filter(locked).map(|(s, v)| v.end.min(end) - s.max(start)).sum()
    }

    /// Locked bytes.
    fn locked(&self) -> u64 {
        self.locked_in(0, u64::MAX)
    }
}

impl Mm {
    /// mlock(2), mlock2(2). What lies before a hole is locked.
    ///
    /// # Errors
    /// `EINVAL` for an overflow, `EPERM` and `ENOMEM` at RLIMIT_MEMLOCK, `ENOMEM` for a hole.
    pub fn lock(&self, addr: u64, len: u64) -> Result<()> {
        may_lock()?;
        let (start, end) = range(addr, len)?;
        let mut s = self.space.lock();
        let new = (end - start) - s.locked_in(start, end);
        if s.locked().saturating_add(new) > allowed() {
            return Err(Errno::ENOMEM);
        }
        let r = mark(&mut s, start, end, true);
        drop(s);
        self.fill_ahead(start, end);
        r
    }

    /// munlock(2).
    ///
    /// # Errors
    /// `EINVAL`, `ENOMEM` for a hole.
    pub fn unlock(&self, addr: u64, len: u64) -> Result<()> {
        let (start, end) = range(addr, len)?;
        mark(&mut self.space.lock(), start, end, false)
    }

    /// mlockall(2): what there is (`now`), and what will be mapped (`later`).
    ///
    /// # Errors
    /// `EPERM`, `ENOMEM` at RLIMIT_MEMLOCK.
    pub fn lock_all(&self, now: bool, later: bool) -> Result<()> {
        may_lock()?;
        let mut s = self.space.lock();
        if now && s.areas.total() > allowed() {
            return Err(Errno::ENOMEM);
        }
        self.lock_new.store(later, Ordering::Relaxed);
        if now {
            s.areas.mark(0, u64::MAX, flag::LOCKED, true);
            drop(s);
            self.fill_ahead(0, u64::MAX);
        }
        Ok(())
    }

    /// munlockall(2).
    pub fn unlock_all(&self) {
        self.lock_new.store(false, Ordering::Relaxed);
        self.space.lock().areas.mark(0, u64::MAX, flag::LOCKED, false);
    }

    /// `flag::LOCKED` where new memory is to be locked (MCL_FUTURE), else 0.
    pub(super) fn lock_of_new(&self) -> u32 {
        if self.lock_new.load(Ordering::Relaxed) { flag::LOCKED } else { 0 }
    }
}

fn mark(s: &mut Space, start: u64, end: u64, on: bool) -> Result<()> {
    let reach = s.areas.reach(start, end);
    s.areas.mark(start, reach, flag::LOCKED, on);
    if reach < end { Err(Errno::ENOMEM) } else { Ok(()) }
}

/// Whether `more` bytes of memory with area flags `flags` may be had, which count where they are locked.
///
/// # Errors
/// `EAGAIN` at RLIMIT_MEMLOCK (mmap(2), mremap(2)).
pub(super) fn check_growth(s: &Space, flags: u32, more: u64) -> Result<()> {
    if flags & flag::LOCKED != 0 && s.locked().saturating_add(more) > allowed() { Err(Errno::EAGAIN) } else { Ok(()) }
}

/// Whether `len` bytes of new memory may be locked, which mmap's `flags` ask for or mlockall did.
///
/// # Errors
/// `EPERM` where it is asked for and nothing may be locked at all; as [`check_growth`].
pub(super) fn check_new(s: &Space, flags: u32, len: u64) -> Result<()> {
    if flags & flag::LOCKED != 0 {
        may_lock()?;
    }
    check_growth(s, flag::LOCKED, len)
}
