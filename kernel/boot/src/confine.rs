//! The host boundary, put on before the first guest instruction: no new privileges, Landlock, seccomp.

use host::raw::call;
use host::{Errno, Result};

// Host calls of boot only; not in the host-call list, so impossible once the filter is on.
const PRCTL: i64 = 157;
const SECCOMP: i64 = 317;
const LANDLOCK_RESTRICT_SELF: i64 = 446;
const PRLIMIT64: i64 = 302;
const SETSID: i64 = 112;
const CLOSE_RANGE: i64 = 436;
const RT_SIGACTION: i64 = 13;
const RT_SIGPROCMASK: i64 = 14;
const SIGNALFD4: i64 = 289;
const EPOLL_CREATE1: i64 = 291;
const TIMERFD_CREATE: i64 = 283;
const PIDFD_OPEN: i64 = 434;

fn boot_call(nr: i64, args: &[u64]) -> Result<usize> {
    let mut a = [0; 6];
    a[..args.len()].copy_from_slice(args);
    // SAFETY: every use below passes valid pointers and touches no kernel memory.
    Errno::from_ret(unsafe { call(nr, a) })
}

/// Closes what the VMM's process may have leaked; before the first descriptors are received.
pub fn close_strays() {
    let _ = boot_call(CLOSE_RANGE, &[4, u64::from(u32::MAX), 0]);
}

/// Settings of a fresh process that every other inherits: a session of its own (the user's terminal signals are the
/// VMM's), no core files, not inspectable by others (H9), SIGPIPE ignored.
///
/// # Errors
/// The host's.
pub fn settle() -> Result<()> {
    const RLIMIT_CORE: u64 = 4;
    const RLIMIT_NOFILE: u64 = 7;
    // Fails harmlessly where the VMM made a session already.
    let _ = boot_call(SETSID, &[]);
    let none = [0u64; 2];
    boot_call(PRLIMIT64, &[0, RLIMIT_CORE, none.as_ptr() as u64, 0])?;
    let mut files = [0u64; 2];
    boot_call(PRLIMIT64, &[0, RLIMIT_NOFILE, 0, files.as_mut_ptr() as u64])?;
    files[0] = files[1];
    boot_call(PRLIMIT64, &[0, RLIMIT_NOFILE, files.as_ptr() as u64, 0])?;
    const SIGPIPE: u64 = 13;
    let ignore = [1u64, 0x0400_0000, 1, 0];
    boot_call(RT_SIGACTION, &[SIGPIPE, ignore.as_ptr() as u64, 0, 8])?;
    const PR_SET_DUMPABLE: u64 = 4;
    boot_call(PRCTL, &[PR_SET_DUMPABLE, 0, 0, 0, 0])?;
    Ok(())
}

/// Descriptors of the supervisor: epoll, the timer, SIGCHLD, and the VMM's process.
pub struct Devices {
    pub epoll: i32,
    pub timer: i32,
    pub children: i32,
    pub vmm: i32,
}

/// Makes them.
///
/// # Errors
/// The host's.
pub fn devices() -> Result<Devices> {
    const CLOEXEC: u64 = 0o2_000_000;
    const NONBLOCK: u64 = 0o4000;
    const SIGCHLD: u64 = 1 << 16;
    let mask = [SIGCHLD];
    boot_call(RT_SIGPROCMASK, &[0, mask.as_ptr() as u64, 0, 8])?;
    Ok(Devices {
        epoll: boot_call(EPOLL_CREATE1, &[CLOEXEC])? as i32,
        timer: boot_call(TIMERFD_CREATE, &[1, CLOEXEC | NONBLOCK])? as i32,
        children: boot_call(SIGNALFD4, &[u64::MAX, mask.as_ptr() as u64, 8, CLOEXEC | NONBLOCK])? as i32,
        // The VMM's death ends the VM even where somebody else keeps the channel open (H12).
        vmm: boot_call(PIDFD_OPEN, &[u64::from(host::process::getppid()), 0])? as i32,
    })
}

/// Puts on no_new_privs and Landlock (where the VMM passed a ruleset).
///
/// # Errors
/// The host's: a layer that was asked for and does not hold is an error, never silence.
pub fn restrict(landlock: Option<i32>) -> Result<()> {
    const PR_SET_NO_NEW_PRIVS: u64 = 38;
    boot_call(PRCTL, &[PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0])?;
    if let Some(fd) = landlock {
        boot_call(LANDLOCK_RESTRICT_SELF, &[fd as u64, 0])?;
    }
    Ok(())
}

/// The `mprotect` guard's own host calls.
fn guard_sites() -> alloc::vec::Vec<host::seccomp::Site> {
    const MPROTECT: u32 = 10;
    if trap::guard::in_force() != trap::guard::Guard::Mprotect {
        return alloc::vec::Vec::new();
    }
    let site = |ip: u64, prot: u32| host::seccomp::Site {
        ip: ip as u32,
        nr: MPROTECT,
        args: [abi::layout::KERNEL_BASE as u32, abi::layout::KERNEL_SIZE as u32, prot],
    };
    let (open, close) = trap::guard::mprotect::portal_sites();
    open.iter().map(|ip| site(*ip, 7)).chain(close.iter().map(|ip| site(*ip, 0))).collect()
}

/// Addresses from which the guest kernel makes host calls (`kernel.ld`).
fn kernel_code() -> core::ops::Range<u32> {
    unsafe extern "C" {
        static __portal_start: u8;
        static __text_start: u8;
        static __text_end: u8;
    }
    let start = match trap::guard::in_force() {
        trap::guard::Guard::Mprotect => &raw const __portal_start,
        _ => &raw const __text_start,
    };
    start as u32..(&raw const __text_end) as u32
}

/// Puts on the seccomp filter made from the host-call list: from here on only the list's calls are possible. It diverts the calls of
/// applications, too, where nothing else does. `traced`: under the `process` monitor.
///
/// # Errors
/// The host's.
pub fn filter(traced: bool) -> Result<()> {
    const SET_MODE_FILTER: u64 = 1;
    /// No speculation mitigation: it would slow every process of the VM and guards against other threads of the same
    /// process, which share everything anyway (seccomp(2)).
    const FLAG_SPEC_ALLOW: u64 = 4;
    let kernel = trap::monitor::by_seccomp().then(kernel_code);
    let p = host::seccomp::program(&guard_sites(), traced, kernel);
    let prog = [p.insns().len() as u64, p.insns().as_ptr() as u64];
    boot_call(SECCOMP, &[SET_MODE_FILTER, FLAG_SPEC_ALLOW, prog.as_ptr() as u64]).map(drop)
}
