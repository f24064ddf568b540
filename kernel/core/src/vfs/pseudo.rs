//! Files whose contents are made when they are read: what /proc and /sys consist of.

use super::{Attr, Caching, DirList, Inode, Path, Perm, SetAttr, Time, kind, now, seek_without_end};
use crate::file::{File, FileOps};
use crate::io::IoBuf;
use crate::uaccess::PATH_MAX;
use crate::wait::{Events, PollTable};
use crate::{Errno, Mutex, Result};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicU64, Ordering};

/// Makes the contents of a file.
pub type Make = Arc<dyn Fn() -> Result<Vec<u8>> + Send + Sync>;
/// Takes what is written to a file.
pub type Store = Arc<dyn Fn(&[u8]) -> Result<()> + Send + Sync>;

/// Identity, owner and permissions of a pseudo file.
#[derive(Clone, Copy, Debug)]
pub struct Id {
    pub dev: u64,
    pub ino: u64,
    /// Permission bits.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
}

impl Id {
    #[must_use]
    pub const fn root(dev: u64, ino: u64, mode: u32) -> Id {
        Id { dev, ino, mode, uid: 0, gid: 0 }
    }

    fn attr(&self, kind: u32, nlink: u32, size: u64) -> Attr {
        let t: Time = now();
        Attr {
            dev: self.dev,
            ino: self.ino,
            mode: kind | self.mode,
            nlink,
            uid: self.uid,
            gid: self.gid,
            size,
            blksize: 1024,
            atime: t,
            mtime: t,
            ctime: t,
            btime: t,
            ..Attr::default()
        }
    }

    fn perm(&self, kind: u32) -> Perm {
        Perm { mode: kind | self.mode, uid: self.uid, gid: self.gid }
    }
}

macro_rules! any {
    () => {
        fn as_any(&self) -> &dyn Any {
            self
        }
        fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
            self
        }
    };
}

/// What poll(2) and epoll(7) say of an open file with made contents.
#[derive(Clone, Copy)]
pub enum Polled {
    /// Ready, always.
    Ready,
    /// It has no poll function: epoll refuses it, poll(2) says ready.
    Never,
    /// Readable, and POLLERR | POLLPRI once for what has changed since it was opened or last polled. The function registers, and
    /// tells how many changes there were.
    Changes(fn(Option<&mut PollTable>) -> u64),
    /// An attribute of sysfs: POLLERR | POLLPRI until it is read (`kernfs_generic_poll`).
    Attribute,
}

/// Files with made contents.
pub struct Text;

impl Text {
    #[must_use]
    pub fn inode(id: Id, make: impl Fn() -> Result<Vec<u8>> + Send + Sync + 'static) -> Arc<dyn Inode> {
        Text::polled(id, Polled::Ready, Arc::new(make), None)
    }

    /// A file that may be written, too.
    #[must_use]
    pub fn writable(
        id: Id,
        make: impl Fn() -> Result<Vec<u8>> + Send + Sync + 'static,
        store: impl Fn(&[u8]) -> Result<()> + Send + Sync + 'static,
    ) -> Arc<dyn Inode> {
        Text::polled(id, Polled::Ready, Arc::new(make), Some(Arc::new(store)))
    }

    /// The general form.
    #[must_use]
    pub fn polled(id: Id, polled: Polled, make: Make, store: Option<Store>) -> Arc<dyn Inode> {
        let file = move |_| -> Result<Arc<dyn FileOps>> {
            let seen = AtomicU64::new(match polled {
                Polled::Changes(count) => count(None),
                _ => 0,
            });
            Ok(Arc::new(TextFile { make: make.clone(), store: store.clone(), text: Mutex::default(), polled, seen }))
        };
        Opened::inode(id, file)
    }
}

/// An open [`Text`]: contents are made when reading starts at 0 and stay the same until then, as with Linux's seq_file.
struct TextFile {
    make: Make,
    store: Option<Store>,
    text: Mutex<Option<Arc<Vec<u8>>>>,
    polled: Polled,
    /// Changes that are known to the reader; of an attribute: whether it has been read.
    seen: AtomicU64,
}

impl FileOps for TextFile {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn read(&self, _file: &File, dst: &mut IoBuf, off: u64) -> Result<usize> {
        let kept = if off == 0 { None } else { self.text.lock().clone() };
        let text = match kept {
            Some(t) => t,
            None => {
                let t = Arc::new((self.make)()?);
                *self.text.lock() = Some(t.clone());
                if matches!(self.polled, Polled::Attribute) {
                    self.seen.store(1, Ordering::Relaxed);
                }
                t
            }
        };
        let Some(rest) = usize::try_from(off).ok().and_then(|o| text.get(o..)) else { return Ok(0) };
        if rest.is_empty() || dst.left() == 0 {
            return Ok(0);
        }
        dst.put_some(rest)
    }

    fn write(&self, _file: &File, src: &mut IoBuf, _off: u64) -> Result<usize> {
        let store = self.store.as_ref().ok_or(Errno::EIO)?;
        src.limit(4096);
        let bytes = src.take_all()?;
        store(&bytes)?;
        Ok(bytes.len())
    }

    fn is_stream(&self) -> bool {
        false
    }

    fn pollable(&self) -> bool {
        !matches!(self.polled, Polled::Never)
    }

    fn poll(&self, _file: &File, table: Option<&mut PollTable>) -> Events {
        let news = Events::ERR | Events::PRI;
        match self.polled {
            Polled::Changes(count) => {
                let now = count(table);
                if self.seen.swap(now, Ordering::Relaxed) == now { Events::READ } else { Events::READ | news }
            }
            Polled::Attribute if self.seen.load(Ordering::Relaxed) == 0 => Events::READ | Events::WRITE | news,
            _ => Events::READ | Events::WRITE,
        }
    }

    fn seek(&self, file: &File, off: i64, whence: u32) -> Result<u64> {
        seek_without_end(file, off, whence)
    }
}

type Open = Box<dyn Fn(u32) -> Result<Arc<dyn FileOps>> + Send + Sync>;

/// A regular file of which each open is an object of its own.
pub struct Opened {
    id: Id,
    open: Open,
}

impl Opened {
    /// `open` gets the flags of open(2).
    #[must_use]
    pub fn inode(id: Id, open: impl Fn(u32) -> Result<Arc<dyn FileOps>> + Send + Sync + 'static) -> Arc<dyn Inode> {
        Arc::new(Opened { id, open: Box::new(open) })
    }
}

impl Inode for Opened {
    any!();
    fn kind(&self) -> u32 {
        kind::FILE
    }
    fn attr(&self) -> Result<Attr> {
        Ok(self.id.attr(kind::FILE, 1, 0))
    }
    fn perm(&self) -> Perm {
        self.id.perm(kind::FILE)
    }
    fn open(self: Arc<Self>, flags: u32) -> Result<Arc<dyn FileOps>> {
        (self.open)(flags)
    }
    fn truncate(&self, _len: u64) -> Result<()> {
        // O_TRUNC and shell redirection: nothing to do.
        Ok(())
    }
    fn setattr(&self, _set: &SetAttr) -> Result<()> {
        Err(Errno::EPERM)
    }
}

/// A link with a made target, perhaps a magic one.
pub struct Link {
    id: Id,
    target: Make,
    magic: Option<Box<dyn Fn() -> Result<Path> + Send + Sync>>,
    size: u64,
}

impl Link {
    #[must_use]
    pub fn inode(id: Id, target: impl Fn() -> Result<Vec<u8>> + Send + Sync + 'static) -> Arc<dyn Inode> {
        Arc::new(Link { id, target: Arc::new(target), magic: None, size: 0 })
    }

    /// A link that leads to a place without a walk. `size` is what stat(2) says: Linux has 64 for files, 0 for directories and programs.
    #[must_use]
    pub fn magic(
        id: Id,
        size: u64,
        target: impl Fn() -> Result<Vec<u8>> + Send + Sync + 'static,
        magic: impl Fn() -> Result<Path> + Send + Sync + 'static,
    ) -> Arc<dyn Inode> {
        Arc::new(Link { id, target: Arc::new(target), magic: Some(Box::new(magic)), size })
    }
}

impl Inode for Link {
    any!();
    fn kind(&self) -> u32 {
        kind::LINK
    }
    fn attr(&self) -> Result<Attr> {
        Ok(self.id.attr(kind::LINK, 1, self.size))
    }
    fn readlink(&self) -> Result<Arc<[u8]>> {
        let text = (self.target)()?;
        // A place may lie deeper than a path reaches (`do_proc_readlink`).
        if self.magic.is_some() && text.len() >= PATH_MAX {
            return Err(Errno::ENAMETOOLONG);
        }
        Ok(Arc::from(text))
    }
    fn magic(&self) -> Option<Result<Path>> {
        self.magic.as_ref().map(|m| m())
    }
}

/// A directory whose entries never change.
pub struct Fixed {
    id: Id,
    entries: BTreeMap<Vec<u8>, Arc<dyn Inode>>,
}

impl Fixed {
    #[must_use]
    pub fn inode(id: Id, entries: Vec<(&str, Arc<dyn Inode>)>) -> Arc<dyn Inode> {
        Arc::new(Fixed { id, entries: entries.into_iter().map(|(n, i)| (n.as_bytes().to_vec(), i)).collect() })
    }
}

impl Inode for Fixed {
    any!();
    fn kind(&self) -> u32 {
        kind::DIR
    }
    fn attr(&self) -> Result<Attr> {
        let dirs = self.entries.values().filter(|i| i.kind() == kind::DIR).count();
        Ok(self.id.attr(kind::DIR, 2 + dirs as u32, 0))
    }
    fn perm(&self) -> Perm {
        self.id.perm(kind::DIR)
    }
    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>> {
        self.entries.get(name).cloned().ok_or(Errno::ENOENT)
    }
    fn list(&self) -> Result<Arc<DirList>> {
        let mut out = DirList::new();
        for (name, i) in &self.entries {
            out.push(name, i.attr().map_or(0, |a| a.ino), i.kind());
        }
        Ok(Arc::new(out))
    }
}

/// A directory that asks its owner each time.
pub trait Entries: Send + Sync + 'static {
    /// # Errors
    /// `ENOENT`.
    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>>;
    /// # Errors
    /// The owner's.
    fn list(&self) -> Result<DirList>;
    /// See [`Inode::names_process`].
    fn names_process(&self) -> Option<u32> {
        None
    }
    /// Whether the caller may do here what the owner may, whoever that is.
    fn is_callers(&self) -> bool {
        false
    }
    /// The number of links that stat(2) shows.
    fn links(&self) -> u32 {
        2
    }
}

/// The inode of [`Entries`].
pub struct Changing<E> {
    id: Id,
    caching: Caching,
    entries: E,
}

impl<E: Entries> Changing<E> {
    #[must_use]
    pub fn inode(id: Id, caching: Caching, entries: E) -> Arc<dyn Inode> {
        Arc::new(Changing { id, caching, entries })
    }
}

impl<E: Entries> Inode for Changing<E> {
    any!();
    fn kind(&self) -> u32 {
        kind::DIR
    }
    fn attr(&self) -> Result<Attr> {
        Ok(self.id.attr(kind::DIR, self.entries.links(), 0))
    }
    fn perm(&self) -> Perm {
        let perm = self.id.perm(kind::DIR);
        if self.entries.is_callers() { Perm { uid: crate::current().cred().fsuid, ..perm } } else { perm }
    }
    fn caching(&self) -> Caching {
        self.caching
    }
    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>> {
        self.entries.lookup(name)
    }
    fn list(&self) -> Result<Arc<DirList>> {
        Ok(Arc::new(self.entries.list()?))
    }
    fn names_process(&self) -> Option<u32> {
        self.entries.names_process()
    }
}
