//! Clocks by number (clock_gettime(2)).

use crate::task::{Process, TREE, Thread};
use crate::{Errno, Result};
use alloc::sync::Arc;
use core::sync::atomic::Ordering;

/// Nanoseconds in a second.
pub const NS: i64 = 1_000_000_000;

/// A timespec as nanoseconds, cut to what fits (292 years).
///
/// # Errors
/// `EINVAL` for a negative time or nanoseconds outside 0..10^9.
pub fn from_timespec(ts: [i64; 2]) -> Result<i64> {
    if ts[0] < 0 || !(0..NS).contains(&ts[1]) {
        return Err(Errno::EINVAL);
    }
    Ok(ts[0].saturating_mul(NS).saturating_add(ts[1]))
}

/// Nanoseconds as a timespec.
#[must_use]
pub const fn to_timespec(ns: i64) -> [i64; 2] {
    [ns.div_euclid(NS), ns.rem_euclid(NS)]
}

/// A clock that can be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Clock {
    /// A clock of the whole machine, by its number.
    System(i32),
    /// CPU time of a process: guest pid (0: the caller) and the host's kind (0 prof, 1 virt, 2 sched).
    Process(u32, i32),
    /// CPU time of a thread: guest tid (0: the caller) and kind.
    Thread(u32, i32),
}

impl Clock {
    pub const REALTIME: i32 = 0;
    pub const MONOTONIC: i32 = 1;
    pub const PROCESS_CPUTIME: i32 = 2;
    pub const THREAD_CPUTIME: i32 = 3;
    pub const BOOTTIME: i32 = 7;
    pub const TAI: i32 = 11;

    /// The clockid_t by which process `pid` knows the clock: its own CPU clocks are those of process or thread 0.
    #[must_use]
    pub fn id_for(self, pid: u32) -> i32 {
        let cpu = |n: u32, kind: i32| !(if n == pid { 0 } else { n as i32 }) << 3 | kind;
        // `CPUCLOCK_PERTHREAD_MASK`.
        const PER_THREAD: i32 = 4;
        match self {
            Clock::System(id) => id,
            Clock::Process(p, kind) => cpu(p, kind),
            Clock::Thread(t, kind) => cpu(t, kind | PER_THREAD),
        }
    }

    /// Decodes a clockid_t (`include/linux/posix-timers.h`: negative numbers are CPU clocks of others).
    ///
    /// # Errors
    /// `EINVAL` for a number that is no clock, or a process that does not exist.
    pub fn from_id(id: i32) -> Result<Clock> {
        match id {
            Self::PROCESS_CPUTIME => Ok(Clock::Process(0, 2)),
            Self::THREAD_CPUTIME => Ok(Clock::Thread(0, 2)),
            // 8 and 9 are the alarm clocks; they read as their plain siblings.
            0 | 1 | 4..=9 | 11 => Ok(Clock::System(id)),
            _ if id < 0 => {
                let (pid, kind) = (!(id >> 3) as u32, id & 3);
                // Kind 3 is a descriptor of a character device (CLOCKFD).
                if kind == 3 {
                    return Err(Errno::EINVAL);
                }
                let tree = TREE.lock();
                if id & 4 != 0 {
                    if pid != 0 && tree.thread(pid).is_none() {
                        return Err(Errno::EINVAL);
                    }
                    Ok(Clock::Thread(pid, kind))
                } else {
                    if pid != 0 && tree.process(pid).is_none() {
                        return Err(Errno::EINVAL);
                    }
                    Ok(Clock::Process(pid, kind))
                }
            }
            _ => Err(Errno::EINVAL),
        }
    }

    /// Its time in nanoseconds.
    ///
    /// # Errors
    /// `EINVAL` where the process or thread is gone.
    pub fn now(self) -> Result<i64> {
        match self {
            Clock::System(id) => now_ns(id),
            // On a virtual processor the host's clocks are the processor's.
            Clock::Process(0, kind) if host::cpu::scheduler().is_none() => {
                cpu_clock(host::process::getpid(), kind, false)
            }
            Clock::Thread(0, kind) if host::cpu::scheduler().is_none() => {
                cpu_clock(host::process::gettid(), kind, true)
            }
            Clock::Process(0, kind) => Clock::Process(crate::current().process.pid, kind).now(),
            Clock::Thread(0, kind) => Clock::Thread(crate::current().tid(), kind).now(),
            Clock::Process(pid, kind) => {
                let p = TREE.lock().process(pid).ok_or(Errno::EINVAL)?;
                cpu_ns(&p, kind)
            }
            Clock::Thread(tid, kind) => {
                let t = TREE.lock().thread(tid).ok_or(Errno::EINVAL)?;
                thread_cpu_ns(&t, kind)
            }
        }
    }

    #[must_use]
    pub const fn is_cpu(self) -> bool {
        !matches!(self, Clock::System(_))
    }
}

fn read(id: i32) -> Result<i64> {
    let (s, ns) = host::time::clock_gettime(id)?;
    Ok(s.saturating_mul(NS).saturating_add(ns))
}

/// The time of a machine-wide clock.
///
/// # Errors
/// `EINVAL` for a clock that the host does not know.
pub fn now_ns(id: i32) -> Result<i64> {
    // The alarm clocks (8, 9) need no capability to be read, but some hosts lack them.
    read(match id {
        8 => 0,
        9 => 7,
        _ => id,
    })
}

fn cpu_clock(host_id: u32, kind: i32, thread: bool) -> Result<i64> {
    let id = (!(host_id as i32) << 3) | if thread { 4 } else { 0 } | kind;
    read(id).map_err(|_| Errno::EINVAL)
}

/// CPU time of a guest process: that of the host process which it is. `kind`: 0 user and system, 1 user, 2 precise.
///
/// # Errors
/// `EINVAL` where it is gone.
pub fn cpu_ns(p: &Arc<Process>, kind: i32) -> Result<i64> {
    let t = p.any_thread().ok_or(Errno::EINVAL)?;
    if let Some(s) = host::cpu::scheduler() {
        let done = *p.usage.lock();
        let now: u64 = p.threads.lock().iter().map(|t| s.runtime_ns(t.slot())).sum();
        return Ok((now + (done.utime_us + done.stime_us) * 1000) as i64);
    }
    let host = host::thread::trusted_of(t.slot()).host_pid.load(Ordering::Relaxed);
    if host == 0 { Err(Errno::EINVAL) } else { cpu_clock(host, kind, false) }
}

fn thread_cpu_ns(t: &Thread, kind: i32) -> Result<i64> {
    if let Some(s) = host::cpu::scheduler() {
        return Ok(s.runtime_ns(t.slot()) as i64);
    }
    let host = host::thread::trusted_of(t.slot()).host_tid.load(Ordering::Relaxed);
    if host == 0 { Err(Errno::EINVAL) } else { cpu_clock(host, kind, true) }
}

/// Resolution of a clock in nanoseconds.
///
/// # Errors
/// `EINVAL`.
pub fn resolution(id: i32) -> Result<i64> {
    Clock::from_id(id)?;
    let id = if id < 0 { Clock::PROCESS_CPUTIME } else { id };
    let (s, ns) = host::time::clock_getres(match id {
        8 => 0,
        9 => 7,
        _ => id,
    })?;
    Ok(s * NS + ns)
}

/// The CLOCK_MONOTONIC deadline that stands for `at` of `clock`, as the two run now. For a clock that can be set
/// the caller looks at it again when the deadline has come.
///
/// # Errors
/// `EINVAL`.
pub fn to_monotonic(clock: i32, at: i64) -> Result<u64> {
    if clock == Clock::MONOTONIC {
        return Ok(at.max(0) as u64);
    }
    let left = at.saturating_sub(now_ns(clock)?);
    Ok((host::time::monotonic_ns() as i64).saturating_add(left).max(0) as u64)
}
