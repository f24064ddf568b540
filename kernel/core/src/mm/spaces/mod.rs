//! Spaces: how the guest's address spaces exist on the host. One of the three switches of the machine.
//!
//! | spaces | an address space is | a page is | process switch |
//! |---|---|---|---|
//! | [`multi`] | a host process's own | the host's private memory, or a file's | the host's |
//! | [`remap`] | a page table of the guest kernel, shown in the one guest-machine process | a frame of the memory file | munmap and mmap |
//!
//! What an area is, what a call may ask for and what it is told does not depend on them: `mm::map` and its neighbours. What the host
//! is asked to do about it does: [`Mmu`]. The processor of `remap` spaces, on which the guest kernel schedules, is
//! `trap::sched`.

mod multi;
pub mod remap;

pub(super) use multi::map_file;

use super::{FaultResult, Mm, Space, Vma};
use crate::Result;
use crate::file::File;
use alloc::sync::Arc;

/// What mmap(2) asks for, checked. `hint` is where it must lie with MAP_FIXED and MAP_FIXED_NOREPLACE, and 0 where anywhere will do.
pub(super) struct Request {
    pub hint: u64,
    pub len: u64,
    pub prot: u32,
    pub flags: u32,
    pub file: Option<Arc<File>>,
    pub off: u64,
}

/// What mremap(2) asks for, checked; `new_len` is never less than what is there. `piece` describes the old area; its end is still to be set.
pub(super) struct Move {
    pub from: (u64, u64),
    pub new_len: u64,
    pub flags: u32,
    pub to: u64,
    pub piece: Vma,
}

/// The MMU that spaces make of the host. All ranges are whole pages of the application's; errors are those of the system calls.
pub(super) trait Mmu: Sync {
    /// Private pages are frames of the memory file, of which there are only so many.
    fn pages_are_frames(&self) -> bool;
    fn map(&self, mm: &Mm, r: Request) -> Result<u64>;
    /// Takes a range away, areas included.
    fn unmap(&self, mm: &Mm, s: &mut Space, start: u64, end: u64) -> Result<()>;
    /// Whether an area may get a protection, beyond what mprotect(2) says.
    fn check_area(&self, v: &Vma, prot: u32) -> Result<()>;
    /// Changes a range's protection, the areas' included; `piecewise` where some of it is not mapped as the areas say.
    fn protect(&self, mm: &Mm, s: &mut Space, range: (u64, u64), prot: u32, piecewise: bool) -> Result<()>;
    /// Makes room for the heap (brk); the area comes later.
    fn grow(&self, start: u64, len: u64, prot: u32, flags: u32) -> Result<()>;
    fn remap(&self, mm: &Mm, s: &mut Space, m: Move) -> Result<u64>;
    fn advise(&self, mm: &Mm, start: u64, end: u64, advice: u32) -> Result<()>;
    fn sync(&self, mm: &Mm, start: u64, end: u64, flags: u32) -> Result<()>;
    /// mincore(2): one byte a page.
    fn resident(&self, mm: &Mm, start: u64, out: &mut [u8]) -> Result<()>;
    /// A fault at an address of the application's (see [`Mm::fault`]).
    fn fault(&self, mm: &Mm, addr: u64, err: u64) -> FaultResult;
    /// Nothing of the space that was there before is mapped any more, and `mm` is the calling thread's.
    fn take_over(&self, mm: &Mm) -> Result<()>;
    /// The text at `start` has a patched copy at RAM offset `ram`.
    fn install_text(&self, mm: &Mm, s: &mut Space, start: u64, len: u64, ram: u64) -> Result<()>;
    /// A file has lost these pages: touching them is SIGBUS.
    fn cut(&self, mm: &Mm, s: &mut Space, start: u64, end: u64);
    /// The page table of a forked child.
    fn fork(&self, mm: &Mm, s: &mut Space) -> remap::Table;
    /// Areas are about to come where the jump table is in other address spaces.
    fn before_table(&self, mm: &Mm);
    /// Maps such an area, from a file's descriptor and offset on the host if it has one.
    fn over_table(&self, s: &Space, start: u64, v: &mut Vma, from: Option<(&Arc<File>, i32, u64)>) -> Result<()>;
}

/// The MMU of the spaces in force.
#[inline]
pub(super) fn mmu() -> &'static dyn Mmu {
    if remap::on() { &remap::Remap } else { &multi::Multi }
}
