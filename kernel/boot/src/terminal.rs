//! A command's terminal: a guest pty whose far side are host descriptors.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use control::gate::Gate;
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

struct Sink(Arc<Output>, Mutex<Weak<Input>>);

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

    fn input_room(&self) {
        let input = self.1.lock().upgrade();
        if let Some(i) = input
            && !i.held.try_lock().is_some_and(|h| h.bytes.is_empty())
        {
            i.offer();
        }
    }

    fn input_wanted(&self) {
        let input = self.1.lock().upgrade();
        if let Some(i) = input.filter(|i| !i.gate.open()) {
            i.gate.ask(abi::wire::ASK_READ);
        }
    }
}

/// Host input. Nothing is read while the line discipline has no room: the host's writer then waits.
struct Input {
    fd: HostFd,
    console: Mutex<Option<Console>>,
    line: Mutex<Option<Line>>,
    held: Mutex<Held>,
    gate: Arc<Gate>,
    /// The host's input is a file that can not be watched because it is always ready.
    file: bool,
}

/// Read from the host, not yet taken by the line discipline.
#[derive(Default)]
struct Held {
    bytes: Vec<u8>,
    /// The host's input is at its end: nothing more is read.
    ended: bool,
}

struct InputReady(Weak<Input>);

impl Handler for InputReady {
    fn ready(&self, _events: u32) {
        if let Some(i) = self.0.upgrade() {
            i.fill(&mut i.held.lock());
            i.offer();
        }
    }
}

impl Input {
    /// Reads from the host what is there, or its end.
    fn fill(&self, held: &mut Held) {
        if !held.bytes.is_empty() || held.ended || !self.gate.open() {
            return;
        }
        let mut buf = [0u8; 4096];
        match file::read(self.fd.raw(), &mut buf) {
            Ok(0) | Err(Errno::EIO) => {
                // The reader sees the end of file that typing ^D gives. The terminal itself stays until the command ends.
                const VEOF: u8 = 4;
                held.bytes.push(VEOF);
                held.ended = true;
            }
            Ok(n) => held.bytes.extend_from_slice(&buf[..n]),
            Err(_) => {}
        }
    }

    /// Gives the line discipline what it has room for; when that is all, the host is read again.
    fn offer(&self) {
        let Some(console) = self.console.lock().clone() else { return };
        loop {
            // Where another thread is at this, it looks at the room again below, after its unlock.
            let Some(mut held) = self.held.try_lock() else { return };
            let n = console.input(&held.bytes);
            held.bytes.drain(..n);
            let (empty, ended) = (held.bytes.is_empty(), held.ended);
            drop(held);
            if empty {
                match self.line.lock().as_ref() {
                    Some(l) if !ended && self.gate.open() => drop(l.arm(host::event::IN)),
                    // A regular file: always ready.
                    None if !ended && self.file && self.gate.open() => {
                        self.fill(&mut self.held.lock());
                        continue;
                    }
                    _ => {}
                }
                return;
            }
            if console.input_room() == 0 {
                return;
            }
        }
    }
}

impl Terminal {
    /// The host's terminal may be read again.
    pub fn gate_opened(&self) {
        self.input.offer();
    }

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
pub fn new(input: HostFd, output: HostFd, rows: u32, cols: u32, gate: &Arc<Gate>) -> Result<(Arc<File>, Terminal)> {
    let raw_output = output.raw();
    let out = Arc::new(Output { fd: Mutex::new(Some(Arc::new(output))), line: Mutex::default() });
    let sink = Arc::new(Sink(out.clone(), Mutex::default()));
    let (file, console) = Console::new(rows as u16, cols as u16, Some(sink.clone()))?;
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
    let raw_input = input.raw();
    let mut watched = Err(Errno::EPERM);
    let inp = Arc::new_cyclic(|me: &Weak<Input>| {
        watched = Line::new(raw_input, Arc::new(InputReady(me.clone())));
        Input {
            fd: input,
            console: Mutex::new(Some(console.clone())),
            line: Mutex::default(),
            held: Mutex::default(),
            gate: gate.clone(),
            file: matches!(watched, Err(Errno::EPERM)),
        }
    });
    *sink.1.lock() = Arc::downgrade(&inp);
    match watched {
        Ok(line) => *inp.line.lock() = Some(line),
        Err(Errno::EPERM) => {}
        Err(e) => return Err(e),
    }
    inp.offer();
    Ok((file.clone(), Terminal { console, file, output: out, input: inp }))
}
