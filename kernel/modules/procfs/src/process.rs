//! /proc/PID and /proc/PID/task/TID.

use crate::fds::Fds;
use crate::files::{FILES, OPENED};
use crate::maps::MapFiles;
use crate::number;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use core_::net;
use core_::procinfo::hooks;
use core_::task::{Process, TREE, Thread};
use core_::vfs::pseudo::{Changing, Entries, Fixed, Id, Link, Opened, Store, Text};
use core_::vfs::{Caching, DirList, FsContext, Inode, Path, kind};
use core_::{Errno, Result, current};

/// The process, or the thread of it, that a directory is about. Numbers, not references: a directory that somebody
/// has open keeps no dead process.
#[derive(Clone, Copy)]
pub struct Who {
    pid: u32,
    task: Option<u32>,
    /// The number that the directory was asked for by: /proc/TID shows a process from one thread's side.
    named: u32,
}

impl Who {
    pub fn pid(&self) -> u32 {
        self.pid
    }

    pub fn tid(&self) -> u32 {
        self.task.unwrap_or(self.named)
    }

    /// Whether this is about one thread, not its process.
    pub fn is_thread(&self) -> bool {
        self.task.is_some()
    }

    /// Whether the calling thread belongs to this process.
    pub fn is_caller(&self) -> bool {
        host::thread::current_if_any::<Thread>().is_some_and(|t| t.process.pid == self.pid)
    }

    /// `EACCES` for who may not look into the process (__ptrace_may_access).
    pub fn may_look(&self) -> Result<()> {
        let c = current().cred();
        let may = self.is_caller() || self.process().is_ok_and(|p| p.may_be_traced(&c, c.fsuid, c.fsgid));
        may.then_some(()).ok_or(Errno::EACCES)
    }

    /// The process, for what only those may read who may look into it.
    pub fn looked_into(&self) -> Result<Arc<Process>> {
        self.may_look()?;
        self.process()
    }

    pub fn process(&self) -> Result<Arc<Process>> {
        TREE.lock().process(self.pid).ok_or(Errno::ESRCH)
    }

    /// The thread, or any live one of the process.
    pub fn thread(&self) -> Result<Arc<Thread>> {
        match self.task {
            Some(tid) => TREE.lock().thread(tid).filter(|t| t.process.pid == self.pid).ok_or(Errno::ESRCH),
            None if self.named != self.pid => {
                TREE.lock().thread(self.named).filter(|t| t.process.pid == self.pid).ok_or(Errno::ESRCH)
            }
            None => self.process()?.any_thread().ok_or(Errno::ESRCH),
        }
    }

    /// Its working and root directory.
    fn places(&self) -> Result<Arc<FsContext>> {
        match self.thread() {
            Ok(t) => Ok(t.fs()),
            Err(_) if self.pid == 1 => FsContext::initial(),
            // What has ended is nowhere.
            Err(_) => Err(Errno::ENOENT),
        }
    }

    pub fn owner(&self) -> (u32, u32) {
        let Ok(t) = self.thread() else { return (0, 0) };
        let dumpable = t.process.dumpable.load(Ordering::Relaxed);
        let c = t.cred();
        if dumpable { (c.euid, c.egid) } else { (0, 0) }
    }
}

/// Inode number of entry `n` of a process's or thread's directory.
pub fn ino(tid: u32, n: u32) -> u64 {
    1 << 40 | u64::from(tid) << 20 | u64::from(n & 0xf_ffff)
}

/// The directory of process `pid`, or of its thread `task`.
pub fn dir(dev: u64, pid: u32, task: Option<u32>) -> Arc<dyn Inode> {
    make_dir(dev, Who { pid, task, named: pid })
}

/// The directory of process `pid`, asked for by the number of one of its threads.
pub fn dir_named(dev: u64, pid: u32, named: u32) -> Arc<dyn Inode> {
    make_dir(dev, Who { pid, task: None, named })
}

fn make_dir(dev: u64, who: Who) -> Arc<dyn Inode> {
    let task = who.task;
    // The directory is its user's also where what is in it is not (task_dump_owner in fs/proc/base.c).
    let (uid, gid) = who.process().map_or((0, 0), |p| {
        let c = p.cred.lock();
        (c.euid, c.egid)
    });
    let n = u32::from(task.is_some()) * 0x800;
    Changing::inode(Id { dev, ino: ino(who.tid(), n), mode: 0o555, uid, gid }, Caching::Never, Dir { dev, who })
}

struct Dir {
    dev: u64,
    who: Who,
}

/// Entries of one kind are told apart by where they stand in their table.
const FIRST_FILE: usize = 1;
const FIRST_OPENED: usize = 0x100;
const FIRST_OTHER: usize = 0x200;

const OTHERS: &[(&str, u32)] = &[
    ("cwd", kind::LINK),
    ("exe", kind::LINK),
    ("fd", kind::DIR),
    ("fdinfo", kind::DIR),
    ("map_files", kind::DIR),
    ("net", kind::DIR),
    ("ns", kind::DIR),
    ("root", kind::LINK),
    ("task", kind::DIR),
];

/// What only a process's directory has (`tgid_base_stuff` without `tid_base_stuff` in fs/proc/base.c), and only a thread's.
const OF_PROCESS: &[&str] = &["coredump_filter", "map_files", "mountstats", "task", "timers", "timerslack_ns"];
const OF_THREAD: &[&str] = &["children"];

impl Dir {
    fn id(&self, n: usize, mode: u32) -> Id {
        let (uid, gid) = self.who.owner();
        Id { dev: self.dev, ino: self.ino(n), mode, uid, gid }
    }

    fn ino(&self, n: usize) -> u64 {
        ino(self.who.tid(), n as u32 + u32::from(self.who.task.is_some()) * 0x800)
    }

    fn has(&self, name: &str) -> bool {
        !(if self.who.task.is_some() { OF_PROCESS } else { OF_THREAD }).contains(&name)
    }

    fn other(&self, n: usize, name: &str) -> Result<Arc<dyn Inode>> {
        let who = self.who;
        let id = |mode| self.id(FIRST_OTHER + n, mode);
        Ok(match name {
            "cwd" => place(who, id(0o777), move || Ok(who.places()?.cwd())),
            "root" => place(who, id(0o777), move || Ok(who.places()?.root())),
            "exe" => place(who, id(0o777), move || hooks().exe(&*who.process()?).ok_or(Errno::ENOENT)),
            "fd" | "fdinfo" => {
                let info = name == "fdinfo";
                let mode = if info { 0o555 } else { 0o500 };
                Changing::inode(id(mode), Caching::Never, Fds { dev: self.dev, who, info })
            }
            "map_files" => Changing::inode(id(0o500), Caching::Never, MapFiles { dev: self.dev, who }),
            "net" => net(id(0o555)),
            "ns" => namespaces(id(0o511)),
            "task" => Changing::inode(id(0o555), Caching::Never, Tasks { dev: self.dev, pid: who.pid }),
            _ => return Err(Errno::ENOENT),
        })
    }
}

/// A magic link to a place; who may not look into the process may not follow it.
fn place(who: Who, id: Id, get: impl Fn() -> Result<Path> + Send + Sync + Clone + 'static) -> Arc<dyn Inode> {
    let text = get.clone();
    Link::magic(
        id,
        0,
        move || {
            who.may_look()?;
            Ok(text()?.display())
        },
        move || {
            who.may_look()?;
            get()
        },
    )
}

/// What the socket families show of themselves.
fn net(id: Id) -> Arc<dyn Inode> {
    let file = |(i, (name, text)): (usize, (&'static str, fn() -> Vec<u8>))| {
        let id = Id { ino: ino(0, 0x1_0000 + i as u32), mode: 0o444, uid: 0, gid: 0, ..id };
        (name, Text::inode(id, move || Ok(text())))
    };
    Fixed::inode(id, net::tables().into_iter().enumerate().map(file).collect())
}

fn namespaces(id: Id) -> Arc<dyn Inode> {
    // One namespace of each type, with the numbers of Linux's initial ones.
    let all: [(&str, u32); 7] = [
        ("cgroup", 0xf000_000b),
        ("ipc", 0xefff_ffff),
        ("mnt", 0xf000_0000),
        ("net", 0xf000_0001),
        ("pid", 0xefff_fffc),
        ("user", 0xefff_fffd),
        ("uts", 0xefff_fffe),
    ];
    let link = |(name, n): (&'static str, u32)| {
        let id = Id { ino: u64::from(n), mode: 0o777, ..id };
        (name, Link::inode(id, move || Ok(format!("{name}:[{n}]").into_bytes())))
    };
    Fixed::inode(id, all.into_iter().map(link).collect())
}

impl Entries for Dir {
    fn names_process(&self) -> Option<u32> {
        self.who.task.is_none().then_some(self.who.pid)
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>> {
        let name = core::str::from_utf8(name).map_err(|_| Errno::ENOENT)?;
        if !self.has(name) {
            return Err(Errno::ENOENT);
        }
        let who = self.who;
        if let Ok(i) = FILES.binary_search_by(|f| f.name.cmp(name)) {
            let f = &FILES[i];
            let id = self.id(FIRST_FILE + i, f.mode);
            let store = f.store.map(|store| -> Store { Arc::new(move |text| store(&who, text)) });
            return Ok(Text::polled(id, f.polled, Arc::new(move || (f.make)(&who)), store));
        }
        if let Some(i) = OPENED.iter().position(|(n, _, _)| *n == name) {
            let (_, mode, open) = OPENED[i];
            return Ok(Opened::inode(self.id(FIRST_OPENED + i, mode), move |_| open(&who)));
        }
        let i = OTHERS.iter().position(|(n, _)| *n == name).ok_or(Errno::ENOENT)?;
        self.other(i, name)
    }

    fn list(&self) -> Result<DirList> {
        self.who.process()?;
        let files = FILES.iter().enumerate().map(|(i, f)| (FIRST_FILE + i, f.name, kind::FILE));
        let opened = OPENED.iter().enumerate().map(|(i, f)| (FIRST_OPENED + i, f.0, kind::FILE));
        let others = OTHERS.iter().enumerate().map(|(i, o)| (FIRST_OTHER + i, o.0, o.1));
        let mut out = DirList::new();
        for (n, name, kind) in files.chain(opened).chain(others).filter(|(_, name, _)| self.has(name)) {
            out.push(name.as_bytes(), self.ino(n), kind);
        }
        Ok(out)
    }
}

struct Tasks {
    dev: u64,
    pid: u32,
}

impl Entries for Tasks {
    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>> {
        let tid = number(name).ok_or(Errno::ENOENT)?;
        let who = Who { pid: self.pid, task: Some(tid), named: self.pid };
        who.thread().map_err(|_| Errno::ENOENT)?;
        Ok(dir(self.dev, self.pid, Some(tid)))
    }

    // Programs count threads so (proc(5)).
    fn links(&self) -> u32 {
        2 + TREE.lock().process(self.pid).map_or(0, |p| p.threads.lock().len() as u32)
    }

    fn list(&self) -> Result<DirList> {
        let mut out = DirList::new();
        let p = TREE.lock().process(self.pid).ok_or(Errno::ENOENT)?;
        let tids: Vec<u32> = p.threads.lock().iter().map(|t| t.tid()).collect();
        for tid in tids {
            out.push(format!("{tid}").as_bytes(), ino(tid, 0x800), kind::DIR);
        }
        Ok(out)
    }
}
