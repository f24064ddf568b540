//! Open directories.

use super::{DirList, Path, generic_seek};
use crate::file::{File, FileOps};
use crate::io::IoBuf;
use crate::{Errno, Mutex, Result};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;

/// An open directory. Its entries are listed when reading starts at offset 0; POSIX leaves open whether later changes show.
/// Offsets count entries: 0 is `.`, 1 is `..`.
pub struct DirFile {
    path: Path,
    list: Mutex<Option<Arc<DirList>>>,
}

impl DirFile {
    #[must_use]
    pub fn new(path: Path) -> DirFile {
        DirFile { path, list: Mutex::default() }
    }

    /// The entries as of the last rewind.
    ///
    /// # Errors
    /// `ENOENT` in a removed directory; the file system's.
    pub fn entries(&self, fresh: bool) -> Result<Arc<DirList>> {
        if self.path.dentry.unlinked() {
            return Err(Errno::ENOENT);
        }
        if !fresh && let Some(l) = self.list.lock().as_ref() {
            return Ok(l.clone());
        }
        let l = self.path.inode()?.list()?;
        *self.list.lock() = Some(l.clone());
        Ok(l)
    }

    /// Inode numbers of `.` and `..`.
    fn own(&self) -> (u64, u64) {
        let me = self.path.inode().and_then(|i| i.attr()).map_or(0, |a| a.ino);
        let up = self.path.dentry.parent().and_then(|p| p.inode().and_then(|i| i.attr()).ok()).map_or(me, |a| a.ino);
        (me, up)
    }
}

/// Packs entries into `out`, at most `max` bytes, as struct linux_dirent64 (or linux_dirent with `old`). Advances the
/// file's position.
///
/// # Errors
/// `ENOTDIR` for other files, `EINVAL` where not even one entry fits.
pub fn fill_dents(file: &File, max: usize, old: bool) -> Result<Vec<u8>> {
    const DT_DIR: u8 = 4;
    let dir: &DirFile = file.downcast().ok_or(Errno::ENOTDIR)?;
    let mut pos = file.pos();
    let list = dir.entries(*pos == 0)?;
    let (me, up) = if *pos < 2 { dir.own() } else { (0, 0) };
    let mut out = Vec::with_capacity(max.min(4096));
    loop {
        let (name, ino, dtype) = match *pos {
            0 => (&b"."[..], me, DT_DIR),
            1 => (&b".."[..], up, DT_DIR),
            n => match usize::try_from(n - 2).ok().and_then(|i| list.get(i)) {
                Some(e) => e,
                None => break,
            },
        };
        let header = if old { 18 } else { 19 };
        // Old records carry the type in their last byte.
        let len = (header + name.len() + 1 + usize::from(old)).next_multiple_of(8);
        if out.len() + len > max {
            if out.is_empty() {
                return Err(Errno::EINVAL);
            }
            break;
        }
        let start = out.len();
        *pos += 1;
        out.extend_from_slice(&ino.to_le_bytes());
        out.extend_from_slice(&pos.to_le_bytes());
        out.extend_from_slice(&(len as u16).to_le_bytes());
        if !old {
            out.push(dtype);
        }
        out.extend_from_slice(name);
        out.resize(start + len, 0);
        if old {
            out[start + len - 1] = dtype;
        }
    }
    Ok(out)
}

impl FileOps for DirFile {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn read(&self, _file: &File, _dst: &mut IoBuf, _off: u64) -> Result<usize> {
        Err(Errno::EISDIR)
    }

    fn is_stream(&self) -> bool {
        false
    }

    fn seek(&self, file: &File, off: i64, whence: u32) -> Result<u64> {
        generic_seek(file, off, whence, i64::MAX as u64, |_, _| Err(Errno::EINVAL))
    }

    fn pollable(&self) -> bool {
        false
    }
}
