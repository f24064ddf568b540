//! Guest page tables: which page of an address space is which frame of the memory file.
//!
//! What the host has mapped is a cache of the active table, as a TLB is: a page that is here and not there comes back with
//! the next fault.

use super::frames;
use super::stats;
use crate::mm::flag::{PROT_EXEC, PROT_MASK, PROT_READ, PROT_WRITE};
use crate::mm::wx;
use abi::layout::PAGE;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

const ENTRIES: u64 = 512;

/// An entry. Zero: nothing is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Pte(u64);

impl Pte {
    const PRESENT: u64 = 1;
    /// Writing through this entry changes the right page: it is this space's own, or shared.
    const WRITE: u64 = 2;
    /// The entry holds a reference of the frame; otherwise the frame belongs to a tmpfs file that the area keeps.
    const COUNTED: u64 = 4;
    /// Not a frame: a page of a host file, mapped straight from its descriptor (DAX).
    const DIRECT: u64 = 8;
    /// The page was looked at and may be executed; nothing writes to it as long as this is set (`super::exec`).
    const LOOKED_AT: u64 = 16;

    #[must_use]
    pub fn counted(frame: u64, write: bool) -> Pte {
        Pte(frame << 12 | Self::PRESENT | Self::COUNTED | if write { Self::WRITE } else { 0 })
    }

    #[must_use]
    pub fn borrowed(frame: u64, write: bool) -> Pte {
        Pte(frame << 12 | Self::PRESENT | if write { Self::WRITE } else { 0 })
    }

    #[must_use]
    pub fn direct() -> Pte {
        Pte(Self::PRESENT | Self::WRITE | Self::DIRECT)
    }

    #[must_use]
    pub fn is_present(self) -> bool {
        self.0 & Self::PRESENT != 0
    }

    #[must_use]
    pub fn writable(self) -> bool {
        self.0 & Self::WRITE != 0
    }

    #[must_use]
    pub fn is_direct(self) -> bool {
        self.0 & Self::DIRECT != 0
    }

    #[must_use]
    pub fn is_counted(self) -> bool {
        self.0 & Self::COUNTED != 0
    }

    #[must_use]
    pub fn frame(self) -> u64 {
        self.0 >> 12
    }

    #[must_use]
    pub fn looked_at(self) -> Pte {
        Pte(self.0 | Self::LOOKED_AT)
    }

    #[must_use]
    pub fn was_looked_at(self) -> bool {
        self.0 & Self::LOOKED_AT != 0
    }

    /// The same page, which may change or move now.
    #[must_use]
    pub fn to_change(self) -> Pte {
        Pte(self.0 & !Self::LOOKED_AT)
    }

    fn read_only(self) -> Pte {
        Pte(self.0 & !Self::WRITE)
    }

    /// What the host mapping may allow of an area's protection.
    #[must_use]
    pub fn effective(self, prot: u32) -> u32 {
        let prot = prot & PROT_MASK;
        if wx::on() {
            // Written or executed, never both; execute-only would make the host take a memory key for it.
            let (write, execute) = (prot & PROT_WRITE != 0, prot & PROT_EXEC != 0);
            return match self.was_looked_at() {
                true if execute => PROT_READ | PROT_EXEC,
                true => prot & !PROT_WRITE,
                false if write && self.writable() => PROT_READ | PROT_WRITE,
                false if write || execute => PROT_READ,
                false => prot,
            };
        }
        if self.writable() { prot } else { prot & !PROT_WRITE }
    }

    /// Maps the page on the host as the entry says; a direct page is left to its next fault.
    ///
    /// # Errors
    /// The host's.
    pub fn load(self, page: u64, prot: u32) -> crate::Result<()> {
        if self.is_direct() {
            return Ok(());
        }
        stats::MAPPED.add(1);
        host::ram::map_pages(page, PAGE, self.effective(prot), self.frame() * PAGE)
    }
}

/// As [`Pte::load`] for the entries of one area: pages that follow each other in frames that do so, too, in one host call.
///
/// # Errors
/// The host's.
pub fn load_run(entries: &[(u64, Pte)], prot: u32) -> crate::Result<()> {
    let mut rest = entries;
    while let Some((page, pte)) = rest.first().copied() {
        let follows = |i: usize, (next, other): (u64, Pte)| {
            let by = i as u64;
            next == page + by * PAGE
                && !other.is_direct()
                && other.frame() == pte.frame() + by
                && other.effective(prot) == pte.effective(prot)
        };
        let n = rest.iter().enumerate().take_while(|(i, e)| follows(*i, **e)).count().max(1);
        if !pte.is_direct() {
            stats::MAPPED.add(n as u64);
            host::ram::map_pages(page, n as u64 * PAGE, pte.effective(prot), pte.frame() * PAGE)?;
        }
        rest = &rest[n..];
    }
    Ok(())
}

/// A two-level table: blocks of 512 entries by address.
#[derive(Default)]
pub struct Table {
    blocks: BTreeMap<u64, Box<[Pte; ENTRIES as usize]>>,
    resident: u64,
}

fn place(page: u64) -> (u64, usize) {
    let n = page / PAGE;
    (n / ENTRIES, (n % ENTRIES) as usize)
}

impl Table {
    /// Pages that are there.
    #[must_use]
    pub fn resident(&self) -> u64 {
        self.resident
    }

    #[must_use]
    pub fn get(&self, page: u64) -> Pte {
        let (b, i) = place(page);
        self.blocks.get(&b).map_or(Pte::default(), |b| b[i])
    }

    /// Puts an entry; the reference of the one before it is given up.
    pub fn set(&mut self, page: u64, new: Pte) {
        let (b, i) = place(page);
        let old = if new.is_present() {
            let block = self.blocks.entry(b).or_insert_with(|| Box::new([Pte::default(); ENTRIES as usize]));
            core::mem::replace(&mut block[i], new)
        } else {
            match self.blocks.get_mut(&b) {
                Some(block) => core::mem::take(&mut block[i]),
                None => return,
            }
        };
        self.resident = self.resident + u64::from(new.is_present()) - u64::from(old.is_present());
        if old.is_counted() && (old.frame() != new.frame() || !new.is_counted()) {
            frames::release(old.frame());
        }
    }

    /// The entries in `[start, end)`, in order.
    #[must_use]
    pub fn range(&self, start: u64, end: u64) -> Vec<(u64, Pte)> {
        let (first, last) = (start / PAGE / ENTRIES, end.saturating_sub(1) / PAGE / ENTRIES);
        let mut out = Vec::new();
        if start >= end {
            return out;
        }
        for (b, block) in self.blocks.range(first..=last) {
            for (i, pte) in block.iter().enumerate() {
                let page = (b * ENTRIES + i as u64) * PAGE;
                if pte.is_present() && page >= start && page < end {
                    out.push((page, *pte));
                }
            }
        }
        out
    }

    /// Takes all entries out of `[start, end)`; how many there were.
    pub fn clear(&mut self, start: u64, end: u64) -> u64 {
        let mut n = 0;
        for (page, _) in self.range(start, end) {
            self.set(page, Pte::default());
            n += 1;
        }
        let (first, last) = (start.div_ceil(PAGE * ENTRIES), end / (PAGE * ENTRIES));
        if first < last {
            // Blocks that are empty as a whole.
            let gone: Vec<u64> = self.blocks.range(first..last).map(|(b, _)| *b).collect();
            for b in gone {
                self.blocks.remove(&b);
            }
        }
        n
    }

    /// Moves the entries of `[from, from+len)` to `to`; the two do not overlap, and nothing is at `to`.
    pub fn move_to(&mut self, from: u64, len: u64, to: u64) {
        for (page, pte) in self.range(from, from + len) {
            let (b, i) = place(page);
            if let Some(block) = self.blocks.get_mut(&b) {
                block[i] = Pte::default();
                self.resident -= 1;
            }
            // Other neighbours, other seams.
            self.set(to + (page - from), pte.to_change());
        }
    }

    /// Gives `child` the entries of `[start, end)` (fork). Private pages become read-only in both: the first write copies
    /// (copy-on-write). The pages that lost the right to be written are returned.
    pub fn fork_range(&mut self, child: &mut Table, start: u64, end: u64, private: bool) -> Vec<u64> {
        let mut lost = Vec::new();
        for (page, pte) in self.range(start, end) {
            let both = if private && !pte.is_direct() { pte.read_only() } else { pte };
            if both != pte {
                lost.push(page);
                let (b, i) = place(page);
                if let Some(block) = self.blocks.get_mut(&b) {
                    block[i] = both;
                }
            }
            if both.is_counted() {
                frames::share(both.frame());
            }
            child.set(page, both);
        }
        lost
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        for block in self.blocks.values() {
            for pte in block.iter().filter(|p| p.is_counted()) {
                frames::release(pte.frame());
            }
        }
    }
}
