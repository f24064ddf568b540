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
pub use options::Options;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use core_::vfs::{FileSystem, Inode, New, Statfs, anon_dev, kind};
use core_::{Errno, Mutex, Result};

/// Pages and inodes that some file systems may use together; perhaps part of a larger one.
pub struct Quota {
    max_pages: AtomicU64,
    pages: AtomicU64,
    max_inodes: AtomicU64,
    inodes: AtomicU64,
    within: Option<Arc<Quota>>,
}

impl Quota {
    /// `bytes` of contents and `inodes` files at most.
    #[must_use]
    pub fn new(bytes: u64, inodes: u64) -> Arc<Quota> {
        Arc::new(Quota::of(bytes / core_::ram::FRAME, inodes, None))
    }

    const fn of(pages: u64, inodes: u64, within: Option<Arc<Quota>>) -> Quota {
        Quota {
            max_pages: AtomicU64::new(pages),
            pages: AtomicU64::new(0),
            max_inodes: AtomicU64::new(inodes),
            inodes: AtomicU64::new(0),
            within,
        }
    }

    fn take(of: &AtomicU64, n: u64, max: &AtomicU64) -> Result<()> {
        let max = max.load(Ordering::Relaxed);
        of.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |u| u.checked_add(n).filter(|u| *u <= max))
            .map_err(|_| Errno::ENOSPC)
            .map(drop)
    }

    fn take_pages(&self, n: u64) -> Result<()> {
        Self::take(&self.pages, n, &self.max_pages)?;
        self.within.as_ref().map_or(Ok(()), |q| q.take_pages(n)).inspect_err(|_| {
            self.pages.fetch_sub(n, Ordering::Relaxed);
        })
    }

    fn give_pages(&self, n: u64) {
        self.pages.fetch_sub(n, Ordering::Relaxed);
        if let Some(q) = &self.within {
            q.give_pages(n);
        }
    }

    fn take_inode(&self) -> Result<()> {
        Self::take(&self.inodes, 1, &self.max_inodes)?;
        self.within.as_ref().map_or(Ok(()), |q| q.take_inode()).inspect_err(|_| {
            self.inodes.fetch_sub(1, Ordering::Relaxed);
        })
    }

    fn give_inode(&self) {
        self.inodes.fetch_sub(1, Ordering::Relaxed);
        if let Some(q) = &self.within {
            q.give_inode();
        }
    }

    /// Bytes in use.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.pages.load(Ordering::Relaxed) * core_::ram::FRAME
    }

    /// Pages at most and free, inodes at most and free: of this and of what it is part of.
    fn room(&self) -> [u64; 4] {
        let of = |max: &AtomicU64, used: &AtomicU64| {
            let max = max.load(Ordering::Relaxed);
            [max, max.saturating_sub(used.load(Ordering::Relaxed))]
        };
        let ([pages, free], [inodes, left]) = (of(&self.max_pages, &self.pages), of(&self.max_inodes, &self.inodes));
        let outer = self.within.as_ref().map_or([u64::MAX; 4], |q| q.room());
        [pages.min(outer[0]), free.min(outer[1]), inodes.min(outer[2]), left.min(outer[3])]
    }

    /// Other limits from now on, where `o` has some; 0 is none.
    fn limit(&self, o: &Options) -> Result<()> {
        let set = |to: Option<u64>, max: &AtomicU64, used: &AtomicU64, store: bool| {
            let Some(n) = to.map(|n| if n == 0 { u64::MAX } else { n }) else { return Ok(()) };
            if n < used.load(Ordering::Relaxed) {
                return Err(Errno::EINVAL);
            }
            if store {
                max.store(n, Ordering::Relaxed);
            }
            Ok(())
        };
        for store in [false, true] {
            set(o.pages, &self.max_pages, &self.pages, store)?;
            set(o.inodes, &self.max_inodes, &self.inodes, store)?;
        }
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
        Self::with(quota, &Options::parse(options, ram_bytes())?)
    }

    fn with(quota: Arc<Quota>, o: &Options) -> Result<Arc<TmpFs>> {
        // Of its own even without limits: a remount may set some, and must not change the machine's.
        let quota = Arc::new(Quota::of(u64::MAX, u64::MAX, Some(quota)));
        quota.limit(o)?;
        let shared = Arc::new(Shared { dev: anon_dev(), quota, next_ino: AtomicU64::new(1) });
        let mode = kind::DIR | o.mode.unwrap_or(0o1777);
        let new = New { mode, uid: o.uid.unwrap_or(0), gid: o.gid.unwrap_or(0), rdev: 0, target: b"" };
        let root = TmpInode::new(&shared, &new)?;
        root.add_links(1);
        Ok(Arc::new(TmpFs { shared, root, options: Mutex::new(*o) }))
    }
}

fn ram_bytes() -> u64 {
    core_::ram::usage().0 * core_::ram::FRAME
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
        let [blocks, free, files, ffree] = self.shared.quota.room();
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
        let [pages, ..] = self.shared.quota.room();
        options::show(&Options { pages: Some(pages), ..*self.options.lock() })
    }

    fn remount(&self, text: &[u8]) -> Result<()> {
        let new = Options::parse(text, ram_bytes())?;
        self.shared.quota.limit(&new)?;
        // Whom the root belongs to is for chown(2) to change.
        let mut shown = self.options.lock();
        *shown = Options { pages: new.pages.or(shown.pages), inodes: new.inodes.or(shown.inodes), ..*shown };
        Ok(())
    }
}
