//! The tree of areas: pure bookkeeping.

use super::held::Shares;
use super::spaces::remap::SharedPages;
use super::{COMMITTED, WAITING, flag};
use crate::file::{File, MapKind};
use crate::{Errno, Result};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use lib::ranges::RangeSet;

/// A file that is mapped somewhere: tells the file when the last area over it is gone.
pub struct Mapping {
    pub file: Arc<File>,
    /// The file may be written through it: Linux' VM_MAYWRITE of a shared mapping.
    pub may_write: bool,
}

impl Mapping {
    #[must_use]
    pub fn new(file: Arc<File>, shared: bool) -> Arc<Mapping> {
        let may_write = file.ops().mapped(&file, shared && file.writable());
        Arc::new(Mapping { file, may_write })
    }

    /// How the area's pages are asked of its file.
    pub(super) fn kind(&self) -> MapKind {
        if self.may_write { MapKind::SharedWrite } else { MapKind::Read }
    }

    /// What mmap(2) asks for.
    ///
    /// # Errors
    /// `EACCES`: the descriptor is not open for it; `EPERM`: the file is sealed.
    pub(super) fn with_prot(file: Arc<File>, shared: bool, prot: u32) -> Result<Arc<Mapping>> {
        let writes = shared && prot & flag::PROT_WRITE != 0;
        if !file.readable() || writes && !file.writable() {
            return Err(Errno::EACCES);
        }
        let m = Mapping::new(file, shared);
        if writes && !m.may_write { Err(Errno::EPERM) } else { Ok(m) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        self.file.ops().unmapped(&self.file, self.may_write);
    }
}

/// One area; its start is the tree's key.
#[derive(Clone)]
pub struct Vma {
    pub end: u64,
    pub prot: u32,
    /// mmap flags: SHARED or PRIVATE, ANONYMOUS, GROWSDOWN, NORESERVE.
    pub flags: u32,
    pub mapping: Option<Arc<Mapping>>,
    /// Offset in the file of the area's start.
    pub offset: u64,
    /// The pages are a patched copy of the file's text (`crate::text`).
    pub patched: bool,
    /// Pages of shared anonymous memory, under `remap` spaces.
    pub shared: Option<Arc<SharedPages>>,
}

impl Vma {
    fn mergeable(&self, next_start: u64, next: &Vma) -> bool {
        self.end == next_start
            && self.prot == next.prot
            && self.flags == next.flags
            && self.mapping.is_none()
            && next.mapping.is_none()
            && self.shared.is_none()
            && next.shared.is_none()
            && self.flags & flag::GROWSDOWN == 0
    }

    /// The protection that the host is to have for an area that has `prot`.
    #[must_use]
    pub(super) fn host_prot(&self, prot: u32) -> u32 {
        if self.flags & flag::COW != 0 { prot & !flag::PROT_WRITE } else { prot }
    }

    /// The part of this area that starts at `at`, which lies in it (its own start is `start`).
    fn tail(&self, start: u64, at: u64) -> Vma {
        Vma {
            offset: if self.mapping.is_some() || self.shared.is_some() { self.offset + (at - start) } else { 0 },
            ..self.clone()
        }
    }
}

/// True where an area's pages are or may become memory that nothing else bounds: the RAM file bounds tmpfs and memfds.
/// MAP_NORESERVE makes no difference to that: whoever asked so may fill it all the same; but see `flag::LAZY`.
pub(super) fn accountable(prot: u32, flags: u32) -> bool {
    if flags & (flag::EXEMPT | flag::LAZY | flag::HELD) != 0 {
        return false;
    }
    prot & flag::PROT_WRITE != 0 && (flags & flag::TYPE == flag::PRIVATE || flags & flag::ANONYMOUS != 0)
}

/// Areas by start address. What they commit is counted for the VM as long as this lives.
#[derive(Default)]
pub struct Area {
    tree: BTreeMap<u64, Vma>,
    total: u64,
    charged: u64,
    /// Where pages of files are not mapped on the host: holes of large mappings, which get memory when they are touched, and
    /// what lies beyond the file's end, which may grow. The host has place holders there, which nobody may access.
    missing: RangeSet,
    pub(super) shares: Shares,
    /// Nothing free is known above this address: where [`Area::gap`] goes on. 0: not known.
    cursor: u64,
}

impl Clone for Area {
    fn clone(&self) -> Area {
        COMMITTED.fetch_add(self.charged, Ordering::Relaxed);
        WAITING.fetch_add(u64::from(self.waits()), Ordering::Relaxed);
        Area {
            tree: self.tree.clone(),
            total: self.total,
            charged: self.charged,
            missing: self.missing.clone(),
            shares: self.shares.clone(),
            cursor: self.cursor,
        }
    }
}

impl Drop for Area {
    fn drop(&mut self) {
        COMMITTED.fetch_sub(self.charged, Ordering::Relaxed);
        WAITING.fetch_sub(u64::from(self.waits()), Ordering::Relaxed);
    }
}

impl Area {
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Committed bytes, but for those that others have a part in ([`Shares`]).
    #[must_use]
    pub fn charged(&self) -> u64 {
        self.charged
    }

    /// Bytes of areas that are committed by somebody (RLIMIT_DATA).
    #[must_use]
    pub fn accounted(&self) -> u64 {
        self.charged + self.shares.bytes
    }

    /// Something may wait for its first touch.
    pub(super) fn waits(&self) -> bool {
        self.missing.total() > 0 || self.shares.protected
    }

    pub(super) fn get_mut(&mut self, start: u64) -> Option<&mut Vma> {
        self.tree.get_mut(&start)
    }

    /// `bytes` are not this space's to give back any more.
    pub(super) fn uncount(&mut self, bytes: u64) {
        self.charged -= bytes;
    }

    /// What is held is counted as the space's own.
    pub(super) fn count_held(&mut self) {
        for v in self.tree.values_mut().filter(|v| v.flags & flag::HELD != 0) {
            v.flags = v.flags & !flag::HELD | flag::ACCOUNT;
        }
        let bytes = core::mem::take(&mut self.shares.bytes);
        self.charged += bytes;
        COMMITTED.fetch_add(bytes, Ordering::Relaxed);
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.tree.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tree.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (u64, &Vma)> {
        self.tree.iter().map(|(s, v)| (*s, v))
    }

    /// The area that contains `addr`.
    #[must_use]
    pub fn find(&self, addr: u64) -> Option<(u64, &Vma)> {
        self.tree.range(..=addr).next_back().filter(|(_, v)| addr < v.end).map(|(s, v)| (*s, v))
    }

    /// The areas that overlap `[start, end)`, whole.
    pub(super) fn touching(&self, start: u64, end: u64) -> impl Iterator<Item = (u64, &Vma)> {
        let first = self.find(start).map_or(start, |(s, _)| s);
        self.tree.range(first..end).map(|(s, v)| (*s, v))
    }

    /// The areas that overlap `[start, end)`, cut to it.
    #[must_use]
    pub fn overlapping(&self, start: u64, end: u64) -> Vec<(u64, Vma)> {
        self.touching(start, end)
            .map(|(s, v)| {
                let at = s.max(start);
                let mut v = if at > s { v.tail(s, at) } else { v.clone() };
                v.end = v.end.min(end);
                (at, v)
            })
            .collect()
    }

    /// True where nothing is in `[start, end)`.
    #[must_use]
    pub fn free(&self, start: u64, end: u64) -> bool {
        self.find(start).is_none() && self.tree.range(start..end).next().is_none()
    }

    /// A place for `len` bytes in `[bottom, top)` where nothing is: the highest one below the last, or the highest of all.
    #[must_use]
    pub fn gap(&mut self, bottom: u64, top: u64, len: u64) -> Option<u64> {
        let from = if (bottom + 1..top).contains(&self.cursor) { self.cursor } else { top };
        let found = self.gap_below(bottom, from, len).or_else(|| self.gap_below(bottom, top, len));
        self.cursor = found.unwrap_or(0);
        found
    }

    fn gap_below(&self, bottom: u64, top: u64, len: u64) -> Option<u64> {
        let mut end = top;
        for (s, v) in self.tree.range(..top).rev() {
            let free = v.end.max(bottom);
            if free <= end && end - free >= len {
                break;
            }
            end = end.min(*s);
            if end < bottom + len {
                return None;
            }
        }
        (end >= bottom + len).then(|| end - len)
    }

    /// True where all of `[start, end)` is covered.
    #[must_use]
    pub fn covered(&self, start: u64, end: u64) -> bool {
        let mut at = start;
        while at < end {
            match self.find(at) {
                Some((_, v)) => at = v.end,
                None => return false,
            }
        }
        true
    }

    /// Where the areas that cover `start` and on without a hole end; at most `end`.
    #[must_use]
    pub fn reach(&self, start: u64, end: u64) -> u64 {
        let mut at = start;
        while at < end {
            match self.find(at) {
                Some((_, v)) => at = v.end,
                None => break,
            }
        }
        at.min(end)
    }

    /// Takes everything out of `[start, end)`, splitting areas at its ends.
    pub fn remove(&mut self, start: u64, end: u64) {
        self.cursor = self.cursor.max(end);
        self.set_found(start, end);
        self.split(start);
        self.split(end);
        while let Some((k, _)) = self.tree.range(start..end).next() {
            let k = *k;
            if let Some(v) = self.tree.remove(&k) {
                self.total -= v.end - k;
                if v.flags & flag::ACCOUNT != 0 {
                    self.charged -= v.end - k;
                    COMMITTED.fetch_sub(v.end - k, Ordering::Relaxed);
                }
                if v.flags & flag::HELD != 0 {
                    self.shares.bytes -= v.end - k;
                }
            }
        }
    }

    /// Makes `at` an area boundary, where it is inside an area.
    fn split(&mut self, at: u64) {
        let Some((start, v)) = self.find(at) else { return };
        if start == at {
            return;
        }
        let tail = v.tail(start, at);
        if let Some(head) = self.tree.get_mut(&start) {
            head.end = at;
        }
        self.tree.insert(at, tail);
    }

    /// Puts an area at `start`, replacing what is there, and joins it with equal neighbours.
    pub fn insert(&mut self, start: u64, mut vma: Vma) {
        self.remove(start, vma.end);
        self.total += vma.end - start;
        if accountable(vma.prot, vma.flags) {
            vma.flags |= flag::ACCOUNT;
        }
        if vma.flags & flag::HELD != 0 {
            self.shares.bytes += vma.end - start;
        }
        if vma.flags & flag::ACCOUNT != 0 {
            self.charged += vma.end - start;
            COMMITTED.fetch_add(vma.end - start, Ordering::Relaxed);
        }
        let end = vma.end;
        self.tree.insert(start, vma);
        self.join(end);
        self.join(start);
    }

    /// Joins the area that starts at `at` with the one before it, where they are alike.
    fn join(&mut self, at: u64) {
        let Some(v) = self.tree.get(&at) else { return };
        let Some((prev_start, prev)) = self.tree.range(..at).next_back() else { return };
        if prev.mergeable(at, v) {
            let (prev_start, end) = (*prev_start, v.end);
            self.tree.remove(&at);
            if let Some(prev) = self.tree.get_mut(&prev_start) {
                prev.end = end;
            }
        }
    }

    /// Takes the area at `start` out of the account, before it is writable.
    pub fn exempt(&mut self, start: u64) {
        if let Some(v) = self.tree.get_mut(&start) {
            v.flags |= flag::EXEMPT;
        }
    }

    /// What waits for its first touch in `[start, end)`, or for its first write, does not any more, and is counted.
    pub(super) fn open(&mut self, start: u64, end: u64) {
        self.split(start);
        self.split(end);
        for (s, v) in self.tree.range_mut(start..end) {
            if v.flags & flag::HELD != 0 {
                self.shares.bytes -= v.end - s;
            }
            v.flags &= !(flag::LAZY | flag::COW | flag::HELD);
            if v.flags & flag::ACCOUNT == 0 && accountable(v.prot, v.flags) {
                v.flags |= flag::ACCOUNT;
                self.charged += v.end - s;
                COMMITTED.fetch_add(v.end - s, Ordering::Relaxed);
            }
        }
        self.join_all(start, end);
    }

    /// What of `[start, end)` has pages of files missing: see [`Area::missing`].
    pub fn missing(&self, start: u64, end: u64) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.missing.within(start, end)
    }

    /// The missing range that contains `at`.
    #[must_use]
    pub(super) fn missing_around(&self, at: u64) -> Option<(u64, u64)> {
        self.missing.around(at).map(|(s, l)| (s, s + l))
    }

    /// Whether pages of files are missing somewhere in `[start, end)`.
    #[must_use]
    pub fn lacks(&self, start: u64, end: u64) -> bool {
        self.missing(start, end).next().is_some()
    }

    /// What of `[start, end)` is mapped on the host, as far as pages of files go.
    #[must_use]
    pub(super) fn present(&self, start: u64, end: u64) -> Vec<(u64, u64)> {
        let mut out = Vec::new();
        let mut at = start;
        for (from, to) in self.missing(start, end) {
            if at < from {
                out.push((at, from));
            }
            at = to;
        }
        if at < end {
            out.push((at, end));
        }
        out
    }

    /// The pages of `[start, end)` are missing now.
    pub(super) fn set_missing(&mut self, start: u64, end: u64) {
        if start >= end {
            return;
        }
        self.set_found(start, end);
        WAITING.fetch_add(u64::from(!self.waits()), Ordering::Relaxed);
        self.missing.insert(start, end - start);
    }

    /// They are not, or are nobody's any more.
    pub(super) fn set_found(&mut self, start: u64, end: u64) {
        if self.missing.total() == 0 {
            return;
        }
        self.missing.remove(start, end);
        WAITING.fetch_sub(u64::from(!self.waits()), Ordering::Relaxed);
    }

    /// Sets or clears a flag on all that is in `[start, end)`.
    pub fn mark(&mut self, start: u64, end: u64, bit: u32, on: bool) {
        if start >= end {
            return;
        }
        self.split(start);
        self.split(end);
        for (_, v) in self.tree.range_mut(start..end) {
            v.flags = if on { v.flags | bit } else { v.flags & !bit };
        }
        self.join_all(start, end);
    }

    /// Takes out what a forked child does not get: the host has left it out of the copy.
    pub fn drop_unforked(&mut self) {
        let gone: Vec<(u64, u64)> =
            self.tree.iter().filter(|(_, v)| v.flags & flag::DONTFORK != 0).map(|(s, v)| (*s, v.end)).collect();
        for (start, end) in gone {
            self.remove(start, end);
        }
    }

    /// Makes `[start, end)` an area of its own.
    pub fn split_off(&mut self, start: u64, end: u64) {
        self.split(start);
        self.split(end);
    }

    /// Notes that `[start, end)` has copies of its file's pages.
    pub fn set_copied(&mut self, start: u64, end: u64) {
        self.split_off(start, end);
        for (_, v) in self.tree.range_mut(start..end) {
            v.flags |= flag::COPIED;
        }
    }

    /// Notes that the area at `start` has a patched text.
    pub fn set_patched(&mut self, start: u64) {
        if let Some(v) = self.tree.get_mut(&start) {
            v.patched = true;
        }
    }

    /// Calls `f` with each area that overlaps `[start, end)` and the part of it that does; `ENOMEM` where not all of it is covered.
    ///
    /// # Errors
    /// `ENOMEM`; what `f` returns.
    pub fn each_covering(&self, start: u64, end: u64, mut f: impl FnMut(u64, u64, &Vma) -> Result<()>) -> Result<()> {
        let mut at = start;
        for (s, v) in self.touching(start, end) {
            if s > at {
                return Err(Errno::ENOMEM);
            }
            f(s.max(start), v.end.min(end), v)?;
            at = v.end;
        }
        if at < end { Err(Errno::ENOMEM) } else { Ok(()) }
    }

    /// Changes the protection of all that is in `[start, end)`.
    pub fn protect(&mut self, start: u64, end: u64, prot: u32) {
        // A heap that grows: the boundary between two areas moves.
        self.split(start);
        self.split(end);
        for (s, v) in self.tree.range_mut(start..end) {
            v.prot = prot;
            if v.flags & flag::ACCOUNT == 0 && accountable(prot, v.flags) {
                v.flags |= flag::ACCOUNT;
                self.charged += v.end - s;
                COMMITTED.fetch_add(v.end - s, Ordering::Relaxed);
            }
        }
        self.join_all(start, end);
    }

    /// Joins what is alike in `[start, end)` and at its ends.
    fn join_all(&mut self, start: u64, end: u64) {
        self.join(end);
        let inner: Vec<u64> = self.tree.range(start + 1..end).map(|(s, _)| *s).collect();
        for k in inner {
            self.join(k);
        }
        self.join(start);
    }
}
