//! Whether a command may read the host's terminal, whose job control counts for `lodger run` only.

use crate::message::Writer;
use crate::server;
use abi::wire;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering};
use core_::file::File;
use core_::wait::{Events, WaitQueue};
use core_::{Errno, Result};

/// One command's.
pub struct Gate {
    id: u32,
    /// The VMM stops and continues the command as a shell tells it.
    pub job: bool,
    state: AtomicU32,
    /// What the VMM has been asked for since it last said something, one bit each: a guest could ask forever.
    asked: AtomicU32,
    /// Of the streams that are behind it.
    pub queue: Arc<WaitQueue>,
}

impl Gate {
    /// For the command of this id, with SPAWN's flags.
    #[must_use]
    pub fn new(id: u32, flags: u32) -> Arc<Gate> {
        let state = if flags & wire::SPAWN_HELD != 0 { wire::TERMINAL_HELD } else { wire::TERMINAL_OPEN };
        let job = flags & wire::SPAWN_JOB != 0;
        Arc::new(Gate { id, job, state: AtomicU32::new(state), asked: AtomicU32::new(0), queue: Arc::default() })
    }

    /// True where the host's terminal may be read.
    #[must_use]
    pub fn open(&self) -> bool {
        self.state.load(Ordering::SeqCst) == wire::TERMINAL_OPEN
    }

    /// The VMM's word.
    pub fn set(&self, state: u32) {
        self.state.store(state, Ordering::SeqCst);
        self.asked.store(0, Ordering::SeqCst);
        self.queue.wake_all();
    }

    /// Tells the VMM what a process of the command would do with the terminal, once until the VMM has said something.
    pub fn ask(&self, what: u32) {
        let bit = 1 << what;
        if self.asked.fetch_or(bit, Ordering::SeqCst) & bit == 0 {
            server::send(Writer::new(wire::ASKS, self.id).u32(what));
        }
    }

    /// Before a read: waits until it may be made. Who does not want to wait asks all the same (POSIX: SIGTTIN is for
    /// every read).
    ///
    /// # Errors
    /// `EAGAIN`; `EIO` where nobody will ever put the command into the foreground; what interrupts a wait.
    pub fn pass(&self, file: &File) -> Result<()> {
        while !self.open() {
            self.ask(wire::ASK_READ);
            if file.nonblocking() {
                return Err(Errno::EAGAIN);
            }
            self.queue.wait(|| match self.state.load(Ordering::SeqCst) {
                wire::TERMINAL_OPEN => Some(Ok(())),
                wire::TERMINAL_REFUSED => Some(Err(Errno::EIO)),
                _ => None,
            })?;
        }
        Ok(())
    }

    /// What of `now` may be told of a stream behind it.
    #[must_use]
    pub fn seen(&self, now: Events) -> Events {
        if self.open() { now } else { now - (Events::IN | Events::READ) }
    }
}
