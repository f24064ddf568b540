//! Open files: what a descriptor refers to.

use crate::io::IoBuf;
use crate::vfs::busy::Claim;
use crate::vfs::{Attr, Inode, Path, SetAttr, locks};
use crate::wait::{Events, PollTable};
use crate::{Errno, Mutex, Result};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// open(2) flags as x86-64 Linux numbers them.
pub mod oflag {
    pub const ACCMODE: u32 = 3;
    pub const RDONLY: u32 = 0;
    pub const WRONLY: u32 = 1;
    pub const RDWR: u32 = 2;
    pub const CREAT: u32 = 0o100;
    pub const EXCL: u32 = 0o200;
    pub const NOCTTY: u32 = 0o400;
    pub const TRUNC: u32 = 0o1000;
    pub const APPEND: u32 = 0o2000;
    pub const NONBLOCK: u32 = 0o4000;
    pub const DSYNC: u32 = 0o10000;
    pub const ASYNC: u32 = 0o20000;
    pub const DIRECT: u32 = 0o40000;
    pub const LARGEFILE: u32 = 0o100_000;
    pub const DIRECTORY: u32 = 0o200_000;
    pub const NOFOLLOW: u32 = 0o400_000;
    pub const NOATIME: u32 = 0o1_000_000;
    pub const CLOEXEC: u32 = 0o2_000_000;
    pub const SYNC: u32 = 0o4_010_000;
    pub const PATH: u32 = 0o10_000_000;
    pub const TMPFILE: u32 = 0o20_200_000;
}

/// One run of a file that can be mapped, from [`FileOps::map_extents`].
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// Offset in the file, in bytes; page-aligned.
    pub offset: u64,
    /// Length in bytes; page-aligned.
    pub len: u64,
    /// Host descriptor and offset there; None for a hole without memory (reads as zeros, faults on access).
    pub host: Option<(i32, u64)>,
}

/// How a mapping wants a file's pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapKind {
    /// MAP_PRIVATE, or MAP_SHARED of a file not open for writing.
    Read,
    /// MAP_SHARED and writable (now or after mprotect).
    SharedWrite,
}

/// What an open file can do. The defaults are Linux's answers for an object without the ability.
///
/// Streams (pipes, sockets, terminals, event objects) ignore `off`; for the others the caller keeps the file position.
#[allow(unused_variables)]
pub trait FileOps: Send + Sync + Any {
    /// For downcasts.
    fn as_any(&self) -> &dyn Any;

    /// Reads at `off`. Zero is end of file. Blocks unless `file.nonblocking()`.
    fn read(&self, file: &File, dst: &mut IoBuf, off: u64) -> Result<usize> {
        Err(Errno::EINVAL)
    }

    /// Writes at `off` (for O_APPEND files: at the end; returns with [`File::set_append_pos`] told).
    fn write(&self, file: &File, src: &mut IoBuf, off: u64) -> Result<usize> {
        Err(Errno::EINVAL)
    }

    /// True for objects without a position (lseek gives ESPIPE).
    fn is_stream(&self) -> bool {
        true
    }

    /// pread(2); its own where an object keeps its position itself ([`FileOps::is_stream`]) and yet has places.
    fn pread(&self, file: &File, dst: &mut IoBuf, off: u64) -> Result<usize> {
        if self.is_stream() && !self.ignores_offset() {
            return Err(Errno::ESPIPE);
        }
        if !file.readable() {
            return Err(Errno::EBADF);
        }
        self.read(file, dst, off)
    }

    /// pwrite(2), likewise.
    fn pwrite(&self, file: &File, src: &mut IoBuf, off: u64) -> Result<usize> {
        if self.is_stream() && !self.ignores_offset() {
            return Err(Errno::ESPIPE);
        }
        if !file.writable() {
            return Err(Errno::EBADF);
        }
        self.write(file, src, off)
    }

    /// True where a mapping of the file is anonymous memory (/dev/zero).
    fn maps_zeros(&self) -> bool {
        false
    }

    /// True for streams whose pread and pwrite work all the same (/dev/zero).
    fn ignores_offset(&self) -> bool {
        false
    }

    /// True where offsets are addresses, which may be beyond the largest signed number (/proc/PID/mem).
    fn offsets_are_addresses(&self) -> bool {
        false
    }

    /// Attributes of an object without an inode; None: those of the inode, or of Linux's anon_inodefs.
    fn attr(&self, file: &File) -> Option<Attr> {
        None
    }

    /// Changes attributes of an object without an inode.
    fn setattr(&self, file: &File, set: &SetAttr) -> Result<()> {
        Err(Errno::EOPNOTSUPP)
    }

    /// Opens the object once more through /proc/PID/fd (pipes: what bash's process substitution needs).
    fn reopen(&self, file: &File, flags: u32) -> Result<Arc<dyn FileOps>> {
        Err(Errno::ENXIO)
    }

    /// Pipes: up to `max` bytes that the next read will give, without taking them; None: no pipe (tee(2)).
    fn peek(&self, file: &File, max: usize) -> Option<Vec<u8>> {
        None
    }

    /// lseek(2) on an object with a position.
    fn seek(&self, file: &File, off: i64, whence: u32) -> Result<u64> {
        Err(Errno::ESPIPE)
    }

    /// What is true now of IN, OUT, ERR, HUP…; registers with `table` where given.
    fn poll(&self, file: &File, table: Option<&mut PollTable>) -> Events {
        Events::READ | Events::WRITE
    }

    /// True where epoll_ctl may add the file (regular files and directories: EPERM).
    fn pollable(&self) -> bool {
        true
    }

    fn ioctl(&self, file: &File, cmd: u32, arg: u64) -> Result<i64> {
        Err(Errno::ENOTTY)
    }

    /// What of `[off, off+len)` (page-aligned) is mappable now, in order, without overlaps. Where the file keeps its pages in
    /// RAM, holes inside it are given memory, unless there is too little or they are large: those are asked for again, a small
    /// range (of a page at last) at a time, when they are touched. Parts beyond the end of the file's last page are left out.
    fn map_extents(&self, file: &File, off: u64, len: u64, kind: MapKind) -> Result<Vec<Extent>> {
        Err(Errno::ENODEV)
    }

    /// A mapping of the file came into being (also by fork) / went away. Between the two, pages given out by
    /// `map_extents` must not be reused for anything else. `writes`: the file may be written through it, now or after mprotect(2);
    /// the answer is whether that is so, which seals forbid.
    fn mapped(&self, file: &File, writes: bool) -> bool {
        writes
    }
    /// What tells mappings of one file from those of another (`mm::file_shrunk`); 0: the file never tells.
    fn mapping_id(&self, file: &File) -> usize {
        0
    }
    fn unmapped(&self, file: &File, writes: bool) {}

    /// A stable identity of the file's content for the patched-text cache: (device, inode). None: never cached.
    fn text_identity(&self, file: &File) -> Option<(u64, u64)> {
        None
    }

    /// True where the file's content stays as it is for as long as the VM lives: pages mapped from it can be trusted once looked at.
    fn content_is_fixed(&self, file: &File) -> bool {
        false
    }

    /// What /proc/PID/fd and /proc/PID/maps show, where it is not a path: `pipe:[12]`.
    fn link_text(&self, file: &File) -> Option<Vec<u8>> {
        None
    }

    /// Lines for /proc/PID/fdinfo beyond pos, flags, mnt_id.
    fn fdinfo(&self, file: &File) -> Vec<u8> {
        Vec::new()
    }

    /// One descriptor that referred to the file was closed by a process (POSIX record locks go).
    fn flush(&self, file: &File) {}

    /// The last reference is gone.
    fn release(&self, file: &File) {}
}

/// An open file description (open(2)): shared by dup'ed and inherited descriptors.
pub struct File {
    ops: Arc<dyn FileOps>,
    flags: AtomicU32,
    pos: Mutex<u64>,
    append_pos: AtomicU64,
    /// Where it was opened; set for everything that has an inode.
    path: Option<Path>,
    /// What keeps programs, or writers, away from it meanwhile.
    claim: Mutex<Option<Claim>>,
    /// Async-notification owner (F_SETOWN): pid, or negative process group.
    pub owner: AtomicU64,
}

impl File {
    #[must_use]
    pub fn new(ops: Arc<dyn FileOps>, flags: u32) -> Arc<File> {
        Self::with_path(ops, flags, None)
    }

    #[must_use]
    pub fn with_path(ops: Arc<dyn FileOps>, flags: u32, path: Option<Path>) -> Arc<File> {
        Self::with_claim(ops, flags, path, None)
    }

    #[must_use]
    pub fn with_claim(ops: Arc<dyn FileOps>, flags: u32, path: Option<Path>, claim: Option<Claim>) -> Arc<File> {
        let flags = flags & !(oflag::CREAT | oflag::EXCL | oflag::NOCTTY | oflag::TRUNC | oflag::CLOEXEC);
        Arc::new(File {
            ops,
            flags: AtomicU32::new(flags),
            pos: Mutex::default(),
            append_pos: AtomicU64::new(0),
            path,
            claim: Mutex::new(claim),
            owner: AtomicU64::new(0),
        })
    }

    #[must_use]
    pub fn ops(&self) -> &Arc<dyn FileOps> {
        &self.ops
    }

    /// The concrete operations, where the file is of kind `T`.
    #[must_use]
    pub fn downcast<T: FileOps>(&self) -> Option<&T> {
        self.ops.as_any().downcast_ref()
    }

    /// Where it was opened; None for pipes, sockets and the like.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_ref()
    }

    /// The inode that it was opened by.
    #[must_use]
    pub fn inode(&self) -> Option<&Arc<dyn Inode>> {
        self.path.as_ref().and_then(|p| p.dentry.inode().ok())
    }

    #[must_use]
    pub fn flags(&self) -> u32 {
        self.flags.load(Ordering::Relaxed)
    }

    /// F_SETFL: changes those flags that may change.
    pub fn set_status_flags(&self, new: u32) {
        const MUTABLE: u32 = oflag::APPEND | oflag::NONBLOCK | oflag::ASYNC | oflag::DIRECT | oflag::NOATIME;
        let old = self.flags();
        self.flags.store((old & !MUTABLE) | (new & MUTABLE), Ordering::Relaxed);
    }

    #[must_use]
    pub fn nonblocking(&self) -> bool {
        self.flags() & oflag::NONBLOCK != 0
    }

    #[must_use]
    pub fn appending(&self) -> bool {
        self.flags() & oflag::APPEND != 0
    }

    #[must_use]
    pub fn readable(&self) -> bool {
        self.flags() & (oflag::PATH | oflag::ACCMODE) != oflag::WRONLY && self.flags() & oflag::PATH == 0
    }

    #[must_use]
    pub fn writable(&self) -> bool {
        self.flags() & oflag::PATH == 0 && self.flags() & oflag::ACCMODE != oflag::RDONLY
    }

    /// The file position; holding the guard makes read-and-advance atomic (POSIX).
    pub fn pos(&self) -> crate::MutexGuard<'_, u64> {
        self.pos.lock()
    }

    /// Told by `write` of an O_APPEND file: the position after the write.
    pub fn set_append_pos(&self, pos: u64) {
        self.append_pos.store(pos, Ordering::Relaxed);
    }

    /// A transfer of `n` bytes at `off` ends where there are offsets (`rw_verify_area`).
    fn check_area(&self, off: u64, n: usize) -> Result<()> {
        // Memory files have them to the end of all addresses (FOP_UNSIGNED_OFFSET).
        let fits = off.checked_add(n as u64).is_some_and(|end| i64::try_from(end).is_ok());
        if fits || self.ops.offsets_are_addresses() { Ok(()) } else { Err(Errno::EINVAL) }
    }

    /// read(2).
    ///
    /// # Errors
    /// `EBADF` where not open for reading; the file's own.
    pub fn read(&self, dst: &mut IoBuf) -> Result<usize> {
        if !self.readable() {
            return Err(Errno::EBADF);
        }
        if self.ops.is_stream() {
            return self.ops.read(self, dst, 0);
        }
        let mut pos = self.pos.lock();
        self.check_area(*pos, dst.left())?;
        let n = self.ops.read(self, dst, *pos)?;
        *pos += n as u64;
        Ok(n)
    }

    /// write(2).
    ///
    /// # Errors
    /// `EBADF` where not open for writing; the file's own.
    pub fn write(&self, src: &mut IoBuf) -> Result<usize> {
        if !self.writable() {
            return Err(Errno::EBADF);
        }
        if self.ops.is_stream() {
            return self.ops.write(self, src, 0);
        }
        let mut pos = self.pos.lock();
        self.check_area(*pos, src.left())?;
        let n = self.ops.write(self, src, *pos)?;
        *pos = if self.appending() { self.append_pos.load(Ordering::Relaxed) } else { *pos + n as u64 };
        Ok(n)
    }

    /// pread(2).
    ///
    /// # Errors
    /// `EBADF`, `ESPIPE`; the file's own.
    pub fn read_at(&self, dst: &mut IoBuf, off: u64) -> Result<usize> {
        if !self.ops.is_stream() || self.ops.ignores_offset() {
            self.check_area(off, dst.left())?;
        }
        self.ops.pread(self, dst, off)
    }

    /// pwrite(2).
    ///
    /// # Errors
    /// `EBADF`, `ESPIPE`; the file's own.
    pub fn write_at(&self, src: &mut IoBuf, off: u64) -> Result<usize> {
        if !self.ops.is_stream() || self.ops.ignores_offset() {
            self.check_area(off, src.left())?;
        }
        self.ops.pwrite(self, src, off)
    }

    /// Gives up the claim that the file was opened with (an interpreter's, once it is loaded).
    pub fn give_up_claim(&self) {
        let claim = self.claim.lock().take();
        drop(claim);
    }
}

impl Drop for File {
    fn drop(&mut self) {
        locks::file_gone(self);
        let ops = self.ops.clone();
        ops.release(self);
    }
}
