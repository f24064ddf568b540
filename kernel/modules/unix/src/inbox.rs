//! What was sent to a socket and not received yet, and how descriptors in it go.

use super::flight;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core_::file::File;
use core_::io::IoBuf;
use core_::task::Process;
use core_::wait::WaitQueue;
use core_::{Errno, Mutex, Result};
use lib::ring::Ring;

/// Memory that an empty inbox keeps.
const KEEP: usize = 65536;
/// Datagrams that wait at a socket before senders must wait (/proc/sys/net/unix/max_dgram_qlen).
const MAX_DATAGRAMS: usize = 10;

/// What belongs to a run of bytes.
pub struct Segment {
    len: usize,
    pub cred: [u32; 3],
    pub process: Option<Arc<Process>>,
    pub fds: Vec<Arc<File>>,
    pub from: Option<Arc<[u8]>>,
}

impl Segment {
    fn same_sender(&self, meta: &Meta) -> bool {
        self.cred == meta.cred && self.process.as_ref().map(Arc::as_ptr) == meta.process.as_ref().map(Arc::as_ptr)
    }
}

#[derive(Default)]
struct Queue {
    ring: Ring,
    segments: VecDeque<Segment>,
    closed: bool,
}

/// A receive queue.
#[derive(Default)]
pub struct Inbox {
    queue: Mutex<Queue>,
    /// Senders wait here for space.
    pub space: Arc<WaitQueue>,
}

/// Files dropped with a message. Dropping one can close a socket whose inbox holds more: they are dropped
/// one after the other by whoever came first, not one inside the other, so the depth stays bounded.
struct Grave {
    files: Vec<Arc<File>>,
    busy: bool,
}
static GRAVE: Mutex<Grave> = host::sync::mutex(Grave { files: Vec::new(), busy: false });

/// Drops files that were in flight.
pub fn bury(files: Vec<Arc<File>>) {
    if files.is_empty() {
        return;
    }
    let mut g = GRAVE.lock();
    g.files.extend(files);
    if g.busy {
        return;
    }
    g.busy = true;
    while let Some(f) = g.files.pop() {
        drop(g);
        drop(f);
        g = GRAVE.lock();
    }
    g.busy = false;
}

/// True while [`bury`] drops files: their closing needs no collection each, the one that began it makes one.
pub fn burying() -> bool {
    GRAVE.lock().busy
}

/// What goes with the bytes of one push.
pub struct Meta {
    pub cred: [u32; 3],
    /// Who `cred` names, for SO_PASSPIDFD.
    pub process: Option<Arc<Process>>,
    pub fds: Vec<Arc<File>>,
    pub from: Option<Arc<[u8]>>,
    /// SO_SNDBUF of the sender.
    pub limit: usize,
    /// Keep the boundary: datagram and sequenced packet.
    pub record: bool,
    /// Unconnected receivers have a limit of datagrams too.
    pub count: bool,
}

/// What one receive took.
#[derive(Default)]
pub struct Taken {
    pub bytes: usize,
    /// The record's full length.
    pub full: usize,
    pub cred: Option<[u32; 3]>,
    pub process: Option<Arc<Process>>,
    pub fds: Vec<Arc<File>>,
    pub from: Option<Arc<[u8]>>,
}

/// How a receive takes.
#[derive(Clone, Copy)]
pub struct How {
    pub peek: bool,
    /// With `peek`: bytes at the front that are passed over (SO_PEEK_OFF).
    pub skip: usize,
    pub record: bool,
    /// Stop where the sender changes (SO_PASSCRED).
    pub by_cred: bool,
}

impl Inbox {
    pub fn is_empty(&self) -> bool {
        self.queue.lock().segments.is_empty()
    }

    pub fn is_closed(&self) -> bool {
        self.queue.lock().closed
    }

    /// Bytes in all (`all`), or of the first record.
    pub fn readable_bytes(&self, all: bool) -> usize {
        let q = self.queue.lock();
        if all { q.ring.len() } else { q.segments.front().map_or(0, |s| s.len) }
    }

    /// Room for more by poll's measure (`unix_writable`): a quarter of the buffer is in use at most.
    pub fn has_room(&self, limit: usize, count: bool) -> bool {
        let q = self.queue.lock();
        q.closed || (q.ring.len() * 4 <= limit && !(count && q.segments.len() > MAX_DATAGRAMS))
    }

    /// Appends bytes of `src`; None where there is no room. `meta.fds` is taken with the first bytes.
    pub fn push(&self, src: &mut IoBuf, meta: &mut Meta) -> Option<Result<usize>> {
        let mut q = self.queue.lock();
        if q.closed {
            return Some(Err(if meta.count || meta.from.is_some() { Errno::ECONNREFUSED } else { Errno::EPIPE }));
        }
        let free = meta.limit.saturating_sub(q.ring.len());
        let n = if meta.record {
            let n = src.left();
            if (free < n && !q.ring.is_empty()) || (meta.count && q.segments.len() > MAX_DATAGRAMS) {
                return None;
            }
            n
        } else {
            if free == 0 {
                return None;
            }
            src.left().min(free)
        };
        if !q.ring.reserve(n) {
            return Some(Err(Errno::ENOBUFS));
        }
        let (a, b) = q.ring.spare(n);
        let first = a.len();
        let mut got = match src.take(a) {
            Ok(n) => n,
            Err(e) => return Some(Err(e)),
        };
        if got == first && !b.is_empty() {
            got += src.take(b).unwrap_or(0);
        }
        // A record is whole or not at all.
        if meta.record && got < n {
            return Some(Err(Errno::EFAULT));
        }
        q.ring.commit(got);
        match q.segments.back_mut() {
            Some(s) if !meta.record && meta.fds.is_empty() && s.fds.is_empty() && s.same_sender(meta) => s.len += got,
            _ => q.segments.push_back(Segment {
                len: got,
                cred: meta.cred,
                process: meta.process.clone(),
                fds: core::mem::take(&mut meta.fds),
                from: meta.from.clone(),
            }),
        }
        Some(Ok(got))
    }

    /// Takes from the front; None where nothing is there.
    pub fn take(&self, dst: &mut IoBuf, how: How) -> Option<Result<Taken>> {
        let mut t = Taken::default();
        let r = {
            let mut q = self.queue.lock();
            if q.segments.is_empty() || (how.skip > 0 && how.skip >= q.ring.len()) {
                return None;
            }
            let r = if how.record { q.take_record(dst, how, &mut t) } else { q.take_stream(dst, how, &mut t) };
            q.ring.shrink(KEEP);
            r
        };
        if !how.peek {
            flight::end(&t.fds);
        }
        Some(r.map(|()| t))
    }

    /// Takes the files out of all messages, which then arrive without them.
    pub fn empty(&self) -> Vec<Arc<File>> {
        self.queue.lock().segments.iter_mut().flat_map(|s| core::mem::take(&mut s.fds)).collect()
    }

    /// Drops everything; nothing more is accepted. True where something was unread.
    pub fn close(&self) -> bool {
        let mut fds = Vec::new();
        let unread = {
            let mut q = self.queue.lock();
            q.closed = true;
            let unread = !q.segments.is_empty();
            for s in q.segments.drain(..) {
                fds.extend(s.fds);
            }
            q.ring = Ring::new();
            unread
        };
        flight::end(&fds);
        bury(fds);
        unread
    }

    /// The files in flight here.
    pub fn in_flight(&self) -> Vec<Arc<File>> {
        self.queue.lock().segments.iter().flat_map(|s| s.fds.iter().cloned()).collect()
    }
}

impl Queue {
    fn copy(&self, dst: &mut IoBuf, skip: usize, max: usize) -> Result<usize> {
        let (a, b) = self.ring.range(skip, max.min(dst.left()));
        let mut n = dst.put(a)?;
        if n == a.len() && !b.is_empty() {
            n += dst.put(b).unwrap_or(0);
        }
        Ok(n)
    }

    fn take_record(&mut self, dst: &mut IoBuf, how: How, t: &mut Taken) -> Result<()> {
        // A peek begins in the record that its offset falls into.
        let (mut index, mut before) = (0, 0);
        while let Some(s) = self.segments.get(index).filter(|s| how.skip > 0 && how.skip - before >= s.len) {
            before += s.len;
            index += 1;
        }
        let Some(s) = self.segments.get(index) else { return Ok(()) };
        let skip = how.skip - before;
        (t.full, t.cred, t.from, t.process) = (s.len - skip, Some(s.cred), s.from.clone(), s.process.clone());
        let n = self.copy(dst, how.skip, t.full);
        if how.peek {
            t.fds = s.fds.clone();
        } else {
            self.ring.consume(t.full);
            t.fds = self.segments.pop_front().map(|s| s.fds).unwrap_or_default();
        }
        t.bytes = n?;
        Ok(())
    }

    /// Runs on over segments until descriptors came, the sender changes, or `dst` is full.
    fn take_stream(&mut self, dst: &mut IoBuf, how: How, t: &mut Taken) -> Result<()> {
        let (mut index, mut skip, mut inside) = (0, how.skip, how.skip);
        while let Some(s) = self.segments.get(index).filter(|s| inside > 0 && inside >= s.len) {
            inside -= s.len;
            index += 1;
        }
        while dst.left() > 0 {
            let Some(s) = self.segments.get_mut(index) else { break };
            match t.cred {
                Some(c) if how.by_cred && c != s.cred => break,
                None => (t.cred, t.process) = (Some(s.cred), s.process.clone()),
                Some(_) => {}
            }
            let len = s.len - core::mem::take(&mut inside);
            let had_fds = !s.fds.is_empty();
            let n = match self.copy(dst, skip, len) {
                Ok(n) => n,
                Err(e) if t.bytes == 0 => return Err(e),
                Err(_) => break,
            };
            t.bytes += n;
            let s = &mut self.segments[index];
            if how.peek {
                t.fds.extend(s.fds.iter().cloned());
                skip += n;
                index += 1;
            } else {
                t.fds.append(&mut s.fds);
                s.len -= n;
                self.ring.consume(n);
                if self.segments[0].len == 0 {
                    self.segments.pop_front();
                }
            }
            if had_fds || n < len {
                break;
            }
        }
        t.full = t.bytes;
        Ok(())
    }
}
