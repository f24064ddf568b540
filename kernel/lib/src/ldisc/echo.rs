//! Echo and the visible side of erasing (n_tty's echo buffer and eraser()).

use super::termios::{cc, iflag, lflag};
use super::{Effects, Ldisc};

/// Echo kept back at most while output is stopped.
const MAX_HELD: usize = 4096;

/// Letters and digits of Latin-1, as the kernel's ctype table has them.
fn is_alnum(c: u8) -> bool {
    c.is_ascii_alphanumeric() || (c >= 0xc0 && c != 0xd7 && c != 0xf7)
}

fn is_continuation(c: u8, utf8: bool) -> bool {
    utf8 && c & 0xc0 == 0x80
}

impl Ldisc {
    /// Echoes without the caret notation (output processing still applies). Echo is kept until the end of the bytes
    /// received together, and longer while output is stopped.
    pub(super) fn echo_raw(&mut self, c: u8) {
        if self.held.len() < MAX_HELD {
            let mut out = core::mem::take(&mut self.held);
            self.post(c, &mut out);
            self.held = out;
        }
    }

    /// Echo that moves no column and is not processed.
    fn echo_as_is(&mut self, bytes: &[u8]) {
        if self.held.len() < MAX_HELD {
            self.held.extend_from_slice(bytes);
        }
    }

    /// Lets the echo out, unless output is stopped.
    pub(super) fn release_echo(&mut self, fx: &mut Effects) {
        if !self.stopped {
            fx.output.append(&mut self.held);
        }
    }

    /// Echoes a character as typed: control characters as `^X` with ECHOCTL.
    pub(super) fn echo_char(&mut self, c: u8) {
        if self.termios.l(lflag::ECHOCTL) && c.is_ascii_control() && c != b'\t' {
            // The pair bypasses output processing: it is two columns wide whatever OLCUC says.
            let pair = [b'^', c ^ 0o100];
            self.column += 2;
            self.echo_as_is(&pair);
        } else {
            self.echo_raw(c);
        }
    }

    /// Ends an ECHOPRT erase, which prints what it erases between `\` and `/`.
    pub(super) fn finish_erasing(&mut self) {
        if self.erasing {
            self.erasing = false;
            self.echo_raw(b'/');
        }
    }

    /// VERASE, VWERASE or VKILL.
    pub(super) fn erase(&mut self, c: u8) {
        let t = self.termios;
        if self.buf.len() == self.canon {
            return;
        }
        let kill = t.is(cc::VKILL, c);
        let word = !kill && !t.is(cc::VERASE, c);
        if kill {
            if !t.l(lflag::ECHO) {
                self.buf.truncate(self.canon);
                return;
            }
            if !t.l(lflag::ECHOK) || !t.l(lflag::ECHOKE) || !t.l(lflag::ECHOE) {
                self.buf.truncate(self.canon);
                self.finish_erasing();
                self.echo_char(c);
                // Without ECHOKE the kill character and a new line show that the line is gone.
                if t.l(lflag::ECHOK) {
                    self.echo_raw(b'\n');
                }
                return;
            }
        }
        let utf8 = t.i(iflag::IUTF8);
        let mut seen_word = false;
        while self.buf.len() > self.canon {
            // One character, with its continuation bytes.
            let mut start = self.buf.len();
            let mut c0;
            loop {
                start -= 1;
                c0 = self.buf[start].byte;
                if !is_continuation(c0, utf8) || start == self.canon {
                    break;
                }
            }
            // Do not partially erase.
            if is_continuation(c0, utf8) {
                break;
            }
            if word {
                if is_alnum(c0) || c0 == b'_' {
                    seen_word = true;
                } else if seen_word {
                    break;
                }
            }
            let count = self.buf.len() - start;
            let rest: alloc::vec::Vec<u8> = self.buf.iter().skip(start + 1).map(|c| c.byte).collect();
            self.buf.truncate(start);
            if t.l(lflag::ECHO) {
                if t.l(lflag::ECHOPRT) {
                    if !self.erasing {
                        self.echo_raw(b'\\');
                        self.erasing = true;
                    }
                    self.echo_char(c0);
                    debug_assert_eq!(rest.len() + 1, count);
                    // Continuation bytes move no column.
                    self.echo_as_is(&rest);
                } else if t.is(cc::VERASE, c) && !t.l(lflag::ECHOE) {
                    let erase = t.cc[cc::VERASE];
                    self.echo_char(erase);
                } else if c0 == b'\t' {
                    self.erase_tab();
                } else {
                    if c0.is_ascii_control() && t.l(lflag::ECHOCTL) {
                        self.rub_out();
                    }
                    if !c0.is_ascii_control() || t.l(lflag::ECHOCTL) {
                        self.rub_out();
                    }
                }
            }
            if t.is(cc::VERASE, c) && !word && !kill {
                break;
            }
        }
        if self.buf.len() == self.canon && t.l(lflag::ECHO) {
            self.finish_erasing();
        }
    }

    fn rub_out(&mut self) {
        for b in [8, b' ', 8] {
            self.echo_raw(b);
        }
    }

    /// Backs over a tab: as many columns as it took, counted from the tab before it or the line's beginning.
    fn erase_tab(&mut self) {
        let t = self.termios;
        let utf8 = t.i(iflag::IUTF8);
        let mut columns = 0;
        let mut after_tab = false;
        for c in self.buf.iter().skip(self.canon).rev().map(|c| c.byte) {
            if c == b'\t' {
                after_tab = true;
                break;
            }
            if c.is_ascii_control() {
                if t.l(lflag::ECHOCTL) {
                    columns += 2;
                }
            } else if !is_continuation(c, utf8) {
                columns += 1;
            }
        }
        if !after_tab {
            columns += self.canon_column;
        }
        let back = 8 - (columns & 7);
        for _ in 0..back {
            self.echo_as_is(&[8]);
            self.column = self.column.saturating_sub(1);
        }
    }
}
