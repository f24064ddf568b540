//! The in-memory file system: /tmp, /dev/shm, memfd, and the writable layer of an overlay.
//!
//! Names live in the kernel heap, contents in frames of the RAM file ([`core_::ram`]).
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;

mod data;
mod inode;
mod options;

pub use inode::TmpInode;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use core_::vfs::{FileSystem, Inode, New, Statfs, anon_dev, kind};
use core_::{Errno, Mutex, Result};
use options::Options;

/// How much there may be of something, and is.
struct Limit {
    most: AtomicU64,
    used: AtomicU64,
}

impl Limit {
    const fn new(most: u64) -> Limit {
        Limit { most: AtomicU64::new(most), used: AtomicU64::new(0) }
    }

    fn take(&self, n: u64) -> Result<()> {
        let most = self.most.load(Ordering::Relaxed);
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |u| u.checked_add(n).filter(|u| *u <= most))
            .map_err(|_| Errno::ENOSPC)
            .map(drop)
    }

    fn give(&self, n: u64) {
        self.used.fetch_sub(n, Ordering::Relaxed);
    }

    /// The most from now on, where something is said; 0 is no limit. `EINVAL` where more is in use.
    fn checked(&self, said: Option<u64>) -> Result<u64> {
        match said {
            None => Ok(self.most.load(Ordering::Relaxed)),
            Some(0) => Ok(u64::MAX),
            Some(n) if n < self.used.load(Ordering::Relaxed) => Err(Errno::EINVAL),
            Some(n) => Ok(n),
        }
    }
}

/// Pages and inodes that some file systems may use together; perhaps part of a larger one.
pub struct Quota {
    pages: Limit,
    inodes: Limit,
    within: Option<Arc<Quota>>,
}

impl Quota {
    /// `bytes` of contents and `inodes` files at most.
    #[must_use]
    pub fn new(bytes: u64, inodes: u64) -> Arc<Quota> {
        let pages = Limit::new(bytes / core_::ram::FRAME);
        Arc::new(Quota { pages, inodes: Limit::new(inodes), within: None })
    }

    /// One that `limit` can make smaller than what it is part of.
    fn part_of(whole: Arc<Quota>) -> Arc<Quota> {
        Arc::new(Quota { pages: Limit::new(u64::MAX), inodes: Limit::new(u64::MAX), within: Some(whole) })
    }

    fn take(&self, of: fn(&Quota) -> &Limit, n: u64) -> Result<()> {
        of(self).take(n)?;
        self.within.as_ref().map_or(Ok(()), |q| q.take(of, n)).inspect_err(|_| of(self).give(n))
    }

    fn give(&self, of: fn(&Quota) -> &Limit, n: u64) {
        of(self).give(n);
        if let Some(q) = &self.within {
            q.give(of, n);
        }
    }

    fn take_pages(&self, n: u64) -> Result<()> {
        self.take(|q| &q.pages, n)
    }

    fn free_pages(&self) -> u64 {
        self.room(|q| &q.pages).1
    }

    fn give_pages(&self, n: u64) {
        self.give(|q| &q.pages, n);
    }

    fn take_inode(&self) -> Result<()> {
        self.take(|q| &q.inodes, 1)
    }

    fn give_inode(&self) {
        self.give(|q| &q.inodes, 1);
    }

    /// Bytes in use.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.pages.used.load(Ordering::Relaxed) * core_::ram::FRAME
    }

    /// The most and what is left, of this and of what it is part of.
    fn room(&self, of: fn(&Quota) -> &Limit) -> (u64, u64) {
        let most = of(self).most.load(Ordering::Relaxed);
        let left = most.saturating_sub(of(self).used.load(Ordering::Relaxed));
        let (outer, outer_left) = self.within.as_ref().map_or((u64::MAX, u64::MAX), |q| q.room(of));
        (most.min(outer), left.min(outer_left))
    }

    /// Other limits from now on, where `o` has some: both or, with `EINVAL`, none.
    fn limit(&self, o: &Options) -> Result<()> {
        let (pages, inodes) = (self.pages.checked(o.pages)?, self.inodes.checked(o.inodes)?);
        self.pages.most.store(pages, Ordering::Relaxed);
        self.inodes.most.store(inodes, Ordering::Relaxed);
        Ok(())
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
    options: Mutex<Options>,
}

impl TmpFs {
    /// An empty file system; its root has these permissions and belongs to root.
    ///
    /// # Errors
    /// `ENOSPC` where the quota is used up.
    pub fn new(quota: Arc<Quota>, mode: u32) -> Result<Arc<TmpFs>> {
        Self::with(quota, &Options { mode: Some(mode), ..Options::default() })
    }

    /// As mount(2) makes it, with limits of its own within `quota`.
    ///
    /// # Errors
    /// `EINVAL` for an unknown option, `ENOSPC` where the quota is used up.
    pub fn mounted(quota: Arc<Quota>, options: &[u8]) -> Result<Arc<TmpFs>> {
        Self::with(quota, &Options::parse(options)?)
    }

    fn with(quota: Arc<Quota>, o: &Options) -> Result<Arc<TmpFs>> {
        // Of its own even without limits: a remount may set some, and must not change the machine's.
        let quota = Quota::part_of(quota);
        quota.limit(o)?;
        let shared = Arc::new(Shared { dev: anon_dev(), quota, next_ino: AtomicU64::new(1) });
        let mode = kind::DIR | o.mode.unwrap_or(0o1777);
        let new = New { mode, uid: o.uid.unwrap_or(0), gid: o.gid.unwrap_or(0), rdev: 0, target: b"" };
        let root = TmpInode::new(&shared, &new)?;
        root.add_links(1);
        Ok(Arc::new(TmpFs { shared, root, options: Mutex::new(*o) }))
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
        let (blocks, free) = self.shared.quota.room(|q| &q.pages);
        let (files, ffree) = self.shared.quota.room(|q| &q.inodes);
        let free = free.min(core_::ram::usage().1);
        Ok(Statfs {
            magic: TMPFS_MAGIC,
            bsize: 4096,
            blocks,
            bfree: free,
            bavail: free,
            files,
            ffree,
            fsid: self.shared.dev,
        })
    }

    fn options(&self) -> Vec<u8> {
        let (pages, _) = self.shared.quota.room(|q| &q.pages);
        options::show(&Options { pages: Some(pages), ..*self.options.lock() })
    }

    fn remount(&self, text: &[u8]) -> Result<()> {
        let new = Options::parse(text)?;
        self.shared.quota.limit(&new)?;
        // Whom the root belongs to is for chown(2) to change.
        let mut shown = self.options.lock();
        *shown = Options { pages: new.pages.or(shown.pages), inodes: new.inodes.or(shown.inodes), ..*shown };
        Ok(())
    }
}
