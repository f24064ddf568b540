//! A guest thread.

use super::{Cred, IoCount, Process, rlimit};
use crate::fd::FdTable;
use crate::signal::{Pending, SigSet};
use crate::vfs::FsContext;
use crate::wait::Interrupt;
use crate::{Errno, Mutex, Result};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering};
use host::own::{Lent, Own};
use host::sync::Parker;

/// Alternate signal stack (sigaltstack(2)).
#[derive(Clone, Copy, Default, Debug)]
pub struct AltStack {
    pub sp: u64,
    pub flags: u32,
    pub size: u64,
}

/// What to do when a call that was interrupted with `ERESTART_RESTARTBLOCK` is resumed (restart_syscall(2)).
#[derive(Clone, Copy, Debug)]
pub enum Restart {
    None,
    /// nanosleep until this time of `clock`, remaining time to `rem`.
    Sleep {
        clock: i32,
        deadline: (i64, i64),
        rem: u64,
    },
    /// poll until CLOCK_MONOTONIC `deadline`.
    Poll {
        fds: u64,
        n: u64,
        deadline: Option<u64>,
    },
    Futex {
        addr: u64,
        val: u32,
        flags: u32,
        deadline: (i64, i64),
        bitset: u32,
    },
}

const DEFAULT_SLACK_NS: u64 = 50_000;

/// A guest thread: one host thread.
pub struct Thread {
    tid: AtomicU32,
    pub process: Arc<Process>,
    /// Where the thread sleeps; signals unpark it.
    pub parker: Arc<Parker>,
    /// The thread's memory in the guest kernel (`abi::layout`).
    slot: AtomicU32,
    cred: Mutex<Arc<Cred>>,
    /// The same at hand: see [`my_cred`].
    own_cred: Own<Arc<Cred>>,
    files: Mutex<Arc<FdTable>>,
    pub recent: crate::fd::Recent,
    fs: Mutex<Arc<FsContext>>,
    own_fs: Own<Arc<FsContext>>,
    pub comm: Mutex<[u8; 16]>,
    /// Blocked signals.
    pub mask: AtomicU64,
    /// The mask to go back to once a handler has been set up (sigsuspend, ppoll…).
    pub saved_mask: Mutex<Option<SigSet>>,
    pub pending: Mutex<Pending>,
    pub altstack: Mutex<AltStack>,
    pub clear_child_tid: AtomicU64,
    pub robust_list: AtomicU64,
    pub restart: Mutex<Restart>,
    /// Something to do before the next return to the application: a signal, the end, a stop.
    pub work: AtomicBool,
    pub dead: AtomicBool,
    /// It became a user who had too many threads already: the next execve fails where that is still so (RLIMIT_NPROC).
    pub over_user_limit: AtomicBool,
    /// This thread is a vfork child that runs on its parent's host thread.
    pub borrowed: AtomicBool,
    /// For the first moments of a clone's child: FS base to set (`u64::MAX`: keep), where to store its tid (0: nowhere).
    pub start_fs: AtomicU64,
    pub start_settid: AtomicU64,
    /// The processors that sched_setaffinity(2) asked for: kept, the host schedules. 0 for all.
    pub affinity: AtomicU64,
    /// What setpriority(2), sched_setscheduler(2) and ioprio_set(2) asked for: kept like the processors.
    pub nice: AtomicI32,
    pub policy: AtomicU32,
    pub ioprio: AtomicU32,
    /// What personality(2) asked for.
    pub personality: AtomicU32,
    /// How much later than asked for a sleep may end, and what 0 sets it to (prctl(2), PR_SET_TIMERSLACK): kept, sleeps end in time.
    timer_slack: AtomicU64,
    default_slack: AtomicU64,
    pub io: IoCount,
    /// How often it has gone to sleep, by itself: what others know of its context switches while it lives.
    pub sleeps: AtomicU64,
    /// CPU-time timers of this thread that are to be looked at by itself: nobody else can read its clock.
    pub cpu_timers: Mutex<Vec<Weak<crate::time::ClockTimer>>>,
    /// Error code, trap number and address of the last fault, for its signal's frame.
    fault: Mutex<(u64, u64, u64)>,
}

impl Thread {
    #[must_use]
    pub fn new(
        tid: u32,
        process: Arc<Process>,
        slot: u32,
        cred: Arc<Cred>,
        files: Arc<FdTable>,
        fs: Arc<FsContext>,
        comm: [u8; 16],
        mask: SigSet,
    ) -> Thread {
        Thread {
            tid: AtomicU32::new(tid),
            process,
            parker: Arc::new(Parker::new()),
            slot: AtomicU32::new(slot),
            cred: Mutex::new(cred),
            own_cred: Own::new(),
            files: Mutex::new(files),
            recent: crate::fd::Recent::default(),
            fs: Mutex::new(fs),
            own_fs: Own::new(),
            comm: Mutex::new(comm),
            mask: AtomicU64::new(mask.0),
            saved_mask: Mutex::default(),
            pending: Mutex::default(),
            altstack: Mutex::new(AltStack { sp: 0, flags: 2, size: 0 }),
            clear_child_tid: AtomicU64::new(0),
            robust_list: AtomicU64::new(0),
            restart: Mutex::new(Restart::None),
            work: AtomicBool::new(false),
            dead: AtomicBool::new(false),
            over_user_limit: AtomicBool::new(false),
            borrowed: AtomicBool::new(false),
            start_fs: AtomicU64::new(u64::MAX),
            start_settid: AtomicU64::new(0),
            affinity: AtomicU64::new(0),
            nice: AtomicI32::new(0),
            policy: AtomicU32::new(0),
            ioprio: AtomicU32::new(0),
            personality: AtomicU32::new(0),
            timer_slack: AtomicU64::new(DEFAULT_SLACK_NS),
            default_slack: AtomicU64::new(DEFAULT_SLACK_NS),
            io: IoCount::default(),
            sleeps: AtomicU64::new(0),
            cpu_timers: Mutex::default(),
            fault: Mutex::default(),
        }
    }

    #[must_use]
    pub fn tid(&self) -> u32 {
        self.tid.load(Ordering::Relaxed)
    }

    #[must_use]
    pub fn slot(&self) -> u32 {
        self.slot.load(Ordering::Relaxed)
    }

    /// The thread moves to another host thread (execve of a vfork child).
    pub fn set_slot(&self, slot: u32) {
        self.slot.store(slot, Ordering::Relaxed);
    }

    /// execve by a thread that is not the leader: it becomes the leader.
    pub fn become_leader(&self) {
        self.tid.store(self.process.pid, Ordering::Relaxed);
    }

    #[must_use]
    pub fn cred(&self) -> Arc<Cred> {
        self.cred.lock().clone()
    }

    pub fn set_cred(&self, cred: Arc<Cred>) {
        self.own_cred.clear();
        *self.process.cred.lock() = cred.clone();
        *self.cred.lock() = cred;
    }

    #[must_use]
    pub fn files(&self) -> Arc<FdTable> {
        self.files.lock().clone()
    }

    pub fn set_files(&self, files: Arc<FdTable>) -> Arc<FdTable> {
        self.recent.clear();
        core::mem::replace(&mut *self.files.lock(), files)
    }

    #[must_use]
    pub fn fs(&self) -> Arc<FsContext> {
        self.fs.lock().clone()
    }

    pub fn set_fs(&self, fs: Arc<FsContext>) {
        self.own_fs.clear();
        *self.fs.lock() = fs;
    }

    pub fn set_fault(&self, fault: (u64, u64, u64)) {
        *self.fault.lock() = fault;
    }

    /// What [`Thread::set_fault`] noted last; zeros the second time.
    #[must_use]
    pub fn take_fault(&self) -> (u64, u64, u64) {
        core::mem::take(&mut *self.fault.lock())
    }

    #[must_use]
    pub fn rlimit_nofile(&self) -> u64 {
        self.process.rlimit(rlimit::NOFILE)
    }

    /// The soft limit of file size: writes beyond give EFBIG and SIGXFSZ.
    #[must_use]
    pub fn rlimit_fsize(&self) -> u64 {
        self.process.rlimit(rlimit::FSIZE)
    }

    #[must_use]
    pub fn blocked(&self) -> SigSet {
        SigSet(self.mask.load(Ordering::Relaxed))
    }

    #[must_use]
    pub fn timer_slack(&self) -> u64 {
        self.timer_slack.load(Ordering::Relaxed)
    }

    /// In nanoseconds; 0 for the default.
    pub fn set_timer_slack(&self, ns: u64) {
        let ns = if ns == 0 { self.default_slack.load(Ordering::Relaxed) } else { ns };
        self.timer_slack.store(ns, Ordering::Relaxed);
    }

    /// A new thread's slack and default are its maker's slack.
    pub fn inherit_timer_slack(&self, maker: &Thread) {
        self.timer_slack.store(maker.timer_slack(), Ordering::Relaxed);
        self.default_slack.store(maker.timer_slack(), Ordering::Relaxed);
    }

    /// Looks at the thread's own CPU-time timers that the supervisor asked about.
    pub fn check_cpu_timers(&self) {
        let due = core::mem::take(&mut *self.cpu_timers.lock());
        for t in due.iter().filter_map(Weak::upgrade) {
            t.look();
        }
    }

    /// Sleeps as [`Parker::park`] does. Whoever sleeps does what others ask of its memory ([`crate::mm::errand`]).
    pub fn park(&self, deadline_ns: Option<u64>) -> bool {
        self.slept();
        let in_time = self.parker.park(deadline_ns);
        self.run_errands();
        in_time
    }

    /// Counts a sleep, perhaps of no time.
    fn slept(&self) {
        self.sleeps.store(self.sleeps.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    fn run_errands(&self) {
        if self.work.load(Ordering::SeqCst) {
            let mm = self.process.mm.lock().clone();
            if let Some(mm) = mm {
                mm.run_errands();
            }
        }
    }

    /// True when a sleep must end: an unblocked signal is pending, or the process is ending. A stopped process sleeps nowhere
    /// else: a call that went on would take what comes (a byte of a terminal, a connection) from those who run.
    #[must_use]
    pub fn interrupted(&self, how: Interrupt) -> bool {
        if self.process.is_exiting() || self.dead.load(Ordering::Relaxed) {
            return true;
        }
        match how {
            Interrupt::Signal => {
                self.work.load(Ordering::SeqCst) && (self.signal_pending() || self.process.is_stopped())
            }
            Interrupt::Killable => self.work.load(Ordering::SeqCst) && crate::signal::kill_pending(self),
        }
    }

    /// An unblocked signal is pending for this thread or its process.
    #[must_use]
    pub fn signal_pending(&self) -> bool {
        let blocked = self.blocked();
        self.pending.lock().any(blocked) || self.process.pending.lock().any(blocked)
    }

    /// Before looking for signals and making an interruptible host call: what becomes pending from now on ends the call.
    pub fn begin_interruptible(&self) {
        self.slept();
        host::thread::trusted().pending.store(0, Ordering::SeqCst);
        self.run_errands();
    }

    /// After an interruptible host call: work that was there before it is not forgotten.
    pub fn end_interruptible(&self) {
        if self.work.load(Ordering::SeqCst) {
            host::thread::trusted().pending.store(1, Ordering::SeqCst);
        }
    }

    /// `Err(ERESTARTSYS)` when a signal is pending.
    ///
    /// # Errors
    /// `ERESTARTSYS`.
    pub fn check_signals(&self) -> Result<()> {
        if self.interrupted(Interrupt::Signal) { Err(Errno::ERESTARTSYS) } else { Ok(()) }
    }
}

/// Credentials of the calling thread, without a reference of their own: only the thread itself changes which they are.
#[inline]
#[must_use]
pub fn my_cred() -> Lent<Arc<Cred>> {
    let me = super::current();
    me.own_cred.take().unwrap_or_else(|| me.own_cred.lend(me.cred()))
}

/// Root and working directory of the calling thread; as [`my_cred`].
#[inline]
#[must_use]
pub fn my_fs() -> Lent<Arc<FsContext>> {
    let me = super::current();
    me.own_fs.take().unwrap_or_else(|| me.own_fs.lend(me.fs()))
}
