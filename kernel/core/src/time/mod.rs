//! Clocks and timers of the VM.
//!
//! Time itself is the host's. Timers live in one queue ([`Timer`]); the supervisor thread sleeps on one host timerfd that is
//! set to the earliest deadline and calls [`expire_due`]. Sleeps with a deadline (nanosleep, poll) do not use
//! the queue: the sleeping thread's futex has the time limit.

mod clock;
mod process;
mod queue;

pub use clock::{Clock, NS, cpu_ns, from_timespec, now_ns, resolution, to_monotonic, to_timespec};
pub use process::{ClockTimer, Notify, ProcessTimers, Setting};
pub use queue::{Expire, Timer, expire_due, init};

/// The process is gone: its timers too.
pub fn process_gone(p: &crate::task::Process) {
    p.timers.lock().clear();
}

/// execve: POSIX timers go, interval timers stay (execve(2)).
pub fn exec(p: &crate::task::Process) {
    p.timers.lock().exec();
}
