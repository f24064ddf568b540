//! Life of processes: fork, exec, exit, wait.

pub mod exec;
pub mod exit;
pub mod fork;
pub mod ids;
pub mod memory;
pub mod pidfd;
pub mod seat;
pub mod wait;
