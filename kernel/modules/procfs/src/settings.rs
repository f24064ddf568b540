//! The files of /proc/PID that can be written to (proc(5)).

use crate::process::Who;
use crate::status;
use alloc::format;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};
use core_::procinfo::{self, hooks};
use core_::task::Cap;
use core_::{Errno, Result, current};

fn line(v: impl core::fmt::Display) -> Vec<u8> {
    format!("{v}\n").into_bytes()
}

fn word(text: &[u8]) -> Result<&str> {
    Ok(core::str::from_utf8(text).map_err(|_| Errno::EINVAL)?.trim())
}

fn parse<T: core::str::FromStr>(text: &[u8]) -> Result<T> {
    word(text)?.parse().map_err(|_| Errno::EINVAL)
}

pub fn comm(who: &Who) -> Result<Vec<u8>> {
    who.process()?;
    let mut out = status::name(who);
    out.push(b'\n');
    Ok(out)
}

pub fn set_comm(who: &Who, text: &[u8]) -> Result<()> {
    if who.pid() != current().process.pid {
        return Err(Errno::EINVAL);
    }
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let n = text.len().min(15);
    let mut c = [0; 16];
    c[..n].copy_from_slice(&text[..n]);
    *who.thread()?.comm.lock() = c;
    Ok(())
}

const OOM_LEAST: i32 = -1000;
const OOM_MOST: i32 = 1000;
/// The scale of the old file: OOM_ADJUST_MAX, and OOM_DISABLE below it (linux/oom.h).
const OLD_MOST: i32 = 15;
const OLD_LEAST: i32 = -17;

fn adjustment(who: &Who) -> Result<i32> {
    Ok(who.process()?.marks.oom_score_adj.load(Ordering::Relaxed) as i32)
}

fn adjust(who: &Who, v: i32) -> Result<()> {
    let p = who.process()?;
    if v < p.marks.oom_score_adj.load(Ordering::Relaxed) as i32 && !current().cred().has(Cap::SysResource) {
        return Err(Errno::EACCES);
    }
    p.marks.oom_score_adj.store(v as u32, Ordering::Relaxed);
    Ok(())
}

pub fn oom_score_adj(who: &Who) -> Result<Vec<u8>> {
    adjustment(who).map(line)
}

pub fn set_oom_score_adj(who: &Who, text: &[u8]) -> Result<()> {
    let v = parse(text)?;
    if (OOM_LEAST..=OOM_MOST).contains(&v) { adjust(who, v) } else { Err(Errno::EINVAL) }
}

pub fn oom_adj(who: &Who) -> Result<Vec<u8>> {
    let v = adjustment(who)?;
    Ok(line(if v == OOM_MOST { OLD_MOST } else { v * -OLD_LEAST / OOM_MOST }))
}

pub fn set_oom_adj(who: &Who, text: &[u8]) -> Result<()> {
    let v: i32 = parse(text)?;
    if !(OLD_LEAST..=OLD_MOST).contains(&v) {
        return Err(Errno::EINVAL);
    }
    adjust(who, if v == OLD_MOST { OOM_MOST } else { v * OOM_MOST / -OLD_LEAST })
}

/// `proc_oom_score` and `oom_badness`: 0 for who is never chosen, up to 1333.
pub fn oom_score(who: &Who) -> Result<Vec<u8>> {
    let adj = i64::from(adjustment(who)?);
    if adj == i64::from(OOM_LEAST) {
        return Ok(line(0));
    }
    let total = (procinfo::memory().total / 4096).max(1) as i64;
    let pages = hooks().mem(&*who.process()?).resident() as i64 + adj * total / 1000;
    Ok(line((1000 + pages * 1000 / total) * 2 / 3))
}

pub fn coredump_filter(who: &Who) -> Result<Vec<u8>> {
    let p = who.process()?;
    let there = p.mm.lock().is_some();
    let v = p.marks.coredump_filter.load(Ordering::Relaxed);
    Ok(if there { format!("{v:08x}\n").into_bytes() } else { Vec::new() })
}

pub fn set_coredump_filter(who: &Who, text: &[u8]) -> Result<()> {
    /// `MMF_DUMP_FILTER_MASK`.
    const ALL: u32 = 0x1ff;
    let t = word(text)?;
    // As kstrtouint with base 0.
    let v = match (t.strip_prefix("0x").or_else(|| t.strip_prefix("0X")), t.strip_prefix('0')) {
        (Some(hex), _) => u32::from_str_radix(hex, 16),
        (None, Some(octal)) if !octal.is_empty() => u32::from_str_radix(octal, 8),
        _ => t.parse(),
    };
    let v = v.map_err(|_| Errno::EINVAL)?;
    who.process()?.marks.coredump_filter.store(v & ALL, Ordering::Relaxed);
    Ok(())
}

pub fn login_uid(who: &Who) -> Result<Vec<u8>> {
    Ok(format!("{}", who.process()?.marks.login_uid.load(Ordering::Relaxed)).into_bytes())
}

pub fn login_session(who: &Who) -> Result<Vec<u8>> {
    Ok(format!("{}", who.process()?.marks.login_session.load(Ordering::Relaxed)).into_bytes())
}

/// A login sets it once for all that come of it (`proc_loginuid_write`, `audit_set_loginuid`).
pub fn set_login_uid(who: &Who, text: &[u8]) -> Result<()> {
    static SESSIONS: AtomicU32 = AtomicU32::new(0);
    if !who.is_caller() {
        return Err(Errno::EPERM);
    }
    let uid = parse(text)?;
    let marks = &current().process.marks;
    let is_set = marks.login_uid.load(Ordering::Relaxed) != u32::MAX;
    if is_set && !current().cred().has(Cap::AuditControl) {
        return Err(Errno::EPERM);
    }
    let session = if uid == u32::MAX { u32::MAX } else { SESSIONS.fetch_add(1, Ordering::Relaxed) + 1 };
    marks.login_uid.store(uid, Ordering::Relaxed);
    marks.login_session.store(session, Ordering::Relaxed);
    Ok(())
}

/// There is one user namespace, whose maps are what they are.
pub fn id_map(_: &Who) -> Result<Vec<u8>> {
    Ok(b"         0          0 4294967295\n".to_vec())
}

pub fn set_id_map(_: &Who, _: &[u8]) -> Result<()> {
    Err(Errno::EPERM)
}

pub fn set_setgroups(_: &Who, text: &[u8]) -> Result<()> {
    match word(text)? {
        "allow" => Ok(()),
        "deny" => Err(Errno::EPERM),
        _ => Err(Errno::EINVAL),
    }
}

/// `EPERM` for who may not set how another process is scheduled (`timerslack_ns_write`).
fn may_schedule(who: &Who) -> Result<()> {
    let may = who.is_caller() || current().cred().has(Cap::SysNice);
    may.then_some(()).ok_or(Errno::EPERM)
}

pub fn timer_slack(who: &Who) -> Result<Vec<u8>> {
    may_schedule(who)?;
    Ok(line(who.thread()?.timer_slack()))
}

pub fn set_timer_slack(who: &Who, text: &[u8]) -> Result<()> {
    may_schedule(who)?;
    who.thread()?.set_timer_slack(parse(text)?);
    Ok(())
}
