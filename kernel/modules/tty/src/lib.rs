//! Terminals: pty pairs (pty(7)), the console, controlling terminals and job control (credentials(7), termios(3)).
//!
//! A [`Tty`] is the slave side with its line discipline; the far side is a master descriptor ([`master`]) or the
//! host ([`Console`]). Signals are sent after the terminal's lock is free.
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;

mod console;
mod io;
mod ioctl;
mod job;
mod master;
mod slave;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core_::signal::{SigInfo, send_group};
use core_::task::Session;
use core_::wait::{Events, WaitQueue};
use core_::{Errno, Mutex, Result};
use lib::ldisc::{Effects, Ldisc, Termios};

pub use console::{Console, ConsoleSink};
pub use job::{session_leader_exit, set_controlling, shown};
pub use master::open as open_ptmx;
pub use slave::{open_controlling, open_index};

/// Bytes on their way to the far side at most.
const MAX_OUT: usize = 65536;
/// Bytes from the far side that the line discipline has no room for at most.
const MAX_PENDING: usize = 65536;
/// The most terminals (/proc/sys/kernel/pty/max).
const MAX_TTYS: usize = 4096;

/// Control byte of packet mode (ioctl_tty(2), TIOCPKT).
mod packet {
    pub const FLUSHREAD: u8 = 1;
    pub const FLUSHWRITE: u8 = 2;
    pub const STOP: u8 = 4;
    pub const START: u8 = 8;
    pub const NOSTOP: u8 = 16;
    pub const DOSTOP: u8 = 32;
}

struct State {
    ldisc: Ldisc,
    /// To the far side.
    out: VecDeque<u8>,
    /// From the far side, waiting for room in the line discipline.
    pending: VecDeque<u8>,
    /// struct winsize: rows, columns, pixels.
    size: [u16; 4],
    /// The session whose controlling terminal this is.
    session: Weak<Session>,
    /// The foreground process group; 0 for none.
    pgrp: u32,
    slaves: usize,
    /// The slave was opened at some time: without slaves now means hung up for the master.
    opened: bool,
    master_open: bool,
    locked: bool,
    exclusive: bool,
    packet: bool,
    packet_events: u8,
    /// Counts hang-ups: slaves opened before the last one are dead.
    generation: u64,
    /// A thread is writing `out` to the console's sink.
    draining: bool,
}

/// A terminal.
pub struct Tty {
    index: u32,
    /// uid and gid of the opener of the master: the owner of /dev/pts/N.
    access: Mutex<(u32, u32, u32)>,
    sink: Option<Arc<dyn ConsoleSink>>,
    state: Mutex<State>,
    /// Slave readers.
    input: Arc<WaitQueue>,
    /// Slave writers, and those who wait for output to drain.
    space: Arc<WaitQueue>,
    /// The master's readers and writers.
    far: Arc<WaitQueue>,
}

static TTYS: Mutex<BTreeMap<u32, Weak<Tty>>> = host::sync::mutex(BTreeMap::new());

/// What is to be done after the state's lock is free.
#[derive(Default)]
struct Todo {
    signals: Vec<u32>,
    pgrp: u32,
    readable: bool,
    far: bool,
    space: bool,
}

impl Tty {
    fn new(size: [u16; 4], owner: (u32, u32), sink: Option<Arc<dyn ConsoleSink>>, pty: bool) -> Result<Arc<Tty>> {
        let mut ttys = TTYS.lock();
        ttys.retain(|_, t| t.strong_count() > 0);
        if ttys.len() >= MAX_TTYS {
            return Err(Errno::ENOSPC);
        }
        let index = (0..).find(|i| !ttys.contains_key(i)).unwrap_or(0);
        let mut termios = Termios::default();
        // A pseudo-terminal's line does not hang up on close (no HUPCL).
        termios.cflag &= !0o2000;
        let t = Arc::new(Tty {
            index,
            access: Mutex::new((owner.0, owner.1, 0o620)),
            sink,
            state: Mutex::new(State {
                ldisc: Ldisc::new(termios),
                out: VecDeque::new(),
                pending: VecDeque::new(),
                size,
                session: Weak::new(),
                pgrp: 0,
                slaves: 0,
                opened: false,
                master_open: true,
                locked: pty,
                exclusive: false,
                packet: false,
                packet_events: 0,
                generation: 0,
                draining: false,
            }),
            input: Arc::default(),
            space: Arc::default(),
            far: Arc::default(),
        });
        ttys.insert(index, Arc::downgrade(&t));
        Ok(t)
    }

    /// N of /dev/pts/N.
    #[must_use]
    pub fn index(&self) -> u32 {
        self.index
    }

    /// Owner, group and permissions of /dev/pts/N.
    #[must_use]
    pub fn access(&self) -> (u32, u32, u32) {
        *self.access.lock()
    }

    /// chown, chmod of /dev/pts/N.
    pub fn set_access(&self, uid: u32, gid: u32, mode: u32) {
        *self.access.lock() = (uid, gid, mode & 0o7777);
    }

    fn finish(&self, todo: Todo) {
        if todo.pgrp != 0 {
            for s in &todo.signals {
                send_group(todo.pgrp, SigInfo::kernel(*s));
            }
        }
        if todo.readable {
            self.input.wake(Events::READ);
        }
        if todo.space {
            self.space.wake(Events::WRITE);
        }
        if todo.far {
            self.far.wake(Events::READ | Events::WRITE | Events::PRI);
        }
        self.pump();
        if let Some(sink) = self.sink.as_ref().filter(|_| todo.far) {
            sink.input_room();
        }
    }

    fn forget(&self) {
        TTYS.lock().remove(&self.index);
    }
}

impl State {
    /// Notes what the line discipline asked for.
    fn apply(&mut self, fx: Effects, todo: &mut Todo) {
        if fx.flush_output {
            self.out.clear();
            self.event(packet::FLUSHWRITE | packet::FLUSHREAD, todo);
            todo.space = true;
        }
        if let Some(stopped) = fx.flow {
            let old = if stopped { packet::START } else { packet::STOP };
            self.packet_events &= !old;
            self.event(if stopped { packet::STOP } else { packet::START }, todo);
            todo.space |= !stopped;
        }
        if !fx.output.is_empty() {
            // Echo that the far side does not take is lost rather than kept without limit.
            let room = MAX_OUT.saturating_sub(self.out.len());
            self.out.extend(fx.output.iter().take(room));
            todo.far = true;
        }
        if !fx.signals.is_empty() {
            todo.pgrp = self.pgrp;
            todo.signals.extend(fx.signals);
        }
    }

    fn event(&mut self, bits: u8, todo: &mut Todo) {
        if self.packet {
            self.packet_events |= bits;
            todo.far = true;
        }
    }

    /// Moves pending input into the line discipline as far as it has room.
    fn digest(&mut self, todo: &mut Todo) {
        while !self.pending.is_empty() {
            let (chunk, _) = self.pending.as_slices();
            let mut fx = Effects::default();
            let n = self.ldisc.receive(chunk, &mut fx);
            self.pending.drain(..n);
            self.apply(fx, todo);
            if n == 0 {
                break;
            }
            todo.far = true;
        }
        todo.readable |= self.ldisc.readable(false);
    }

    fn hung_up(&self, generation: u64) -> bool {
        self.generation != generation
    }
}

/// The terminals that exist: what /dev/pts lists.
#[must_use]
pub fn list() -> Vec<Arc<Tty>> {
    TTYS.lock().values().filter_map(Weak::upgrade).collect()
}

/// The terminal /dev/pts/`index`.
///
/// # Errors
/// `ENOENT`.
pub fn find(index: u32) -> Result<Arc<Tty>> {
    TTYS.lock().get(&index).and_then(Weak::upgrade).ok_or(Errno::ENOENT)
}
