//! Process numbers, groups, sessions.

use crate::Args;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;
use core_::task::{Process, Session, TREE};
use core_::{Errno, Mutex, Result, current};

/// getpid(2).
pub fn getpid(_: &Args) -> Result<i64> {
    Ok(i64::from(current().process.pid))
}

/// gettid(2).
pub fn gettid(_: &Args) -> Result<i64> {
    Ok(i64::from(current().tid()))
}

/// getppid(2).
pub fn getppid(_: &Args) -> Result<i64> {
    Ok(i64::from(current().process.ppid()))
}

/// getpgrp(2).
pub fn getpgrp(_: &Args) -> Result<i64> {
    Ok(i64::from(current().process.pgid()))
}

/// set_tid_address(2).
pub fn set_tid_address(a: &Args) -> Result<i64> {
    current().clear_child_tid.store(a.u64(0), Ordering::Relaxed);
    Ok(i64::from(current().tid()))
}

/// The process with this pid, which may be that of any of its threads; 0 is the caller's.
///
/// # Errors
/// `ESRCH`, `EINVAL` for a negative number.
pub fn by_pid(pid: i32) -> Result<Arc<Process>> {
    match pid {
        0 => Ok(current().process.clone()),
        p if p < 0 => Err(Errno::ESRCH),
        p => TREE.lock().process_of(p as u32).ok_or(Errno::ESRCH),
    }
}

/// getpgid(2).
pub fn getpgid(a: &Args) -> Result<i64> {
    Ok(i64::from(by_pid(a.int(0))?.pgid()))
}

/// getsid(2).
pub fn getsid(a: &Args) -> Result<i64> {
    Ok(i64::from(by_pid(a.int(0))?.sid()))
}

/// setpgid(2).
pub fn setpgid(a: &Args) -> Result<i64> {
    let me = &current().process;
    let (pid, pgid) = (a.int(0), a.int(1));
    // A negative pid with pgid 0 is a negative pgid first (`kernel/sys.c`).
    if pgid < 0 || (pgid == 0 && pid < 0) {
        return Err(Errno::EINVAL);
    }
    let tree = TREE.lock();
    let target = match pid {
        0 => me.clone(),
        p if p < 0 => return Err(Errno::ESRCH),
        p => match tree.process(p as u32) {
            Some(p) => p,
            // A thread that is not a leader.
            None if tree.thread(p as u32).is_some() => return Err(Errno::EINVAL),
            None => return Err(Errno::ESRCH),
        },
    };
    let own = Arc::ptr_eq(&target, me);
    if !own {
        if target.ppid() != me.pid {
            return Err(Errno::ESRCH);
        }
        if target.sid() != me.sid() {
            return Err(Errno::EPERM);
        }
        if target.did_exec.load(Ordering::Relaxed) {
            return Err(Errno::EACCES);
        }
    }
    if target.sid() == target.pid {
        return Err(Errno::EPERM);
    }
    let pgid = if pgid == 0 { target.pid } else { pgid as u32 };
    if pgid != target.pid {
        let sid = target.sid();
        if !tree.group(pgid).iter().any(|p| p.sid() == sid) {
            return Err(Errno::EPERM);
        }
    }
    target.set_pgid(pgid);
    Ok(0)
}

/// setsid(2).
pub fn setsid(_: &Args) -> Result<i64> {
    let me = &current().process;
    let tree = TREE.lock();
    if !tree.group(me.pid).is_empty() {
        return Err(Errno::EPERM);
    }
    me.rel.lock().session = Arc::new(Session { sid: me.pid, tty: Mutex::default() });
    me.set_pgid(me.pid);
    Ok(i64::from(me.pid))
}
