//! Descriptors in flight (SCM_RIGHTS): how many, how deep, and the ones that nobody can receive any more.

use super::UnixSocket;
use super::inbox::{bury, burying};
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};
use core_::file::File;
use core_::net::SocketFile;
use core_::{Errno, Mutex, Result};

/// Descriptors in flight in the whole VM.
const MAX_IN_FLIGHT: usize = 16384;
/// How deep sockets may travel inside sockets (Linux MAX_RECURSION_LEVEL).
const MAX_NESTING: u32 = 4;

static IN_FLIGHT: AtomicUsize = AtomicUsize::new(0);
/// The sockets among them, by address: the file and how many times it is in flight.
static SOCKETS: Mutex<BTreeMap<usize, (Weak<File>, usize)>> = host::sync::mutex(BTreeMap::new());
/// One collection at a time.
static COLLECTING: Mutex<()> = host::sync::mutex(());

fn unix_of(file: &File) -> Option<&UnixSocket> {
    file.downcast::<SocketFile>()?.socket.as_any().downcast_ref::<UnixSocket>()
}

fn address(file: &Arc<File>) -> usize {
    Arc::as_ptr(file) as usize
}

/// Counts `files` as in flight.
///
/// # Errors
/// `ETOOMANYREFS` where there are too many already.
pub fn begin(files: &[Arc<File>]) -> Result<()> {
    if files.is_empty() {
        return Ok(());
    }
    if IN_FLIGHT.fetch_add(files.len(), Ordering::Relaxed) + files.len() > MAX_IN_FLIGHT {
        IN_FLIGHT.fetch_sub(files.len(), Ordering::Relaxed);
        return Err(Errno::ETOOMANYREFS);
    }
    for f in files.iter().filter(|f| unix_of(f).is_some()) {
        SOCKETS.lock().entry(address(f)).or_insert_with(|| (Arc::downgrade(f), 0)).1 += 1;
    }
    Ok(())
}

/// They were received or thrown away.
pub fn end(files: &[Arc<File>]) {
    if files.is_empty() {
        return;
    }
    IN_FLIGHT.fetch_sub(files.len(), Ordering::Relaxed);
    for f in files.iter().filter(|f| unix_of(f).is_some()) {
        let mut all = SOCKETS.lock();
        if let Some(e) = all.get_mut(&address(f)) {
            e.1 -= 1;
            if e.1 == 0 {
                all.remove(&address(f));
            }
        }
    }
}

/// Refuses sockets that carry sockets that carry sockets…
///
/// # Errors
/// `ETOOMANYREFS`.
pub fn check_nesting(files: &[Arc<File>]) -> Result<()> {
    if files.iter().all(|f| unix_of(f).is_none()) {
        return Ok(());
    }
    // How deep each socket was met: met again no deeper, it leads to nothing new.
    let mut met = BTreeMap::new();
    descend(files, 1, &mut met)
}

fn descend(files: &[Arc<File>], depth: u32, met: &mut BTreeMap<usize, u32>) -> Result<()> {
    if files.is_empty() {
        return Ok(());
    }
    if depth > MAX_NESTING {
        return Err(Errno::ETOOMANYREFS);
    }
    for f in files {
        let Some(s) = unix_of(f) else { continue };
        let seen = met.entry(address(f)).or_insert(0);
        if *seen >= depth {
            continue;
        }
        *seen = depth;
        let inside = s.inbox.in_flight();
        let r = descend(&inside, depth + 1, met);
        bury(inside);
        r?;
    }
    Ok(())
}

/// Frees sockets that only messages of each other hold: nobody can receive them (Linux `net/unix/garbage.c`). Called when
/// a socket is closed.
pub fn collect() {
    if burying() || SOCKETS.lock().is_empty() {
        return;
    }
    let Some(_one) = COLLECTING.try_lock() else { return };
    let all: Vec<(Arc<File>, usize)> =
        SOCKETS.lock().values().filter_map(|(w, n)| w.upgrade().map(|f| (f, *n))).collect();
    // Held by messages alone: as many owners as flights (and the one in `all`).
    let mut held: BTreeMap<usize, Suspect> = BTreeMap::new();
    for (f, n) in &all {
        if Arc::strong_count(f) == n + 1 {
            held.insert(address(f), Suspect { file: f.clone(), outside: *n, inside: Vec::new(), live: false });
        }
    }
    drop(all);
    // Of those flights, the ones that are not in a suspect's inbox keep their socket alive.
    for key in held.keys().copied().collect::<Vec<_>>() {
        let inside = held.get(&key).and_then(|s| unix_of(&s.file)).map(|s| s.inbox.in_flight()).unwrap_or_default();
        let keys: Vec<usize> = inside.iter().map(address).collect();
        bury(inside);
        for k in &keys {
            if let Some(s) = held.get_mut(k) {
                s.outside = s.outside.saturating_sub(1);
            }
        }
        if let Some(s) = held.get_mut(&key) {
            s.inside = keys;
        }
    }
    let mut live: Vec<usize> = held.iter().filter(|(_, s)| s.outside > 0).map(|(k, _)| *k).collect();
    while let Some(k) = live.pop() {
        if let Some(s) = held.get_mut(&k)
            && !s.live
        {
            s.live = true;
            live.extend(s.inside.iter().copied());
        }
    }
    let mut rubbish = Vec::new();
    for s in held.values().filter(|s| !s.live) {
        if let Some(u) = unix_of(&s.file) {
            rubbish.extend(u.inbox.empty());
        }
    }
    end(&rubbish);
    // What the suspects hold goes first, then they themselves, all without recursion.
    bury(rubbish);
    bury(held.into_values().map(|s| s.file).collect());
}

struct Suspect {
    file: Arc<File>,
    /// Flights that are in no suspect's inbox.
    outside: usize,
    /// What is in flight in its own inbox.
    inside: Vec<usize>,
    live: bool,
}
