//! pidfd_open, pidfd_send_signal, pidfd_getfd (pidfd_open(2)).

use crate::Args;
use alloc::sync::Arc;
use core_::file::{File, oflag};
use core_::signal::{self, SigInfo, code};
use core_::task::{Process, TREE};
use core_::{Errno, Result, current};
use host::sync::Once;

static PROCESS_OF: Once<fn(&File) -> Option<Arc<Process>>> = Once::new();

/// Sets what tells a pidfd's process (a module's business).
pub fn on_process_of(f: &'static fn(&File) -> Option<Arc<Process>>) {
    PROCESS_OF.set(f);
}

/// The process behind a pidfd.
///
/// # Errors
/// `EBADF` for another kind of file.
pub fn process_of(f: &File) -> Result<Arc<Process>> {
    PROCESS_OF.get().and_then(|g| g(f)).ok_or(Errno::EBADF)
}

/// pidfd_open(2).
pub fn pidfd_open(a: &Args) -> Result<i64> {
    if a.u32(1) & !oflag::NONBLOCK != 0 || a.int(0) <= 0 {
        return Err(Errno::EINVAL);
    }
    let pid = a.u32(0);
    let p = {
        let tree = TREE.lock();
        match tree.process(pid) {
            Some(p) => p,
            // A thread that is not a leader has a number but no pidfd.
            None if tree.thread(pid).is_some() => return Err(Errno::ENOENT),
            None => return Err(Errno::ESRCH),
        }
    };
    let fd = super::fork::pidfd(p)?;
    if a.u32(1) & oflag::NONBLOCK != 0 {
        current().files().get(fd)?.set_status_flags(oflag::NONBLOCK);
    }
    Ok(i64::from(fd))
}

/// pidfd_send_signal(2).
pub fn pidfd_send_signal(a: &Args) -> Result<i64> {
    if a.u32(3) != 0 {
        return Err(Errno::EINVAL);
    }
    let file = current().files().get(a.fd(0))?;
    // A descriptor that only names a place names no process.
    if file.flags() & oflag::PATH != 0 {
        return Err(Errno::EBADF);
    }
    let p = match file.inode().and_then(|i| i.names_process()) {
        Some(pid) => TREE.lock().process(pid).ok_or(Errno::ESRCH)?,
        None => process_of(&file)?,
    };
    let signo = a.u32(1);
    if signo > 64 {
        return Err(Errno::EINVAL);
    }
    let me = current();
    let mut info = SigInfo::user(signo, code::USER, me.process.pid, me.cred().uid, 0);
    if a.u64(2) != 0 {
        info = crate::signal::read_info(a.u64(2))?;
        if info.signo != signo {
            return Err(Errno::EINVAL);
        }
        if (info.code >= 0 || info.code == code::TKILL) && p.pid != me.process.pid {
            return Err(Errno::EPERM);
        }
    }
    if p.is_zombie() && *p.state.lock() == core_::task::State::Dead {
        return Err(Errno::ESRCH);
    }
    if !signal::group_or_process_perm(me, &p, signo) {
        return Err(Errno::EPERM);
    }
    if signo != 0 {
        signal::send_process(&p, info);
    }
    Ok(0)
}

/// pidfd_getfd(2).
pub fn pidfd_getfd(a: &Args) -> Result<i64> {
    if a.u32(2) != 0 {
        return Err(Errno::EINVAL);
    }
    let p = process_of(&*current().files().get(a.fd(0))?)?;
    let me = current();
    let t = p.any_thread().ok_or(Errno::ESRCH)?;
    let (mine, theirs) = (me.cred(), t.cred());
    let same = [theirs.uid, theirs.euid, theirs.suid].iter().all(|u| *u == mine.fsuid);
    if !same && !mine.has(core_::task::Cap::SysPtrace) {
        return Err(Errno::EPERM);
    }
    let file = t.files().get(a.fd(1))?;
    me.files().add(file, true).map(i64::from)
}
