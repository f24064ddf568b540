//! What `--trace` is told of a thread beside its calls. Who watches is `entry`'s business; nobody does where nothing is traced.

use super::{Exit, Process, Thread};
use crate::exec::Program;
use crate::signal::SigInfo;
use host::sync::Once;

/// Something that happened to a thread.
pub enum Event<'a> {
    /// It runs a new program: the one that its execve asked for, or its first.
    Exec(&'a Program),
    /// A signal came that it ignores: it is never delivered.
    Ignored(&'a SigInfo),
    /// It has ended.
    Ended(Exit),
}

type Watcher = fn(&Thread, &Event<'_>);

static WATCHER: Once<Watcher> = Once::new();

/// Sets who is told.
pub fn watch(f: &'static Watcher) {
    WATCHER.set(f);
}

/// Tells whoever watches, called by any thread, the supervisor included.
pub fn tell(t: &Thread, event: &Event<'_>) {
    if let Some(f) = WATCHER.get() {
        f(t, event);
    }
}

type Unstopped = fn(&Process, &dyn Fn());

static ON_UNSTOPPED: Once<Unstopped> = Once::new();

/// Sets who decides about a process that SIGTSTP would stop if anybody in the guest could continue it: who can, stops it
/// with the function that comes with it.
pub fn on_unstopped(f: &'static Unstopped) {
    ON_UNSTOPPED.set(f);
}

/// Asks for the decision.
pub fn unstopped(p: &Process, stop: &dyn Fn()) {
    if let Some(f) = ON_UNSTOPPED.get() {
        f(p, stop);
    }
}
