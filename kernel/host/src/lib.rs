//! The one narrow interface to the host: every host call that the guest kernel can make, each with its reason.
//!
//! [`calls::TABLE`] is the list; the seccomp filter ([`seccomp`]) is generated from it, so a call that is not
//! a row there kills the VM. Nothing above this crate contains a `syscall` instruction or an integer
//! that becomes a pointer, except `trap` and `boot`.
#![no_std]
extern crate alloc;

pub mod calls;
pub mod channel;
pub mod cpu;
pub mod event;
pub mod file;
pub mod interruptible;
pub mod mem;
pub mod own;
pub mod process;
pub mod ram;
pub mod raw;
pub mod seccomp;
pub mod sync;
pub mod thread;
pub mod time;
pub mod user;
pub mod user_futex;
pub mod volume;

pub use abi::{Errno, Result};
