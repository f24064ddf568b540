//! The monitor: how the guest kernel comes to see an application's system calls. One of the three switches of the machine.
//!
//! - `process`: the VMM traces the guest-machine process, stops it at each call and sends SIGUSR1 instead (`monitor/tracer.py` of
//!   the VMM).
//! - `host`: the host diverts the call within the thread and sends SIGSYS: by syscall user dispatch, or where that is missing by the
//!   seccomp filter, which knows the guest kernel's calls by where they come from ([`by_seccomp`]).
//! - `inline`: as `host`, until the site of the call has become a jump to the gate: [`stub`]; which sites do is
//!   `entry::inline`'s decision.
//!
//! What the signals become: [`crate::signal`].

use crate::guard::{self, Guard};
use abi::{layout, wire};
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use host::syscall;

pub mod stub;

/// The monitors.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Monitor {
    Inline,
    Host,
    Process,
}

static IN_FORCE: AtomicU32 = AtomicU32::new(wire::MONITOR_INLINE);

/// Chooses the monitor by its number in BOOT (boot, before any application runs); None for an unknown one.
#[must_use]
pub fn choose(number: u32) -> Option<Monitor> {
    IN_FORCE.store(number, Ordering::Relaxed);
    matches!(number, wire::MONITOR_INLINE | wire::MONITOR_HOST | wire::MONITOR_PROCESS).then(in_force)
}

/// The monitor that this machine runs with.
#[inline]
#[must_use]
pub fn in_force() -> Monitor {
    match IN_FORCE.load(Ordering::Relaxed) {
        wire::MONITOR_INLINE => Monitor::Inline,
        wire::MONITOR_HOST => Monitor::Host,
        _ => Monitor::Process,
    }
}

static BY_SECCOMP: AtomicBool = AtomicBool::new(false);

/// The seccomp filter diverts (boot).
pub fn divert_by_seccomp() {
    BY_SECCOMP.store(true, Ordering::Relaxed);
}

/// True where the seccomp filter diverts an application's calls: whatever comes from outside the guest kernel's code.
#[must_use]
pub fn by_seccomp() -> bool {
    BY_SECCOMP.load(Ordering::Relaxed)
}

/// Arms syscall user dispatch for the calling thread: from now on the selector decides, with no address range exempt.
///
/// # Panics
/// Where the host refuses.
pub fn arm() {
    if in_force() == Monitor::Process || by_seccomp() {
        return;
    }
    const PR_SET_SYSCALL_USER_DISPATCH: u64 = 59;
    let mut selector = (&raw const host::thread::trusted().selector) as u64;
    let mut exempt = 0..0;
    if guard::in_force() == Guard::Mprotect {
        // The trusted page is closed when the host looks: it reads the view. The portal's four calls are the guard's own.
        selector = selector - layout::TRUSTED_BASE + layout::TRUSTED_VIEW;
        exempt = guard::mprotect::portal();
    }
    // SAFETY: the selector is valid for as long as the thread lives.
    let ret =
        unsafe { syscall!(prctl, PR_SET_SYSCALL_USER_DISPATCH, 1, exempt.start, exempt.end - exempt.start, selector) };
    assert!(ret == 0, "syscall user dispatch: {ret}");
}
