//! `remap` spaces: one guest-machine process for the whole VM.
//!
//! The guest kernel has page tables ([`table`]), demand paging and copy-on-write ([`fault`]), a page cache ([`frames`]), and
//! runs out of frames like any machine. What the host has mapped shows the *active* address space; a guest process switch
//! ([`switch`]) unmaps it and maps each resident page of the next one from the memory file: the third cost of the classic
//! machine (King, Dunlap, Chen 2003, section 3.3).

mod exec;
mod fault;
mod frames;
mod map;
mod table;

use exec::{check_area, check_shared};
pub use fault::futex_key;
pub use frames::{SharedPages, cache_pages, reclaim};
pub use table::{Pte, Table};

use super::{Mmu, Move, Request};
use crate::Result;
use crate::file::File;
use crate::mm::{FaultResult, Mm, Space, Vma, flag};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Counters of mapping operations, for `--stats` and the profiler.
pub mod stats {
    use crate::counters::Counter;
    /// Guest process switches, and nanoseconds spent in them.
    pub static SWITCHES: Counter = Counter::new();
    pub static SWITCH_NS: Counter = Counter::new();
    /// Pages mapped from the memory file; and how many of them by a switch.
    pub static MAPPED: Counter = Counter::new();
    pub static MAPPED_BY_SWITCH: Counter = Counter::new();
    /// munmap calls.
    pub static UNMAPS: Counter = Counter::new();
    /// Page faults resolved: from applications, and from the guest kernel's own accesses.
    pub static DEMAND: Counter = Counter::new();
    pub static COPIES: Counter = Counter::new();
}

static ON: AtomicBool = AtomicBool::new(false);
/// The guard gives memory keys, which the jump table's pages must get again when it comes back.
static TABLE_HAS_KEY: AtomicBool = AtomicBool::new(false);
/// `Mm::id` of the address space that the host has mapped; 0 for none.
static ACTIVE: AtomicU64 = AtomicU64::new(0);

/// Chooses `remap` spaces; boot.
pub fn choose(keys: bool) {
    TABLE_HAS_KEY.store(keys, Ordering::Relaxed);
    ON.store(true, Ordering::Relaxed);
    host::user::on_fault(fault::for_kernel);
}

/// True under `remap` spaces.
#[inline]
#[must_use]
pub fn on() -> bool {
    ON.load(Ordering::Relaxed)
}

pub(in super::super) struct Remap;

impl Mmu for Remap {
    fn pages_are_frames(&self) -> bool {
        true
    }

    fn map(&self, mm: &Mm, r: Request) -> Result<u64> {
        mm.table_mmap(r)
    }

    fn unmap(&self, mm: &Mm, s: &mut Space, start: u64, end: u64) -> Result<()> {
        mm.table_munmap(s, start, end)
    }

    fn check_area(&self, v: &Vma, prot: u32) -> Result<()> {
        check_area(v, prot)
    }

    fn protect(&self, mm: &Mm, s: &mut Space, (start, end): (u64, u64), prot: u32, _: bool) -> Result<()> {
        s.areas.protect(start, end, prot);
        mm.table_mprotect(s, start, end, prot);
        Ok(())
    }

    fn grow(&self, _: u64, _: u64, _: u32, _: u32) -> Result<()> {
        Ok(())
    }

    fn remap(&self, mm: &Mm, s: &mut Space, m: Move) -> Result<u64> {
        mm.table_mremap(s, m)
    }

    fn advise(&self, mm: &Mm, start: u64, end: u64, advice: u32) -> Result<()> {
        mm.table_madvise(start, end, advice)
    }

    fn sync(&self, mm: &Mm, start: u64, end: u64, flags: u32) -> Result<()> {
        mm.table_msync(start, end, flags)
    }

    fn resident(&self, mm: &Mm, start: u64, out: &mut [u8]) -> Result<()> {
        mm.table_mincore(start, out);
        Ok(())
    }

    fn fault(&self, mm: &Mm, addr: u64, err: u64) -> FaultResult {
        mm.table_fault(addr, err)
    }

    fn take_over(&self, mm: &Mm) -> Result<()> {
        activate(mm);
        Ok(())
    }

    fn install_text(&self, mm: &Mm, s: &mut Space, start: u64, len: u64, _: u64) -> Result<()> {
        // The copy comes with the next fault.
        mm.drop_pages(s, start, start + len)
    }

    fn cut(&self, mm: &Mm, s: &mut Space, start: u64, end: u64) {
        // The fault that comes next asks the file.
        let _ = mm.drop_pages(s, start, end);
    }

    fn fork(&self, mm: &Mm, s: &mut Space) -> Table {
        map::fork(mm, s)
    }

    fn before_table(&self, mm: &Mm) {
        if mm.is_active() {
            place_table(true);
        }
    }

    fn over_table(&self, _: &Space, _: u64, _: &mut Vma, _: Option<(&Arc<File>, i32, u64)>) -> Result<()> {
        // Pages come when they are touched.
        Ok(())
    }
}

impl Mm {
    fn is_active(&self) -> bool {
        ACTIVE.load(Ordering::Relaxed) == self.id
    }
}

/// The guest thread that runs next may be of another process: switches the mappings. In the scheduler's loop: a lock that is
/// taken may be the next thread's own, so none is waited for.
pub fn switch() {
    match crate::current().process.mm.try_lock() {
        Some(mm) => {
            if let Some(mm) = mm.as_ref() {
                activate(mm);
            }
        }
        // It is about to change: the first fault shows which it is.
        None => {
            forget_all();
            deactivate();
        }
    }
}

/// Makes `mm` the space that the host has mapped. Where its thread sleeps with the space's lock, pages come by faults.
pub fn activate(mm: &Mm) {
    if mm.is_active() {
        return;
    }
    let start = host::time::monotonic_ns();
    forget_all();
    place_table(mm.lies_over_table());
    ACTIVE.store(mm.id, Ordering::Relaxed);
    if let Some(s) = mm.space.try_lock() {
        let before = stats::MAPPED.get();
        // Without room for one host mapping a page (vm.max_map_count) the rest comes by faults.
        let _ = load_all(&s);
        stats::MAPPED_BY_SWITCH.add(stats::MAPPED.get() - before);
    }
    stats::SWITCHES.add(1);
    stats::SWITCH_NS.add(host::time::monotonic_ns() - start);
}

/// The processor's error code of a fault at `addr` as the guest's page table makes it: the host may not have had the page
/// mapped (bit 0: present). Unchanged under other spaces.
#[must_use]
pub fn error_code(addr: u64, err: u64) -> u64 {
    const PRESENT: u64 = 1;
    const FETCH: u64 = 16;
    if !on() {
        return err;
    }
    let Some(mm) = crate::current().process.mm.lock().clone() else { return err };
    let s = mm.space.lock();
    let page = addr & !(abi::layout::PAGE - 1);
    match s.areas.find(addr) {
        Some((_, v)) if v.prot & flag::PROT_MASK == 0 => err & !PRESENT,
        // Linux brings in the page of any access but a forbidden write before it refuses (arch/x86/mm/fault.c, `access_error`).
        Some(_) if err & FETCH != 0 || s.table.get(page).is_present() => err | PRESENT,
        Some(_) => err & !PRESENT,
        None => err,
    }
}

/// The host process that had the mappings is gone.
pub fn lost() {
    deactivate();
    host::mem::table_is_back();
}

/// No address space is shown any more.
fn deactivate() {
    ACTIVE.store(0, Ordering::SeqCst);
}

/// Where a program lies over the jump table, the table goes while its address space is shown.
fn place_table(over: bool) {
    let done = match (over, host::mem::table_lent()) {
        (true, false) => host::mem::lend_table(),
        (false, true) => host::mem::restore_table(TABLE_HAS_KEY.load(Ordering::Relaxed)),
        _ => Ok(()),
    };
    if let Err(e) = done {
        panic!("the jump table: {e}");
    }
}

/// Maps every resident page of a space.
fn load_all(s: &Space) -> Result<()> {
    for (start, v) in s.areas.iter() {
        if v.prot & flag::PROT_MASK == 0 {
            continue;
        }
        // One by one, as the classic machine does: that is the cost which it is there to show.
        for (page, pte) in s.table.range(start, v.end) {
            pte.load(page, v.prot)?;
        }
    }
    Ok(())
}

/// Unmaps all application memory of the host process.
fn forget_all() {
    let (vvar, _, end) = crate::mm::vdso();
    stats::UNMAPS.add(5);
    if let Err(e) = Mm::unmap_all((vvar, end)) {
        panic!("the host does not unmap application memory: {e}");
    }
    if host::mem::table_lent()
        && let Err(e) = host::mem::lend_table()
    {
        panic!("the host does not unmap application memory: {e}");
    }
}
