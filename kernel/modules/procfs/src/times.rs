//! /proc/PID/{timers,schedstat}.

use crate::process::Who;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;
use core_::Result;
use core_::procinfo::hooks;

/// The timers of timer_create(2) (`show_timer` in fs/proc/base.c).
pub fn timers(who: &Who) -> Result<Vec<u8>> {
    let p = who.looked_into()?;
    let mut out = String::new();
    let all = p.timers.lock().all();
    // The newest first.
    for t in all.iter().rev() {
        let (signo, value, thread) = t.notification();
        let how = if signo == 0 { "none" } else { "signal" };
        let whose = thread.map_or_else(|| format!("pid.{}", p.pid), |t| format!("tid.{}", t.tid()));
        // Writing to a String does not fail.
        let _ = writeln!(out, "ID: {}\nsignal: {signo}/{value:016x}\nnotify: {how}/{whose}", t.id());
        let _ = writeln!(out, "ClockID: {}", t.clock().id_for(p.pid));
    }
    Ok(out.into_bytes())
}

/// Nanoseconds on a processor, nanoseconds of waiting for one (the host's, not known), and turns.
pub fn schedstat(who: &Who) -> Result<Vec<u8>> {
    let p = who.process()?;
    let (user, system) = hooks().times(&p);
    let (voluntary, other) = hooks().switches(&p);
    Ok(format!("{} 0 {}\n", (user + system) * 1000, voluntary + other).into_bytes())
}
