//! FUTEX_LOCK_PI and its relatives (futex(2)): locks whose word carries the owner's number.
//!
//! The word holds guest thread numbers, so the host's own operations can not be used: the protocol is done here, sleeping
//! is the host's FUTEX_WAIT on the same word. Two things differ from Linux: no priority is inherited (the host schedules,
//! and guest priorities are only kept), and a woken waiter takes the lock itself instead of being given it.

use super::futex::{CLOCK_REALTIME, LOCK_PI2, PRIVATE, wait_once, wake_if, wake_some, word};
use crate::Args;
use core_::task::TREE;
use core_::uaccess::UserPtr;
use core_::wait::Interrupt;
use core_::{Errno, Result, current};
use host::user::{cmpxchg_u32, load_u32};

const WAIT_BITSET: u32 = 9;
const WAITERS: u32 = 0x8000_0000;
const OWNER_DIED: u32 = 0x4000_0000;
const TID: u32 = 0x3fff_ffff;

/// FUTEX_LOCK_PI (time limit on CLOCK_REALTIME) and FUTEX_LOCK_PI2 (on the clock that the flag names).
pub fn lock(a: &Args, op: u32, cmd: u32) -> Result<i64> {
    let addr = word(a.u64(0))?;
    let deadline = match UserPtr::<[i64; 2]>::new(a.u64(3)).read_if()? {
        Some([s, ns]) if s < 0 || !(0..1_000_000_000).contains(&ns) => return Err(Errno::EINVAL),
        d => d,
    };
    let clock = if cmd == LOCK_PI2 { op & CLOCK_REALTIME } else { CLOCK_REALTIME };
    acquire(addr, WAIT_BITSET | op & PRIVATE | clock, deadline.as_ref(), Errno::ERESTARTNOINTR)
}

/// Takes the lock, sleeping as `host_op` says; a signal ends it with `on_signal`.
fn acquire(addr: u64, host_op: u32, deadline: Option<&[i64; 2]>, on_signal: Errno) -> Result<i64> {
    let me = current();
    // Having slept, there may be others asleep: the bit stays.
    let mut slept = 0;
    loop {
        let v = load_u32(addr)?;
        if take(addr, v, slept)? {
            return Ok(0);
        }
        if v & TID == 0 {
            continue;
        }
        if v & TID == me.tid() {
            return Err(Errno::EDEADLK);
        }
        if TREE.lock().thread(v & TID).is_none() {
            // Its end may be clearing the word in this moment.
            if load_u32(addr)? != v {
                continue;
            }
            return Err(Errno::ESRCH);
        }
        if v & WAITERS == 0 && cmpxchg_u32(addr, v, v | WAITERS)? != v {
            continue;
        }
        me.begin_interruptible();
        if me.interrupted(Interrupt::Signal) {
            me.end_interruptible();
            return Err(on_signal);
        }
        let r = wait_once(addr, host_op, v | WAITERS, deadline, u32::MAX);
        me.end_interruptible();
        match r {
            Ok(_) | Err(Errno::EAGAIN) => slept = WAITERS,
            Err(Errno::EINTR) => {}
            Err(e) => return Err(e),
        }
    }
}

/// FUTEX_WAIT_REQUEUE_PI: sleeps on the first word until FUTEX_CMP_REQUEUE_PI, then takes the lock at the second.
pub fn wait_requeue(a: &Args, op: u32) -> Result<i64> {
    let (addr, lock) = (word(a.u64(0))?, word(a.u64(4))?);
    if addr == lock {
        return Err(Errno::EINVAL);
    }
    let deadline = match UserPtr::<[i64; 2]>::new(a.u64(3)).read_if()? {
        Some([s, ns]) if s < 0 || !(0..1_000_000_000).contains(&ns) => return Err(Errno::EINVAL),
        d => d,
    };
    let host_op = WAIT_BITSET | op & (PRIVATE | CLOCK_REALTIME);
    let me = current();
    loop {
        me.begin_interruptible();
        if me.interrupted(Interrupt::Signal) {
            me.end_interruptible();
            return Err(Errno::ERESTARTNOINTR);
        }
        let r = wait_once(addr, host_op, a.u32(2), deadline.as_ref(), u32::MAX);
        me.end_interruptible();
        match r {
            Err(Errno::EINTR) => {}
            // Its wake-up is used up: it can not go back to the first word, so a signal ends it without the lock, as on Linux.
            Ok(_) => return acquire(lock, host_op, deadline.as_ref(), Errno::EAGAIN),
            Err(e) => return Err(e),
        }
    }
}

/// FUTEX_CMP_REQUEUE_PI: how many waiters go on to the lock.
///
/// They are woken and queue up there themselves; Linux moves them without waking. It also refuses waiters of another kind
/// or for another lock (EINVAL), which is not noticed here.
pub fn cmp_requeue(a: &Args, op: u32) -> Result<i64> {
    let (addr, lock) = (word(a.u64(0))?, word(a.u64(4))?);
    // One takes the lock; futex(2) leaves no other choice.
    if addr == lock || a.int(2) != 1 || a.int(3) < 0 {
        return Err(Errno::EINVAL);
    }
    wake_if(addr, lock, op & PRIVATE, (a.int(3) as u32).saturating_add(1).min(i32::MAX as u32), a.u32(5))
}

/// Takes a lock that nobody owns; false where somebody does, or it changed.
fn take(addr: u64, v: u32, slept: u32) -> Result<bool> {
    if v & TID != 0 {
        return Ok(false);
    }
    // OWNER_DIED stays for the C library to see.
    let new = current().tid() | v & (WAITERS | OWNER_DIED) | slept;
    Ok(cmpxchg_u32(addr, v, new)? == v)
}

/// FUTEX_TRYLOCK_PI.
pub fn try_lock(a: &Args) -> Result<i64> {
    let addr = word(a.u64(0))?;
    loop {
        let v = load_u32(addr)?;
        if v & TID == current().tid() {
            return Err(Errno::EDEADLK);
        }
        if v & TID != 0 {
            return Err(Errno::EAGAIN);
        }
        if take(addr, v, 0)? {
            return Ok(0);
        }
    }
}

/// FUTEX_UNLOCK_PI: the first that sleeps is woken; where nobody does, the word becomes 0 so that the next lock is free
/// of calls.
pub fn unlock(a: &Args, op: u32) -> Result<i64> {
    let addr = word(a.u64(0))?;
    loop {
        let v = load_u32(addr)?;
        if v & TID != current().tid() {
            return Err(Errno::EPERM);
        }
        if cmpxchg_u32(addr, v, v & WAITERS)? != v {
            continue;
        }
        if v & WAITERS != 0 && wake_some(addr, op & PRIVATE, 1)? == 0 {
            // Whoever is just going to sleep finds the word changed and tries again.
            let _ = cmpxchg_u32(addr, WAITERS, 0)?;
        }
        return Ok(0);
    }
}
