//! Guest processes and threads.
//!
//! A guest process ([`Process`]) is a host process with an address space of its own; a guest thread
//! ([`Thread`]) is a host thread in it. Identity (pid, tid, parent, group, session, credentials) is the guest's
//! alone: no host number is ever shown.

mod cred;
mod life;
mod process;
mod thread;
mod tree;
mod watch;

pub use cred::{ALL_CAPS, Cap, Cred, secure};
pub use life::{
    Template, add_thread, check_user_limit, default_rlimits, exit_code, init_process, maker_gone, maker_renamed,
    new_pidfd, new_process, on_exited, on_pidfd, over_user_limit, process_exit, reap, thread_gone, try_reap_children,
};
pub use process::{Exit, IoCount, Marks, Process, Relations, Rlimit, State, Usage, rlimit};
pub use thread::{AltStack, Restart, Thread, my_cred, my_fs};
pub use tree::{Session, TREE, Tree};
pub use watch::{Event, Outside, outside, set_outside, tell, watch};

/// The calling thread.
#[inline(always)]
#[must_use]
pub fn current() -> &'static Thread {
    host::thread::current::<Thread>()
}
