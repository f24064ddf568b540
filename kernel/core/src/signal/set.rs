//! Sets, actions and queues.

use super::sig;
use crate::Mutex;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::sync::atomic::AtomicU32;

/// A set of signals: bit n-1 is signal n.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct SigSet(pub u64);

impl SigSet {
    pub const EMPTY: SigSet = SigSet(0);
    /// SIGKILL and SIGSTOP: can not be blocked.
    pub const UNBLOCKABLE: SigSet = SigSet(1 << 8 | 1 << 18);

    #[must_use]
    pub const fn of(sig: u32) -> SigSet {
        SigSet(1 << (sig - 1))
    }
    #[must_use]
    pub const fn has(self, sig: u32) -> bool {
        self.0 & (1 << (sig - 1)) != 0
    }
    #[must_use]
    pub const fn with(self, sig: u32) -> SigSet {
        SigSet(self.0 | 1 << (sig - 1))
    }
    #[must_use]
    pub const fn without(self, sig: u32) -> SigSet {
        SigSet(self.0 & !(1 << (sig - 1)))
    }
    #[must_use]
    pub const fn minus(self, o: SigSet) -> SigSet {
        SigSet(self.0 & !o.0)
    }
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// What a program asked for with rt_sigaction(2).
#[derive(Clone, Copy, Default, Debug)]
pub struct Action {
    /// 0 default, 1 ignore, otherwise the handler's address.
    pub handler: u64,
    pub flags: u64,
    pub restorer: u64,
    pub mask: SigSet,
}

impl Action {
    pub const DFL: u64 = 0;
    pub const IGN: u64 = 1;
    pub const NOCLDSTOP: u64 = 1;
    pub const NOCLDWAIT: u64 = 2;
    pub const SIGINFO: u64 = 4;
    pub const EXPOSE_TAGBITS: u64 = 0x800;
    pub const RESTORER: u64 = 0x0400_0000;
    pub const ONSTACK: u64 = 0x0800_0000;
    pub const RESTART: u64 = 0x1000_0000;
    pub const NODEFER: u64 = 0x4000_0000;
    pub const RESETHAND: u64 = 0x8000_0000;
}

/// What happens without a handler.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Default_ {
    Ignore,
    Terminate,
    Core,
    Stop,
    Continue,
}

/// The default action of signal(7)'s table.
#[must_use]
pub const fn default_action(s: u32) -> Default_ {
    match s {
        sig::CHLD | sig::URG | sig::WINCH => Default_::Ignore,
        sig::CONT => Default_::Continue,
        sig::STOP | sig::TSTP | sig::TTIN | sig::TTOU => Default_::Stop,
        sig::QUIT
        | sig::ILL
        | sig::ABRT
        | sig::FPE
        | sig::SEGV
        | sig::BUS
        | sig::SYS
        | sig::TRAP
        | sig::XCPU
        | sig::XFSZ => Default_::Core,
        _ => Default_::Terminate,
    }
}

/// The actions of a process (shared with CLONE_SIGHAND).
pub struct SigHand {
    pub actions: Mutex<[Action; 64]>,
}

impl SigHand {
    #[must_use]
    pub fn new(actions: [Action; 64]) -> SigHand {
        SigHand { actions: Mutex::new(actions) }
    }

    #[must_use]
    pub fn action(&self, s: u32) -> Action {
        self.actions.lock()[s as usize - 1]
    }

    /// True where the signal would do nothing: ignored explicitly or by default.
    #[must_use]
    pub fn ignored(&self, s: u32) -> bool {
        let a = self.action(s);
        a.handler == Action::IGN || (a.handler == Action::DFL && default_action(s) == Default_::Ignore)
    }
}

/// siginfo_t: the first three words and the union's bytes, as written to the application.
#[derive(Clone, Copy, Debug)]
pub struct SigInfo {
    pub signo: u32,
    pub errno: i32,
    pub code: i32,
    /// Bytes 16.. of siginfo_t.
    pub fields: [u64; 4],
    /// For timers: identifies the timer so that overruns are counted instead of queued. 0 otherwise.
    pub timer: u32,
}

impl SigInfo {
    /// From the kernel (SI_KERNEL): terminals, limits.
    #[must_use]
    pub const fn kernel(signo: u32) -> SigInfo {
        SigInfo { signo, errno: 0, code: super::code::KERNEL, fields: [0; 4], timer: 0 }
    }

    /// From a process: kill, tgkill, sigqueue.
    #[must_use]
    pub const fn user(signo: u32, code: i32, pid: u32, uid: u32, value: u64) -> SigInfo {
        SigInfo { signo, errno: 0, code, fields: [pid as u64 | (uid as u64) << 32, value, 0, 0], timer: 0 }
    }

    /// A fault at `addr`.
    #[must_use]
    pub const fn fault(signo: u32, code: i32, addr: u64) -> SigInfo {
        SigInfo { signo, errno: 0, code, fields: [addr, 0, 0, 0], timer: 0 }
    }

    /// SIGCHLD.
    #[must_use]
    pub const fn child(code: i32, pid: u32, uid: u32, status: u32, utime: u64, stime: u64) -> SigInfo {
        SigInfo {
            signo: sig::CHLD,
            errno: 0,
            code,
            fields: [pid as u64 | (uid as u64) << 32, status as u64, utime, stime],
            timer: 0,
        }
    }

    /// The 128 bytes of siginfo_t.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 128] {
        let mut b = [0; 128];
        b[0..4].copy_from_slice(&self.signo.to_le_bytes());
        b[4..8].copy_from_slice(&self.errno.to_le_bytes());
        b[8..12].copy_from_slice(&self.code.to_le_bytes());
        for (i, f) in self.fields.iter().enumerate() {
            b[16 + 8 * i..24 + 8 * i].copy_from_slice(&f.to_le_bytes());
        }
        b
    }

    /// From the application's bytes (rt_sigqueueinfo); `signo` is the caller's business.
    #[must_use]
    pub fn from_bytes(b: &[u8; 128]) -> SigInfo {
        let word = |i: usize| i32::from_le_bytes([b[i], b[i + 1], b[i + 2], b[i + 3]]);
        let mut fields = [0; 4];
        for (i, f) in fields.iter_mut().enumerate() {
            let mut w = [0; 8];
            w.copy_from_slice(&b[16 + 8 * i..24 + 8 * i]);
            *f = u64::from_le_bytes(w);
        }
        SigInfo { signo: word(0) as u32, errno: word(4), code: word(8), fields, timer: 0 }
    }
}

/// Pending signals of a thread or of a process. Standard signals are pending at most once, real-time signals queue.
#[derive(Default)]
pub struct Pending {
    set: SigSet,
    queue: VecDeque<(SigInfo, Option<Charge>)>,
}

/// How many signals and timers of each user are queued (RLIMIT_SIGPENDING).
static QUEUED: Mutex<BTreeMap<u32, usize>> = host::sync::mutex(BTreeMap::new());

/// One of them; it counts as long as this lives.
pub struct Charge(u32);

impl Charge {
    /// One more of user `uid`; None where there are `limit` already.
    #[must_use]
    pub fn new(uid: u32, limit: usize) -> Option<Charge> {
        let mut all = QUEUED.lock();
        let n = all.get(&uid).copied().unwrap_or(0);
        if n >= limit {
            return None;
        }
        all.insert(uid, n + 1);
        Some(Charge(uid))
    }

    /// How many there are of user `uid`.
    #[must_use]
    pub fn count(uid: u32) -> usize {
        QUEUED.lock().get(&uid).copied().unwrap_or(0)
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        let mut all = QUEUED.lock();
        if let Some(n) = all.get_mut(&self.0) {
            *n -= 1;
            if *n == 0 {
                all.remove(&self.0);
            }
        }
    }
}

impl Pending {
    #[must_use]
    pub fn set(&self) -> SigSet {
        self.set
    }

    /// True where a signal outside `blocked` is pending.
    #[must_use]
    pub fn any(&self, blocked: SigSet) -> bool {
        !self.set.minus(blocked).is_empty()
    }

    /// Queues a signal; a standard signal that is pending already is dropped. Where user `uid` has `limit` (RLIMIT_SIGPENDING)
    /// queued, a real-time signal with info that matters is refused: false. Of the others some have room kept
    /// for them, and the rest become pending without their info (`__send_signal_locked`).
    pub fn push(&mut self, info: SigInfo, uid: u32, limit: usize) -> bool {
        let standard = info.signo < sig::RTMIN;
        if standard && self.set.has(info.signo) {
            return true;
        }
        // A timer has been counted since it was made.
        let of_timer = info.timer != 0;
        let limit = if standard && info.code >= 0 { usize::MAX } else { limit };
        let charge = if of_timer { None } else { Charge::new(uid, limit) };
        let room = of_timer || charge.is_some();
        if !room && !standard && !matches!(info.code, super::code::USER | super::code::KERNEL) {
            return false;
        }
        self.set = self.set.with(info.signo);
        if room {
            self.queue.push_back((info, charge));
        }
        true
    }

    /// Takes the next signal of `which`: the lowest number first, except that synchronous faults come before all.
    pub fn take(&mut self, which: SigSet) -> Option<SigInfo> {
        const SYNC: SigSet = SigSet(1 << 3 | 1 << 4 | 1 << 6 | 1 << 7 | 1 << 10 | 1 << 30);
        let have = SigSet(self.set.0 & which.0);
        if have.is_empty() {
            return None;
        }
        let first = SigSet(if have.0 & SYNC.0 != 0 { have.0 & SYNC.0 } else { have.0 });
        let signo = first.0.trailing_zeros() + 1;
        Some(self.take_one(signo))
    }

    fn take_one(&mut self, signo: u32) -> SigInfo {
        let info = match self.queue.iter().position(|(i, _)| i.signo == signo) {
            Some(i) => self.queue.remove(i).map(|(info, _)| info),
            None => None,
        };
        if !self.queue.iter().any(|(i, _)| i.signo == signo) {
            self.set = self.set.without(signo);
        }
        info.unwrap_or(SigInfo { signo, errno: 0, code: super::code::USER, fields: [0; 4], timer: 0 })
    }

    /// Drops all pending signals of `which`.
    pub fn discard(&mut self, which: SigSet) {
        self.set = self.set.minus(which);
        self.queue.retain(|(i, _)| !which.has(i.signo));
    }

    /// A queued signal of timer `id`, to count an overrun on.
    pub fn timer_entry(&mut self, id: u32) -> Option<&mut SigInfo> {
        self.queue.iter_mut().map(|(i, _)| i).find(|i| i.timer == id && id != 0)
    }

    /// Drops what timer `id` has queued.
    pub fn drop_timer(&mut self, id: u32) {
        while let Some(i) = self.queue.iter().position(|(i, _)| i.timer == id && id != 0) {
            let Some((info, _)) = self.queue.remove(i) else { break };
            if !self.queue.iter().any(|(i, _)| i.signo == info.signo) {
                self.set = self.set.without(info.signo);
            }
        }
    }

    #[must_use]
    pub fn queued(&self) -> Vec<SigInfo> {
        self.queue.iter().map(|(i, _)| *i).collect()
    }
}

/// A count that signalfd and others watch: bumped whenever something becomes pending.
pub static GENERATION: AtomicU32 = AtomicU32::new(0);
