//! Host processes for programs: a place for a guest thread that comes with nothing but its program (vfork and execve, a command
//! of the VMM).
//!
//! ```text
//!  supervisor ── clone ──► blank process: waits ◄── program ── execve of a vfork child, a command
//!       ▲                                                        │ nobody waits
//!       └── ends of host processes: make up for those taken      └──► bell ──► supervisor ── clone ──► runs it
//! ```
//!
//! Two blank processes wait once a second program has asked: then the making, and the supervisor's waking up, are off the way of
//! a posix_spawn (docs/decisions/0006-processes-for-exec.md).

use super::exec;
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};
use core_::exec::Program;
use core_::signal::sig;
use core_::task::{Event, Exit, Thread, tell};
use core_::time::{Expire, Timer};
use core_::{Mutex, Result};
use host::sync::{Once, Parker};
use trap::thread::Kind;

/// So many blank processes wait.
const WAITING: usize = 2;

/// Programs on their way, by the slot of the thread that will run them.
static MAILBOX: Mutex<BTreeMap<u32, (Arc<Thread>, Program)>> = host::sync::mutex(BTreeMap::new());
/// Slots whose process waits for a program.
static READY: Mutex<Vec<u32>> = host::sync::mutex(Vec::new());
/// Slots with a program for which the supervisor has to make a process.
static WANTED: Mutex<Vec<u32>> = host::sync::mutex(Vec::new());
/// How many places have been asked for, up to the first that makes it worth while to have some ready.
static ASKED: AtomicU32 = AtomicU32::new(0);
/// Where a waiting process sleeps until its program has come, by slot.
static BEDS: [Parker; abi::layout::MAX_SLOTS] = [const { Parker::new() }; abi::layout::MAX_SLOTS];
/// What calls the supervisor: a timer that is always due.
static BELL: Mutex<Option<(Timer, Arc<Courier>)>> = host::sync::mutex(None);

/// What a process does while nobody waits for it.
static WARM_UP: Once<fn(u32)> = Once::new();

/// Tells what touches the pages of the guest kernel that every process needs: the host's page faults are then off the way, too.
pub fn on_waiting(warm_up: &'static fn(u32)) {
    WARM_UP.set(warm_up);
}

/// A slot for a guest thread, perhaps with a host process that waits.
pub struct Seat {
    slot: u32,
    waiting: bool,
}

/// A place to run a program in.
///
/// # Errors
/// `EAGAIN` when all slots are taken.
pub fn take() -> Result<Seat> {
    if ASKED.load(Ordering::Relaxed) < 2 {
        ASKED.fetch_add(1, Ordering::Relaxed);
    }
    if let Some(slot) = READY.lock().pop() {
        return Ok(Seat { slot, waiting: true });
    }
    Ok(Seat { slot: trap::thread::alloc_slot()?, waiting: false })
}

impl Seat {
    #[must_use]
    pub const fn slot(&self) -> u32 {
        self.slot
    }

    /// Puts the program where its process looks for it; true where that waits, and runs it from now on.
    fn put(&self, thread: Arc<Thread>, program: Program) -> bool {
        host::thread::set_current(self.slot, thread.clone());
        MAILBOX.lock().insert(self.slot, (thread, program));
        if self.waiting {
            BEDS[self.slot as usize].unpark();
        }
        self.waiting
    }

    /// `thread` runs `program` here from now on, perhaps before this returns. Called by guest threads: where nobody waits, the
    /// supervisor makes the process.
    pub fn send(self, thread: Arc<Thread>, program: Program) {
        if self.put(thread, program) {
            return;
        }
        WANTED.lock().push(self.slot);
        let mut bell = BELL.lock();
        let (timer, courier) = bell.get_or_insert_with(|| (Timer::new(), Arc::new(Courier)));
        let target: Weak<Courier> = Arc::downgrade(courier);
        timer.arm(1, target);
    }

    /// As [`Seat::send`], called by the supervisor, which makes the process itself.
    pub fn start(self, thread: Arc<Thread>, program: Program) {
        if !self.put(thread, program) {
            make(self.slot);
        }
    }
}

struct Courier;

impl Expire for Courier {
    fn expire(&self, _now: u64) {
        let slots = core::mem::take(&mut *WANTED.lock());
        slots.into_iter().for_each(make);
        top_up();
    }
}

/// Makes the process of `slot`, whose program is there.
fn make(slot: u32) {
    if trap::thread::spawn(Kind::FirstProcess, slot, arrive).is_err() {
        lost(slot);
    }
}

/// The process of `slot` will never run its program. Who started it has been told that it runs: it ends as if killed.
fn lost(slot: u32) {
    let work = MAILBOX.lock().remove(&slot);
    trap::thread::free_slot(slot);
    let Some((thread, _)) = work else { return };
    drop(thread.set_files(core_::fd::FdTable::new()));
    let status = Exit::signal(sig::KILL, false);
    tell(&thread, &Event::Ended(status));
    core_::task::thread_gone(&thread);
    core_::time::process_gone(&thread.process);
    core_::task::process_exit(&thread.process, status);
}

/// Makes up for the waiting processes that were taken. Called by the supervisor when it is awake anyway.
pub fn top_up() {
    if ASKED.load(Ordering::Relaxed) < 2 || trap::sched::on() {
        return;
    }
    while READY.lock().len() < WAITING {
        let Ok(slot) = trap::thread::alloc_slot() else { return };
        // Whoever waits for the end of the slot's last thread (execve) must see that the slot is another's.
        host::thread::clear_current::<Thread>(slot);
        // Without a spare one the next program's process is made when it is needed.
        if trap::thread::spawn(Kind::FirstProcess, slot, arrive).is_err() {
            return trap::thread::free_slot(slot);
        }
        READY.lock().push(slot);
    }
}

/// The host has killed process `pid`: true if it waited here, or had not begun with its program.
pub fn died(pid: u32) -> bool {
    let is = |slot: &u32| host::thread::trusted_of(*slot).host_tid.load(Ordering::Relaxed) == pid;
    let waiting = {
        let mut ready = READY.lock();
        ready.iter().position(is).map(|i| ready.swap_remove(i))
    };
    let slot = waiting.or_else(|| MAILBOX.lock().keys().copied().find(is));
    slot.map(lost).is_some()
}

/// First code of a host process made here.
extern "C" fn arrive(slot: u64) -> ! {
    let slot = slot as u32;
    if !trap::sched::on() {
        trap::thread::start(slot, true);
    }
    trap::context::current().reset();
    let mail = || MAILBOX.lock().remove(&slot);
    let (thread, program) = mail().unwrap_or_else(|| {
        WARM_UP.get().inspect(|f| f(slot));
        loop {
            if let Some(work) = mail() {
                return work;
            }
            BEDS[slot as usize].park(None);
        }
    });
    exec::adopt(&thread, slot, &program);
    drop((thread, program));
    trap::thread::entry()(u64::from(slot))
}
