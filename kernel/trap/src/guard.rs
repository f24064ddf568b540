//! The guard: what keeps applications out of guest kernel memory. One of the three switches of the machine.

use core::sync::atomic::{AtomicU32, Ordering};

/// The guards built so far. `mprotect` (the classic machine's) comes with the classic machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Guard {
    /// Memory protection keys.
    Pkey,
    /// None: the application can reach the guest kernel's memory. The host boundary (seccomp, Landlock) holds all the
    /// same. Only for hosts without memory protection keys, and said aloud.
    None,
}

static IN_FORCE: AtomicU32 = AtomicU32::new(1);

/// The guard that this machine runs with.
#[inline(always)]
#[must_use]
pub fn in_force() -> Guard {
    if IN_FORCE.load(Ordering::Relaxed) == 0 { Guard::Pkey } else { Guard::None }
}

/// Chooses the guard; boot, before any application runs.
pub fn choose(g: Guard) {
    IN_FORCE.store(u32::from(g == Guard::None), Ordering::Relaxed);
}
