//! The guard: what keeps applications out of guest kernel memory. One of the three switches of the machine.

pub mod mprotect;
pub mod none;
pub mod pkey;

use core::sync::atomic::{AtomicU32, Ordering};

/// The guards.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Guard {
    /// Memory protection keys.
    Pkey,
    /// None: the application can reach the guest kernel's memory. The host boundary (seccomp, Landlock) holds all the
    /// same. Only for hosts without memory protection keys, and said aloud.
    None,
    /// The classic machine's: mprotect(2) of the whole region at each switch between guest kernel and application.
    Mprotect,
}

static IN_FORCE: AtomicU32 = AtomicU32::new(1);

/// The guard that this machine runs with.
#[inline(always)]
#[must_use]
pub fn in_force() -> Guard {
    match IN_FORCE.load(Ordering::Relaxed) {
        0 => Guard::Pkey,
        1 => Guard::None,
        _ => Guard::Mprotect,
    }
}

/// Chooses the guard; boot, before any application runs.
pub fn choose(g: Guard) {
    let n = match g {
        Guard::Pkey => 0,
        Guard::None => 1,
        Guard::Mprotect => 2,
    };
    IN_FORCE.store(n, Ordering::Relaxed);
}

/// Whether the guard was open where a signal came, as far as the frame can tell: true but under `pkey`.
pub(crate) fn was_open(uc: &crate::signal::UContext) -> bool {
    in_force() != Guard::Pkey || pkey::was_open(uc)
}
