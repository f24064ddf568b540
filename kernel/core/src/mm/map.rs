//! mmap and its relatives.

use super::spaces::{self, Move, Request};
use super::{Area, Mm, Space, Vma, flag, lock};
use crate::file::File;
use crate::task::rlimit;
use crate::{Errno, Result};
use abi::layout::{self, PAGE};
use alloc::sync::Arc;
use host::mem;

pub(super) fn page_up(n: u64) -> Option<u64> {
    n.checked_add(PAGE - 1).map(|n| n & !(PAGE - 1))
}

fn aligned(n: u64) -> bool {
    n & (PAGE - 1) == 0
}

/// Whether RLIMIT_AS has room for `more` bytes of address space besides the `total` that there are.
fn check_address_space(total: u64, more: u64) -> Result<()> {
    let limit = crate::current().process.rlimit(rlimit::AS);
    if limit != rlimit::INFINITY && total.saturating_add(more) > limit { Err(Errno::ENOMEM) } else { Ok(()) }
}

/// The range of a call that takes an address and a length.
pub(super) fn range(addr: u64, len: u64, bad: Errno) -> Result<(u64, u64)> {
    if !aligned(addr) {
        return Err(Errno::EINVAL);
    }
    let len = page_up(len).ok_or(bad)?;
    let end = addr.checked_add(len).ok_or(bad)?;
    if len > 0 && !host::mem::mappable(addr, len) {
        return Err(bad);
    }
    Ok((addr, end))
}

impl Mm {
    /// mmap(2). `file` is None for anonymous memory.
    ///
    /// # Errors
    /// As mmap(2).
    pub fn mmap(&self, addr: u64, len: u64, prot: u32, flags: u32, file: Option<Arc<File>>, off: u64) -> Result<u64> {
        use flag::*;
        if len == 0 || !aligned(off) {
            return Err(Errno::EINVAL);
        }
        let len = page_up(len).filter(|l| *l <= layout::USER_MAX).ok_or(Errno::ENOMEM)?;
        if off.checked_add(len).is_none() {
            return Err(Errno::EOVERFLOW);
        }
        let shared = match flags & TYPE {
            1 | 3 => true,
            2 => false,
            _ => return Err(Errno::EINVAL),
        };
        // MAP_SHARED_VALIDATE: flags that are not understood are refused instead of ignored (MAP_SYNC among them).
        const LEGACY: u32 = 0x4_fffff & !(1 << 19) | FIXED_NOREPLACE;
        if flags & TYPE == 3 && flags & !LEGACY != 0 {
            return Err(Errno::EOPNOTSUPP);
        }
        if flags & HUGETLB != 0 {
            return Err(Errno::ENOMEM);
        }
        let prot = prot & PROT_MASK;
        // Older than MAP_ANONYMOUS, and still used for the same (null(4)).
        let file = match file {
            Some(f) if f.ops().maps_zeros() => {
                if !f.readable() || (shared && prot & PROT_WRITE != 0 && !f.writable()) {
                    return Err(Errno::EACCES);
                }
                None
            }
            f => f,
        };
        let fixed = flags & (FIXED | FIXED_NOREPLACE) != 0;
        if fixed {
            if !aligned(addr) {
                return Err(Errno::EINVAL);
            }
            if addr < layout::USER_MIN {
                return Err(Errno::EPERM);
            }
            if !host::mem::mappable(addr, len) {
                return Err(Errno::ENOMEM);
            }
        }
        let hint = addr & !(PAGE - 1);
        let hint = if fixed || (hint >= layout::USER_MIN && host::mem::mappable(hint, len)) { hint } else { 0 };
        // What lies beyond is ours.
        let flags = flags & ALL;
        // More than can be committed, but asked for as address space to be used here and there (the sanitizers' shadow).
        let lazy =
            file.is_none() && !shared && flags & NORESERVE != 0 && prot & PROT_WRITE != 0 && super::too_much(len);
        // A page that nobody touches takes no frame of the memory file.
        let lazy = lazy || (spaces::mmu().pages_are_frames() && file.is_none() && !shared && flags & NORESERVE != 0);
        self.check_limits(len, if lazy { 0 } else { prot }, flags)?;
        let lock = self.lock_of_new() | flags & LOCKED;
        if lock != 0 {
            lock::check_new(&self.space.lock(), flags, len)?;
        }
        let flags = flags | if lazy { LAZY } else { 0 };
        let populate =
            (lock | flags & POPULATE) != 0 && prot != 0 && file.is_some() && !spaces::mmu().pages_are_frames();
        let at = spaces::mmu().map(self, Request { hint, len, prot, flags, file, off })?;
        if lock != 0 {
            self.space.lock().areas.mark(at, at + len, LOCKED, true);
        }
        if populate {
            // An attempt, as on Linux; the host has done it where the file's pages are one run.
            const POPULATE_READ: u32 = 22;
            let _ = spaces::mmu().advise(self, at, at + len, POPULATE_READ + u32::from(prot & PROT_WRITE != 0));
        }
        Ok(at)
    }

    /// Refuses more than the VM may commit, or more than RLIMIT_AS.
    pub(super) fn check_limits(&self, len: u64, prot: u32, flags: u32) -> Result<()> {
        check_address_space(self.total(), len)?;
        if super::area::accountable(prot, flags) {
            super::check_commit(len, None)?;
        }
        let private = flags & flag::TYPE == flag::PRIVATE && prot & flag::PROT_WRITE != 0;
        let data = crate::current().process.rlimit(rlimit::DATA);
        if private && data != rlimit::INFINITY && self.space.lock().areas.accounted().saturating_add(len) > data {
            return Err(Errno::ENOMEM);
        }
        Ok(())
    }

    /// munmap(2).
    ///
    /// # Errors
    /// `EINVAL`.
    pub fn munmap(&self, addr: u64, len: u64) -> Result<()> {
        if len == 0 {
            return Err(Errno::EINVAL);
        }
        let (start, end) = range(addr, len, Errno::EINVAL)?;
        let mut s = self.space.lock();
        spaces::mmu().unmap(self, &mut s, start, end)
    }

    /// mprotect(2).
    ///
    /// # Errors
    /// `EINVAL`, `ENOMEM` for a hole, `EACCES` for writing to a mapping of a read-only file.
    pub fn mprotect(&self, addr: u64, len: u64, prot: u32) -> Result<()> {
        let prot = prot & flag::PROT_MASK;
        let (start, end) = range(addr, len, Errno::ENOMEM)?;
        if start == end {
            return Ok(());
        }
        let mut s = self.space.lock();
        // What lies before a hole is changed, then the hole is told of.
        let reach = s.areas.reach(start, end);
        if reach == start {
            return Err(Errno::ENOMEM);
        }
        let (hole, end) = (reach < end, reach);
        let mut lazy = s.areas.lacks(start, end);
        let mut more = 0;
        s.areas.each_covering(start, end, |from, to, v| {
            lazy |= v.flags & (flag::LAZY | flag::COW) != 0;
            if v.flags & flag::ACCOUNT == 0 && super::area::accountable(prot, v.flags) {
                more += to - from;
            }
            let no_write = v.flags & flag::TYPE == flag::SHARED && v.mapping.as_ref().is_some_and(|m| !m.may_write);
            if prot & flag::PROT_WRITE != 0 && no_write {
                return Err(Errno::EACCES);
            }
            spaces::mmu().check_area(v, prot)
        })?;
        super::check_commit(more, Some(&mut s.areas))?;
        if prot & flag::PROT_EXEC != 0 && super::wx::on() {
            s.open_written(start, end)?;
        }
        spaces::mmu().protect(self, &mut s, (start, end), prot, lazy)?;
        if hole { Err(Errno::ENOMEM) } else { Ok(()) }
    }

    /// brk(2): returns the new break, or the old one where the request can not be met.
    #[must_use]
    pub fn brk(&self, want: u64) -> u64 {
        let mut s = self.space.lock();
        let (start, cur) = (s.image.brk_start, s.image.brk);
        if want < start || start == 0 {
            return cur;
        }
        let data_limit = crate::current().process.rlimit(rlimit::DATA);
        let (Some(old), Some(new)) = (page_up(cur), page_up(want)) else { return cur };
        if new > old {
            let len = new - old;
            let prot = flag::PROT_READ | flag::PROT_WRITE;
            let lock = self.lock_of_new();
            if want - start > data_limit
                || check_address_space(s.areas.total(), len).is_err()
                || super::check_commit(len, Some(&mut s.areas)).is_err()
                || lock::check_growth(&s, lock, len).is_err()
                || !host::mem::mappable(old, len)
                || new > s.heap_end(old)
            {
                return cur;
            }
            let flags = flag::PRIVATE | flag::ANONYMOUS;
            if spaces::mmu().grow(old, len, prot, flags).is_err() {
                return cur;
            }
            let flags = flags | lock;
            s.areas.insert(old, Vma { end: new, prot, flags, mapping: None, offset: 0, patched: false, shared: None });
        } else if new < old && spaces::mmu().unmap(self, &mut s, new, old).is_err() {
            return cur;
        }
        s.image.brk = want;
        want
    }

    /// mremap(2).
    ///
    /// # Errors
    /// As mremap(2).
    pub fn mremap(&self, old: u64, old_len: u64, new_len: u64, flags: u32, new: u64) -> Result<u64> {
        const MAYMOVE: u32 = 1;
        const FIXED: u32 = 2;
        const DONTUNMAP: u32 = 4;
        if flags & !(MAYMOVE | FIXED | DONTUNMAP) != 0 || !aligned(old) || new_len == 0 {
            return Err(Errno::EINVAL);
        }
        if flags & (FIXED | DONTUNMAP) != 0 && flags & MAYMOVE == 0 {
            return Err(Errno::EINVAL);
        }
        let new_len = page_up(new_len).ok_or(Errno::EINVAL)?;
        let mut s = self.space.lock();
        if s.areas.find(old).is_none() {
            return Err(Errno::EFAULT);
        }
        let (start, mut end) = range(old, old_len, Errno::EINVAL)?;
        if flags & (FIXED | DONTUNMAP) != 0 {
            let (ns, ne) = range(new, new_len, Errno::EINVAL)?;
            if ns < end && start < ne || flags & DONTUNMAP != 0 && new_len != end - start {
                return Err(Errno::EINVAL);
            }
        }
        let shared_copy = old_len == 0;
        // Shrinking unmaps the tail, whatever areas and holes it has; only what moves must be of one piece.
        if new_len <= end - start {
            let keep = start + new_len;
            if flags & (FIXED | DONTUNMAP) != 0 && s.areas.find(start).is_none_or(|(_, v)| v.end < keep) {
                return Err(Errno::EFAULT);
            }
            if keep < end {
                spaces::mmu().unmap(self, &mut s, keep, end)?;
                end = keep;
            }
            if flags & (FIXED | DONTUNMAP) == 0 {
                return Ok(start);
            }
        }
        // In pieces it could not move as one.
        s.open_written(start, end)?;
        let Some((vstart, v)) = s.areas.find(start) else { return Err(Errno::EFAULT) };
        if shared_copy && v.flags & flag::TYPE != flag::SHARED {
            return Err(Errno::EINVAL);
        }
        if end > v.end {
            return Err(Errno::EFAULT);
        }
        check_address_space(s.areas.total(), new_len.saturating_sub(end - start))?;
        let piece = Vma { end: 0, offset: v.offset + (start - vstart), ..v.clone() };
        let more = new_len.saturating_sub(end - start);
        if piece.flags & flag::ACCOUNT != 0 {
            super::check_commit(more, Some(&mut s.areas))?;
        }
        lock::check_growth(&s, piece.flags, more)?;
        spaces::mmu().remap(self, &mut s, Move { from: (start, end), new_len, flags, to: new, piece })
    }

    /// The calling thread's process has this space from now on (execve): nothing of the old one is mapped any more.
    ///
    /// # Errors
    /// The host's.
    pub fn take_over(&self) -> Result<()> {
        spaces::mmu().take_over(self)
    }

    /// The text of the area at `start` has a patched copy at RAM offset `ram`: maps it. Private: an application that makes its
    /// text writable gets its own copy, never everybody's.
    ///
    /// # Errors
    /// The host's.
    pub fn install_text(&self, s: &mut Space, start: u64, len: u64, ram: u64) -> Result<()> {
        spaces::mmu().install_text(self, s, start, len, ram)?;
        s.areas.set_patched(start);
        Ok(())
    }

    /// Unmaps all application memory of the calling host process (execve), but for the host's vDSO, which programs go on
    /// to use.
    ///
    /// # Errors
    /// The host's.
    pub(super) fn unmap_all(vdso: (u64, u64)) -> Result<()> {
        let gaps = [
            (layout::USER_MIN, layout::JUMP_TABLE),
            (layout::STUBS_END, layout::OUTSIDE_BASE),
            (layout::KERNEL_END, layout::RAM_WINDOW),
            (layout::RAM_WINDOW + layout::RAM_MAX, vdso.0),
            (vdso.1, layout::USER_MAX),
        ];
        for (start, end) in gaps {
            if start < end {
                mem::munmap(start, end - start)?;
            }
        }
        Ok(())
    }
}

impl Area {
    /// Puts an area without looking at limits: the ELF loader and the stack.
    pub fn place(&mut self, start: u64, end: u64, prot: u32, flags: u32) {
        self.insert(start, Vma { end, prot, flags, mapping: None, offset: 0, patched: false, shared: None });
    }
}
