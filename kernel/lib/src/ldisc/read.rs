//! What programs read (n_tty_read).

use super::termios::{cc, lflag};
use super::{BUF_SIZE, Ldisc};
use alloc::vec::Vec;

/// What a read is to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Ready {
    /// These bytes; none means end of file.
    Bytes(Vec<u8>),
    /// Nothing to give yet.
    Wait,
}

impl Ldisc {
    /// True where a read would give something now: a line, or VMIN bytes (poll's measure where `poll`).
    #[must_use]
    pub fn readable(&self, poll: bool) -> bool {
        let t = &self.termios;
        if t.l(lflag::ICANON) && !t.l(lflag::EXTPROC) {
            return self.canon > 0;
        }
        // poll asks for VMIN bytes only where no VTIME cuts the wait short (input_available_p).
        let min = if poll && t.cc[cc::VTIME] == 0 { usize::from(t.cc[cc::VMIN]).max(1) } else { 1 };
        self.buf.len() >= min
    }

    /// VMIN and VTIME (tenths of a second) of raw mode; None in canonical mode.
    #[must_use]
    pub fn raw_limits(&self) -> Option<(usize, u32)> {
        let t = &self.termios;
        (!t.l(lflag::ICANON)).then(|| (usize::from(t.cc[cc::VMIN]), u32::from(t.cc[cc::VTIME])))
    }

    /// Takes up to `max` bytes: of one line in canonical mode, of all there is in raw mode.
    pub fn read(&mut self, max: usize) -> Ready {
        let t = &self.termios;
        if !t.l(lflag::ICANON) || t.l(lflag::EXTPROC) {
            if self.buf.is_empty() {
                return Ready::Wait;
            }
            let n = max.min(self.buf.len());
            let bytes = self.buf.drain(..n).map(|c| c.byte).collect();
            self.canon = self.canon.saturating_sub(n);
            return Ready::Bytes(bytes);
        }
        if self.canon == 0 {
            return Ready::Wait;
        }
        let mut out = Vec::new();
        while self.canon > 0 {
            let Some(c) = self.buf.front().copied() else { break };
            // An end-of-file mark right after a full read is swallowed with it, so that it is not read as an empty
            // line later (canon_copy_from_read_buf).
            if out.len() >= max && !(c.eof && max > 0) {
                break;
            }
            self.buf.pop_front();
            self.canon -= 1;
            if !c.eof {
                out.push(c.byte);
            }
            if c.end {
                break;
            }
        }
        debug_assert!(out.len() <= BUF_SIZE);
        Ready::Bytes(out)
    }
}
