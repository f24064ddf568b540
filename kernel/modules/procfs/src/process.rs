//! /proc/PID and /proc/PID/task/TID.

use crate::fds::Fds;
use crate::maps::MapFiles;
use crate::{mounts, number, status};
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use core_::net;
use core_::procinfo::hooks;
use core_::task::{Cap, Process, TREE, Thread};
use core_::vfs::pseudo::{Changing, Entries, Fixed, Id, Link, Text};
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
    pub fn tid(&self) -> u32 {
        self.task.unwrap_or(self.named)
    }

    /// Whether the calling thread belongs to this process.
    pub fn is_caller(&self) -> bool {
        host::thread::current_if_any::<Thread>().is_some_and(|t| t.process.pid == self.pid)
    }

    /// `EACCES` for who may not look into the process (__ptrace_may_access).
    pub fn may_look(&self) -> Result<()> {
        let c = current().cred();
        let may = self.is_caller() || c.fsuid == self.owner().0 || c.has(Cap::SysPtrace);
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

type Make = fn(&Who) -> Result<Vec<u8>>;

/// Name, permissions, contents; the last flag: also in task directories only where true for both.
const FILES: &[(&str, u32, Make)] = &[
    ("auxv", 0o400, |w| Ok(hooks().auxv(&*w.process()?))),
    ("cgroup", 0o444, |_| Ok(b"0::/\n".to_vec())),
    ("cmdline", 0o444, |w| Ok(hooks().cmdline(&*w.process()?))),
    ("cpuset", 0o444, |_| Ok(b"/\n".to_vec())),
    ("environ", 0o400, |w| Ok(hooks().environ(&*w.process()?))),
    ("gid_map", 0o644, |_| Ok(b"         0          0 4294967295\n".to_vec())),
    ("io", 0o400, |_| {
        Ok(b"rchar: 0\nwchar: 0\nsyscr: 0\nsyscw: 0\nread_bytes: 0\nwrite_bytes: 0\ncancelled_write_bytes: 0\n"
            .to_vec())
    }),
    ("limits", 0o444, status::limits),
    ("loginuid", 0o644, |_| Ok(b"4294967295".to_vec())),
    ("maps", 0o444, |w| w.looked_into().map(|p| hooks().maps(&p))),
    ("mountinfo", 0o444, |w| Ok(mounts::mountinfo(&w.thread()?.fs().root()))),
    ("mounts", 0o444, |w| Ok(mounts::mounts(&w.thread()?.fs().root()))),
    ("oom_score", 0o444, |_| Ok(b"0\n".to_vec())),
    ("personality", 0o400, |_| Ok(b"00000000\n".to_vec())),
    ("schedstat", 0o444, |_| Ok(b"0 0 0\n".to_vec())),
    ("sessionid", 0o444, |_| Ok(b"4294967295".to_vec())),
    ("setgroups", 0o644, |_| Ok(b"allow\n".to_vec())),
    ("smaps", 0o444, |w| w.looked_into().map(|p| hooks().smaps(&p))),
    ("stat", 0o444, status::stat),
    ("statm", 0o444, status::statm),
    ("status", 0o444, status::status),
    ("syscall", 0o400, |w| Ok(hooks().syscall(&*w.thread()?))),
    ("uid_map", 0o644, |_| Ok(b"         0          0 4294967295\n".to_vec())),
    ("wchan", 0o444, |_| Ok(b"0".to_vec())),
];

const OTHERS: &[(&str, u32)] = &[
    ("comm", kind::FILE),
    ("cwd", kind::LINK),
    ("exe", kind::LINK),
    ("fd", kind::DIR),
    ("fdinfo", kind::DIR),
    ("map_files", kind::DIR),
    ("net", kind::DIR),
    ("ns", kind::DIR),
    ("oom_score_adj", kind::FILE),
    ("root", kind::LINK),
    ("task", kind::DIR),
];

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

impl Dir {
    fn id(&self, n: usize, mode: u32) -> Id {
        let (uid, gid) = self.who.owner();
        let n = n as u32 + 1 + u32::from(self.who.task.is_some()) * 0x800;
        Id { dev: self.dev, ino: ino(self.who.tid(), n), mode, uid, gid }
    }

    fn other(&self, n: usize, name: &str) -> Result<Arc<dyn Inode>> {
        let who = self.who;
        let n = n + FILES.len();
        Ok(match name {
            "comm" => Text::writable(self.id(n, 0o644), move || comm(&who), move |text| set_comm(&who, text)),
            "oom_score_adj" => Text::writable(
                self.id(n, 0o644),
                move || {
                    let v = who.process()?.oom_score_adj.load(Ordering::Relaxed) as i32;
                    Ok(format!("{v}\n").into_bytes())
                },
                move |text| set_oom(&who, text),
            ),
            "cwd" => place(who, self.id(n, 0o777), move || Ok(who.places()?.cwd())),
            "root" => place(who, self.id(n, 0o777), move || Ok(who.places()?.root())),
            "exe" => place(who, self.id(n, 0o777), move || hooks().exe(&*who.process()?).ok_or(Errno::ENOENT)),
            "fd" | "fdinfo" => {
                let info = name == "fdinfo";
                let mode = if info { 0o555 } else { 0o500 };
                Changing::inode(self.id(n, mode), Caching::Never, Fds { dev: self.dev, who, info })
            }
            "map_files" if who.task.is_none() => {
                Changing::inode(self.id(n, 0o500), Caching::Never, MapFiles { dev: self.dev, who })
            }
            "net" => net(self.id(n, 0o555)),
            "ns" => namespaces(self.id(n, 0o511)),
            "task" if who.task.is_none() => {
                Changing::inode(self.id(n, 0o555), Caching::Never, Tasks { dev: self.dev, pid: who.pid })
            }
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

fn comm(who: &Who) -> Result<Vec<u8>> {
    who.process()?;
    let mut out = status::name(who);
    out.push(b'\n');
    Ok(out)
}

fn set_comm(who: &Who, text: &[u8]) -> Result<()> {
    if who.pid != current().process.pid {
        return Err(Errno::EINVAL);
    }
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let n = text.len().min(15);
    let mut c = [0; 16];
    c[..n].copy_from_slice(&text[..n]);
    *who.thread()?.comm.lock() = c;
    Ok(())
}

fn set_oom(who: &Who, text: &[u8]) -> Result<()> {
    let text = core::str::from_utf8(text).map_err(|_| Errno::EINVAL)?;
    let v: i32 = text.trim().parse().map_err(|_| Errno::EINVAL)?;
    if !(-1000..=1000).contains(&v) {
        return Err(Errno::EINVAL);
    }
    let p = who.process()?;
    let old = p.oom_score_adj.load(Ordering::Relaxed) as i32;
    if v < old && !current().cred().has(Cap::SysResource) {
        return Err(Errno::EACCES);
    }
    p.oom_score_adj.store(v as u32, Ordering::Relaxed);
    Ok(())
}

impl Entries for Dir {
    fn names_process(&self) -> Option<u32> {
        self.who.task.is_none().then_some(self.who.pid)
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>> {
        let name = core::str::from_utf8(name).map_err(|_| Errno::ENOENT)?;
        if let Ok(i) = FILES.binary_search_by(|(n, _, _)| (*n).cmp(name)) {
            let (_, mode, make) = FILES[i];
            let who = self.who;
            return Ok(Text::inode(self.id(i, mode), move || make(&who)));
        }
        let i = OTHERS.iter().position(|(n, _)| *n == name).ok_or(Errno::ENOENT)?;
        self.other(i, name)
    }

    fn list(&self) -> Result<DirList> {
        self.who.process()?;
        let mut out = DirList::new();
        for (i, (name, _, _)) in FILES.iter().enumerate() {
            out.push(name.as_bytes(), self.id(i, 0).ino, kind::FILE);
        }
        for (i, (name, k)) in OTHERS.iter().enumerate() {
            if !matches!(*name, "task" | "map_files") || self.who.task.is_none() {
                out.push(name.as_bytes(), self.id(FILES.len() + i, 0).ino, *k);
            }
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
