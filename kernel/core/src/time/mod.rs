//! Timers.

/// Interval timers and POSIX timers of a process.
#[derive(Default)]
pub struct ProcessTimers {}
