//! How much of an address space is in memory, for /proc.
//!
//! The host knows, not the guest kernel: under `multi` spaces pages come by the host's faults. A process asks it for its own
//! space (mincore(2)). For others' spaces nothing can be asked from here: there is what the process itself found when it last
//! mapped or unmapped something after a reader had asked, and what it has mapped since: the most that it can be.

use super::{Mm, Space, flag, spaces};
use abi::layout::PAGE;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Pages in memory: of its own, of files and shared memory, and the most of both that was ever found; and all that there are.
#[derive(Clone, Copy, Default, Debug)]
pub struct Resident {
    pub own: u64,
    pub shared: u64,
    pub peak: u64,
    pub sizes: Sizes,
}

/// What was found last.
#[derive(Default)]
pub(super) struct Sample {
    wanted: AtomicBool,
    own: AtomicU64,
    shared: AtomicU64,
    /// [`Sizes::data`] and [`Sizes::exec`] at that time: 0 before the first.
    data: AtomicU64,
    exec: AtomicU64,
    peak: AtomicU64,
}

impl Sample {
    /// What was found, own and shared, and what has come since: the most that there can be now.
    fn since(&self, now: &Sizes) -> (u64, u64) {
        let last = |n: &AtomicU64| n.load(Ordering::Relaxed);
        let (own, data) = (last(&self.own), last(&self.data));
        let own = if now.data < data { own.min(now.data) } else { own + (now.data - data) };
        (own, last(&self.shared) + now.exec.saturating_sub(last(&self.exec)))
    }
}

/// Sizes of an address space in pages, each kind as Linux counts it (`vm_stat_account` in mm/mmap.c).
#[derive(Clone, Copy, Default, Debug)]
pub struct Sizes {
    /// Private and writable, but no stack.
    pub data: u64,
    pub stack: u64,
    pub exec: u64,
    pub locked: u64,
}

impl Space {
    #[must_use]
    pub fn sizes(&self) -> Sizes {
        let mut sum = Sizes::default();
        for (start, v) in self.areas.iter() {
            let pages = (v.end - start) / PAGE;
            let stack =
                v.flags & flag::GROWSDOWN != 0 || (start <= self.image.stack_start && self.image.stack_start < v.end);
            sum.locked += if v.flags & flag::LOCKED != 0 { pages } else { 0 };
            if stack {
                sum.stack += pages;
            } else if v.prot & flag::PROT_WRITE != 0 && v.flags & flag::TYPE == flag::PRIVATE {
                sum.data += pages;
            } else if v.prot & flag::PROT_EXEC != 0 && v.prot & flag::PROT_WRITE == 0 {
                sum.exec += pages;
            }
        }
        sum
    }
}

impl Mm {
    /// What is in memory. `mine`: the calling process's own space.
    #[must_use]
    pub fn resident(&self, mine: bool) -> Resident {
        let frames = spaces::mmu().pages_are_frames();
        if !frames {
            if mine {
                self.measure();
            } else {
                self.sample.wanted.store(true, Ordering::Relaxed);
            }
        }
        let (sizes, table) = {
            let s = self.space.lock();
            (s.sizes(), s.table.resident())
        };
        let (own, shared) = if frames { (table, 0) } else { self.sample.since(&sizes) };
        let all = own + shared;
        let peak = self.sample.peak.fetch_max(all, Ordering::Relaxed).max(all);
        Resident { own, shared, peak, sizes }
    }

    /// Called by a process that changes its own space: tells how much there is, where somebody has asked.
    pub fn tell_resident(&self) {
        if self.sample.wanted.load(Ordering::Relaxed) {
            self.measure();
        }
    }

    fn measure(&self) {
        self.sample.wanted.store(false, Ordering::Relaxed);
        // What is not accessible has no pages, and may be terabytes.
        let accessible = |(_, v): &(u64, &super::Vma)| v.prot != 0 && v.flags & flag::LAZY == 0;
        let (areas, sizes): (alloc::vec::Vec<(u64, u64, bool)>, Sizes) = {
            let s = self.space.lock();
            let private = |v: &super::Vma| v.mapping.is_none() && v.flags & flag::TYPE == flag::PRIVATE;
            let mut areas = alloc::vec::Vec::new();
            for (start, v) in s.areas.iter().filter(accessible) {
                areas.extend(s.areas.present(start, v.end).into_iter().map(|(from, to)| (from, to, private(v))));
            }
            (areas, s.sizes())
        };
        let (mut own, mut shared) = (0, 0);
        let mut pages = [0; 4096];
        for (start, end, private) in areas {
            let mut at = start;
            while at < end {
                let part = &mut pages[..((end - at) / PAGE).min(4096) as usize];
                // Gone meanwhile, by another thread: nothing is there.
                let there =
                    spaces::mmu().resident(self, at, part).map_or(0, |()| part.iter().filter(|p| **p & 1 != 0).count());
                *(if private { &mut own } else { &mut shared }) += there as u64;
                at += part.len() as u64 * PAGE;
            }
        }
        self.sample.own.store(own, Ordering::Relaxed);
        self.sample.shared.store(shared, Ordering::Relaxed);
        self.sample.data.store(sizes.data, Ordering::Relaxed);
        self.sample.exec.store(sizes.exec, Ordering::Relaxed);
    }
}
