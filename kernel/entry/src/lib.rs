//! The spine: where traps arrive and applications resume.
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;

pub mod displace;
pub mod inline;
pub mod run;
pub mod signals;
pub mod trace;
