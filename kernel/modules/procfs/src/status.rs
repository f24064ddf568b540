//! /proc/PID/{stat,statm,status,limits}.

use crate::process::Who;
use crate::system::HZ;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;
use core::sync::atomic::Ordering;
use core_::Result;
use core_::procinfo::{self, hooks};
use core_::signal::{Action, SigSet};
use core_::task::{Process, State, rlimit};

fn ticks(us: u64) -> u64 {
    us * HZ / 1_000_000
}

/// State letter and word.
fn state(who: &Who, p: &Process) -> (char, &'static str) {
    let c = match *p.state.lock() {
        State::Zombie | State::Dead => b'Z',
        State::Stopped(_) => b'T',
        State::Running => 0,
    };
    // Process 1 has no threads: it waits for orphans without ever running.
    let idle = if p.pid == 1 { b'S' } else { b'Z' };
    // The leader may be gone while others go on.
    let led = who.tid() != p.pid || p.pid == 1 || p.threads.lock().iter().any(|t| t.tid() == p.pid);
    let c = if c == 0 && !led { b'Z' } else { c };
    let c = if c == 0 { who.thread().map_or(idle, |t| hooks().state(&t)) } else { c };
    match c {
        b'R' => ('R', "running"),
        b'D' => ('D', "disk sleep"),
        b'T' => ('T', "stopped"),
        b'Z' => ('Z', "zombie"),
        _ => ('S', "sleeping"),
    }
}

pub fn name(who: &Who) -> Vec<u8> {
    let c = match who.thread() {
        Ok(t) => *t.comm.lock(),
        Err(_) => who.process().map_or([0; 16], |p| *p.comm.lock()),
    };
    c[..c.iter().position(|b| *b == 0).unwrap_or(c.len())].to_vec()
}

/// Pending for the thread, for the process, blocked, ignored, caught.
fn signals(who: &Who, p: &Process) -> [u64; 5] {
    let own = who.thread().map_or((0, 0), |t| (t.pending.lock().set().0, t.blocked().0));
    let shared = p.pending.lock().set().0;
    let hand = p.sighand.lock().clone();
    let (mut ignored, mut caught) = (SigSet(0).0, 0);
    for s in 1..=64 {
        match hand.action(s).handler {
            0 => {}
            h if h == Action::IGN => ignored |= 1 << (s - 1),
            _ => caught |= 1 << (s - 1),
        }
    }
    [own.0, shared, own.1, ignored, caught]
}

pub fn stat(who: &Who) -> Result<Vec<u8>> {
    let p = who.process()?;
    let (pgid, sid, ppid) = (p.pgid(), p.sid(), p.ppid());
    let (tty, tpgid) = hooks().tty(&p);
    let (utime, stime) = hooks().times(&p);
    let (own, children) = (*p.usage.lock(), *p.child_usage.lock());
    let threads = p.threads.lock().len().max(1);
    let nice = who.thread().map_or(0, |t| t.nice.load(Ordering::Relaxed));
    let start = p.start_ns.saturating_sub(procinfo::system(|s| s.boot_ns)) / 10_000_000;
    let mut m = hooks().mem(&p);
    if who.may_look().is_err() {
        // Where things are is told only to who may look; Linux says 1 for code (`do_task_stat`).
        (m.start_code, m.end_code, m.start_stack, m.places) = (1, 1, 0, [0; 7]);
    }
    let [pending, _, blocked, ignored, caught] = signals(who, &p);
    let exit = p.exit.lock().map_or(0, |e| e.0);
    let mut out = format!("{} (", who.tid()).into_bytes();
    out.extend(name(who));
    let mut s = format!(") {} {ppid} {pgid} {sid} {tty} {tpgid} 4194304", state(who, &p).0);
    // Writing to a String does not fail.
    let _ = write!(s, " {} {} {} {}", own.minflt, children.minflt, own.majflt, children.majflt);
    let _ = write!(
        s,
        " {} {} {} {} {} {nice} {threads} 0 {start}",
        ticks(utime),
        ticks(stime),
        ticks(children.utime_us),
        ticks(children.stime_us),
        20 + nice
    );
    let _ = write!(s, " {} {} {}", m.size * 4096, m.resident(), p.rlimit(rlimit::RSS));
    let _ = write!(s, " {} {} {} 0 0", m.start_code, m.end_code, m.start_stack);
    let _ = write!(s, " {pending} {blocked} {ignored} {caught} 0 0 0");
    let exit_signal = p.exit_signal.load(Ordering::Relaxed);
    let _ = write!(s, " {exit_signal} 0 0 0 0 0 0");
    for at in m.places {
        let _ = write!(s, " {at}");
    }
    let _ = writeln!(s, " {exit}");
    out.extend(s.into_bytes());
    Ok(out)
}

pub fn statm(who: &Who) -> Result<Vec<u8>> {
    let m = hooks().mem(&*who.process()?);
    Ok(format!("{} {} {} {} 0 {} 0\n", m.size, m.resident(), m.shared, m.text, m.data + m.stack).into_bytes())
}

pub fn status(who: &Who) -> Result<Vec<u8>> {
    let p = who.process()?;
    let mut out = b"Name:\t".to_vec();
    out.extend(name(who));
    let (letter, word) = state(who, &p);
    let mut s = String::new();
    let thread = who.thread().ok();
    let umask = thread.as_ref().map_or(0, |t| t.fs().umask());
    let ppid = p.ppid();
    let _ = write!(
        s,
        "\nUmask:\t{umask:04o}\nState:\t{letter} ({word})\nTgid:\t{}\nNgid:\t0\nPid:\t{}\n",
        p.pid,
        who.tid()
    );
    let _ = writeln!(s, "PPid:\t{ppid}\nTracerPid:\t0");
    let c = thread.as_ref().map_or_else(|| p.cred.lock().clone(), |t| t.cred());
    let _ = writeln!(s, "Uid:\t{}\t{}\t{}\t{}", c.uid, c.euid, c.suid, c.fsuid);
    let _ = writeln!(s, "Gid:\t{}\t{}\t{}\t{}", c.gid, c.egid, c.sgid, c.fsgid);
    let _ = write!(s, "FDSize:\t{}\nGroups:\t", thread.as_ref().map_or(0, |t| t.files().capacity()));
    for g in &c.groups {
        let _ = write!(s, "{g} ");
    }
    let _ = writeln!(s);
    let _ = writeln!(s, "NStgid:\t{}\nNSpid:\t{}\nNSpgid:\t{}\nNSsid:\t{}", p.pid, who.tid(), p.pgid(), p.sid());
    if letter != 'Z' {
        let m = hooks().mem(&p);
        let k = |pages: u64| pages * 4;
        let _ = writeln!(s, "VmPeak:\t{:>8} kB\nVmSize:\t{:>8} kB", k(m.size), k(m.size));
        let _ = writeln!(s, "VmLck:\t{:>8} kB\nVmPin:\t       0 kB", k(m.locked));
        let _ = writeln!(s, "VmHWM:\t{:>8} kB\nVmRSS:\t{:>8} kB", k(m.peak), k(m.resident()));
        let _ = writeln!(s, "RssAnon:\t{:>8} kB\nRssFile:\t{:>8} kB\nRssShmem:\t       0 kB", k(m.own), k(m.shared));
        let _ = writeln!(s, "VmData:\t{:>8} kB\nVmStk:\t{:>8} kB\nVmExe:\t{:>8} kB", k(m.data), k(m.stack), k(m.text));
        let _ = writeln!(s, "VmLib:\t{:>8} kB\nVmPTE:\t       0 kB", k(m.libraries));
        let _ = writeln!(s, "VmSwap:\t       0 kB\nHugetlbPages:\t       0 kB");
        let _ = writeln!(s, "CoreDumping:\t0\nTHP_enabled:\t1\nuntag_mask:\t0xffffffffffffffff");
    }
    let queued = core_::signal::Charge::count(p.cred.lock().uid);
    let limit = p.rlimit(rlimit::SIGPENDING);
    let _ = writeln!(s, "Threads:\t{}\nSigQ:\t{queued}/{limit}", p.threads.lock().len().max(1));
    for (label, v) in ["SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt"].iter().zip(signals(who, &p)) {
        let _ = writeln!(s, "{label}:\t{v:016x}");
    }
    if let Some(t) = &thread {
        let c = t.cred();
        for (label, v) in [
            ("CapInh", c.cap_inheritable),
            ("CapPrm", c.cap_permitted),
            ("CapEff", c.cap_effective),
            ("CapBnd", c.cap_bounding),
            ("CapAmb", c.cap_ambient),
        ] {
            let _ = writeln!(s, "{label}:\t{v:016x}");
        }
        let _ = writeln!(s, "NoNewPrivs:\t{}", u32::from(c.no_new_privs));
    }
    let cpus = procinfo::system(|s| s.cpus).clamp(1, 64);
    let mask = if cpus == 64 { u64::MAX } else { (1 << cpus) - 1 };
    let _ = writeln!(s, "Seccomp:\t0\nSeccomp_filters:\t0\nCpus_allowed:\t{mask:x}");
    let list = if cpus == 1 { String::from("0") } else { format!("0-{}", cpus - 1) };
    let _ = writeln!(s, "Cpus_allowed_list:\t{list}\nMems_allowed:\t1\nMems_allowed_list:\t0");
    let (voluntary, other) = hooks().switches(&p);
    let _ = writeln!(s, "voluntary_ctxt_switches:\t{voluntary}\nnonvoluntary_ctxt_switches:\t{other}");
    out.extend(s.into_bytes());
    Ok(out)
}

pub fn limits(who: &Who) -> Result<Vec<u8>> {
    const NAMES: [(&str, &str); rlimit::COUNT] = [
        ("Max cpu time", "seconds"),
        ("Max file size", "bytes"),
        ("Max data size", "bytes"),
        ("Max stack size", "bytes"),
        ("Max core file size", "bytes"),
        ("Max resident set", "bytes"),
        ("Max processes", "processes"),
        ("Max open files", "files"),
        ("Max locked memory", "bytes"),
        ("Max address space", "bytes"),
        ("Max file locks", "locks"),
        ("Max pending signals", "signals"),
        ("Max msgqueue size", "bytes"),
        ("Max nice priority", ""),
        ("Max realtime priority", ""),
        ("Max realtime timeout", "us"),
    ];
    let all = *who.process()?.rlimits.lock();
    let mut s = format!("{:<25} {:<20} {:<20} {:<10}\n", "Limit", "Soft Limit", "Hard Limit", "Units");
    let show = |v: u64| if v == rlimit::INFINITY { String::from("unlimited") } else { format!("{v}") };
    for ((name, unit), l) in NAMES.iter().zip(all) {
        let _ = writeln!(s, "{name:<25} {:<20} {:<20} {unit:<10}", show(l.cur), show(l.max));
    }
    Ok(s.into_bytes())
}
