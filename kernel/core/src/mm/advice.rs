//! madvise and other calls that leave the areas as they are.

use super::map::range;
use super::{Mm, spaces};
use crate::{Errno, Result};
use abi::layout::PAGE;

impl Mm {
    /// madvise(2).
    ///
    /// # Errors
    /// As madvise(2).
    pub fn madvise(&self, addr: u64, len: u64, advice: u32) -> Result<()> {
        let (start, end) = range(addr, len, Errno::EINVAL)?;
        if start == end {
            return Ok(());
        }
        // Poisoning and page migration of the host are not a guest's business.
        if matches!(advice, 100 | 101) {
            return Err(Errno::EPERM);
        }
        const DONTNEED: u32 = 4;
        const FREE: u32 = 8;
        if matches!(advice, DONTNEED | FREE) && self.space.lock().locked_in(start, end) > 0 {
            return Err(Errno::EINVAL);
        }
        spaces::mmu().advise(self, start, end, advice)
    }

    /// msync(2).
    ///
    /// # Errors
    /// `EINVAL`, `ENOMEM`; `EBUSY` where locked memory is to be invalidated.
    pub fn msync(&self, addr: u64, len: u64, flags: u32) -> Result<()> {
        if flags & !7 != 0 || flags & 5 == 5 {
            return Err(Errno::EINVAL);
        }
        let (start, end) = range(addr, len, Errno::ENOMEM)?;
        {
            const INVALIDATE: u32 = 2;
            let s = self.space.lock();
            if flags & INVALIDATE != 0 && s.locked_in(start, end) > 0 {
                return Err(Errno::EBUSY);
            }
            if !s.areas.covered(start, end) {
                return Err(Errno::ENOMEM);
            }
        }
        if start == end { Ok(()) } else { spaces::mmu().sync(self, start, end, flags) }
    }

    /// mincore(2): `put` gets one byte a page, some pages at a time, because the range may be terabytes.
    ///
    /// # Errors
    /// `EINVAL`, `ENOMEM`; what `put` says.
    pub fn mincore(&self, addr: u64, len: u64, mut put: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let (start, end) = range(addr, len, Errno::ENOMEM)?;
        if !self.space.lock().areas.covered(start, end) {
            return Err(Errno::ENOMEM);
        }
        let mut out = [0; 4096];
        let mut at = start;
        while at < end {
            let pages = ((end - at) / PAGE).min(out.len() as u64);
            let part = &mut out[..pages as usize];
            spaces::mmu().resident(self, at, part)?;
            put(part)?;
            at += pages * PAGE;
        }
        Ok(())
    }
}
