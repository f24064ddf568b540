//! `multi` spaces: an address space is the host process's own. Anonymous memory is host private memory, files are mapped straight
//! from their host descriptors; faults, copy-on-write and fork's copy are the host's.

use super::{Mmu, Move, Request};
use crate::file::{Extent, File, MapKind};
use crate::mm::{Area, FaultResult, Mapping, Mm, Space, Vma, flag, wx};
use crate::signal::{code, sig};
use crate::{Errno, Result};
use abi::layout::PAGE;
use alloc::sync::Arc;
use alloc::vec::Vec;
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
        // The host has something in the gap below the stack.
        let in_gap = flags & FIXED_NOREPLACE != 0 && s.image.in_stack_gap(hint, hint + len);
        let flags = if in_gap { flags & !FIXED_NOREPLACE | FIXED } else { flags };
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
                    crate::mm::LAZY.store(true, Ordering::Relaxed);
                }
                s.areas.insert(
                    at,
                    Vma { end: at + len, prot, flags, mapping: None, offset: 0, patched: false, shared: None },
                );
                Ok(at)
            }
            Some(file) => {
                // From before the extents are known: then nothing of them is given away meanwhile.
                let mapping = Mapping::with_prot(file.clone(), shared, prot)?;
                if prot & PROT_EXEC != 0 && wx::on() {
                    return mm.mmap_exec(&mut s, hint, len, prot, flags, mapping, off);
                }
                let extents = file.ops().map_extents(&file, off, len, mapping.kind())?;
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
                let (at, in_parts) = if let Some((fd, host_off)) = whole {
                    (mem::mmap(hint, len, prot, keep & !GROWSDOWN | how, fd, host_off)?, false)
                } else {
                    let keep = keep & !(GROWSDOWN | POPULATE | NORESERVE);
                    (place_holder(hint, len, keep)?, true)
                };
                if let Some(id) = id {
                    crate::exec::prefer(id, len, at);
                }
                let mapping = Some(mapping);
                s.areas
                    .insert(at, Vma { end: at + len, prot, flags: how, mapping, offset: off, patched, shared: None });
                if in_parts {
                    s.areas.set_missing(at, at + len);
                    if let Err(e) = map_runs(&mut s.areas, (at, at + len), prot, how, off, &extents) {
                        let _ = mem::munmap(at, len);
                        s.areas.remove(at, at + len);
                        return Err(e);
                    }
                }
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
                protect_area(&s.areas, *a, v, prot)?;
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
        let grows = new_len > end - start;
        if piece.mapping.is_some() && (s.areas.lacks(start, end) || grows && !single_extent(&piece, new_len)) {
            return remap_file(s, Move { from: (start, end), new_len, flags, to: new, piece });
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
        const POPULATE_READ: u32 = 22;
        const POPULATE_WRITE: u32 = 23;
        if matches!(advice, POPULATE_READ | POPULATE_WRITE) {
            mm.fill_ahead(start, end);
        }
        let mut s = mm.space.lock();
        let whole = s.areas.covered(start, end);
        if advice == POPULATE_WRITE {
            s.open_written(start, end)?;
        }
        let parts = s.areas.overlapping(start, end);
        if parts.is_empty() {
            return Err(Errno::ENOMEM);
        }
        // What is there is done even where there are holes; then they are told of.
        for (from, v) in &parts {
            // The place holders are not the program's.
            for (from, to) in s.areas.present(*from, v.end) {
                mem::madvise(from, to - from, advice)?;
            }
            if matches!(advice, POPULATE_READ | POPULATE_WRITE) && s.areas.lacks(*from, v.end) {
                return Err(Errno::EFAULT);
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
            return segv(code::SEGV_ACCERR);
        }
        let write = err & 2 != 0;
        if v.flags & flag::LAZY != 0 || write && v.flags & flag::COW != 0 {
            // The program was promised this memory and can not be told otherwise.
            let opened = s.open_chunk(addr, write);
            drop(s);
            return if opened.is_ok() { FaultResult::Retry } else { crate::mm::oom::fault() };
        }
        if v.prot & flag::PROT_EXEC != 0 && wx::on() {
            return Mm::exec_fault(&s, addr, err, start, v);
        }
        if s.areas.lacks(addr, addr + 1) && !s.find_pages(addr) {
            return FaultResult::Signal(sig::BUS, code::BUS_ADRERR);
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
        // Where the host refuses, the pages stay as zeros: wrong, but nobody else's.
        if place_holder(start, end - start, flag::FIXED).is_ok() {
            s.areas.set_missing(start, end);
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

/// Reserves address space that nobody can access; `how` says where.
fn place_holder(at: u64, len: u64, how: u32) -> Result<u64> {
    mem::mmap(at, len, 0, how | flag::PRIVATE | flag::ANONYMOUS | flag::NORESERVE, -1, 0)
}

/// Maps what the file has now of the missing pages `[start, end)`, which lie in one area with `flags`.
pub(in crate::mm) fn map_file(
    areas: &mut Area,
    (start, end): (u64, u64),
    prot: u32,
    flags: u32,
    (file, kind): (&File, MapKind),
    off: u64,
) -> Result<()> {
    let extents = file.ops().map_extents(file, off, end - start, kind)?;
    map_runs(areas, (start, end), prot, flags & flag::TYPE, off, &extents)
}

/// Maps those of `extents` that have pages in place of missing ones.
fn map_runs(
    areas: &mut Area,
    (start, end): (u64, u64),
    prot: u32,
    how: u32,
    off: u64,
    extents: &[Extent],
) -> Result<()> {
    for e in extents {
        let Some((fd, host_off)) = e.host else { continue };
        if e.offset < off || e.offset - off >= end - start {
            continue;
        }
        let at = start + (e.offset - off);
        let n = e.len.min(end - at);
        mem::mmap(at, n, prot, flag::FIXED | how, fd, host_off)?;
        areas.set_found(at, at + n);
    }
    Ok(())
}

/// mremap(2) of a file's pages where they are several areas of the host's, or will be.
fn remap_file(s: &mut Space, m: Move) -> Result<u64> {
    const MAYMOVE: u32 = 1;
    const FIXED: u32 = 2;
    const DONTUNMAP: u32 = 4;
    let Move { from: (start, end), new_len, flags, to, mut piece } = m;
    let old_len = end - start;
    let Some(mapping) = piece.mapping.clone() else { return Err(Errno::EFAULT) };
    let (prot, how) = (piece.prot, piece.flags);
    let in_place = flags & FIXED == 0
        && old_len > 0
        && s.areas.free(end, start + new_len)
        && mem::mappable(start, new_len)
        && place_holder(end, new_len - old_len, flag::FIXED_NOREPLACE).is_ok();
    if !in_place && flags & MAYMOVE == 0 {
        return Err(Errno::ENOMEM);
    }
    let keep = old_len.min(new_len);
    let at = if in_place {
        start
    } else {
        let at =
            if flags & FIXED != 0 { place_holder(to, new_len, flag::FIXED)? } else { place_holder(0, new_len, 0)? };
        s.areas.remove(at, at + new_len);
        if how & flag::TYPE != flag::SHARED {
            // Private pages may have been written: they move. Those of a shared mapping are mapped anew.
            if let Err(e) = move_pages(&s.areas.present(start, start + keep), start, at) {
                let _ = mem::munmap(at, new_len);
                return Err(e);
            }
        }
        at
    };
    // Everything that was not moved is missing at the new place, then what the file has of it is mapped.
    let mut missing: Vec<(u64, u64)> = match (in_place, how & flag::TYPE) {
        (true, _) => s.areas.missing(start, end).collect(),
        (false, flag::SHARED) => alloc::vec![(start, start + keep)],
        (false, _) => s.areas.missing(start, start + keep).collect(),
    };
    missing.push((start + keep, start + new_len));
    if !in_place && old_len > 0 {
        if flags & DONTUNMAP != 0 {
            place_holder(start, old_len, flag::FIXED)?;
            s.areas.set_missing(start, end);
        } else {
            mem::munmap(start, old_len)?;
            s.areas.remove(start, end);
        }
    }
    piece.end = at + new_len;
    let offset = piece.offset;
    s.areas.insert(at, piece);
    for (from, to) in &missing {
        s.areas.set_missing(at + (from - start), at + (to - start));
    }
    for (from, to) in missing.iter().filter(|(from, to)| from < to) {
        let (from, to) = (from - start, to - start);
        // What can not be mapped now comes with its first touch.
        let _ = map_file(&mut s.areas, (at + from, at + to), prot, how, (&mapping.file, mapping.kind()), offset + from);
    }
    Ok(at)
}

/// Moves `pieces` of what lies at `start` to the same places from `at` on: all or nothing.
fn move_pages(pieces: &[(u64, u64)], start: u64, at: u64) -> Result<()> {
    const MAYMOVE_FIXED: u32 = 3;
    let go = |from: u64, len: u64, to: u64| mem::mremap(from, len, len, MAYMOVE_FIXED, to);
    let mut done: Vec<(u64, u64)> = Vec::new();
    for (from, end) in pieces {
        let (mut from, mut len) = (*from, end - from);
        while from < *end {
            match go(from, len, at + (from - start)) {
                Ok(_) => {
                    done.push((from, len));
                    from += len;
                    len = end - from;
                }
                // More than one of the host's areas: those that begin here, a part at a time.
                Err(Errno::EFAULT) if len > PAGE => len = (len / 2).next_multiple_of(PAGE),
                Err(e) => {
                    for (from, len) in done.into_iter().rev() {
                        let _ = go(at + (from - start), len, from);
                    }
                    return Err(e);
                }
            }
        }
    }
    Ok(())
}

fn protect_area(areas: &Area, start: u64, v: &Vma, prot: u32) -> Result<()> {
    // What is lazy or missing gets its protection when it is touched.
    if v.flags & flag::LAZY == 0 {
        for (from, to) in areas.present(start, v.end) {
            mem::mprotect(from, to - from, v.host_prot(prot))?;
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
