//! The terminal line discipline N_TTY as pure logic: bytes in, bytes and effects out.
//!
//! Behaviour follows Linux `drivers/tty/n_tty.c`; `tests/golden/ldisc` holds traces recorded on Linux that the tests
//! replay.

mod echo;
mod input;
mod output;
mod read;
pub use read::Ready;
pub mod termios;
#[cfg(test)]
mod tests;

use alloc::collections::VecDeque;
use alloc::vec::Vec;
pub use termios::Termios;
use termios::{iflag, lflag};

/// N_TTY_BUF_SIZE.
pub const BUF_SIZE: usize = 4096;

/// Signals that input asks for.
pub const SIGINT: u32 = 2;
pub const SIGQUIT: u32 = 3;
pub const SIGTSTP: u32 = 20;

/// What processing input led to, beyond what is in the read buffer.
#[derive(Default, Debug)]
pub struct Effects {
    /// Bytes for the terminal's far side: echo.
    pub output: Vec<u8>,
    /// Signals for the foreground group, in order.
    pub signals: Vec<u32>,
    /// Output waiting in the driver is to be thrown away (a signal without NOFLSH).
    pub flush_output: bool,
    /// Output was stopped (^S) or started (^Q): the new state.
    pub flow: Option<bool>,
}

/// One position of the read buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Cell {
    byte: u8,
    /// Ends a line in canonical mode.
    end: bool,
    /// Ends it without being part of it (VEOF).
    eof: bool,
}

/// The line discipline of one terminal.
pub struct Ldisc {
    termios: Termios,
    buf: VecDeque<Cell>,
    /// How much of `buf`, from the front, is complete lines (canonical mode).
    canon: usize,
    /// The next character is literal (VLNEXT).
    lnext: bool,
    /// Inside an ECHOPRT erase.
    erasing: bool,
    /// Output stopped by VSTOP.
    stopped: bool,
    /// Column of the cursor as output moved it.
    column: usize,
    /// Column at which the line being typed began.
    canon_column: usize,
    /// Echo not let out yet.
    held: Vec<u8>,
}

impl Default for Ldisc {
    fn default() -> Self {
        Ldisc::new(Termios::default())
    }
}

impl Ldisc {
    #[must_use]
    pub fn new(termios: Termios) -> Ldisc {
        Ldisc {
            termios,
            buf: VecDeque::new(),
            canon: 0,
            lnext: false,
            erasing: false,
            stopped: false,
            column: 0,
            canon_column: 0,
            held: Vec::new(),
        }
    }

    #[must_use]
    pub fn termios(&self) -> &Termios {
        &self.termios
    }

    /// Changes the settings; what was typed stays and is reinterpreted (n_tty_set_termios).
    pub fn set_termios(&mut self, new: Termios) -> Effects {
        let old = core::mem::replace(&mut self.termios, new);
        let mut fx = Effects::default();
        if (old.lflag ^ new.lflag) & (lflag::ICANON | lflag::EXTPROC) != 0 {
            for c in &mut self.buf {
                (c.end, c.eof) = (false, false);
            }
            self.canon = 0;
            if new.l(lflag::ICANON) && !self.buf.is_empty() {
                // The line so far can be read at once.
                self.canon = self.buf.len();
                if let Some(c) = self.buf.back_mut() {
                    c.end = true;
                }
            }
            self.lnext = false;
        }
        if old.i(iflag::IXON) && !new.i(iflag::IXON) && self.stopped {
            self.start(&mut fx);
        }
        fx
    }

    /// Output is stopped by VSTOP or TCXONC.
    #[must_use]
    pub fn stopped(&self) -> bool {
        self.stopped
    }

    /// Stops output.
    pub fn stop(&mut self, fx: &mut Effects) {
        if !self.stopped {
            self.stopped = true;
            fx.flow = Some(true);
        }
    }

    /// Starts output, with the echo that was kept back.
    pub fn start(&mut self, fx: &mut Effects) {
        if self.stopped {
            self.stopped = false;
            fx.flow = Some(false);
            fx.output.append(&mut self.held);
        }
    }

    /// Throws away what was typed and not read (TCIFLUSH).
    pub fn flush_input(&mut self) {
        self.buf.clear();
        self.canon = 0;
        self.lnext = false;
        self.erasing = false;
    }

    /// Bytes that FIONREAD tells.
    #[must_use]
    pub fn input_len(&self) -> usize {
        if self.termios.l(lflag::ICANON) {
            self.buf.iter().take(self.canon).filter(|c| !c.eof).count()
        } else {
            self.buf.len()
        }
    }
}
