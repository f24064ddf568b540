//! Host clocks. `CLOCK_MONOTONIC` and `CLOCK_REALTIME` come from the host's vDSO once boot has found it
//! (no host call), everything else by host call.

use crate::{Errno, Result, syscall};
use core::sync::atomic::{AtomicU64, Ordering};

static VDSO_CLOCK_GETTIME: AtomicU64 = AtomicU64::new(0);

/// Tells where the vDSO's `clock_gettime` is.
pub fn set_vdso_clock_gettime(addr: u64) {
    VDSO_CLOCK_GETTIME.store(addr, Ordering::Relaxed);
}

/// The time of `clock` as (seconds, nanoseconds).
///
/// # Errors
/// `EINVAL` for a clock that the host does not know.
pub fn clock_gettime(clock: i32) -> Result<(i64, i64)> {
    let mut ts = [0i64; 2];
    let f = VDSO_CLOCK_GETTIME.load(Ordering::Relaxed);
    let ret = if f != 0 && clock >= 0 {
        // SAFETY: boot took the address from the vDSO's symbol table; its C signature is
        // `int clock_gettime(clockid_t, struct timespec *)` (vdso(7)).
        let f: extern "C" fn(i32, *mut i64) -> i32 = unsafe { core::mem::transmute(f as usize) };
        i64::from(f(clock, ts.as_mut_ptr()))
    } else {
        // SAFETY: the buffer is valid for a timespec.
        unsafe { syscall!(clock_gettime, clock, ts.as_mut_ptr()) }
    };
    Errno::from_ret(ret).map(|_| (ts[0], ts[1]))
}

/// Nanoseconds of CLOCK_MONOTONIC.
#[must_use]
pub fn monotonic_ns() -> u64 {
    let (s, ns) = clock_gettime(1).unwrap_or((0, 0));
    s as u64 * 1_000_000_000 + ns as u64
}

/// Nanoseconds of CLOCK_REALTIME since the epoch.
#[must_use]
pub fn realtime_ns() -> i128 {
    let (s, ns) = clock_gettime(0).unwrap_or((0, 0));
    i128::from(s) * 1_000_000_000 + i128::from(ns)
}

/// CLOCK_REALTIME as (seconds, nanoseconds), for file times.
#[must_use]
pub fn now() -> (i64, u32) {
    let (s, ns) = clock_gettime(0).unwrap_or((0, 0));
    (s, ns as u32)
}

/// Resolution of `clock` as (seconds, nanoseconds).
///
/// # Errors
/// `EINVAL` for a clock that the host does not know.
pub fn clock_getres(clock: i32) -> Result<(i64, i64)> {
    let mut ts = [0i64; 2];
    // SAFETY: the buffer is valid for a timespec.
    Errno::from_ret(unsafe { syscall!(clock_getres, clock, ts.as_mut_ptr()) })?;
    Ok((ts[0], ts[1]))
}

/// Sets timer descriptor `fd` (CLOCK_MONOTONIC) to fire once at `deadline_ns`; None disarms it.
///
/// # Errors
/// The host's.
pub fn timerfd_set(fd: i32, deadline_ns: Option<u64>) -> Result<()> {
    const TFD_TIMER_ABSTIME: u32 = 1;
    // A value of zero would disarm: a deadline in the past becomes the first nanosecond.
    let at = deadline_ns.map_or(0, |d| d.max(1));
    let spec = [0, 0, at / 1_000_000_000, at % 1_000_000_000];
    // SAFETY: `spec` has the layout of struct itimerspec and outlives the call.
    Errno::from_ret(unsafe { syscall!(timerfd_settime, fd, TFD_TIMER_ABSTIME, spec.as_ptr(), 0) }).map(drop)
}

/// The interval timer of the calling host process: one SIGALRM, `ns` from now (setitimer(2), ITIMER_REAL).
pub fn set_alarm(ns: u64) {
    let us = ns.div_ceil(1000).max(1);
    let value = [0u64, 0, us / 1_000_000, us % 1_000_000];
    // SAFETY: struct itimerval; the old value is not asked for.
    unsafe { syscall!(setitimer, 0, value.as_ptr(), 0) };
}
