//! What is truly tied together in the guest kernel: tasks, signals, memory, files, waiting, time.
//!
//! Modules (file systems, pipes, sockets, terminals) implement the traits of [`vfs`]; system calls drive them. The
//! order in which locks may nest is in [`ranks`].
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;

pub mod anon;
pub mod counters;
pub mod exec;
pub mod fd;
pub mod file;
pub mod io;
pub mod irq;
pub mod limits;
pub mod load;
pub mod log;
pub mod mm;
pub mod net;
pub mod procinfo;
pub mod ram;
pub mod ranks;
pub mod signal;
pub mod task;
pub mod text;
pub mod time;
pub mod uaccess;
pub mod vfs;
pub mod wait;

pub use abi::{Errno, Result};
pub use host::sync::{Mutex, MutexGuard};
pub use task::{Thread, current};
