//! timerfd_create(2).

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use core_::file::{File, FileOps, oflag};
use core_::io::IoBuf;
use core_::time::{Expire, Setting, Timer, now_ns, to_monotonic};
use core_::wait::{Events, PollTable, WaitQueue};
use core_::{Errno, Mutex, Result};

#[derive(Default)]
struct State {
    /// Next expiry on the clock; 0 when disarmed.
    due: i64,
    interval: i64,
    /// Expirations not read yet, of settings before the current one: none (Linux forgets them too).
    fired: bool,
}

struct TimerFd {
    clock: i32,
    state: Mutex<State>,
    timer: Timer,
    wait: Arc<WaitQueue>,
    me: Weak<TimerFd>,
}

/// A new timer on system clock `clock`; `flags` O_NONBLOCK or 0.
#[must_use]
pub fn new(clock: i32, flags: u32) -> Arc<File> {
    let ops = Arc::new_cyclic(|me| TimerFd {
        clock,
        state: Mutex::default(),
        timer: Timer::new(),
        wait: Arc::new(WaitQueue::new()),
        me: me.clone(),
    });
    File::new(ops, oflag::RDWR | (flags & oflag::NONBLOCK))
}

/// timerfd_settime(2); gives the old setting.
///
/// # Errors
/// `EINVAL` where `file` is no timerfd.
pub fn set(file: &File, new: Setting, absolute: bool) -> Result<Setting> {
    let t = file.downcast::<TimerFd>().ok_or(Errno::EINVAL)?;
    let now = now_ns(t.clock)?;
    let mut st = t.state.lock();
    let old = TimerFd::left(&mut st, now);
    st.due = match new.value {
        0 => 0,
        v if absolute => v,
        v => now.saturating_add(v),
    };
    st.interval = new.interval;
    st.fired = false;
    let due = st.due;
    drop(st);
    if due == 0 {
        t.timer.disarm()
    } else {
        t.arm(due)
    }
    Ok(old)
}

/// timerfd_gettime(2).
///
/// # Errors
/// `EINVAL` where `file` is no timerfd.
pub fn get(file: &File) -> Result<Setting> {
    let t = file.downcast::<TimerFd>().ok_or(Errno::EINVAL)?;
    let now = now_ns(t.clock)?;
    Ok(TimerFd::left(&mut t.state.lock(), now))
}

impl TimerFd {
    fn arm(&self, due: i64) {
        self.timer.arm(to_monotonic(self.clock, due).unwrap_or(u64::MAX), self.me.clone());
    }

    fn left(st: &mut State, now: i64) -> Setting {
        let value = match st.due {
            0 => 0,
            due if due > now => due - now,
            // Expired: a periodic timer shows the time to its next tick.
            _ if st.interval == 0 => 0,
            due => st.interval - (now - due) % st.interval,
        };
        Setting { value, interval: st.interval }
    }

    fn expired(&self, st: &State) -> bool {
        st.due != 0 && now_ns(self.clock).is_ok_and(|now| now >= st.due)
    }

    fn try_read(&self) -> Option<Result<u64>> {
        let mut st = self.state.lock();
        let now = match now_ns(self.clock) {
            Ok(n) => n,
            Err(e) => return Some(Err(e)),
        };
        if st.due == 0 || now < st.due {
            return None;
        }
        st.fired = false;
        if st.interval == 0 {
            st.due = 0;
            return Some(Ok(1));
        }
        let ticks = (now - st.due) / st.interval + 1;
        st.due = st.due.saturating_add(ticks.saturating_mul(st.interval));
        let due = st.due;
        drop(st);
        self.arm(due);
        Some(Ok(ticks as u64))
    }
}

impl Expire for TimerFd {
    fn expire(&self, _now_ns: u64) {
        let mut st = self.state.lock();
        if st.due == 0 || st.fired {
            return;
        }
        if !self.expired(&st) {
            let due = st.due;
            drop(st);
            return self.arm(due);
        }
        // Readable until read; the next tick is armed by the read.
        st.fired = true;
        drop(st);
        self.wait.wake(Events::IN);
    }
}

impl FileOps for TimerFd {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn read(&self, file: &File, dst: &mut IoBuf, _off: u64) -> Result<usize> {
        if dst.left() < 8 {
            return Err(Errno::EINVAL);
        }
        let n = match self.try_read() {
            Some(r) => r?,
            None if file.nonblocking() => return Err(Errno::EAGAIN),
            None => self.wait.wait(|| self.try_read())?,
        };
        dst.put(&n.to_ne_bytes())
    }

    fn poll(&self, _file: &File, table: Option<&mut PollTable>) -> Events {
        if let Some(t) = table {
            t.add(&self.wait);
        }
        let st = self.state.lock();
        if self.expired(&st) { Events::IN } else { Events::empty() }
    }

    fn seek(&self, _file: &File, _off: i64, _whence: u32) -> Result<u64> {
        Ok(0) // noop_llseek
    }

    fn link_text(&self, _file: &File) -> Option<Vec<u8>> {
        Some(b"anon_inode:[timerfd]".to_vec())
    }

    fn fdinfo(&self, _file: &File) -> Vec<u8> {
        let now = now_ns(self.clock).unwrap_or(0);
        let s = Self::left(&mut self.state.lock(), now);
        let pair = |ns: i64| (ns / 1_000_000_000, ns % 1_000_000_000);
        alloc::format!(
            "clockid: {}\nticks: 0\nsettime flags: 00\nit_value: {:?}\nit_interval: {:?}\n",
            self.clock,
            pair(s.value),
            pair(s.interval)
        )
        .into_bytes()
    }

    fn release(&self, _file: &File) {
        self.timer.disarm();
    }
}
