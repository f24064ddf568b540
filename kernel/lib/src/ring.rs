//! A byte ring that grows up to what its user allows: the store behind pipes and sockets.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};

/// What all rings together may hold: applications fill them, and the kernel's heap has other users (A17).
const MAX_HELD: usize = 256 << 20;
static HELD: AtomicUsize = AtomicUsize::new(0);

/// Bytes, first in first out. Memory grows by doubling and stays until the ring is dropped or emptied by
/// [`Ring::shrink`]: a ring in steady use never allocates.
#[derive(Default)]
pub struct Ring {
    buf: Vec<u8>,
    head: usize,
    len: usize,
}

impl Ring {
    #[must_use]
    pub const fn new() -> Ring {
        Ring { buf: Vec::new(), head: 0, len: 0 }
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Makes room for `more` bytes beyond what is there. False when there is no memory.
    #[must_use]
    pub fn reserve(&mut self, more: usize) -> bool {
        let need = self.len + more;
        if need <= self.buf.len() {
            return true;
        }
        let size = need.next_power_of_two().max(4096);
        let more = size - self.buf.len();
        if HELD.fetch_add(more, Ordering::Relaxed) + more > MAX_HELD {
            HELD.fetch_sub(more, Ordering::Relaxed);
            return false;
        }
        let mut new = Vec::new();
        if new.try_reserve_exact(size).is_err() {
            HELD.fetch_sub(more, Ordering::Relaxed);
            return false;
        }
        let (a, b) = self.filled();
        new.extend_from_slice(a);
        new.extend_from_slice(b);
        new.resize(size, 0);
        self.buf = new;
        self.head = 0;
        true
    }

    /// The bytes held, oldest first, in at most two runs.
    #[must_use]
    pub fn filled(&self) -> (&[u8], &[u8]) {
        let end = self.head + self.len;
        if end <= self.buf.len() {
            (&self.buf[self.head..end], &[])
        } else {
            (&self.buf[self.head..], &self.buf[..end - self.buf.len()])
        }
    }

    /// The bytes from `skip` on, at most `max`.
    #[must_use]
    pub fn range(&self, skip: usize, max: usize) -> (&[u8], &[u8]) {
        let (a, b) = self.filled();
        let (a, b) = if skip <= a.len() { (&a[skip..], b) } else { (&b[(skip - a.len()).min(b.len())..], &[][..]) };
        let n = a.len().min(max);
        (&a[..n], &b[..b.len().min(max - n)])
    }

    /// Free memory for the next `want` bytes (after [`Ring::reserve`]), in at most two runs.
    pub fn spare(&mut self, want: usize) -> (&mut [u8], &mut [u8]) {
        let size = self.buf.len();
        let want = want.min(size - self.len);
        let tail = self.head + self.len;
        if size == 0 {
            return (&mut [], &mut []);
        }
        let tail = if tail >= size { tail - size } else { tail };
        let first = want.min(size - tail);
        let (low, high) = self.buf.split_at_mut(tail);
        (&mut high[..first], &mut low[..want - first])
    }

    /// Says that `n` bytes of [`Ring::spare`] were filled.
    pub fn commit(&mut self, n: usize) {
        self.len = (self.len + n).min(self.buf.len());
    }

    /// Drops the oldest `n` bytes.
    pub fn consume(&mut self, n: usize) {
        let n = n.min(self.len);
        self.len -= n;
        self.head = if self.len == 0 || self.buf.is_empty() { 0 } else { (self.head + n) % self.buf.len() };
    }

    /// Drops the newest bytes so that `len` are left.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Gives memory back when the ring is empty and has grown beyond `keep`.
    pub fn shrink(&mut self, keep: usize) {
        if self.len == 0 && self.buf.len() > keep {
            HELD.fetch_sub(self.buf.len(), Ordering::Relaxed);
            self.buf = Vec::new();
            self.head = 0;
        }
    }

    /// Appends `bytes`. False when there is no memory.
    #[must_use]
    pub fn push(&mut self, bytes: &[u8]) -> bool {
        if !self.reserve(bytes.len()) {
            return false;
        }
        let (a, b) = self.spare(bytes.len());
        let n = a.len();
        a.copy_from_slice(&bytes[..n]);
        b.copy_from_slice(&bytes[n..]);
        self.commit(bytes.len());
        true
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        HELD.fetch_sub(self.buf.len(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::Ring;

    #[test]
    fn wraps_and_grows() {
        let mut r = Ring::new();
        assert!(r.push(&[1; 3000]));
        r.consume(2500);
        assert!(r.push(&[2; 3000]));
        assert_eq!(r.len(), 3500);
        let (a, b) = r.filled();
        assert_eq!(a.len() + b.len(), 3500);
        assert!(r.push(&[3; 5000]));
        r.consume(500);
        let (a, b) = r.range(2999, 2);
        assert_eq!([a, b].concat(), [2, 3]);
        r.consume(8000);
        assert!(r.is_empty());
    }
}
