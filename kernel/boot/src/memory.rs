//! Mapping the kernel region.

use abi::layout;
use host::{Errno, Result, syscall};

unsafe extern "C" {
    static __shared_start: u8;
    static __shared_end: u8;
}

const PROT_NONE: u32 = 0;
const PROT_READ: u32 = 1;
const PROT_RW: u32 = 3;
const PROT_RX: u32 = 5;
const MAP_SHARED: u32 = 1;
const MAP_PRIVATE: u32 = 2;
const MAP_FIXED: u32 = 0x10;
const MAP_ANONYMOUS: u32 = 0x20;
const MAP_NORESERVE: u32 = 0x4000;
const MADV_WIPEONFORK: u32 = 18;

/// Keys of the pkey guard: all of the guest kernel's memory; the pages that applications may read but not write.
pub const KEY_KERNEL: i32 = 1;
pub const KEY_TRUSTED: i32 = 2;

fn map(addr: u64, len: u64, prot: u32, flags: u32, fd: i32, off: u64) -> Result<()> {
    // SAFETY: boot only, single-threaded; the ranges are the layout's own and hold nothing yet, or hold a copy of what is
    // mapped over them (`share_data`).
    let r = unsafe { syscall!(mmap, addr, len, prot, flags | MAP_FIXED | MAP_NORESERVE, fd, off) };
    Errno::from_ret(r).map(drop)
}

fn off(addr: u64) -> u64 {
    addr - layout::KERNEL_BASE
}

/// Maps heap, slots, trusted and open pages, jump table and stubs; moves data and bss into shared memory.
///
/// # Errors
/// The host's.
pub fn map_kernel(fd: i32) -> Result<()> {
    share_data(fd)?;
    // Nothing of the host's may ever land in the region.
    map(layout::HEAP_BASE, layout::KERNEL_END - layout::HEAP_BASE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)?;
    let shared = |from: u64, len: u64| map(from, len, PROT_RW, MAP_SHARED, fd, off(from));
    shared(layout::HEAP_BASE, layout::HEAP_END - layout::HEAP_BASE)?;
    shared(layout::SLOTS_BASE, layout::SLOT_SIZE * layout::MAX_SLOTS as u64)?;
    let pages = layout::THREAD_PAGE * layout::MAX_SLOTS as u64;
    shared(layout::TRUSTED_BASE, pages)?;
    let table = layout::STUBS_END - layout::JUMP_TABLE;
    shared(layout::JUMP_ALIAS, table)?;
    map(layout::OPEN_BASE, pages, PROT_RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)?;
    // What rests in an open page does so for a few instructions, and a fork is not among them: without this the parent, too, would
    // pay for a copy of its page after each one.
    // SAFETY: boot only; nothing is in these pages yet.
    Errno::from_ret(unsafe { syscall!(madvise, layout::OPEN_BASE, pages, MADV_WIPEONFORK) })?;
    map(layout::JUMP_TABLE, layout::JUMP_TABLE_SIZE, PROT_READ, MAP_SHARED, fd, off(layout::JUMP_ALIAS))?;
    map(layout::STUBS, layout::STUBS_SIZE, PROT_RX, MAP_SHARED, fd, off(layout::JUMP_ALIAS) + layout::JUMP_TABLE_SIZE)
}

/// Maps memory for the ELF's use as a program (`lodger-kernel syscalls`): a private heap.
///
/// # Errors
/// The host's.
pub fn map_tool_heap() -> Result<()> {
    map(layout::HEAP_BASE, layout::HEAP_END - layout::HEAP_BASE, PROT_RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
}

/// Copies `.data` and `.bss` into the memory file and maps that over them.
fn share_data(fd: i32) -> Result<()> {
    let start = (&raw const __shared_start) as u64;
    let end = (&raw const __shared_end) as u64;
    assert!(end <= layout::HEAP_BASE, "the guest kernel's image has grown into its heap");
    let mut at = start;
    while at < end {
        // SAFETY: a page of our own data segment; nothing writes to it while boot is single-threaded.
        let page = unsafe { core::slice::from_raw_parts(at as *const u8, 4096) };
        // Zero pages are holes of the memory file already.
        if page.iter().any(|b| *b != 0) {
            let mut done = 0;
            while done < page.len() {
                done += host::file::pwrite(fd, &page[done..], off(at) + done as u64)?;
            }
        }
        at += 4096;
    }
    map(start, end - start, PROT_RW, MAP_SHARED, fd, off(start))
}

/// Touches what a process of the guest kernel, run by the thread of `slot`, is going to need: about 30 page faults that a program
/// started later in this process does not have. The host maps up to 16 pages around one that is touched.
pub fn touch(slot: u32) {
    /// As much of the heap as every program's start needs.
    const HEAP: u64 = 256 * 1024;
    const AROUND: usize = 16 * layout::PAGE as usize;
    let slot_at = layout::SLOTS_BASE + u64::from(slot) * layout::SLOT_SIZE;
    let image = layout::KERNEL_BASE..(&raw const __shared_end) as u64;
    for range in [image, layout::HEAP_BASE..layout::HEAP_BASE + HEAP, slot_at..slot_at + layout::SLOT_SIZE] {
        for page in range.step_by(AROUND) {
            // SAFETY: mapped by the ELF's loader and `map_kernel`; the byte is not looked at.
            unsafe { (page as *const u8).read_volatile() };
        }
    }
    let open = (layout::OPEN_BASE + u64::from(slot) * layout::THREAD_PAGE) as *mut u64;
    // SAFETY: the thread's own open page, before its first application runs; private memory, so a page only once it is written.
    unsafe { open.write_volatile(open.read_volatile()) };
}

/// Maps the window onto the RAM memfd.
///
/// # Errors
/// The host's.
pub fn map_ram(fd: i32, bytes: u64) -> Result<()> {
    map(layout::RAM_WINDOW, bytes.min(layout::RAM_MAX), PROT_RW, MAP_SHARED, fd, 0)
}

/// What the mprotect guard needs outside the region that it closes, and a region without holes, because mprotect(2) stops at one.
///
/// # Errors
/// The host's.
pub fn prepare_for_mprotect(fd: i32) -> Result<()> {
    let end = (&raw const __shared_end) as u64;
    map(end, layout::HEAP_BASE - end, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)?;
    let stacks = layout::ALTSTACK_SIZE * layout::MAX_SLOTS as u64;
    map(layout::PROCESS_PAGE, layout::PAGE, PROT_RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)?;
    host::thread::keep_gs();
    map(layout::OUTSIDE_STACKS, stacks, PROT_RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)?;
    let pages = layout::THREAD_PAGE * layout::MAX_SLOTS as u64;
    map(layout::TRUSTED_VIEW, pages, PROT_READ, MAP_SHARED, fd, off(layout::TRUSTED_BASE))
}

/// Puts the guest kernel's memory under the pkey guard's keys.
///
/// # Errors
/// The host's; `ENOSPC` where keys are taken already.
pub fn protect_with_keys(ram_bytes: u64) -> Result<()> {
    for want in [KEY_KERNEL, KEY_TRUSTED] {
        // SAFETY: allocates a key with all rights for this thread; nothing else changes. Not in the host-call list: made
        // before the filter.
        let got = Errno::from_ret(unsafe { host::raw::call(330, [0; 6]) })?;
        if got as i32 != want {
            return Err(Errno::ENOSPC);
        }
    }
    let start = (&raw const __shared_start) as u64;
    let end = (&raw const __shared_end) as u64;
    let key = |addr: u64, len: u64, key: i32| {
        // SAFETY: the protection stays as it is; this thread has all rights to the key.
        Errno::from_ret(unsafe { syscall!(pkey_mprotect, addr, len, PROT_RW, key) }).map(drop)
    };
    key(start, end - start, KEY_KERNEL)?;
    key(layout::HEAP_BASE, layout::HEAP_END - layout::HEAP_BASE, KEY_KERNEL)?;
    key(layout::SLOTS_BASE, layout::SLOT_SIZE * layout::MAX_SLOTS as u64, KEY_KERNEL)?;
    key(layout::JUMP_ALIAS, layout::STUBS_END - layout::JUMP_TABLE, KEY_KERNEL)?;
    key(layout::TRUSTED_BASE, layout::THREAD_PAGE * layout::MAX_SLOTS as u64, KEY_TRUSTED)?;
    key(layout::RAM_WINDOW, ram_bytes.min(layout::RAM_MAX), KEY_KERNEL)
}
