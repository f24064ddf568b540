//! File locks: flock(2), and POSIX and open-file-description record locks (fcntl(2)).
//!
//! Locks hang on the inode's address: whoever holds one keeps the file, and so the inode, open.

use super::Inode;
use crate::fd::FdTable;
use crate::file::File;
use crate::wait::WaitQueue;
use crate::{Errno, Mutex, Result};
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};

/// Who holds a lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Owner {
    /// A descriptor table (a process): POSIX record locks.
    Table(usize),
    /// An open file description: OFD locks.
    File(usize),
    /// An open file description: flock. A kind of its own: the two do not see each other.
    Flock(usize),
}

impl Owner {
    #[must_use]
    pub fn table(t: &Arc<FdTable>) -> Owner {
        Owner::Table(Arc::as_ptr(t) as usize)
    }
    #[must_use]
    pub fn ofd(f: &File) -> Owner {
        Owner::File(core::ptr::from_ref(f) as usize)
    }
    #[must_use]
    pub fn flock(f: &File) -> Owner {
        Owner::Flock(core::ptr::from_ref(f) as usize)
    }
    fn same_world(self, o: Owner) -> bool {
        matches!(self, Owner::Flock(_)) == matches!(o, Owner::Flock(_))
    }
}

/// One lock, of bytes `start..=end`.
#[derive(Clone, Copy, Debug)]
pub struct Lock {
    pub owner: Owner,
    pub exclusive: bool,
    pub start: u64,
    pub end: u64,
    /// As F_GETLK reports it: -1 for OFD locks.
    pub pid: i32,
    /// The open file description that it was set through, for /proc/PID/fdinfo.
    pub via: usize,
}

impl Lock {
    /// A lock of `range`'s bytes, both ends included, set through `file`.
    #[must_use]
    pub fn new(file: &File, owner: Owner, exclusive: bool, range: (u64, u64), pid: i32) -> Lock {
        Lock { owner, exclusive, start: range.0, end: range.1, pid, via: core::ptr::from_ref(file) as usize }
    }

    fn conflicts(&self, o: &Lock) -> bool {
        self.owner.same_world(o.owner)
            && self.owner != o.owner
            && (self.exclusive || o.exclusive)
            && self.start <= o.end
            && o.start <= self.end
    }
}

/// What a lock is on, for /proc/locks.
#[derive(Clone)]
enum Target {
    /// Weak: a lock keeps no file.
    Inode(Weak<dyn Inode>),
    /// A pipe, a socket, an event object: device and inode number.
    Object(u64, u64),
}

/// The locks of one file.
struct FileLocks {
    target: Target,
    held: Vec<Lock>,
    queue: Arc<WaitQueue>,
    waiters: usize,
}

impl FileLocks {
    fn new(target: &Target) -> FileLocks {
        FILES.fetch_add(1, Ordering::SeqCst);
        FileLocks { target: target.clone(), held: Vec::new(), queue: Arc::default(), waiters: 0 }
    }
}

static LOCKS: Mutex<BTreeMap<usize, FileLocks>> = host::sync::mutex(BTreeMap::new());
/// Processes that sleep for a record lock, and what they wait for; changed under `LOCKS`.
static WAITING: Mutex<Vec<(usize, Lock)>> = host::sync::mutex(Vec::new());

/// True where sleeping for `l` would close a ring of processes that wait for one another (fcntl(2), EDEADLK). Locks of open
/// files and flocks are not looked at, as in Linux.
fn deadlock(all: &BTreeMap<usize, FileLocks>, key: usize, l: &Lock) -> bool {
    if !matches!(l.owner, Owner::Table(_)) {
        return false;
    }
    let waiting = WAITING.lock();
    let holders = |key: usize, l: &Lock| -> Vec<Owner> {
        all.get(&key).map_or(Vec::new(), |f| f.held.iter().filter(|h| h.conflicts(l)).map(|h| h.owner).collect())
    };
    let mut seen = Vec::new();
    let mut todo = holders(key, l);
    while let Some(o) = todo.pop() {
        if o == l.owner {
            return true;
        }
        if !seen.contains(&o) {
            seen.push(o);
            for (k, w) in waiting.iter().filter(|(_, w)| w.owner == o) {
                todo.extend(holders(*k, w));
            }
        }
    }
    false
}

/// Number of files with locks: closing a file looks here first.
static FILES: AtomicUsize = AtomicUsize::new(0);

/// What the file's locks are found by: its inode's address, or the numbers of a pipe or the like, of which both ends, and every
/// other way to it, are one file. Event objects are all of one inode, as on Linux.
fn key(file: &File) -> usize {
    const OBJECT: usize = 1 << 63;
    match file.inode() {
        Some(inode) if file.ops().attr(file).is_none() => Arc::as_ptr(inode).cast::<()>() as usize,
        _ => super::file_attr(file).map_or(OBJECT, |a| OBJECT | (a.dev as usize) << 56 | a.ino as usize),
    }
}

fn target(file: &File) -> Target {
    match file.inode() {
        Some(inode) if file.ops().attr(file).is_none() => Target::Inode(Arc::downgrade(inode)),
        _ => super::file_attr(file).map_or(Target::Object(0, 0), |a| Target::Object(a.dev, a.ino)),
    }
}

/// Replaces what `l.owner` holds of `l`'s range by `l`, or by nothing.
fn assign(held: &mut Vec<Lock>, l: &Lock, keep: bool) {
    let mut out = Vec::with_capacity(held.len() + 2);
    for h in held.drain(..) {
        if h.owner != l.owner || h.end < l.start || l.end < h.start {
            out.push(h);
            continue;
        }
        if h.start < l.start {
            out.push(Lock { end: l.start - 1, ..h });
        }
        if h.end > l.end {
            out.push(Lock { start: l.end + 1, ..h });
        }
    }
    if keep {
        out.push(*l);
    }
    *held = out;
}

fn tidy(all: &mut BTreeMap<usize, FileLocks>, key: usize) {
    if all.get(&key).is_some_and(|f| f.held.is_empty() && f.waiters == 0) {
        all.remove(&key);
        FILES.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Takes the lock, or says `EAGAIN`, or with `wait` sleeps for it.
///
/// # Errors
/// `EAGAIN`, `ERESTARTSYS`, `ENOLCK` for too many.
pub fn set(file: &File, l: Lock, wait: bool) -> Result<()> {
    const MAX_PER_FILE: usize = 16384;
    let (key, target) = (key(file), target(file));
    let attempt = |first: bool| -> Option<Result<Arc<WaitQueue>>> {
        let mut all = LOCKS.lock();
        let all = &mut *all;
        let ring = deadlock(all, key, &l);
        let f = all.entry(key).or_insert_with(|| FileLocks::new(&target));
        if f.held.iter().any(|h| h.conflicts(&l)) {
            if ring {
                return Some(Err(Errno::EDEADLK));
            }
            if first {
                f.waiters += 1;
                WAITING.lock().push((key, l));
                return Some(Ok(f.queue.clone()));
            }
            return None;
        }
        if f.held.len() >= MAX_PER_FILE {
            return Some(Err(Errno::ENOLCK));
        }
        assign(&mut f.held, &l, true);
        // A change to shared may let others in.
        f.queue.wake_all();
        Some(Err(Errno(0)))
    };
    let done = |r: Errno| if r == Errno(0) { Ok(()) } else { Err(r) };
    if !wait {
        let mut all = LOCKS.lock();
        if all.get(&key).is_some_and(|f| f.held.iter().any(|h| h.conflicts(&l))) {
            // flock(2): a conversion gives the old lock up before it asks for the new one.
            if matches!(l.owner, Owner::Flock(_))
                && let Some(f) = all.get_mut(&key)
            {
                assign(&mut f.held, &l, false);
                f.queue.wake_all();
                tidy(&mut all, key);
            }
            return Err(Errno::EAGAIN);
        }
        let f = all.entry(key).or_insert_with(|| FileLocks::new(&target));
        if f.held.len() >= MAX_PER_FILE {
            return Err(Errno::ENOLCK);
        }
        assign(&mut f.held, &l, true);
        f.queue.wake_all();
        return Ok(());
    }
    let queue = match attempt(true) {
        Some(Ok(q)) => q,
        Some(Err(e)) => return done(e),
        None => return Err(Errno::EAGAIN),
    };
    let r = queue.wait(|| attempt(false).map(|r| r.map(drop).or_else(done)));
    let mut all = LOCKS.lock();
    if let Some(f) = all.get_mut(&key) {
        f.waiters -= 1;
    }
    {
        let mut waiting = WAITING.lock();
        if let Some(i) = waiting.iter().position(|(k, w)| *k == key && w.owner == l.owner) {
            waiting.swap_remove(i);
        }
    }
    tidy(&mut all, key);
    r
}

/// Gives up what `owner` holds of `start..=end`.
pub fn unset(file: &File, owner: Owner, start: u64, end: u64) {
    drop_range(key(file), owner, start, end);
}

fn drop_range(key: usize, owner: Owner, start: u64, end: u64) {
    let mut all = LOCKS.lock();
    if let Some(f) = all.get_mut(&key) {
        let l = Lock { owner, exclusive: false, start, end, pid: 0, via: 0 };
        assign(&mut f.held, &l, false);
        f.queue.wake_all();
    }
    tidy(&mut all, key);
}

/// The first lock that stands in `l`'s way (F_GETLK).
#[must_use]
pub fn get(file: &File, l: &Lock) -> Option<Lock> {
    let key = key(file);
    let all = LOCKS.lock();
    all.get(&key).and_then(|f| f.held.iter().filter(|h| h.conflicts(l)).min_by_key(|h| h.start).copied())
}

/// A descriptor of `table` that referred to `file` was closed: the process's record locks on it go (fcntl(2)).
#[inline]
pub fn closed(table: &Arc<FdTable>, file: &File) {
    if FILES.load(Ordering::SeqCst) != 0 {
        drop_range(key(file), Owner::table(table), 0, u64::MAX);
    }
}

/// The open file description goes.
#[inline]
pub fn file_gone(file: &File) {
    if FILES.load(Ordering::SeqCst) != 0 {
        let key = key(file);
        drop_range(key, Owner::ofd(file), 0, u64::MAX);
        drop_range(key, Owner::flock(file), 0, u64::MAX);
    }
}

/// A lock as /proc shows it.
pub struct Shown {
    pub lock: Lock,
    /// The number of the lock in the list; a lock that somebody waits for has the number of the one in its way.
    pub number: usize,
    pub waiting: bool,
    target: Target,
}

impl Shown {
    /// Device and inode number of the file; zeros for one that is gone.
    #[must_use]
    pub fn file(&self) -> (u64, u64) {
        match &self.target {
            Target::Inode(i) => i.upgrade().and_then(|i| i.attr().ok()).map_or((0, 0), |a| (a.dev, a.ino)),
            Target::Object(dev, ino) => (*dev, *ino),
        }
    }
}

/// All locks, each followed by those that wait for it.
#[must_use]
pub fn all() -> Vec<Shown> {
    let all = LOCKS.lock();
    let waiting = WAITING.lock();
    let mut out = Vec::new();
    let mut number = 0;
    for (key, f) in all.iter() {
        // Of several in its way, a lock waits for the first.
        let mut queue: Vec<&Lock> = waiting.iter().filter(|(k, _)| k == key).map(|(_, l)| l).collect();
        for h in &f.held {
            number += 1;
            out.push(Shown { lock: *h, number, waiting: false, target: f.target.clone() });
            queue.retain(|l| {
                let here = h.conflicts(l);
                if here {
                    out.push(Shown { lock: **l, number, waiting: true, target: f.target.clone() });
                }
                !here
            });
        }
    }
    out
}

/// The locks that were set through `file` by who has `table`.
#[must_use]
pub fn through(file: &File, table: &Arc<FdTable>) -> Vec<Shown> {
    let via = core::ptr::from_ref(file) as usize;
    let own = Owner::table(table);
    let (key, target) = (key(file), target(file));
    let all = LOCKS.lock();
    let mine = |l: &&Lock| l.via == via && (l.owner == own || !matches!(l.owner, Owner::Table(_)));
    let held = all.get(&key).map_or(&[][..], |f| &f.held).iter().filter(mine).enumerate();
    let show = |(i, l): (usize, &Lock)| Shown { lock: *l, number: i + 1, waiting: false, target: target.clone() };
    held.map(show).collect()
}
