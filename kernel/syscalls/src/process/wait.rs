//! wait4, waitid (wait(2)).

use crate::Args;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use core_::signal::{SigInfo, sig};
use core_::task::{Process, State, TREE, Usage, exit_code, reap};
use core_::uaccess::{self, UserPtr};
use core_::wait::{Interrupt, wait_on};
use core_::{Errno, Result, current};

const WNOHANG: u32 = 1;
const WUNTRACED: u32 = 2;
const WEXITED: u32 = 4;
const WCONTINUED: u32 = 8;
const WNOWAIT: u32 = 0x0100_0000;
const WNOTHREAD: u32 = 0x2000_0000;
const WALL: u32 = 0x4000_0000;
const WCLONE: u32 = 0x8000_0000;

/// Which children are waited for.
#[derive(Clone)]
enum Which {
    Any,
    Pid(u32),
    Group(u32),
    Exact(Arc<Process>),
}

impl Which {
    fn matches(&self, p: &Arc<Process>) -> bool {
        match self {
            Which::Any => true,
            Which::Pid(pid) => p.pid == *pid,
            Which::Group(g) => p.pgid() == *g,
            Which::Exact(q) => Arc::ptr_eq(p, q),
        }
    }
}

/// What a wait found.
struct Found {
    process: Arc<Process>,
    /// As wait4 reports it.
    status: u32,
    code: i32,
    value: u32,
    usage: Usage,
}

/// One look at the children.
fn look(which: &Which, options: u32) -> Option<Result<Found>> {
    let me = &current().process;
    let children: Vec<Arc<Process>> = {
        let tree = TREE.lock();
        let pids = me.rel.lock().children.clone();
        pids.iter().filter_map(|c| tree.process(*c)).collect()
    };
    let mut any = false;
    for p in children {
        if !which.matches(&p) {
            continue;
        }
        let is_clone = p.exit_signal.load(Ordering::Relaxed) != sig::CHLD;
        if options & WALL == 0 && is_clone != (options & WCLONE != 0) {
            continue;
        }
        if options & WNOTHREAD != 0 && p.rel.lock().maker != current().tid() {
            continue;
        }
        any = true;
        let state = *p.state.lock();
        if state == State::Zombie && options & WEXITED != 0 {
            let status = p.exit.lock().unwrap_or(core_::task::Exit(0));
            let mut usage = *p.usage.lock();
            usage.add(&p.child_usage.lock());
            if options & WNOWAIT == 0 && !reap(&p) {
                continue;
            }
            let (code, value) = exit_code(status);
            return Some(Ok(Found { process: p, status: status.0, code, value, usage }));
        }
        let report = p.report.load(Ordering::SeqCst);
        let stopped = report & 0xff == 0x7f && options & WUNTRACED != 0;
        let continued = report == 0xffff && options & WCONTINUED != 0;
        if stopped || continued {
            if options & WNOWAIT == 0
                && p.report.compare_exchange(report, 0, Ordering::SeqCst, Ordering::SeqCst).is_err()
            {
                continue;
            }
            let (code, value) = if stopped {
                (core_::signal::code::CLD_STOPPED, report >> 8)
            } else {
                (core_::signal::code::CLD_CONTINUED, sig::CONT)
            };
            return Some(Ok(Found { process: p, status: report, code, value, usage: Usage::default() }));
        }
    }
    if !any {
        return Some(Err(Errno::ECHILD));
    }
    None
}

fn wait(which: &Which, options: u32) -> Result<Option<Found>> {
    let queue = current().process.child_wait.clone();

    wait_on(&[&queue], None, Interrupt::Signal, || match look(which, options) {
        Some(r) => Some(r.map(Some)),
        None if options & WNOHANG != 0 => Some(Ok(None)),
        None => None,
    })
}

/// wait4(2).
pub fn wait4(a: &Args) -> Result<i64> {
    let options = a.u32(2);
    if options & !(WNOHANG | WUNTRACED | WCONTINUED | WNOTHREAD | WALL | WCLONE) != 0 {
        return Err(Errno::EINVAL);
    }
    let which = match a.int(0) {
        i32::MIN => return Err(Errno::ESRCH),
        -1 => Which::Any,
        0 => Which::Group(current().process.pgid()),
        p if p < 0 => Which::Group(p.unsigned_abs()),
        p => Which::Pid(p as u32),
    };
    match wait(&which, options | WEXITED)? {
        None => Ok(0),
        Some(f) => {
            UserPtr::<u32>::new(a.u64(1)).write_if(|| f.status)?;
            UserPtr::<[u64; 18]>::new(a.u64(3)).write_if(|| f.usage.to_words())?;
            Ok(i64::from(f.process.pid))
        }
    }
}

/// waitid(2).
pub fn waitid(a: &Args) -> Result<i64> {
    let options = a.u32(3);
    if options & !(WNOHANG | WUNTRACED | WEXITED | WCONTINUED | WNOWAIT | WNOTHREAD | WALL | WCLONE) != 0
        || options & (WUNTRACED | WEXITED | WCONTINUED) == 0
    {
        return Err(Errno::EINVAL);
    }
    let id = a.int(1);
    let mut options = options;
    let which = match a.u32(0) {
        0 => Which::Any,
        1 if id > 0 => Which::Pid(id as u32),
        2 if id == 0 => Which::Group(current().process.pgid()),
        2 if id > 0 => Which::Group(id as u32),
        3 if id >= 0 => {
            let file = current().files().get(id)?;
            if file.nonblocking() {
                options |= WNOHANG;
            }
            Which::Exact(super::pidfd::process_of(&file)?)
        }
        _ => return Err(Errno::EINVAL),
    };
    let found = wait(&which, options)?;
    if found.is_none() && a.u32(0) == 3 && a.u32(3) & WNOHANG == 0 {
        return Err(Errno::EAGAIN);
    }
    if a.u64(2) != 0 {
        let bytes = match &found {
            Some(f) => SigInfo::child(f.code, f.process.pid, f.process.cred.lock().uid, f.value, 0, 0).to_bytes(),
            None => [0; 128],
        };
        // Only the fields that waitid fills: signo, errno, code, pid, uid, status.
        uaccess::write_bytes(a.u64(2), &bytes[..12])?;
        uaccess::write_bytes(a.u64(2) + 16, &bytes[16..28])?;
    }
    if let Some(f) = &found {
        UserPtr::<[u64; 18]>::new(a.u64(4)).write_if(|| f.usage.to_words())?;
    }
    Ok(0)
}
