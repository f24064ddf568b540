//! Timers that send signals: setitimer(2) and timer_create(2).

use super::queue::{Expire, Timer};
use super::{Clock, to_monotonic};
use crate::signal::{self, Charge, SigInfo, code, send_process, send_thread, sig, wake_for_work};
use crate::task::{Process, TREE, Thread, rlimit};
use crate::{Errno, Mutex, Result};
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};

/// The most POSIX timers of a process. Linux bounds them by RLIMIT_SIGPENDING.
const MAX_TIMERS: usize = 4096;
/// CPU-time timers look at the clock at most this often.
const CPU_TICK: i64 = 1_000_000;
/// How often a thread is asked about its own clock, where it does not look by itself.
const THREAD_TICK: i64 = 10_000_000;

/// Time left until the next expiry, and the interval after it; nanoseconds, 0 for none.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Setting {
    pub value: i64,
    pub interval: i64,
}

/// What an expiry does.
pub enum Notify {
    Nothing,
    /// setitimer: a plain signal to the process.
    Itimer(u32),
    /// RLIMIT_CPU: SIGXCPU each second from the soft limit on, SIGKILL at the hard one.
    CpuLimit,
    /// timer_create: signal number and value, to one thread or to the process.
    Signal {
        signo: u32,
        value: u64,
        thread: Option<Weak<Thread>>,
    },
}

#[derive(Default)]
struct State {
    /// Expiry on the timer's own clock; 0 when disarmed.
    due: i64,
    interval: i64,
    /// Expiries that found the signal still queued, of the one queued or taken last.
    overrun: u32,
}

/// One timer: a clock, a setting, and what it does.
pub struct ClockTimer {
    clock: Clock,
    process: Weak<Process>,
    notify: Notify,
    /// The timer_t.
    id: i32,
    /// `SigInfo::timer`: unique in the VM, never 0.
    unique: u32,
    /// The signal that a timer_create'd one has room for, always.
    _charge: Option<Charge>,
    state: Mutex<State>,
    timer: Timer,
    me: Weak<ClockTimer>,
}

static NEXT_UNIQUE: AtomicU32 = AtomicU32::new(1);

impl ClockTimer {
    fn new(clock: Clock, process: &Arc<Process>, notify: Notify, id: i32, charge: Option<Charge>) -> Arc<ClockTimer> {
        Arc::new_cyclic(|me| ClockTimer {
            clock,
            process: Arc::downgrade(process),
            notify,
            id,
            unique: NEXT_UNIQUE.fetch_add(1, Ordering::Relaxed).max(1),
            _charge: charge,
            state: Mutex::default(),
            timer: Timer::new(),
            me: me.clone(),
        })
    }

    /// When to look again for an expiry at `due`.
    fn schedule(&self, due: i64) {
        let deadline = match self.clock {
            Clock::System(id) => to_monotonic(id, due).unwrap_or(u64::MAX),
            cpu => {
                // CPU time runs at most as fast as the wall's times the number of threads.
                let left = match cpu.now() {
                    Ok(now) => due.saturating_sub(now),
                    // A thread's clock is read by the thread alone: it is asked again after a while.
                    Err(_) => THREAD_TICK,
                };
                let threads = self.process.upgrade().map_or(1, |p| p.threads.lock().len().max(1)) as i64;
                host::time::monotonic_ns().saturating_add((left / threads).max(CPU_TICK) as u64)
            }
        };
        self.timer.arm(deadline, self.me.clone());
    }

    /// Arms the timer at `value` (relative, or absolute on its clock), or disarms it where `value` is 0.
    ///
    /// # Errors
    /// `EINVAL` where the clock is gone.
    pub fn set(&self, new: Setting, absolute: bool) -> Result<Setting> {
        let now = self.clock.now()?;
        let mut st = self.state.lock();
        let old = Self::left(&st, now);
        st.due = match new.value {
            0 => 0,
            v if absolute => v,
            v => now.saturating_add(v),
        };
        st.interval = new.interval;
        st.overrun = 0;
        let due = st.due;
        drop(st);
        if due == 0 {
            self.timer.disarm()
        } else {
            self.schedule(due)
        }
        Ok(old)
    }

    fn left(st: &State, now: i64) -> Setting {
        if st.due == 0 {
            return Setting { value: 0, interval: st.interval };
        }
        // Armed but not yet run: Linux never shows 0 for an armed timer.
        Setting { value: st.due.saturating_sub(now).max(1), interval: st.interval }
    }

    /// What is left.
    ///
    /// # Errors
    /// `EINVAL` where the clock is gone.
    pub fn get(&self) -> Result<Setting> {
        let now = self.clock.now()?;
        Ok(Self::left(&self.state.lock(), now))
    }

    /// As timer_create(2) was told: signal number and value (0 without a signal), and the thread that gets it.
    #[must_use]
    pub fn notification(&self) -> (u32, u64, Option<Arc<Thread>>) {
        match &self.notify {
            Notify::Signal { signo, value, thread } => (*signo, *value, thread.as_ref().and_then(Weak::upgrade)),
            Notify::Itimer(signo) => (*signo, 0, None),
            Notify::Nothing | Notify::CpuLimit => (0, 0, None),
        }
    }

    /// The timer_t.
    #[must_use]
    pub fn id(&self) -> i32 {
        self.id
    }

    #[must_use]
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// timer_getoverrun(2).
    #[must_use]
    pub fn overrun(&self) -> i32 {
        self.state.lock().overrun.min(i32::MAX as u32) as i32
    }

    fn fire(&self, extra: u32) {
        let Some(p) = self.process.upgrade() else { return };
        match &self.notify {
            Notify::Nothing => {}
            Notify::Itimer(signo) => {
                send_process(&p, SigInfo::kernel(*signo));
            }
            Notify::CpuLimit => {
                let hard = p.rlimits.lock()[rlimit::CPU].max;
                let used = self.clock.now().unwrap_or(0) / super::clock::NS;
                let over = hard != rlimit::INFINITY && used as u64 >= hard;
                send_process(&p, SigInfo::kernel(if over { sig::KILL } else { sig::XCPU }));
            }
            Notify::Signal { signo, value, thread } => {
                let thread = match thread {
                    None => None,
                    Some(t) => match t.upgrade() {
                        None => return,
                        some => some,
                    },
                };
                // Still queued: an overrun, told by the queued signal.
                let count = |pending: &mut crate::signal::Pending| {
                    pending.timer_entry(self.unique).map(|e| {
                        let n = (e.fields[0] >> 32).saturating_add(1 + u64::from(extra)).min(i32::MAX as u64);
                        e.fields[0] = (e.fields[0] & 0xffff_ffff) | n << 32;
                        n as u32
                    })
                };
                let queued = match &thread {
                    Some(t) => count(&mut t.pending.lock()),
                    None => count(&mut p.pending.lock()),
                };
                if let Some(n) = queued {
                    self.state.lock().overrun = n;
                    return;
                }
                self.state.lock().overrun = extra;
                let fields = [u64::from(self.id as u32) | u64::from(extra) << 32, *value, 0, 0];
                let info = SigInfo { signo: *signo, errno: 0, code: code::TIMER, fields, timer: self.unique };
                match &thread {
                    Some(t) => send_thread(t, info),
                    None => send_process(&p, info),
                };
            }
        }
    }
}

impl Expire for ClockTimer {
    fn expire(&self, _now_ns: u64) {
        if let Clock::Thread(tid, _) = self.clock {
            // A host process can not read the clocks of another's threads: the thread looks itself, when it runs.
            let thread = TREE.lock().thread(tid);
            let due = self.state.lock().due;
            let Some(t) = thread.filter(|_| due != 0) else { return };
            t.cpu_timers.lock().push(self.me.clone());
            wake_for_work(&t);
            return;
        }
        self.look();
    }
}

impl ClockTimer {
    /// Fires if the time has come; arms the queue again where it has not, or where there is an interval.
    pub fn look(&self) {
        let Ok(now) = self.clock.now() else { return };
        let mut st = self.state.lock();
        if st.due == 0 {
            return;
        }
        if now < st.due {
            // The clock was set back, or CPU time has not come that far.
            let due = st.due;
            drop(st);
            return self.schedule(due);
        }
        let mut extra = 0;
        if st.interval > 0 {
            let missed = (now - st.due) / st.interval;
            extra = missed.min(i64::from(i32::MAX)) as u32;
            st.due = st.due.saturating_add((missed + 1).saturating_mul(st.interval));
        } else {
            st.due = 0;
        }
        let due = st.due;
        drop(st);
        if due != 0 {
            self.schedule(due);
        }
        self.fire(extra);
    }
}

/// Interval timers and POSIX timers of a process. A forked child starts with none (default); execve keeps the
/// interval timers ([`ProcessTimers::exec`]); the end of the process drops all.
#[derive(Default)]
pub struct ProcessTimers {
    itimers: [Option<Arc<ClockTimer>>; 3],
    cpu_limit: Option<Arc<ClockTimer>>,
    posix: BTreeMap<i32, Arc<ClockTimer>>,
    next: i32,
}

impl ProcessTimers {
    /// The interval timer `which` (0 real, 1 virtual, 2 prof), made when first used.
    ///
    /// # Errors
    /// `EINVAL` for another number.
    pub fn itimer(&mut self, which: u32, process: &Arc<Process>) -> Result<Arc<ClockTimer>> {
        let slot = self.itimers.get_mut(which as usize).ok_or(Errno::EINVAL)?;
        let t = slot.get_or_insert_with(|| {
            let (clock, signo) = match which {
                0 => (Clock::System(Clock::MONOTONIC), sig::ALRM),
                1 => (Clock::Process(process.pid, 1), sig::VTALRM),
                _ => (Clock::Process(process.pid, 0), sig::PROF),
            };
            ClockTimer::new(clock, process, Notify::Itimer(signo), 0, None)
        });
        Ok(t.clone())
    }

    /// The limit of CPU time was set to `seconds` (soft).
    pub fn limit_cpu(&mut self, seconds: u64, process: &Arc<Process>) {
        if seconds == rlimit::INFINITY {
            self.cpu_limit = None;
            return;
        }
        let clock = Clock::Process(process.pid, 0);
        let t = self.cpu_limit.get_or_insert_with(|| ClockTimer::new(clock, process, Notify::CpuLimit, 0, None));
        // Zero means at once, as Linux has it: one second.
        let value = i64::try_from(seconds.max(1)).unwrap_or(i64::MAX).saturating_mul(super::clock::NS);
        // The process may be so new that it has no clock yet: its time is 0 then.
        let _ = t.set(Setting { value, interval: super::clock::NS }, true);
    }

    /// timer_create(2).
    ///
    /// # Errors
    /// `EAGAIN` where the process has too many.
    pub fn create(&mut self, clock: Clock, process: &Arc<Process>, notify: impl FnOnce(i32) -> Notify) -> Result<i32> {
        if self.posix.len() >= MAX_TIMERS {
            return Err(Errno::EAGAIN);
        }
        let uid = process.cred.lock().uid;
        let charge = Charge::new(uid, signal::limit(process)).ok_or(Errno::EAGAIN)?;
        while self.posix.contains_key(&self.next) {
            self.next = if self.next == i32::MAX { 0 } else { self.next + 1 };
        }
        let id = self.next;
        self.next = if id == i32::MAX { 0 } else { id + 1 };
        self.posix.insert(id, ClockTimer::new(clock, process, notify(id), id, Some(charge)));
        Ok(id)
    }

    /// # Errors
    /// `EINVAL` for a timer_t that the process does not have.
    pub fn posix(&self, id: i32) -> Result<Arc<ClockTimer>> {
        self.posix.get(&id).cloned().ok_or(Errno::EINVAL)
    }

    /// timer_delete(2).
    ///
    /// The timer, by what marks its queued signals.
    ///
    /// # Errors
    /// `EINVAL` for a timer_t that the process does not have.
    pub fn delete(&mut self, id: i32) -> Result<u32> {
        self.posix.remove(&id).map(|t| t.unique).ok_or(Errno::EINVAL)
    }

    /// The POSIX timers, by number.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<ClockTimer>> {
        self.posix.values().cloned().collect()
    }

    /// execve(2): POSIX timers are deleted, interval timers stay.
    pub fn exec(&mut self) {
        self.posix.clear();
    }

    /// The end of the process.
    pub fn clear(&mut self) {
        *self = ProcessTimers::default();
    }
}
