//! Timers.

/// Interval timers and POSIX timers of a process.
#[derive(Default)]
pub struct ProcessTimers {}

/// The process is gone: its timers too.
pub fn process_gone(_p: &crate::task::Process) {}

/// execve: POSIX timers go, interval timers stay (execve(2)).
pub fn exec(_p: &crate::task::Process) {}
