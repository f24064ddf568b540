//! What a file system implements: [`FileSystem`] and [`Inode`].
//!
//! Permission checks, the name cache and mounts are the VFS's ([`super`]); an inode only does what it is told. All
//! names are single components without `/`, never `.` or `..`, at most 255 bytes.

use super::Path;
use crate::file::FileOps;
use crate::{Errno, Mutex, Result};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;

/// File types within a mode (inode(7)).
pub mod kind {
    pub const MASK: u32 = 0o170_000;
    pub const SOCKET: u32 = 0o140_000;
    pub const LINK: u32 = 0o120_000;
    pub const FILE: u32 = 0o100_000;
    pub const BLOCK: u32 = 0o060_000;
    pub const DIR: u32 = 0o040_000;
    pub const CHAR: u32 = 0o020_000;
    pub const FIFO: u32 = 0o010_000;
    pub const SETUID: u32 = 0o4000;
    pub const SETGID: u32 = 0o2000;
    pub const STICKY: u32 = 0o1000;
}

/// A file time: seconds and nanoseconds since the epoch.
pub type Time = (i64, u32);

/// The time to put on files: the host's coarse clock, as Linux does (`ktime_get_coarse_real_ts64`).
#[must_use]
pub fn now() -> Time {
    const CLOCK_REALTIME_COARSE: i32 = 5;
    let (s, ns) = host::time::clock_gettime(CLOCK_REALTIME_COARSE).unwrap_or((0, 0));
    (s, ns as u32)
}

/// makedev(3) as Linux encodes it for user space.
#[must_use]
pub const fn makedev(major: u32, minor: u32) -> u64 {
    let (major, minor) = (major as u64, minor as u64);
    (minor & 0xff) | ((major & 0xfff) << 8) | ((minor & !0xff) << 12) | ((major & !0xfff) << 32)
}

/// Major number of a device number.
#[must_use]
pub const fn major(dev: u64) -> u32 {
    ((dev >> 8 & 0xfff) | (dev >> 32 & !0xfff)) as u32
}

/// Minor number of a device number.
#[must_use]
pub const fn minor(dev: u64) -> u32 {
    ((dev & 0xff) | (dev >> 12 & 0xffff_ff00)) as u32
}

/// A device number for a file system without a device, as Linux gives out (major 0).
#[must_use]
pub fn anon_dev() -> u64 {
    static NEXT: core::sync::atomic::AtomicU32 = core::sync::atomic::AtomicU32::new(20);
    makedev(0, NEXT.fetch_add(1, core::sync::atomic::Ordering::Relaxed))
}

/// Attributes of an inode (stat(2)).
#[derive(Clone, Copy, Debug, Default)]
pub struct Attr {
    pub dev: u64,
    pub ino: u64,
    /// Type and permission bits.
    pub mode: u32,
    pub nlink: u32,
    pub uid: u32,
    pub gid: u32,
    pub rdev: u64,
    pub size: u64,
    /// In units of 512 bytes.
    pub blocks: u64,
    pub blksize: u32,
    pub atime: Time,
    pub mtime: Time,
    pub ctime: Time,
    pub btime: Time,
}

impl Attr {
    /// Those of a file of the host, with the host's device and number; it belongs to root.
    #[must_use]
    pub fn of_host(st: &abi::linux::statx) -> Attr {
        let time = |t: abi::linux::statx_timestamp| (t.tv_sec, t.tv_nsec);
        Attr {
            dev: makedev(st.stx_dev_major, st.stx_dev_minor),
            ino: st.stx_ino,
            mode: u32::from(st.stx_mode),
            nlink: st.stx_nlink,
            uid: 0,
            gid: 0,
            rdev: makedev(st.stx_rdev_major, st.stx_rdev_minor),
            size: st.stx_size,
            blocks: st.stx_blocks,
            blksize: st.stx_blksize,
            atime: time(st.stx_atime),
            mtime: time(st.stx_mtime),
            ctime: time(st.stx_ctime),
            btime: time(st.stx_btime),
        }
    }
}

/// What a permission check needs.
#[derive(Clone, Copy, Debug)]
pub struct Perm {
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
}

/// A change of attributes; the caller has checked that it is allowed.
#[derive(Clone, Copy, Debug, Default)]
pub struct SetAttr {
    /// New permission bits (0o7777).
    pub mode: Option<u32>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub atime: Option<Time>,
    pub mtime: Option<Time>,
    /// Access, modification time: it is the present, which a file system with a clock of its own reads there.
    pub now: [bool; 2],
}

/// What to create.
#[derive(Clone, Copy, Debug)]
pub struct New<'a> {
    /// Type and permissions, umask already applied.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub rdev: u64,
    /// Target, for a symbolic link.
    pub target: &'a [u8],
}

/// Numbers of statfs(2).
#[derive(Clone, Copy, Debug, Default)]
pub struct Statfs {
    pub magic: u64,
    pub bsize: u64,
    pub blocks: u64,
    pub bfree: u64,
    pub bavail: u64,
    pub files: u64,
    pub ffree: u64,
    pub fsid: u64,
}

/// How the name cache may treat what a directory's `lookup` said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Caching {
    /// Nothing but this VFS changes the directory: entries, also negative ones, stay true.
    Forever,
    /// Ask again each time, but keep the entry while the inode is the same object (host directories).
    Revalidate,
    /// Never keep (processes in /proc).
    Never,
}

/// The names of a directory, packed: what getdents(2) gives out. `.` and `..` are added by the VFS.
#[derive(Default)]
pub struct DirList {
    names: Vec<u8>,
    ends: Vec<(u32, u8, u64)>,
}

impl DirList {
    #[must_use]
    pub fn new() -> DirList {
        DirList::default()
    }

    /// Appends an entry; `mode` gives the type.
    pub fn push(&mut self, name: &[u8], ino: u64, mode: u32) {
        self.names.extend_from_slice(name);
        self.ends.push((self.names.len() as u32, (mode >> 12) as u8 & 15, ino));
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Entry `i`: name, inode number, d_type.
    #[must_use]
    pub fn get(&self, i: usize) -> Option<(&[u8], u64, u8)> {
        let (end, dtype, ino) = *self.ends.get(i)?;
        let start = if i == 0 { 0 } else { self.ends[i - 1].0 };
        Some((&self.names[start as usize..end as usize], ino, dtype))
    }

    pub fn iter(&self) -> impl Iterator<Item = (&[u8], u64, u8)> {
        (0..self.len()).filter_map(|i| self.get(i))
    }
}

/// Where a FIFO, socket or device inode keeps its live object.
pub type SpecialSlot = Mutex<Option<Arc<dyn Any + Send + Sync>>>;

/// A file of a file system, whatever its names. The defaults are Linux's answers for a file without the ability.
#[allow(unused_variables)]
pub trait Inode: Send + Sync + Any {
    /// For downcasts.
    fn as_any(&self) -> &dyn Any;
    /// For downcasts that keep the reference.
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;

    /// The type: one of [`kind`]; never changes.
    fn kind(&self) -> u32;

    fn attr(&self) -> Result<Attr>;

    /// The part of [`Inode::attr`] that each path walk needs: must be quick.
    fn perm(&self) -> Perm {
        match self.attr() {
            Ok(a) => Perm { mode: a.mode, uid: a.uid, gid: a.gid },
            Err(_) => Perm { mode: self.kind(), uid: u32::MAX, gid: u32::MAX },
        }
    }

    /// True for directories for which the caller's exec permission need not be asked.
    fn caching(&self) -> Caching {
        Caching::Forever
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>> {
        Err(Errno::ENOTDIR)
    }

    /// Makes a file of any type. The name does not exist (the VFS looked, under the directory's lock).
    fn create(&self, name: &[u8], new: &New) -> Result<Arc<dyn Inode>> {
        Err(Errno::EPERM)
    }

    fn link(&self, name: &[u8], target: &Arc<dyn Inode>) -> Result<()> {
        Err(Errno::EPERM)
    }

    fn unlink(&self, name: &[u8], inode: &Arc<dyn Inode>) -> Result<()> {
        Err(Errno::EPERM)
    }

    fn rmdir(&self, name: &[u8], inode: &Arc<dyn Inode>) -> Result<()> {
        Err(Errno::EPERM)
    }

    /// Renames `old` (called `name` here) to `new_name` in `new_dir`, a directory of the same file system. `replaced` is what
    /// has that name now; with `exchange` the two change places.
    fn rename(
        &self,
        name: &[u8],
        old: &Arc<dyn Inode>,
        new_dir: &Arc<dyn Inode>,
        new_name: &[u8],
        replaced: Option<&Arc<dyn Inode>>,
        exchange: bool,
    ) -> Result<()> {
        Err(Errno::EPERM)
    }

    /// What RENAME_WHITEOUT leaves at the old name, which it gets by `link`. Not every file system can.
    fn whiteout(&self, new: &New) -> Result<Arc<dyn Inode>> {
        Err(Errno::EINVAL)
    }

    /// A file without a name (O_TMPFILE). File systems that others are stacked on make any type.
    fn tmpfile(&self, new: &New) -> Result<Arc<dyn Inode>> {
        Err(Errno::EOPNOTSUPP)
    }

    fn list(&self) -> Result<Arc<DirList>> {
        Err(Errno::ENOTDIR)
    }

    fn readlink(&self) -> Result<Arc<[u8]>> {
        Err(Errno::EINVAL)
    }

    /// The process that a directory of /proc is about (pidfd_send_signal(2) takes it for a pidfd).
    fn names_process(&self) -> Option<u32> {
        None
    }

    /// Where a magic link leads, without a path walk (/proc/PID/fd/N, exe, cwd, root).
    fn magic(&self) -> Option<Result<Path>> {
        None
    }

    /// What an open file of this inode does. `flags` are open(2)'s; O_TRUNC is the VFS's work.
    fn open(self: Arc<Self>, flags: u32) -> Result<Arc<dyn FileOps>> {
        Err(Errno::ENXIO)
    }

    fn setattr(&self, set: &SetAttr) -> Result<()> {
        Err(Errno::EPERM)
    }

    fn truncate(&self, len: u64) -> Result<()> {
        Err(Errno::EINVAL)
    }

    fn fallocate(&self, mode: u32, off: u64, len: u64) -> Result<()> {
        Err(Errno::EOPNOTSUPP)
    }

    /// Next data (or with `hole`, next hole) at or after `off`.
    fn seek_data(&self, off: u64, hole: bool) -> Result<u64> {
        let size = self.attr()?.size;
        if off >= size {
            return Err(Errno::ENXIO);
        }
        Ok(if hole { size } else { off })
    }

    fn sync(&self, data_only: bool) -> Result<()> {
        Ok(())
    }

    fn getxattr(&self, name: &[u8]) -> Result<Vec<u8>> {
        Err(Errno::EOPNOTSUPP)
    }

    /// `flags`: XATTR_CREATE 1, XATTR_REPLACE 2.
    fn setxattr(&self, name: &[u8], value: &[u8], flags: u32) -> Result<()> {
        Err(Errno::EOPNOTSUPP)
    }

    fn removexattr(&self, name: &[u8]) -> Result<()> {
        Err(Errno::EOPNOTSUPP)
    }

    /// Names, each ended by a NUL.
    fn listxattr(&self) -> Result<Vec<u8>> {
        Ok(Vec::new())
    }

    /// The slot of a FIFO, socket or device.
    fn special(&self) -> Option<&SpecialSlot> {
        None
    }

    /// Adds seals (0 adds none) and returns those in force (F_ADD_SEALS, F_GET_SEALS).
    fn seals(&self, add: u32) -> Result<u32> {
        Err(Errno::EINVAL)
    }

    /// Changes the link count; for a file system stacked on this one.
    fn add_links(&self, delta: i32) {}
}

/// A mounted file system.
pub trait FileSystem: Send + Sync {
    /// As /proc/filesystems calls it.
    fn name(&self) -> &'static str;
    fn root(&self) -> Arc<dyn Inode>;
    fn statfs(&self) -> Result<Statfs>;
    /// Text for /proc/mounts after `rw` or `ro`: `,size=1024k`.
    fn options(&self) -> Vec<u8> {
        Vec::new()
    }
    /// Options of mount(2) for a file system that is mounted already.
    ///
    /// # Errors
    /// `EINVAL` for what can not be changed.
    fn remount(&self, options: &[u8]) -> Result<()> {
        if options.is_empty() { Ok(()) } else { Err(Errno::EINVAL) }
    }
    /// Mounts of it are read-only.
    fn read_only(&self) -> bool {
        false
    }
}
