//! Changing host files: writable volumes. Each path is one component of a directory that was opened beneath
//! the volume's root, so it can neither leave it nor pass through a link.

use crate::file::CPath;
use crate::{Errno, Result, syscall};

/// One component: anything with a slash, and `.` and `..`, would be a way out.
fn component(name: &[u8]) -> Result<CPath> {
    if name.is_empty() || name == b"." || name == b".." || name.contains(&b'/') {
        return Err(Errno::EINVAL);
    }
    CPath::new(name)
}

/// # Errors
/// The host's.
pub fn mkdirat(dir: i32, name: &[u8], mode: u32) -> Result<()> {
    let c = component(name)?;
    // SAFETY: a NUL-terminated path.
    Errno::from_ret(unsafe { syscall!(mkdirat, dir, c.as_ptr(), mode) }).map(drop)
}

/// Makes a FIFO, socket node or regular file (never a device: the host would refuse anyway).
///
/// # Errors
/// `EPERM` for a device; the host's.
pub fn mknodat(dir: i32, name: &[u8], mode: u32) -> Result<()> {
    if matches!(mode & 0o170_000, 0o020_000 | 0o060_000) {
        return Err(Errno::EPERM);
    }
    let c = component(name)?;
    // SAFETY: a NUL-terminated path.
    Errno::from_ret(unsafe { syscall!(mknodat, dir, c.as_ptr(), mode, 0) }).map(drop)
}

/// # Errors
/// The host's.
pub fn unlinkat(dir: i32, name: &[u8], directory: bool) -> Result<()> {
    const AT_REMOVEDIR: u32 = 0x200;
    let c = component(name)?;
    // SAFETY: a NUL-terminated path.
    Errno::from_ret(unsafe { syscall!(unlinkat, dir, c.as_ptr(), if directory { AT_REMOVEDIR } else { 0 }) }).map(drop)
}

/// # Errors
/// The host's.
pub fn renameat2(dir: i32, name: &[u8], new_dir: i32, new_name: &[u8], flags: u32) -> Result<()> {
    let (c, n) = (component(name)?, component(new_name)?);
    // SAFETY: NUL-terminated paths.
    Errno::from_ret(unsafe { syscall!(renameat2, dir, c.as_ptr(), new_dir, n.as_ptr(), flags) }).map(drop)
}

/// # Errors
/// The host's.
pub fn linkat(dir: i32, name: &[u8], new_dir: i32, new_name: &[u8]) -> Result<()> {
    let (c, n) = (component(name)?, component(new_name)?);
    // SAFETY: NUL-terminated paths; no flags: links are not followed.
    Errno::from_ret(unsafe { syscall!(linkat, dir, c.as_ptr(), new_dir, n.as_ptr(), 0) }).map(drop)
}

/// # Errors
/// The host's.
pub fn symlinkat(target: &[u8], dir: i32, name: &[u8]) -> Result<()> {
    let (t, c) = (CPath::new(target)?, component(name)?);
    // SAFETY: NUL-terminated paths.
    Errno::from_ret(unsafe { syscall!(symlinkat, t.as_ptr(), dir, c.as_ptr()) }).map(drop)
}

/// # Errors
/// The host's; links have no mode.
pub fn fchmodat(dir: i32, name: &[u8], mode: u32) -> Result<()> {
    let c = component(name)?;
    // SAFETY: a NUL-terminated path. fchmodat(2) follows links: the caller does not ask for one.
    Errno::from_ret(unsafe { syscall!(fchmodat, dir, c.as_ptr(), mode) }).map(drop)
}

/// # Errors
/// The host's.
pub fn fchmod(fd: i32, mode: u32) -> Result<()> {
    // SAFETY: no memory is touched.
    Errno::from_ret(unsafe { syscall!(fchmod, fd, mode) }).map(drop)
}

/// Changes the owner; `u32::MAX` keeps one. Links are not followed.
///
/// # Errors
/// The host's.
pub fn fchownat(dir: i32, name: &[u8], uid: u32, gid: u32) -> Result<()> {
    const AT_SYMLINK_NOFOLLOW: u32 = 0x100;
    let c = component(name)?;
    // SAFETY: a NUL-terminated path.
    Errno::from_ret(unsafe { syscall!(fchownat, dir, c.as_ptr(), uid, gid, AT_SYMLINK_NOFOLLOW) }).map(drop)
}

/// In the place of nanoseconds: the host's present time.
pub const UTIME_NOW: u32 = 0x3fff_ffff;

/// Sets times: access and modification as (seconds, nanoseconds), None to keep.
///
/// # Errors
/// The host's.
pub fn utimensat(dir: i32, name: &[u8], times: [Option<(i64, u32)>; 2]) -> Result<()> {
    const AT_SYMLINK_NOFOLLOW: u32 = 0x100;
    const UTIME_OMIT: i64 = 0x3fff_fffe;
    let c = component(name)?;
    let mut ts = [[0i64; 2]; 2];
    for (t, want) in ts.iter_mut().zip(times) {
        *t = want.map_or([0, UTIME_OMIT], |(s, ns)| [s, i64::from(ns)]);
    }
    // SAFETY: a NUL-terminated path and two timespecs.
    Errno::from_ret(unsafe { syscall!(utimensat, dir, c.as_ptr(), ts.as_ptr(), AT_SYMLINK_NOFOLLOW) }).map(drop)
}

/// fsync(2) or fdatasync(2).
///
/// # Errors
/// The host's.
pub fn fsync(fd: i32, data_only: bool) -> Result<()> {
    // SAFETY: no memory is touched.
    Errno::from_ret(unsafe { if data_only { syscall!(fdatasync, fd) } else { syscall!(fsync, fd) } }).map(drop)
}

/// lseek(2) with SEEK_DATA or SEEK_HOLE: the descriptor's position is not used for anything else.
///
/// # Errors
/// The host's.
pub fn seek_data(fd: i32, off: u64, hole: bool) -> Result<u64> {
    crate::file::seek(fd, off as i64, if hole { 4 } else { 3 })
}

/// struct statfs as 15 words (statfs(2)).
///
/// # Errors
/// The host's.
pub fn fstatfs(fd: i32) -> Result<[u64; 15]> {
    let mut buf = [0u64; 15];
    // SAFETY: struct statfs is 120 bytes.
    Errno::from_ret(unsafe { syscall!(fstatfs, fd, buf.as_mut_ptr()) })?;
    Ok(buf)
}

/// Value of an extended attribute; its length.
///
/// # Errors
/// The host's.
pub fn fgetxattr(fd: i32, name: &[u8], buf: &mut [u8]) -> Result<usize> {
    let c = CPath::new(name)?;
    // SAFETY: name and buffer are valid.
    Errno::from_ret(unsafe { syscall!(fgetxattr, fd, c.as_ptr(), buf.as_mut_ptr(), buf.len()) })
}

/// Names of the extended attributes.
///
/// # Errors
/// The host's.
pub fn flistxattr(fd: i32, buf: &mut [u8]) -> Result<usize> {
    // SAFETY: the buffer is valid.
    Errno::from_ret(unsafe { syscall!(flistxattr, fd, buf.as_mut_ptr(), buf.len()) })
}
