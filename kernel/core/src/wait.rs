//! Sleeping until something happens, and being told about it.
//!
//! A [`WaitQueue`] belongs to each thing that can be waited for. Sleepers register, look at their condition, and park;
//! whoever changes the condition calls [`WaitQueue::wake`]. Pollers (poll, epoll) register a [`Waker`] instead
//! of a thread. There is no lost wake-up: registration comes before the condition is looked at.

use crate::{Errno, Mutex, Result};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use host::sync::Parker;

bitflags::bitflags! {
    /// Readiness, with poll(2)'s and epoll(7)'s numbers.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct Events: u32 {
        const IN = 0x1;
        const PRI = 0x2;
        const OUT = 0x4;
        const ERR = 0x8;
        const HUP = 0x10;
        const NVAL = 0x20;
        const RDNORM = 0x40;
        const RDBAND = 0x80;
        const WRNORM = 0x100;
        const WRBAND = 0x200;
        const RDHUP = 0x2000;
    }
}

impl Events {
    /// Readable, as every ordinary file object reports it.
    pub const READ: Events = Events::IN.union(Events::RDNORM);
    /// Writable.
    pub const WRITE: Events = Events::OUT.union(Events::WRNORM);
}

/// Somebody who wants to be told, without being a sleeping thread: epoll.
pub trait Waker: Send + Sync {
    /// `events` may have become true. Called with the queue's lock held: must not sleep nor take locks
    /// of rank 5 or lower (see [`crate::ranks`]).
    fn wake(&self, events: Events);
}

enum Target {
    Thread(Arc<Parker>),
    Waker(Arc<dyn Waker>),
}

struct Entry {
    id: u64,
    exclusive: bool,
    target: Target,
}

/// A queue of those who wait for one thing.
#[derive(Default)]
pub struct WaitQueue {
    /// Number of entries, readable without the lock: waking nobody costs one load.
    len: AtomicU32,
    entries: Mutex<Vec<Entry>>,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

impl WaitQueue {
    #[must_use]
    pub fn new() -> WaitQueue {
        WaitQueue::default()
    }

    fn register(&self, target: Target, exclusive: bool) -> u64 {
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        let mut entries = self.entries.lock();
        entries.push(Entry { id, exclusive, target });
        self.len.store(entries.len() as u32, Ordering::SeqCst);
        id
    }

    fn unregister(&self, id: u64) {
        let mut entries = self.entries.lock();
        if let Some(i) = entries.iter().position(|e| e.id == id) {
            entries.remove(i);
        }
        self.len.store(entries.len() as u32, Ordering::SeqCst);
    }

    /// Registers a [`Waker`]; it stays until the returned id is passed to [`WaitQueue::remove_waker`].
    pub fn add_waker(&self, waker: Arc<dyn Waker>) -> u64 {
        self.register(Target::Waker(waker), false)
    }

    /// As [`WaitQueue::add_waker`]; of several exclusive entries one is told (EPOLLEXCLUSIVE).
    pub fn add_exclusive_waker(&self, waker: Arc<dyn Waker>) -> u64 {
        self.register(Target::Waker(waker), true)
    }

    pub fn remove_waker(&self, id: u64) {
        self.unregister(id);
    }

    /// Wakes all who wait (of exclusive sleepers: one). The change of the condition must come before, with the
    /// object's lock or a SeqCst operation.
    pub fn wake(&self, events: Events) {
        self.wake_n(events, 1);
    }

    /// Wakes everybody, exclusive sleepers too.
    pub fn wake_all(&self) {
        self.wake_n(Events::all(), usize::MAX);
    }

    fn wake_n(&self, events: Events, mut exclusive: usize) {
        core::sync::atomic::fence(Ordering::SeqCst);
        if self.len.load(Ordering::Relaxed) == 0 {
            return;
        }
        // A woken thread takes the queue's lock to leave: it is woken after the lock is free, as far as there is room.
        let mut later: [Option<Arc<Parker>>; 4] = [const { None }; 4];
        let mut n = 0;
        let entries = self.entries.lock();
        for e in entries.iter() {
            if e.exclusive {
                if exclusive == 0 {
                    continue;
                }
                exclusive -= 1;
            }
            match &e.target {
                Target::Thread(p) if n < later.len() => {
                    later[n] = Some(p.clone());
                    n += 1;
                }
                Target::Thread(p) => p.unpark(),
                Target::Waker(w) => w.wake(events),
            }
        }
        drop(entries);
        for p in later.iter().flatten() {
            p.unpark();
        }
    }

    /// True where nobody waits: lets a caller skip work that only a sleeper would see.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        core::sync::atomic::fence(Ordering::SeqCst);
        self.len.load(Ordering::Relaxed) == 0
    }
}

/// How a sleep may end early.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Interrupt {
    /// By any signal that has something to do.
    Signal,
    /// Only by the end of the process.
    Killable,
}

/// Sleeps until `cond` gives a value. `deadline_ns` is CLOCK_MONOTONIC.
///
/// # Errors
/// `ERESTARTSYS` when a signal is pending, `ETIMEDOUT` when the time is over; what `cond` returns.
pub fn wait_on<T>(
    queues: &[&WaitQueue],
    deadline_ns: Option<u64>,
    how: Interrupt,
    mut cond: impl FnMut() -> Option<Result<T>>,
) -> Result<T> {
    if let Some(r) = cond() {
        return r;
    }
    let me = crate::current();
    // The usual one or two queues need no allocation.
    let mut few = [0u64; 4];
    let mut many = Vec::new();
    let ids: &mut [u64] = if queues.len() <= few.len() {
        &mut few[..queues.len()]
    } else {
        many.resize(queues.len(), 0);
        &mut many
    };
    for (id, q) in ids.iter_mut().zip(queues) {
        *id = q.register(Target::Thread(me.parker.clone()), false);
    }
    let result = loop {
        if let Some(r) = cond() {
            break r;
        }
        if me.interrupted(how) {
            break Err(Errno::ERESTARTSYS);
        }
        if !me.park(deadline_ns) {
            break cond().unwrap_or(Err(Errno::ETIMEDOUT));
        }
    };
    for (q, id) in queues.iter().zip(ids) {
        q.unregister(*id);
    }
    result
}

impl WaitQueue {
    /// [`wait_on`] for one queue, interruptible, without a time limit.
    ///
    /// # Errors
    /// As [`wait_on`].
    pub fn wait<T>(&self, cond: impl FnMut() -> Option<Result<T>>) -> Result<T> {
        wait_on(&[self], None, Interrupt::Signal, cond)
    }
}

/// Passed to `FileOps::poll` by somebody who wants to hear of changes: each queue that the file's readiness
/// depends on is added.
pub struct PollTable {
    waker: Arc<dyn Waker>,
    exclusive: bool,
    registered: Vec<(Arc<WaitQueue>, u64)>,
}

impl PollTable {
    #[must_use]
    pub fn new(waker: Arc<dyn Waker>) -> PollTable {
        PollTable { waker, exclusive: false, registered: Vec::new() }
    }

    /// As [`PollTable::new`], for exclusive registrations.
    #[must_use]
    pub fn new_exclusive(waker: Arc<dyn Waker>) -> PollTable {
        PollTable { waker, exclusive: true, registered: Vec::new() }
    }

    /// Registers with `queue`.
    pub fn add(&mut self, queue: &Arc<WaitQueue>) {
        let waker = self.waker.clone();
        let id = if self.exclusive { queue.add_exclusive_waker(waker) } else { queue.add_waker(waker) };
        self.registered.push((queue.clone(), id));
    }

    /// Forgets all registrations.
    pub fn clear(&mut self) {
        for (q, id) in self.registered.drain(..) {
            q.remove_waker(id);
        }
    }
}

impl Drop for PollTable {
    fn drop(&mut self) {
        self.clear();
    }
}

/// A waker that unparks a thread: for poll(2) and select(2).
pub struct ThreadWaker(pub Arc<Parker>);

impl Waker for ThreadWaker {
    fn wake(&self, _events: Events) {
        self.0.unpark();
    }
}
