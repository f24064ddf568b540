//! The timer queue of the VM.

use crate::Mutex;
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

/// What a timer does when its time has come.
pub trait Expire: Send + Sync {
    /// Called by the supervisor thread without any lock; `now_ns` is CLOCK_MONOTONIC. May arm the timer again.
    fn expire(&self, now_ns: u64);
}

struct Queue {
    /// Host timer descriptor, -1 before [`init`].
    fd: i32,
    /// What the host timer is set to; `u64::MAX` when it is not.
    programmed: u64,
    due: BTreeMap<(u64, u64), Weak<dyn Expire>>,
}

static QUEUE: Mutex<Queue> = host::sync::mutex(Queue { fd: -1, programmed: u64::MAX, due: BTreeMap::new() });
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

impl Queue {
    /// Sets the host timer for the earliest deadline. With `force` also where it is set to an earlier one.
    fn program(&mut self, force: bool) {
        let first = self.due.first_key_value().map_or(u64::MAX, |(k, _)| k.0);
        // An earlier setting is left: one early wake-up is cheaper than a host call for each cancelled timer.
        if self.fd >= 0 && (first < self.programmed || (force && first != self.programmed)) {
            self.programmed = first;
            // The descriptor is the kernel's own and open for the VM's life.
            let _ = host::time::timerfd_set(self.fd, (first != u64::MAX).then_some(first));
        }
    }
}

/// Boot passes the host timer descriptor (CLOCK_MONOTONIC) on which the supervisor waits.
pub fn init(timerfd: i32) {
    let mut q = QUEUE.lock();
    q.fd = timerfd;
    q.program(true);
}

/// The supervisor saw the host timer fire: runs what is due. The descriptor need not be read: setting it again
/// makes it unreadable.
pub fn expire_due() {
    QUEUE.lock().programmed = u64::MAX;
    loop {
        let now = host::time::monotonic_ns();
        let mut fire: Vec<Arc<dyn Expire>> = Vec::new();
        {
            let mut q = QUEUE.lock();
            while let Some(e) = q.due.first_entry() {
                if e.key().0 > now {
                    break;
                }
                fire.extend(e.remove().upgrade());
            }
            if fire.is_empty() {
                q.programmed = 0;
                q.program(true);
                return;
            }
        }
        for t in fire {
            t.expire(now);
        }
    }
}

/// A place in the queue. Disarmed when dropped.
pub struct Timer {
    id: u64,
    /// Deadline in the queue, 0 when not armed; changed under the queue's lock.
    at: AtomicU64,
}

impl Default for Timer {
    fn default() -> Self {
        Timer::new()
    }
}

impl Timer {
    #[must_use]
    pub fn new() -> Timer {
        Timer { id: NEXT_ID.fetch_add(1, Ordering::Relaxed), at: AtomicU64::new(0) }
    }

    /// Calls `target` at `deadline_ns` (CLOCK_MONOTONIC), instead of what was armed before.
    pub fn arm(&self, deadline_ns: u64, target: Weak<dyn Expire>) {
        let deadline = deadline_ns.max(1);
        let mut q = QUEUE.lock();
        let old = self.at.swap(deadline, Ordering::Relaxed);
        let _ = q.due.remove(&(old, self.id));
        q.due.insert((deadline, self.id), target);
        q.program(false);
    }

    pub fn disarm(&self) {
        let mut q = QUEUE.lock();
        let old = self.at.swap(0, Ordering::Relaxed);
        // Dropped after the lock: a weak reference frees memory only.
        let gone = q.due.remove(&(old, self.id));
        drop(q);
        drop(gone);
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        if self.at.load(Ordering::Relaxed) != 0 {
            self.disarm();
        }
    }
}
