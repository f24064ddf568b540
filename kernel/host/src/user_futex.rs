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
