//! Changes: writable volumes.

use crate::HostInode;
use crate::inode::Place;
use alloc::sync::Arc;
use core_::file::oflag;
use core_::vfs::{Inode, New, SetAttr, Time, kind};
use core_::{Errno, Result};

impl HostInode {
    pub(crate) fn host_create(&self, name: &[u8], new: &New) -> Result<Arc<dyn Inode>> {
        self.writable()?;
        let dir = self.dir_fd()?;
        let mode = new.mode & 0o7777;
        let mut opened = None;
        match new.mode & kind::MASK {
            // Created open: the mode may forbid what the creator does with it next (git's objects are 0444).
            kind::FILE => {
                let flags = oflag::CREAT | oflag::EXCL | oflag::RDWR | oflag::NOFOLLOW;
                opened = Some(crate::open_beneath(dir.raw(), name, flags, mode)?);
            }
            kind::DIR => host::volume::mkdirat(dir.raw(), name, mode)?,
            kind::LINK => host::volume::symlinkat(new.target, dir.raw(), name)?,
            _ => host::volume::mknodat(dir.raw(), name, new.mode)?,
        }
        if new.mode & kind::MASK != kind::LINK {
            // The host process's umask must not count: the guest's was applied already.
            host::volume::fchmodat(dir.raw(), name, mode)?;
        }
        if new.uid != 0 || new.gid != 0 {
            // Possible only where the VM runs as the host's root; else the file is the invoking user's, as files of a
            // volume are.
            let _ = host::volume::fchownat(dir.raw(), name, self.fs.uid_out(new.uid), self.fs.gid_out(new.gid));
        }
        let inode = self.lookup(name)?;
        if let (Some(fd), Ok(i)) = (opened, Self::own(&inode)) {
            i.fds.lock()[1] = Some(Arc::new(fd));
            self.fs.note_fd(&i);
        }
        Ok(inode)
    }

    pub(crate) fn host_link(&self, name: &[u8], target: &Arc<dyn Inode>) -> Result<()> {
        self.writable()?;
        let t = Self::own(target)?;
        let (parent, old) = {
            let p = t.place.lock();
            if p.gone {
                return Err(Errno::ENOENT);
            }
            (p.parent.clone().ok_or(Errno::EPERM)?, p.name.clone())
        };
        host::volume::linkat(parent.dir_fd()?.raw(), &old, self.dir_fd()?.raw(), name)
    }

    /// A file that the guest still has open is opened at the host first, for its contents outlive the name.
    pub(crate) fn host_unlink(&self, name: &[u8], inode: &Arc<dyn Inode>, directory: bool) -> Result<()> {
        self.writable()?;
        host::volume::unlinkat(self.dir_fd()?.raw(), name, directory)?;
        if let Ok(i) = Self::own(inode) {
            i.lost(self, name);
        }
        Ok(())
    }

    /// The file lost this name; where it was found by it, it can not be asked for any more.
    fn lost(&self, dir: &HostInode, name: &[u8]) {
        let mut p = self.place.lock();
        if p.name == name && p.parent.as_ref().is_some_and(|d| core::ptr::eq(&raw const **d, dir)) {
            p.gone = true;
        }
    }

    pub(crate) fn host_rename(
        &self,
        name: &[u8],
        old: &Arc<dyn Inode>,
        new_dir: &Arc<dyn Inode>,
        new_name: &[u8],
        replaced: Option<&Arc<dyn Inode>>,
        exchange: bool,
    ) -> Result<()> {
        const RENAME_EXCHANGE: u32 = 2;
        self.writable()?;
        let to = Self::own(new_dir)?;
        let flags = if exchange { RENAME_EXCHANGE } else { 0 };
        host::volume::renameat2(self.dir_fd()?.raw(), name, to.dir_fd()?.raw(), new_name, flags)?;
        if let Some(r) = replaced.and_then(|r| Self::own(r).ok()) {
            if exchange {
                r.moved(self.me.upgrade(), name);
            } else {
                r.lost(&to, new_name);
            }
        }
        Self::own(old)?.moved(Some(to), new_name);
        Ok(())
    }

    fn moved(&self, parent: Option<Arc<HostInode>>, name: &[u8]) {
        let old = core::mem::replace(&mut *self.place.lock(), Place { parent, name: name.to_vec(), gone: false });
        drop(old);
    }

    pub(crate) fn host_setattr(&self, set: &SetAttr) -> Result<()> {
        self.writable()?;
        let (parent, name, gone) = {
            let p = self.place.lock();
            (p.parent.clone(), p.name.clone(), p.gone)
        };
        let Some(parent) = parent.filter(|_| !gone) else {
            return match (set.mode, self.kind()) {
                // A removed file, or the volume's root: by descriptor.
                (Some(mode), kind::FILE) => host::volume::fchmod(self.fd(true)?.raw(), mode & 0o7777),
                (Some(mode), kind::DIR) => host::volume::fchmod(self.dir_fd()?.raw(), mode & 0o7777),
                _ => Err(Errno::EPERM),
            };
        };
        let dir = parent.dir_fd()?;
        if set.uid.is_some() || set.gid.is_some() {
            let uid = set.uid.map_or(u32::MAX, |u| self.fs.uid_out(u));
            let gid = set.gid.map_or(u32::MAX, |g| self.fs.gid_out(g));
            host::volume::fchownat(dir.raw(), &name, uid, gid)?;
        }
        if let Some(mode) = set.mode {
            if self.kind() == kind::LINK {
                return Err(Errno::EOPNOTSUPP);
            }
            host::volume::fchmodat(dir.raw(), &name, mode & 0o7777)?;
        }
        if set.atime.is_some() || set.mtime.is_some() {
            // The host's clock for its files is finer than the guest's: a time of ours could be before those it gave.
            let time = |t: Option<Time>, now: bool| t.map(|t| if now { (0, host::volume::UTIME_NOW) } else { t });
            let times = [time(set.atime, set.now[0]), time(set.mtime, set.now[1])];
            host::volume::utimensat(dir.raw(), &name, times)?;
        }
        self.refresh().map(drop)
    }
}
