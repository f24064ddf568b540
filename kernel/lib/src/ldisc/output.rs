//! Output processing (n_tty's do_output_char).

use super::Ldisc;
use super::termios::{iflag, oflag};
use alloc::vec::Vec;

/// The kernel's toupper: Latin-1.
fn latin1_upper(c: u8) -> u8 {
    match c {
        b'a'..=b'z' | 0xe0..=0xf6 | 0xf8..=0xfe => c - 32,
        _ => c,
    }
}

impl Ldisc {
    /// One byte through OPOST to `out`.
    pub(super) fn post(&mut self, c: u8, out: &mut Vec<u8>) {
        let t = &self.termios;
        if !t.o(oflag::OPOST) {
            out.push(c);
            return;
        }
        let mut c = c;
        match c {
            b'\n' => {
                if t.o(oflag::ONLRET) {
                    self.column = 0;
                }
                if t.o(oflag::ONLCR) {
                    self.column = 0;
                    self.canon_column = 0;
                    out.extend_from_slice(b"\r\n");
                    return;
                }
                self.canon_column = self.column;
            }
            b'\r' => {
                if t.o(oflag::ONOCR) && self.column == 0 {
                    return;
                }
                if t.o(oflag::OCRNL) {
                    c = b'\n';
                    if t.o(oflag::ONLRET) {
                        self.column = 0;
                        self.canon_column = 0;
                    }
                } else {
                    self.column = 0;
                    self.canon_column = 0;
                }
            }
            b'\t' => {
                let spaces = 8 - (self.column & 7);
                self.column += spaces;
                if t.oflag & oflag::TABDLY == oflag::XTABS {
                    out.extend_from_slice(&b"        "[..spaces]);
                    return;
                }
            }
            8 => self.column = self.column.saturating_sub(1),
            _ => {
                if !c.is_ascii_control() {
                    if t.o(oflag::OLCUC) {
                        c = latin1_upper(c);
                    }
                    if !(t.i(iflag::IUTF8) && c & 0xc0 == 0x80) {
                        self.column += 1;
                    }
                }
            }
        }
        out.push(c);
    }

    /// What a program writes: through output processing to `out`, as far as about `room` bytes go. Returns the bytes
    /// taken; none while output is stopped.
    pub fn write(&mut self, bytes: &[u8], room: usize, out: &mut Vec<u8>) -> usize {
        if self.stopped {
            return 0;
        }
        let start = out.len();
        for (i, b) in bytes.iter().enumerate() {
            // A byte becomes at most eight.
            if out.len() - start + 8 > room {
                return i;
            }
            self.post(*b, out);
        }
        bytes.len()
    }
}
