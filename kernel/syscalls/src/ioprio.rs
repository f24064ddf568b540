//! ioprio_get(2), ioprio_set(2): kept and shown; the host schedules as it likes.

use crate::Args;
use crate::sched;
use core::sync::atomic::Ordering;
use core_::task::Cap;
use core_::{Errno, Result, current};

const PROCESS: i32 = 1;
const CLASS_SHIFT: u32 = 13;

/// getpriority(2) counts the kinds from 0.
fn kind(a: &Args) -> i32 {
    a.int(0).wrapping_sub(1)
}

/// ioprio_set(2).
pub fn ioprio_set(a: &Args) -> Result<i64> {
    let value = a.u32(2);
    let me = current().cred();
    match value >> CLASS_SHIFT {
        // No class has no level.
        0 if value != 0 => return Err(Errno::EINVAL),
        0 | 2 | 3 => {}
        // Real time.
        1 if me.has(Cap::SysNice) || me.has(Cap::SysAdmin) => {}
        1 => return Err(Errno::EPERM),
        _ => return Err(Errno::EINVAL),
    }
    for t in sched::threads(kind(a), a.int(1))? {
        let uid = t.cred().uid;
        if uid != me.euid && uid != me.uid && !me.has(Cap::SysNice) {
            return Err(Errno::EPERM);
        }
        t.ioprio.store(value, Ordering::Relaxed);
    }
    Ok(0)
}

/// ioprio_get(2): of several, the best: a class before the next one, no class last.
pub fn ioprio_get(a: &Args) -> Result<i64> {
    if (a.int(0), a.int(1)) == (PROCESS, 1) {
        // It has no thread to keep another.
        return Ok(0);
    }
    let all = sched::threads(kind(a), a.int(1))?;
    let values = all.iter().map(|t| t.ioprio.load(Ordering::Relaxed));
    // Asked of several, what has none counts as best-effort in the middle (`ioprio_best`).
    const MIDDLE: u32 = 2 << CLASS_SHIFT | 4;
    let best = if a.int(0) == PROCESS { values.min() } else { values.map(|v| if v == 0 { MIDDLE } else { v }).min() };
    best.map(i64::from).ok_or(Errno::ESRCH)
}
