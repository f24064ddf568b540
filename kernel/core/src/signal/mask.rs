//! Masks that hold for the length of one call (ppoll, pselect, epoll_pwait, rt_sigsuspend), and signals to oneself.

use super::{SigInfo, SigSet};
use core::sync::atomic::Ordering;

/// Replaces the calling thread's mask until the call ends. The old mask is kept in `Thread::saved_mask`: signal delivery
/// puts it back once a handler has been set up (its frame then carries the old mask), [`restore_mask_unless`]
/// where no signal came.
pub fn set_temporary_mask(mask: SigSet) {
    let me = crate::current();
    let old = me.blocked();
    *me.saved_mask.lock() = Some(old);
    me.mask.store(mask.minus(SigSet::UNBLOCKABLE).0, Ordering::SeqCst);
    // What was blocked may be deliverable now: sleeping must not begin.
    if me.signal_pending() {
        me.work.store(true, Ordering::SeqCst);
    }
}

/// The end of a call that used [`set_temporary_mask`]: puts the old mask back unless the call was interrupted, in which
/// case delivery does it (Linux `restore_saved_sigmask_unless`).
pub fn restore_mask_unless(interrupted: bool) {
    let me = crate::current();
    if interrupted {
        me.work.store(true, Ordering::SeqCst);
        return;
    }
    if let Some(old) = me.saved_mask.lock().take() {
        me.mask.store(old.0, Ordering::SeqCst);
    }
}

/// A signal that a call of the thread brings on itself (SIGPIPE): it says that the thread's own process sent it.
#[must_use]
pub fn own_signal(signo: u32) -> SigInfo {
    let me = crate::current();
    SigInfo::user(signo, super::code::USER, me.process.pid, me.cred().uid, 0)
}

/// Sends `info` to the calling thread (SIGPIPE of a write, SIGXFSZ).
pub fn send_current(info: SigInfo) {
    let me = crate::current();
    let found = me.process.threads.lock().iter().find(|t| t.tid() == me.tid()).cloned();
    if let Some(t) = found {
        super::send_thread(&t, info);
    }
}
