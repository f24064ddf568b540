//! The tree of processes: numbers, parents, process groups, sessions (credentials(7), setpgid(2)).

use super::{Process, Thread, Usage};
use crate::{Errno, Mutex, Result};
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;

/// A session and its controlling terminal.
pub struct Session {
    pub sid: u32,
    /// The terminal (a `tty::Tty`); the terminal knows its foreground process group.
    pub tty: Mutex<Option<Arc<dyn Any + Send + Sync>>>,
}

/// Numbers are below this (/proc/sys/kernel/pid_max).
const PID_MAX: u32 = 32768;

/// Everything found by number. One lock (rank 1) over all relations, so that none is ever half changed.
#[derive(Default)]
pub struct Tree {
    processes: BTreeMap<u32, Arc<Process>>,
    threads: BTreeMap<u32, Weak<Thread>>,
    next_pid: u32,
    /// How many pids (threads) there may be.
    pub pids_max: u32,
    /// What the processes used that are not in the tree any more, for /proc/stat.
    pub ended: Usage,
}

/// The one tree of the VM.
pub static TREE: Mutex<Tree> = host::sync::mutex(Tree {
    processes: BTreeMap::new(),
    threads: BTreeMap::new(),
    next_pid: 1,
    pids_max: 4096,
    ended: Usage::NOTHING,
});

impl Tree {
    /// A free number for a process or thread.
    ///
    /// # Errors
    /// `EAGAIN` when the VM's limit of pids is reached.
    pub fn alloc_pid(&mut self) -> Result<u32> {
        if self.threads.len() as u32 >= self.pids_max {
            return Err(Errno::EAGAIN);
        }
        for _ in 0..PID_MAX {
            let pid = self.next_pid;
            // Linux restarts at 300 (RESERVED_PIDS) so that the low numbers stay with the system's first processes.
            self.next_pid = if pid + 1 >= PID_MAX { 300 } else { pid + 1 };
            if !self.used(pid) {
                return Ok(pid);
            }
        }
        Err(Errno::EAGAIN)
    }

    fn used(&self, pid: u32) -> bool {
        self.processes.contains_key(&pid)
            || self.threads.contains_key(&pid)
            || self.processes.values().any(|p| p.pgid() == pid || p.sid() == pid)
    }

    /// This very number for a process or thread (clone3's set_tid); any for None.
    ///
    /// # Errors
    /// `EINVAL` for what can be no number, `EEXIST` where it is taken, and as [`Tree::alloc_pid`].
    pub fn take_pid(&mut self, wanted: Option<u32>) -> Result<u32> {
        let Some(pid) = wanted else { return self.alloc_pid() };
        if !(1..PID_MAX).contains(&pid) {
            return Err(Errno::EINVAL);
        }
        if self.threads.len() as u32 >= self.pids_max {
            return Err(Errno::EAGAIN);
        }
        if self.used(pid) { Err(Errno::EEXIST) } else { Ok(pid) }
    }

    pub fn add_process(&mut self, p: &Arc<Process>) {
        self.processes.insert(p.pid, p.clone());
    }

    pub fn remove_process(&mut self, pid: u32) {
        self.processes.remove(&pid);
    }

    pub fn add_thread(&mut self, t: &Arc<Thread>) {
        self.threads.insert(t.tid(), Arc::downgrade(t));
    }

    pub fn remove_thread(&mut self, tid: u32) {
        self.threads.remove(&tid);
    }

    #[must_use]
    pub fn thread_count(&self) -> usize {
        self.threads.len()
    }

    /// How many threads the processes of real user `uid` have; one that is not waited for counts as one.
    #[must_use]
    pub fn threads_of(&self, uid: u32) -> usize {
        let of = self.processes.values().filter(|p| p.cred.lock().uid == uid);
        of.map(|p| p.threads.lock().len().max(1)).sum()
    }

    /// The process with this pid (zombies too).
    #[must_use]
    pub fn process(&self, pid: u32) -> Option<Arc<Process>> {
        self.processes.get(&pid).cloned()
    }

    #[must_use]
    pub fn thread(&self, tid: u32) -> Option<Arc<Thread>> {
        self.threads.get(&tid).and_then(Weak::upgrade)
    }

    /// The process with this pid, or else that of the thread with this number.
    #[must_use]
    pub fn process_of(&self, number: u32) -> Option<Arc<Process>> {
        self.process(number).or_else(|| self.thread(number).map(|t| t.process.clone()))
    }

    /// All processes by ascending pid.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Process>> {
        self.processes.values().cloned().collect()
    }

    /// The members of process group `pgid`.
    #[must_use]
    pub fn group(&self, pgid: u32) -> Vec<Arc<Process>> {
        self.processes.values().filter(|p| p.pgid() == pgid).cloned().collect()
    }

    /// True where no member of the group has a parent in another group of the same session: such a group gets no
    /// job-control stops (POSIX "orphaned process group").
    #[must_use]
    pub fn orphaned_group(&self, pgid: u32) -> bool {
        !self.processes.values().any(|p| {
            let ppid = p.ppid();
            p.pgid() == pgid
                && !p.is_zombie()
                && ppid > 1
                && self.processes.get(&ppid).is_some_and(|parent| parent.sid() == p.sid() && parent.pgid() != pgid)
        })
    }
}
