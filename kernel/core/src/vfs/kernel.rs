//! What boot does with the tree before there is a process: everything as root, without a current thread.

use super::{FileSystem, Inode, Mount, New, Path, SetAttr, Walk, kind, mount};
use crate::file::{File, oflag};
use crate::io::IoBuf;
use crate::{Errno, Result};
use alloc::sync::Arc;

/// Makes directory `path` and its parents (mode 0755, owner root); returns it.
///
/// # Errors
/// `ENOTDIR` where a component is something else; the file system's.
pub fn kmkdir_p(path: &[u8]) -> Result<Path> {
    let mut made = alloc::vec::Vec::with_capacity(path.len() + 1);
    let mut at = mount::root()?;
    for part in path.split(|b| *b == b'/').filter(|p| !p.is_empty()) {
        made.push(b'/');
        made.extend_from_slice(part);
        at = match Walk::kernel()?.lookup(&made, true) {
            Ok(p) => p,
            Err(Errno::ENOENT) => {
                create(&made, &New { mode: kind::DIR | 0o755, uid: 0, gid: 0, rdev: 0, target: b"" })?
            }
            Err(e) => return Err(e),
        };
        if !at.dentry.is_dir() {
            return Err(Errno::ENOTDIR);
        }
    }
    Ok(at)
}

fn parents(path: &[u8]) -> Result<()> {
    if let Some(i) = path.iter().rposition(|b| *b == b'/') {
        kmkdir_p(&path[..i])?;
    }
    Ok(())
}

fn create(path: &[u8], new: &New) -> Result<Path> {
    make(path, |dir, name| dir.create(name, new))
}

fn make(path: &[u8], entry: impl FnOnce(&Arc<dyn Inode>, &[u8]) -> Result<Arc<dyn Inode>>) -> Result<Path> {
    let mut w = Walk::kernel()?;
    let (dir, name, _) = w.for_create(path)?;
    let _lock = dir.dentry.lock_dir();
    let d = dir.dentry.child_locked(name)?;
    if !d.is_negative() {
        return Err(Errno::EEXIST);
    }
    let inode = entry(dir.dentry.inode()?, name)?;
    Ok(Path { mnt: dir.mnt.clone(), dentry: dir.dentry.set_child(name, inode) })
}

fn owned(inode: &Arc<dyn Inode>, mode: u32, uid: u32, gid: u32) -> Result<()> {
    inode.setattr(&SetAttr { mode: Some(mode & 0o7777), uid: Some(uid), gid: Some(gid), ..SetAttr::default() })
}

/// Puts what `entry` makes of the directory and the name at `path`, where nothing is. Parents are made.
///
/// # Errors
/// `EEXIST`; the file system's and `entry`'s.
pub fn kput(path: &[u8], entry: impl FnOnce(&Arc<dyn Inode>, &[u8]) -> Result<Arc<dyn Inode>>) -> Result<Path> {
    parents(path)?;
    make(path, entry)
}

/// Makes a directory or sets the attributes of the one that is there; `mode` 0 leaves them.
///
/// # Errors
/// As [`kmkdir_p`].
pub fn kmkdir(path: &[u8], mode: u32, uid: u32, gid: u32) -> Result<Path> {
    let p = kmkdir_p(path)?;
    owned(p.inode()?, mode, uid, gid)?;
    Ok(p)
}

/// Writes a regular file, in place of one that is there. Parents are made.
///
/// # Errors
/// The file system's.
pub fn kcreate_file(path: &[u8], mode: u32, uid: u32, gid: u32, bytes: &[u8]) -> Result<()> {
    parents(path)?;
    let new = New { mode: kind::FILE | mode & 0o7777, uid, gid, rdev: 0, target: b"" };
    let p = match create(path, &new) {
        Err(Errno::EEXIST) => {
            let p = Walk::kernel()?.lookup(path, true)?;
            p.inode()?.truncate(0)?;
            owned(p.inode()?, mode, uid, gid)?;
            p
        }
        r => r?,
    };
    let inode = p.inode()?.clone();
    let file = File::with_path(inode.open(oflag::WRONLY)?, oflag::WRONLY, Some(p));
    let mut src = IoBuf::kernel_in(bytes);
    while src.left() > 0 {
        if file.write(&mut src)? == 0 {
            return Err(Errno::EIO);
        }
    }
    Ok(())
}

/// Makes a device node, FIFO or socket (`mode` with its type). Parents are made.
///
/// # Errors
/// The file system's.
pub fn kmknod(path: &[u8], mode: u32, uid: u32, gid: u32, rdev: u64) -> Result<()> {
    parents(path)?;
    create(path, &New { mode, uid, gid, rdev, target: b"" }).map(drop)
}

/// Makes a symbolic link, in place of what is there. Parents are made.
///
/// # Errors
/// The file system's; `EEXIST` where a directory is in the way.
pub fn ksymlink(path: &[u8], target: &[u8]) -> Result<()> {
    parents(path)?;
    let new = New { mode: kind::LINK | 0o777, uid: 0, gid: 0, rdev: 0, target };
    match create(path, &new) {
        Err(Errno::EEXIST) => {
            let mut w = Walk::kernel()?;
            let (dir, name, _) = w.for_create(path)?;
            {
                let _lock = dir.dentry.lock_dir();
                let d = dir.dentry.child_locked(name)?;
                if d.is_dir() {
                    return Err(Errno::EEXIST);
                }
                dir.dentry.inode()?.unlink(name, d.inode()?)?;
                dir.dentry.drop_child(name, &d);
            }
            create(path, &new).map(drop)
        }
        r => r.map(drop),
    }
}

/// Mounts `fs` at `path`, making the directory if need be. `/` makes the root.
///
/// # Errors
/// As [`kmkdir_p`].
pub fn mount_at(path: &[u8], fs: Arc<dyn FileSystem>, source: &[u8], flags: u32) -> Result<Arc<Mount>> {
    if path.iter().all(|b| *b == b'/') && mount::root().is_err() {
        return Ok(mount::mount_root(fs, source).mnt);
    }
    let at = kmkdir_p(path)?;
    mount::mount_on(&at, fs, source, flags)
}

/// Opens a file for the guest kernel itself.
///
/// # Errors
/// As open(2).
pub fn kopen(path: &[u8], flags: u32) -> Result<Arc<File>> {
    super::open::open_with(Walk::kernel()?, path, flags, 0)
}
