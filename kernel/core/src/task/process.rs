//! A guest process.

use super::{Cap, Cred, Session, Thread};
use crate::Mutex;
use crate::signal::{Pending, SigHand};
use crate::wait::WaitQueue;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// Resource numbers of getrlimit(2).
pub mod rlimit {
    pub const CPU: usize = 0;
    pub const FSIZE: usize = 1;
    pub const DATA: usize = 2;
    pub const STACK: usize = 3;
    pub const CORE: usize = 4;
    pub const RSS: usize = 5;
    pub const NPROC: usize = 6;
    pub const NOFILE: usize = 7;
    pub const MEMLOCK: usize = 8;
    pub const AS: usize = 9;
    pub const LOCKS: usize = 10;
    pub const SIGPENDING: usize = 11;
    pub const MSGQUEUE: usize = 12;
    pub const NICE: usize = 13;
    pub const RTPRIO: usize = 14;
    pub const RTTIME: usize = 15;
    pub const COUNT: usize = 16;
    pub const INFINITY: u64 = u64::MAX;
}

/// A soft and a hard limit.
#[derive(Clone, Copy, Debug)]
pub struct Rlimit {
    pub cur: u64,
    pub max: u64,
}

/// Where a process is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    Running,
    /// Stopped by this signal.
    Stopped(u32),
    /// Ended, not yet waited for.
    Zombie,
    /// Waited for.
    Dead,
}

/// How a process ended, as wait(2) encodes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Exit(pub u32);

impl Exit {
    #[must_use]
    pub const fn code(code: u32) -> Exit {
        Exit((code & 0xff) << 8)
    }
    #[must_use]
    pub const fn signal(sig: u32, core: bool) -> Exit {
        Exit(sig & 0x7f | if core { 0x80 } else { 0 })
    }
}

/// Times and memory of ended children or of a process, in the units of getrusage(2).
#[derive(Clone, Copy, Default, Debug)]
pub struct Usage {
    pub utime_us: u64,
    pub stime_us: u64,
    pub maxrss_kib: u64,
    pub minflt: u64,
    pub majflt: u64,
    pub nvcsw: u64,
    pub nivcsw: u64,
}

impl Usage {
    pub const NOTHING: Usage =
        Usage { utime_us: 0, stime_us: 0, maxrss_kib: 0, minflt: 0, majflt: 0, nvcsw: 0, nivcsw: 0 };

    /// As struct rusage lays it out: 18 words (getrusage(2)).
    #[must_use]
    pub fn to_words(&self) -> [u64; 18] {
        let mut w = [0; 18];
        (w[0], w[1]) = (self.utime_us / 1_000_000, self.utime_us % 1_000_000);
        (w[2], w[3]) = (self.stime_us / 1_000_000, self.stime_us % 1_000_000);
        (w[4], w[8], w[9], w[16], w[17]) = (self.maxrss_kib, self.minflt, self.majflt, self.nvcsw, self.nivcsw);
        w
    }

    /// From the words of the host's struct rusage.
    #[must_use]
    pub fn from_words(w: &[u64; 18]) -> Usage {
        let us = |i: usize| w[i] * 1_000_000 + w[i + 1];
        Usage {
            utime_us: us(0),
            stime_us: us(2),
            maxrss_kib: w[4],
            minflt: w[8],
            majflt: w[9],
            nvcsw: w[16],
            nivcsw: w[17],
        }
    }

    /// Adds another's (the largest resident set of the two).
    pub fn add(&mut self, o: &Usage) {
        self.utime_us += o.utime_us;
        self.stime_us += o.stime_us;
        self.maxrss_kib = self.maxrss_kib.max(o.maxrss_kib);
        self.minflt += o.minflt;
        self.majflt += o.majflt;
        self.nvcsw += o.nvcsw;
        self.nivcsw += o.nivcsw;
    }
}

/// What /proc/PID lets be set, and a child inherits (proc(5)).
pub struct Marks {
    /// -1000 to 1000, as i32.
    pub oom_score_adj: AtomicU32,
    /// Kept: there are no core dumps.
    pub coredump_filter: AtomicU32,
    /// Who logged in, and the number of the login; `u32::MAX`: nobody.
    pub login_uid: AtomicU32,
    pub login_session: AtomicU32,
}

impl Default for Marks {
    fn default() -> Marks {
        Marks {
            oom_score_adj: AtomicU32::new(0),
            // MMF_DUMP_FILTER_DEFAULT and hugetlb pages (linux/mm_types.h).
            coredump_filter: AtomicU32::new(0x33),
            login_uid: AtomicU32::new(u32::MAX),
            login_session: AtomicU32::new(u32::MAX),
        }
    }
}

impl Marks {
    fn all(&self) -> [&AtomicU32; 4] {
        [&self.oom_score_adj, &self.coredump_filter, &self.login_uid, &self.login_session]
    }

    pub fn inherit(&self, parent: &Marks) {
        for (to, from) in self.all().into_iter().zip(parent.all()) {
            to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }
}

/// Bytes and calls of read(2), write(2) and their like, for /proc/PID/io. A thread's own is written by that thread only.
#[derive(Default, Debug)]
pub struct IoCount {
    /// Bytes read and written, calls that read and wrote.
    fields: [AtomicU64; 4],
}

impl IoCount {
    fn count(&self, field: usize, more: u64) {
        let f = &self.fields[field];
        f.store(f.load(Ordering::Relaxed) + more, Ordering::Relaxed);
    }

    /// A call by the thread whose count this is has read that many bytes.
    #[inline]
    pub fn read(&self, bytes: usize) {
        self.count(0, bytes as u64);
        self.count(2, 1);
    }

    #[inline]
    pub fn wrote(&self, bytes: usize) {
        self.count(1, bytes as u64);
        self.count(3, 1);
    }

    /// rchar, wchar, syscr, syscw.
    #[must_use]
    pub fn get(&self) -> [u64; 4] {
        [0, 1, 2, 3].map(|i| self.fields[i].load(Ordering::Relaxed))
    }

    /// Adds another's, whatever thread does so.
    pub fn add(&self, o: &IoCount) {
        for (to, from) in self.fields.iter().zip(o.get()) {
            to.fetch_add(from, Ordering::Relaxed);
        }
    }
}

/// Relations to other processes; changed under `TREE`'s lock.
pub struct Relations {
    /// The thread of the parent that made this process (__WNOTHREAD, PR_SET_PDEATHSIG).
    pub maker: u32,
    pub session: Arc<Session>,
    pub children: Vec<u32>,
}

/// A guest process (thread group).
pub struct Process {
    pub pid: u32,
    /// Parent and process group: as [`Relations`], but read without a lock.
    pub ppid: AtomicU32,
    pub pgid: AtomicU32,
    pub rel: Mutex<Relations>,
    /// Live threads; the leader first for as long as it lives.
    pub threads: Mutex<Vec<Arc<Thread>>>,
    pub state: Mutex<State>,
    pub exit: Mutex<Option<Exit>>,
    /// The whole group is ending; set once with the status.
    pub group_exit: Mutex<Option<Exit>>,
    pub exiting: AtomicBool,
    /// Children changed state (wait family).
    pub child_wait: Arc<WaitQueue>,
    /// Something became pending (signalfd).
    pub signal_wait: Arc<WaitQueue>,
    /// This process ended (pidfd).
    pub exit_wait: Arc<WaitQueue>,
    pub sighand: Mutex<Arc<SigHand>>,
    /// Signals for the process as a whole.
    pub pending: Mutex<Pending>,
    /// A change of state that wait(2) has not reported: 0, or an encoded stop/continue status.
    pub report: AtomicU32,
    pub exit_signal: AtomicU32,
    /// Whose the process is, also when it has no thread any more: what a thread of it took last.
    pub cred: Mutex<Arc<Cred>>,
    /// The leader's name, once it has ended; process 1's from the first.
    pub comm: Mutex<[u8; 16]>,
    pub rlimits: Mutex<[Rlimit; rlimit::COUNT]>,
    pub start_ns: u64,
    /// Of threads that have ended.
    pub usage: Mutex<Usage>,
    /// Of waited-for children.
    pub child_usage: Mutex<Usage>,
    /// PR_SET_PDEATHSIG: 0 for none.
    pub pdeath_signal: AtomicU32,
    pub did_exec: AtomicBool,
    pub dumpable: AtomicBool,
    pub subreaper: AtomicBool,
    pub marks: Marks,
    /// Of threads that have ended.
    pub io: IoCount,
    /// Spawn id of the command that this process descends from; 0 for none.
    pub origin: u64,
    /// VMM's spawn id, for processes that the VMM started; 0 otherwise.
    pub spawn_id: AtomicU64,
    /// None for pid 1 and after the end.
    pub mm: Mutex<Option<Arc<crate::mm::Mm>>>,
    pub timers: Mutex<crate::time::ProcessTimers>,
}

impl Process {
    #[must_use]
    pub fn pgid(&self) -> u32 {
        self.pgid.load(Ordering::Relaxed)
    }

    /// `TREE` is locked.
    pub fn set_pgid(&self, pgid: u32) {
        self.pgid.store(pgid, Ordering::Relaxed);
    }

    #[must_use]
    pub fn sid(&self) -> u32 {
        self.rel.lock().session.sid
    }

    #[must_use]
    pub fn ppid(&self) -> u32 {
        self.ppid.load(Ordering::Relaxed)
    }

    /// `TREE` is locked.
    pub fn set_ppid(&self, ppid: u32) {
        self.ppid.store(ppid, Ordering::Relaxed);
    }

    #[must_use]
    pub fn session(&self) -> Arc<Session> {
        self.rel.lock().session.clone()
    }

    #[must_use]
    pub fn is_zombie(&self) -> bool {
        matches!(*self.state.lock(), State::Zombie | State::Dead)
    }

    #[must_use]
    pub fn is_stopped(&self) -> bool {
        matches!(*self.state.lock(), State::Stopped(_))
    }

    #[must_use]
    pub fn is_exiting(&self) -> bool {
        self.exiting.load(Ordering::Acquire)
    }

    /// Whether another process has the same memory (vfork). May say so for a moment while somebody only looks at it.
    #[must_use]
    pub fn shares_memory(&self) -> bool {
        self.mm.lock().as_ref().is_some_and(|mm| Arc::strong_count(mm) > 1)
    }

    /// The leader, or any live thread.
    #[must_use]
    pub fn any_thread(&self) -> Option<Arc<Thread>> {
        self.threads.lock().first().cloned()
    }

    /// Whether a thread with user `uid`, group `gid` and capabilities `cred` may see and change what is in the process
    /// (ptrace(2), "Ptrace access mode checking"). Its own threads may always.
    #[must_use]
    pub fn may_be_traced(&self, cred: &Cred, uid: u32, gid: u32) -> bool {
        let own = self.any_thread().map_or_else(|| self.cred.lock().clone(), |t| t.cred());
        let same = [own.uid, own.euid, own.suid] == [uid; 3] && [own.gid, own.egid, own.sgid] == [gid; 3];
        (same && self.dumpable.load(Ordering::Relaxed)) || cred.has(Cap::SysPtrace)
    }

    /// The soft limit of `resource` (see [`rlimit`]).
    #[must_use]
    pub fn rlimit(&self, resource: usize) -> u64 {
        self.rlimits.lock()[resource].cur
    }
}
