//! The in-memory file system: /tmp, /dev/shm, memfd, and the writable layer of an overlay.
//!
//! Names live in the kernel heap, contents in frames of the RAM file ([`core_::ram`]).
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;

mod data;
mod inode;

pub use inode::TmpInode;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use core_::vfs::{FileSystem, Inode, New, Statfs, anon_dev, kind};
use core_::{Errno, Result};

/// Pages and inodes that some file systems may use together.
pub struct Quota {
    max_pages: u64,
    pages: AtomicU64,
    max_inodes: u64,
    inodes: AtomicU64,
}

impl Quota {
    /// `bytes` of contents and `inodes` files at most.
    #[must_use]
    pub fn new(bytes: u64, inodes: u64) -> Arc<Quota> {
        Arc::new(Quota {
            max_pages: bytes / core_::ram::FRAME,
            pages: AtomicU64::new(0),
            max_inodes: inodes,
            inodes: AtomicU64::new(0),
        })
    }

    fn take(of: &AtomicU64, n: u64, max: u64) -> Result<()> {
        of.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |u| u.checked_add(n).filter(|u| *u <= max))
            .map_err(|_| Errno::ENOSPC)
            .map(drop)
    }

    fn take_pages(&self, n: u64) -> Result<()> {
        Self::take(&self.pages, n, self.max_pages)
    }

    fn give_pages(&self, n: u64) {
        self.pages.fetch_sub(n, Ordering::Relaxed);
    }

    fn take_inode(&self) -> Result<()> {
        Self::take(&self.inodes, 1, self.max_inodes)
    }

    fn give_inode(&self) {
        self.inodes.fetch_sub(1, Ordering::Relaxed);
    }

    /// Bytes in use.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.pages.load(Ordering::Relaxed) * core_::ram::FRAME
    }
}

/// What all inodes of one file system share.
struct Shared {
    dev: u64,
    quota: Arc<Quota>,
    next_ino: AtomicU64,
}

/// A mounted tmpfs.
pub struct TmpFs {
    shared: Arc<Shared>,
    root: Arc<TmpInode>,
}

impl TmpFs {
    /// An empty file system; its root has these permissions and belongs to root.
    ///
    /// # Errors
    /// `ENOSPC` where the quota is used up.
    pub fn new(quota: Arc<Quota>, mode: u32) -> Result<Arc<TmpFs>> {
        let shared = Arc::new(Shared { dev: anon_dev(), quota, next_ino: AtomicU64::new(1) });
        let new = New { mode: kind::DIR | mode & 0o7777, uid: 0, gid: 0, rdev: 0, target: b"" };
        let root = TmpInode::new(&shared, &new)?;
        root.add_links(1);
        Ok(Arc::new(TmpFs { shared, root }))
    }
}

impl FileSystem for TmpFs {
    fn name(&self) -> &'static str {
        "tmpfs"
    }

    fn root(&self) -> Arc<dyn Inode> {
        self.root.clone()
    }

    fn statfs(&self) -> Result<Statfs> {
        const TMPFS_MAGIC: u64 = 0x0102_1994;
        let q = &self.shared.quota;
        let free = q.max_pages.saturating_sub(q.pages.load(Ordering::Relaxed)).min(core_::ram::usage().1);
        Ok(Statfs {
            magic: TMPFS_MAGIC,
            bsize: 4096,
            blocks: q.max_pages,
            bfree: free,
            bavail: free,
            files: q.max_inodes,
            ffree: q.max_inodes.saturating_sub(q.inodes.load(Ordering::Relaxed)),
            fsid: self.shared.dev,
        })
    }

    fn options(&self) -> Vec<u8> {
        alloc::format!(",size={}k", self.shared.quota.max_pages * 4).into_bytes()
    }
}
