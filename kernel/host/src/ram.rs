//! The RAM file: the pages of in-memory files, reached through the window at
//! [`abi::layout::RAM_WINDOW`] or by host calls on its descriptor.
//!
//! Offsets and lengths are checked against the size that boot gave: nothing here can touch memory outside the window.
//! Two threads may write one page at the same time (two guest processes writing one file); the copies are single pieces of
//! assembly on raw memory, so that is a race of bytes, never of Rust objects.

use crate::file::IoVec;
use crate::{Errno, Result, syscall, user};
use abi::layout;
use core::sync::atomic::{AtomicI32, AtomicU64, Ordering};

static FD: AtomicI32 = AtomicI32::new(-1);
static SIZE: AtomicU64 = AtomicU64::new(0);

/// Tells the RAM file's descriptor and size; the window over all of it is mapped by boot in every process.
pub fn init(fd: i32, bytes: u64) {
    FD.store(fd, Ordering::Relaxed);
    SIZE.store(bytes.min(layout::RAM_MAX), Ordering::Release);
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
    user::copy_raw_out(dst, src, len)
}

/// Copies from application memory to the RAM file through the window; returns how much was copied.
///
/// # Errors
/// `EFAULT` where nothing could be copied.
pub fn from_user(off: u64, src: u64, len: u64) -> Result<usize> {
    let dst = window(off, len)?;
    user::copy_raw_in(dst, src, len)
}

/// Copies from the RAM file to kernel memory.
///
/// # Errors
/// `EFAULT` outside the file.
pub fn read(buf: &mut [u8], off: u64) -> Result<()> {
    let src = window(off, buf.len() as u64)?;
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
    // SAFETY: the range lies in the mapped window (checked), where no Rust object lives.
    unsafe { core::ptr::write_bytes(dst as *mut u8, 0, len as usize) };
    Ok(())
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
