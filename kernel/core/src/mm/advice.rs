//! madvise and other calls that leave the areas as they are.

use super::map::{page_up, range};
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
        spaces::mmu().advise(self, start, end, advice)
    }

    /// msync(2).
    ///
    /// # Errors
    /// `EINVAL`, `ENOMEM`.
    pub fn msync(&self, addr: u64, len: u64, flags: u32) -> Result<()> {
        if flags & !7 != 0 || flags & 5 == 5 {
            return Err(Errno::EINVAL);
        }
        let (start, end) = range(addr, len, Errno::ENOMEM)?;
        if self.space.lock().areas.covered(start, end) { Ok(()) } else { Err(Errno::ENOMEM) }?;
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

    /// mlock(2): checks the range; host memory is not pinned for a guest.
    ///
    /// # Errors
    /// `ENOMEM` for a hole.
    pub fn check_covered(&self, addr: u64, len: u64) -> Result<()> {
        let start = addr & !(PAGE - 1);
        let end = addr.checked_add(len).and_then(page_up).ok_or(Errno::EINVAL)?;
        if self.space.lock().areas.covered(start, end) { Ok(()) } else { Err(Errno::ENOMEM) }
    }
}
