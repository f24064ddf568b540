//! /proc/PID/fd and fdinfo.

use crate::locks;
use crate::process::{Who, ino};
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core_::file::{File, oflag};
use core_::vfs::pseudo::{Entries, Id, Link, Polled, Text};
use core_::vfs::{self, DirList, Inode, kind};
use core_::{Errno, Result, current};

pub struct Fds {
    pub dev: u64,
    pub who: Who,
    /// fdinfo instead of fd.
    pub info: bool,
}

fn get(who: &Who, fd: u32) -> Result<Arc<File>> {
    who.thread()?.files().get(fd as i32).map_err(|_| Errno::ENOENT)
}

fn info(who: &Who, fd: u32) -> Result<Vec<u8>> {
    let table = who.thread()?.files();
    let f = table.get(fd as i32).map_err(|_| Errno::ENOENT)?;
    let cloexec = table.cloexec(fd as i32).unwrap_or(false);
    // The position of a stream is no position, and its lock may be held by a sleeper.
    let pos = if f.ops().is_stream() { 0 } else { *f.pos() };
    let flags = f.flags() | if cloexec { oflag::CLOEXEC } else { 0 };
    let mnt = f.path().map_or(15, |p| p.mnt.id);
    let ino = vfs::file_attr(&f).map_or(0, |a| a.ino);
    let mut out = format!("pos:\t{pos}\nflags:\t0{flags:o}\nmnt_id:\t{mnt}\nino:\t{ino}\n").into_bytes();
    out.extend(locks::of(&f, &table).into_bytes());
    out.extend(f.ops().fdinfo(&f));
    Ok(out)
}

impl Entries for Fds {
    /// A process that has given up root still sees its own descriptors (proc_fd_permission in fs/proc/fd.c).
    fn is_callers(&self) -> bool {
        self.who.is_caller()
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>> {
        let fd = crate::number(name).ok_or(Errno::ENOENT)?;
        let f = get(&self.who, fd)?;
        let who = self.who;
        let (uid, gid) = who.owner();
        let number = ino(who.tid(), 0x1000 + fd * 2 + u32::from(self.info));
        if self.info {
            let id = Id { dev: self.dev, ino: number, mode: 0o400, uid, gid };
            return Ok(Text::polled(id, Polled::Never, Arc::new(move || info(&who, fd)), None));
        }
        let mode = if f.readable() { 0o500 } else { 0o100 } | if f.writable() { 0o300 } else { 0 };
        let id = Id { dev: self.dev, ino: number, mode, uid, gid };
        Ok(Link::magic(
            id,
            64,
            move || Ok(vfs::file_text(&*get(&who, fd)?, &current().fs().root())),
            move || vfs::path_of_file(&get(&who, fd)?),
        ))
    }

    fn list(&self) -> Result<DirList> {
        let mut out = DirList::new();
        let k = if self.info { kind::FILE } else { kind::LINK };
        self.who.process()?;
        // Process 1, and what has ended, have none.
        let files = self.who.thread().map(|t| t.files());
        for (fd, _, _) in files.map_or(Vec::new(), |f| f.list()) {
            let number = ino(self.who.tid(), 0x1000 + fd as u32 * 2 + u32::from(self.info));
            out.push(format!("{fd}").as_bytes(), number, k);
        }
        Ok(out)
    }
}
