//! Making, removing and moving names.

use super::inode::{Inode, New, kind};
use super::walk::{Last, Walk, locks_before};
use super::{Dentry, Path, perm};
use crate::task::Cap;
use crate::{Errno, MutexGuard, Result};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};

fn create(w: &Walk, dir: &Path, name: &[u8], mode: u32, rdev: u64, target: &[u8]) -> Result<Arc<Dentry>> {
    super::mount::shrink_names();
    let _lock = dir.dentry.lock_dir();
    if !dir.dentry.child_locked(name)?.is_negative() {
        return Err(Errno::EEXIST);
    }
    w.may_write_dir(dir)?;
    let inode = dir.dentry.inode()?;
    let (mode, uid, gid) = perm::ownership(inode, &w.cred, mode);
    let made = inode.create(name, &New { mode, uid, gid, rdev, target })?;
    Ok(dir.dentry.set_child(name, made))
}

/// mkdir(2); `mode` has the umask applied.
///
/// # Errors
/// As mkdir(2).
pub fn mkdir(w: &mut Walk, path: &[u8], mode: u32) -> Result<()> {
    let (dir, name, _) = w.for_create(path)?;
    create(w, &dir, name, kind::DIR | mode & 0o1777, 0, b"").map(drop)
}

/// mknod(2) for any type but directories and links; `mode` has the umask applied.
///
/// # Errors
/// As mknod(2).
pub fn mknod(w: &mut Walk, path: &[u8], mode: u32, rdev: u64) -> Result<Path> {
    let (dir, name, slash) = w.for_create(path)?;
    if slash {
        return Err(Errno::ENOENT);
    }
    if matches!(mode & kind::MASK, kind::CHAR | kind::BLOCK) && !w.capable(Cap::Mknod) {
        return Err(Errno::EPERM);
    }
    let dentry = create(w, &dir, name, mode, rdev, b"")?;
    Ok(Path { mnt: dir.mnt, dentry })
}

/// Makes a socket (or other special file) for the calling thread, umask applied here: what bind(2) needs.
///
/// # Errors
/// As mknod(2).
pub fn mknod_at(base: Option<Path>, path: &[u8], mode: u32) -> Result<Path> {
    let umask = crate::current().fs().umask();
    mknod(&mut Walk::new(base), path, mode & !umask, 0)
}

/// symlink(2).
///
/// # Errors
/// As symlink(2).
pub fn symlink(w: &mut Walk, target: &[u8], path: &[u8]) -> Result<()> {
    if target.is_empty() {
        return Err(Errno::ENOENT);
    }
    let (dir, name, slash) = w.for_create(path)?;
    if slash {
        return Err(Errno::ENOENT);
    }
    create(w, &dir, name, kind::LINK | 0o777, 0, target).map(drop)
}

/// link(2): gives what is at `old` the further name `path`.
///
/// # Errors
/// As link(2).
pub fn link(w: &mut Walk, old: &Path, path: &[u8]) -> Result<()> {
    let (dir, name, slash) = w.for_create(path)?;
    let inode = old.inode()?.clone();
    let _lock = dir.dentry.lock_dir();
    if !dir.dentry.child_locked(name)?.is_negative() {
        return Err(Errno::EEXIST);
    }
    if slash {
        return Err(Errno::ENOENT);
    }
    if !Arc::ptr_eq(&dir.mnt, &old.mnt) {
        return Err(Errno::EXDEV);
    }
    if inode.kind() == kind::DIR {
        return Err(Errno::EPERM);
    }
    // A file whose last name is gone, or that was made to have none (O_TMPFILE with O_EXCL), stays without.
    if inode.attr()?.nlink == 0 && !old.dentry.may_get_name() {
        return Err(Errno::ENOENT);
    }
    w.may_write_dir(&dir)?;
    dir.dentry.inode()?.link(name, &inode)?;
    dir.dentry.forget_negative(name);
    dir.dentry.set_child(name, inode);
    Ok(())
}

/// Renames that have begun, and that are over: a confined walk that goes up while one happens can not tell whether it still
/// is beneath its root.
static BEGUN: AtomicU64 = AtomicU64::new(0);
static OVER: AtomicU64 = AtomicU64::new(0);

struct Moving;

impl Moving {
    fn begin() -> Moving {
        BEGUN.fetch_add(1, Ordering::SeqCst);
        Moving
    }
}

impl Drop for Moving {
    fn drop(&mut self) {
        OVER.fetch_add(1, Ordering::SeqCst);
    }
}

/// To be remembered, for [`renamed_since`].
pub(super) fn renames_over() -> u64 {
    OVER.load(Ordering::SeqCst)
}

/// True where a rename was going on when `over` was remembered, or has begun since.
pub(super) fn renamed_since(over: u64) -> bool {
    BEGUN.load(Ordering::SeqCst) != over
}

fn check_unmounted(d: &Dentry) -> Result<()> {
    if d.mounts.load(core::sync::atomic::Ordering::SeqCst) != 0 { Err(Errno::EBUSY) } else { Ok(()) }
}

/// unlink(2).
///
/// # Errors
/// As unlink(2).
pub fn unlink(w: &mut Walk, path: &[u8]) -> Result<()> {
    let (dir, last) = w.parent(path)?;
    let Last::Name { name, slash } = last else { return Err(Errno::EISDIR) };
    if name.len() > super::walk::NAME_MAX {
        return Err(Errno::ENAMETOOLONG);
    }
    let d;
    {
        let _lock = dir.dentry.lock_dir();
        d = dir.dentry.child_locked(name)?;
        let inode = d.inode()?;
        if slash {
            return Err(if d.is_dir() { Errno::EISDIR } else { Errno::ENOTDIR });
        }
        if dir.mnt.read_only() {
            return Err(Errno::EROFS);
        }
        perm::may_delete(dir.inode()?, inode, &w.cred)?;
        if d.is_dir() {
            return Err(Errno::EISDIR);
        }
        check_unmounted(&d)?;
        dir.inode()?.unlink(name, inode)?;
        dir.dentry.drop_child(name, &d);
    }
    // The last reference to the file's data goes here, after the lock.
    drop(d);
    Ok(())
}

/// rmdir(2).
///
/// # Errors
/// As rmdir(2).
pub fn rmdir(w: &mut Walk, path: &[u8]) -> Result<()> {
    let (dir, last) = w.parent(path)?;
    let name = match last {
        Last::Name { name, .. } => name,
        Last::Dot => return Err(Errno::EINVAL),
        Last::DotDot => return Err(Errno::ENOTEMPTY),
        Last::Root => return Err(Errno::EBUSY),
    };
    if name.len() > super::walk::NAME_MAX {
        return Err(Errno::ENAMETOOLONG);
    }
    let _lock = dir.dentry.lock_dir();
    let d = dir.dentry.child_locked(name)?;
    let inode = d.inode()?;
    if dir.mnt.read_only() {
        return Err(Errno::EROFS);
    }
    perm::may_delete(dir.inode()?, inode, &w.cred)?;
    if !d.is_dir() {
        return Err(Errno::ENOTDIR);
    }
    check_unmounted(&d)?;
    // The victim's own lock: nothing may be made in it meanwhile.
    let _victim = d.lock_dir();
    dir.inode()?.rmdir(name, inode)?;
    dir.dentry.drop_child(name, &d);
    Ok(())
}

/// Flags of renameat2(2).
pub const RENAME_NOREPLACE: u32 = 1;
pub const RENAME_EXCHANGE: u32 = 2;
pub const RENAME_WHITEOUT: u32 = 4;

/// Locks one or two directories in the order of [`locks_before`].
fn lock_two<'a>(a: &'a Arc<Dentry>, b: &'a Arc<Dentry>) -> (MutexGuard<'a, ()>, Option<MutexGuard<'a, ()>>) {
    if Arc::ptr_eq(a, b) {
        (a.lock_dir(), None)
    } else if locks_before(a, b) {
        let g = a.lock_dir();
        (g, Some(b.lock_dir()))
    } else {
        let g = b.lock_dir();
        (g, Some(a.lock_dir()))
    }
}

/// One rename at a time moves something between directories: then ancestry can not change under it (as s_vfs_rename_mutex).
static RENAMES: crate::Mutex<()> = host::sync::mutex(());

/// renameat2(2).
///
/// # Errors
/// As rename(2).
pub fn rename(w: &mut Walk, old: &[u8], w2: &mut Walk, new: &[u8], flags: u32) -> Result<()> {
    let known = flags & !(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT) == 0;
    if !known || flags & RENAME_EXCHANGE != 0 && flags != RENAME_EXCHANGE {
        return Err(Errno::EINVAL);
    }
    let (from, last) = w.parent(old)?;
    let (to, new_last) = w2.parent(new)?;
    let (Last::Name { name, slash }, Last::Name { name: new_name, slash: new_slash }) = (last, new_last) else {
        return Err(Errno::EBUSY);
    };
    if !Arc::ptr_eq(&from.mnt, &to.mnt) {
        return Err(Errno::EXDEV);
    }
    if name.len() > super::walk::NAME_MAX || new_name.len() > super::walk::NAME_MAX {
        return Err(Errno::ENAMETOOLONG);
    }
    if from.mnt.read_only() {
        return Err(Errno::EROFS);
    }
    let same_dir = Arc::ptr_eq(&from.dentry, &to.dentry);
    let _tree = if same_dir { None } else { Some(RENAMES.lock()) };
    let _dirs = lock_two(&from.dentry, &to.dentry);
    let a = from.dentry.child_locked(name)?;
    let b = to.dentry.child_locked(new_name)?;
    let inode = a.inode()?;
    if (slash || (new_slash && flags & RENAME_EXCHANGE == 0)) && !a.is_dir() {
        return Err(Errno::ENOTDIR);
    }
    // Neither may lie beneath the other.
    if to.dentry.is_beneath(&a) {
        return Err(Errno::EINVAL);
    }
    if !b.is_negative() && from.dentry.is_beneath(&b) {
        return Err(if flags & RENAME_EXCHANGE != 0 { Errno::EINVAL } else { Errno::ENOTEMPTY });
    }
    let exchange = flags & RENAME_EXCHANGE != 0;
    if exchange && b.is_negative() {
        return Err(Errno::ENOENT);
    }
    if flags & RENAME_NOREPLACE != 0 && !b.is_negative() {
        return Err(Errno::EEXIST);
    }
    let replaced: Option<&Arc<dyn Inode>> = b.inode().ok();
    perm::may_delete(from.inode()?, inode, &w.cred)?;
    match replaced {
        Some(r) => perm::may_delete(to.inode()?, r, &w2.cred)?,
        None => w2.may_write_dir(&to)?,
    }
    if let Some(r) = replaced {
        if Arc::ptr_eq(r, inode) {
            // Two names of one file: nothing happens (POSIX).
            return Ok(());
        }
        if !exchange {
            match (a.is_dir(), b.is_dir()) {
                (true, false) => return Err(Errno::ENOTDIR),
                (false, true) => return Err(Errno::EISDIR),
                _ => {}
            }
        }
    }
    // A directory that changes its parent has its `..` rewritten.
    if !same_dir && a.is_dir() {
        perm::check(inode, &w.cred, perm::WRITE)?;
    }
    check_unmounted(&a)?;
    check_unmounted(&b)?;
    let _victim = if b.is_dir() && !exchange { Some(b.lock_dir()) } else { None };
    // Anybody may make these; they are no devices (mknod(2), overlayfs).
    let white = if flags & RENAME_WHITEOUT != 0 {
        let dir = from.inode()?;
        let (mode, uid, gid) = perm::ownership(dir, &w.cred, kind::CHAR);
        Some(dir.whiteout(&New { mode, uid, gid, rdev: 0, target: b"" })?)
    } else {
        None
    };
    let _moving = Moving::begin();
    from.inode()?.rename(name, inode, to.inode()?, new_name, replaced, exchange)?;
    if exchange {
        from.dentry.swap_children(&a, &to.dentry, &b);
    } else {
        from.dentry.move_child(name, &a, &to.dentry, new_name);
    }
    if let Some(white) = white {
        from.inode()?.link(name, &white)?;
        from.dentry.set_child(name, white);
    }
    Ok(())
}
