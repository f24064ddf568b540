//! open(2).

use super::inode::{Attr, Inode, New, kind};
use super::walk::{Last, Walk};
use super::{DirFile, Path, anon_path, perm, special};
use crate::file::{File, FileOps, oflag};
use crate::task::{Cap, Cred};
use crate::{Errno, Result};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;

/// Opens `path` for the calling thread; relative to its working directory.
///
/// # Errors
/// As open(2).
pub fn open(path: &[u8], flags: u32, mode: u32) -> Result<Arc<File>> {
    open_at(None, path, flags, mode)
}

/// Opens `path` relative to `base`.
///
/// # Errors
/// As openat(2).
pub fn open_at(base: Option<Path>, path: &[u8], flags: u32, mode: u32) -> Result<Arc<File>> {
    open_with(Walk::new(base), path, flags, mode)
}

/// Are these flags, which are not O_PATH's, ones that go together?
///
/// # Errors
/// `EINVAL`.
pub fn check_flags(flags: u32) -> Result<()> {
    let new = flags & oflag::CREAT != 0;
    let bad = if flags & oflag::TMPFILE == oflag::TMPFILE {
        new || flags & oflag::ACCMODE == oflag::RDONLY
    } else {
        // Half of O_TMPFILE: not even a kernel without it may take that for something else.
        flags & (oflag::TMPFILE & !oflag::DIRECTORY) != 0 || (new && flags & oflag::DIRECTORY != 0)
    };
    if bad { Err(Errno::EINVAL) } else { Ok(()) }
}

/// Opens with a prepared walk. `mode` has the umask applied.
///
/// # Errors
/// As openat2(2).
pub fn open_with(mut w: Walk, path: &[u8], flags: u32, mode: u32) -> Result<Arc<File>> {
    let flags = if flags & oflag::PATH != 0 {
        flags & (oflag::PATH | oflag::DIRECTORY | oflag::NOFOLLOW | oflag::CLOEXEC)
    } else {
        flags
    };
    check_flags(flags)?;
    if flags & oflag::TMPFILE == oflag::TMPFILE {
        return open_tmpfile(w, path, flags, mode);
    }
    if flags & oflag::CREAT != 0 {
        super::mount::shrink_names();
        let (dir, last) = w.parent(path)?;
        return create_or_open(&mut w, &dir, last, flags, mode);
    }
    let p = w.lookup(path, flags & oflag::NOFOLLOW == 0)?;
    open_path(p, flags, &w.cred, false)
}

fn create_or_open(w: &mut Walk, dir: &Path, last: Last, flags: u32, mode: u32) -> Result<Arc<File>> {
    let name = match last {
        Last::Name { name, slash: false } => name,
        // What is there is not looked at.
        Last::Name { .. } => return Err(Errno::EISDIR),
        _ if flags & oflag::EXCL != 0 => return Err(Errno::EEXIST),
        _ => return Err(Errno::EISDIR),
    };
    let p = w.last(dir, last)?;
    if p.dentry.is_negative() {
        let made = {
            let _lock = dir.dentry.lock_dir();
            let d = dir.dentry.child_locked(name)?;
            if d.is_negative() {
                w.may_write_dir(dir)?;
                let inode = dir.dentry.inode()?;
                let (mode, uid, gid) = perm::ownership(inode, &w.cred, kind::FILE | mode & 0o7777);
                let new = inode.create(name, &New { mode, uid, gid, rdev: 0, target: b"" })?;
                Some(Path { mnt: dir.mnt.clone(), dentry: dir.dentry.set_child(name, new) })
            } else {
                None
            }
        };
        return match made {
            Some(p) => open_path(p, flags & !oflag::TRUNC, &w.cred, true),
            // Somebody else made it meanwhile.
            None => create_or_open(w, dir, last, flags, mode),
        };
    }
    if flags & oflag::EXCL != 0 {
        return Err(Errno::EEXIST);
    }
    if p.dentry.is_link() {
        if flags & oflag::NOFOLLOW != 0 {
            return Err(Errno::ELOOP);
        }
        let inode = p.dentry.inode()?.clone();
        if let Some(magic) = inode.magic() {
            w.magic_allowed()?;
            return open_path(magic?, flags, &w.cred, false);
        }
        let target = inode.readlink()?;
        let (dir, last) = w.link_parent(dir.clone(), &target)?;
        return create_or_open(w, &dir, last, flags, mode);
    }
    open_path(p, flags, &w.cred, false)
}

fn open_tmpfile(mut w: Walk, path: &[u8], flags: u32, mode: u32) -> Result<Arc<File>> {
    let dir = w.lookup(path, true)?;
    let inode = dir.dentry.inode()?;
    if inode.kind() != kind::DIR {
        return Err(Errno::ENOTDIR);
    }
    w.may_write_dir(&dir)?;
    let (mode, uid, gid) = perm::ownership(inode, &w.cred, kind::FILE | mode & 0o7777);
    let new = inode.tmpfile(&New { mode, uid, gid, rdev: 0, target: b"" })?;
    let name = alloc::format!("#{}", new.attr().map_or(0, |a| a.ino));
    let p = Path { mnt: dir.mnt.clone(), dentry: super::Dentry::detached(new, name.as_bytes()) };
    if flags & oflag::EXCL != 0 {
        p.dentry.keep_nameless();
    }
    // The flag stays for F_GETFL to show.
    open_path(p, flags, &w.cred, true)
}

/// Opens what is at `p`; `created` just now by this call, which then needs no permission.
///
/// # Errors
/// As open(2).
pub fn open_path(p: Path, flags: u32, cred: &Cred, created: bool) -> Result<Arc<File>> {
    let inode = p.dentry.inode()?.clone();
    let what = inode.kind();
    // O_TMPFILE contains O_DIRECTORY: what is meant is the directory that the file was made in.
    if flags & oflag::TMPFILE == oflag::DIRECTORY && what != kind::DIR {
        return Err(Errno::ENOTDIR);
    }
    if flags & oflag::PATH != 0 {
        return Ok(File::with_path(Arc::new(PathOnly), flags, Some(p)));
    }
    let acc = flags & oflag::ACCMODE;
    let mut want = match acc {
        oflag::RDONLY => perm::READ,
        oflag::WRONLY => perm::WRITE,
        _ => perm::READ | perm::WRITE,
    };
    if flags & oflag::TRUNC != 0 {
        want |= perm::WRITE;
    }
    let write = want & perm::WRITE != 0;
    match what {
        kind::LINK => return Err(Errno::ELOOP),
        kind::DIR if write || flags & oflag::CREAT != 0 => return Err(Errno::EISDIR),
        kind::SOCKET => return Err(Errno::ENXIO),
        kind::CHAR | kind::BLOCK if p.mnt.flags() & super::ms::NODEV != 0 => return Err(Errno::EACCES),
        _ => {}
    }
    if !created {
        perm::check(&inode, cred, want)?;
        if write && p.mnt.read_only() && matches!(what, kind::FILE | kind::DIR) {
            return Err(Errno::EROFS);
        }
        if flags & oflag::NOATIME != 0 && !perm::owner_or_capable(inode.perm(), cred) {
            return Err(Errno::EPERM);
        }
    }
    let claim = if write && what == kind::FILE { Some(super::busy::write(&inode)?) } else { None };
    let ops: Arc<dyn FileOps> = match what {
        kind::DIR => Arc::new(DirFile::new(p.clone())),
        kind::FIFO => special::open_fifo(&inode, flags)?,
        kind::CHAR => open_char(&inode, flags, &p)?,
        kind::BLOCK => return Err(Errno::ENXIO),
        _ => {
            if flags & oflag::TRUNC != 0 {
                inode.truncate(0)?;
                drop_set_ids(&inode);
            }
            inode.open(flags & !oflag::TMPFILE)?
        }
    };
    Ok(File::with_claim(ops, flags, Some(p), claim))
}

fn open_char(inode: &Arc<dyn Inode>, flags: u32, p: &Path) -> Result<Arc<dyn FileOps>> {
    // A file system may know its own devices (devfs); otherwise the registry does.
    match inode.clone().open(flags) {
        Err(Errno::ENXIO) => special::open_chardev(inode.attr()?.rdev, flags, p),
        r => r,
    }
}

/// What an O_PATH descriptor can do: nothing but be a place.
struct PathOnly;

impl FileOps for PathOnly {
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn seek(&self, _: &File, _: i64, _: u32) -> Result<u64> {
        Err(Errno::EBADF)
    }
    fn ioctl(&self, _: &File, _: u32, _: u64) -> Result<i64> {
        Err(Errno::EBADF)
    }
}

/// A file on an inode without a name, like a memfd; shown as `/name (deleted)`.
///
/// # Errors
/// The inode's open.
pub fn anon_file(inode: Arc<dyn Inode>, name: &[u8], flags: u32) -> Result<Arc<File>> {
    let p = anon_path(inode.clone(), name)?;
    Ok(File::with_path(inode.open(flags)?, flags, Some(p)))
}

/// Attributes of an open file; of objects without an inode, what Linux shows for them.
///
/// # Errors
/// The inode's.
pub fn file_attr(file: &File) -> Result<Attr> {
    if let Some(a) = file.ops().attr(file) {
        return Ok(a);
    }
    if let Some(p) = file.path() {
        return p.inode()?.attr();
    }
    // Linux's anon_inodefs: one inode for all.
    let (mode, dev, ino) = (0o600, 14, 1);
    let t = super::now();
    Ok(Attr { dev, ino, mode, nlink: 1, blksize: 4096, atime: t, mtime: t, ctime: t, btime: t, ..Attr::default() })
}

/// The extended attribute of every socket.
pub const SOCKET_PROTOCOL: &[u8] = b"system.sockprotoname";

/// The inode behind a magic link to an open file without a path (a pipe in /proc/self/fd).
struct FileInode(Arc<File>);

impl Inode for FileInode {
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
    fn kind(&self) -> u32 {
        // What has no type (epoll, eventfd) behaves as a file here; opening it is refused by `reopen`.
        match file_attr(&self.0).map_or(0, |a| a.mode) & kind::MASK {
            kind::SOCKET => kind::SOCKET,
            _ => kind::FILE,
        }
    }
    fn attr(&self) -> Result<Attr> {
        file_attr(&self.0)
    }
    fn setattr(&self, set: &super::SetAttr) -> Result<()> {
        self.0.ops().setattr(&self.0, set)
    }
    fn open(self: Arc<Self>, flags: u32) -> Result<Arc<dyn FileOps>> {
        self.0.ops().reopen(&self.0, flags)
    }
    /// Of sockets: what protocol they are of (`sockfs_xattr_get`), with its NUL.
    fn getxattr(&self, name: &[u8]) -> Result<Vec<u8>> {
        match crate::net::of(&self.0) {
            Ok(s) if name == SOCKET_PROTOCOL => Ok([s.socket.protocol(), b"\0"].concat()),
            _ => Err(Errno::EOPNOTSUPP),
        }
    }
    fn listxattr(&self) -> Result<Vec<u8>> {
        let socket = crate::net::of(&self.0).is_ok();
        Ok(if socket { [SOCKET_PROTOCOL, b"\0"].concat() } else { Vec::new() })
    }
    fn truncate(&self, _: u64) -> Result<()> {
        Ok(())
    }
}

/// Where the magic link of an open file leads.
///
/// # Errors
/// `ENOSYS` before boot has set the place of unnamed files.
pub fn path_of_file(file: &Arc<File>) -> Result<Path> {
    if let Some(p) = file.path() {
        return Ok(p.clone());
    }
    let text = file.ops().link_text(file).unwrap_or_default();
    anon_path(Arc::new(FileInode(file.clone())), &text)
}

/// Permission of a set-user-ID or set-group-ID file ends when somebody else writes it (chmod(2)).
pub fn drop_privileges_on_write(file: &File) {
    if let Some(inode) = file.inode() {
        drop_set_ids(inode);
    }
}

/// As [`drop_privileges_on_write`], for whatever else changes what is in the file.
pub fn drop_set_ids(inode: &Arc<dyn Inode>) {
    let p = inode.perm();
    // Most files have neither: no credentials are looked at for them.
    if p.mode & (kind::SETUID | kind::SETGID) == 0 || p.mode & kind::MASK != kind::FILE {
        return;
    }
    let cred = crate::current().cred();
    if cred.has(Cap::Fsetid) {
        return;
    }
    // The change itself has succeeded; a file system that can not change the mode keeps it.
    if let mode @ Some(_) = perm::without_set_ids(p, &cred) {
        let _ = inode.setattr(&super::SetAttr { mode, ..super::SetAttr::default() });
    }
}
