//! A command's terminal: a guest pty whose far side are host descriptors.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core_::file::{File, oflag};
use core_::irq::{Handler, Line};
use core_::task::Process;
use core_::{Errno, Mutex, Result};
use host::file::{self, HostFd};
use tty::{Console, ConsoleSink};

/// A command's terminal.
#[derive(Clone)]
pub struct Terminal {
    console: Console,
    file: Arc<File>,
    output: Arc<Output>,
    input: Arc<Input>,
}

/// Host output. Nothing is written while the host's reader is slow: the line discipline then stops the writers.
struct Output {
    /// None once the command has ended.
    fd: Mutex<Option<Arc<HostFd>>>,
    line: Mutex<Option<Line>>,
}

struct Ready(Mutex<Option<Console>>);

impl Handler for Ready {
    fn ready(&self, _events: u32) {
        let c = self.0.lock().clone();
        if let Some(c) = c {
            c.output_ready();
        }
    }
}

struct Sink(Arc<Output>);

impl ConsoleSink for Sink {
    fn write(&self, bytes: &[u8]) -> Result<usize> {
        const POLLOUT: i16 = 4;
        let o = &self.0;
        let fd = o.fd.lock().clone().ok_or(Errno::EIO)?;
        if file::poll_now(fd.raw(), POLLOUT)? == 0
            && let Some(l) = o.line.lock().as_ref()
        {
            l.arm(host::event::OUT)?;
            return Err(Errno::EAGAIN);
        }
        // A terminal or pipe that is ready takes at least this much without blocking (PIPE_BUF).
        file::write(fd.raw(), &bytes[..bytes.len().min(4096)])
    }
}

/// Host input.
struct Input {
    fd: HostFd,
    console: Mutex<Option<Console>>,
    line: Mutex<Option<Line>>,
    /// Read from the host, not yet taken by the line discipline.
    held: Mutex<Vec<u8>>,
}

impl Handler for Input {
    fn ready(&self, _events: u32) {
        let Some(console) = self.console.lock().clone() else { return };
        let mut held = self.held.lock();
        if held.is_empty() {
            let mut buf = [0u8; 1024];
            match file::read(self.fd.raw(), &mut buf) {
                Ok(0) | Err(Errno::EIO) => {
                    // The host's input has ended: the reader sees the end of file that typing ^D gives. The terminal itself
                    // stays until the command ends.
                    const VEOF: u8 = 4;
                    drop(held);
                    let _ = console.input(&[VEOF]);
                    return;
                }
                Ok(n) => held.extend_from_slice(&buf[..n]),
                Err(_) => {}
            }
        }
        let n = console.input(&held);
        held.drain(..n);
        // A terminal whose reader sleeps drops what does not fit, as N_TTY does, rather than spinning here.
        held.clear();
        drop(held);
        if let Some(l) = self.line.lock().as_ref() {
            let _ = l.arm(host::event::IN);
        }
    }
}

impl Terminal {
    pub fn resize(&self, rows: u32, cols: u32) {
        self.console.resize(rows as u16, cols as u16);
    }

    /// The command has ended: writes out what is left and lets go of the host's descriptors. A VMM that does not read for
    /// a second loses the rest.
    pub fn close(&self) {
        let deadline = host::time::monotonic_ns() + 1_000_000_000;
        while !self.console.drained() && host::time::monotonic_ns() < deadline {
            self.console.output_ready();
            host::process::sched_yield();
        }
        // The lines keep their handlers, and those the console, alive.
        *self.output.line.lock() = None;
        *self.input.line.lock() = None;
        *self.input.console.lock() = None;
        *self.output.fd.lock() = None;
        self.console.hangup();
    }

    /// The command's session gets the terminal as its controlling one.
    pub fn make_controlling(&self, p: &Arc<Process>) {
        // A fresh session and a fresh terminal: nothing to refuse.
        let _ = tty::set_controlling(&p.session(), &self.file, p.pid);
    }
}

/// Makes a terminal of `rows` by `cols` between the host descriptors; its guest side as an open file.
///
/// # Errors
/// `ENOSPC` where there are too many terminals; the host's.
pub fn new(input: HostFd, output: HostFd, rows: u32, cols: u32) -> Result<(Arc<File>, Terminal)> {
    let raw_output = output.raw();
    let out = Arc::new(Output { fd: Mutex::new(Some(Arc::new(output))), line: Mutex::default() });
    let (file, console) = Console::new(rows as u16, cols as u16, Some(Arc::new(Sink(out.clone()))))?;
    // Opened by name, so that ttyname(3) finds it; a guest without /dev gets the nameless one.
    let name = alloc::format!("/dev/pts/{}", console.tty().index());
    let file = core_::vfs::kopen(name.as_bytes(), oflag::RDWR | oflag::NOCTTY).unwrap_or(file);
    let ready = Arc::new(Ready(Mutex::new(Some(console.clone()))));
    match Line::new(raw_output, ready) {
        Ok(l) => *out.line.lock() = Some(l),
        // Always ready: a regular file.
        Err(Errno::EPERM) => {}
        // The same descriptor serves input, too: it is watched there.
        Err(Errno::EEXIST) => {}
        Err(e) => return Err(e),
    }
    let inp = Arc::new(Input {
        fd: input,
        console: Mutex::new(Some(console.clone())),
        line: Mutex::default(),
        held: Mutex::default(),
    });
    let line = Line::new(inp.fd.raw(), inp.clone())?;
    line.arm(host::event::IN)?;
    *inp.line.lock() = Some(line);
    Ok((file.clone(), Terminal { console, file, output: out, input: inp }))
}
