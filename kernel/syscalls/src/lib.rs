//! System calls: one table ([`table`]), one file a family. A handler decodes, checks flags, and calls `core` or a module.
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;

pub mod args;
pub mod cred;
pub mod futex;
pub mod misc;
pub mod mm;
pub mod process;
pub mod signal;
mod cmsg;
mod epoll;
mod event;
mod pipe;
mod poll;
mod socket;
pub mod attr;
pub mod dir;
pub mod mount;
pub mod open;
mod path;
pub mod rw;
pub mod stat;
pub mod table;
mod time;

pub use args::{Args, Kind};
pub use table::{CALLS, Call, Support};
