//! The guest kernel's image: entry point, memory functions, panic, and the assembler of all modules.
#![no_std]
#![no_main]
extern crate alloc;

mod accounts;
mod auxv;
mod calibrate;
mod confine;
mod heap;
mod machine;
mod memory;
mod mounts;
mod panic;
mod runtime;
mod spawn;
mod start;
mod stats;
mod terminal;
mod tool;
mod wiring;
