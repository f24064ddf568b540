//! Received characters (n_tty_receive_buf and below).

use super::termios::{cc, iflag, lflag};
use super::{BUF_SIZE, Cell, Effects, Ldisc, SIGINT, SIGQUIT, SIGTSTP};

/// The kernel's tolower: Latin-1.
fn latin1_lower(c: u8) -> u8 {
    match c {
        b'A'..=b'Z' | 0xc0..=0xd6 | 0xd8..=0xde => c + 32,
        _ => c,
    }
}

impl Ldisc {
    /// Takes received bytes; returns how many. Fewer than given: the buffer is full until something is read.
    pub fn receive(&mut self, bytes: &[u8], fx: &mut Effects) -> usize {
        let mut done = 0;
        for b in bytes {
            let used = self.buf.len() + 1;
            let mut room = BUF_SIZE as i64 - used as i64;
            if self.termios.i(iflag::PARMRK) {
                room = (BUF_SIZE as i64 - self.buf.len() as i64 + 2).div_euclid(3) - 1;
            }
            if room <= 0 {
                // A line longer than the buffer keeps its beginning: the newest character gives way.
                let overflow = self.termios.l(lflag::ICANON) && self.canon == 0;
                if !overflow {
                    break;
                }
                if room < 0 {
                    self.buf.pop_back();
                }
            }
            self.receive_char(*b, fx);
            done += 1;
        }
        self.release_echo(fx);
        done
    }

    /// True where at least one more byte would be taken.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.buf.len() + 1 < BUF_SIZE || (self.termios.l(lflag::ICANON) && self.canon == 0)
    }

    fn store(&mut self, byte: u8) {
        self.buf.push_back(Cell { byte, end: false, eof: false });
    }

    fn receive_char(&mut self, c: u8, fx: &mut Effects) {
        let t = self.termios;
        let mut c = c;
        let mut was_cr = false;
        if t.i(iflag::ISTRIP) {
            c &= 0x7f;
        }
        if t.i(iflag::IUCLC) && t.l(lflag::IEXTEN) {
            c = latin1_lower(c);
        }
        if t.l(lflag::EXTPROC) {
            return self.store(c);
        }
        if self.lnext {
            self.lnext = false;
            return self.plain(c);
        }
        if t.i(iflag::IXON) {
            if t.is(cc::VSTART, c) {
                return self.start(fx);
            }
            if t.is(cc::VSTOP, c) {
                return self.stop(fx);
            }
        }
        if t.l(lflag::ISIG) {
            for (which, sig) in [(cc::VINTR, SIGINT), (cc::VQUIT, SIGQUIT), (cc::VSUSP, SIGTSTP)] {
                if t.is(which, c) {
                    return self.signal(sig, c, fx);
                }
            }
        }
        if self.stopped && t.i(iflag::IXON) && t.i(iflag::IXANY) {
            self.start(fx);
        }
        if c == b'\r' {
            if t.i(iflag::IGNCR) {
                return;
            }
            if t.i(iflag::ICRNL) {
                c = b'\n';
                was_cr = true;
            }
        } else if c == b'\n' && t.i(iflag::INLCR) {
            c = b'\r';
        }
        if t.l(lflag::ICANON) && self.canonical(c) {
            return;
        }
        if t.l(lflag::ECHO) {
            self.finish_erasing();
            // Without ICANON only a translated carriage return is echoed as a new line; a plain one shows as ^J.
            if c == b'\n' && was_cr {
                self.echo_raw(b'\n');
            } else {
                if self.canon == self.buf.len() {
                    self.canon_column = self.column;
                }
                self.echo_char(c);
            }
        }
        self.mark_and_store(c);
    }

    /// A character without special meaning.
    fn plain(&mut self, c: u8) {
        if self.termios.l(lflag::ECHO) {
            self.finish_erasing();
            if self.canon == self.buf.len() {
                self.canon_column = self.column;
            }
            self.echo_char(c);
        }
        self.mark_and_store(c);
    }

    /// With PARMRK a real 0xff is doubled (termios(3)).
    fn mark_and_store(&mut self, c: u8) {
        if c == 0xff && self.termios.i(iflag::PARMRK) {
            self.store(c);
        }
        self.store(c);
    }

    fn signal(&mut self, sig: u32, c: u8, fx: &mut Effects) {
        if !self.termios.l(lflag::NOFLSH) {
            self.flush_input();
            self.held.clear();
            fx.output.clear();
            fx.flush_output = true;
        }
        fx.signals.push(sig);
        if self.termios.i(iflag::IXON) {
            self.start(fx);
        }
        if self.termios.l(lflag::ECHO) {
            self.echo_char(c);
        }
    }

    /// The editing characters; false where `c` is none.
    fn canonical(&mut self, c: u8) -> bool {
        let t = self.termios;
        let ext = t.l(lflag::IEXTEN);
        if t.is(cc::VERASE, c) || t.is(cc::VKILL, c) || (t.is(cc::VWERASE, c) && ext) {
            self.erase(c);
            return true;
        }
        if t.is(cc::VLNEXT, c) && ext {
            self.lnext = true;
            if t.l(lflag::ECHO) {
                self.finish_erasing();
                if t.l(lflag::ECHOCTL) {
                    // Shown as a caret that the literal character overwrites.
                    self.echo_raw(b'^');
                    self.echo_raw(8);
                }
            }
            return true;
        }
        if t.is(cc::VREPRINT, c) && t.l(lflag::ECHO) && ext {
            self.finish_erasing();
            self.echo_char(c);
            self.echo_raw(b'\n');
            let line: alloc::vec::Vec<u8> = self.buf.iter().skip(self.canon).map(|c| c.byte).collect();
            for b in line {
                self.echo_char(b);
            }
            return true;
        }
        if c == b'\n' {
            if t.l(lflag::ECHO) || t.l(lflag::ECHONL) {
                self.echo_raw(b'\n');
            }
            self.end_line(c, false);
            return true;
        }
        if t.is(cc::VEOF, c) {
            self.end_line(0, true);
            return true;
        }
        if t.is(cc::VEOL, c) || (t.is(cc::VEOL2, c) && ext) {
            if t.l(lflag::ECHO) {
                if self.canon == self.buf.len() {
                    self.canon_column = self.column;
                }
                self.echo_char(c);
            }
            if c == 0xff && t.i(iflag::PARMRK) {
                self.store(c);
            }
            self.end_line(c, false);
            return true;
        }
        false
    }

    fn end_line(&mut self, byte: u8, eof: bool) {
        self.buf.push_back(Cell { byte, end: true, eof });
        self.canon = self.buf.len();
    }
}
