//! The tree of mounts. One tree for the VM (no mount namespaces yet).

use super::dentry::Dentry;
use super::inode::FileSystem;
use super::{Path, inode::Inode};
use crate::wait::{Events, PollTable, WaitQueue};
use crate::{Errno, Mutex, Result};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Mount flags, with mount(2)'s numbers.
pub mod ms {
    pub const RDONLY: u32 = 1;
    pub const NOSUID: u32 = 2;
    pub const NODEV: u32 = 4;
    pub const NOEXEC: u32 = 8;
    pub const REMOUNT: u32 = 32;
    pub const NOATIME: u32 = 1024;
    pub const BIND: u32 = 4096;
    pub const MOVE: u32 = 8192;
    pub const REC: u32 = 16384;
    pub const RELATIME: u32 = 1 << 21;
    /// Those that a mount keeps.
    pub const KEPT: u32 = RDONLY | NOSUID | NODEV | NOEXEC | NOATIME | RELATIME;
}

/// A file system, or a part of one, at a place.
pub struct Mount {
    pub id: u32,
    pub fs: Arc<dyn FileSystem>,
    pub root: Arc<Dentry>,
    /// What /proc/mounts shows first.
    pub source: Vec<u8>,
    parent: Mutex<Option<Path>>,
    flags: AtomicU32,
}

static MOUNTS: Mutex<Vec<Arc<Mount>>> = host::sync::mutex(Vec::new());
static NEXT_ID: AtomicU32 = AtomicU32::new(20);
/// How often the tree has changed, and who waits for that.
static CHANGES: AtomicU64 = AtomicU64::new(0);
static WATCHERS: Mutex<Option<Arc<WaitQueue>>> = host::sync::mutex(None);

/// How often the tree of mounts has changed; registers with `table` to hear of the next time (`mounts_poll` in fs/proc_namespace.c).
pub fn changes(table: Option<&mut PollTable>) -> u64 {
    if let Some(t) = table {
        let queue = WATCHERS.lock().get_or_insert_default().clone();
        t.add(&queue);
    }
    CHANGES.load(Ordering::SeqCst)
}

fn changed() {
    CHANGES.fetch_add(1, Ordering::SeqCst);
    let queue = WATCHERS.lock().clone();
    if let Some(q) = queue {
        q.wake(Events::ERR | Events::PRI);
    }
}

impl Mount {
    /// A mount that is nowhere: for files without a place in the tree, and to be attached.
    #[must_use]
    pub fn detached(fs: Arc<dyn FileSystem>, root: Arc<Dentry>, source: &[u8], flags: u32) -> Arc<Mount> {
        let ro = if fs.read_only() { ms::RDONLY } else { 0 };
        Arc::new(Mount {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            fs,
            root,
            source: source.to_vec(),
            parent: Mutex::new(None),
            flags: AtomicU32::new((flags | ro) & ms::KEPT),
        })
    }

    #[must_use]
    pub fn flags(&self) -> u32 {
        self.flags.load(Ordering::Relaxed)
    }

    pub fn set_flags(&self, flags: u32) {
        self.flags.store(flags & ms::KEPT, Ordering::Relaxed);
        changed();
    }

    #[must_use]
    pub fn read_only(&self) -> bool {
        self.flags() & ms::RDONLY != 0
    }

    /// Where it is mounted; None for the root and what is not attached.
    #[must_use]
    pub fn parent(&self) -> Option<Path> {
        self.parent.lock().clone()
    }
}

/// All mounts in the order they were made.
#[must_use]
pub fn all() -> Vec<Arc<Mount>> {
    MOUNTS.lock().clone()
}

/// The root of the tree.
///
/// # Errors
/// `ENOENT` before boot has mounted it.
pub fn root() -> Result<Path> {
    let mounts = MOUNTS.lock();
    let m = mounts.iter().rev().find(|m| m.parent.lock().is_none()).ok_or(Errno::ENOENT)?;
    Ok(Path { mnt: m.clone(), dentry: m.root.clone() })
}

/// Makes `fs` the root of the tree.
pub fn mount_root(fs: Arc<dyn FileSystem>, source: &[u8]) -> Path {
    let dentry = Dentry::root(fs.root());
    let mnt = Mount::detached(fs, dentry.clone(), source, ms::RELATIME);
    MOUNTS.lock().push(mnt.clone());
    Path { mnt, dentry }
}

/// Puts `fs` on top of the directory at `at`.
///
/// # Errors
/// `ENOTDIR`.
pub fn mount_on(at: &Path, fs: Arc<dyn FileSystem>, source: &[u8], flags: u32) -> Result<Arc<Mount>> {
    let root = fs.root();
    let mnt = Mount::detached(fs, Dentry::root(root), source, flags | ms::RELATIME);
    attach(at, &mnt)?;
    Ok(mnt)
}

fn copy_of(m: &Mount, root: &Arc<Dentry>) -> Arc<Mount> {
    Mount::detached(m.fs.clone(), root.clone(), &m.source, m.flags())
}

/// Mounts what is at `from` a second time, at `at` (MS_BIND); `with_mounts` also those that lie beneath it (MS_REC).
///
/// # Errors
/// `ENOTDIR` where one is a directory and the other is not.
pub fn bind(at: &Path, from: &Path, with_mounts: bool) -> Result<Arc<Mount>> {
    let beneath = if with_mounts { beneath(from) } else { Vec::new() };
    let mnt = copy_of(&from.mnt, &from.dentry);
    attach(at, &mnt)?;
    // Each with what it is a copy of: the place of a mount is in a copy that is there by then.
    let mut copies = alloc::vec![(from.mnt.clone(), mnt.clone())];
    for m in beneath {
        let Some(place) = m.parent() else { continue };
        let Some((_, on)) = copies.iter().find(|(of, _)| Arc::ptr_eq(of, &place.mnt)) else { continue };
        let copy = copy_of(&m, &m.root);
        attach(&Path { mnt: on.clone(), dentry: place.dentry }, &copy)?;
        copies.push((m, copy));
    }
    Ok(mnt)
}

/// The mounts that lie beneath `top`, on those also, each after the one that it lies on.
fn beneath(top: &Path) -> Vec<Arc<Mount>> {
    let all = all();
    let mut out: Vec<Arc<Mount>> = Vec::new();
    loop {
        let next = all.iter().find(|m| {
            let new = !out.iter().any(|o| Arc::ptr_eq(o, m));
            new && m.parent().is_some_and(|p| {
                let first = Arc::ptr_eq(&p.mnt, &top.mnt) && p.dentry.is_beneath(&top.dentry);
                first || out.iter().any(|o| Arc::ptr_eq(o, &p.mnt))
            })
        });
        match next {
            Some(m) => out.push(m.clone()),
            None => return out,
        }
    }
}

fn attach(at: &Path, mnt: &Arc<Mount>) -> Result<()> {
    place(at, mnt)?;
    MOUNTS.lock().push(mnt.clone());
    changed();
    Ok(())
}

fn place(at: &Path, mnt: &Arc<Mount>) -> Result<()> {
    let at = covered(at.clone());
    if at.dentry.is_dir() != mnt.root.is_dir() {
        return Err(Errno::ENOTDIR);
    }
    at.dentry.mounted.lock().push((at.mnt.id, mnt.clone()));
    at.dentry.mounts.fetch_add(1, Ordering::SeqCst);
    *mnt.parent.lock() = Some(at);
    Ok(())
}

/// Takes `mnt` from the place where it lies.
fn displace(mnt: &Arc<Mount>, parent: &Path) {
    parent.dentry.mounts.fetch_sub(1, Ordering::SeqCst);
    parent.dentry.mounted.lock().retain(|(_, m)| !Arc::ptr_eq(m, mnt));
}

/// The mount whose root is `at`, and where it lies.
///
/// # Errors
/// `EINVAL` where `at` is no mount's root or the mount is not in the tree, `root_errno` for the root of all.
fn mounted_at(at: &Path, root_errno: Errno) -> Result<Path> {
    let here = Arc::ptr_eq(&at.mnt.root, &at.dentry) && MOUNTS.lock().iter().any(|m| Arc::ptr_eq(m, &at.mnt));
    if here { at.mnt.parent().ok_or(root_errno) } else { Err(Errno::EINVAL) }
}

/// Moves the mount whose root is `from` to `at`, with all that lies on it (MS_MOVE).
///
/// # Errors
/// As [`mounted_at`]; `ENOTDIR` where one is a directory and the other is not, `ELOOP` where `at` is on that mount.
pub fn move_to(at: &Path, from: &Path) -> Result<()> {
    let old = mounted_at(from, Errno::EINVAL)?;
    let on_itself = |m: &Arc<Mount>| Arc::ptr_eq(m, &at.mnt);
    if on_itself(&from.mnt) || beneath(from).iter().any(on_itself) {
        return Err(Errno::ELOOP);
    }
    if at.dentry.is_dir() != from.dentry.is_dir() {
        return Err(Errno::ENOTDIR);
    }
    displace(&from.mnt, &old);
    place(at, &from.mnt)?;
    changed();
    Ok(())
}

/// Takes the mount whose root is `at` away; `lazily` also where it is in use, with all that lies on it.
///
/// # Errors
/// `EINVAL` where `at` is no mount's root, `EBUSY` for the root of all, and where others lie on it or somebody has a file of it
/// open, works in it, or runs a program of it.
pub fn umount(at: &Path, lazily: bool) -> Result<()> {
    let parent = mounted_at(at, Errno::EBUSY)?;
    let on_it = beneath(at);
    /// The list of all, the place where it lies, and `at`.
    const UNUSED: usize = 3;
    if !lazily && (!on_it.is_empty() || Arc::strong_count(&at.mnt) > UNUSED) {
        return Err(Errno::EBUSY);
    }
    displace(&at.mnt, &parent);
    for m in &on_it {
        if let Some(place) = m.parent() {
            displace(m, &place);
        }
    }
    // A file system may end with its mount: not under the lock, but with `on_it` and the caller's.
    MOUNTS.lock().retain(|m| !Arc::ptr_eq(m, &at.mnt) && !on_it.iter().any(|o| Arc::ptr_eq(o, m)));
    changed();
    Ok(())
}

/// What is mounted on `p`, and on that, and so on; `p` where nothing is.
#[inline]
#[must_use]
pub fn covered(mut p: Path) -> Path {
    while p.dentry.mounts.load(Ordering::Acquire) != 0 {
        let top = {
            let list = p.dentry.mounted.lock();
            list.iter().rev().find(|(on, _)| *on == p.mnt.id).map(|(_, m)| m.clone())
        };
        let Some(m) = top else { break };
        p = Path { dentry: m.root.clone(), mnt: m };
    }
    p
}

/// Prunes the name cache when it has grown too large.
pub fn shrink_names() {
    if super::dentry::crowded() {
        for m in all() {
            super::dentry::shrink(&m.root);
        }
    }
}

/// The file system that files without a place in the tree belong to (memfd): set by boot.
static ANON: Mutex<Option<Arc<Mount>>> = host::sync::mutex(None);

/// Sets where memfds live; a tmpfs.
pub fn set_anon(fs: Arc<dyn FileSystem>) {
    let root = Dentry::root(fs.root());
    *ANON.lock() = Some(Mount::detached(fs, root, b"none", 0));
}

/// A path for an inode without a name of its own; shown as `/name (deleted)`.
///
/// # Errors
/// `ENOSYS` before [`set_anon`].
pub fn anon_path(inode: Arc<dyn Inode>, name: &[u8]) -> Result<Path> {
    let mnt = ANON.lock().clone().ok_or(Errno::ENOSYS)?;
    Ok(Path { mnt, dentry: Dentry::detached(inode, name) })
}

/// The root inode of the file system of memfds.
///
/// # Errors
/// `ENOSYS` before [`set_anon`].
pub fn anon_root() -> Result<Arc<dyn Inode>> {
    Ok(ANON.lock().as_ref().ok_or(Errno::ENOSYS)?.fs.root())
}

/// Makes a new file system of a kind from mount(2)'s data.
pub type MakeFs = fn(data: &[u8]) -> Result<Arc<dyn FileSystem>>;

static KINDS: Mutex<Vec<(&'static [u8], MakeFs)>> = host::sync::mutex(Vec::new());

/// Lets mount(2) make file systems of kind `name`; boot registers what it has.
pub fn register_fs(name: &'static [u8], make: MakeFs) {
    KINDS.lock().push((name, make));
}

/// A new file system of kind `name`.
///
/// # Errors
/// `ENODEV` for a kind that does not exist; the file system's.
pub fn make_fs(name: &[u8], data: &[u8]) -> Result<Arc<dyn FileSystem>> {
    let make = KINDS.lock().iter().find(|(n, _)| *n == name).map(|(_, m)| *m);
    make.ok_or(Errno::ENODEV)?(data)
}

/// The names of all registered kinds.
#[must_use]
pub fn fs_kinds() -> Vec<&'static [u8]> {
    KINDS.lock().iter().map(|(n, _)| *n).collect()
}
