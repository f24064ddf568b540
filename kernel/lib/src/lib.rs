//! Pure logic: no host calls, no globals; tested by `cargo test` on the host.
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;

pub mod accounts;
pub mod displace;
pub mod extents;
pub mod opcodes;
pub mod ranges;
#[cfg(test)]
extern crate std;

pub mod ldisc;
pub mod ring;
