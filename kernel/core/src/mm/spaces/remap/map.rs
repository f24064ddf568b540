//! mmap and its relatives on a page table. The checks that do not depend on the spaces are `mm::map`'s.

use super::fault::{TOP, write_protect};
use super::table::Table;
use super::{SharedPages, stats};
use crate::mm::spaces::{Move, Request};
use crate::mm::{Mapping, Mm, Space, Vma, flag};
use crate::text::{self, Key};
use crate::{Errno, Result, counters};
use abi::layout::{self, PAGE};
use alloc::sync::Arc;
use host::mem;

/// Most areas of a space (vm.max_map_count's default).
const MAX_AREAS: usize = 65530;

/// The RAM offset of the patched copy of an area's text.
pub(super) fn patched_text(start: u64, v: &Vma) -> Option<u64> {
    let m = v.mapping.as_ref()?;
    let file = m.file.ops().text_identity(&m.file)?;
    text::lookup(&Key { file, offset: v.offset, start, len: v.end - start })
}

/// A free place for `len` bytes: at `hint` if that is free, else below the lowest neighbour, from the top down.
fn place(s: &mut Space, hint: u64, len: u64, low: bool) -> Result<u64> {
    let free = |at| s.areas.free(at, at + len) && !s.image.in_stack_gap(at, at + len);
    if hint != 0 && host::mem::mappable(hint, len) && free(hint) {
        return Ok(hint);
    }
    // Some hosts have their vDSO among the mappings.
    let top = match crate::mm::vdso().0 {
        0 => TOP,
        vvar => TOP.min(vvar),
    };
    // The stack is on top.
    let top = if s.image.stack_low != 0 { top.min(s.image.stack_gap()) } else { top };
    let ranges: &[(u64, u64)] = if low {
        // MAP_32BIT: the first 2 GiB, but for what is the guest kernel's.
        &[(layout::STUBS_END, layout::OUTSIDE_BASE)]
    } else {
        &[(layout::RAM_WINDOW + layout::RAM_MAX, top), (layout::KERNEL_END, layout::RAM_WINDOW)]
    };
    for (bottom, top) in ranges {
        if let Some(at) = s.areas.gap(*bottom, *top, len)
            && host::mem::mappable(at, len)
        {
            return Ok(at);
        }
    }
    Err(Errno::ENOMEM)
}

impl Mm {
    /// Takes the pages of a range away, in the table and on the host.
    pub(super) fn drop_pages(&self, s: &mut Space, start: u64, end: u64) -> Result<()> {
        if s.table.clear(start, end) > 0 && self.is_active() {
            stats::UNMAPS.add(1);
            mem::munmap(start, end - start)?;
        }
        Ok(())
    }

    /// mmap(2): only the area comes into being; pages come when they are touched.
    pub(super) fn table_mmap(&self, r: Request) -> Result<u64> {
        let Request { hint, len, prot, flags, file, off } = r;
        let shared = flags & flag::TYPE != flag::PRIVATE;
        let fixed = flags & (flag::FIXED | flag::FIXED_NOREPLACE) != 0;
        let how = if shared { flag::SHARED } else { flag::PRIVATE };
        let mut patched = false;
        let mapping = file.clone().map(|f| Mapping::with_prot(f, shared, prot)).transpose()?;
        if let Some(m) = &mapping {
            // Can it be mapped at all?
            m.file.ops().map_extents(&m.file, off, PAGE, m.kind())?;
        }
        if shared {
            super::check_shared(file.as_ref(), prot)?;
        }
        let mut s = self.space.lock();
        if s.areas.len() >= MAX_AREAS {
            return Err(Errno::ENOMEM);
        }
        if flags & flag::FIXED_NOREPLACE != 0 && !s.areas.free(hint, hint + len) {
            return Err(Errno::EEXIST);
        }
        let at = if fixed {
            self.drop_pages(&mut s, hint, hint + len)?;
            hint
        } else {
            let id = file.as_ref().filter(|_| hint == 0 && off == 0).and_then(|f| f.ops().text_identity(f));
            let liked = id.and_then(|id| crate::exec::preferred(id, len));
            let at = place(&mut s, liked.unwrap_or(hint), len, flags & flag::BIT32 != 0)?;
            if let Some(id) = id {
                crate::exec::prefer(id, len, at);
            }
            at
        };
        if let Some(file) = &file
            && prot == flag::PROT_READ | flag::PROT_EXEC
            && !shared
            && !self.lies_over_table()
            && let Some(id) = file.ops().text_identity(file)
        {
            patched = text::lookup(&Key { file: id, offset: off, start: at, len }).is_some();
        }
        let anonymous = file.is_none();
        let area_flags = if anonymous {
            flags & (flag::GROWSDOWN | flag::NORESERVE | flag::LAZY) | flag::ANONYMOUS | how
        } else {
            how
        };
        s.areas.insert(
            at,
            Vma {
                end: at + len,
                prot,
                flags: area_flags,
                mapping,
                offset: off,
                patched,
                shared: (anonymous && shared).then(Arc::<SharedPages>::default),
            },
        );
        drop(s);
        if flags & flag::POPULATE != 0 && prot != 0 {
            // As on Linux, populating is an attempt.
            let _ = self.populate(at, at + len, prot & flag::PROT_WRITE != 0);
        }
        Ok(at)
    }

    pub(super) fn table_munmap(&self, s: &mut Space, start: u64, end: u64) -> Result<()> {
        self.drop_pages(s, start, end)?;
        s.areas.remove(start, end);
        Ok(())
    }

    /// The host's side of a changed protection; the areas are changed already.
    pub(super) fn table_mprotect(&self, s: &mut Space, start: u64, end: u64, prot: u32) {
        if !self.is_active() {
            return;
        }
        let pages = s.table.range(start, end);
        let mut i = 0;
        while i < pages.len() {
            let (from, pte) = pages[i];
            let effective = pte.effective(prot);
            let mut to = from + PAGE;
            i += 1;
            while i < pages.len() && pages[i].0 == to && pages[i].1.effective(prot) == effective {
                to += PAGE;
                i += 1;
            }
            if mem::mprotect(from, to - from, effective).is_err() {
                // Not all of it was mapped: it comes back with the right protection.
                stats::UNMAPS.add(1);
                let _ = mem::munmap(from, to - from);
            }
        }
    }

    /// mremap(2), after its checks.
    pub(super) fn table_mremap(&self, s: &mut Space, m: Move) -> Result<u64> {
        let Move { from: (start, end), new_len, flags, to: new, mut piece } = m;
        const MAYMOVE: u32 = 1;
        const FIXED: u32 = 2;
        const DONTUNMAP: u32 = 4;
        let old_len = end - start;
        let in_place = flags & (FIXED | DONTUNMAP) == 0 && old_len > 0;
        if in_place && host::mem::mappable(start, new_len) && s.areas.free(end, start + new_len) {
            piece.end = start + new_len;
            s.areas.insert(start, piece);
            return Ok(start);
        }
        if flags & MAYMOVE == 0 {
            return Err(Errno::ENOMEM);
        }
        let at = if flags & FIXED != 0 {
            self.table_munmap(s, new, new + new_len)?;
            new
        } else {
            place(s, new, new_len, false)?
        };
        if old_len > 0 {
            let moved = old_len.min(new_len);
            s.table.move_to(start, moved, at);
            if self.is_active() {
                stats::UNMAPS.add(1);
                mem::munmap(start, old_len)?;
            }
            if flags & DONTUNMAP == 0 {
                s.table.clear(start, end);
                s.areas.remove(start, end);
            }
        }
        piece.end = at + new_len;
        s.areas.insert(at, piece);
        Ok(at)
    }

    /// madvise(2), after its checks.
    pub(super) fn table_madvise(&self, start: u64, end: u64, advice: u32) -> Result<()> {
        const DONTNEED: u32 = 4;
        const FREE: u32 = 8;
        const REMOVE: u32 = 9;
        const DONTFORK: u32 = 10;
        const DOFORK: u32 = 11;
        const WIPEONFORK: u32 = 18;
        const KEEPONFORK: u32 = 19;
        const POPULATE_READ: u32 = 22;
        const POPULATE_WRITE: u32 = 23;
        const DONTNEED_LOCKED: u32 = 24;
        let mut s = self.space.lock();
        // What is there is done even where there are holes; then they are told of.
        if !s.areas.covered(start, end) {
            let parts = s.areas.overlapping(start, end);
            drop(s);
            for (from, v) in parts {
                self.table_madvise(from, v.end, advice)?;
            }
            return Err(Errno::ENOMEM);
        }
        match advice {
            FREE if s.areas.overlapping(start, end).iter().any(|(_, v)| v.mapping.is_some() || v.shared.is_some()) => {
                Err(Errno::EINVAL)
            }
            // Freed at once: allowed, and the page reads as zeros, which is allowed too.
            DONTNEED | DONTNEED_LOCKED | FREE => self.drop_pages(&mut s, start, end),
            REMOVE => {
                for (a, v) in s.areas.overlapping(start, end) {
                    let Some(pages) = &v.shared else { return Err(counters::missing(28, Errno::EINVAL)) };
                    self.drop_pages(&mut s, a, v.end)?;
                    for i in 0..(v.end - a) / PAGE {
                        pages.drop_page(v.offset / PAGE + i);
                    }
                }
                Ok(())
            }
            POPULATE_READ | POPULATE_WRITE => {
                drop(s);
                self.populate(start, end, advice == POPULATE_WRITE)
            }
            // Hints: normal, random, sequential, will need; merging, huge pages, dumps; cold, page out, collapse.
            0..=3 | 12..=17 | 20..=21 | 25 => Ok(()),
            DONTFORK | DOFORK => {
                s.areas.mark(start, end, flag::DONTFORK, advice == DONTFORK);
                Ok(())
            }
            WIPEONFORK | KEEPONFORK
                if s.areas.overlapping(start, end).iter().any(|(_, v)| v.mapping.is_some() || v.shared.is_some()) =>
            {
                Err(Errno::EINVAL)
            }
            WIPEONFORK | KEEPONFORK => {
                s.areas.mark(start, end, flag::WIPEONFORK, advice == WIPEONFORK);
                Ok(())
            }
            100 | 101 => Err(Errno::EPERM),
            _ => Err(Errno::EINVAL),
        }
    }

    /// msync(2), after its checks: pages of volumes' files are the host's.
    pub(super) fn table_msync(&self, start: u64, end: u64, flags: u32) -> Result<()> {
        let s = self.space.lock();
        for (page, pte) in s.table.range(start, end) {
            // One that is not mapped now has nothing that the host does not know.
            if pte.is_direct()
                && let Err(e) = mem::msync(page, PAGE, flags)
                && e != Errno::ENOMEM
            {
                return Err(e);
            }
        }
        Ok(())
    }

    /// mincore(2): one byte a page.
    pub(super) fn table_mincore(&self, start: u64, out: &mut [u8]) {
        out.fill(0);
        let s = self.space.lock();
        for (page, _) in s.table.range(start, start + out.len() as u64 * PAGE) {
            out[((page - start) / PAGE) as usize] = 1;
        }
    }
}

/// The table of a forked child: private pages become read-only in both spaces.
pub fn fork(parent: &Mm, s: &mut Space) -> Table {
    let mut child = Table::default();
    let areas: alloc::vec::Vec<(u64, u64, bool)> = s
        .areas
        .iter()
        .filter(|(_, v)| v.flags & (flag::DONTFORK | flag::WIPEONFORK) == 0)
        .map(|(start, v)| (start, v.end, v.flags & flag::TYPE == flag::PRIVATE))
        .collect();
    for (start, end, private) in areas {
        let lost = s.table.fork_range(&mut child, start, end, private);
        if parent.is_active() {
            write_protect(s, &lost);
        }
    }
    child
}
