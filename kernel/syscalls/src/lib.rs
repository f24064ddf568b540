//! System calls: one table ([`table`]), one file a family. A handler decodes, checks flags, and calls `core` or a module.
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;

pub mod args;
pub mod attr;
mod cmsg;
pub mod cred;
pub mod dir;
mod epoll;
mod event;
pub mod futex;
mod futex_pi;
mod ioctl;
pub mod ioprio;
pub mod kind;
pub mod layouts;
pub mod misc;
pub mod mm;
pub mod mount;
pub mod names;
pub mod open;
mod path;
mod pipe;
mod poll;
pub mod process;
pub mod rw;
pub mod sched;
pub mod signal;
mod socket;
pub mod stat;
pub mod table;
mod time;

pub use args::Args;
pub use kind::Kind;
pub use table::{CALLS, Call, Support};
