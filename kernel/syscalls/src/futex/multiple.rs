//! futex_waitv(2): waiting on several futexes at once.

use super::{host_futex, queues, touched, word};
use crate::Args;
use alloc::vec::Vec;
use core_::mm::spaces::remap;
use core_::uaccess::UserPtr;
use core_::wait::Interrupt;
use core_::{Errno, Result, current};

/// FUTEX_WAITV_MAX.
const MOST: u32 = 128;
const SIZE_U32: u64 = 2;
const PRIVATE: u64 = 128;

/// Value, address, flags with nothing above them: `struct futex_waitv` as words.
type Waiter = [u64; 3];

/// futex_waitv(2): which of the futexes was woken.
pub fn futex_waitv(a: &Args) -> Result<i64> {
    let (at, n, clock) = (a.u64(0), a.u32(1), a.int(4));
    if a.u32(2) != 0 || n == 0 || n > MOST || at == 0 {
        return Err(Errno::EINVAL);
    }
    let deadline = if a.u64(3) == 0 {
        None
    } else {
        if !matches!(clock, 0 | 1) {
            return Err(Errno::EINVAL);
        }
        match UserPtr::<[i64; 2]>::new(a.u64(3)).read()? {
            [s, ns] if s < 0 || !(0..1_000_000_000).contains(&ns) => return Err(Errno::EINVAL),
            t => Some(t),
        }
    };
    let mut list: Vec<Waiter> = Vec::with_capacity(n as usize);
    for i in 0..u64::from(n) {
        let w = UserPtr::<Waiter>::new(at.wrapping_add(i * size_of::<Waiter>() as u64)).read()?;
        // The reserved word is the upper half of the flags here.
        if w[2] & !(SIZE_U32 | PRIVATE) != 0 || w[2] & SIZE_U32 == 0 || w[0] > u64::from(u32::MAX) {
            return Err(Errno::EINVAL);
        }
        list.push(w);
    }
    for w in &list {
        word(w[1])?;
    }
    let me = current();
    loop {
        me.begin_interruptible();
        if me.interrupted(Interrupt::Signal) {
            me.end_interruptible();
            // The time limit is absolute, so the call simply starts over.
            return Err(Errno::ERESTARTSYS);
        }
        let r = wait_once(&list, deadline.as_ref(), clock);
        me.end_interruptible();
        if r != Err(Errno::EINTR) {
            return r;
        }
    }
}

fn wait_once(list: &[Waiter], deadline: Option<&[i64; 2]>, clock: i32) -> Result<i64> {
    if !remap::on() {
        let words: Vec<u64> = list.iter().map(|w| w[1]).collect();
        return touched(&words, || host_futex::wait_many(list, deadline, clock));
    }
    let deadline = match deadline {
        None => None,
        Some([s, ns]) => Some(core_::time::to_monotonic(clock, s.saturating_mul(1_000_000_000).saturating_add(*ns))?),
    };
    let words: Vec<_> = list.iter().map(|w| (w[1], w[2] & PRIVATE != 0, w[0] as u32)).collect();
    queues::wait_many(&words, deadline, u32::MAX)
}
