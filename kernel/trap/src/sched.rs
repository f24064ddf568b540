//! The virtual processor of `remap` spaces: one host thread on which the guest kernel schedules all guest threads.
//!
//! ```text
//!            ┌── idle: sleeps on a futex ◄── nobody is runnable
//!   loop ────┤
//!            └── switch: mappings, GS, FS, stack ──► guest thread ──► block, yield, exit ──► loop
//! ```
//!
//! The guest kernel is not preempted; application code is, by the timer interrupt (SIGALRM) and by interrupts from the
//! supervisor (the kick): both only note that somebody else should run, and the spine yields on its way out
//! (`entry::signals`). Round robin, one slice of [`SLICE_NS`], or more where a switch of the mappings is slow. A sleeper
//! whose time has come does not wait for the end of a slice, but a thread that has just got the processor keeps it for at
//! least [`TURN_NS`], or as long as it took to give it: the machine never spends more of its time with switching than with
//! running, and a thread that sleeps for microseconds again and again does not keep all others from getting anywhere.
//!
//! Nothing in here allocates: the allocator's lock may be waited for by the very thread that is to be switched away from.

use crate::guard::{self, Guard};
use crate::thread::{self, Kind, Stack};
use crate::{context, cpu, monitor};
use abi::layout::MAX_SLOTS;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use host::cpu::Scheduler;
use host::sync::{PlainMutex, futex_wait, futex_wake, plain_mutex};

/// Time slice while others wait to run.
pub const SLICE_NS: u64 = 10_000_000;
/// The shortest turn of a thread that has more to do (Linux's scheduler knows the same as its base slice).
const TURN_NS: u64 = 1_000_000;
/// No deadline, no slot.
const NEVER: u64 = u64::MAX;
const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Status {
    /// No guest thread.
    Free,
    /// Runs, or is in the queue.
    Ready,
    Asleep,
    /// Has left its stack for good.
    Gone,
}

/// The run queue (a list through `next`) and the sleepers.
struct State {
    status: [Status; MAX_SLOTS],
    /// Somebody made the thread ready before it slept.
    token: [bool; MAX_SLOTS],
    deadline: [u64; MAX_SLOTS],
    next: [u32; MAX_SLOTS],
    head: u32,
    tail: u32,
    /// Slots from here on have never been used.
    high: usize,
    /// The earliest deadline, or earlier.
    nearest: u64,
}

static STATE: PlainMutex<State> = plain_mutex(State {
    status: [Status::Free; MAX_SLOTS],
    token: [false; MAX_SLOTS],
    deadline: [NEVER; MAX_SLOTS],
    next: [NONE; MAX_SLOTS],
    head: NONE,
    tail: NONE,
    high: 0,
    nearest: NEVER,
});

/// Stack pointer, FS base and processor time of each guest thread that does not run.
static STACK: [AtomicU64; MAX_SLOTS] = [const { AtomicU64::new(0) }; MAX_SLOTS];
static FS: [AtomicU64; MAX_SLOTS] = [const { AtomicU64::new(0) }; MAX_SLOTS];
static RUNTIME: [AtomicU64; MAX_SLOTS] = [const { AtomicU64::new(0) }; MAX_SLOTS];

/// The loop's own stack pointer while a guest thread runs.
static LOOP_STACK: AtomicU64 = AtomicU64::new(0);
/// Host identity and slot of the processor.
static PID: AtomicU32 = AtomicU32::new(0);
static TID: AtomicU32 = AtomicU32::new(0);
static LOOP_SLOT: AtomicU32 = AtomicU32::new(NONE);
/// Who has the processor, and since when.
static RUNNING: AtomicU32 = AtomicU32::new(NONE);
static SINCE: AtomicU64 = AtomicU64::new(0);
/// What the switch of the mappings before the running thread's turn took (0 where there was none), and when that turn began.
static SWITCH_NS: AtomicU64 = AtomicU64::new(0);
static TURN: AtomicU64 = AtomicU64::new(0);
/// Changes with every thread that becomes ready: the idle loop sleeps on it.
static BELL: AtomicU32 = AtomicU32::new(0);
static IDLE: AtomicBool = AtomicBool::new(false);
/// Somebody else should run.
static RESCHEDULE: AtomicBool = AtomicBool::new(false);
/// When the timer interrupt is due; NEVER where none is.
static ALARM: AtomicU64 = AtomicU64::new(NEVER);
static ON_SWITCH: AtomicUsize = AtomicUsize::new(0);

/// Interrupts and switches so far, for `--stats`.
pub static TIMER_INTERRUPTS: AtomicU64 = AtomicU64::new(0);
pub static THREAD_SWITCHES: AtomicU64 = AtomicU64::new(0);

impl State {
    fn push(&mut self, slot: u32) {
        self.next[slot as usize] = NONE;
        if self.tail == NONE {
            self.head = slot;
        } else {
            self.next[self.tail as usize] = slot;
        }
        self.tail = slot;
        self.high = self.high.max(slot as usize + 1);
    }

    fn pop(&mut self) -> Option<u32> {
        let slot = self.head;
        if slot == NONE {
            return None;
        }
        self.head = self.next[slot as usize];
        if self.head == NONE {
            self.tail = NONE;
        }
        Some(slot)
    }

    fn wake(&mut self, slot: u32) {
        let i = slot as usize;
        match self.status[i] {
            Status::Asleep => {
                self.status[i] = Status::Ready;
                self.deadline[i] = NEVER;
                self.push(slot);
            }
            Status::Ready => self.token[i] = true,
            Status::Free | Status::Gone => {}
        }
    }

    /// Wakes whose time has come.
    fn expire(&mut self, now: u64) {
        if self.nearest > now {
            return;
        }
        self.nearest = NEVER;
        for i in 0..self.high {
            if self.status[i] != Status::Asleep {
                continue;
            }
            if self.deadline[i] <= now {
                self.wake(i as u32);
            } else {
                self.nearest = self.nearest.min(self.deadline[i]);
            }
        }
    }
}

/// The scheduler as the rest of the kernel sees it.
struct Uniprocessor;
static SCHEDULER: &'static dyn Scheduler = &Uniprocessor;

/// Chooses this scheduler; boot.
pub fn choose() {
    host::cpu::set_scheduler(&SCHEDULER);
}

/// True where the guest kernel schedules.
#[inline]
#[must_use]
pub fn on() -> bool {
    host::cpu::scheduler().is_some()
}

/// Sets what switches the mappings: called on the processor, with GS of the thread that is about to run.
pub fn on_switch(f: fn()) {
    ON_SWITCH.store(f as usize, Ordering::Release);
}

/// Makes the processor: a host process whose only thread runs the loop. Called by the supervisor.
///
/// # Errors
/// The host's.
pub fn power_on() -> host::Result<()> {
    let slot = thread::alloc_slot()?;
    LOOP_SLOT.store(slot, Ordering::Release);
    let pid = thread::spawn_host(Kind::FirstProcess, slot, run)?;
    PID.store(pid, Ordering::Release);
    TID.store(pid, Ordering::Release);
    Ok(())
}

/// The processor's host process.
#[must_use]
pub fn host_pid() -> u32 {
    PID.load(Ordering::Acquire)
}

/// The processor's host process has died. Where it ran application code, that is the application's end and not the machine's:
/// returns the slot of its thread, which never comes back. The caller closes its books and calls [`power_on`].
///
/// # Panics
/// Where it ran the guest kernel: what it was doing stays half done.
pub fn lost(code: i32, status: i32) -> u32 {
    let slot = RUNNING.swap(NONE, Ordering::SeqCst);
    let in_user = slot != NONE && host::thread::trusted_of(slot).in_user.load(Ordering::SeqCst) == 1;
    assert!(
        in_user,
        "the virtual processor's host process ended inside the guest kernel (slot {slot}, code {code}, status {status})"
    );
    host::thread::trusted_of(slot).in_user.store(0, Ordering::SeqCst);
    STATE.lock().status[slot as usize] = Status::Free;
    IDLE.store(false, Ordering::SeqCst);
    ALARM.store(NEVER, Ordering::SeqCst);
    thread::free_slot(LOOP_SLOT.swap(NONE, Ordering::SeqCst));
    if let Some((parent, sp)) = thread::lender(slot) {
        STACK[parent as usize].store(sp, Ordering::Relaxed);
        STATE.lock().status[parent as usize] = Status::Asleep;
        Uniprocessor.ready(parent);
    }
    slot
}

extern "C" fn run(slot: u64) -> ! {
    let slot = slot as u32;
    thread::start(slot, true);
    let me = host::thread::trusted();
    PID.store(me.host_pid.load(Ordering::Relaxed), Ordering::Release);
    TID.store(me.host_tid.load(Ordering::Relaxed), Ordering::Release);
    if guard::in_force() == Guard::Mprotect {
        guard::mprotect::learn_frame();
    }
    loop {
        turn(slot);
    }
}

/// One turn of the loop: runs a guest thread until it gives the processor up, or idles.
fn turn(own: u32) {
    let bell = BELL.load(Ordering::SeqCst);
    let now = host::time::monotonic_ns();
    let (next, nearest, others) = {
        let mut s = STATE.lock();
        s.expire(now);
        (s.pop(), s.nearest, s.head != NONE)
    };
    let Some(slot) = next else {
        IDLE.store(true, Ordering::SeqCst);
        futex_wait(&BELL, bell, (nearest != NEVER).then_some(nearest));
        IDLE.store(false, Ordering::SeqCst);
        return;
    };
    THREAD_SWITCHES.fetch_add(1, Ordering::Relaxed);
    SINCE.store(now, Ordering::Relaxed);
    identify(slot);
    thread::become_slot(own, slot);
    host::thread::set_fs_base(FS[slot as usize].load(Ordering::Relaxed));
    let f = ON_SWITCH.load(Ordering::Acquire);
    if f != 0 {
        // SAFETY: only `on_switch` stores here.
        unsafe { core::mem::transmute::<usize, fn()>(f)() };
    }
    monitor::arm();
    // The slice begins when the mappings are there. A timer interrupt until here has found no thread to interrupt.
    RESCHEDULE.store(false, Ordering::SeqCst);
    let ready = host::time::monotonic_ns();
    TURN.store(ready, Ordering::Relaxed);
    // Of this turn only: threads of one address space owe nothing for a slow switch to it.
    let took = ready - now;
    SWITCH_NS.store(if took > MAPPED_NS { took } else { 0 }, Ordering::Relaxed);
    // Not before: until here a lock is waited for as the loop, not as the thread.
    RUNNING.store(slot, Ordering::SeqCst);
    let others = others || BELL.load(Ordering::SeqCst) != bell;
    let want = nearest.max(ready + turn_ns()).min(if others { ready + slice_ns() } else { NEVER });
    if want != NEVER {
        alarm_by(want, ready);
    }
    // SAFETY: the thread is runnable, so its saved stack is what it left behind, or a fresh one; we are resumed by `leave`.
    unsafe { thread::swap(&LOOP_STACK, STACK[slot as usize].load(Ordering::Relaxed)) };
    let last = RUNNING.swap(NONE, Ordering::SeqCst);
    let ran = host::time::monotonic_ns().saturating_sub(SINCE.load(Ordering::Relaxed));
    RUNTIME[last as usize].fetch_add(ran, Ordering::Relaxed);
    thread::become_slot(slot, own);
    let gone = {
        let mut s = STATE.lock();
        let gone = s.status[last as usize] == Status::Gone;
        if gone {
            s.status[last as usize] = Status::Free;
        }
        gone
    };
    if gone {
        thread::free_slot(last);
    }
}

/// A turn whose beginning took longer than this has switched address spaces.
const MAPPED_NS: u64 = 100_000;

fn turn_ns() -> u64 {
    TURN_NS.max(SWITCH_NS.load(Ordering::Relaxed))
}

fn slice_ns() -> u64 {
    SLICE_NS.max(2 * SWITCH_NS.load(Ordering::Relaxed))
}

/// Makes sure that the timer interrupt comes by `want`.
fn alarm_by(want: u64, now: u64) {
    // Close enough: an interrupt that is due anyway comes instead.
    const SLACK_NS: u64 = 500_000;
    if ALARM.load(Ordering::Relaxed) <= want.saturating_add(SLACK_NS) {
        return;
    }
    ALARM.store(want, Ordering::Relaxed);
    host::time::set_alarm(want.saturating_sub(now).max(1000));
}

/// The timer interrupt, in the signal handler.
pub(crate) fn timer_interrupt() {
    ALARM.store(NEVER, Ordering::Relaxed);
    TIMER_INTERRUPTS.fetch_add(1, Ordering::Relaxed);
    RESCHEDULE.store(true, Ordering::SeqCst);
    host::thread::trusted().pending.store(1, Ordering::SeqCst);
}

/// On the way back to application code: gives the processor up where somebody else should have it.
pub fn preempt() {
    if RESCHEDULE.swap(false, Ordering::SeqCst) && Uniprocessor.is_guest() {
        let now = host::time::monotonic_ns();
        let until = TURN.load(Ordering::Relaxed) + turn_ns();
        if now < until {
            alarm_by(until, now);
            return;
        }
        let slot = host::thread::slot();
        if !queue_behind_others(slot) {
            leave(slot);
        }
    }
}

/// Puts the running thread behind those that are runnable now; true where there is none, and it goes on.
fn queue_behind_others(slot: u32) -> bool {
    let now = host::time::monotonic_ns();
    let (alone, nearest) = {
        let mut s = STATE.lock();
        s.expire(now);
        let alone = s.head == NONE;
        if !alone {
            s.push(slot);
        }
        (alone, s.nearest)
    };
    if alone && nearest != NEVER {
        alarm_by(nearest, now);
    }
    alone
}

/// Adds a guest thread that starts at `entry(slot)` on the slot's kernel stack.
pub(crate) fn add(slot: u32, entry: extern "C" fn(u64) -> !) {
    let i = slot as usize;
    STACK[i].store(Stack::fresh(slot, entry).saved(), Ordering::Relaxed);
    let fs = if Uniprocessor.is_guest() { host::thread::fs_base() } else { 0 };
    FS[i].store(fs, Ordering::Relaxed);
    RUNTIME[i].store(0, Ordering::Relaxed);
    {
        let mut s = STATE.lock();
        s.status[i] = Status::Asleep;
        s.token[i] = false;
    }
    Uniprocessor.ready(slot);
}

/// A guest thread is reached through the processor's host thread.
fn identify(slot: u32) {
    let page = host::thread::trusted_of(slot);
    page.host_pid.store(PID.load(Ordering::Acquire), Ordering::Relaxed);
    page.host_tid.store(TID.load(Ordering::Acquire), Ordering::Relaxed);
}

/// The guest thread of `slot` has the processor now: vfork's child runs where its parent was, and back.
pub(crate) fn lent(slot: u32) {
    let mut s = STATE.lock();
    s.status[slot as usize] = Status::Ready;
    s.token[slot as usize] = false;
    s.high = s.high.max(slot as usize + 1);
    drop(s);
    RUNNING.store(slot, Ordering::SeqCst);
}

/// The end of a guest thread that was [`lent`] the processor.
pub(crate) fn returned(slot: u32) {
    STATE.lock().status[slot as usize] = Status::Free;
}

/// Ends the calling guest thread: its slot is free once its stack is left.
pub(crate) fn exit(slot: u32) -> ! {
    host::thread::trusted().host_tid.store(0, Ordering::SeqCst);
    STATE.lock().status[slot as usize] = Status::Gone;
    let nowhere = AtomicU64::new(0);
    // SAFETY: the loop waits in `turn`; nobody comes back to this stack.
    unsafe { thread::swap(&nowhere, LOOP_STACK.load(Ordering::Relaxed)) };
    unreachable!("a thread that has ended was resumed")
}

/// Leaves the processor to the loop; returns when the loop picks this thread again.
fn leave(slot: u32) {
    // Whoever runs next uses all registers: what a gate call had left in them goes into memory.
    cpu::make_full(context::current());
    FS[slot as usize].store(host::thread::fs_base(), Ordering::Relaxed);
    // SAFETY: the loop waits in `turn`.
    unsafe { thread::swap(&STACK[slot as usize], LOOP_STACK.load(Ordering::Relaxed)) };
}

impl Scheduler for Uniprocessor {
    fn block(&self, deadline_ns: Option<u64>) {
        let slot = host::thread::slot();
        let i = slot as usize;
        {
            let mut s = STATE.lock();
            if core::mem::take(&mut s.token[i]) {
                return;
            }
            s.status[i] = Status::Asleep;
            s.deadline[i] = deadline_ns.unwrap_or(NEVER);
            s.nearest = s.nearest.min(s.deadline[i]);
        }
        leave(slot);
    }

    fn ready(&self, slot: u32) {
        let queued = {
            let mut s = STATE.lock();
            s.wake(slot);
            s.head != NONE
        };
        BELL.fetch_add(1, Ordering::SeqCst);
        let here = host::thread::trusted().host_pid.load(Ordering::Relaxed) == PID.load(Ordering::Relaxed);
        if here {
            if queued && RUNNING.load(Ordering::Relaxed) != NONE {
                let now = host::time::monotonic_ns();
                alarm_by(now + slice_ns(), now);
            }
            return;
        }
        if IDLE.load(Ordering::SeqCst) {
            futex_wake(&BELL, 1);
            return;
        }
        // A device's interrupt: whoever waits for it runs before a thread that computes.
        let running = RUNNING.load(Ordering::SeqCst);
        if running != NONE && queued {
            RESCHEDULE.store(true, Ordering::SeqCst);
            host::thread::trusted_of(running).pending.store(1, Ordering::SeqCst);
            let _ =
                host::process::tgkill(PID.load(Ordering::Relaxed), TID.load(Ordering::Relaxed), crate::signal::KICK);
        }
    }

    fn interrupt(&self, slot: u32) {
        if RUNNING.load(Ordering::SeqCst) == slot && slot != host::thread::slot() {
            let _ =
                host::process::tgkill(PID.load(Ordering::Relaxed), TID.load(Ordering::Relaxed), crate::signal::KICK);
        }
    }

    fn yield_now(&self) {
        let slot = host::thread::slot();
        if queue_behind_others(slot) {
            // The supervisor may be what is waited for.
            host::process::sched_yield();
        } else {
            leave(slot);
        }
    }

    fn is_guest(&self) -> bool {
        host::thread::slot() == RUNNING.load(Ordering::Relaxed)
    }

    fn is_runnable(&self, slot: u32) -> bool {
        STATE.lock().status.get(slot as usize).is_some_and(|s| *s == Status::Ready)
    }

    fn runtime_ns(&self, slot: u32) -> u64 {
        let Some(done) = RUNTIME.get(slot as usize) else { return 0 };
        let now = if RUNNING.load(Ordering::Relaxed) == slot {
            host::time::monotonic_ns().saturating_sub(SINCE.load(Ordering::Relaxed))
        } else {
            0
        };
        done.load(Ordering::Relaxed) + now
    }
}
