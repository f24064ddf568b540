//! Pages whose protection goes to and fro, as under garbage collectors and JIT compilers.
//!
//! The host splits its area for each mprotect(2) of a part of it and puts the parts together again for the next: more than half
//! of such a call. It leaves areas apart that differ in anything, so a range that comes again and again is marked
//! with a property that means nothing here (MADV_DONTDUMP: a guest-machine process has no core file).
//!
//! mremap(2) moves one area of the host's only, and areas that are apart at a fork(2) stay so in the child: marks come off before both.

use alloc::vec::Vec;
use host::mem;

/// Ranges remembered.
const RECENT: usize = 8;
/// As often as this, one after the other or nearly so.
const OFTEN: u32 = 8;
/// How often the mark is put on anew: the range may have been mapped anew.
const AGAIN: u32 = 256;
/// The most marks of an address space: each has to come off at a fork.
const MOST: usize = 64;
const DONTDUMP: u32 = 16;
const DODUMP: u32 = 17;

/// What an address space remembers.
#[derive(Default)]
pub struct Toggles {
    recent: [(u64, u64, u32); RECENT],
    next: u8,
    marks: Vec<(u64, u64)>,
}

impl Toggles {
    /// After a change of protection.
    pub fn changed(&mut self, start: u64, end: u64) {
        let Some(r) = self.recent.iter_mut().find(|r| (r.0, r.1) == (start, end)) else {
            self.recent[self.next as usize % RECENT] = (start, end, 1);
            self.next = self.next.wrapping_add(1);
            return;
        };
        r.2 += 1;
        if r.2 == AGAIN {
            r.2 = 0;
        }
        if r.2 != OFTEN {
            return;
        }
        if !self.marks.contains(&(start, end)) {
            if self.marks.len() == MOST {
                return;
            }
            self.marks.push((start, end));
        }
        // For speed only: a host that refuses it is no error.
        let _ = mem::madvise(start, end - start, DONTDUMP);
    }

    /// Takes all marks off; ranges that go on to and fro get theirs again.
    pub fn unmark(&mut self) {
        if self.marks.is_empty() {
            return;
        }
        for (start, end) in self.marks.drain(..) {
            // What is not mapped any more has no mark.
            let _ = mem::madvise(start, end - start, DODUMP);
        }
        self.recent = Default::default();
    }
}
