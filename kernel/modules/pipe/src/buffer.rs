//! A pipe's bytes, with the boundaries of packets (pipe2(2), O_DIRECT).

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core_::io::IoBuf;
use core_::{Errno, Result};
use lib::ring::Ring;

/// Memory that an empty pipe keeps.
const KEEP: usize = 65536;

#[derive(Default)]
pub struct Buffer {
    ring: Ring,
    /// Length of each piece and whether it is a packet. Empty until the first packet is written: an
    /// ordinary pipe has no boundaries.
    pieces: VecDeque<(usize, bool)>,
}

impl Buffer {
    pub fn len(&self) -> usize {
        self.ring.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    pub fn clear(&mut self) {
        self.pieces.clear();
        self.ring = Ring::new();
    }

    pub fn peek(&self, max: usize) -> Vec<u8> {
        let (a, b) = self.ring.range(0, max);
        [a, b].concat()
    }

    /// Takes up to `n` bytes from `src`.
    pub fn write(&mut self, src: &mut IoBuf, n: usize, packet: bool) -> Result<usize> {
        if !self.ring.reserve(n) {
            return Err(Errno::ENOMEM);
        }
        let (a, b) = self.ring.spare(n);
        let first = a.len();
        let mut got = src.take(a)?;
        if got == first && !b.is_empty() {
            got += src.take(b).unwrap_or(0);
        }
        if packet && self.pieces.is_empty() && !self.ring.is_empty() {
            self.pieces.push_back((self.ring.len(), false));
        }
        self.ring.commit(got);
        if packet {
            self.pieces.push_back((got, true));
        } else if !self.pieces.is_empty() {
            match self.pieces.back_mut() {
                Some((len, false)) => *len += got,
                _ => self.pieces.push_back((got, false)),
            }
        }
        Ok(got)
    }

    /// Moves bytes to `dst`; a read ends with the packet it began, whose rest is lost.
    pub fn read(&mut self, dst: &mut IoBuf) -> Result<usize> {
        let Some(&(len, packet)) = self.pieces.front() else {
            return self.copy_out(dst, usize::MAX);
        };
        let n = self.copy_out(dst, len)?;
        if packet {
            self.ring.consume(len - n);
            self.pieces.pop_front();
            return Ok(n);
        }
        if n < len {
            self.pieces[0].0 -= n;
        } else {
            self.pieces.pop_front();
        }
        Ok(n)
    }

    fn copy_out(&mut self, dst: &mut IoBuf, max: usize) -> Result<usize> {
        let (a, b) = self.ring.range(0, max.min(dst.left()));
        let mut n = dst.put(a)?;
        if n == a.len() && !b.is_empty() {
            n += dst.put(b).unwrap_or(0);
        }
        self.ring.consume(n);
        self.ring.shrink(KEEP);
        Ok(n)
    }
}
