//! Who runs how: nice values, policies, processors (sched(7)). All of it is kept and shown; the host schedules.

use crate::Args;
use crate::misc::CPUS;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use core_::task::{Cap, Process, TREE, Thread};
use core_::uaccess::{self, UserPtr};
use core_::{Errno, Result, current};

/// The threads that getpriority(2)'s `which` and `who` name. A process is named by each of its threads, of which that one alone
/// is meant.
pub(crate) fn threads(which: i32, who: i32) -> Result<Vec<Arc<Thread>>> {
    const PROCESS: i32 = 0;
    const GROUP: i32 = 1;
    const USER: i32 = 2;
    let me = current();
    let all =
        |all: Vec<Arc<Process>>| -> Vec<Arc<Thread>> { all.iter().flat_map(|p| p.threads.lock().clone()).collect() };
    let found = match which {
        PROCESS => {
            let tid = if who == 0 { me.tid() } else { who as u32 };
            TREE.lock().thread(tid).into_iter().collect()
        }
        GROUP => all(TREE.lock().group(if who == 0 { me.process.pgid() } else { who as u32 })),
        USER => {
            let uid = if who == 0 { me.cred().uid } else { who as u32 };
            all(TREE.lock().all()).into_iter().filter(|t| t.cred().uid == uid).collect()
        }
        _ => return Err(Errno::EINVAL),
    };
    if found.is_empty() { Err(Errno::ESRCH) } else { Ok(found) }
}

/// Process 1, which has no thread: its values are the defaults, and what is set changes nothing.
const INIT: (i32, i32) = (0, 1);

/// getpriority(2): the system call returns 20 - nice, of several the best.
pub fn getpriority(a: &Args) -> Result<i64> {
    if (a.int(0), a.int(1)) == INIT {
        return Ok(20);
    }
    let found = threads(a.int(0), a.int(1))?;
    let best = found.iter().map(|t| t.nice.load(Ordering::Relaxed)).min();
    best.map(|n| i64::from(20 - n)).ok_or(Errno::ESRCH)
}

/// setpriority(2): goes on after one that it may not change.
pub fn setpriority(a: &Args) -> Result<i64> {
    let new = a.int(2).clamp(-20, 19);
    if (a.int(0), a.int(1)) == INIT {
        return may_schedule(None).map(|()| 0);
    }
    let cred = current().cred();
    let mut result = Ok(0);
    for t in threads(a.int(0), a.int(1))? {
        if !cred.may_schedule(&t.cred()) {
            result = Err(Errno::EPERM);
        } else if new < t.nice.load(Ordering::Relaxed) && !cred.has(Cap::SysNice) {
            result = Err(Errno::EACCES);
        } else {
            t.nice.store(new, Ordering::Relaxed);
        }
    }
    result
}

/// The thread `tid`; 0 is the caller. None is process 1, which has no thread: its values are the defaults, and what is set
/// changes nothing.
fn thread(tid: i32) -> Result<Option<Arc<Thread>>> {
    let tid = match tid {
        0 => current().tid(),
        1 => return Ok(None),
        t => u32::try_from(t).map_err(|_| Errno::ESRCH)?,
    };
    TREE.lock().thread(tid).map(Some).ok_or(Errno::ESRCH)
}

/// As [`thread`], for the calls that refuse negative numbers as such.
fn scheduled(tid: i32) -> Result<Option<Arc<Thread>>> {
    if tid < 0 { Err(Errno::EINVAL) } else { thread(tid) }
}

/// Whether the caller may say how the thread runs (None: process 1, which is root's).
fn may_schedule(t: Option<&Thread>) -> Result<()> {
    let cred = current().cred();
    let may = t.map_or(cred.has(Cap::SysNice), |t| cred.may_schedule(&t.cred()));
    may.then_some(()).ok_or(Errno::EPERM)
}

/// sched_yield(2).
pub fn sched_yield(_: &Args) -> Result<i64> {
    host::cpu::relax();
    Ok(0)
}

/// sched_getaffinity(2): the processors of the VM.
pub fn sched_getaffinity(a: &Args) -> Result<i64> {
    let chosen = thread(a.int(0))?.map_or(0, |t| t.affinity.load(Ordering::Relaxed));
    let n = CPUS.load(Ordering::Relaxed).max(1) as usize;
    let size = 8 * n.div_ceil(64);
    if a.u64(1) < size as u64 || a.u64(1) % 8 != 0 {
        return Err(Errno::EINVAL);
    }
    let mut mask = [0u8; 128];
    // Only the first 64 processors can be chosen from; 0 stands for all.
    for cpu in (0..n.min(1024)).filter(|c| chosen == 0 || (*c < 64 && chosen >> c & 1 != 0)) {
        mask[cpu / 8] |= 1 << (cpu % 8);
    }
    uaccess::write_bytes(a.u64(2), &mask[..size])?;
    Ok(size as i64)
}

/// sched_setaffinity(2): accepted where it names a processor of the VM.
pub fn sched_setaffinity(a: &Args) -> Result<i64> {
    let t = thread(a.int(0))?;
    let n = (a.u64(1) as usize).min(128);
    let mask = uaccess::read_bytes(a.u64(2), n)?;
    let cpus = CPUS.load(Ordering::Relaxed).max(1) as usize;
    let wanted: Vec<usize> = (0..cpus).filter(|c| mask.get(c / 8).is_some_and(|b| b & (1 << (c % 8)) != 0)).collect();
    if wanted.is_empty() {
        return Err(Errno::EINVAL);
    }
    let all = wanted.len() == cpus || wanted.iter().any(|c| *c >= 64);
    let chosen = if all { 0 } else { wanted.iter().fold(0, |m, c| m | 1u64 << c) };
    may_schedule(t.as_deref())?;
    if let Some(t) = t {
        t.affinity.store(chosen, Ordering::Relaxed);
    }
    Ok(0)
}

/// SCHED_RESET_ON_FORK.
pub(crate) const RESET_ON_FORK: u32 = 0x4000_0000;

/// sched_getscheduler(2).
pub fn sched_getscheduler(a: &Args) -> Result<i64> {
    Ok(scheduled(a.int(0))?.map_or(0, |t| i64::from(t.policy.load(Ordering::Relaxed))))
}

/// sched_rr_get_interval(2): a slice as Linux's scheduler hands out.
pub fn sched_rr_get_interval(a: &Args) -> Result<i64> {
    const SLICE_NS: i64 = 4_000_000;
    scheduled(a.int(0))?;
    UserPtr::<[i64; 2]>::new(a.u64(1)).write([0, SLICE_NS]).map(|()| 0)
}

/// sched_setscheduler(2): only SCHED_OTHER, BATCH and IDLE, which need no privilege on the host.
pub fn sched_setscheduler(a: &Args) -> Result<i64> {
    let t = scheduled(a.int(0))?;
    let priority = UserPtr::<u32>::new(a.u64(2)).read()?;
    match a.u32(1) & !RESET_ON_FORK {
        0 | 3 | 5 if priority == 0 => {
            may_schedule(t.as_deref())?;
            if let Some(t) = t {
                t.policy.store(a.u32(1), Ordering::Relaxed);
            }
            Ok(0)
        }
        1 | 2 => Err(Errno::EPERM),
        _ => Err(Errno::EINVAL),
    }
}

/// sched_getparam(2).
pub fn sched_getparam(a: &Args) -> Result<i64> {
    scheduled(a.int(0))?;
    UserPtr::<u32>::new(a.u64(1)).write(0).map(|()| 0)
}

/// sched_setparam(2).
pub fn sched_setparam(a: &Args) -> Result<i64> {
    scheduled(a.int(0))?;
    if UserPtr::<u32>::new(a.u64(1)).read()? == 0 { Ok(0) } else { Err(Errno::EINVAL) }
}

/// sched_get_priority_max(2).
pub fn sched_get_priority_max(a: &Args) -> Result<i64> {
    match a.int(0) {
        1 | 2 => Ok(99),
        0 | 3 | 5 | 6 => Ok(0),
        _ => Err(Errno::EINVAL),
    }
}

/// sched_get_priority_min(2).
pub fn sched_get_priority_min(a: &Args) -> Result<i64> {
    match a.int(0) {
        1 | 2 => Ok(1),
        0 | 3 | 5 | 6 => Ok(0),
        _ => Err(Errno::EINVAL),
    }
}
