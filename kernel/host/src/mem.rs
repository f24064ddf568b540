//! The MMU: mappings of application memory. Every function refuses ranges that are not an application's,
//! so that no guest call can reach the guest kernel's own memory through them (A7).

use crate::{Errno, Result, syscall};
use abi::layout;

const MAP_FIXED: u32 = 0x10;
const MAP_FIXED_NOREPLACE: u32 = 0x10_0000;

fn own(addr: u64, len: u64) -> Result<()> {
    if layout::mappable(addr, len) { Ok(()) } else { Err(Errno::ENOMEM) }
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
    debug_assert!(layout::mappable(got, len));
    Ok(got)
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
