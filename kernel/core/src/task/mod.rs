//! Guest processes and threads.
//!
//! A guest process ([`Process`]) is a host process with an address space of its own; a guest thread
//! ([`Thread`]) is a host thread in it. Identity (pid, tid, parent, group, session, credentials) is the guest's
//! alone: no host number is ever shown.

mod cred;
mod process;
mod thread;
mod tree;

pub use cred::{Cap, Cred};
pub use process::{Exit, Process, Relations, Rlimit, State, Usage, rlimit};
pub use thread::Thread;
pub use tree::{Session, TREE, Tree};

/// The calling thread.
#[inline(always)]
#[must_use]
pub fn current() -> &'static Thread {
    host::thread::current::<Thread>()
}
