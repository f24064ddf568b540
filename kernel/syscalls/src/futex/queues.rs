//! Futexes of the guest kernel's own, for `remap` spaces: all guest threads share one host thread, which a host futex would
//! put to sleep with everybody on it.
//!
//! The guest kernel is not preempted on the virtual processor, so looking at the word and joining the queue are one step.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};
use core_::mm::spaces::remap::futex_key;
use core_::wait::Interrupt;
use core_::{Errno, Mutex, Result, current};
use host::sync::Parker;

type Key = (u64, u64);

struct Waiter {
    parker: Arc<Parker>,
    bits: u32,
    woken: AtomicBool,
    /// Where it waits now: requeueing changes it.
    key: Mutex<Key>,
}

static QUEUES: Mutex<BTreeMap<Key, Vec<Arc<Waiter>>>> = host::sync::mutex(BTreeMap::new());

fn key(addr: u64, private: bool) -> Result<Key> {
    let mm = current().process.mm.lock().clone().ok_or(Errno::EFAULT)?;
    futex_key(&mm, addr, private)
}

/// FUTEX_WAIT_BITSET until `deadline_ns` (CLOCK_MONOTONIC); `EINTR` where the thread has something else to do.
pub fn wait(addr: u64, private: bool, val: u32, deadline_ns: Option<u64>, bits: u32) -> Result<i64> {
    wait_many(&[(addr, private, val)], deadline_ns, bits)
}

/// As [`wait`] on several words (address, private, value); gives back which was woken.
pub fn wait_many(words: &[(u64, bool, u32)], deadline_ns: Option<u64>, bits: u32) -> Result<i64> {
    let me = current();
    let mut waiters = Vec::with_capacity(words.len());
    for &(addr, private, val) in words {
        let at = key(addr, private)?;
        if host::user::load_u32(addr)? != val {
            return Err(Errno::EAGAIN);
        }
        let woken = AtomicBool::new(false);
        waiters.push(Arc::new(Waiter { parker: me.parker.clone(), bits, woken, key: Mutex::new(at) }));
    }
    {
        let mut queues = QUEUES.lock();
        for w in &waiters {
            let at = *w.key.lock();
            queues.entry(at).or_default().push(w.clone());
        }
    }
    let woken = || waiters.iter().position(|w| w.woken.load(Ordering::Acquire));
    let result = loop {
        if woken().is_some() {
            break Ok(());
        }
        if me.interrupted(Interrupt::Signal) {
            break Err(Errno::EINTR);
        }
        if !me.park(deadline_ns) {
            break Err(Errno::ETIMEDOUT);
        }
    };
    let mut queues = QUEUES.lock();
    for w in waiters.iter().filter(|w| !w.woken.load(Ordering::Acquire)) {
        let at = *w.key.lock();
        if let Some(q) = queues.get_mut(&at) {
            q.retain(|o| !Arc::ptr_eq(o, w));
            if q.is_empty() {
                queues.remove(&at);
            }
        }
    }
    // Woken at the last moment is woken: whoever did it counted on that.
    match woken() {
        Some(i) => Ok(i as i64),
        None => result.map(|()| 0),
    }
}

fn wake_key(queues: &mut BTreeMap<Key, Vec<Arc<Waiter>>>, at: Key, most: u64, bits: u32) -> i64 {
    let Some(q) = queues.get_mut(&at) else { return 0 };
    let mut n = 0;
    let mut i = 0;
    while i < q.len() && n < most {
        if q[i].bits & bits == 0 {
            i += 1;
            continue;
        }
        let w = q.remove(i);
        w.woken.store(true, Ordering::Release);
        w.parker.unpark();
        n += 1;
    }
    if q.is_empty() {
        queues.remove(&at);
    }
    n as i64
}

/// FUTEX_WAKE_BITSET.
pub fn wake(addr: u64, private: bool, most: u64, bits: u32) -> Result<i64> {
    let at = key(addr, private)?;
    Ok(wake_key(&mut QUEUES.lock(), at, most, bits))
}

/// FUTEX_REQUEUE, and with `expected` FUTEX_CMP_REQUEUE: how many were woken or moved.
pub fn requeue(from: u64, to: u64, private: bool, wake: u64, most: u64, expected: Option<u32>) -> Result<i64> {
    let (a, b) = (key(from, private)?, key(to, private)?);
    if let Some(v) = expected
        && host::user::load_u32(from)? != v
    {
        return Err(Errno::EAGAIN);
    }
    let mut queues = QUEUES.lock();
    let woken = wake_key(&mut queues, a, wake, u32::MAX);
    let mut moved: Vec<Arc<Waiter>> = Vec::new();
    if let Some(q) = queues.get_mut(&a) {
        let n = q.len().min(usize::try_from(most).unwrap_or(usize::MAX));
        moved = q.drain(..n).collect();
        if q.is_empty() {
            queues.remove(&a);
        }
    }
    let n = moved.len() as i64;
    for w in &moved {
        *w.key.lock() = b;
    }
    if n > 0 {
        queues.entry(b).or_default().extend(moved);
    }
    Ok(woken + n)
}

/// FUTEX_WAKE_OP: `op` as futex(2) packs it.
pub fn wake_op(one: u64, two: u64, private: bool, wake1: u64, wake2: u64, op: u32) -> Result<i64> {
    let (a, b) = (key(one, private)?, key(two, private)?);
    let (mut oparg, cmparg) = (sign12(op >> 12), sign12(op));
    if op >> 31 != 0 {
        oparg = 1i32.wrapping_shl(oparg as u32);
    }
    let old = loop {
        let old = host::user::load_u32(two)?;
        let new = match (op >> 28) & 7 {
            0 => oparg as u32,
            1 => old.wrapping_add(oparg as u32),
            2 => old | oparg as u32,
            3 => old & !(oparg as u32),
            4 => old ^ oparg as u32,
            _ => return Err(Errno::ENOSYS),
        };
        if host::user::cmpxchg_u32(two, old, new)? == old {
            break old as i32;
        }
    };
    let holds = match (op >> 24) & 15 {
        0 => old == cmparg,
        1 => old != cmparg,
        2 => old < cmparg,
        3 => old <= cmparg,
        4 => old > cmparg,
        5 => old >= cmparg,
        _ => return Err(Errno::ENOSYS),
    };
    let mut queues = QUEUES.lock();
    let mut n = wake_key(&mut queues, a, wake1, u32::MAX);
    if holds {
        n += wake_key(&mut queues, b, wake2, u32::MAX);
    }
    Ok(n)
}

/// The low 12 bits as a signed number.
fn sign12(v: u32) -> i32 {
    ((v << 20) as i32) >> 20
}
