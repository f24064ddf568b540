//! Out of memory: who is killed for a page that was promised and can not be had.
//!
//! As on Linux not whoever touches it, but the process whose end gives most back; `oom_score_adj` (proc(5)) moves that. What counts is
//! what it has committed for itself: that is what is scarce.

use super::{FaultResult, limit};
use crate::Mutex;
use crate::limits::{Refused, note_for};
use crate::signal::{SigInfo, code, send_process, sig};
use crate::task::{Process, TREE};
use alloc::string::String;
use alloc::sync::{Arc, Weak};
use core::sync::atomic::{AtomicU32, Ordering};

/// Who was killed last, and when: nanoseconds of CLOCK_MONOTONIC. Held while the next one is chosen.
static LAST: Mutex<(Weak<Process>, u64)> = host::sync::mutex((Weak::new(), 0));
/// How long a process may take to end before another has to.
const PATIENCE: u64 = 1_000_000_000;
const NAP: u64 = 1_000_000;

/// What the end of `p` would give back, moved by its `oom_score_adj`; None where it may not be killed.
fn badness(p: &Process) -> Option<i64> {
    let mm = p.mm.lock().clone()?;
    let adj = i64::from(p.marks.oom_score_adj.load(Ordering::Relaxed) as i32);
    let bytes = mm.space.lock().areas.charged() as i64;
    (adj > -1000 && !p.is_exiting()).then(|| bytes.saturating_add((limit() / 1000) as i64 * adj))
}

/// Makes room for the caller's touch, or kills the caller; no locks are held.
pub(crate) fn fault() -> FaultResult {
    const SELF: FaultResult = FaultResult::Signal(sig::KILL, code::KERNEL);
    let me = &crate::current().process;
    let now = host::time::monotonic_ns();
    let Some(mut last) = LAST.try_lock() else { return nap(now) };
    if let Some(p) = last.0.upgrade()
        && now.saturating_sub(last.1) < PATIENCE
        && p.mm.lock().is_some()
    {
        drop(last);
        // Its memory comes in a moment.
        return if Arc::ptr_eq(&p, me) { SELF } else { nap(now) };
    }
    let all = TREE.lock().all();
    let worst = all.into_iter().filter_map(|p| Some((badness(&p)?, p))).max_by_key(|(n, _)| *n);
    let victim = worst.map_or_else(|| me.clone(), |(_, p)| p);
    *last = (Arc::downgrade(&victim), now);
    drop(last);
    note_for(victim.origin, Refused::Memory);
    let comm = victim.threads.lock().first().map_or([0; 16], |t| *t.comm.lock());
    let name = String::from_utf8_lossy(&comm);
    let name = name.trim_end_matches('\0');
    crate::log::line(3, format_args!("Out of memory: Killed process {} ({name})", victim.pid));
    // Who has the same memory goes, too: else nothing comes free (`__oom_kill_process`).
    let memory = victim.mm.lock().clone();
    let same = |p: &Arc<Process>| match (&*p.mm.lock(), &memory) {
        (Some(a), Some(b)) => Arc::ptr_eq(a, b),
        _ => false,
    };
    let all = TREE.lock().all();
    for p in all.iter().filter(|p| !Arc::ptr_eq(p, me) && (Arc::ptr_eq(p, &victim) || same(p))) {
        send_process(p, SigInfo::fault(sig::KILL, code::KERNEL, 0));
    }
    if Arc::ptr_eq(&victim, me) || same(me) { SELF } else { FaultResult::Retry }
}

/// The caller tries again in a moment.
fn nap(now: u64) -> FaultResult {
    host::sync::futex_wait(&AtomicU32::new(0), 0, Some(now + NAP));
    FaultResult::Retry
}
