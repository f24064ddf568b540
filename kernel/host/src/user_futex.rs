//! Host futexes on application memory.

use crate::{Errno, Result, syscall};
use abi::layout;

fn check(addr: u64) -> Result<()> {
    if layout::user_range_ok(addr, 4) { Ok(()) } else { Err(Errno::EFAULT) }
}

/// Waits; ends with `EINTR` as soon as the calling thread has work. `deadline` is absolute.
///
/// # Errors
/// The host's.
pub fn wait(addr: u64, op: u32, val: u32, deadline: Option<&[i64; 2]>, bits: u32) -> Result<i64> {
    check(addr)?;
    let ts = deadline.map_or(0, |t| t.as_ptr() as u64);
    // SAFETY: the host only compares the word at an application address (checked) and reads the time.
    let r = unsafe {
        crate::interruptible::call(
            crate::calls::nr::futex,
            [addr, u64::from(op), u64::from(val), ts, 0, u64::from(bits)],
        )
    };
    Errno::from_ret(r).map(|n| n as i64)
}

/// futex_waitv(2) on words (value, address, flags); as [`wait`], `deadline` on CLOCK_REALTIME (0) or CLOCK_MONOTONIC (1).
///
/// # Errors
/// The host's; `ENOSYS` on one before 5.16.
pub fn wait_many(words: &[[u64; 3]], deadline: Option<&[i64; 2]>, clock: i32) -> Result<i64> {
    for w in words {
        check(w[1])?;
    }
    let ts = deadline.map_or(0, |t| t.as_ptr() as u64);
    let args = [words.as_ptr() as u64, words.len() as u64, 0, ts, clock as u64, 0];
    // SAFETY: the host reads the array and the time, and compares words at application addresses (checked).
    let r = unsafe { crate::interruptible::call(crate::calls::nr::futex_waitv, args) };
    Errno::from_ret(r).map(|n| n as i64)
}

/// Wake, requeue and wake-op. `op` must not wait.
///
/// # Errors
/// The host's; `EINVAL` for another operation.
pub fn other(addr: u64, op: u32, val: u64, val2: u64, addr2: u64, val3: u64) -> Result<i64> {
    check(addr)?;
    if addr2 != 0 {
        check(addr2)?;
    }
    if !matches!(op & !384, 1 | 3 | 4 | 5 | 10) {
        return Err(Errno::EINVAL);
    }
    // SAFETY: the host touches only the words at application addresses (checked).
    let r = unsafe { syscall!(futex, addr, op, val, val2, addr2, val3) };
    Errno::from_ret(r).map(|n| n as i64)
}
