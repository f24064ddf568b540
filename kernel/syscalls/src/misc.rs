//! Identity of the machine, limits, scheduling parameters, prctl.

use crate::Args;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering};
use core_::io::{IoBuf, Way};
use core_::task::{Cap, Process, Rlimit, TREE, rlimit, secure};
use core_::uaccess::{self, UserPtr};
use core_::{Errno, Mutex, Result, counters, current, log};

/// Release that glibc and musl accept; the version line says what it really is.
pub const RELEASE: &str = "6.6.0-lodger";
/// The version line of uname(2).
pub const VERSION: &str = concat!("#1 SMP PREEMPT_DYNAMIC lodger ", env!("CARGO_PKG_VERSION"));

static DOMAINNAME: Mutex<[u8; 65]> = host::sync::mutex([0; 65]);
pub(crate) static CPUS: AtomicU32 = AtomicU32::new(1);

/// Tells the machine's name and number of processors.
pub fn set_machine(hostname: &[u8], cpus: u32) {
    core_::procinfo::set_hostname(hostname);
    set_name(&DOMAINNAME, b"(none)");
    CPUS.store(cpus, Ordering::Relaxed);
}

fn set_name(to: &Mutex<[u8; 65]>, name: &[u8]) {
    let mut h = to.lock();
    h.fill(0);
    let n = name.len().min(64);
    h[..n].copy_from_slice(&name[..n]);
}

/// uname(2).
pub fn uname(a: &Args) -> Result<i64> {
    let mut buf = [0u8; 65 * 6];
    let mut put = |i: usize, s: &[u8]| {
        let s = &s[..s.len().min(64)];
        buf[65 * i..65 * i + s.len()].copy_from_slice(s);
    };
    put(0, b"Linux");
    put(1, &core_::procinfo::system(|s| s.hostname.clone()));
    put(2, RELEASE.as_bytes());
    put(3, VERSION.as_bytes());
    put(4, b"x86_64");
    put(5, &*DOMAINNAME.lock());
    uaccess::write_bytes(a.u64(0), &buf)?;
    Ok(0)
}

fn new_name(a: &Args) -> Result<alloc::vec::Vec<u8>> {
    if !current().cred().has(Cap::SysAdmin) {
        return Err(Errno::EPERM);
    }
    if a.u64(1) > 64 {
        return Err(Errno::EINVAL);
    }
    uaccess::read_bytes(a.u64(0), a.u64(1) as usize)
}

/// sethostname(2).
pub fn sethostname(a: &Args) -> Result<i64> {
    core_::procinfo::set_hostname(&new_name(a)?);
    Ok(0)
}

/// setdomainname(2).
pub fn setdomainname(a: &Args) -> Result<i64> {
    set_name(&DOMAINNAME, &new_name(a)?);
    Ok(0)
}

/// sysinfo(2).
pub fn sysinfo(a: &Args) -> Result<i64> {
    // As /proc/uptime; Linux rounds up. Loads have 16 bits of fraction here.
    let up = core_::load::up_ns().div_ceil(1_000_000_000);
    let [one, five, fifteen] = core_::load::averages().map(|v| v << (16 - core_::load::SHIFT));
    let core_::procinfo::Memory { total, files, free } = core_::procinfo::memory();
    let procs = TREE.lock().thread_count() as u64;
    // struct sysinfo: uptime, loads[3], totalram, freeram, sharedram, bufferram, totalswap, freeswap, procs, …, mem_unit
    let w: [u64; 14] = [up, one, five, fifteen, total, free, files, 0, 0, 0, procs, 0, 0, 1];
    UserPtr::<[u64; 14]>::new(a.u64(0)).write(w)?;
    Ok(0)
}

/// getrandom(2).
pub fn getrandom(a: &Args) -> Result<i64> {
    if a.u32(2) & !7 != 0 || a.u32(2) & 6 == 6 {
        return Err(Errno::EINVAL);
    }
    IoBuf::user(a.u64(0), a.u64(1), Way::Into)?.put_random().map(|n| n as i64)
}

/// getcpu(2).
pub fn getcpu(a: &Args) -> Result<i64> {
    let (cpu, node) = host::thread::cpu_and_node();
    UserPtr::<u32>::new(a.u64(0)).write_if(|| cpu)?;
    UserPtr::<u32>::new(a.u64(1)).write_if(|| node)?;
    Ok(0)
}

fn limits_of(pid: i32) -> Result<Arc<Process>> {
    let p = super::process::ids::by_pid(pid)?;
    let me = current();
    if p.pid != me.process.pid {
        let (mine, theirs) = (me.cred(), p.cred.lock().clone());
        let same = mine.uid == theirs.uid && mine.uid == theirs.euid && mine.uid == theirs.suid;
        if !same && !mine.has(Cap::SysResource) {
            return Err(Errno::EPERM);
        }
    }
    Ok(p)
}

fn limit_call(p: &Arc<Process>, resource: u32, new: Option<[u64; 2]>) -> Result<[u64; 2]> {
    let r = resource as usize;
    if r >= rlimit::COUNT {
        return Err(Errno::EINVAL);
    }
    let mut limits = p.rlimits.lock();
    let old = [limits[r].cur, limits[r].max];
    if let Some([cur, max]) = new {
        if cur > max {
            return Err(Errno::EINVAL);
        }
        // The VM's own ceilings (descriptors, processes) are not the guest root's to raise.
        let ceiling = matches!(r, rlimit::NOFILE | rlimit::NPROC);
        if max > old[1] && (ceiling || !current().cred().has(Cap::SysResource)) {
            return Err(Errno::EPERM);
        }
        limits[r] = Rlimit { cur, max };
        if r == rlimit::CPU {
            drop(limits);
            p.timers.lock().limit_cpu(cur, p);
        }
    }
    Ok(old)
}

/// getrlimit(2).
pub fn getrlimit(a: &Args) -> Result<i64> {
    let old = limit_call(&current().process, a.u32(0), None)?;
    UserPtr::<[u64; 2]>::new(a.u64(1)).write(old)?;
    Ok(0)
}

/// setrlimit(2).
pub fn setrlimit(a: &Args) -> Result<i64> {
    let new = UserPtr::<[u64; 2]>::new(a.u64(1)).read()?;
    limit_call(&current().process, a.u32(0), Some(new)).map(|_| 0)
}

/// prlimit64(2).
pub fn prlimit64(a: &Args) -> Result<i64> {
    let new = UserPtr::<[u64; 2]>::new(a.u64(2)).read_if()?;
    let old = limit_call(&limits_of(a.int(0))?, a.u32(1), new)?;
    UserPtr::<[u64; 2]>::new(a.u64(3)).write_if(|| old)?;
    Ok(0)
}

/// The calling process's or thread's use so far, as struct rusage lays it out.
fn usage(thread: bool) -> Result<[u64; 18]> {
    let me = current();
    let Some(s) = host::cpu::scheduler() else { return host::process::getrusage(i32::from(thread)) };
    // All guest threads are one host thread: the scheduler knows who had it. What is the guest kernel's own is not told apart.
    let ns = if thread { s.runtime_ns(me.slot()) } else { core_::time::cpu_ns(&me.process, 2)? as u64 };
    let mut w = [0; 18];
    (w[0], w[1]) = (ns / 1_000_000_000, ns % 1_000_000_000 / 1000);
    w[4] = me.process.mm.lock().as_ref().map_or(0, |mm| mm.space.lock().table.resident() * 4);
    Ok(w)
}

/// getrusage(2).
pub fn getrusage(a: &Args) -> Result<i64> {
    let w = match a.int(0) {
        // One guest process is one host process since its last execve.
        0 => usage(false)?,
        1 => usage(true)?,
        -1 => current().process.child_usage.lock().to_words(),
        _ => return Err(Errno::EINVAL),
    };
    UserPtr::<[u64; 18]>::new(a.u64(1)).write(w)?;
    Ok(0)
}

/// times(2): in ticks of 1/100 s.
pub fn times(a: &Args) -> Result<i64> {
    let w = usage(false)?;
    let tick = |s: u64, us: u64| s * 100 + us / 10_000;
    let c = *current().process.child_usage.lock();
    UserPtr::<[u64; 4]>::new(a.u64(0))
        .write_if(|| [tick(w[0], w[1]), tick(w[2], w[3]), c.utime_us / 10_000, c.stime_us / 10_000])?;
    Ok((host::time::monotonic_ns() / 10_000_000) as i64)
}

/// personality(2): only Linux's own; READ_IMPLIES_EXEC and other domains are refused (A16). Without randomisation addresses
/// are chosen as ever, but who asks finds what it asked for: ThreadSanitizer starts itself anew until it does.
pub fn personality(a: &Args) -> Result<i64> {
    const ADDR_NO_RANDOMIZE: u32 = 0x0004_0000;
    let own = &current().personality;
    match a.u32(0) {
        u32::MAX => Ok(i64::from(own.load(Ordering::Relaxed))),
        p if p & !ADDR_NO_RANDOMIZE == 0 => Ok(i64::from(own.swap(p, Ordering::Relaxed))),
        _ => Err(counters::missing(135, Errno::EINVAL)),
    }
}

/// syslog(2). A console level is accepted and of no effect: nothing is printed on a console.
pub fn syslog(a: &Args) -> Result<i64> {
    let give = |text: &[u8]| uaccess::write_bytes(a.u64(1), text).map(|()| text.len() as i64);
    let room = || match (a.u64(1), a.int(2)) {
        (0, _) | (_, i32::MIN..=-1) => Err(Errno::EINVAL),
        (_, n) => Ok(n as usize),
    };
    let (action, privileged) = (a.int(0), current().cred().has(Cap::SysAdmin));
    match action {
        3 => room().and_then(|n| give(&log::last(n, false))),
        10 => Ok(log::SIZE as i64),
        0..=9 if !privileged => Err(Errno::EPERM),
        // Where nobody has anything to say, Linux waits; readers of this log are told that it is at its end.
        2 => room().and_then(|n| give(&log::read(n))),
        4 => room().and_then(|n| give(&log::last(n, true))),
        5 => {
            log::clear();
            Ok(0)
        }
        8 if !(1..=8).contains(&a.int(2)) => Err(Errno::EINVAL),
        0 | 1 | 6..=8 => Ok(0),
        9 => Ok(log::unread() as i64),
        _ => Err(Errno::EINVAL),
    }
}

/// arch_prctl(2).
pub fn arch_prctl(a: &Args) -> Result<i64> {
    const SET_GS: u32 = 0x1001;
    const SET_FS: u32 = 0x1002;
    const GET_FS: u32 = 0x1003;
    const GET_GS: u32 = 0x1004;
    match a.u32(0) {
        SET_FS if a.u64(1) >= abi::layout::USER_MAX => Err(Errno::EPERM),
        SET_FS => {
            host::thread::set_fs_base(a.u64(1));
            Ok(0)
        }
        GET_FS => UserPtr::<u64>::new(a.u64(1)).write(host::thread::fs_base()).map(|()| 0),
        GET_GS => UserPtr::<u64>::new(a.u64(1)).write(0).map(|()| 0),
        // GS is how the gate finds the thread (A4).
        SET_GS => Err(counters::missing(158, Errno::EPERM)),
        _ => Err(Errno::EINVAL),
    }
}

/// prctl(2).
pub fn prctl(a: &Args) -> Result<i64> {
    let me = current();
    let p = &me.process;
    let rest_zero = || if a.u64(2) | a.u64(3) | a.u64(4) == 0 { Ok(()) } else { Err(Errno::EINVAL) };
    match a.int(0) {
        // PR_SET/GET_PDEATHSIG
        1 if a.u64(1) <= u64::from(core_::signal::sig::MAX) => {
            p.pdeath_signal.store(a.u32(1), Ordering::Relaxed);
            Ok(0)
        }
        2 => UserPtr::<u32>::new(a.u64(1)).write(p.pdeath_signal.load(Ordering::Relaxed)).map(|()| 0),
        3 => Ok(i64::from(p.dumpable.load(Ordering::Relaxed))),
        4 if a.u64(1) <= 1 => {
            p.dumpable.store(a.u64(1) == 1, Ordering::Relaxed);
            Ok(0)
        }
        // PR_GET/SET_KEEPCAPS
        7 => Ok(i64::from(me.cred().securebits & secure::KEEP_CAPS != 0)),
        8 if a.u64(1) <= 1 => crate::cred::set_keep_caps(a.u64(1) == 1),
        // PR_GET_TIMING, PR_SET_TIMING: there is the statistical kind only
        13 => Ok(0),
        14 if a.u64(1) == 0 => Ok(0),
        15 => {
            let name = uaccess::read_cstr(a.u64(1), 16, Errno::E2BIG)
                .or_else(|e| if e == Errno::E2BIG { uaccess::read_bytes(a.u64(1), 15) } else { Err(e) })?;
            let mut comm = [0; 16];
            comm[..name.len().min(15)].copy_from_slice(&name[..name.len().min(15)]);
            *me.comm.lock() = comm;
            Ok(0)
        }
        16 => UserPtr::<[u8; 16]>::new(a.u64(1)).write(*me.comm.lock()).map(|()| 0),
        // PR_GET_SECCOMP: guests have no filters of their own yet
        21 => Ok(0),
        // PR_CAPBSET_READ/DROP
        23 if a.u64(1) <= 40 => Ok(i64::from(me.cred().cap_bounding >> a.u64(1) & 1 != 0)),
        24 if a.u64(1) <= 40 => {
            let mut c = (*me.cred()).clone();
            if !c.has(Cap::Setpcap) {
                return Err(Errno::EPERM);
            }
            c.cap_bounding &= !(1 << a.u64(1));
            me.set_cred(Arc::new(c));
            Ok(0)
        }
        // PR_GET/SET_SECUREBITS
        27 => Ok(i64::from(me.cred().securebits)),
        28 => crate::cred::set_securebits(a.u64(1)),
        // PR_SET/GET_TIMERSLACK
        29 => {
            // Negative ones and 0 mean the default.
            me.set_timer_slack(a.i64(1).max(0) as u64);
            Ok(0)
        }
        30 => Ok(me.timer_slack() as i64),
        // PR_MCE_KILL_GET: PR_MCE_KILL_DEFAULT
        34 => {
            rest_zero()?;
            if a.u64(1) == 0 { Ok(2) } else { Err(Errno::EINVAL) }
        }
        // PR_SET/GET_CHILD_SUBREAPER
        36 => {
            p.subreaper.store(a.u64(1) != 0, Ordering::Relaxed);
            Ok(0)
        }
        37 => UserPtr::<u32>::new(a.u64(1)).write(u32::from(p.subreaper.load(Ordering::Relaxed))).map(|()| 0),
        // PR_SET/GET_NO_NEW_PRIVS
        38 if a.u64(1) == 1 => {
            rest_zero()?;
            let mut c = (*me.cred()).clone();
            c.no_new_privs = true;
            me.set_cred(Arc::new(c));
            Ok(0)
        }
        39 => {
            rest_zero()?;
            Ok(i64::from(me.cred().no_new_privs))
        }
        // PR_GET_THP_DISABLE
        42 => Ok(0),
        // PR_CAP_AMBIENT
        47 => crate::cred::ambient(a),
        // PR_SET_VMA: names of anonymous areas are not kept.
        0x5356_4d41 => Err(Errno::EINVAL),
        _ => Err(counters::missing(157, Errno::EINVAL)),
    }
}

/// reboot(2): nobody in the guest may; a machine ends when its VMM says so.
pub fn reboot(a: &Args) -> Result<i64> {
    const MAGIC: u32 = 0xfee1_dead;
    /// Birthdays, the last four that Linux takes for the second magic number.
    const MAGIC2: [u32; 4] = [672_274_793, 85_072_278, 369_367_448, 537_993_216];
    if current().cred().has(Cap::SysBoot) {
        if a.u32(0) != MAGIC || !MAGIC2.contains(&a.u32(1)) {
            return Err(Errno::EINVAL);
        }
        return Err(counters::missing(169, Errno::EPERM));
    }
    Err(Errno::EPERM)
}
