//! Numbers and layouts that the guest kernel shares with Linux programs, with the host and with the VMM.
//!
//! Linux's own come from `linux-raw-sys` (generated from the kernel's headers); what is ours is here.
#![no_std]
#![forbid(unsafe_code)]

pub mod errno;
pub mod layout;
pub mod wire;

pub use errno::{Errno, Result};
pub use linux_raw_sys::general as linux;
pub use linux_raw_sys::{auxvec, elf, ioctl, net, prctl, system};
