//! Inodes: attributes, names, links.

use crate::{Mode, Shared};
use abi::linux::statx;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use core_::file::{FileOps, oflag};
use core_::vfs::{Attr, Caching, DirList, Inode, New, Perm, SetAttr, SpecialSlot, kind, makedev};
use core_::{Errno, Mutex, Result};
use host::file::HostFd;

/// STATX_BASIC_STATS | STATX_BTIME
pub(crate) const STATX_ALL: u32 = 0xfff;

/// Where the file is: the name by which it was found last.
pub(crate) struct Place {
    pub parent: Option<Arc<HostInode>>,
    pub name: Vec<u8>,
    /// Removed: the host can not be asked by name any more.
    pub gone: bool,
}

/// A file of the host.
pub struct HostInode {
    pub(crate) fs: Arc<Shared>,
    pub(crate) me: Weak<HostInode>,
    pub(crate) id: (u64, u64),
    kind: u32,
    attr: Mutex<Attr>,
    /// Mode, owner, group once more: each step of a walk asks for them, and a lock is a good part of a step.
    perm: [AtomicU32; 3],
    pub(crate) place: Mutex<Place>,
    list: Mutex<Option<Arc<DirList>>>,
    target: Mutex<Option<Arc<[u8]>>>,
    special: SpecialSlot,
    /// Host descriptors: for reading, for reading and writing.
    pub(crate) fds: Mutex<[Option<Arc<HostFd>>; 2]>,
    /// See `small`.
    pub(crate) content: Mutex<Option<Arc<[u8]>>>,
    /// Open files of the guest.
    pub(crate) opens: AtomicU32,
    /// Length as known here: live files that this guest writes grow without asking the host each time.
    pub(crate) size: AtomicU64,
}

fn attr_of(fs: &Shared, st: &statx) -> Attr {
    let dev = makedev(st.stx_dev_major, st.stx_dev_minor);
    Attr {
        dev: fs.dev,
        ino: fs.ino(dev, st.stx_ino),
        uid: fs.uid_in(st.stx_uid),
        gid: fs.gid_in(st.stx_gid),
        ..Attr::of_host(st)
    }
}

impl HostInode {
    /// The object for what `st` describes, found as `name` in `parent`.
    pub(crate) fn get(fs: &Arc<Shared>, parent: Option<Arc<HostInode>>, name: &[u8], st: &statx) -> Arc<HostInode> {
        let id = (makedev(st.stx_dev_major, st.stx_dev_minor), st.stx_ino);
        let attr = attr_of(fs, st);
        let mut all = fs.inodes.lock();
        if let Some(i) = all.get(&id).and_then(Weak::upgrade)
            && i.kind == attr.mode & kind::MASK
        {
            drop(all);
            i.set_attr(attr);
            let old = core::mem::replace(&mut *i.place.lock(), Place { parent, name: name.to_vec(), gone: false });
            drop(old);
            return i;
        }
        let i = Arc::new_cyclic(|me| HostInode {
            fs: fs.clone(),
            me: me.clone(),
            id,
            kind: attr.mode & kind::MASK,
            size: AtomicU64::new(attr.size),
            perm: [attr.mode, attr.uid, attr.gid].map(AtomicU32::new),
            attr: Mutex::new(attr),
            place: Mutex::new(Place { parent, name: name.to_vec(), gone: false }),
            list: Mutex::default(),
            target: Mutex::default(),
            special: Mutex::default(),
            fds: Mutex::default(),
            content: Mutex::default(),
            opens: AtomicU32::new(0),
        });
        all.insert(id, Arc::downgrade(&i));
        i
    }

    fn set_attr(&self, a: Attr) {
        self.size.store(a.size, Ordering::Relaxed);
        for (kept, new) in self.perm.iter().zip([a.mode, a.uid, a.gid]) {
            kept.store(new, Ordering::Relaxed);
        }
        *self.attr.lock() = a;
    }

    pub(crate) fn live(&self) -> bool {
        self.fs.mode != Mode::Cached
    }

    /// # Errors
    /// `EROFS`.
    pub(crate) fn writable(&self) -> Result<()> {
        if self.fs.mode == Mode::ReadWrite { Ok(()) } else { Err(Errno::EROFS) }
    }

    /// The path relative to the file system's root directory: empty for itself.
    pub(crate) fn path(&self) -> Result<Vec<u8>> {
        let mut parts: Vec<Vec<u8>> = Vec::new();
        let mut next = {
            let p = self.place.lock();
            if p.gone {
                return Err(Errno::ENOENT);
            }
            if p.parent.is_some() {
                parts.push(p.name.clone());
            }
            p.parent.clone()
        };
        while let Some(i) = next {
            let p = i.place.lock();
            if p.parent.is_some() {
                parts.push(p.name.clone());
            }
            let up = p.parent.clone();
            drop(p);
            next = up;
        }
        parts.reverse();
        Ok(parts.join(&b'/'))
    }

    /// Asks the host for the attributes again, by descriptor where there is one.
    pub(crate) fn refresh(&self) -> Result<Attr> {
        let fd = self.fds.lock().iter().flatten().next().cloned();
        let st = match fd {
            Some(fd) => host::file::statx(fd.raw(), b"", STATX_ALL)?,
            None => {
                let (parent, name) = {
                    let p = self.place.lock();
                    if p.gone {
                        return Err(Errno::ENOENT);
                    }
                    (p.parent.clone(), p.name.clone())
                };
                // One name in an open directory: no link is followed on the way.
                match parent {
                    Some(p) => host::file::statx(p.dir_fd()?.raw(), &name, STATX_ALL)?,
                    None => host::file::statx(self.fs.root_fd.raw(), b"", STATX_ALL)?,
                }
            }
        };
        let a = attr_of(&self.fs, &st);
        self.set_attr(a);
        Ok(a)
    }

    /// A descriptor of this directory: kept, so that looking up a name in it is one host call.
    pub(crate) fn dir_fd(&self) -> Result<Arc<HostFd>> {
        if let Some(fd) = &self.fds.lock()[0] {
            return Ok(fd.clone());
        }
        let flags = oflag::RDONLY | oflag::DIRECTORY | oflag::NOFOLLOW;
        let path = self.path()?;
        let fd = match crate::open_beneath(self.fs.root_fd.raw(), &path, flags, 0) {
            // Searchable but not readable: enough for lookups.
            Err(Errno::EACCES) => crate::open_beneath(self.fs.root_fd.raw(), &path, flags | oflag::PATH, 0)?,
            r => r?,
        };
        let fd = Arc::new(fd);
        let mut fds = self.fds.lock();
        let kept = fds[0].get_or_insert(fd).clone();
        drop(fds);
        if let Some(me) = self.me.upgrade() {
            self.fs.note_fd(&me);
        }
        Ok(kept)
    }

    /// Closes the host descriptors unless the guest has the file open; true where they are closed.
    pub(crate) fn close_idle(&self) -> bool {
        let mut fds = self.fds.lock();
        // Cleared under the lock under which an open takes its descriptor.
        if self.opens.load(Ordering::SeqCst) != 0 {
            return false;
        }
        let old = core::mem::take(&mut *fds);
        drop(fds);
        drop(old);
        true
    }

    pub(crate) fn own(inode: &Arc<dyn Inode>) -> Result<Arc<HostInode>> {
        inode.clone().into_any().downcast().map_err(|_| Errno::EXDEV)
    }

    fn read_list(&self) -> Result<DirList> {
        // A descriptor of its own: the position of a shared one is shared too.
        let fd = crate::open_beneath(
            self.fs.root_fd.raw(),
            &self.path()?,
            oflag::RDONLY | oflag::DIRECTORY | oflag::NOFOLLOW,
            0,
        )?;
        let mut out = DirList::new();
        let mut buf = alloc::vec![0u8; 32768];
        loop {
            let n = host::file::getdents64(fd.raw(), &mut buf)?;
            if n == 0 {
                return Ok(out);
            }
            let mut at = 0;
            while at + 19 < n {
                let len = usize::from(u16::from_le_bytes([buf[at + 16], buf[at + 17]]));
                if len < 20 || at + len > n {
                    break;
                }
                let mut ino = [0; 8];
                ino.copy_from_slice(&buf[at..at + 8]);
                let name = &buf[at + 19..at + len];
                let name = &name[..name.iter().position(|b| *b == 0).unwrap_or(name.len())];
                if name != b"." && name != b".." {
                    out.push(name, u64::from_le_bytes(ino), u32::from(buf[at + 18]) << 12);
                }
                at += len;
            }
        }
    }
}

impl Inode for HostInode {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }

    fn kind(&self) -> u32 {
        self.kind
    }

    fn attr(&self) -> Result<Attr> {
        if self.live() {
            // A removed file that is still open is asked by its descriptor; without one the last answer stands.
            return match self.refresh() {
                Err(Errno::ENOENT) => Ok(*self.attr.lock()),
                r => r,
            };
        }
        Ok(*self.attr.lock())
    }

    fn perm(&self) -> Perm {
        let [mode, uid, gid] = self.perm.each_ref().map(|v| v.load(Ordering::Relaxed));
        Perm { mode, uid, gid }
    }

    fn caching(&self) -> Caching {
        if self.live() { Caching::Revalidate } else { Caching::Forever }
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>> {
        if self.kind != kind::DIR {
            return Err(Errno::ENOTDIR);
        }
        let dir = self.dir_fd()?;
        let st = host::file::statx(dir.raw(), name, STATX_ALL)?;
        Ok(HostInode::get(&self.fs, self.me.upgrade(), name, &st))
    }

    fn create(&self, name: &[u8], new: &New) -> Result<Arc<dyn Inode>> {
        self.host_create(name, new)
    }

    fn link(&self, name: &[u8], target: &Arc<dyn Inode>) -> Result<()> {
        self.host_link(name, target)
    }

    fn unlink(&self, name: &[u8], inode: &Arc<dyn Inode>) -> Result<()> {
        self.host_unlink(name, inode, false)
    }

    fn rmdir(&self, name: &[u8], inode: &Arc<dyn Inode>) -> Result<()> {
        self.host_unlink(name, inode, true)
    }

    fn rename(
        &self,
        name: &[u8],
        old: &Arc<dyn Inode>,
        new_dir: &Arc<dyn Inode>,
        new_name: &[u8],
        replaced: Option<&Arc<dyn Inode>>,
        exchange: bool,
    ) -> Result<()> {
        self.host_rename(name, old, new_dir, new_name, replaced, exchange)
    }

    fn list(&self) -> Result<Arc<DirList>> {
        if self.kind != kind::DIR {
            return Err(Errno::ENOTDIR);
        }
        if self.live() {
            return Ok(Arc::new(self.read_list()?));
        }
        if let Some(l) = self.list.lock().as_ref() {
            return Ok(l.clone());
        }
        let l = Arc::new(self.read_list()?);
        Ok(self.list.lock().get_or_insert(l).clone())
    }

    fn readlink(&self) -> Result<Arc<[u8]>> {
        if self.kind != kind::LINK {
            return Err(Errno::EINVAL);
        }
        if !self.live()
            && let Some(t) = self.target.lock().as_ref()
        {
            return Ok(t.clone());
        }
        let (parent, name) = {
            let p = self.place.lock();
            (p.parent.clone().ok_or(Errno::EINVAL)?, p.name.clone())
        };
        let mut buf = alloc::vec![0u8; 4096];
        let n = host::file::readlinkat(parent.dir_fd()?.raw(), &name, &mut buf)?;
        let t: Arc<[u8]> = Arc::from(&buf[..n]);
        *self.target.lock() = Some(t.clone());
        Ok(t)
    }

    fn open(self: Arc<Self>, flags: u32) -> Result<Arc<dyn FileOps>> {
        self.open_host(flags)?;
        Ok(self)
    }

    fn setattr(&self, set: &SetAttr) -> Result<()> {
        self.host_setattr(set)
    }

    fn truncate(&self, len: u64) -> Result<()> {
        self.writable()?;
        host::file::ftruncate(self.fd(true)?.raw(), len)?;
        self.size.store(len, Ordering::Relaxed);
        Ok(())
    }

    fn fallocate(&self, mode: u32, off: u64, len: u64) -> Result<()> {
        self.writable()?;
        host::file::fallocate(self.fd(true)?.raw(), mode, off, len)
    }

    fn seek_data(&self, off: u64, hole: bool) -> Result<u64> {
        host::volume::seek_data(self.fd(false)?.raw(), off, hole)
    }

    fn sync(&self, data_only: bool) -> Result<()> {
        if self.writable().is_err() {
            return Ok(());
        }
        let fd = self.fds.lock().iter().rev().flatten().next().cloned();
        fd.map_or(Ok(()), |fd| host::volume::fsync(fd.raw(), data_only))
    }

    fn getxattr(&self, name: &[u8]) -> Result<Vec<u8>> {
        if !name.starts_with(b"user.") || !matches!(self.kind, kind::FILE | kind::DIR) {
            return Err(Errno::ENODATA);
        }
        let fd = if self.kind == kind::DIR { self.dir_fd()? } else { self.fd(false)? };
        let mut buf = alloc::vec![0u8; 65536];
        let n = host::volume::fgetxattr(fd.raw(), name, &mut buf)?;
        buf.truncate(n);
        Ok(buf)
    }

    fn listxattr(&self) -> Result<Vec<u8>> {
        if !matches!(self.kind, kind::FILE | kind::DIR) {
            return Ok(Vec::new());
        }
        let fd = if self.kind == kind::DIR { self.dir_fd() } else { self.fd(false) };
        // A file that the user may not open has no attributes to show.
        let Ok(fd) = fd else { return Ok(Vec::new()) };
        let mut buf = alloc::vec![0u8; 65536];
        let n = match host::volume::flistxattr(fd.raw(), &mut buf) {
            Ok(n) => n,
            Err(Errno::EOPNOTSUPP) => 0,
            Err(e) => return Err(e),
        };
        let mut out = Vec::new();
        for name in buf[..n].split(|b| *b == 0).filter(|x| x.starts_with(b"user.")) {
            out.extend_from_slice(name);
            out.push(0);
        }
        Ok(out)
    }

    fn special(&self) -> Option<&SpecialSlot> {
        matches!(self.kind, kind::FIFO | kind::SOCKET).then_some(&self.special)
    }
}

impl Drop for HostInode {
    fn drop(&mut self) {
        let mut all = self.fs.inodes.lock();
        // A new object may have taken the entry already.
        if all.get(&self.id).is_some_and(|w| w.strong_count() == 0) {
            all.remove(&self.id);
        }
        drop(all);
        // Parents one by one: a path may be long.
        let mut next = self.place.get_mut().parent.take();
        while let Some(i) = next.and_then(Arc::into_inner) {
            next = i.place.lock().parent.take();
        }
    }
}
