//! /proc (proc(5)).
//!
//! Text is made when it is read. What the file systems do not know, memory above all, comes from
//! [`core_::procinfo`].
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;

mod fds;
mod files;
mod locks;
mod maps;
mod mem;
mod memory;
mod mounts;
mod process;
mod settings;
mod status;
mod sys;
mod system;
mod times;

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core_::task::TREE;
use core_::vfs::pseudo::{Changing, Entries, Id, Link, Text};
use core_::vfs::{Caching, DirList, FileSystem, Inode, Statfs, anon_dev, kind};
use core_::{Errno, Result, current};

/// A mounted proc.
pub struct ProcFs {
    root: Arc<dyn Inode>,
    dev: u64,
}

impl ProcFs {
    #[must_use]
    pub fn new() -> Arc<ProcFs> {
        let dev = anon_dev();
        let mut fixed: BTreeMap<&'static str, Arc<dyn Inode>> = BTreeMap::new();
        let mut ino = 1;
        let mut id = |mode| {
            ino += 1;
            Id::root(dev, ino, mode)
        };
        for (name, make) in system::FILES {
            fixed.insert(name, Text::inode(id(0o444), *make));
        }
        fixed.insert("self", Link::inode(id(0o777), || Ok(format!("{}", current().process.pid).into_bytes())));
        fixed.insert(
            "thread-self",
            Link::inode(id(0o777), || Ok(format!("{}/task/{}", current().process.pid, current().tid()).into_bytes())),
        );
        fixed.insert("mounts", Link::inode(id(0o777), || Ok(b"self/mounts".to_vec())));
        fixed.insert("net", Link::inode(id(0o777), || Ok(b"self/net".to_vec())));
        fixed.insert("sys", sys::tree(dev));
        let root = Changing::inode(Id::root(dev, 1, 0o555), Caching::Revalidate, Root { dev, fixed });
        Arc::new(ProcFs { root, dev })
    }
}

impl FileSystem for ProcFs {
    fn name(&self) -> &'static str {
        "proc"
    }
    fn root(&self) -> Arc<dyn Inode> {
        self.root.clone()
    }
    fn statfs(&self) -> Result<Statfs> {
        const PROC_SUPER_MAGIC: u64 = 0x9fa0;
        Ok(Statfs { magic: PROC_SUPER_MAGIC, bsize: 4096, fsid: self.dev, ..Statfs::default() })
    }
}

/// A decimal number in its one form.
fn number(name: &[u8]) -> Option<u32> {
    let plain = !name.is_empty() && name.len() < 10 && name.iter().all(u8::is_ascii_digit);
    (plain && (name[0] != b'0' || name.len() == 1)).then(|| name.iter().fold(0, |n, d| n * 10 + u32::from(d - b'0')))
}

struct Root {
    dev: u64,
    fixed: BTreeMap<&'static str, Arc<dyn Inode>>,
}

impl Entries for Root {
    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>> {
        if let Some(pid) = number(name) {
            // A thread's number names its process too, though it is not listed.
            let p = TREE.lock().process_of(pid).ok_or(Errno::ENOENT)?;
            return Ok(process::dir_named(self.dev, p.pid, pid));
        }
        let name = core::str::from_utf8(name).map_err(|_| Errno::ENOENT)?;
        self.fixed.get(name).cloned().ok_or(Errno::ENOENT)
    }

    fn list(&self) -> Result<DirList> {
        let mut out = DirList::new();
        for (name, i) in &self.fixed {
            out.push(name.as_bytes(), i.attr()?.ino, i.kind());
        }
        let pids: Vec<u32> = TREE.lock().all().iter().map(|p| p.pid).collect();
        for pid in pids {
            out.push(format!("{pid}").as_bytes(), process::ino(pid, 0), kind::DIR);
        }
        Ok(out)
    }
}
