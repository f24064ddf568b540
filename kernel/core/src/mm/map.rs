//! mmap and its relatives.

use super::{Area, Mapping, Mm, Space, Vma, flag};
use crate::file::{File, MapKind};
use crate::task::rlimit;
use crate::{Errno, Result};
use abi::layout::{self, PAGE};
use alloc::sync::Arc;
use host::mem;

fn page_up(n: u64) -> Option<u64> {
    n.checked_add(PAGE - 1).map(|n| n & !(PAGE - 1))
}

fn aligned(n: u64) -> bool {
    n & (PAGE - 1) == 0
}

/// The range of a call that takes an address and a length.
fn range(addr: u64, len: u64, bad: Errno) -> Result<(u64, u64)> {
    if !aligned(addr) {
        return Err(Errno::EINVAL);
    }
    let len = page_up(len).ok_or(bad)?;
    let end = addr.checked_add(len).ok_or(bad)?;
    if len > 0 && !layout::mappable(addr, len) {
        return Err(bad);
    }
    Ok((addr, end))
}

/// Maps the parts of `[start, start+len)` that the file has now; false where parts are missing.
pub(super) fn map_file(
    start: u64,
    len: u64,
    prot: u32,
    shared: bool,
    file: &Arc<File>,
    off: u64,
    kind: MapKind,
) -> Result<bool> {
    let mut covered = 0;
    for e in file.ops().map_extents(file, off, len, kind)? {
        let Some((fd, host_off)) = e.host else { continue };
        if e.offset < off || e.offset - off >= len {
            continue;
        }
        let n = e.len.min(len - (e.offset - off));
        let how = flag::FIXED | if shared { flag::SHARED } else { flag::PRIVATE };
        mem::mmap(start + (e.offset - off), n, prot, how, fd, host_off)?;
        covered += n;
    }
    Ok(covered >= len)
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
        if flags & HUGETLB != 0 {
            return Err(Errno::ENOMEM);
        }
        let prot = prot & PROT_MASK;
        let fixed = flags & (FIXED | FIXED_NOREPLACE) != 0;
        if fixed {
            if !aligned(addr) {
                return Err(Errno::EINVAL);
            }
            if addr < layout::USER_MIN {
                return Err(Errno::EPERM);
            }
            if !layout::mappable(addr, len) {
                return Err(Errno::ENOMEM);
            }
        }
        let hint = addr & !(PAGE - 1);
        let hint = if fixed || (hint >= layout::USER_MIN && layout::mappable(hint, len)) { hint } else { 0 };
        self.check_limits(len, prot, flags)?;
        let mut s = self.space.lock();
        if flags & FIXED_NOREPLACE != 0 && !s.areas.free(addr, addr + len) {
            return Err(Errno::EEXIST);
        }
        let keep = flags & (FIXED | FIXED_NOREPLACE | BIT32 | NORESERVE | STACK | POPULATE | GROWSDOWN);
        match file {
            None => {
                let host_flags = keep | ANONYMOUS | if shared { SHARED } else { PRIVATE };
                let at = mem::mmap(hint, len, prot, host_flags, -1, 0)?;
                let flags = flags & (GROWSDOWN | NORESERVE) | ANONYMOUS | if shared { SHARED } else { PRIVATE };
                s.areas.insert(
                    at,
                    Vma { end: at + len, prot, flags, mapping: None, offset: 0, partial: false, patched: false },
                );
                Ok(at)
            }
            Some(file) => {
                if !file.readable() || (shared && prot & PROT_WRITE != 0 && !file.writable()) {
                    return Err(Errno::EACCES);
                }
                let kind = if shared && file.writable() { MapKind::SharedWrite } else { MapKind::Read };
                let extents = file.ops().map_extents(&file, off, len, kind)?;
                let how = if shared { SHARED } else { PRIVATE };
                // A library's first mapping reserves all of it: where it lay before it should lie again (see `exec::prefer`).
                let id = if hint == 0 && !fixed && off == 0 { file.ops().text_identity(&file) } else { None };
                let liked = id.and_then(|id| crate::exec::preferred(id, len)).filter(|a| s.areas.free(*a, *a + len));
                let hint = liked.unwrap_or(hint);
                // One run that covers all: one host call.
                let whole = match extents.as_slice() {
                    [e] if e.offset == off && e.len >= len => e.host,
                    _ => None,
                };
                // Text that has been patched for this address already.
                let text = if prot == PROT_READ | PROT_EXEC && !shared && fixed {
                    file.ops().text_identity(&file).and_then(|id| {
                        crate::text::lookup(&crate::text::Key { file: id, offset: off, start: addr, len })
                    })
                } else {
                    None
                };
                let patched = text.is_some();
                let whole = text.map(|ram| (host::ram::fd(), ram)).or(whole);
                let (at, partial) = if let Some((fd, host_off)) = whole {
                    (mem::mmap(hint, len, prot, keep & !GROWSDOWN | how, fd, host_off)?, false)
                } else {
                    let at = mem::mmap(
                        hint,
                        len,
                        0,
                        keep & !(GROWSDOWN | POPULATE) | PRIVATE | ANONYMOUS | NORESERVE,
                        -1,
                        0,
                    )?;
                    match map_file(at, len, prot, shared, &file, off, kind) {
                        Ok(all) => (at, !all),
                        Err(e) => {
                            let _ = mem::munmap(at, len);
                            s.areas.remove(at, at + len);
                            return Err(e);
                        }
                    }
                };
                if let Some(id) = id {
                    crate::exec::prefer(id, len, at);
                }
                let mapping = Some(Mapping::new(file));
                s.areas.insert(at, Vma { end: at + len, prot, flags: how, mapping, offset: off, partial, patched });
                Ok(at)
            }
        }
    }

    /// Refuses more than the VM may commit, or more than RLIMIT_AS.
    fn check_limits(&self, len: u64, prot: u32, flags: u32) -> Result<()> {
        if super::area::accountable(prot, flags) {
            super::check_commit(len)?;
        }
        let limit = crate::current().process.rlimit(rlimit::AS);
        if limit != rlimit::INFINITY && self.total().saturating_add(len) > limit {
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
        mem::munmap(start, end - start)?;
        s.areas.remove(start, end);
        Ok(())
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
        let mut partial = false;
        let mut more = 0;
        s.areas.each_covering(start, end, |from, to, v| {
            partial |= v.partial;
            if v.flags & flag::ACCOUNT == 0 && super::area::accountable(prot, v.flags) {
                more += to - from;
            }
            let no_write =
                v.flags & flag::TYPE == flag::SHARED && v.mapping.as_ref().is_some_and(|m| !m.file.writable());
            if prot & flag::PROT_WRITE != 0 && no_write { Err(Errno::EACCES) } else { Ok(()) }
        })?;
        super::check_commit(more)?;
        if partial {
            for (a, v) in &s.areas.overlapping(start, end) {
                protect_area(*a, v, prot)?;
            }
        } else {
            mem::mprotect(start, end - start, prot)?;
        }
        s.areas.protect(start, end, prot);
        Ok(())
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
            let flags = flag::PRIVATE | flag::ANONYMOUS;
            if want - start > data_limit
                || super::check_commit(len).is_err()
                || !layout::mappable(old, len)
                || !s.areas.free(old, new)
            {
                return cur;
            }
            if mem::mmap(old, len, prot, flags | flag::FIXED_NOREPLACE, -1, 0).is_err() {
                return cur;
            }
            s.areas
                .insert(old, Vma { end: new, prot, flags, mapping: None, offset: 0, partial: false, patched: false });
        } else if new < old {
            if mem::munmap(new, old - new).is_err() {
                return cur;
            }
            s.areas.remove(new, old);
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
        let (start, end) = range(old, old_len, Errno::EINVAL)?;
        let new_len = page_up(new_len).ok_or(Errno::EINVAL)?;
        if flags & FIXED != 0 {
            let (ns, ne) = range(new, new_len, Errno::EINVAL)?;
            if ns < end && start < ne {
                return Err(Errno::EINVAL);
            }
        }
        let mut s = self.space.lock();
        let Some((vstart, v)) = s.areas.find(start) else { return Err(Errno::EFAULT) };
        let shared_copy = old_len == 0;
        if shared_copy && v.flags & flag::TYPE != flag::SHARED {
            return Err(Errno::EINVAL);
        }
        if end > v.end {
            return Err(Errno::EFAULT);
        }
        if v.flags & flag::ACCOUNT != 0 {
            super::check_commit(new_len.saturating_sub(end - start))?;
        }
        let mut piece = Vma { end: 0, offset: v.offset + (start - vstart), ..v.clone() };
        if new_len > end - start && piece.mapping.is_some() && (piece.partial || !single_extent(&piece, new_len)) {
            return Self::remap_file(&mut s, start, end, new_len, flags, new, piece);
        }
        let at = mem::mremap(start, end - start, new_len, flags, new)?;
        if !shared_copy && flags & DONTUNMAP == 0 {
            s.areas.remove(start, end);
        }
        piece.end = at + new_len;
        s.areas.insert(at, piece);
        Ok(at)
    }

    /// Growing a mapping whose pages are not one run: move what there is, map the rest afresh.
    fn remap_file(
        s: &mut Space,
        start: u64,
        end: u64,
        new_len: u64,
        flags: u32,
        new: u64,
        mut piece: Vma,
    ) -> Result<u64> {
        let Some(m) = piece.mapping.clone() else { return Err(Errno::EFAULT) };
        let fixed = if flags & 2 != 0 { flag::FIXED } else { 0 };
        let at = mem::mmap(new, new_len, 0, flag::PRIVATE | flag::ANONYMOUS | flag::NORESERVE | fixed, -1, 0)?;
        let shared = piece.flags & flag::TYPE == flag::SHARED;
        if !shared {
            // Private pages may have been written: only the whole old mapping, moved in one piece, keeps them.
            mem::mremap(start, end - start, end - start, 3, at)?;
        } else {
            mem::munmap(start, end - start)?;
        }
        let done = if shared { 0 } else { end - start };
        let kind = if shared && m.file.writable() { MapKind::SharedWrite } else { MapKind::Read };
        let all = map_file(at + done, new_len - done, piece.prot, shared, &m.file, piece.offset + done, kind)?;
        s.areas.remove(start, end);
        piece.end = at + new_len;
        piece.partial |= !all;
        s.areas.insert(at, piece);
        Ok(at)
    }

    /// madvise(2).
    ///
    /// # Errors
    /// As madvise(2).
    pub fn madvise(&self, addr: u64, len: u64, advice: u32) -> Result<()> {
        let (start, end) = range(addr, len, Errno::EINVAL)?;
        if start == end {
            return Ok(());
        }
        let s = self.space.lock();
        if !s.areas.covered(start, end) {
            return Err(Errno::ENOMEM);
        }
        match advice {
            // Poisoning and page migration of the host are not a guest's business.
            100 | 101 => Err(Errno::EPERM),
            // Discarding pages of a partly mapped file must not touch the place holders.
            _ if s.areas.overlapping(start, end).iter().any(|(_, v)| v.partial) => Ok(()),
            _ => mem::madvise(start, end - start, advice),
        }
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
        if start == end { Ok(()) } else { mem::msync(start, end - start, flags) }
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
            mem::mincore(at, pages * PAGE, part)?;
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

    /// Unmaps all application memory of the calling host process (execve), but for the host's vDSO, which programs go on
    /// to use.
    ///
    /// # Errors
    /// The host's.
    pub fn unmap_all(vdso: (u64, u64)) -> Result<()> {
        let gaps = [
            (layout::USER_MIN, layout::JUMP_TABLE),
            (layout::STUBS_END, layout::KERNEL_BASE),
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

fn protect_area(start: u64, v: &Vma, prot: u32) -> Result<()> {
    let Some(m) = v.mapping.as_ref().filter(|_| v.partial) else {
        return mem::mprotect(start, v.end - start, prot);
    };
    let kind =
        if v.flags & flag::TYPE == flag::SHARED && m.file.writable() { MapKind::SharedWrite } else { MapKind::Read };
    for e in m.file.ops().map_extents(&m.file, v.offset, v.end - start, kind)? {
        if e.host.is_some() && e.offset >= v.offset {
            let at = start + (e.offset - v.offset);
            if at < v.end {
                mem::mprotect(at, e.len.min(v.end - at), prot)?;
            }
        }
    }
    Ok(())
}

fn single_extent(v: &Vma, len: u64) -> bool {
    v.mapping.as_ref().is_some_and(|m| {
        m.file
            .ops()
            .map_extents(&m.file, v.offset, len, MapKind::Read)
            .is_ok_and(|e| matches!(e.as_slice(), [e] if e.offset == v.offset && e.len >= len && e.host.is_some()))
    })
}

impl Area {
    /// Puts an area without looking at limits: the ELF loader and the stack.
    pub fn place(&mut self, start: u64, end: u64, prot: u32, flags: u32) {
        self.insert(start, Vma { end, prot, flags, mapping: None, offset: 0, partial: false, patched: false });
    }
}
