//! Contents: one host descriptor a file, shared by all who have it open.

use crate::HostInode;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::Ordering;
use core_::file::{Extent, File, FileOps, MapKind, oflag};
use core_::io::IoBuf;
use core_::vfs::{Inode, generic_seek, kind};
use core_::{Errno, Result};
use host::file::HostFd;

impl HostInode {
    /// A descriptor for reading, or for reading and writing.
    pub(crate) fn fd(&self, write: bool) -> Result<Arc<HostFd>> {
        {
            let fds = self.fds.lock();
            if let Some(fd) = fds[1].as_ref().or(if write { None } else { fds[0].as_ref() }) {
                return Ok(fd.clone());
            }
        }
        if self.kind() != kind::FILE {
            return Err(Errno::EINVAL);
        }
        let root = self.fs.root_fd.raw();
        let path = self.path()?;
        // O_NONBLOCK: should the host have put a FIFO in the file's place, the open must not hang.
        let base = oflag::NOFOLLOW | oflag::NONBLOCK;
        let fd = if write {
            match crate::open_beneath(root, &path, base | oflag::RDWR, 0) {
                // Write-only by the host's permissions: reading will fail, honestly.
                Err(Errno::EACCES) => crate::open_beneath(root, &path, base | oflag::WRONLY, 0)?,
                r => r?,
            }
        } else {
            crate::open_beneath(root, &path, base | oflag::RDONLY, 0)?
        };
        let fd = Arc::new(fd);
        let kept = self.fds.lock()[usize::from(write)].get_or_insert(fd).clone();
        if let Some(me) = self.me.upgrade() {
            self.fs.note_fd(&me);
        }
        Ok(kept)
    }

    /// open(2): counts the opener, so that the descriptor stays, and makes sure that there is one.
    pub(crate) fn open_host(&self, flags: u32) -> Result<()> {
        if self.kind() != kind::FILE {
            return Err(Errno::ENXIO);
        }
        let write = flags & oflag::ACCMODE != oflag::RDONLY;
        if write {
            self.writable()?;
        }
        self.opens.fetch_add(1, Ordering::SeqCst);
        if !write && self.has_content() {
            return Ok(());
        }
        match self.fd(write) {
            Ok(_) => Ok(()),
            Err(e) => {
                self.opens.fetch_sub(1, Ordering::SeqCst);
                Err(e)
            }
        }
    }

    fn end(&self) -> Result<u64> {
        if self.live() { Ok(Inode::attr(self)?.size) } else { Ok(self.size.load(Ordering::Relaxed)) }
    }
}

impl FileOps for HostInode {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn read(&self, _file: &File, dst: &mut IoBuf, off: u64) -> Result<usize> {
        if off > i64::MAX as u64 {
            return Err(Errno::EINVAL);
        }
        if !self.live() && off >= self.size.load(Ordering::Relaxed) {
            return Ok(0);
        }
        if let Some(c) = self.content()? {
            return dst.put(c.get(off as usize..).unwrap_or_default());
        }
        dst.pread(self.fd(false)?.raw(), off)
    }

    fn write(&self, file: &File, src: &mut IoBuf, off: u64) -> Result<usize> {
        let off = if file.appending() { self.end()? } else { off };
        if off > i64::MAX as u64 {
            return Err(Errno::EFBIG);
        }
        let n = src.pwrite(self.fd(true)?.raw(), off)?;
        self.size.fetch_max(off + n as u64, Ordering::Relaxed);
        file.set_append_pos(off + n as u64);
        Ok(n)
    }

    fn is_stream(&self) -> bool {
        false
    }

    fn seek(&self, file: &File, off: i64, whence: u32) -> Result<u64> {
        // Only SEEK_END needs the size.
        let size = if whence == 2 { self.end()? } else { 0 };
        generic_seek(file, off, whence, size, |off, hole| self.seek_data(off, hole))
    }

    fn pollable(&self) -> bool {
        false
    }

    fn map_extents(&self, _file: &File, off: u64, len: u64, kind: MapKind) -> Result<Vec<Extent>> {
        if kind == MapKind::SharedWrite {
            self.writable().map_err(|_| Errno::EACCES)?;
        }
        // What a writer mapped and what others map must be one descriptor's pages anyway: the host's page cache.
        let fd = self.fd(kind == MapKind::SharedWrite)?;
        let end = off.saturating_add(len).min(self.end()?.next_multiple_of(4096));
        if off >= end {
            return Ok(Vec::new());
        }
        Ok(alloc::vec![Extent { offset: off, len: end - off, host: Some((fd.raw(), off)) }])
    }

    fn text_identity(&self, _file: &File) -> Option<(u64, u64)> {
        if !self.live() {
            return Some(self.id);
        }
        // A live file's content may change under the cache: its times and size are part of the identity.
        let a = Inode::attr(self).ok()?;
        let mut mix = self.id.0;
        for v in [a.size, a.mtime.0 as u64, u64::from(a.mtime.1), a.ctime.0 as u64, u64::from(a.ctime.1)] {
            mix = (mix ^ v).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
        }
        Some((mix, self.id.1))
    }

    fn content_is_fixed(&self, file: &File) -> bool {
        !self.live() && !file.writable()
    }

    fn release(&self, _file: &File) {
        let was = self.opens.fetch_sub(1, Ordering::SeqCst);
        // A removed file's storage must go with its last user. Whose content is kept is read without a descriptor from now on.
        if was == 1 && (self.place.lock().gone || self.has_content()) {
            self.close_idle();
        }
    }
}
