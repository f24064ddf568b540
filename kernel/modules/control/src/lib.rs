//! The guest kernel's end of the control channel (docs/reference/control-protocol.md), and the host streams that
//! commands get as standard input, output and error.
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;

pub mod gate;
pub mod message;
pub mod server;
pub mod stream;
