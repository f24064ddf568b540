//! Whether a command may read the host's terminal, whose job control counts for `lodger run` only.

use crate::message::Writer;
use crate::server;
use abi::wire;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};
use core_::file::File;
use core_::wait::{Events, WaitQueue};
use core_::{Errno, Mutex, Result, Thread};

/// One command's.
pub struct Gate {
    id: u32,
    /// The VMM stops and continues the command as a shell tells it.
    pub job: bool,
    state: AtomicU32,
    /// What the VMM has been asked for since it last said something, one bit each: a guest could ask forever.
    asked: AtomicU32,
    /// Threads within a host call that may take input.
    readers: Mutex<Vec<&'static Thread>>,
    /// Of the streams that are behind it.
    pub queue: Arc<WaitQueue>,
}

/// A thread is about to read, or does.
pub struct Reading<'a>(&'a Gate, &'static Thread);

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        let mut readers = self.0.readers.lock();
        if let Some(i) = readers.iter().position(|t| core::ptr::eq(*t, self.1)) {
            readers.swap_remove(i);
        }
    }
}

impl Gate {
    /// For the command of this id, with SPAWN's flags.
    #[must_use]
    pub fn new(id: u32, flags: u32) -> Arc<Gate> {
        let state = if flags & wire::SPAWN_HELD != 0 { wire::TERMINAL_HELD } else { wire::TERMINAL_OPEN };
        let job = flags & wire::SPAWN_JOB != 0;
        let (state, asked) = (AtomicU32::new(state), AtomicU32::new(0));
        Arc::new(Gate { id, job, state, asked, readers: Mutex::default(), queue: Arc::default() })
    }

    /// True where the host's terminal may be read.
    #[must_use]
    pub fn open(&self) -> bool {
        self.state.load(Ordering::SeqCst) == wire::TERMINAL_OPEN
    }

    /// The VMM's word. Once it is closed no thread is in the middle of a read any more: what is typed next is the shell's.
    pub fn set(&self, state: u32) {
        self.state.store(state, Ordering::SeqCst);
        self.asked.store(0, Ordering::SeqCst);
        self.queue.wake_all();
        // A thread that the host does not let run is not waited for forever.
        let deadline = host::time::monotonic_ns() + 1_000_000_000;
        while !self.open() && host::time::monotonic_ns() < deadline {
            let readers = self.readers.lock().clone();
            if readers.is_empty() {
                return;
            }
            for t in readers {
                core_::signal::wake_for_work(t);
            }
            host::process::sched_yield();
        }
    }

    /// Before the host call of a read, after [`core_::Thread::begin_interruptible`]; none where it may not be made.
    pub fn enter(&self, me: &'static Thread) -> Option<Reading<'_>> {
        self.readers.lock().push(me);
        let reading = Reading(self, me);
        // Looked at after being on the list: whoever closes it in between kicks us out.
        self.open().then_some(reading)
    }

    /// Tells the VMM what a process of the command would do with the terminal, once until the VMM has said something.
    pub fn ask(&self, what: u32) {
        let bit = 1 << what;
        if self.asked.fetch_or(bit, Ordering::SeqCst) & bit == 0 {
            server::send(Writer::new(wire::ASKS, self.id).u32(what));
        }
    }

    /// As if it had been asked already.
    pub fn mute(&self, what: u32) {
        self.asked.fetch_or(1 << what, Ordering::SeqCst);
    }

    /// Before a read: waits until it may be made. Who does not want to wait asks all the same (POSIX: SIGTTIN is for
    /// every read).
    ///
    /// # Errors
    /// `EAGAIN`; `EIO` where nobody will ever put the command into the foreground; what interrupts a wait.
    pub fn pass(&self, file: &File) -> Result<()> {
        while !self.open() {
            if file.nonblocking() {
                self.ask(wire::ASK_READ);
                return Err(Errno::EAGAIN);
            }
            self.queue.wait(|| match self.state.load(Ordering::SeqCst) {
                wire::TERMINAL_OPEN => Some(Ok(())),
                wire::TERMINAL_REFUSED => Some(Err(Errno::EIO)),
                _ => {
                    self.ask(wire::ASK_READ);
                    None
                }
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
