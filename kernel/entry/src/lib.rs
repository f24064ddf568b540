//! The spine: where traps arrive and applications resume.
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;

pub mod patch;
pub mod run;
pub mod signals;
pub mod trace;
