//! A writable layer over an unchanging one, or over several, each at its place.
//!
//! The upper layer's files are nameless inodes of an in-memory file system; names and whiteouts live here, in the
//! directories' lists of changes. So nothing is ever copied up to a path: a file is copied up by giving its inode an
//! upper one, whatever and however many its names are. Renames of directories, hard links of lower files and inode
//! numbers keep working across copy-up, which Linux's overlayfs can not always say.
//!
//! A file opened for reading is the lower layer's own: reads cost nothing here.
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;

mod inode;

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::AtomicU64;
use core_::vfs::{FileSystem, Inode, New, Statfs, anon_dev, kind};
use core_::{Mutex, Result};
use hashbrown::HashMap;
use inode::OvInode;

/// What all inodes of one overlay share.
pub(crate) struct Shared {
    dev: u64,
    /// Where upper inodes are made.
    upper: Arc<dyn Inode>,
    /// Inodes by their lower (device, inode): one for all names of a lower file.
    by_lower: Mutex<HashMap<(u64, u64), Weak<OvInode>>>,
    /// Lower files that have been changed: they must not be forgotten with the name cache's last reference.
    changed: Mutex<HashMap<(u64, u64), Arc<OvInode>>>,
    /// Numbers for files that were made here: above any that the lower layer uses.
    next_ino: AtomicU64,
}

impl Shared {
    fn new(upper: &Arc<dyn FileSystem>) -> Arc<Shared> {
        Arc::new(Shared {
            dev: anon_dev(),
            upper: upper.root(),
            by_lower: Mutex::default(),
            changed: Mutex::default(),
            next_ino: AtomicU64::new(1 << 40),
        })
    }
}

/// A mounted overlay.
pub struct Overlay {
    upper_fs: Arc<dyn FileSystem>,
    root: Arc<OvInode>,
}

impl Overlay {
    /// `lower` is only read; changes go to inodes of `upper`, which must be able to make nameless files of any
    /// type (`Inode::tmpfile`).
    ///
    /// # Errors
    /// The lower root's.
    pub fn new(lower: &Arc<dyn FileSystem>, upper: Arc<dyn FileSystem>) -> Result<Arc<Overlay>> {
        let root = OvInode::of_lower(&Shared::new(&upper), lower.root())?;
        Ok(Arc::new(Overlay { upper_fs: upper, root }))
    }

    /// One with nothing beneath, to which [`graft`] adds.
    ///
    /// # Errors
    /// The upper layer's.
    pub fn empty(upper: Arc<dyn FileSystem>) -> Result<Arc<Overlay>> {
        let new = New { mode: kind::DIR | 0o755, uid: 0, gid: 0, rdev: 0, target: b"" };
        let root = OvInode::of_upper(&Shared::new(&upper), upper.root().tmpfile(&new)?);
        Ok(Arc::new(Overlay { upper_fs: upper, root }))
    }
}

/// Shows `lower`, which is only read, as `name` in `dir`, a directory of an overlay in which nothing has that name: part
/// of the overlay from then on. Its inode numbers must not be those of other lower layers.
///
/// # Errors
/// `EXDEV` where `dir` belongs to another kind of file system; `lower`'s.
pub fn graft(dir: &Arc<dyn Inode>, name: &[u8], lower: &Arc<dyn FileSystem>) -> Result<Arc<dyn Inode>> {
    Ok(OvInode::graft(dir, name, lower.root())?)
}

impl FileSystem for Overlay {
    fn name(&self) -> &'static str {
        "overlay"
    }

    fn root(&self) -> Arc<dyn Inode> {
        self.root.clone()
    }

    fn statfs(&self) -> Result<Statfs> {
        const OVERLAYFS_SUPER_MAGIC: u64 = 0x794c_7630;
        Ok(Statfs { magic: OVERLAYFS_SUPER_MAGIC, ..self.upper_fs.statfs()? })
    }

    fn options(&self) -> Vec<u8> {
        Vec::new()
    }
}
