//! futex(2): the host's futexes on the application's own memory, so that a private futex costs what it costs natively.
//!
//! Words that carry thread numbers (robust lists; priority inheritance) hold the guest's numbers, which the host does not know:
//! robust lists are walked here, priority inheritance is not there yet.

use crate::Args;
use abi::layout;
use core::sync::atomic::Ordering;
use core_::task::Thread;
use core_::uaccess::UserPtr;
use core_::wait::Interrupt;
use core_::{Errno, Result, counters, current};
use host::user_futex as host_futex;

const WAIT: u32 = 0;
const WAKE: u32 = 1;
const REQUEUE: u32 = 3;
const CMP_REQUEUE: u32 = 4;
const WAKE_OP: u32 = 5;
const WAIT_BITSET: u32 = 9;
const WAKE_BITSET: u32 = 10;
const PRIVATE: u32 = 128;
const CLOCK_REALTIME: u32 = 256;
const CMD_MASK: u32 = !(PRIVATE | CLOCK_REALTIME);

fn word(addr: u64) -> Result<u64> {
    if addr % 4 != 0 {
        return Err(Errno::EINVAL);
    }
    if layout::user_range_ok(addr, 4) { Ok(addr) } else { Err(Errno::EFAULT) }
}

/// futex(2).
pub fn futex(a: &Args) -> Result<i64> {
    let op = a.u32(1);
    let cmd = op & CMD_MASK;
    match cmd {
        WAIT | WAIT_BITSET => wait(a, op, cmd),
        WAKE | WAKE_BITSET => {
            let addr = word(a.u64(0))?;
            if cmd == WAKE_BITSET && a.u32(5) == 0 {
                return Err(Errno::EINVAL);
            }
            host_futex::other(addr, op, a.u64(2), 0, 0, a.u64(5))
        }
        REQUEUE | CMP_REQUEUE | WAKE_OP => {
            let (one, two) = (word(a.u64(0))?, word(a.u64(4))?);
            host_futex::other(one, op, a.u64(2), a.u64(3), two, a.u64(5))
        }
        6 | 7 | 8 | 11 | 12 | 13 => Err(counters::missing(202, Errno::ENOSYS)),
        _ => Err(Errno::ENOSYS),
    }
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
        match host_futex::wait(addr, host_op, a.u32(2), deadline.as_ref(), bits) {
            Err(Errno::EINTR) => {}
            r => {
                me.end_interruptible();
                return r;
            }
        }
    }
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
        match host_futex::wait(word(addr)?, WAIT_BITSET | flags, val, Some(&[deadline.0, deadline.1]), bitset) {
            Err(Errno::EINTR) => {}
            r => {
                me.end_interruptible();
                return r;
            }
        }
    }
}

/// Wakes up to `n` waiters at an application address, private and shared.
pub fn wake_address(addr: u64, n: u32) {
    if let Ok(addr) = word(addr) {
        let _ = host_futex::other(addr, WAKE, u64::from(n), 0, 0, 0);
        let _ = host_futex::other(addr, WAKE | PRIVATE, u64::from(n), 0, 0, 0);
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
