//! Inodes of an overlay.

use crate::Shared;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::Ordering;
use core_::file::{File, FileOps, oflag};
use core_::io::IoBuf;
use core_::vfs::{Attr, DirList, Inode, New, Perm, SetAttr, SpecialSlot, kind, now};
use core_::{Errno, Mutex, Result};
use once_cell::race::OnceBox;

/// What a directory says about a name itself, before the lower layer is asked.
enum Change {
    /// Made, moved or linked here.
    Is(Arc<OvInode>),
    /// Removed: what the lower layer has by this name is not seen.
    Whiteout,
}

type Changes = BTreeMap<Arc<[u8]>, Change>;

/// A file: a lower one, an upper one, or a lower one that has been copied up.
pub struct OvInode {
    fs: Arc<Shared>,
    kind: u32,
    ino: u64,
    lower: Option<Arc<dyn Inode>>,
    lower_id: Option<(u64, u64)>,
    /// Set once, under `copying`.
    upper: OnceBox<Arc<dyn Inode>>,
    /// Held while copying up: the copy takes host calls.
    copying: Mutex<()>,
    changes: Mutex<Changes>,
    special: SpecialSlot,
}

impl OvInode {
    /// The overlay's object for a lower file.
    pub(crate) fn of_lower(fs: &Arc<Shared>, lower: Arc<dyn Inode>) -> Result<Arc<OvInode>> {
        let a = lower.attr()?;
        let id = (a.dev, a.ino);
        let mut all = fs.by_lower.lock();
        if let Some(i) = all.get(&id).and_then(Weak::upgrade) {
            return Ok(i);
        }
        let i = Arc::new(OvInode {
            fs: fs.clone(),
            kind: lower.kind(),
            ino: a.ino,
            lower: Some(lower),
            lower_id: Some(id),
            upper: OnceBox::new(),
            copying: Mutex::new(()),
            changes: Mutex::default(),
            special: Mutex::default(),
        });
        all.insert(id, Arc::downgrade(&i));
        Ok(i)
    }

    pub(crate) fn of_upper(fs: &Arc<Shared>, upper: Arc<dyn Inode>) -> Arc<OvInode> {
        Arc::new(OvInode {
            fs: fs.clone(),
            kind: upper.kind(),
            ino: fs.next_ino.fetch_add(1, Ordering::Relaxed),
            lower: None,
            lower_id: None,
            upper: OnceBox::with_value(Box::new(upper)),
            copying: Mutex::new(()),
            changes: Mutex::default(),
            special: Mutex::default(),
        })
    }

    /// See [`crate::graft`].
    pub(crate) fn graft(dir: &Arc<dyn Inode>, name: &[u8], lower: Arc<dyn Inode>) -> Result<Arc<OvInode>> {
        let dir = Self::own(dir)?;
        let i = Self::of_lower(&dir.fs, lower)?;
        dir.dir_changed(i32::from(i.kind == kind::DIR))?;
        dir.put(name, i.clone());
        Ok(i)
    }

    fn own(inode: &Arc<dyn Inode>) -> Result<Arc<OvInode>> {
        inode.clone().into_any().downcast().map_err(|_| Errno::EXDEV)
    }

    fn upper(&self) -> Option<&Arc<dyn Inode>> {
        self.upper.get()
    }

    /// The layer that holds the truth now.
    fn top(&self) -> Result<&Arc<dyn Inode>> {
        self.upper().or(self.lower.as_ref()).ok_or(Errno::EIO)
    }

    /// The upper inode, made from the lower one if need be; `data` false leaves the contents behind (O_TRUNC).
    fn copy_up(&self, data: bool) -> Result<&Arc<dyn Inode>> {
        if let Some(u) = self.upper() {
            return Ok(u);
        }
        let _copying = self.copying.lock();
        if let Some(u) = self.upper() {
            return Ok(u);
        }
        let lower = self.lower.as_ref().ok_or(Errno::EIO)?;
        let a = lower.attr()?;
        let target = if self.kind == kind::LINK { lower.readlink()? } else { Arc::from(&b""[..]) };
        let new = New { mode: a.mode, uid: a.uid, gid: a.gid, rdev: a.rdev, target: &target };
        let upper = self.fs.upper.tmpfile(&new)?;
        if self.kind == kind::FILE && data {
            copy_data(lower, &upper, a.size)?;
        }
        for name in lower.listxattr()?.split(|b| *b == 0).filter(|n| !n.is_empty()) {
            upper.setxattr(name, &lower.getxattr(name)?, 0)?;
        }
        upper.add_links(a.nlink as i32 - upper.attr()?.nlink as i32);
        upper.setattr(&SetAttr { atime: Some(a.atime), mtime: Some(a.mtime), ..SetAttr::default() })?;
        let upper = self.upper.get_or_init(|| Box::new(upper));
        if let Some(id) = self.lower_id {
            let me = self.fs.by_lower.lock().get(&id).and_then(Weak::upgrade);
            if let Some(me) = me {
                self.fs.changed.lock().insert(id, me);
            }
        }
        Ok(upper)
    }

    /// The last name is gone: only who has the file open keeps it.
    fn forget(&self) {
        if let Some(id) = self.lower_id {
            let old = self.fs.changed.lock().remove(&id);
            drop(old);
        }
    }

    /// The directory's own times and link count change with its names.
    fn dir_changed(&self, links: i32) -> Result<()> {
        let u = self.copy_up(false)?;
        if links != 0 {
            u.add_links(links);
        }
        u.setattr(&SetAttr { mtime: Some(now()), ..SetAttr::default() })
    }

    fn lower_has(&self, name: &[u8]) -> bool {
        self.lower.as_ref().is_some_and(|l| l.lookup(name).is_ok())
    }

    fn put(&self, name: &[u8], i: Arc<OvInode>) {
        let old = self.changes.lock().insert(Arc::from(name), Change::Is(i));
        drop(old);
    }

    fn take(&self, name: &[u8]) {
        let old = if self.lower_has(name) {
            self.changes.lock().insert(Arc::from(name), Change::Whiteout)
        } else {
            self.changes.lock().remove(name)
        };
        drop(old);
    }

    fn dir(&self) -> Result<()> {
        if self.kind == kind::DIR { Ok(()) } else { Err(Errno::ENOTDIR) }
    }

    fn is_empty(&self) -> Result<bool> {
        Ok(self.merged()?.is_empty())
    }

    /// The names of both layers.
    fn merged(&self) -> Result<DirList> {
        self.dir()?;
        let mut out = DirList::new();
        let lower = match &self.lower {
            Some(l) => Some(l.list()?),
            None => None,
        };
        let changes = self.changes.lock();
        for (name, c) in changes.iter() {
            if let Change::Is(i) = c {
                out.push(name, i.ino, i.kind);
            }
        }
        if let Some(l) = lower {
            for (name, ino, dtype) in l.iter().filter(|(n, _, _)| !changes.contains_key(*n)) {
                out.push(name, ino, u32::from(dtype) << 12);
            }
        }
        Ok(out)
    }

    fn stamp(&self) -> Result<()> {
        // Sets the change time, which every setattr does.
        self.copy_up(true)?.setattr(&SetAttr::default())
    }
}

/// Copies a file's contents from layer to layer.
fn copy_data(from: &Arc<dyn Inode>, to: &Arc<dyn Inode>, size: u64) -> Result<()> {
    if size == 0 {
        return Ok(());
    }
    let src = File::new(from.clone().open(oflag::RDONLY)?, oflag::RDONLY);
    let dst = File::new(to.clone().open(oflag::RDWR)?, oflag::RDWR);
    let mut buf = alloc::vec![0u8; 131_072];
    let mut off = 0;
    while off < size {
        // Holes stay holes.
        match from.seek_data(off, false) {
            Ok(at) => off = at,
            Err(Errno::ENXIO) => break,
            Err(_) => {}
        }
        let n = src.read_at(&mut IoBuf::kernel_out(&mut buf), off)?;
        if n == 0 {
            break;
        }
        let mut part = IoBuf::kernel_in(&buf[..n]);
        while part.left() > 0 {
            let at = off + part.done() as u64;
            dst.write_at(&mut part, at)?;
        }
        off += n as u64;
    }
    to.truncate(size)
}

impl Inode for OvInode {
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
        Ok(Attr { dev: self.fs.dev, ino: self.ino, ..self.top()?.attr()? })
    }

    fn perm(&self) -> Perm {
        self.top().map_or(Perm { mode: self.kind, uid: 0, gid: 0 }, |i| i.perm())
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>> {
        self.dir()?;
        match self.changes.lock().get(name) {
            Some(Change::Is(i)) => return Ok(i.clone()),
            Some(Change::Whiteout) => return Err(Errno::ENOENT),
            None => {}
        }
        let lower = self.lower.as_ref().ok_or(Errno::ENOENT)?.lookup(name)?;
        Ok(OvInode::of_lower(&self.fs, lower)?)
    }

    fn create(&self, name: &[u8], new: &New) -> Result<Arc<dyn Inode>> {
        self.dir()?;
        let upper = self.fs.upper.tmpfile(new)?;
        upper.add_links(1);
        let i = OvInode::of_upper(&self.fs, upper);
        self.dir_changed(i32::from(i.kind == kind::DIR))?;
        self.put(name, i.clone());
        Ok(i)
    }

    fn link(&self, name: &[u8], target: &Arc<dyn Inode>) -> Result<()> {
        let t = Self::own(target)?;
        t.copy_up(true)?.add_links(1);
        t.stamp()?;
        self.dir_changed(0)?;
        self.put(name, t);
        Ok(())
    }

    fn unlink(&self, name: &[u8], inode: &Arc<dyn Inode>) -> Result<()> {
        let i = Self::own(inode)?;
        self.dir_changed(0)?;
        // A lower file that nobody changed need not be copied to be forgotten, unless it has other names.
        let others = i.attr()?.nlink > 1;
        if let Some(u) = if others { Some(i.copy_up(true)?) } else { i.upper() } {
            u.add_links(-1);
            u.setattr(&SetAttr::default())?;
        }
        if !others {
            i.forget();
        }
        self.take(name);
        Ok(())
    }

    fn rmdir(&self, name: &[u8], inode: &Arc<dyn Inode>) -> Result<()> {
        let i = Self::own(inode)?;
        if !i.is_empty()? {
            return Err(Errno::ENOTEMPTY);
        }
        self.dir_changed(-1)?;
        if let Some(u) = i.upper() {
            u.add_links(-2);
        }
        i.forget();
        self.take(name);
        Ok(())
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
        let (a, to) = (Self::own(old)?, Self::own(new_dir)?);
        let b = replaced.map(Self::own).transpose()?;
        let is_dir = |i: &OvInode| i32::from(i.kind == kind::DIR);
        if let Some(b) = b.as_ref().filter(|b| b.kind == kind::DIR && !exchange)
            && !b.is_empty()?
        {
            return Err(Errno::ENOTEMPTY);
        }
        // Everything that can fail comes before the first name changes.
        self.dir_changed(0)?;
        to.dir_changed(0)?;
        // A lower file keeps its contents where they are: only names change.
        if let Some(u) = a.upper() {
            u.setattr(&SetAttr::default())?;
        }
        if exchange {
            let b = b.ok_or(Errno::ENOENT)?;
            self.put(name, b.clone());
            to.put(new_name, a.clone());
            let shift = is_dir(&b) - is_dir(&a);
            self.dir_changed(shift)?;
            return to.dir_changed(-shift);
        }
        if let Some(b) = &b {
            if b.kind == kind::DIR {
                to.dir_changed(-1)?;
                if let Some(u) = b.upper() {
                    u.add_links(-2);
                }
                b.forget();
            } else {
                to.unlink(new_name, replaced.ok_or(Errno::EIO)?)?;
            }
        }
        self.take(name);
        to.put(new_name, a.clone());
        self.dir_changed(-is_dir(&a))?;
        to.dir_changed(is_dir(&a))
    }

    fn tmpfile(&self, new: &New) -> Result<Arc<dyn Inode>> {
        Ok(OvInode::of_upper(&self.fs, self.fs.upper.tmpfile(new)?))
    }

    fn list(&self) -> Result<Arc<DirList>> {
        if self.changes.lock().is_empty()
            && let Some(l) = &self.lower
        {
            return l.list();
        }
        Ok(Arc::new(self.merged()?))
    }

    fn readlink(&self) -> Result<Arc<[u8]>> {
        self.top()?.readlink()
    }

    fn open(self: Arc<Self>, flags: u32) -> Result<Arc<dyn FileOps>> {
        if self.kind != kind::FILE {
            return Err(Errno::ENXIO);
        }
        if flags & oflag::ACCMODE == oflag::RDONLY {
            return self.top()?.clone().open(flags);
        }
        self.copy_up(true)?.clone().open(flags)
    }

    fn setattr(&self, set: &SetAttr) -> Result<()> {
        self.copy_up(true)?.setattr(set)
    }

    fn truncate(&self, len: u64) -> Result<()> {
        if self.kind == kind::DIR {
            return Err(Errno::EISDIR);
        }
        self.copy_up(len > 0)?.truncate(len)
    }

    fn fallocate(&self, mode: u32, off: u64, len: u64) -> Result<()> {
        self.copy_up(true)?.fallocate(mode, off, len)
    }

    fn seek_data(&self, off: u64, hole: bool) -> Result<u64> {
        self.top()?.seek_data(off, hole)
    }

    fn getxattr(&self, name: &[u8]) -> Result<Vec<u8>> {
        self.top()?.getxattr(name)
    }

    fn setxattr(&self, name: &[u8], value: &[u8], flags: u32) -> Result<()> {
        self.copy_up(true)?.setxattr(name, value, flags)
    }

    fn removexattr(&self, name: &[u8]) -> Result<()> {
        self.copy_up(true)?.removexattr(name)
    }

    fn listxattr(&self) -> Result<Vec<u8>> {
        self.top()?.listxattr()
    }

    fn special(&self) -> Option<&SpecialSlot> {
        matches!(self.kind, kind::FIFO | kind::SOCKET | kind::CHAR).then_some(&self.special)
    }

    fn add_links(&self, delta: i32) {
        if let Ok(u) = self.copy_up(true) {
            u.add_links(delta);
        }
    }
}

impl Drop for OvInode {
    fn drop(&mut self) {
        if let Some(id) = self.lower_id {
            let mut all = self.fs.by_lower.lock();
            if all.get(&id).is_some_and(|w| w.strong_count() == 0) {
                all.remove(&id);
            }
        }
        // Trees go one by one, not by recursion.
        let mut todo: Vec<Change> = core::mem::take(self.changes.get_mut()).into_values().collect();
        while let Some(c) = todo.pop() {
            let Change::Is(a) = c else { continue };
            let Some(i) = Arc::into_inner(a) else { continue };
            todo.extend(core::mem::take(&mut *i.changes.lock()).into_values());
        }
    }
}
