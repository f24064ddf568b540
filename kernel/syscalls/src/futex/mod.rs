//! futex(2): the host's futexes on the application's own memory, so that a private futex costs what it costs natively; under
//! `remap` spaces the guest kernel's own ([`queues`]).
//!
//! Words that carry thread numbers (robust lists; priority inheritance) hold the guest's numbers, which the host does not know:
//! robust lists are walked here, locks that carry their owner's number are in `futex_pi`.

mod multiple;
mod queues;

use crate::Args;
use abi::layout;
use core::sync::atomic::Ordering;
use core_::mm::spaces::remap;
use core_::task::Thread;
use core_::uaccess::UserPtr;
use core_::wait::Interrupt;
use core_::{Errno, Result, current};
use host::user_futex as host_futex;
pub use multiple::futex_waitv;

const WAIT: u32 = 0;
const WAKE: u32 = 1;
const REQUEUE: u32 = 3;
const CMP_REQUEUE: u32 = 4;
const WAKE_OP: u32 = 5;
const WAIT_BITSET: u32 = 9;
const WAKE_BITSET: u32 = 10;
const LOCK_PI: u32 = 6;
const UNLOCK_PI: u32 = 7;
const TRYLOCK_PI: u32 = 8;
const WAIT_REQUEUE_PI: u32 = 11;
const CMP_REQUEUE_PI: u32 = 12;
pub(crate) const LOCK_PI2: u32 = 13;
pub(crate) const PRIVATE: u32 = 128;
pub(crate) const CLOCK_REALTIME: u32 = 256;
const CMD_MASK: u32 = !(PRIVATE | CLOCK_REALTIME);

pub(crate) fn word(addr: u64) -> Result<u64> {
    if addr % 4 != 0 {
        return Err(Errno::EINVAL);
    }
    if layout::user_range_ok(addr, 4) { Ok(addr) } else { Err(Errno::EFAULT) }
}

/// futex(2).
pub fn futex(a: &Args) -> Result<i64> {
    let op = a.u32(1);
    let cmd = op & CMD_MASK;
    // The clock is a choice only of the forms with absolute times.
    if op & CLOCK_REALTIME != 0 && !matches!(cmd, WAIT_BITSET | WAIT_REQUEUE_PI | LOCK_PI2) {
        return Err(Errno::ENOSYS);
    }
    match cmd {
        WAIT | WAIT_BITSET => wait(a, op, cmd),
        WAKE | WAKE_BITSET => {
            let addr = word(a.u64(0))?;
            if cmd == WAKE_BITSET && a.u32(5) == 0 {
                return Err(Errno::EINVAL);
            }
            let bits = if cmd == WAKE { u32::MAX } else { a.u32(5) };
            if remap::on() {
                return queues::wake(addr, op & PRIVATE != 0, a.int(2).max(1) as u64, bits);
            }
            touched(&[addr], || host_futex::other(addr, op, a.u64(2), 0, 0, a.u64(5)))
        }
        REQUEUE | CMP_REQUEUE | WAKE_OP => {
            let (one, two) = (word(a.u64(0))?, word(a.u64(4))?);
            if remap::on() {
                let (private, wake, more) = (op & PRIVATE != 0, u64::from(a.u32(2)), u64::from(a.u32(3)));
                if cmd != WAKE_OP && (a.int(2) < 0 || a.int(3) < 0) {
                    return Err(Errno::EINVAL);
                }
                return match cmd {
                    WAKE_OP => queues::wake_op(one, two, private, wake, more, a.u32(5)),
                    CMP_REQUEUE => queues::requeue(one, two, private, wake, more, Some(a.u32(5))),
                    _ => queues::requeue(one, two, private, wake, more, None),
                };
            }
            touched(&[one, two], || host_futex::other(one, op, a.u64(2), a.u64(3), two, a.u64(5)))
        }
        LOCK_PI | LOCK_PI2 => crate::futex_pi::lock(a, op, cmd),
        UNLOCK_PI => crate::futex_pi::unlock(a, op),
        TRYLOCK_PI => crate::futex_pi::try_lock(a),
        WAIT_REQUEUE_PI => crate::futex_pi::wait_requeue(a, op),
        CMP_REQUEUE_PI => crate::futex_pi::cmp_requeue(a, op),
        _ => Err(Errno::ENOSYS),
    }
}

/// Calls `f`, and again where the host could not touch one of the words because it waited for its first touch.
fn touched(words: &[u64], f: impl FnMut() -> Result<i64>) -> Result<i64> {
    let again = |w: &u64| [true, false].iter().any(|write| core_::mm::try_again(*w, 4, *write));
    host::user::again_if(|| words.iter().all(again), f)
}

fn wait(a: &Args, op: u32, cmd: u32) -> Result<i64> {
    let addr = word(a.u64(0))?;
    let mut bits = a.u32(5);
    if cmd == WAIT {
        bits = u32::MAX;
    }
    if bits == 0 {
        return Err(Errno::EINVAL);
    }
    // One form for the host: an absolute time, so that a restart needs no arithmetic.
    let deadline = match UserPtr::<[i64; 2]>::new(a.u64(3)).read_if()? {
        None => None,
        Some([s, ns]) if s < 0 || !(0..1_000_000_000).contains(&ns) => return Err(Errno::EINVAL),
        Some([s, ns]) if cmd == WAIT => {
            let (ms, mns) = host::time::clock_gettime(if op & CLOCK_REALTIME != 0 { 0 } else { 1 })?;
            let ns = mns + ns;
            Some([ms.saturating_add(s).saturating_add(ns / 1_000_000_000), ns % 1_000_000_000])
        }
        Some(t) => Some(t),
    };
    let host_op = WAIT_BITSET | (op & (PRIVATE | CLOCK_REALTIME));
    let me = current();
    loop {
        me.begin_interruptible();
        if me.interrupted(Interrupt::Signal) {
            me.end_interruptible();
            return Err(if deadline.is_some() && cmd == WAIT {
                Errno::ERESTART_RESTARTBLOCK
            } else {
                Errno::ERESTARTSYS
            })
            .inspect_err(|_| remember(me, a, op, cmd, deadline, bits));
        }
        match wait_once(addr, host_op, a.u32(2), deadline.as_ref(), bits) {
            Err(Errno::EINTR) => {}
            r => {
                me.end_interruptible();
                return r;
            }
        }
    }
}

/// One wait, which `EINTR` ends as soon as the thread has work. `deadline` is absolute, on the clock that `op` says.
pub(super) fn wait_once(addr: u64, op: u32, val: u32, deadline: Option<&[i64; 2]>, bits: u32) -> Result<i64> {
    if !remap::on() {
        return touched(&[addr], || host_futex::wait(addr, op, val, deadline, bits));
    }
    let clock = i32::from(op & CLOCK_REALTIME == 0);
    let deadline = match deadline {
        None => None,
        Some([s, ns]) => Some(core_::time::to_monotonic(clock, s.saturating_mul(1_000_000_000).saturating_add(*ns))?),
    };
    queues::wait(addr, op & PRIVATE != 0, val, deadline, bits)
}

fn remember(me: &Thread, a: &Args, op: u32, cmd: u32, deadline: Option<[i64; 2]>, bitset: u32) {
    if let (Some([s, ns]), WAIT) = (deadline, cmd) {
        *me.restart.lock() = core_::task::Restart::Futex {
            addr: a.u64(0),
            val: a.u32(2),
            flags: op & (PRIVATE | CLOCK_REALTIME),
            deadline: (s, ns),
            bitset,
        };
    }
}

/// Goes on with a wait whose time limit was relative (restart_syscall(2)).
///
/// # Errors
/// As futex(2).
pub fn resume(addr: u64, val: u32, flags: u32, deadline: (i64, i64), bitset: u32) -> Result<i64> {
    let me = current();
    loop {
        me.begin_interruptible();
        if me.interrupted(Interrupt::Signal) {
            me.end_interruptible();
            *me.restart.lock() = core_::task::Restart::Futex { addr, val, flags, deadline, bitset };
            return Err(Errno::ERESTART_RESTARTBLOCK);
        }
        match wait_once(word(addr)?, WAIT_BITSET | flags, val, Some(&[deadline.0, deadline.1]), bitset) {
            Err(Errno::EINTR) => {}
            r => {
                me.end_interruptible();
                return r;
            }
        }
    }
}

/// Wakes up to `n` waiters at an application address; `private` is 0 or the flag.
///
/// # Errors
/// The host's.
pub(super) fn wake_some(addr: u64, private: u32, n: u32) -> Result<i64> {
    if remap::on() {
        return queues::wake(addr, private != 0, u64::from(n), u32::MAX);
    }
    host_futex::other(addr, WAKE | private, u64::from(n), 0, 0, 0)
}

/// Wakes up to `n` waiters at `addr` where its word still is `expected`; how many.
///
/// # Errors
/// `EAGAIN` where the word is another.
pub(super) fn wake_if(addr: u64, two: u64, private: u32, n: u32, expected: u32) -> Result<i64> {
    if remap::on() {
        return queues::requeue(addr, two, private != 0, u64::from(n), 0, Some(expected));
    }
    host_futex::other(addr, CMP_REQUEUE | private, u64::from(n), 0, two, u64::from(expected))
}

/// Wakes up to `n` waiters at an application address, private and shared.
pub fn wake_address(addr: u64, n: u32) {
    if let Ok(addr) = word(addr) {
        let _ = wake_some(addr, 0, n);
        let _ = wake_some(addr, PRIVATE, n);
    }
}

/// set_robust_list(2).
pub fn set_robust_list(a: &Args) -> Result<i64> {
    if a.u64(1) != 24 {
        return Err(Errno::EINVAL);
    }
    current().robust_list.store(a.u64(0), Ordering::Relaxed);
    Ok(0)
}

/// get_robust_list(2).
pub fn get_robust_list(a: &Args) -> Result<i64> {
    let me = current();
    let head = if a.int(0) == 0 {
        me.robust_list.load(Ordering::Relaxed)
    } else {
        let t = core_::task::TREE.lock().thread(a.u32(0)).ok_or(Errno::ESRCH)?;
        if !super::process::exec::may_inspect(me, &t) {
            return Err(Errno::EPERM);
        }
        t.robust_list.load(Ordering::Relaxed)
    };
    UserPtr::<u64>::new(a.u64(1)).write(head)?;
    UserPtr::<u64>::new(a.u64(2)).write(24)?;
    Ok(0)
}

/// Marks the locks of a thread that ends as abandoned (`kernel/futex/core.c`, get_robust_list(2)).
pub fn exit_robust_list(me: &Thread) {
    const WAITERS: u32 = 0x8000_0000;
    const OWNER_DIED: u32 = 0x4000_0000;
    const TID: u32 = 0x3fff_ffff;
    /// ROBUST_LIST_LIMIT: a circular list ends here.
    const LIMIT: usize = 2048;
    let head = me.robust_list.swap(0, Ordering::Relaxed);
    if head == 0 {
        return;
    }
    let tid = me.tid();
    let Ok([first, offset, pending]) = UserPtr::<[u64; 3]>::new(head).read() else { return };
    let give_up = |entry: u64| -> Option<()> {
        // Bit 0 marks a priority-inheriting lock.
        let at = (entry & !1).wrapping_add(offset);
        loop {
            let v = host::user::load_u32(at).ok()?;
            if v & TID != tid {
                return Some(());
            }
            let new = (v & WAITERS) | OWNER_DIED;
            if host::user::cmpxchg_u32(at, v, new).ok()? == v {
                if v & WAITERS != 0 {
                    wake_address(at, 1);
                }
                return Some(());
            }
        }
    };
    let mut entry = first;
    for _ in 0..LIMIT {
        if entry & !1 == head {
            break;
        }
        let Ok(next) = UserPtr::<u64>::new(entry & !1).read() else { return };
        if entry != pending && give_up(entry).is_none() {
            return;
        }
        entry = next;
    }
    if pending != 0 {
        let _ = give_up(pending);
    }
}
