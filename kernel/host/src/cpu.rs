//! Who lets guest threads run. Under `multi` spaces each guest thread is a host thread and the host schedules: nothing is
//! registered here, and sleeping is a futex. Under `remap` all guest threads share one host thread, the virtual processor, and
//! the guest kernel's own scheduler is asked instead.

use crate::sync::Once;

/// The guest kernel's scheduler (`trap::sched`).
pub trait Scheduler: Send + Sync {
    /// Takes the calling guest thread off the processor until [`Scheduler::ready`] names its slot, or until `deadline_ns`
    /// (CLOCK_MONOTONIC). May return early.
    fn block(&self, deadline_ns: Option<u64>);

    /// Makes the guest thread of `slot` runnable. From any host process of the VM.
    fn ready(&self, slot: u32);

    /// Makes the guest thread of `slot`, if it runs application code now, look for work.
    fn interrupt(&self, slot: u32);

    /// Lets others run first.
    fn yield_now(&self);

    /// True where the caller is a guest thread on the virtual processor (not the supervisor, not the idle loop).
    fn is_guest(&self) -> bool;

    /// The guest thread of `slot` runs, or waits for its turn.
    fn is_runnable(&self, slot: u32) -> bool;

    /// Nanoseconds that the guest thread of `slot` has had the processor.
    fn runtime_ns(&self, slot: u32) -> u64;
}

static SCHEDULER: Once<&'static dyn Scheduler> = Once::new();

/// Registers the scheduler; boot, before the first guest thread.
pub fn set_scheduler(s: &'static &'static dyn Scheduler) {
    SCHEDULER.set(s);
}

/// The scheduler, where the guest kernel schedules.
#[inline]
#[must_use]
pub fn scheduler() -> Option<&'static dyn Scheduler> {
    SCHEDULER.get().copied()
}

/// The scheduler, where the caller is a guest thread that it runs.
#[must_use]
pub fn guest_scheduler() -> Option<&'static dyn Scheduler> {
    scheduler().filter(|s| s.is_guest())
}

/// Lets other threads run while the caller waits for one of them.
pub fn relax() {
    match guest_scheduler() {
        Some(s) => s.yield_now(),
        None => crate::process::sched_yield(),
    }
}
