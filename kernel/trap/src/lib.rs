//! From a guest instruction to the spine and back: the gate, trap frames, host threads.
//!
//! ```text
//!                 patched site ─► stub ─► lodger_gate_* ──┐
//!  application ──                                          ├─► enter_user() returns an Exit ─► entry::run
//!                 SIGSYS, SIGSEGV, kick ─► lodger_signal_* ┘
//!       ▲                                                                                  │
//!       └─────────── exit range: jmp (fast) or XRSTOR + iretq (full) ◄── enter_user() ◄────┘
//! ```
//!
//! Ranges that matter to a host signal (see [`signal`]): in the *gate range* the interrupted code goes on; in the *exit
//! range* the exit is abandoned and started again, because all it does is read the saved context.
#![no_std]
extern crate alloc;

pub mod context;
pub mod cpu;
pub mod cpuinfo;
pub mod frame;
pub mod gate;
pub mod guard;
pub mod monitor;
pub mod sched;
pub mod signal;
pub mod thread;

pub use context::{Context, Exit, Regs};
pub use gate::enter_user;
