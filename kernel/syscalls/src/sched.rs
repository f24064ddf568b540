//! Who runs how: nice values, policies, processors (sched(7)). All of it is kept and shown; the host schedules.

use crate::Args;
use crate::misc::CPUS;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use core_::task::{Cap, Process, TREE, Thread, rlimit};
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
        } else if new < t.nice.load(Ordering::Relaxed) && !may_have(&t, new) && !cred.has(Cap::SysNice) {
            result = Err(Errno::EACCES);
        } else {
            t.nice.store(new, Ordering::Relaxed);
        }
    }
    result
}

/// Whether RLIMIT_NICE lets the thread have a nice value as low as this one.
fn may_have(t: &Thread, nice: i32) -> bool {
    i64::from(20 - nice) as u64 <= t.process.rlimit(rlimit::NICE)
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

/// How a thread is to run.
struct Wanted {
    policy: u32,
    reset_on_fork: bool,
    /// None: as before.
    nice: Option<i32>,
    /// Only the flag is set; the rest is checked.
    keep: bool,
    priority: u32,
    /// Deadline scheduling's three times are in order.
    times: bool,
}

/// Only SCHED_OTHER, BATCH and IDLE, which need no privilege on the host.
fn schedule(t: Option<&Thread>, w: &Wanted) -> Result<i64> {
    const IDLE: u32 = 5;
    const DEADLINE: u32 = 6;
    match w.policy {
        0 | 3 | IDLE if w.priority == 0 => {}
        1 | 2 if (1..=99).contains(&w.priority) => return Err(Errno::EPERM),
        DEADLINE if w.priority == 0 && w.times => return Err(Errno::EPERM),
        _ => return Err(Errno::EINVAL),
    }
    may_schedule(t)?;
    let Some(t) = t else { return Ok(0) };
    let old = t.policy.load(Ordering::Relaxed);
    let nice = t.nice.load(Ordering::Relaxed);
    // SCHED_IDLE is lower than any of them, and leaves the value alone.
    let new = w.nice.filter(|_| w.policy != IDLE);
    let raises = new.is_some_and(|n| n < nice && !may_have(t, n))
        || (old & !RESET_ON_FORK == IDLE && w.policy != IDLE && !may_have(t, nice))
        || (old & RESET_ON_FORK != 0 && !w.reset_on_fork);
    if raises && !current().cred().has(Cap::SysNice) {
        return Err(Errno::EPERM);
    }
    let policy = if w.keep { old & !RESET_ON_FORK } else { w.policy };
    t.policy.store(policy | if w.reset_on_fork { RESET_ON_FORK } else { 0 }, Ordering::Relaxed);
    if let Some(n) = new {
        t.nice.store(n, Ordering::Relaxed);
    }
    Ok(0)
}

/// sched_setscheduler(2).
pub fn sched_setscheduler(a: &Args) -> Result<i64> {
    let t = scheduled(a.int(0))?;
    let priority = UserPtr::<u32>::new(a.u64(2)).read()?;
    let (policy, reset_on_fork) = (a.u32(1) & !RESET_ON_FORK, a.u32(1) & RESET_ON_FORK != 0);
    schedule(t.as_deref(), &Wanted { policy, reset_on_fork, nice: None, keep: false, priority, times: false })
}

/// struct sched_attr in 32-bit words: size, policy, flags (two), nice, priority, runtime, deadline and period (two each), and the
/// clamps.
type Attr = [u32; 14];

/// The size of the first struct sched_attr, without the clamps.
const ATTR_FIRST: u32 = 48;

mod attr_flag {
    pub const RESET_ON_FORK: u64 = 1;
    pub const KEEP_POLICY: u64 = 8;
    pub const KEEP_PARAMS: u64 = 16;
    pub const CLAMPS: u64 = 0x60;
    pub const ALL: u64 = 0x7f;
}

fn read_attr(addr: u64) -> Result<Attr> {
    let head = UserPtr::<u32>::new(addr);
    let size = match head.read()? {
        0 => ATTR_FIRST,
        n => n,
    };
    let mut attr: Attr = [0; 14];
    let known = size_of::<Attr>();
    if (ATTR_FIRST..=4096).contains(&size) {
        let bytes = uaccess::read_bytes(addr, size as usize)?;
        if bytes.iter().skip(known).all(|b| *b == 0) {
            let n = bytes.len().min(known);
            uaccess::as_bytes_mut(&mut attr)[..n].copy_from_slice(&bytes[..n]);
            return Ok(attr);
        }
    }
    // Says what it would have understood.
    let _ = head.write(known as u32);
    Err(Errno::E2BIG)
}

fn wide(attr: &Attr, at: usize) -> u64 {
    u64::from(attr[at]) | u64::from(attr[at + 1]) << 32
}

/// sched_setattr(2): setpriority and sched_setscheduler in one.
pub fn sched_setattr(a: &Args) -> Result<i64> {
    if a.u64(1) == 0 || a.int(0) < 0 || a.u32(2) != 0 {
        return Err(Errno::EINVAL);
    }
    let attr = read_attr(a.u64(1))?;
    let flags = wide(&attr, 2);
    let clamps = flags & attr_flag::CLAMPS != 0;
    if (attr[1] as i32) < 0 || (clamps && UserPtr::<u32>::new(a.u64(1)).read()? < size_of::<Attr>() as u32) {
        return Err(Errno::EINVAL);
    }
    let t = scheduled(a.int(0))?;
    if flags & !attr_flag::ALL != 0 {
        return Err(Errno::EINVAL);
    }
    let (runtime, deadline, period) = (wide(&attr, 6), wide(&attr, 8), wide(&attr, 10));
    let mut wanted = Wanted {
        policy: attr[1],
        reset_on_fork: flags & attr_flag::RESET_ON_FORK != 0,
        nice: Some((attr[4] as i32).clamp(-20, 19)),
        keep: flags & attr_flag::KEEP_PARAMS != 0,
        priority: attr[5],
        times: runtime >= 1024 && runtime <= deadline && (period == 0 || deadline <= period),
    };
    if flags & attr_flag::KEEP_POLICY != 0 {
        let old = t.as_ref().map_or(0, |t| t.policy.load(Ordering::Relaxed));
        (wanted.policy, wanted.reset_on_fork) = (old & !RESET_ON_FORK, old & RESET_ON_FORK != 0);
    }
    if wanted.keep {
        wanted.nice = None;
    }
    // As a Linux without CONFIG_UCLAMP_TASK, which asks for permission first.
    if clamps {
        return may_schedule(t.as_deref()).and(Err(Errno::EOPNOTSUPP));
    }
    schedule(t.as_deref(), &wanted)
}

/// sched_getattr(2).
pub fn sched_getattr(a: &Args) -> Result<i64> {
    let size = a.u32(2);
    if a.u64(1) == 0 || a.int(0) < 0 || !(ATTR_FIRST..=4096).contains(&size) || a.u32(3) != 0 {
        return Err(Errno::EINVAL);
    }
    let t = scheduled(a.int(0))?;
    let n = (size as usize).min(size_of::<Attr>());
    let mut attr: Attr = [0; 14];
    attr[0] = n as u32;
    if let Some(t) = t {
        let policy = t.policy.load(Ordering::Relaxed);
        attr[1] = policy & !RESET_ON_FORK;
        attr[2] = u32::from(policy & RESET_ON_FORK != 0);
        attr[4] = t.nice.load(Ordering::Relaxed) as u32;
    }
    uaccess::write_bytes(a.u64(1), &uaccess::as_bytes(&attr)[..n]).map(|()| 0)
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
