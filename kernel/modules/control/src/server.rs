//! Serving the VMM: the supervisor's side of the conversation.

use crate::message::{Boot, Mount, Node, Reader, Spawn, Writer, refusal};
use abi::wire;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core_::irq;
use core_::{Errno, Mutex};
use host::channel;

/// The channel's descriptor in every host process of the VM.
pub const CHANNEL: i32 = 3;

/// What READY reports.
pub struct Ready {
    pub landlock: bool,
    pub seccomp: bool,
    pub guard: u32,
    pub monitor: u32,
    pub boot_ns: u64,
}

/// Why a command was not started.
pub struct SpawnFailure {
    pub errno: Errno,
    /// A sentence.
    pub text: String,
    /// The program is what could not be had or run; else something that it was to run with.
    pub of_program: bool,
}

impl From<(Errno, String)> for SpawnFailure {
    fn from((errno, text): (Errno, String)) -> SpawnFailure {
        SpawnFailure { errno, text, of_program: false }
    }
}

/// What the messages ask for; the assembler (`boot`) implements it over all modules.
pub trait Machine: Send + Sync {
    /// # Errors
    /// A sentence for the VMM.
    fn mount(&self, m: Mount) -> Result<(), String>;
    /// # Errors
    /// A sentence for the VMM.
    fn node(&self, n: Node) -> Result<(), String>;
    /// # Errors
    /// A sentence for the VMM.
    fn start(&self) -> Result<Ready, String>;
    /// Starts a command and sends STARTED.
    ///
    /// # Errors
    /// What SPAWN_FAILED says.
    fn spawn(&self, s: Spawn) -> Result<(), SpawnFailure>;
    /// # Errors
    /// `ESRCH`, `EINVAL`.
    fn signal(&self, spawn: u32, signo: u32, scope: u32) -> Result<(), Errno>;
    /// # Errors
    /// `ESRCH`, `ENOTTY`.
    fn winsize(&self, spawn: u32, rows: u32, cols: u32) -> Result<(), Errno>;
    /// Whether a command may read the host's terminal.
    ///
    /// # Errors
    /// `ESRCH`.
    fn terminal(&self, spawn: u32, state: u32) -> Result<(), Errno>;
    /// A JSON object.
    fn stats(&self) -> String;
    /// Ends the machine.
    fn shutdown(&self) -> !;
}

/// Receives BOOT, the first message, before anything else exists.
///
/// # Errors
/// A sentence for the kernel log.
pub fn receive_boot(buf: &mut [u8]) -> Result<(Vec<u8>, Vec<i32>), String> {
    let p = channel::receive(CHANNEL, buf, false).map_err(|e| alloc::format!("control channel: {e}"))?;
    if p.truncated || p.len < 8 {
        return Err(String::from("BOOT is cut short"));
    }
    Ok((buf[..p.len].to_vec(), p.fds[..p.fd_count].to_vec()))
}

/// Decodes BOOT.
///
/// # Errors
/// A sentence for the kernel log.
pub fn decode_boot(packet: &[u8], fds: &[i32]) -> Result<Boot, String> {
    let mut head = Reader::new(packet, &[]);
    let kind = head.u32().map_err(String::from)?;
    if kind != wire::BOOT {
        return Err(alloc::format!("the first message is of kind {kind}, not BOOT"));
    }
    Boot::read(&mut Reader::new(&packet[8..], fds)).map_err(|w| refusal(kind, w))
}

/// Sends a message. A VMM that is gone is noticed by the supervisor.
pub fn send(w: &Writer) {
    let _ = channel::send(CHANNEL, w.packet());
}

/// Serves messages until START has been answered (`until_ready`), or all that are there now.
pub fn serve(machine: &dyn Machine, until_ready: bool) {
    let mut buf = alloc::vec![0u8; wire::MAX_MESSAGE];
    loop {
        let p = match channel::receive(CHANNEL, &mut buf, !until_ready) {
            Ok(p) => p,
            Err(Errno::EINTR) => continue,
            Err(Errno::EAGAIN) => return,
            Err(_) => machine.shutdown(),
        };
        if p.len == 0 {
            // The VMM is gone.
            machine.shutdown();
        }
        let fds = &p.fds[..p.fd_count];
        let mut r = Reader::new(&buf[..p.len], &[]);
        let (Ok(kind), Ok(id)) = (r.u32(), r.u32()) else {
            drop(Reader::new(&[], fds));
            send(Writer::new(wire::ERROR, 0).bytes(b"message too short"));
            continue;
        };
        let r = Reader::new(&buf[8..p.len], fds);
        let result =
            if p.truncated { Err(String::from("message or descriptors cut short")) } else { one(machine, kind, id, r) };
        if let Err(why) = result {
            send(Writer::new(wire::ERROR, id).bytes(why.as_bytes()));
        }
        if until_ready && kind == wire::START {
            return;
        }
    }
}

fn one(machine: &dyn Machine, kind: u32, id: u32, mut r: Reader) -> Result<(), String> {
    let bad = |w: &'static str| refusal(kind, w);
    let ack = |res: Result<(), Errno>| {
        send(Writer::new(wire::ACK, id).u32(res.err().map_or(0, |e| u32::from(e.0))));
    };
    match kind {
        wire::MOUNT => machine.mount(Mount::read(&mut r).map_err(bad)?),
        wire::NODE => machine.node(Node::read(&mut r).map_err(bad)?),
        wire::START => {
            r.end().map_err(bad)?;
            let y = machine.start()?;
            send(
                Writer::new(wire::READY, id)
                    .u32(u32::from(y.landlock))
                    .u32(u32::from(y.seccomp))
                    .u32(y.guard)
                    .u32(y.monitor)
                    .u64(y.boot_ns),
            );
            Ok(())
        }
        wire::SPAWN => {
            if let Err(f) = machine.spawn(Spawn::read(id, &mut r).map_err(bad)?) {
                let about = u32::from(!f.of_program);
                send(Writer::new(wire::SPAWN_FAILED, id).u32(u32::from(f.errno.0)).bytes(f.text.as_bytes()).u32(about));
            }
            Ok(())
        }
        wire::SIGNAL => {
            let (spawn, signo, scope) = (r.u32().map_err(bad)?, r.u32().map_err(bad)?, r.u32().map_err(bad)?);
            r.end().map_err(bad)?;
            ack(machine.signal(spawn, signo, scope));
            Ok(())
        }
        wire::WINSIZE => {
            let (spawn, rows, cols) = (r.u32().map_err(bad)?, r.u32().map_err(bad)?, r.u32().map_err(bad)?);
            r.end().map_err(bad)?;
            ack(machine.winsize(spawn, rows, cols));
            Ok(())
        }
        wire::TERMINAL => {
            let (spawn, state) = (r.u32().map_err(bad)?, r.u32().map_err(bad)?);
            r.end().map_err(bad)?;
            ack(machine.terminal(spawn, state));
            Ok(())
        }
        wire::STATS => {
            r.end().map_err(bad)?;
            send(Writer::new(wire::STATS_REPLY, id).bytes(machine.stats().as_bytes()));
            Ok(())
        }
        wire::SHUTDOWN => machine.shutdown(),
        _ => Err(refusal(kind, "unknown kind")),
    }
}

/// The channel as an interrupt line: serves what has come, and watches on.
pub struct Channel {
    machine: &'static dyn Machine,
    line: Mutex<Option<Arc<irq::Line>>>,
}

impl Channel {
    /// Starts to watch the channel.
    ///
    /// # Errors
    /// The host's.
    pub fn watch(machine: &'static dyn Machine) -> Result<(), Errno> {
        let c = Arc::new(Channel { machine, line: Mutex::default() });
        let line = Arc::new(irq::Line::new(CHANNEL, c.clone())?);
        line.arm(host::event::IN)?;
        *c.line.lock() = Some(line);
        Ok(())
    }
}

impl irq::Handler for Channel {
    fn ready(&self, _events: u32) {
        serve(self.machine, false);
        let line = self.line.lock().clone();
        if line.is_none_or(|l| l.arm(host::event::IN).is_err()) {
            self.machine.shutdown();
        }
    }
}
