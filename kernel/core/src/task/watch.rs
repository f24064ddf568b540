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

/// A shell outside of the guest, whose job a command is.
pub struct Outside {
    /// Whether it would continue this process, which nobody in the guest could.
    pub continues: fn(&Process) -> bool,
    /// Is told that this process has stopped. It may continue it at once.
    pub stopped: fn(&Process),
}

static OUTSIDE: Once<Outside> = Once::new();

/// Sets it.
pub fn set_outside(o: &'static Outside) {
    OUTSIDE.set(o);
}

/// What `ask` makes of it; nothing where there is none.
pub fn outside<R: Default>(ask: impl FnOnce(&Outside) -> R) -> R {
    OUTSIDE.get().map_or_else(R::default, ask)
}
