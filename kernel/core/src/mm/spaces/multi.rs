//! `multi` spaces: an address space is the host process's own. Anonymous memory is host private memory, files are mapped straight
//! from their host descriptors; faults, copy-on-write and fork's copy are the host's.

use super::{Mmu, Move, Request};
use crate::file::{File, MapKind};
use crate::mm::{FaultResult, Mapping, Mm, Space, Vma, flag, wx};
use crate::signal::{code, sig};
use crate::{Errno, Result};
use abi::layout::PAGE;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;
use host::mem;

pub(super) struct Multi;

impl Mmu for Multi {
    fn pages_are_frames(&self) -> bool {
        false
    }

    fn map(&self, mm: &Mm, r: Request) -> Result<u64> {
        use flag::*;
        let Request { hint, len, prot, flags, file, off } = r;
        let shared = flags & TYPE != PRIVATE;
        let fixed = flags & (FIXED | FIXED_NOREPLACE) != 0;
        let lazy = flags & LAZY != 0;
        let mut s = mm.space.lock();
        if flags & FIXED_NOREPLACE != 0 && !s.areas.free(hint, hint + len) {
            return Err(Errno::EEXIST);
        }
        let keep = flags & (FIXED | FIXED_NOREPLACE | BIT32 | NORESERVE | STACK | POPULATE | GROWSDOWN);
        match file {
            None => {
                let host_flags = keep | ANONYMOUS | if shared { SHARED } else { PRIVATE };
                if shared && prot & PROT_EXEC != 0 && wx::on() {
                    return Err(wx::refuse());
                }
                // Zeros are no instruction's dangerous part.
                let at = mem::mmap(hint, len, if lazy { 0 } else { wx::host_prot(prot) }, host_flags, -1, 0)?;
                let mut flags = flags & (GROWSDOWN | NORESERVE) | ANONYMOUS | if shared { SHARED } else { PRIVATE };
                if lazy {
                    flags |= LAZY;
                    crate::limits::LAZY.store(true, Ordering::Relaxed);
                }
                s.areas.insert(
                    at,
                    Vma {
                        end: at + len,
                        prot,
                        flags,
                        mapping: None,
                        offset: 0,
                        partial: false,
                        patched: false,
                        shared: None,
                    },
                );
                Ok(at)
            }
            Some(file) => {
                if !file.readable() || (shared && prot & PROT_WRITE != 0 && !file.writable()) {
                    return Err(Errno::EACCES);
                }
                if prot & PROT_EXEC != 0 && wx::on() {
                    return mm.mmap_exec(&mut s, hint, len, prot, flags, file, off);
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
                let patchable = !mm.lies_over_table();
                let text = if patchable && prot == PROT_READ | PROT_EXEC && !shared && fixed {
                    file.ops().text_identity(&file).and_then(|id| {
                        crate::text::lookup(&crate::text::Key { file: id, offset: off, start: hint, len })
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
                s.areas.insert(
                    at,
                    Vma { end: at + len, prot, flags: how, mapping, offset: off, partial, patched, shared: None },
                );
                Ok(at)
            }
        }
    }

    fn unmap(&self, _: &Mm, s: &mut Space, start: u64, end: u64) -> Result<()> {
        mem::munmap(start, end - start)?;
        s.areas.remove(start, end);
        Ok(())
    }

    fn check_area(&self, _: &Vma, _: u32) -> Result<()> {
        Ok(())
    }

    fn protect(&self, mm: &Mm, s: &mut Space, (start, end): (u64, u64), prot: u32, piecewise: bool) -> Result<()> {
        if prot & flag::PROT_EXEC != 0 && wx::on() {
            for (a, v) in &s.areas.overlapping(start, end) {
                mm.make_executable(s, *a, v, prot)?;
            }
        } else if piecewise {
            for (a, v) in &s.areas.overlapping(start, end) {
                protect_area(*a, v, prot)?;
            }
        } else {
            mem::mprotect(start, end - start, prot)?;
            s.toggles.changed(start, end);
        }
        s.areas.protect(start, end, prot);
        Ok(())
    }

    fn grow(&self, start: u64, len: u64, prot: u32, flags: u32) -> Result<()> {
        mem::mmap(start, len, prot, flags | flag::FIXED_NOREPLACE, -1, 0).map(drop)
    }

    fn remap(&self, _: &Mm, s: &mut Space, m: Move) -> Result<u64> {
        const DONTUNMAP: u32 = 4;
        let Move { from: (start, end), new_len, flags, to: new, mut piece } = m;
        s.toggles.unmark();
        if piece.prot & flag::PROT_EXEC != 0 && wx::on() {
            Mm::before_move(start, end, new_len, &piece)?;
        }
        if new_len > end - start && piece.mapping.is_some() && (piece.partial || !single_extent(&piece, new_len)) {
            return remap_file(s, start, end, new_len, flags, new, piece);
        }
        let at = mem::mremap(start, end - start, new_len, flags, new)?;
        if end > start && flags & DONTUNMAP == 0 {
            s.areas.remove(start, end);
        }
        piece.end = at + new_len;
        s.areas.insert(at, piece);
        Ok(at)
    }

    fn advise(&self, mm: &Mm, start: u64, end: u64, advice: u32) -> Result<()> {
        const DONTFORK: u32 = 10;
        const DOFORK: u32 = 11;
        let mut s = mm.space.lock();
        let whole = s.areas.covered(start, end);
        let parts = s.areas.overlapping(start, end);
        if parts.is_empty() {
            return Err(Errno::ENOMEM);
        }
        // What is there is done even where there are holes; then they are told of.
        for (from, v) in &parts {
            // Discarding pages of a partly mapped file must not touch the place holders.
            if !v.partial {
                mem::madvise(*from, v.end - from, advice)?;
            }
        }
        if matches!(advice, DONTFORK | DOFORK) {
            s.areas.mark(start, end, flag::DONTFORK, advice == DONTFORK);
        }
        if whole { Ok(()) } else { Err(Errno::ENOMEM) }
    }

    fn sync(&self, _: &Mm, start: u64, end: u64, flags: u32) -> Result<()> {
        mem::msync(start, end - start, flags)
    }

    fn resident(&self, _: &Mm, start: u64, out: &mut [u8]) -> Result<()> {
        mem::mincore(start, out.len() as u64 * PAGE, out)
    }

    fn fault(&self, mm: &Mm, addr: u64, err: u64) -> FaultResult {
        let segv = |c| FaultResult::Signal(sig::SEGV, c);
        let mut s = mm.space.lock();
        let Some((start, v)) = s.areas.find(addr) else { return segv(code::SEGV_MAPERR) };
        let need = if err & 16 != 0 {
            flag::PROT_EXEC
        } else if err & 2 != 0 {
            flag::PROT_WRITE
        } else {
            flag::PROT_READ | flag::PROT_WRITE | flag::PROT_EXEC
        };
        if v.prot & need == 0 {
            // What lies below a stack that can not grow further is nothing to applications.
            if v.prot == 0 && addr < s.image.stack_low && s.image.stack_low - addr <= PAGE {
                return segv(code::SEGV_MAPERR);
            }
            return segv(code::SEGV_ACCERR);
        }
        if v.flags & flag::LAZY != 0 {
            // The program was promised this memory and can not be told otherwise: as Linux out of memory.
            return match s.open_chunk(addr) {
                Ok(_) => FaultResult::Retry,
                Err(_) => FaultResult::Signal(sig::KILL, code::KERNEL),
            };
        }
        if v.prot & flag::PROT_EXEC != 0 && wx::on() {
            return Mm::exec_fault(&s, addr, err, start, v);
        }
        if let Some(m) = v.mapping.as_ref().filter(|_| v.partial) {
            let shared = v.flags & flag::TYPE == flag::SHARED;
            let kind = if shared && m.file.writable() { MapKind::SharedWrite } else { MapKind::Read };
            let page = addr & !(PAGE - 1);
            let off = v.offset + (page - start);
            return match map_file(page, PAGE, v.prot, shared, &m.file, off, kind) {
                Ok(true) => FaultResult::Retry,
                _ => FaultResult::Signal(sig::BUS, code::BUS_ADRERR),
            };
        }
        // The tree allows the access: another thread changed the mapping in the same moment.
        FaultResult::Retry
    }

    fn take_over(&self, _: &Mm) -> Result<()> {
        let (vvar, _, end) = crate::mm::vdso();
        Mm::unmap_all((vvar, end))
    }

    fn install_text(&self, _: &Mm, s: &mut Space, start: u64, len: u64, ram: u64) -> Result<()> {
        if wx::on() {
            Mm::swap_text(s, start, len, ram)?;
        } else {
            let how = flag::PRIVATE | flag::FIXED;
            mem::mmap(start, len, flag::PROT_READ | flag::PROT_EXEC, how, host::ram::fd(), ram)?;
        }
        Ok(())
    }

    fn cut(&self, _: &Mm, s: &mut Space, start: u64, end: u64) {
        let how = flag::PRIVATE | flag::ANONYMOUS | flag::NORESERVE | flag::FIXED;
        // Where the host refuses, the pages stay as zeros: wrong, but nobody else's.
        if mem::mmap(start, end - start, 0, how, -1, 0).is_ok() {
            s.areas.set_partial(start);
        }
    }

    fn fork(&self, _: &Mm, s: &mut Space) -> super::remap::Table {
        s.toggles.unmark();
        super::remap::Table::default()
    }

    fn before_table(&self, _: &Mm) {}

    fn over_table(&self, s: &Space, start: u64, v: &mut Vma, from: Option<(&Arc<File>, i32, u64)>) -> Result<()> {
        let (len, prot) = (v.end - start, v.prot);
        let exec = prot & flag::PROT_EXEC != 0 && wx::on();
        match from {
            Some((file, _, _)) if exec => {
                wx::fill_over_table(&s.areas, start, len, prot, file, v.offset)?;
                v.flags |= flag::COPIED;
                Ok(())
            }
            Some((_, fd, at)) => mem::mmap_over_table(start, len, prot, flag::PRIVATE, fd, at),
            None if exec => Err(wx::refuse()),
            None => mem::mmap_over_table(start, len, prot, v.flags, -1, 0),
        }
    }
}

/// Maps the parts of `[start, start+len)` that the file has now; false where parts are missing.
pub(in crate::mm) fn map_file(
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

/// Growing a mapping whose pages are not one run: move what there is, map the rest afresh.
fn remap_file(s: &mut Space, start: u64, end: u64, new_len: u64, flags: u32, new: u64, mut piece: Vma) -> Result<u64> {
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

fn protect_area(start: u64, v: &Vma, prot: u32) -> Result<()> {
    if v.flags & flag::LAZY != 0 {
        // Gets its protection when it is touched.
        return Ok(());
    }
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
