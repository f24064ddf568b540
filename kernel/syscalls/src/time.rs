//! Clocks, sleeps and timers.

use crate::Args;
use crate::event::{itimerspec, read_itimerspec};
use crate::poll::{Limit, poll_until};
use alloc::sync::Arc;
use core_::task::{Restart, TREE};
use core_::time::{Clock, Notify, Setting, from_timespec, now_ns, resolution, to_monotonic, to_timespec};
use core_::uaccess::UserPtr;
use core_::wait::{Interrupt, wait_on};
use core_::{Errno, Result, current};

const TIMER_ABSTIME: u32 = 1;

pub fn clock_gettime(a: &Args) -> Result<i64> {
    let id = a.int(0);
    let ns = match id {
        // The two that programs ask for: no decoding, straight from the host's vDSO.
        Clock::REALTIME | Clock::MONOTONIC => {
            let (s, ns) = host::time::clock_gettime(id)?;
            a.ptr::<[i64; 2]>(1).write([s, ns])?;
            return Ok(0);
        }
        _ => Clock::from_id(id)?.now()?,
    };
    a.ptr::<[i64; 2]>(1).write(to_timespec(ns))?;
    Ok(0)
}

pub fn clock_getres(a: &Args) -> Result<i64> {
    let ns = resolution(a.int(0))?;
    a.ptr::<[i64; 2]>(1).write_if(|| to_timespec(ns))?;
    Ok(0)
}

/// The clock is the host's: nobody in the VM sets it, whatever the capabilities.
pub fn clock_settime(a: &Args) -> Result<i64> {
    from_timespec(a.ptr::<[i64; 2]>(1).read()?)?;
    match Clock::from_id(a.int(0))? {
        Clock::System(Clock::REALTIME) => Err(Errno::EPERM),
        _ => Err(Errno::EINVAL),
    }
}

pub fn settimeofday(_: &Args) -> Result<i64> {
    Err(Errno::EPERM)
}

pub fn gettimeofday(a: &Args) -> Result<i64> {
    let tv: UserPtr<[i64; 2]> = a.ptr(0);
    if !tv.is_null() {
        let (s, ns) = host::time::clock_gettime(Clock::REALTIME)?;
        tv.write([s, ns / 1000])?;
    }
    a.ptr::<[i32; 2]>(1).write_if(|| [0, 0])?;
    Ok(0)
}

pub fn time(a: &Args) -> Result<i64> {
    let s = host::time::now().0;
    a.ptr::<i64>(0).write_if(|| s)?;
    Ok(s)
}

/// Sleeps until `at` on `clock`.
fn sleep_until(clock: i32, at: i64) -> Result<()> {
    loop {
        let deadline = to_monotonic(clock, at)?;
        match wait_on(&[], Some(deadline), Interrupt::Signal, || None::<Result<()>>) {
            Err(Errno::ETIMEDOUT) => {}
            Err(e) => return Err(e),
            Ok(()) => {}
        }
        if clock == Clock::MONOTONIC || now_ns(clock)? >= at {
            return Ok(());
        }
    }
}

/// A relative sleep that has begun: until `at` on `clock`; the time left to `rem` when it is interrupted.
fn sleep_relative(clock: i32, at: i64, rem: u64) -> Result<i64> {
    match sleep_until(clock, at) {
        Ok(()) => Ok(0),
        Err(Errno::ERESTARTSYS) => {
            let left = at.saturating_sub(now_ns(clock)?);
            if left <= 0 {
                return Ok(0);
            }
            UserPtr::<[i64; 2]>::new(rem).write_if(|| to_timespec(left))?;
            let deadline = to_timespec(at);
            *current().restart.lock() = Restart::Sleep { clock, deadline: (deadline[0], deadline[1]), rem };
            Err(Errno::ERESTART_RESTARTBLOCK)
        }
        Err(e) => Err(e),
    }
}

pub fn nanosleep(a: &Args) -> Result<i64> {
    let ns = from_timespec(a.ptr::<[i64; 2]>(0).read()?)?;
    let at = (host::time::monotonic_ns() as i64).saturating_add(ns);
    sleep_relative(Clock::MONOTONIC, at, a.u64(1))
}

pub fn clock_nanosleep(a: &Args) -> Result<i64> {
    let (id, flags) = (a.int(0), a.u32(1));
    let clock = match Clock::from_id(id)? {
        Clock::System(c @ (0 | 1 | 7 | 11)) => c,
        // Without CAP_WAKE_ALARM's meaning on a virtual machine they sleep as their plain siblings.
        Clock::System(8) => Clock::REALTIME,
        Clock::System(9) => Clock::BOOTTIME,
        Clock::Thread(..) => return Err(Errno::EINVAL),
        Clock::Process(..) => return cpu_sleep(id, flags, a),
        Clock::System(_) => return Err(Errno::EOPNOTSUPP),
    };
    let ns = from_timespec(a.ptr::<[i64; 2]>(2).read()?)?;
    if flags & TIMER_ABSTIME != 0 {
        return match sleep_until(clock, ns) {
            Ok(()) => Ok(0),
            Err(Errno::ERESTARTSYS) => Err(Errno::ERESTARTNOHAND),
            Err(e) => Err(e),
        };
    }
    // Relative sleeps on CLOCK_REALTIME do not follow its jumps (clock_nanosleep(2)).
    let clock = if clock == Clock::REALTIME || clock == Clock::TAI { Clock::MONOTONIC } else { clock };
    sleep_relative(clock, now_ns(clock)?.saturating_add(ns), a.u64(3))
}

/// Sleeping on the CPU time of a process: looks at it about as often as it can have passed.
fn cpu_sleep(id: i32, flags: u32, a: &Args) -> Result<i64> {
    let clock = Clock::from_id(id)?;
    let ns = from_timespec(a.ptr::<[i64; 2]>(2).read()?)?;
    let at = if flags & TIMER_ABSTIME != 0 { ns } else { clock.now()?.saturating_add(ns) };
    loop {
        let left = at.saturating_sub(clock.now()?);
        if left <= 0 {
            return Ok(0);
        }
        let step = (left / 8).clamp(1_000_000, 100_000_000) as u64;
        let r = wait_on(&[], Some(host::time::monotonic_ns() + step), Interrupt::Signal, || None::<Result<()>>);
        if r == Err(Errno::ERESTARTSYS) {
            if flags & TIMER_ABSTIME != 0 {
                return Err(Errno::ERESTARTNOHAND);
            }
            a.ptr::<[i64; 2]>(3).write_if(|| to_timespec(left))?;
            return Err(Errno::EINTR);
        }
    }
}

/// restart_syscall(2): goes on with what `Thread::restart` says.
pub fn restart_syscall(_: &Args) -> Result<i64> {
    let what = core::mem::replace(&mut *current().restart.lock(), Restart::None);
    match what {
        Restart::Sleep { clock, deadline, rem } => {
            sleep_relative(clock, deadline.0.saturating_mul(1_000_000_000).saturating_add(deadline.1), rem)
        }
        Restart::Poll { fds, n, deadline } => poll_until(fds, n, Limit { deadline }),
        Restart::Futex { addr, val, flags, deadline, bitset } => {
            crate::futex::resume(addr, val, flags, deadline, bitset)
        }
        Restart::None => Err(Errno::EINTR),
    }
}

// Interval timers.

fn from_timeval(v: [i64; 2]) -> Result<i64> {
    if v[0] < 0 || !(0..1_000_000).contains(&v[1]) {
        return Err(Errno::EINVAL);
    }
    Ok(v[0].saturating_mul(1_000_000_000).saturating_add(v[1] * 1000))
}

/// struct itimerval: interval, value; microseconds, rounded up so that an armed timer never shows 0.
fn itimerval(s: Setting) -> [i64; 4] {
    let tv = |ns: i64| {
        let us = ns / 1000 + i64::from(ns % 1000 != 0);
        [us / 1_000_000, us % 1_000_000]
    };
    let (i, v) = (tv(s.interval), tv(s.value));
    [i[0], i[1], v[0], v[1]]
}

fn itimer(which: u32) -> Result<Arc<core_::time::ClockTimer>> {
    let p = &current().process;
    p.timers.lock().itimer(which, p)
}

pub fn setitimer(a: &Args) -> Result<i64> {
    let at: UserPtr<[i64; 4]> = a.ptr(1);
    // A null pointer means zero, an old bug that Linux keeps.
    let new = match at.read_if()? {
        None => Setting::default(),
        Some(v) => Setting { value: from_timeval([v[2], v[3]])?, interval: from_timeval([v[0], v[1]])? },
    };
    let old = itimer(a.u32(0))?.set(new, false)?;
    a.ptr::<[i64; 4]>(2).write_if(|| itimerval(old))?;
    Ok(0)
}

pub fn getitimer(a: &Args) -> Result<i64> {
    let s = itimer(a.u32(0))?.get()?;
    a.ptr::<[i64; 4]>(1).write(itimerval(s))?;
    Ok(0)
}

/// alarm(2): whole seconds left, rounded, at least 1 where a timer was set.
pub fn alarm(a: &Args) -> Result<i64> {
    let new = Setting { value: i64::from(a.u32(0)) * 1_000_000_000, interval: 0 };
    let old = itimer(0)?.set(new, false)?.value;
    let s = old / 1_000_000_000;
    Ok(if old > 0 && s == 0 || old % 1_000_000_000 >= 500_000_000 { s + 1 } else { s })
}

// POSIX timers.

pub fn timer_create(a: &Args) -> Result<i64> {
    const SIGEV_SIGNAL: i32 = 0;
    const SIGEV_NONE: i32 = 1;
    const SIGEV_THREAD_ID: i32 = 4;
    let me = current();
    let clock = match Clock::from_id(a.int(0))? {
        // Seen from the supervisor "the caller" needs a name.
        Clock::Process(0, k) => Clock::Process(me.process.pid, k),
        Clock::Thread(0, k) => Clock::Thread(me.tid(), k),
        // The raw and coarse clocks have no timers.
        Clock::System(4..=6) => return Err(Errno::EOPNOTSUPP),
        c => c,
    };
    let sev: UserPtr<[u64; 8]> = a.ptr(1);
    let (value, signo, how, tid) = match sev.read_if()? {
        None => (None, core_::signal::sig::ALRM, SIGEV_SIGNAL, 0),
        Some(v) => (Some(v[0]), v[1] as u32, (v[1] >> 32) as i32, v[2] as u32),
    };
    if how != SIGEV_NONE && (signo == 0 || signo > core_::signal::sig::MAX) {
        return Err(Errno::EINVAL);
    }
    let thread = match how {
        SIGEV_NONE | SIGEV_SIGNAL => None,
        SIGEV_THREAD_ID => {
            let t = TREE.lock().thread(tid).ok_or(Errno::EINVAL)?;
            if !Arc::ptr_eq(&t.process, &me.process) {
                return Err(Errno::EINVAL);
            }
            Some(Arc::downgrade(&t))
        }
        _ => return Err(Errno::EINVAL),
    };
    let id = me.process.timers.lock().create(clock, &me.process, |id| match how {
        SIGEV_NONE => Notify::Nothing,
        _ => Notify::Signal { signo, value: value.unwrap_or(id as u64), thread },
    })?;
    if let Err(e) = a.ptr::<i32>(2).write(id) {
        let _ = me.process.timers.lock().delete(id);
        return Err(e);
    }
    Ok(0)
}

fn posix(a: &Args) -> Result<Arc<core_::time::ClockTimer>> {
    current().process.timers.lock().posix(a.int(0))
}

pub fn timer_settime(a: &Args) -> Result<i64> {
    // Looked at before the timer's number.
    if a.u64(2) == 0 {
        return Err(Errno::EINVAL);
    }
    let new = read_itimerspec(a.ptr(2))?;
    let old = posix(a)?.set(new, a.u32(1) & TIMER_ABSTIME != 0)?;
    a.ptr::<[i64; 4]>(3).write_if(|| itimerspec(old))?;
    Ok(0)
}

pub fn timer_gettime(a: &Args) -> Result<i64> {
    let s = posix(a)?.get()?;
    a.ptr::<[i64; 4]>(1).write(itimerspec(s))?;
    Ok(0)
}

pub fn timer_getoverrun(a: &Args) -> Result<i64> {
    Ok(i64::from(posix(a)?.overrun()))
}

pub fn timer_delete(a: &Args) -> Result<i64> {
    let p = &current().process;
    let unique = p.timers.lock().delete(a.int(0))?;
    // A signal that it has sent and nobody has taken is not delivered any more (Linux from 6.13 on; POSIX leaves it open).
    p.pending.lock().drop_timer(unique);
    for t in p.threads.lock().iter() {
        t.pending.lock().drop_timer(unique);
    }
    Ok(0)
}
