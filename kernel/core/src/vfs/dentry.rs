//! Directory entries: the cache of names.
//!
//! A dentry's inode never changes; a name that comes to mean something else gets another dentry. So a walk reads it without
//! a lock. A directory's children map holds cached dentries strongly and each child holds its parent: the cycle is
//! broken when a name is removed, or by [`shrink`].

use super::inode::{Caching, Inode, kind};
use super::mount::Mount;
use crate::{Errno, Mutex, MutexGuard, Result};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::hash::{BuildHasherDefault, Hasher};
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use hashbrown::HashMap;

/// A hash of a few instructions: names come from the guest, but a directory with colliding names only slows
/// the guest that made it.
#[derive(Default)]
pub struct NameHasher(u64);

impl Hasher for NameHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        const K: u64 = 0x517c_c1b7_2722_0a95;
        let mut h = self.0 ^ bytes.len() as u64;
        let mut chunks = bytes.chunks_exact(8);
        for c in &mut chunks {
            let mut w = [0; 8];
            w.copy_from_slice(c);
            h = (h.rotate_left(5) ^ u64::from_le_bytes(w)).wrapping_mul(K);
        }
        let mut w = 0u64;
        for b in chunks.remainder() {
            w = w << 8 | u64::from(*b);
        }
        h = (h.rotate_left(5) ^ w).wrapping_mul(K);
        self.0 = h ^ h >> 32;
    }
    #[inline]
    fn write_usize(&mut self, n: usize) {
        self.0 ^= n as u64;
    }
}

type Children = HashMap<Arc<[u8]>, Arc<Dentry>, BuildHasherDefault<NameHasher>>;

struct Place {
    parent: Option<Arc<Dentry>>,
    name: Arc<[u8]>,
}

/// One name in one directory, or a file system's root.
pub struct Dentry {
    /// None: the name is known not to exist.
    inode: Option<Arc<dyn Inode>>,
    place: Mutex<Place>,
    children: Mutex<Children>,
    /// Held while the directory's names change or are read from the file system.
    dir_lock: Mutex<()>,
    /// How many mounts lie on this dentry.
    pub(super) mounts: AtomicU32,
    /// Those mounts, each with the number of the mount that it lies in.
    pub(super) mounted: Mutex<Vec<(u32, Arc<Mount>)>>,
    unlinked: AtomicBool,
    /// See [`Dentry::keep_nameless`].
    nameless: AtomicBool,
}

static COUNT: AtomicUsize = AtomicUsize::new(0);
/// Above this many the cache is pruned: about 50 MB of kernel heap.
const MAX_CACHED: usize = 150_000;

impl Dentry {
    fn make(inode: Option<Arc<dyn Inode>>, parent: Option<Arc<Dentry>>, name: Arc<[u8]>) -> Arc<Dentry> {
        COUNT.fetch_add(1, Ordering::Relaxed);
        Arc::new(Dentry {
            inode,
            place: Mutex::new(Place { parent, name }),
            children: Mutex::default(),
            dir_lock: Mutex::new(()),
            mounts: AtomicU32::new(0),
            mounted: Mutex::default(),
            unlinked: AtomicBool::new(false),
            nameless: AtomicBool::new(false),
        })
    }

    /// The root of a file system.
    #[must_use]
    pub fn root(inode: Arc<dyn Inode>) -> Arc<Dentry> {
        Self::make(Some(inode), None, Arc::from(&b""[..]))
    }

    /// A dentry that is in no directory: memfd, O_TMPFILE.
    #[must_use]
    pub fn detached(inode: Arc<dyn Inode>, name: &[u8]) -> Arc<Dentry> {
        let d = Self::make(Some(inode), None, Arc::from(name));
        d.unlinked.store(true, Ordering::Relaxed);
        d
    }

    /// True where the file never had a name and may get one (O_TMPFILE without O_EXCL).
    pub(super) fn may_get_name(&self) -> bool {
        self.place.lock().parent.is_none() && !self.nameless.load(Ordering::Relaxed)
    }

    /// The file must never get a name.
    pub(super) fn keep_nameless(&self) {
        self.nameless.store(true, Ordering::Relaxed);
    }

    /// # Errors
    /// `ENOENT` for a negative entry.
    #[inline]
    pub fn inode(&self) -> Result<&Arc<dyn Inode>> {
        self.inode.as_ref().ok_or(Errno::ENOENT)
    }

    #[must_use]
    pub fn is_negative(&self) -> bool {
        self.inode.is_none()
    }

    #[must_use]
    pub fn is_dir(&self) -> bool {
        self.inode.as_ref().is_some_and(|i| i.kind() == kind::DIR)
    }

    #[must_use]
    pub fn is_link(&self) -> bool {
        self.inode.as_ref().is_some_and(|i| i.kind() == kind::LINK)
    }

    /// The name was removed, but somebody still uses the file.
    #[must_use]
    pub fn unlinked(&self) -> bool {
        self.unlinked.load(Ordering::Relaxed)
    }

    #[must_use]
    pub fn name(&self) -> Arc<[u8]> {
        self.place.lock().name.clone()
    }

    #[must_use]
    pub fn parent(&self) -> Option<Arc<Dentry>> {
        self.place.lock().parent.clone()
    }

    pub(super) fn parent_and_name(&self) -> (Option<Arc<Dentry>>, Arc<[u8]>) {
        let p = self.place.lock();
        (p.parent.clone(), p.name.clone())
    }

    /// Keeps the directory's names as they are.
    pub(super) fn lock_dir(&self) -> MutexGuard<'_, ()> {
        self.dir_lock.lock()
    }

    /// The entry `name`, from the cache where it may be believed. Negative entries are returned as such.
    ///
    /// # Errors
    /// The file system's, but not `ENOENT`.
    #[inline]
    pub fn child(self: &Arc<Dentry>, name: &[u8]) -> Result<Arc<Dentry>> {
        let dir = self.inode()?;
        if dir.caching() == Caching::Forever
            && let Some(d) = self.children.lock().get(name)
        {
            return Ok(d.clone());
        }
        let _dir = self.lock_dir();
        self.child_locked(name)
    }

    /// [`Dentry::child`] by the holder of the directory's lock.
    pub(super) fn child_locked(self: &Arc<Dentry>, name: &[u8]) -> Result<Arc<Dentry>> {
        let dir = self.inode()?;
        let caching = dir.caching();
        let cached = self.children.lock().get(name).cloned();
        if caching == Caching::Forever
            && let Some(d) = cached
        {
            return Ok(d);
        }
        if self.unlinked() {
            return Err(Errno::ENOENT);
        }
        let found = match dir.lookup(name) {
            Ok(i) => Some(i),
            Err(Errno::ENOENT) => None,
            Err(e) => return Err(e),
        };
        if let (Some(i), Some(d)) = (&found, &cached)
            && d.inode.as_ref().is_some_and(|old| Arc::ptr_eq(old, i))
        {
            return Ok(d.clone());
        }
        if let Some(d) = cached {
            // The host changed the name's meaning behind our back.
            d.unlinked.store(!d.is_negative(), Ordering::Relaxed);
            self.children.lock().remove(name);
        }
        let name: Arc<[u8]> = Arc::from(name);
        let d = Self::make(found, Some(self.clone()), name.clone());
        // What changes all the time is not worth a cache entry, nor are its directories (/proc/PID).
        let lasting = d.inode.as_ref().is_some_and(|i| i.caching() != Caching::Never);
        if caching == Caching::Forever || (caching == Caching::Revalidate && lasting) {
            self.children.lock().insert(name, d.clone());
            if COUNT.load(Ordering::Relaxed) > MAX_CACHED {
                shrink_children(self);
            }
        }
        Ok(d)
    }

    /// `name` came to mean `inode`; the directory's lock is held.
    pub(super) fn set_child(self: &Arc<Dentry>, name: &[u8], inode: Arc<dyn Inode>) -> Arc<Dentry> {
        let name: Arc<[u8]> = Arc::from(name);
        let d = Self::make(Some(inode), Some(self.clone()), name.clone());
        self.children.lock().insert(name, d.clone());
        d
    }

    /// `child` was removed from the directory; the directory's lock is held.
    pub(super) fn drop_child(&self, name: &[u8], child: &Dentry) {
        child.unlinked.store(true, Ordering::Relaxed);
        // What is beneath a removed directory can only be negative.
        let gone = core::mem::take(&mut *child.children.lock());
        drop(gone);
        let old = self.children.lock().remove(name);
        drop(old);
    }

    /// Gives an O_TMPFILE file its first name.
    pub(super) fn forget_negative(&self, name: &[u8]) {
        let old = {
            let mut c = self.children.lock();
            if c.get(name).is_some_and(|d| d.is_negative()) { c.remove(name) } else { None }
        };
        drop(old);
    }

    /// `child` moves from here to `to`; both directories' locks are held.
    pub(super) fn move_child(self: &Arc<Dentry>, name: &[u8], child: &Arc<Dentry>, to: &Arc<Dentry>, new_name: &[u8]) {
        let new_name: Arc<[u8]> = Arc::from(new_name);
        let old = self.children.lock().remove(name);
        let old_parent = {
            let mut p = child.place.lock();
            p.name = new_name.clone();
            p.parent.replace(to.clone())
        };
        let replaced = to.children.lock().insert(new_name, child.clone());
        if let Some(r) = &replaced
            && !Arc::ptr_eq(r, child)
        {
            r.unlinked.store(true, Ordering::Relaxed);
        }
        drop((old, old_parent, replaced));
    }

    /// `a` here and `b` in `to` change places; both directories' locks are held.
    pub(super) fn swap_children(self: &Arc<Dentry>, a: &Arc<Dentry>, to: &Arc<Dentry>, b: &Arc<Dentry>) {
        let (an, bn) = (a.name(), b.name());
        for (d, parent, name) in [(a, to, &bn), (b, self, &an)] {
            let old = {
                let mut p = d.place.lock();
                p.name = name.clone();
                p.parent.replace(parent.clone())
            };
            let replaced = parent.children.lock().insert(name.clone(), d.clone());
            drop((old, replaced));
        }
    }

    /// True where `self` is `other` or lies beneath it.
    #[must_use]
    pub fn is_beneath(self: &Arc<Dentry>, other: &Arc<Dentry>) -> bool {
        let mut d = self.clone();
        loop {
            if Arc::ptr_eq(&d, other) {
                return true;
            }
            let Some(p) = d.parent() else { return false };
            d = p;
        }
    }
}

impl Drop for Dentry {
    fn drop(&mut self) {
        COUNT.fetch_sub(1, Ordering::Relaxed);
        // Parents go one by one, not by recursion: a guest can make a path of any depth.
        let mut next = self.place.get_mut().parent.take();
        while let Some(mut d) = next.and_then(Arc::into_inner) {
            next = d.place.get_mut().parent.take();
        }
    }
}

/// Forgets children of `d` that nobody uses and that have no children of their own.
fn shrink_children(d: &Arc<Dentry>) {
    let gone: Vec<Arc<Dentry>> = {
        let mut c = d.children.lock();
        c.extract_if(|_, c| {
            Arc::strong_count(c) == 1 && c.mounts.load(Ordering::Relaxed) == 0 && c.children.lock().is_empty()
        })
        .map(|(_, c)| c)
        .collect()
    };
    drop(gone);
}

/// Prunes the cache beneath `root`: unused leaves go, and their parents with the next call.
pub fn shrink(root: &Arc<Dentry>) {
    let mut todo = alloc::vec![root.clone()];
    while let Some(d) = todo.pop() {
        shrink_children(&d);
        let inner: Vec<_> = d.children.lock().values().filter(|c| c.is_dir()).cloned().collect();
        todo.extend(inner);
    }
}

/// Above the limit, to be pruned by whoever can see the roots.
#[must_use]
pub fn crowded() -> bool {
    COUNT.load(Ordering::Relaxed) > MAX_CACHED
}
