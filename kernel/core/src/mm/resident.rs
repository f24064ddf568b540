//! How much of an address space is in memory, for /proc.
//!
//! The host knows, not the guest kernel: under `multi` spaces pages come by the host's faults. A process asks it for its own
//! space (mincore(2)). Others ask for the parts of it by an errand (`errand.rs`). For its sums, which ps(1) reads of every
//! process, nobody is disturbed: there is what the process itself found when it last mapped or unmapped something after a
//! reader had asked, and what it has mapped since: the most that it can be.

use super::{Mm, Space, Vma, flag, spaces};
use crate::Result;
use abi::layout::PAGE;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Pages in memory: of its own, of files and shared memory, and the most of both that was ever found; and all that there are.
#[derive(Clone, Copy, Default, Debug)]
pub struct Resident {
    pub own: u64,
    pub shared: u64,
    pub peak: u64,
    pub sizes: Sizes,
}

/// A part of an address space, and how many of its pages are in memory.
#[derive(Clone, Copy, Debug)]
pub struct Used {
    pub start: u64,
    pub end: u64,
    pub pages: u64,
    /// The pages are the process's own, as far as that can be told: the host does not say which of a private mapping of a file
    /// are copies, so all of one that may be written count as such.
    pub own: bool,
}

/// What is at a page's place (/proc/PID/pagemap).
#[derive(Clone, Copy, Default, Debug)]
pub struct PageState {
    pub present: bool,
    pub own: bool,
}

fn is_own(v: &Vma) -> bool {
    let private = v.flags & flag::TYPE == flag::PRIVATE;
    private && (v.mapping.is_none() || v.prot & flag::PROT_WRITE != 0 || v.flags & (flag::ACCOUNT | flag::HELD) != 0)
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
            sum.locked += if v.flags & flag::LOCKED != 0 { pages } else { 0 };
            if self.image.grows_down(start, v) {
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
        let (areas, sizes) = self.scan();
        let sum = |own: bool| areas.iter().filter(|a| a.own == own).map(|a| a.pages).sum();
        self.sample.own.store(sum(true), Ordering::Relaxed);
        self.sample.shared.store(sum(false), Ordering::Relaxed);
        self.sample.data.store(sizes.data, Ordering::Relaxed);
        self.sample.exec.store(sizes.exec, Ordering::Relaxed);
    }

    /// Areas of which pages may be in memory, and how many are. By a thread of this space.
    fn scan(&self) -> (Vec<Used>, Sizes) {
        let (mut areas, sizes) = self.accessible(0, u64::MAX);
        for area in &mut areas {
            area.pages = self.pages(area.start, area.end, |_| ());
        }
        (areas, sizes)
    }

    /// The parts between `from` and `to` that may have pages in memory: what is not accessible has none, and may be terabytes.
    fn accessible(&self, from: u64, to: u64) -> (Vec<Used>, Sizes) {
        let s = self.space.lock();
        let mut out = Vec::new();
        for (start, v) in s.areas.iter().filter(|(_, v)| v.prot != 0 && v.flags & flag::LAZY == 0) {
            let (start, end) = (start.max(from), v.end.min(to));
            if start < end {
                let part = |(start, end)| Used { start, end, own: is_own(v), pages: 0 };
                out.extend(s.areas.present(start, end).into_iter().map(part));
            }
        }
        (out, s.sizes())
    }

    /// How many pages of `start..end` are in memory; `each` gets the address of each. By a thread of this space.
    fn pages(&self, start: u64, end: u64, mut each: impl FnMut(u64)) -> u64 {
        let mut pages = [0; 4096];
        let (mut at, mut n) = (start, 0);
        while at < end {
            let part = &mut pages[..((end - at) / PAGE).min(4096) as usize];
            // Gone meanwhile, by another thread: nothing is there.
            if spaces::mmu().resident(self, at, part).is_ok() {
                for (i, _) in part.iter().enumerate().filter(|(_, p)| **p & 1 != 0) {
                    each(at + i as u64 * PAGE);
                    n += 1;
                }
            }
            at += part.len() as u64 * PAGE;
        }
        n
    }

    /// What is in memory of each area that may have pages there, ascending.
    ///
    /// # Errors
    /// As [`Mm::ask`].
    pub fn used(&self) -> Result<Vec<Used>> {
        if spaces::mmu().pages_are_frames() { Ok(self.scan().0) } else { self.ask(None, |mm| mm.scan().0) }
    }

    /// What is at each of the `n` pages from `start` on.
    ///
    /// # Errors
    /// As [`Mm::ask`].
    pub fn page_states(&self, start: u64, n: usize) -> Result<Vec<PageState>> {
        let look = move |mm: &Mm| {
            let mut out = alloc::vec![PageState::default(); n];
            let end = start.saturating_add(n as u64 * PAGE);
            let (areas, _) = mm.accessible(start, end);
            for a in areas {
                let there = PageState { present: true, own: a.own };
                mm.pages(a.start, a.end, |at| out[((at - start) / PAGE) as usize] = there);
            }
            out
        };
        if spaces::mmu().pages_are_frames() { Ok(look(self)) } else { self.ask(None, look) }
    }

    /// The most that was ever found in memory is what there is now (/proc/PID/clear_refs).
    pub fn forget_peak(&self) {
        self.sample.peak.store(0, Ordering::Relaxed);
    }
}
