//! A directory of the host as a file system.
//!
//! Two modes. *Cached*: contents are assumed not to change while the VM lives (the lower layer of an overlay; Linux's
//! overlayfs has the same contract): names, attributes, listings, link targets and small contents are asked for once. *Live*: a
//! volume; names and attributes are asked for each time, and it may be writable.
//!
//! The host never resolves a link for us: each component of a path that it is given is a plain name beneath the directory.
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;

mod inode;
mod io;
mod small;
mod write;

pub use inode::HostInode;

use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core_::vfs::{FileSystem, Inode, Statfs, anon_dev};
use core_::{Errno, Mutex, Result};
use hashbrown::HashMap;
use host::file::HostFd;

/// How a host directory is used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Assumed unchanging; read-only.
    Cached,
    /// Asked each time; read-only.
    ReadOnly,
    /// Asked each time; writable.
    ReadWrite,
}

/// Most host descriptors that a file system keeps open for files that nobody has open at the moment.
const IDLE_FDS: usize = 256;

pub(crate) struct Shared {
    root_fd: HostFd,
    mode: Mode,
    dev: u64,
    /// Whom the guest's root is on the host.
    host_uid: u32,
    host_gid: u32,
    /// By host device and inode number: one object a file, so that hard links are one file for the guest too.
    inodes: Mutex<HashMap<(u64, u64), Weak<HostInode>>>,
    /// Files with an open host descriptor, oldest first.
    open_fds: Mutex<VecDeque<Weak<HostInode>>>,
    kept: Mutex<small::Kept>,
    /// Host devices met so far: a file system of several makes its own inode numbers from both.
    devices: Mutex<Vec<u64>>,
    /// The place of the first of them.
    numbers: u16,
}

impl Shared {
    pub fn uid_in(&self, host: u32) -> u32 {
        if host == self.host_uid { 0 } else { host }
    }
    pub fn gid_in(&self, host: u32) -> u32 {
        if host == self.host_gid { 0 } else { host }
    }
    pub fn uid_out(&self, guest: u32) -> u32 {
        if guest == 0 { self.host_uid } else { guest }
    }
    pub fn gid_out(&self, guest: u32) -> u32 {
        if guest == 0 { self.host_gid } else { guest }
    }

    /// The guest's inode number: the host's, with the place of its device above.
    pub fn ino(&self, dev: u64, ino: u64) -> u64 {
        let mut d = self.devices.lock();
        let i = d.iter().position(|x| *x == dev).unwrap_or_else(|| {
            d.push(dev);
            d.len() - 1
        });
        ino ^ (u64::from(self.numbers) + i as u64) << 48
    }

    /// Notes that `i` has opened a host descriptor; closes the longest unused ones beyond the budget.
    pub fn note_fd(&self, i: &Arc<HostInode>) {
        let mut todo = {
            let mut q = self.open_fds.lock();
            q.push_back(Arc::downgrade(i));
            if q.len() <= IDLE_FDS {
                return;
            }
            let n = q.len() / 4;
            q.drain(..n).collect::<Vec<_>>()
        };
        // Those in use go to the end of the queue again.
        todo.retain(|w| w.upgrade().is_some_and(|i| !i.close_idle()));
        self.open_fds.lock().extend(todo);
    }
}

/// Every file system of this kind: they share the host's limit of descriptors.
static ALL: Mutex<Vec<Weak<Shared>>> = host::sync::mutex(Vec::new());

/// [`host::file::open_beneath`], with the descriptors that nobody needs at the moment where there are none left.
pub(crate) fn open_beneath(dir: i32, path: &[u8], flags: u32, mode: u32) -> Result<HostFd> {
    match host::file::open_beneath(dir, path, flags, mode) {
        Err(Errno::EMFILE | Errno::ENFILE) => {
            let all: Vec<_> = ALL.lock().iter().filter_map(Weak::upgrade).collect();
            for fs in all {
                let mut todo = core::mem::take(&mut *fs.open_fds.lock());
                todo.retain(|w| w.upgrade().is_some_and(|i| !i.close_idle()));
                fs.open_fds.lock().extend(todo);
            }
            host::file::open_beneath(dir, path, flags, mode)
        }
        r => r,
    }
}

/// A mounted host directory.
pub struct HostFs {
    shared: Arc<Shared>,
    root: Arc<HostInode>,
}

impl HostFs {
    /// `dir` is an O_PATH descriptor of the directory, owned from now on; `host_uid` and `host_gid` are the
    /// invoking user's. Inode numbers of directories that are shown in one file system differ by `numbers`: each host
    /// device in them takes one of the 65536.
    ///
    /// # Errors
    /// The host's.
    pub fn new(dir: i32, mode: Mode, host_uid: u32, host_gid: u32, numbers: u16) -> Result<Arc<HostFs>> {
        let shared = Arc::new(Shared {
            root_fd: HostFd::new(dir),
            mode,
            dev: anon_dev(),
            host_uid,
            host_gid,
            inodes: Mutex::default(),
            open_fds: Mutex::default(),
            kept: Mutex::default(),
            devices: Mutex::default(),
            numbers,
        });
        ALL.lock().push(Arc::downgrade(&shared));
        let st = host::file::statx(dir, b"", inode::STATX_ALL)?;
        let root = HostInode::get(&shared, None, b"", &st);
        Ok(Arc::new(HostFs { shared, root }))
    }
}

impl FileSystem for HostFs {
    fn name(&self) -> &'static str {
        "hostfs"
    }

    fn root(&self) -> Arc<dyn Inode> {
        self.root.clone()
    }

    fn statfs(&self) -> Result<Statfs> {
        const HOSTFS_MAGIC: u64 = 0x00c0_ffee;
        // Works on O_PATH descriptors (open(2)).
        let s = host::volume::fstatfs(self.shared.root_fd.raw())?;
        Ok(Statfs {
            magic: HOSTFS_MAGIC,
            bsize: s[1],
            blocks: s[2],
            bfree: s[3],
            bavail: s[4],
            files: s[5],
            ffree: s[6],
            fsid: self.shared.dev,
        })
    }

    fn read_only(&self) -> bool {
        self.shared.mode != Mode::ReadWrite
    }
}
