//! The RAM file: the pages of in-memory files, reached through the window at
//! [`abi::layout::RAM_WINDOW`] or by host calls on its descriptor.
//!
//! Offsets and lengths are checked against the size that boot gave: nothing here can touch memory outside the window.
//! Two threads may write one page at the same time (two guest processes writing one file); the copies are single pieces of
//! assembly on raw memory, so that is a race of bytes, never of Rust objects.

use crate::file::IoVec;
use crate::{Errno, Result, syscall, user};
use abi::layout;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};

/// Whether the window is mapped. The `mprotect` guard does without: what it closes is the kernel region, not the window.
static WINDOW: AtomicBool = AtomicBool::new(true);
static FD: AtomicI32 = AtomicI32::new(-1);
static SIZE: AtomicU64 = AtomicU64::new(0);

/// Tells the RAM file's descriptor and size; the window over all of it is mapped by boot in every process.
pub fn init(fd: i32, bytes: u64) {
    FD.store(fd, Ordering::Relaxed);
    SIZE.store(bytes.min(layout::RAM_MAX), Ordering::Release);
}

/// From now on every access is a host call on the descriptor.
pub fn without_window() {
    WINDOW.store(false, Ordering::Release);
}

fn has_window() -> bool {
    WINDOW.load(Ordering::Acquire)
}

/// The RAM file's host descriptor.
#[must_use]
pub fn fd() -> i32 {
    FD.load(Ordering::Relaxed)
}

fn window(off: u64, len: u64) -> Result<u64> {
    match off.checked_add(len) {
        Some(end) if end <= SIZE.load(Ordering::Acquire) => Ok(layout::RAM_WINDOW + off),
        _ => Err(Errno::EFAULT),
    }
}

/// Copies from the RAM file to application memory through the window; returns how much was copied.
///
/// # Errors
/// `EFAULT` where nothing could be copied.
pub fn to_user(dst: u64, off: u64, len: u64) -> Result<usize> {
    let src = window(off, len)?;
    if !has_window() {
        return pread_user(&[IoVec { base: dst, len }], off);
    }
    user::copy_raw_out(dst, src, len)
}

/// Copies from application memory to the RAM file through the window; returns how much was copied.
///
/// # Errors
/// `EFAULT` where nothing could be copied.
pub fn from_user(off: u64, src: u64, len: u64) -> Result<usize> {
    let dst = window(off, len)?;
    if !has_window() {
        return pwrite_user(&[IoVec { base: src, len }], off);
    }
    user::copy_raw_in(dst, src, len)
}

/// Copies from the RAM file to kernel memory.
///
/// # Errors
/// `EFAULT` outside the file.
pub fn read(buf: &mut [u8], off: u64) -> Result<()> {
    let src = window(off, buf.len() as u64)?;
    if !has_window() {
        return whole(buf.len(), |k| crate::file::pread(fd(), &mut buf[k..], off + k as u64));
    }
    // SAFETY: the range lies in the mapped window (checked); the buffer is ours.
    unsafe { core::ptr::copy_nonoverlapping(src as *const u8, buf.as_mut_ptr(), buf.len()) };
    Ok(())
}

/// Copies from kernel memory to the RAM file.
///
/// # Errors
/// `EFAULT` outside the file.
pub fn write(buf: &[u8], off: u64) -> Result<()> {
    let dst = window(off, buf.len() as u64)?;
    if !has_window() {
        return whole(buf.len(), |k| crate::file::pwrite(fd(), &buf[k..], off + k as u64));
    }
    // SAFETY: the range lies in the mapped window (checked), where no Rust object lives.
    unsafe { core::ptr::copy_nonoverlapping(buf.as_ptr(), dst as *mut u8, buf.len()) };
    Ok(())
}

/// Zeroes a range through the window.
///
/// # Errors
/// `EFAULT` outside the file.
pub fn zero(off: u64, len: u64) -> Result<()> {
    let dst = window(off, len)?;
    if !has_window() {
        let zeros = [0; layout::PAGE as usize];
        return whole(len as usize, |k| {
            let n = zeros.len().min(len as usize - k);
            crate::file::pwrite(fd(), &zeros[..n], off + k as u64)
        });
    }
    // SAFETY: the range lies in the mapped window (checked), where no Rust object lives.
    unsafe { core::ptr::write_bytes(dst as *mut u8, 0, len as usize) };
    Ok(())
}

/// Repeats a transfer until all `n` bytes are done.
fn whole(n: usize, mut part: impl FnMut(usize) -> Result<usize>) -> Result<()> {
    let mut done = 0;
    while done < n {
        match part(done)? {
            0 => return Err(Errno::EIO),
            some => done += some,
        }
    }
    Ok(())
}

/// Copies one page of the RAM file to another.
///
/// # Errors
/// `EFAULT` outside the file; the host's.
pub fn copy_page(to: u64, from: u64) -> Result<()> {
    let (dst, src) = (window(to, layout::PAGE)?, window(from, layout::PAGE)?);
    if !has_window() {
        let mut page = [0; layout::PAGE as usize];
        read(&mut page, from)?;
        return write(&page, to);
    }
    // SAFETY: two different pages of the mapped window (checked), where no Rust object lives.
    unsafe { core::ptr::copy(src as *const u8, dst as *mut u8, layout::PAGE as usize) };
    Ok(())
}

/// Fills one page of the RAM file from offset `from` of a host file; what the file does not have is zero.
///
/// # Errors
/// `EFAULT` outside the RAM file; the host's.
pub fn fill_page(to: u64, file: i32, from: u64) -> Result<()> {
    let mut page = [0; layout::PAGE as usize];
    crate::file::pread_full(file, &mut page, from)?;
    write(&page, to)
}

/// Fills `len` bytes of the RAM file from offset `from` of a host file; what the file does not have is zero.
///
/// # Errors
/// `EFAULT` outside the RAM file; the host's.
pub fn fill(to: u64, file: i32, from: u64, len: u64) -> Result<()> {
    let mut bytes = alloc::vec![0; len as usize];
    crate::file::pread_full(file, &mut bytes, from)?;
    write(&bytes, to)
}

/// Maps pages of the RAM file as application memory at `addr`: what entries of a guest page table mean.
///
/// # Errors
/// `ENOMEM` outside the application's window; `EFAULT` outside the file; the host's.
pub fn map_pages(addr: u64, len: u64, prot: u32, off: u64) -> Result<()> {
    const SHARED_FIXED: u32 = 1 | 0x10;
    window(off, len)?;
    crate::mem::mmap(addr, len, prot, SHARED_FIXED, fd(), off).map(drop)
}

/// Reads straight into application memory by host call: no page of the window is touched.
///
/// # Errors
/// `EFAULT`; the host's.
pub fn pread_user(iov: &[IoVec], off: u64) -> Result<usize> {
    window(off, iov.iter().map(|v| v.len).sum())?;
    crate::file::user_preadv(fd(), iov, off)
}

/// Writes straight from application memory by host call.
///
/// # Errors
/// `EFAULT`; `ENOMEM` where the host has no memory left; the host's.
pub fn pwrite_user(iov: &[IoVec], off: u64) -> Result<usize> {
    window(off, iov.iter().map(|v| v.len).sum())?;
    crate::file::user_pwritev(fd(), iov, off)
}

/// Gives the memory of a range back to the host; it reads as zeros from now on.
///
/// # Errors
/// The host's.
pub fn punch(off: u64, len: u64) -> Result<()> {
    const PUNCH_HOLE_KEEP_SIZE: u32 = 3;
    window(off, len)?;
    // SAFETY: the pages of the RAM file hold no Rust objects; they are the callers' frames.
    Errno::from_ret(unsafe { syscall!(fallocate, fd(), PUNCH_HOLE_KEEP_SIZE, off, len) }).map(drop)
}
