//! Address spaces.
//!
//! The guest kernel keeps the tree of areas ([`Vma`]): what is where, for /proc, for checks, and for pages that are mapped only
//! when touched. How a space exists on the host is one of the three switches of the machine: [`spaces`].

mod advice;
mod area;
mod cut;
pub mod errand;
mod fault;
mod held;
mod lock;
mod map;
mod oom;
mod over;
mod resident;
mod show;
pub mod spaces;
mod toggle;
pub mod wx;

pub use area::{Area, Mapping, Vma};
pub use cut::file_shrunk;
pub use fault::{FaultResult, try_again};
pub(crate) use oom::fault as out_of_memory;
pub use resident::{PageState, Resident, Sizes, Used};
pub use show::{ShownArea, set_vdso, vdso};

use crate::Mutex;
use crate::file::File;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// prot and flag bits of mmap(2).
pub mod flag {
    pub const PROT_READ: u32 = 1;
    pub const PROT_WRITE: u32 = 2;
    pub const PROT_EXEC: u32 = 4;
    pub const PROT_MASK: u32 = 7;
    pub const SHARED: u32 = 1;
    pub const PRIVATE: u32 = 2;
    pub const TYPE: u32 = 0xf;
    pub const FIXED: u32 = 0x10;
    pub const ANONYMOUS: u32 = 0x20;
    pub const BIT32: u32 = 0x40;
    pub const GROWSDOWN: u32 = 0x100;
    pub const LOCKED: u32 = 0x2000;
    pub const NORESERVE: u32 = 0x4000;
    pub const POPULATE: u32 = 0x8000;
    pub const STACK: u32 = 0x2_0000;
    pub const HUGETLB: u32 = 0x4_0000;
    pub const FIXED_NOREPLACE: u32 = 0x10_0000;
    /// Not mmap's: the area counts as committed memory (`area::accountable`), and goes on to when it loses PROT_WRITE.
    pub const ACCOUNT: u32 = 1 << 31;
    /// Not mmap's: a forked child does not get the area (madvise(2), MADV_DONTFORK).
    pub const DONTFORK: u32 = 1 << 28;
    /// Not mmap's: a forked child finds zeros there (MADV_WIPEONFORK), under `remap` spaces; else the host does that.
    pub const WIPEONFORK: u32 = 1 << 27;
    /// Not mmap's: never counts (the stack that execve makes: all of its limit is mapped, little is used).
    pub const EXEMPT: u32 = 1 << 30;
    /// Not mmap's: not accessible on the host yet; a piece counts and becomes so when it is touched (`fault`).
    pub const LAZY: u32 = 1 << 29;
    /// Not mmap's: the pages are copies of the file's; the file is not behind them any more (`wx`).
    pub const COPIED: u32 = 1 << 26;
    /// Not mmap's: counted together with the other side of a fork (`held`).
    pub const HELD: u32 = 1 << 25;
    /// Not mmap's: not writable on the host; a piece becomes so, and counts, when it is written.
    pub const COW: u32 = 1 << 24;
    /// What a program can say; Linux ignores what it does not know.
    pub const ALL: u32 = 0xff_ffff;
}

/// Where the parts of a program's image are, for /proc and brk.
#[derive(Clone, Default, Debug)]
pub struct Image {
    pub brk_start: u64,
    pub brk: u64,
    pub arg_start: u64,
    pub arg_end: u64,
    pub env_start: u64,
    pub env_end: u64,
    pub stack_start: u64,
    pub stack_low: u64,
    pub stack_high: u64,
    pub code_start: u64,
    pub code_end: u64,
    pub data_start: u64,
    pub data_end: u64,
    pub auxv: Vec<u64>,
    /// Arguments and environment as they were at execve, NUL-terminated each: for readers in other processes.
    pub args: Vec<u8>,
    pub env: Vec<u8>,
}

impl Image {
    /// The area is of the stack that execve made: it may be in several pieces, as protection and accounting differ in it.
    fn is_stack(&self, start: u64, v: &Vma) -> bool {
        v.mapping.is_none() && self.stack_low <= start && v.end <= self.stack_high
    }

    /// Where what is kept free below the stack begins; its end is `stack_low`.
    fn stack_gap(&self) -> u64 {
        self.stack_low.saturating_sub(crate::exec::STACK_GAP)
    }

    fn in_stack_gap(&self, start: u64, end: u64) -> bool {
        start < self.stack_low && end > self.stack_gap()
    }

    /// The area grows downwards on Linux: the stack does (which is mapped to its limit here).
    fn grows_down(&self, start: u64, v: &Vma) -> bool {
        v.flags & flag::GROWSDOWN != 0 || self.is_stack(start, v)
    }
}

/// The areas and the image; behind one lock (rank 2), held across the host calls that change the mappings, because
/// tree and host must not differ in between.
#[derive(Default)]
pub struct Space {
    pub areas: Area,
    pub image: Image,
    pub exe: Option<Arc<File>>,
    /// The page table, under `remap` spaces; empty under `multi`.
    pub table: spaces::remap::Table,
    pub toggles: toggle::Toggles,
    /// Where the last holes that were touched end, and how much came with them: a program that goes on from there gets more.
    touched: (u64, u64),
}

impl Space {
    /// How far a heap that ends at `end` can grow: Linux keeps a page free between it and what lies above, and a guard gap below
    /// what grows down (mm/mmap.c, stack_guard_gap).
    fn heap_end(&self, end: u64) -> u64 {
        let Some((start, v)) = self.areas.touching(end, u64::MAX).next() else { return u64::MAX };
        let guard = if self.image.grows_down(start, v) { crate::exec::STACK_GAP } else { 0 };
        start.saturating_sub(guard + abi::layout::PAGE)
    }
}

/// An address space.
#[derive(Default)]
pub struct Mm {
    pub space: Mutex<Space>,
    /// Files that have become shorter (`FileOps::mapping_id` and length), whose pages a thread of this space has still to
    /// take out of it: only it can change the host's mappings.
    cuts: Mutex<Vec<(usize, u64)>>,
    errands: errand::Errands,
    /// Identity, for private futexes and the like.
    pub id: u64,
    sample: resident::Sample,
    /// What is mapped from now on is locked (mlockall(2), MCL_FUTURE).
    lock_new: AtomicBool,
    /// The program lies where the jump table belongs: no text of this address space is patched, all its calls trap.
    pub(crate) over_table: AtomicBool,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);
/// The VM's memory limit in bytes (`--memory`).
static LIMIT: AtomicU64 = AtomicU64::new(u64::MAX);
/// Bytes that all address spaces together may fill with pages of their own: private writable and shared anonymous areas.
static COMMITTED: AtomicU64 = AtomicU64::new(0);
/// How much of it the VM may have, as a multiple of its memory, and on top of that; under `remap` spaces, where a page is a frame
/// of the memory file, no more than there are (docs/decisions/0004-memory-limit.md).
const OVERCOMMIT: u64 = 2;
const SLACK: u64 = 128 << 20;
/// What a forked child that counts nothing at first is going to write soon.
const CHILD: u64 = 4 << 20;
/// True once an address space has had an area that is charged as it is touched (`flag::LAZY`).
static LAZY: AtomicBool = AtomicBool::new(false);
/// Address spaces in which something may wait for its first touch or write (`Area::waits`): only then is it looked for before the
/// guest kernel touches application memory.
static WAITING: AtomicU64 = AtomicU64::new(0);

/// True where something in some address space may wait for its first touch.
pub(crate) fn something_waits() -> bool {
    LAZY.load(Ordering::Relaxed) || WAITING.load(Ordering::Relaxed) != 0
}

/// Sets the VM's memory limit.
pub fn set_limit(bytes: u64) {
    LIMIT.store(bytes, Ordering::Relaxed);
}

/// The VM's memory limit in bytes.
#[must_use]
pub fn limit() -> u64 {
    LIMIT.load(Ordering::Relaxed)
}

/// Committed bytes, and how many there may be.
#[must_use]
pub fn commitment() -> (u64, u64) {
    let most = if spaces::mmu().pages_are_frames() {
        limit()
    } else {
        limit().saturating_mul(OVERCOMMIT).saturating_add(SLACK)
    };
    (COMMITTED.load(Ordering::Relaxed), most)
}

/// True where `more` bytes can not be committed, for a caller that has another way.
fn too_much(more: u64) -> bool {
    let (now, most) = commitment();
    now.saturating_add(more) > most
}

/// Whether `more` bytes can be committed; `own` are the areas of the space that the caller holds. Two threads that ask at once may
/// both hear yes: the limit is then passed by one request.
fn check_commit(more: u64, own: Option<&mut Area>) -> crate::Result<()> {
    if more > 0 && too_much(more) {
        // Processes that have ended may have left others alone with what they had in common.
        if let Some(areas) = own {
            areas.settle();
        }
        held::settle_all();
    }
    if more > 0 && too_much(more) {
        crate::limits::note(crate::limits::Refused::Memory);
        return Err(crate::Errno::ENOMEM);
    }
    Ok(())
}

impl Mm {
    #[must_use]
    pub fn new() -> Arc<Mm> {
        Arc::new(Mm { id: NEXT_ID.fetch_add(1, Ordering::Relaxed), ..Mm::default() })
    }

    /// The tree for a forked child, whose memory the host's fork copies; the space stays held until the guard is dropped, so
    /// that both copies are of the same moment.
    ///
    /// # Errors
    /// `ENOMEM`: the child's copy would be more than the VM may commit.
    pub fn fork_locked(&self) -> crate::Result<(Arc<Mm>, crate::MutexGuard<'_, Space>)> {
        let mut s = self.space.lock();
        let scarce = s.hold_for_fork();
        // Where nothing is left for a child to write, it is better not made than killed, or another for it.
        let twice = s.areas.charged() + if scarce { CHILD.min(s.areas.accounted()) } else { 0 };
        check_commit(twice, Some(&mut s.areas))?;
        let table = spaces::mmu().fork(self, &mut s);
        let mut copy = Space {
            areas: s.areas.clone(),
            image: s.image.clone(),
            exe: s.exe.clone(),
            table,
            toggles: toggle::Toggles::default(),
            touched: (0, 0),
        };
        copy.areas.drop_unforked();
        // Locks are not inherited. Most have none: then nothing is gone through to be joined anew.
        if copy.areas.iter().any(|(_, v)| v.flags & flag::LOCKED != 0) {
            copy.areas.mark(0, u64::MAX, flag::LOCKED, false);
        }
        let cuts = Mutex::new(self.cuts.lock().clone());
        let over_table = AtomicBool::new(self.lies_over_table());
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        Ok((Arc::new(Mm { space: Mutex::new(copy), id, over_table, cuts, ..Mm::default() }), s))
    }

    /// The running program's file.
    #[must_use]
    pub fn exe(&self) -> Option<Arc<File>> {
        self.space.lock().exe.clone()
    }

    /// Where the area at `addr` begins, if it is one that grows downwards: on Linux it is one, however many pieces it is in here.
    #[must_use]
    pub fn grows_down_to(&self, addr: u64) -> Option<u64> {
        let s = self.space.lock();
        let (mut start, v) = s.areas.find(addr).filter(|(start, v)| s.image.grows_down(*start, v))?;
        let piece = |(low, p): &(u64, &Vma)| s.image.is_stack(*low, p) && p.prot == v.prot;
        while let Some((low, _)) = s.areas.find(start - 1).filter(piece) {
            start = low;
        }
        Some(start)
    }

    /// Bytes of address space in use.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.space.lock().areas.total()
    }
}
