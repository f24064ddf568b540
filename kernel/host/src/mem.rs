//! The MMU: mappings of application memory. Every function refuses ranges that are not an application's,
//! so that no guest call can reach the guest kernel's own memory through them (A7).

use crate::{Errno, Result, syscall};
use abi::layout;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const MAP_FIXED: u32 = 0x10;
const MAP_FIXED_NOREPLACE: u32 = 0x10_0000;

/// The address space that the one host process shows (`remap` spaces) has a program where the jump table is in others.
static TABLE_LENT: AtomicBool = AtomicBool::new(false);

/// The host's vDSO with its data: applications read and execute it, and the guest kernel calls it.
static VDSO: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];

/// Tells where the host's vDSO and its data lie; boot, before any application runs.
pub fn keep_vdso(start: u64, end: u64) {
    VDSO[0].store(start, Ordering::Relaxed);
    VDSO[1].store(end, Ordering::Relaxed);
}

/// True where the vDSO is not touched. Code that an application put in its place would be called by the guest kernel, guard open.
fn spares_vdso(addr: u64, len: u64) -> bool {
    let [start, end] = [VDSO[0].load(Ordering::Relaxed), VDSO[1].load(Ordering::Relaxed)];
    addr >= end || addr.checked_add(len).is_some_and(|e| e <= start)
}

/// What an application may map, unmap and protect: [`layout::mappable`], but for the host's vDSO.
#[must_use]
pub fn mappable(addr: u64, len: u64) -> bool {
    layout::mappable(addr, len) && spares_vdso(addr, len)
}

fn own(addr: u64, len: u64) -> Result<()> {
    let ok = if table_lent() { layout::user_range_ok(addr, len) } else { layout::mappable(addr, len) };
    if ok && spares_vdso(addr, len) { Ok(()) } else { Err(Errno::ENOMEM) }
}

/// mmap(2) of application memory. Without MAP_FIXED the host chooses; it can not choose the guest
/// kernel's region because that is always mapped.
///
/// # Errors
/// `ENOMEM` for a range outside the application's window; the host's.
pub fn mmap(addr: u64, len: u64, prot: u32, flags: u32, fd: i32, off: u64) -> Result<u64> {
    if addr != 0 || flags & (MAP_FIXED | MAP_FIXED_NOREPLACE) != 0 {
        own(addr, len)?;
    }
    // SAFETY: fixed mappings were checked, others do not replace anything.
    let got = Errno::from_ret(unsafe { syscall!(mmap, addr, len, prot, flags, fd, off) })? as u64;
    debug_assert!(own(got, len).is_ok());
    Ok(got)
}

/// A fixed mapping that may replace the jump table and the stubs: for a program that must lie where they are. No patched text
/// may be mapped in such an address space.
///
/// # Errors
/// `ENOMEM` for a range outside the application's window; the host's.
pub fn mmap_over_table(addr: u64, len: u64, prot: u32, flags: u32, fd: i32, off: u64) -> Result<()> {
    if !layout::user_range_ok(addr, len) || !spares_vdso(addr, len) {
        return Err(Errno::ENOMEM);
    }
    // SAFETY: application memory, or the table (checked), which only patched text uses.
    Errno::from_ret(unsafe { syscall!(mmap, addr, len, prot, flags | MAP_FIXED, fd, off) }).map(drop)
}

/// mprotect(2) of what [`mmap_over_table`] has mapped.
///
/// # Errors
/// `ENOMEM` for a range outside the application's window; the host's.
pub fn mprotect_over_table(addr: u64, len: u64, prot: u32) -> Result<()> {
    if !layout::user_range_ok(addr, len) || !spares_vdso(addr, len) {
        return Err(Errno::ENOMEM);
    }
    // SAFETY: application memory in place of the table (checked; the caller's address space is over it).
    Errno::from_ret(unsafe { syscall!(mprotect, addr, len, prot) }).map(drop)
}

/// True after [`lend_table`], until the table is restored.
#[must_use]
pub fn table_lent() -> bool {
    TABLE_LENT.load(Ordering::Relaxed)
}

/// Unmaps the jump table and the stubs, or what an address space has mapped in their place: its range is the application's
/// until [`restore_table`].
///
/// # Errors
/// The host's.
pub fn lend_table() -> Result<()> {
    TABLE_LENT.store(true, Ordering::Relaxed);
    // SAFETY: only patched text uses the table, and the address space that comes has none.
    Errno::from_ret(unsafe { syscall!(munmap, layout::JUMP_TABLE, layout::STUBS_END - layout::JUMP_TABLE) }).map(drop)
}

/// The host process that had lent its table is gone; a new one has its own.
pub fn table_is_back() {
    TABLE_LENT.store(false, Ordering::Relaxed);
}

/// Puts the jump table and the stubs back after [`mmap_over_table`]: a second mapping of their alias.
///
/// # Errors
/// The host's.
pub fn restore_table(keys: bool) -> Result<()> {
    const MREMAP_MAYMOVE_FIXED: u32 = 3;
    const PROT_READ: u32 = 1;
    const PROT_EXEC: u32 = 4;
    let size = layout::STUBS_END - layout::JUMP_TABLE;
    TABLE_LENT.store(false, Ordering::Relaxed);
    // SAFETY: an old length of 0 makes another mapping of shared memory and leaves the first; only the table's own range is
    // replaced, and nobody runs application code in this process.
    Errno::from_ret(unsafe {
        syscall!(mremap, layout::JUMP_ALIAS, 0, size, MREMAP_MAYMOVE_FIXED, layout::JUMP_TABLE)
    })?;
    for (at, len, prot) in [
        (layout::JUMP_TABLE, layout::JUMP_TABLE_SIZE, PROT_READ),
        (layout::STUBS, layout::STUBS_SIZE, PROT_READ | PROT_EXEC),
    ] {
        // SAFETY: as boot mapped them: without write access, under the key that applications have.
        Errno::from_ret(unsafe {
            if keys { syscall!(pkey_mprotect, at, len, prot, 0) } else { syscall!(mprotect, at, len, prot) }
        })?;
    }
    Ok(())
}

/// munmap(2) of application memory.
///
/// # Errors
/// `ENOMEM` for a range outside the application's window; the host's.
pub fn munmap(addr: u64, len: u64) -> Result<()> {
    own(addr, len)?;
    // SAFETY: application memory only (checked).
    Errno::from_ret(unsafe { syscall!(munmap, addr, len) }).map(drop)
}

/// mprotect(2) of application memory.
///
/// # Errors
/// `ENOMEM` for a range outside the application's window; the host's.
pub fn mprotect(addr: u64, len: u64, prot: u32) -> Result<()> {
    own(addr, len)?;
    // SAFETY: application memory only (checked).
    Errno::from_ret(unsafe { syscall!(mprotect, addr, len, prot) }).map(drop)
}

/// mremap(2) of application memory.
///
/// # Errors
/// `ENOMEM` for a range outside the application's window; the host's.
pub fn mremap(old: u64, old_len: u64, new_len: u64, flags: u32, new: u64) -> Result<u64> {
    const MREMAP_FIXED: u32 = 2;
    own(old, old_len)?;
    if flags & MREMAP_FIXED != 0 {
        own(new, new_len)?;
    }
    // SAFETY: application memory only (checked); without MREMAP_FIXED nothing is replaced.
    Errno::from_ret(unsafe { syscall!(mremap, old, old_len, new_len, flags, new) }).map(|a| a as u64)
}

/// madvise(2) of application memory.
///
/// # Errors
/// `ENOMEM` for a range outside the application's window; the host's.
pub fn madvise(addr: u64, len: u64, advice: u32) -> Result<()> {
    own(addr, len)?;
    // SAFETY: application memory only (checked).
    Errno::from_ret(unsafe { syscall!(madvise, addr, len, advice) }).map(drop)
}

/// msync(2) of application memory.
///
/// # Errors
/// `ENOMEM` for a range outside the application's window; the host's.
pub fn msync(addr: u64, len: u64, flags: u32) -> Result<()> {
    own(addr, len)?;
    // SAFETY: application memory only (checked).
    Errno::from_ret(unsafe { syscall!(msync, addr, len, flags) }).map(drop)
}

/// mincore(2) of application memory; `out` has one byte a page.
///
/// # Errors
/// `ENOMEM` for a range outside the application's window; the host's.
pub fn mincore(addr: u64, len: u64, out: &mut [u8]) -> Result<()> {
    own(addr, len)?;
    if (out.len() as u64) < len.div_ceil(layout::PAGE) {
        return Err(Errno::EINVAL);
    }
    // SAFETY: the buffer is large enough (checked).
    Errno::from_ret(unsafe { syscall!(mincore, addr, len, out.as_mut_ptr()) }).map(drop)
}
