//! epoll(7).
//!
//! Each watched file has an [`Item`]. A wake-up of the file's queue puts the item on the ready list; epoll_wait takes items
//! off it, asks each file what is true now, and puts level-triggered ones back. What a queue's waker holds ([`Ready`],
//! [`Item`]) never owns a registration, so that a wake-up can not end in unregistering under the queue's lock.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use core_::file::{File, FileOps, oflag};
use core_::wait::{Events, PollTable, WaitQueue, Waker};
use core_::{Errno, Mutex, Result};

/// Flags of `epoll_event.events` that are no events.
const EXCLUSIVE: u32 = 1 << 28;
const WAKEUP: u32 = 1 << 29;
const ONESHOT: u32 = 1 << 30;
const EDGE: u32 = 1 << 31;
const FLAGS: u32 = EXCLUSIVE | WAKEUP | ONESHOT | EDGE;
/// Not the caller's: a one-shot watch that has had its event.
const ASLEEP: u32 = 1 << 27;
/// What may be asked for together with EPOLLEXCLUSIVE (epoll_ctl(2)).
const EXCLUSIVE_OK: u32 = EXCLUSIVE | WAKEUP | EDGE | 0x1 | 0x4 | 0x8 | 0x10;
/// The most epolls in a chain (Linux EP_MAX_NESTS is 4 links).
const MAX_CHAIN: u32 = 5;
/// The most watches of one epoll (Linux: /proc/sys/fs/epoll/max_user_watches of a small machine).
const MAX_WATCHES: usize = 65536;

/// Changes of who watches whom between epolls happen one at a time, or two threads could close a loop together.
static NESTING: Mutex<()> = host::sync::mutex(());

struct Item {
    fd: i32,
    file: Weak<File>,
    /// Events and flags asked for; only flags after a one-shot event.
    wanted: AtomicU32,
    data: AtomicU64,
    /// On the ready list; changed under its lock.
    queued: AtomicBool,
}

impl Item {
    fn interest(&self) -> Events {
        let w = self.wanted.load(Ordering::Relaxed);
        // After a one-shot event the watch sleeps; otherwise errors are always told, even where nothing was asked for.
        if w & ASLEEP != 0 {
            return Events::empty();
        }
        Events::from_bits_truncate(w) | Events::ERR | Events::HUP
    }
}

/// The ready list and those who wait for it.
#[derive(Default)]
struct Ready {
    list: Mutex<VecDeque<Arc<Item>>>,
    wait: Arc<WaitQueue>,
}

impl Ready {
    fn push(&self, item: &Arc<Item>) {
        {
            let mut list = self.list.lock();
            if !item.queued.swap(true, Ordering::Relaxed) {
                list.push_back(item.clone());
            }
        }
        // Also where it was there already: to an edge-triggered watch of this epoll each event is news.
        self.wait.wake(Events::READ);
    }
}

struct ItemWaker {
    ready: Arc<Ready>,
    item: Arc<Item>,
}

impl Waker for ItemWaker {
    fn wake(&self, events: Events) {
        if events.intersects(self.item.interest()) {
            self.ready.push(&self.item);
        }
    }
}

struct Watch {
    item: Arc<Item>,
    /// The registration with the file's queues; dropping it unregisters.
    _table: PollTable,
}

/// An epoll instance.
pub struct Epoll {
    ready: Arc<Ready>,
    /// By descriptor and file: the same number can come to mean another file while a duplicate keeps the first open.
    watches: Mutex<BTreeMap<(i32, usize), Watch>>,
    /// How many epolls watch this one, one above the other; never shrinks.
    above: AtomicU32,
}

/// A new instance.
#[must_use]
pub fn new() -> Arc<File> {
    let ep = Epoll { ready: Arc::default(), watches: Mutex::default(), above: AtomicU32::new(0) };
    File::new(Arc::new(ep), oflag::RDWR)
}

/// What epoll_ctl does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Op {
    Add,
    Modify,
    Delete,
}

/// The epoll behind a file.
///
/// # Errors
/// `EINVAL`.
pub fn of(file: &File) -> Result<&Epoll> {
    file.downcast::<Epoll>().ok_or(Errno::EINVAL)
}

fn key(fd: i32, file: &Arc<File>) -> (i32, usize) {
    (fd, Arc::as_ptr(file) as usize)
}

impl Epoll {
    /// epoll_ctl(2) for descriptor `fd`, which is `file`.
    ///
    /// # Errors
    /// As in epoll_ctl(2).
    pub fn control(&self, op: Op, fd: i32, file: &Arc<File>, events: u32, data: u64) -> Result<()> {
        if !file.ops().pollable() {
            return Err(Errno::EPERM);
        }
        let target = file.downcast::<Epoll>();
        if target.is_some_and(|t| core::ptr::eq(t, self)) {
            return Err(Errno::EINVAL);
        }
        if events & EXCLUSIVE != 0
            && op != Op::Delete
            && (op == Op::Modify || target.is_some() || events & !EXCLUSIVE_OK != 0)
        {
            return Err(Errno::EINVAL);
        }
        match op {
            Op::Add => {
                let nesting = target.map(|_| NESTING.lock());
                if let Some(t) = target {
                    self.check_nesting(t)?;
                }
                let r = self.add(fd, file, events, data);
                drop(nesting);
                r
            }
            Op::Modify => self.modify(fd, file, events, data),
            Op::Delete => {
                let gone = self.watches.lock().remove(&key(fd, file)).ok_or(Errno::ENOENT)?;
                gone.item.wanted.store(ASLEEP, Ordering::Relaxed);
                drop(gone);
                Ok(())
            }
        }
    }

    fn add(&self, fd: i32, file: &Arc<File>, events: u32, data: u64) -> Result<()> {
        let item = Arc::new(Item {
            fd,
            file: Arc::downgrade(file),
            wanted: AtomicU32::new(events & !ASLEEP),
            data: AtomicU64::new(data),
            queued: AtomicBool::new(false),
        });
        let waker = Arc::new(ItemWaker { ready: self.ready.clone(), item: item.clone() });
        let mut dead = Vec::new();
        {
            let mut w = self.watches.lock();
            // Watches of closed files go when their number is used again, and in bulk when there are many.
            let full = w.len() >= MAX_WATCHES;
            let stale: Vec<_> = if full {
                w.iter().filter(|(_, v)| v.item.file.strong_count() == 0).map(|(k, _)| *k).collect()
            } else {
                let same = w.range((fd, 0)..=(fd, usize::MAX));
                same.filter(|(_, v)| v.item.file.strong_count() == 0).map(|(k, _)| *k).collect()
            };
            dead.extend(stale.iter().filter_map(|k| w.remove(k)));
            if w.contains_key(&key(fd, file)) {
                return Err(Errno::EEXIST);
            }
            if w.len() >= MAX_WATCHES {
                return Err(Errno::ENOSPC);
            }
        }
        drop(dead);
        let mut table = if events & EXCLUSIVE != 0 { PollTable::new_exclusive(waker) } else { PollTable::new(waker) };
        let now = file.ops().poll(file, Some(&mut table));
        let lost = self.watches.lock().insert(key(fd, file), Watch { item: item.clone(), _table: table });
        drop(lost);
        if now.intersects(item.interest()) {
            self.ready.push(&item);
        }
        Ok(())
    }

    fn modify(&self, fd: i32, file: &Arc<File>, events: u32, data: u64) -> Result<()> {
        let item = {
            let w = self.watches.lock();
            let item = &w.get(&key(fd, file)).ok_or(Errno::ENOENT)?.item;
            if item.wanted.load(Ordering::Relaxed) & EXCLUSIVE != 0 {
                return Err(Errno::EINVAL);
            }
            item.data.store(data, Ordering::Relaxed);
            item.wanted.store(events & !ASLEEP, Ordering::SeqCst);
            item.clone()
        };
        if file.ops().poll(file, None).intersects(item.interest()) {
            self.ready.push(&item);
        }
        Ok(())
    }

    /// `ELOOP` where watching `target` would close a loop or make the chain too long.
    fn check_nesting(&self, target: &Epoll) -> Result<()> {
        let above = self.above.load(Ordering::Relaxed) + 1;
        target.walk(self, above)?;
        target.raise(above);
        Ok(())
    }

    /// The files that are watched and are epolls themselves.
    fn below(&self) -> Vec<Arc<File>> {
        let files: Vec<Arc<File>> = self.watches.lock().values().filter_map(|w| w.item.file.upgrade()).collect();
        files.into_iter().filter(|f| f.downcast::<Epoll>().is_some()).collect()
    }

    fn walk(&self, start: &Epoll, depth: u32) -> Result<()> {
        if core::ptr::eq(self, start) || depth >= MAX_CHAIN {
            return Err(Errno::ELOOP);
        }
        for f in self.below() {
            of(&f)?.walk(start, depth + 1)?;
        }
        Ok(())
    }

    fn raise(&self, above: u32) {
        // `walk` has bounded the depth.
        if self.above.fetch_max(above, Ordering::Relaxed) >= above {
            return;
        }
        for f in self.below() {
            if let Ok(e) = of(&f) {
                e.raise(above + 1);
            }
        }
    }

    /// Takes up to `max` events that are true now: (events, data).
    pub fn collect(&self, max: usize) -> Vec<(u32, u64)> {
        let mut out = Vec::new();
        let mut again = Vec::new();
        // Items that come in while this runs wait for the next call: one round over what is there now.
        let mut left = self.ready.list.lock().len();
        while left > 0 && out.len() < max {
            left -= 1;
            let Some(item) = self.pop() else { break };
            let Some(file) = item.file.upgrade() else {
                self.forget(&item);
                continue;
            };
            let ev = file.ops().poll(&file, None) & item.interest();
            drop(file);
            if ev.is_empty() {
                continue;
            }
            out.push((ev.bits(), item.data.load(Ordering::Relaxed)));
            let wanted = item.wanted.load(Ordering::Relaxed);
            if wanted & ONESHOT != 0 {
                let _ =
                    item.wanted.compare_exchange(wanted, wanted & FLAGS | ASLEEP, Ordering::SeqCst, Ordering::Relaxed);
            } else if wanted & EDGE == 0 {
                again.push(item);
            }
        }
        if !again.is_empty() {
            let mut list = self.ready.list.lock();
            for item in again {
                if !item.queued.swap(true, Ordering::Relaxed) {
                    list.push_back(item);
                }
            }
            drop(list);
            // Another waiter may have found the list empty meanwhile (Linux `ep_done_scan`).
            self.ready.wait.wake(Events::READ);
        }
        out
    }

    fn pop(&self) -> Option<Arc<Item>> {
        let mut list = self.ready.list.lock();
        let item = list.pop_front()?;
        item.queued.store(false, Ordering::Relaxed);
        Some(item)
    }

    /// The file of `item` is closed: its watch goes.
    fn forget(&self, item: &Arc<Item>) {
        let gone = {
            let mut w = self.watches.lock();
            let range = (item.fd, 0)..=(item.fd, usize::MAX);
            let k = w.range(range).find(|(_, v)| Arc::ptr_eq(&v.item, item)).map(|(k, _)| *k);
            k.and_then(|k| w.remove(&k))
        };
        drop(gone);
    }

    /// epoll_wait(2): `deadline_ns` is CLOCK_MONOTONIC, None waits for ever, 0 does not wait.
    ///
    /// # Errors
    /// `EINTR`.
    pub fn wait(&self, max: usize, deadline_ns: Option<u64>) -> Result<Vec<(u32, u64)>> {
        let ready = || {
            let v = self.collect(max);
            (!v.is_empty()).then_some(Ok(v))
        };
        if deadline_ns == Some(0) {
            return Ok(self.collect(max));
        }
        match core_::wait::wait_on(&[&self.ready.wait], deadline_ns, core_::wait::Interrupt::Signal, ready) {
            Err(Errno::ETIMEDOUT) => Ok(Vec::new()),
            // Never restarted, not even with SA_RESTART (signal(7)).
            Err(Errno::ERESTARTSYS) => Err(Errno::EINTR),
            r => r,
        }
    }
}

impl FileOps for Epoll {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn poll(&self, _file: &File, table: Option<&mut PollTable>) -> Events {
        if let Some(t) = table {
            t.add(&self.ready.wait);
        }
        // Readable where an item is truly ready; those that are not any more leave the list. The depth of
        // nested calls is bounded by `check_nesting`.
        let mut left = self.ready.list.lock().len();
        while left > 0 {
            left -= 1;
            let Some(item) = self.pop() else { break };
            let Some(file) = item.file.upgrade() else {
                self.forget(&item);
                continue;
            };
            let ev = file.ops().poll(&file, None) & item.interest();
            drop(file);
            if !ev.is_empty() {
                let mut list = self.ready.list.lock();
                if !item.queued.swap(true, Ordering::Relaxed) {
                    list.push_front(item);
                }
                return Events::READ;
            }
        }
        Events::empty()
    }

    fn seek(&self, _file: &File, _off: i64, _whence: u32) -> Result<u64> {
        Ok(0) // noop_llseek
    }

    fn link_text(&self, _file: &File) -> Option<Vec<u8>> {
        Some(b"anon_inode:[eventpoll]".to_vec())
    }

    fn fdinfo(&self, _file: &File) -> Vec<u8> {
        let w = self.watches.lock();
        w.values()
            .flat_map(|w| {
                let (fd, ev, data) =
                    (w.item.fd, w.item.wanted.load(Ordering::Relaxed), w.item.data.load(Ordering::Relaxed));
                alloc::format!("tfd: {fd:8} events: {ev:8x} data: {data:16x}\n").into_bytes()
            })
            .collect()
    }

    fn release(&self, _file: &File) {
        let all = core::mem::take(&mut *self.watches.lock());
        drop(all);
        self.ready.list.lock().clear();
    }
}
