//! Memory that forked processes have in common, where there is too little to count all of it twice.
//!
//! As a rule a fork counts the child's copy in full, which costs nothing later. Once half of what may be committed is, and the copy
//! would be a good part of the rest, it counts nothing: parent and child find their private memory write-protected on the host, and count a piece of it when they first write
//! there ([`Space::open_chunk`]). What the parent had counted goes to a [`Held`] that both have, because the pages live as long
//! as one of the two has them, whatever the other does with its own mappings.
//!
//! That this is a limit: a private page that exists is either in an area that is counted (`flag::ACCOUNT`), or was there when its
//! area was held (`flag::HELD`) and has not been written by its owner since: then a `Held` that the owner has counts it.
//!
//! Under `remap` spaces the frames are the limit, written pages take some as they are, and nothing is protected for counting.

use super::{Area, COMMITTED, Space, WAITING, commitment, flag, spaces, wx};
use crate::Result;
use crate::task::TREE;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use host::mem;

/// Bytes that count as committed as long as somebody has this.
pub struct Held(u64);

/// How many there are.
static ALL: AtomicU64 = AtomicU64::new(0);

impl Held {
    /// What is counted already becomes this one's to give back.
    fn new(bytes: u64) -> Arc<Held> {
        ALL.fetch_add(1, Ordering::Relaxed);
        Arc::new(Held(bytes))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        COMMITTED.fetch_sub(self.0, Ordering::Relaxed);
        ALL.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What an address space has of others' and its own counted memory.
#[derive(Clone, Default)]
pub(super) struct Shares {
    pub all: Vec<Arc<Held>>,
    /// Bytes of its areas with `flag::HELD`.
    pub bytes: u64,
    /// There are, or were, areas that are not writable on the host (`flag::COW`).
    pub protected: bool,
}

/// Less than this is not worth the faults, nor is less than this part of what is left.
const SMALL: u64 = 1 << 20;
const PART: u64 = 16;

impl Area {
    /// The areas that start at `starts` are counted by a [`Held`] from now on.
    fn hold(&mut self, starts: &[u64], protected: bool) {
        let mut sum = 0;
        for start in starts {
            let Some(v) = self.get_mut(*start) else { continue };
            let private = protected && v.flags & flag::TYPE == flag::PRIVATE;
            v.flags = v.flags & !flag::ACCOUNT | flag::HELD | if private { flag::COW } else { 0 };
            sum += v.end - start;
        }
        self.uncount(sum);
        if protected {
            WAITING.fetch_add(u64::from(!self.waits()), Ordering::Relaxed);
            self.shares.protected = true;
        }
        self.shares.bytes += sum;
        self.shares.all.push(Held::new(sum));
    }

    /// Counts anew what nobody else has a part in any more: never more than before.
    pub(super) fn settle(&mut self) {
        let alone = |h: &&Arc<Held>| Arc::strong_count(h) == 1;
        let mine = self.shares.all.iter().filter(alone).count();
        if mine == 0 {
            return;
        }
        if mine == self.shares.all.len() {
            // Everything is ours: as if it had never been held, but for the host's protection, which the first write takes off.
            self.count_held();
            self.shares.all.clear();
            return;
        }
        // Of what was ours and theirs who are gone, we still have our held areas at most.
        let sum: u64 = self.shares.all.iter().filter(alone).map(|h| h.0).sum();
        if mine > 1 || sum > self.shares.bytes {
            let keep = sum.min(self.shares.bytes);
            COMMITTED.fetch_add(keep, Ordering::Relaxed);
            self.shares.all.retain(|h| Arc::strong_count(h) > 1);
            self.shares.all.push(Held::new(keep));
        }
    }
}

/// Settles all spaces that nobody is working on.
pub(super) fn settle_all() {
    if ALL.load(Ordering::Relaxed) == 0 {
        return;
    }
    // The caller may hold a space, or the tree.
    let Some(all) = TREE.try_lock().map(|t| t.all()) else { return };
    for p in all {
        let Some(mm) = p.mm.try_lock().and_then(|m| m.clone()) else { continue };
        if let Some(mut s) = mm.space.try_lock() {
            s.areas.settle();
        }
    }
}

impl Space {
    /// Before a fork: where the child's copy would be much of what there is, holds what can be held; true where that was so. What
    /// is left counts twice.
    pub(super) fn hold_for_fork(&mut self) -> bool {
        let scarce = |s: &Space| {
            let (now, most) = commitment();
            let own = s.areas.charged();
            let left = most.saturating_sub(now);
            own >= SMALL.max(left / PART) && now.saturating_add(own) > most / 2
        };
        if !scarce(self) {
            return false;
        }
        self.areas.settle();
        settle_all();
        if !scarce(self) {
            return false;
        }
        let frames = spaces::mmu().pages_are_frames();
        let mut starts = Vec::new();
        for (start, v) in self.areas.iter() {
            // The child does not get the one; the other changes between writable and executable by faults of its own.
            let apart = v.flags & flag::DONTFORK != 0 || v.prot & flag::PROT_EXEC != 0 && wx::on();
            if v.flags & flag::ACCOUNT == 0 || apart {
                continue;
            }
            let open = !frames && v.flags & (flag::TYPE | flag::COW) == flag::PRIVATE && v.prot & flag::PROT_WRITE != 0;
            let protect = |(from, to): &(u64, u64)| mem::mprotect(*from, to - from, v.prot & !flag::PROT_WRITE).is_ok();
            if !open || self.areas.present(start, v.end).iter().all(protect) {
                starts.push(start);
                continue;
            }
            // The host has no more areas: this one stays counted, and as it was.
            for (from, to) in self.areas.present(start, v.end) {
                let _ = mem::mprotect(from, to - from, v.prot);
            }
        }
        self.areas.hold(&starts, !frames);
        true
    }

    /// Counts and opens all of `[start, end)` that waits for a write.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub(super) fn open_written(&mut self, start: u64, end: u64) -> Result<()> {
        let waits = |(_, v): &(u64, super::Vma)| v.flags & (flag::COW | flag::HELD) != 0;
        for (from, v) in self.areas.overlapping(start, end).into_iter().filter(waits) {
            self.open(from, v.end, v.prot, v.flags)?;
        }
        Ok(())
    }

    /// Counts `[start, end)`, which lies in an area with `prot` and `flags`, and gives it its protection on the host.
    pub(super) fn open(&mut self, start: u64, end: u64, prot: u32, flags: u32) -> Result<()> {
        if flags & flag::ACCOUNT == 0 {
            super::check_commit(end - start, Some(&mut self.areas))?;
        }
        if !spaces::mmu().pages_are_frames() {
            let parts = self.areas.present(start, end);
            let opened = parts.iter().try_for_each(|(from, to)| mem::mprotect(*from, to - from, prot));
            if let Err(e) = opened {
                // The host has no more areas. What can be written must be counted, so none of it can.
                let closed = if flags & flag::LAZY != 0 { 0 } else { prot & !flag::PROT_WRITE };
                for (from, to) in parts {
                    let _ = mem::mprotect(from, to - from, closed);
                }
                return Err(e);
            }
        }
        self.areas.open(start, end);
        Ok(())
    }
}
