//! Interrupts: host descriptors that become ready while nobody runs. The supervisor waits for them in one epoll and calls
//! the handler.

use crate::{Errno, Mutex, Result};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicI32, AtomicU64, Ordering};

/// Who hears of a descriptor. Called on the supervisor's thread.
pub trait Handler: Send + Sync {
    /// `events` as epoll(7) numbers them.
    fn ready(&self, events: u32);
}

static EPOLL: AtomicI32 = AtomicI32::new(-1);
static NEXT: AtomicU64 = AtomicU64::new(1);
static HANDLERS: Mutex<BTreeMap<u64, Arc<dyn Handler>>> = host::sync::mutex(BTreeMap::new());

/// Tells the supervisor's epoll descriptor.
pub fn init(epfd: i32) {
    EPOLL.store(epfd, Ordering::Relaxed);
}

/// A registered descriptor; ends when dropped.
pub struct Line {
    id: u64,
    fd: i32,
}

impl Line {
    /// Watches host descriptor `fd`; nothing is reported before [`Line::arm`].
    ///
    /// # Errors
    /// `EPERM` for a file that is always ready (regular files).
    pub fn new(fd: i32, handler: Arc<dyn Handler>) -> Result<Line> {
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        HANDLERS.lock().insert(id, handler);
        match host::event::add(EPOLL.load(Ordering::Relaxed), fd, host::event::ONESHOT, id) {
            Ok(()) => Ok(Line { id, fd }),
            Err(e) => {
                HANDLERS.lock().remove(&id);
                Err(e)
            }
        }
    }

    /// Asks to be called once when one of `events` is true.
    ///
    /// # Errors
    /// The host's.
    pub fn arm(&self, events: u32) -> Result<()> {
        host::event::modify(EPOLL.load(Ordering::Relaxed), self.fd, events | host::event::ONESHOT, self.id)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let _ = host::event::remove(EPOLL.load(Ordering::Relaxed), self.fd);
        HANDLERS.lock().remove(&self.id);
    }
}

/// Calls the handler of an event.
pub fn dispatch(id: u64, events: u32) {
    let h = HANDLERS.lock().get(&id).cloned();
    if let Some(h) = h {
        h.ready(events);
    }
}

/// The supervisor's loop body: waits and dispatches.
///
/// # Errors
/// The host's, but not `EINTR`.
pub fn wait_and_dispatch(timeout_ms: i32) -> Result<()> {
    let mut events = [host::event::Event::default(); 32];
    match host::event::wait(EPOLL.load(Ordering::Relaxed), &mut events, timeout_ms) {
        Ok(n) => {
            for e in &events[..n] {
                dispatch(e.data, e.events);
            }
            Ok(())
        }
        Err(Errno::EINTR) => Ok(()),
        Err(e) => Err(e),
    }
}
