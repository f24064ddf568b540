//! Names: mounts, directory entries, inodes, path walks.
//!
//! ```text
//! path bytes ── walk ──> Path { mount, dentry } ── dentry.inode ──> Inode (a file system's)
//!                                              └── open ──────────> File { FileOps }
//! ```
//!
//! A warm walk takes one short lock and one hash lookup a component and calls no file system; attributes live in
//! the inode. Directory locks (rank 4) are held only while names change or a file system is asked.

pub mod busy;
pub mod dentry;
mod dirfile;
pub mod inode;
pub mod kernel;
pub mod locks;
pub mod mount;
mod open;
mod ops;
pub mod perm;
pub mod pseudo;
pub mod special;
pub mod walk;

pub use dentry::Dentry;
pub use dirfile::{DirFile, fill_dents};
pub use inode::{
    Attr, Caching, DirList, FileSystem, Inode, New, Perm, SetAttr, SpecialSlot, Statfs, Time, anon_dev, kind, major,
    makedev, minor, now,
};
pub use kernel::{kcreate_file, kmkdir, kmkdir_p, kmknod, kopen, ksymlink, mount_at};
pub use mount::{Mount, anon_path, anon_root, bind, mount_on, mount_root, ms, set_anon, umount};
pub use open::{
    SOCKET_PROTOCOL, anon_file, check_flags, drop_privileges_on_write, drop_set_ids, file_attr, open, open_at,
    open_path, open_with, path_of_file,
};
pub use ops::{RENAME_EXCHANGE, RENAME_NOREPLACE, link, mkdir, mknod, mknod_at, rename, rmdir, symlink, unlink};
pub use walk::{Last, Resolve, Walk};

use crate::file::File;
use crate::{Errno, Mutex, Result};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};

/// A place in the tree.
#[derive(Clone)]
pub struct Path {
    pub mnt: Arc<Mount>,
    pub dentry: Arc<Dentry>,
}

impl Path {
    #[must_use]
    pub fn same(&self, o: &Path) -> bool {
        Arc::ptr_eq(&self.dentry, &o.dentry) && Arc::ptr_eq(&self.mnt, &o.mnt)
    }

    /// # Errors
    /// `ENOENT` for a name that does not exist.
    pub fn inode(&self) -> Result<&Arc<dyn Inode>> {
        self.dentry.inode()
    }

    /// The absolute path as seen from `root`; `(unreachable)` before it where it is not beneath, and ` (deleted)`
    /// after it where the name is gone.
    #[must_use]
    pub fn text(&self, root: &Path) -> Vec<u8> {
        let (mut out, reached) = self.names(root);
        if !reached && self.mnt.parent().is_some() {
            let mut v = b"(unreachable)".to_vec();
            v.append(&mut out);
            out = v;
        }
        if self.dentry.unlinked() {
            out.extend_from_slice(b" (deleted)");
        }
        out
    }

    fn names(&self, root: &Path) -> (Vec<u8>, bool) {
        let mut parts: Vec<Arc<[u8]>> = Vec::new();
        let mut p = self.clone();
        let reached = loop {
            if p.same(root) {
                break true;
            }
            if Arc::ptr_eq(&p.dentry, &p.mnt.root) {
                let Some(at) = p.mnt.parent() else { break false };
                p = at;
                continue;
            }
            let (parent, name) = p.dentry.parent_and_name();
            parts.push(name);
            let Some(dentry) = parent else { break false };
            p = Path { mnt: p.mnt, dentry };
        };
        let mut out = Vec::new();
        for name in parts.iter().rev() {
            out.push(b'/');
            out.extend_from_slice(name);
        }
        if out.is_empty() {
            out.push(b'/');
        }
        (out, reached)
    }

    /// [`Path::text`] as the calling thread sees it.
    #[must_use]
    pub fn display(&self) -> Vec<u8> {
        self.text(&crate::current().fs().root())
    }
}

/// Root, working directory and umask of a process (shared with CLONE_FS).
pub struct FsContext {
    root: Mutex<Path>,
    cwd: Mutex<Path>,
    pub umask: AtomicU32,
}

impl FsContext {
    #[must_use]
    pub fn new(root: Path, cwd: Path, umask: u32) -> Arc<FsContext> {
        Arc::new(FsContext { root: Mutex::new(root), cwd: Mutex::new(cwd), umask: AtomicU32::new(umask) })
    }

    /// The context of the first process: everything at the root of the tree.
    ///
    /// # Errors
    /// `ENOENT` before the root is mounted.
    pub fn initial() -> Result<Arc<FsContext>> {
        let root = mount::root()?;
        Ok(Self::new(root.clone(), root, 0o022))
    }

    /// A copy for fork.
    #[must_use]
    pub fn fork(&self) -> Arc<FsContext> {
        Self::new(self.root(), self.cwd(), self.umask())
    }

    #[must_use]
    pub fn root(&self) -> Path {
        self.root.lock().clone()
    }

    #[must_use]
    pub fn cwd(&self) -> Path {
        self.cwd.lock().clone()
    }

    #[must_use]
    pub fn umask(&self) -> u32 {
        self.umask.load(Ordering::Relaxed)
    }

    pub fn set_root(&self, p: Path) {
        let old = core::mem::replace(&mut *self.root.lock(), p);
        drop(old);
    }

    pub fn set_cwd(&self, p: Path) {
        let old = core::mem::replace(&mut *self.cwd.lock(), p);
        drop(old);
    }
}

/// Looks `path` up for the calling thread.
///
/// # Errors
/// As [`Walk::lookup`].
pub fn lookup(path: &[u8], follow: bool) -> Result<Path> {
    Walk::new(None).lookup(path, follow)
}

/// What /proc shows for an open file: its path, or the object's own text.
#[must_use]
pub fn file_text(file: &File, root: &Path) -> Vec<u8> {
    if let Some(t) = file.ops().link_text(file) {
        return t;
    }
    file.path().map_or_else(|| b"anon_inode:[unknown]".to_vec(), |p| p.text(root))
}

/// lseek(2) over what has no end that can be told: SEEK_SET and SEEK_CUR only.
///
/// # Errors
/// `EINVAL` for another whence or a negative result.
pub fn seek_without_end(file: &File, off: i64, whence: u32) -> Result<u64> {
    if whence > 1 {
        return Err(Errno::EINVAL);
    }
    generic_seek(file, off, whence, 0, |_, _| Err(Errno::EINVAL))
}

/// lseek(2) over a thing of `size` bytes; the position is the file's. `data` answers SEEK_DATA and SEEK_HOLE.
///
/// # Errors
/// `EINVAL` for a bad whence or a negative result, `ENXIO`, `EOVERFLOW`.
pub fn generic_seek(
    file: &File,
    off: i64,
    whence: u32,
    size: u64,
    data: impl FnOnce(u64, bool) -> Result<u64>,
) -> Result<u64> {
    let mut pos = file.pos();
    let new = match whence {
        0 => off,
        1 => (*pos as i64).checked_add(off).ok_or(Errno::EINVAL)?,
        2 => (size as i64).checked_add(off).ok_or(Errno::EINVAL)?,
        3 | 4 => data(u64::try_from(off).map_err(|_| Errno::ENXIO)?, whence == 4)? as i64,
        _ => return Err(Errno::EINVAL),
    };
    *pos = u64::try_from(new).map_err(|_| Errno::EINVAL)?;
    Ok(*pos)
}

/// The name that /proc/PID/maps shows for an open file.
#[must_use]
pub fn file_name(file: &File) -> Vec<u8> {
    match mount::root() {
        Ok(root) => file_text(file, &root),
        Err(_) => Vec::new(),
    }
}

/// Device (major, minor) and inode number of an open file; zeros where it has none.
#[must_use]
pub fn file_dev_ino(file: &File) -> ((u32, u32), u64) {
    file_attr(file).map_or(((0, 0), 0), |a| ((major(a.dev), minor(a.dev)), a.ino))
}
