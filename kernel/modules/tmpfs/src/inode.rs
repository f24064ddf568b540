//! Inodes of all types.

use crate::Shared;
use crate::data::{FileData, seal};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::Ordering;
use core_::file::{Extent, File, FileOps, MapKind, oflag};
use core_::io::IoBuf;
use core_::vfs::{Attr, DirList, Inode, New, Perm, SetAttr, SpecialSlot, Time, generic_seek, kind, now};
use core_::{Errno, Mutex, Result};

/// F_SEAL_EXEC.
const SEAL_EXEC: u32 = 32;

struct Meta {
    mode: u32,
    uid: u32,
    gid: u32,
    nlink: u32,
    atime: Time,
    mtime: Time,
    ctime: Time,
}

type Entries = BTreeMap<Arc<[u8]>, Arc<TmpInode>>;

enum Body {
    File(FileData),
    Dir(Mutex<Entries>),
    Link(Arc<[u8]>),
    Special(SpecialSlot),
}

/// A file of a tmpfs.
pub struct TmpInode {
    fs: Arc<Shared>,
    ino: u64,
    kind: u32,
    rdev: u64,
    btime: Time,
    meta: Mutex<Meta>,
    xattrs: Mutex<BTreeMap<Vec<u8>, Vec<u8>>>,
    body: Body,
}

/// Most bytes of extended attributes of one file (XATTR_SIZE_MAX).
const XATTR_MAX: usize = 65536;

impl TmpInode {
    pub(crate) fn new(fs: &Arc<Shared>, new: &New) -> Result<Arc<TmpInode>> {
        if new.target.len() > 4095 {
            return Err(Errno::ENAMETOOLONG);
        }
        fs.quota.take_inode()?;
        let t = now();
        let k = new.mode & kind::MASK;
        let body = match k {
            kind::FILE => Body::File(FileData::new(fs.quota.clone())),
            kind::DIR => Body::Dir(Mutex::default()),
            kind::LINK => Body::Link(Arc::from(new.target)),
            _ => Body::Special(Mutex::default()),
        };
        Ok(Arc::new(TmpInode {
            fs: fs.clone(),
            ino: fs.next_ino.fetch_add(1, Ordering::Relaxed),
            kind: k,
            rdev: new.rdev,
            btime: t,
            meta: Mutex::new(Meta {
                mode: new.mode & 0o7777,
                uid: new.uid,
                gid: new.gid,
                nlink: u32::from(k == kind::DIR),
                atime: t,
                mtime: t,
                ctime: t,
            }),
            xattrs: Mutex::default(),
            body,
        }))
    }

    fn entries(&self) -> Result<&Mutex<Entries>> {
        match &self.body {
            Body::Dir(e) => Ok(e),
            _ => Err(Errno::ENOTDIR),
        }
    }

    fn data(&self) -> Result<&FileData> {
        match &self.body {
            Body::File(d) => Ok(d),
            Body::Dir(_) => Err(Errno::EISDIR),
            _ => Err(Errno::EINVAL),
        }
    }

    fn changed(&self) {
        let t = now();
        let mut m = self.meta.lock();
        m.mtime = t;
        m.ctime = t;
    }

    fn touched(&self) {
        self.meta.lock().ctime = now();
    }

    fn insert(&self, name: &[u8], inode: Arc<TmpInode>) -> Result<()> {
        let dir = inode.kind == kind::DIR;
        inode.add_links(1);
        self.entries()?.lock().insert(Arc::from(name), inode);
        if dir {
            self.add_links(1);
        }
        self.changed();
        Ok(())
    }

    fn remove(&self, name: &[u8]) -> Result<Arc<TmpInode>> {
        let gone = self.entries()?.lock().remove(name).ok_or(Errno::ENOENT)?;
        if gone.kind == kind::DIR {
            self.add_links(-1);
        }
        gone.add_links(-1);
        self.changed();
        Ok(gone)
    }

    fn own(inode: &Arc<dyn Inode>) -> Result<Arc<TmpInode>> {
        inode.clone().into_any().downcast().map_err(|_| Errno::EXDEV)
    }

    fn is_empty(&self) -> bool {
        self.entries().is_ok_and(|e| e.lock().is_empty())
    }

    /// relatime: the access time follows the other two.
    fn accessed(&self, file: &File) {
        if file.flags() & oflag::NOATIME != 0 {
            return;
        }
        let mut m = self.meta.lock();
        if m.atime <= m.mtime || m.atime <= m.ctime {
            m.atime = now();
        }
    }
}

impl Inode for TmpInode {
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
        let (size, blocks) = match &self.body {
            Body::File(d) => (d.size(), d.pages() * 8),
            Body::Dir(e) => (e.lock().len() as u64 * 20 + 40, 0),
            Body::Link(t) => (t.len() as u64, 0),
            Body::Special(_) => (0, 0),
        };
        let m = self.meta.lock();
        Ok(Attr {
            dev: self.fs.dev,
            ino: self.ino,
            mode: self.kind | m.mode,
            nlink: m.nlink,
            uid: m.uid,
            gid: m.gid,
            rdev: self.rdev,
            size,
            blocks,
            blksize: 4096,
            atime: m.atime,
            mtime: m.mtime,
            ctime: m.ctime,
            btime: self.btime,
        })
    }

    fn perm(&self) -> Perm {
        let m = self.meta.lock();
        Perm { mode: self.kind | m.mode, uid: m.uid, gid: m.gid }
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>> {
        match self.entries()?.lock().get(name) {
            Some(i) => Ok(i.clone()),
            None => Err(Errno::ENOENT),
        }
    }

    fn create(&self, name: &[u8], new: &New) -> Result<Arc<dyn Inode>> {
        self.entries()?;
        let inode = TmpInode::new(&self.fs, new)?;
        self.insert(name, inode.clone())?;
        Ok(inode)
    }

    fn link(&self, name: &[u8], target: &Arc<dyn Inode>) -> Result<()> {
        let t = Self::own(target)?;
        if t.meta.lock().nlink >= 65000 {
            return Err(Errno::EMLINK);
        }
        t.touched();
        self.insert(name, t)
    }

    fn unlink(&self, name: &[u8], _inode: &Arc<dyn Inode>) -> Result<()> {
        self.remove(name)?.touched();
        Ok(())
    }

    fn rmdir(&self, name: &[u8], inode: &Arc<dyn Inode>) -> Result<()> {
        if !Self::own(inode)?.is_empty() {
            return Err(Errno::ENOTEMPTY);
        }
        // Its own entry for `.` goes too.
        self.remove(name)?.add_links(-1);
        Ok(())
    }

    fn rename(
        &self,
        name: &[u8],
        _old: &Arc<dyn Inode>,
        new_dir: &Arc<dyn Inode>,
        new_name: &[u8],
        replaced: Option<&Arc<dyn Inode>>,
        exchange: bool,
    ) -> Result<()> {
        let to = Self::own(new_dir)?;
        if let Some(r) = replaced {
            let r = Self::own(r)?;
            if !exchange {
                if r.kind == kind::DIR && !r.is_empty() {
                    return Err(Errno::ENOTEMPTY);
                }
                let gone = to.remove(new_name)?;
                if gone.kind == kind::DIR {
                    gone.add_links(-1);
                }
                gone.touched();
            }
        }
        let a = self.remove(name)?;
        if exchange {
            let b = to.remove(new_name)?;
            b.touched();
            self.insert(name, b)?;
        }
        a.touched();
        to.insert(new_name, a)
    }

    fn tmpfile(&self, new: &New) -> Result<Arc<dyn Inode>> {
        Ok(TmpInode::new(&self.fs, new)?)
    }

    fn whiteout(&self, new: &New) -> Result<Arc<dyn Inode>> {
        self.tmpfile(new)
    }

    fn list(&self) -> Result<Arc<DirList>> {
        let mut out = DirList::new();
        for (name, i) in self.entries()?.lock().iter() {
            out.push(name, i.ino, i.kind);
        }
        Ok(Arc::new(out))
    }

    fn readlink(&self) -> Result<Arc<[u8]>> {
        match &self.body {
            Body::Link(t) => Ok(t.clone()),
            _ => Err(Errno::EINVAL),
        }
    }

    fn open(self: Arc<Self>, _flags: u32) -> Result<Arc<dyn FileOps>> {
        match &self.body {
            Body::File(_) => Ok(self),
            _ => Err(Errno::ENXIO),
        }
    }

    fn setattr(&self, set: &SetAttr) -> Result<()> {
        let t = now();
        // Before the attributes' lock: writers hold the seals'.
        let seals = if set.mode.is_some() { self.data().map_or(Ok(0), |d| d.seals(0))? } else { 0 };
        let mut m = self.meta.lock();
        if let Some(mode) = set.mode {
            // A sealed memfd stays executable or not (memfd_create(2)).
            if (mode ^ m.mode) & 0o111 != 0 && seals & SEAL_EXEC != 0 {
                return Err(Errno::EPERM);
            }
            m.mode = mode & 0o7777;
        }
        m.uid = set.uid.unwrap_or(m.uid);
        m.gid = set.gid.unwrap_or(m.gid);
        m.atime = set.atime.unwrap_or(m.atime);
        m.mtime = set.mtime.unwrap_or(m.mtime);
        m.ctime = t;
        Ok(())
    }

    fn truncate(&self, len: u64) -> Result<()> {
        let d = self.data()?;
        d.truncate(len)?;
        // After the file's own locks: the address spaces' come before them.
        if d.is_mapped() {
            core_::mm::file_shrunk(core::ptr::from_ref(d) as usize, len);
        }
        self.changed();
        Ok(())
    }

    fn fallocate(&self, mode: u32, off: u64, len: u64) -> Result<()> {
        self.data()?.fallocate(mode, off, len)?;
        self.changed();
        Ok(())
    }

    fn seek_data(&self, off: u64, hole: bool) -> Result<u64> {
        self.data()?.seek_data(off, hole)
    }

    fn getxattr(&self, name: &[u8]) -> Result<Vec<u8>> {
        self.xattrs.lock().get(name).cloned().ok_or(Errno::ENODATA)
    }

    fn setxattr(&self, name: &[u8], value: &[u8], flags: u32) -> Result<()> {
        const CREATE: u32 = 1;
        const REPLACE: u32 = 2;
        {
            let mut x = self.xattrs.lock();
            match (x.contains_key(name), flags) {
                (true, CREATE) => return Err(Errno::EEXIST),
                (false, REPLACE) => return Err(Errno::ENODATA),
                _ => {}
            }
            let used: usize = x.iter().filter(|(k, _)| k.as_slice() != name).map(|(k, v)| k.len() + v.len()).sum();
            if used + name.len() + value.len() > XATTR_MAX {
                return Err(Errno::ENOSPC);
            }
            x.insert(name.to_vec(), value.to_vec());
        }
        self.touched();
        Ok(())
    }

    fn removexattr(&self, name: &[u8]) -> Result<()> {
        self.xattrs.lock().remove(name).ok_or(Errno::ENODATA)?;
        self.touched();
        Ok(())
    }

    fn listxattr(&self) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        for k in self.xattrs.lock().keys() {
            out.extend_from_slice(k);
            out.push(0);
        }
        Ok(out)
    }

    fn special(&self) -> Option<&SpecialSlot> {
        match &self.body {
            Body::Special(s) => Some(s),
            _ => None,
        }
    }

    fn seals(&self, add: u32) -> Result<u32> {
        // What stays executable must stay what it is, too.
        let whole = seal::SHRINK | seal::GROW | seal::WRITE | seal::FUTURE_WRITE;
        let more = if add & SEAL_EXEC != 0 && self.meta.lock().mode & 0o111 != 0 { whole } else { 0 };
        self.data().map_err(|_| Errno::EINVAL)?.seals(add | more)
    }

    fn add_links(&self, delta: i32) {
        let mut m = self.meta.lock();
        m.nlink = m.nlink.saturating_add_signed(delta);
    }
}

impl FileOps for TmpInode {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn read(&self, file: &File, dst: &mut IoBuf, off: u64) -> Result<usize> {
        let n = self.data()?.read(dst, off)?;
        self.accessed(file);
        Ok(n)
    }

    fn write(&self, file: &File, src: &mut IoBuf, off: u64) -> Result<usize> {
        let off = if file.appending() { None } else { Some(off) };
        let (n, end) = self.data()?.write(src, off)?;
        file.set_append_pos(end);
        if n > 0 {
            self.changed();
        }
        Ok(n)
    }

    fn is_stream(&self) -> bool {
        false
    }

    fn seek(&self, file: &File, off: i64, whence: u32) -> Result<u64> {
        let d = self.data()?;
        generic_seek(file, off, whence, d.size(), |off, hole| d.seek_data(off, hole))
    }

    fn pollable(&self) -> bool {
        false
    }

    fn map_extents(&self, _file: &File, off: u64, len: u64, kind: MapKind) -> Result<Vec<Extent>> {
        self.data()?.map_extents(off, len, kind)
    }

    fn text_identity(&self, _file: &File) -> Option<(u64, u64)> {
        // No host device has this number: contents of tmpfs files do not meet host files.
        const DEVICE: u64 = u64::MAX;
        Some((DEVICE, self.data().ok()?.content()?))
    }

    fn mapped(&self, _file: &File, writes: bool) -> bool {
        self.data().is_ok_and(|d| d.mapped(writes))
    }

    fn mapping_id(&self, _file: &File) -> usize {
        self.data().map_or(0, |d| core::ptr::from_ref(d) as usize)
    }

    fn unmapped(&self, _file: &File, writes: bool) {
        if let Ok(d) = self.data() {
            d.unmapped(writes);
        }
    }
}

impl Drop for TmpInode {
    fn drop(&mut self) {
        self.fs.quota.give_inode();
        let Body::Dir(entries) = &mut self.body else { return };
        // Whole trees go with an unmounted file system: one by one, not by recursion.
        let mut todo: Vec<Arc<TmpInode>> = core::mem::take(entries.get_mut()).into_values().collect();
        while let Some(a) = todo.pop() {
            let Some(i) = Arc::into_inner(a) else { continue };
            if let Body::Dir(e) = &i.body {
                todo.extend(core::mem::take(&mut *e.lock()).into_values());
            }
        }
    }
}
