//! What the path calls have in common: directory descriptors, paths from application memory, AT_* flags.

use alloc::sync::Arc;
use core_::file::File;
use core_::uaccess::{PathBytes, read_path};
use core_::vfs::{Path, Walk};
use core_::{Errno, Result, current};

pub const AT_FDCWD: i32 = -100;
pub const AT_SYMLINK_NOFOLLOW: u32 = 0x100;
/// Also AT_REMOVEDIR.
pub const AT_EACCESS: u32 = 0x200;
pub const AT_REMOVEDIR: u32 = 0x200;
pub const AT_SYMLINK_FOLLOW: u32 = 0x400;
pub const AT_NO_AUTOMOUNT: u32 = 0x800;
pub const AT_EMPTY_PATH: u32 = 0x1000;

/// The open file `fd` of the calling thread.
pub fn file(fd: i32) -> Result<Arc<File>> {
    current().files().get(fd)
}

/// Where a relative path starts. None: at the working directory.
pub fn base(dirfd: i32) -> Result<Option<Path>> {
    if dirfd == AT_FDCWD {
        return Ok(None);
    }
    let p = file(dirfd)?.path().cloned().ok_or(Errno::ENOTDIR)?;
    Ok(Some(p))
}

/// A walk for `path`: the descriptor is only looked at where the path is relative.
pub fn walk(dirfd: i32, path: &[u8]) -> Result<Walk> {
    // Said before anything about the descriptor.
    if path.is_empty() {
        return Err(Errno::ENOENT);
    }
    let b = if path.first() == Some(&b'/') { None } else { base(dirfd)? };
    if let Some(p) = &b
        && !p.dentry.is_dir()
    {
        return Err(Errno::ENOTDIR);
    }
    Ok(Walk::new(b))
}

/// A place for the *at calls: the path beneath `dirfd`, or with AT_EMPTY_PATH what `dirfd` itself refers to.
pub enum Target {
    Path(Path),
    /// An open file without a path: a pipe or socket.
    File(Arc<File>),
}

/// Finds the target of a call with AT_SYMLINK_NOFOLLOW and AT_EMPTY_PATH.
pub fn target(dirfd: i32, path_addr: u64, flags: u32) -> Result<Target> {
    let path = if path_addr == 0 && flags & AT_EMPTY_PATH != 0 { PathBytes::new() } else { read_path(path_addr)? };
    if path.is_empty() && flags & AT_EMPTY_PATH != 0 {
        if dirfd == AT_FDCWD {
            return Ok(Target::Path(current().fs().cwd()));
        }
        let f = file(dirfd)?;
        return Ok(match f.path() {
            Some(p) => Target::Path(p.clone()),
            None => Target::File(f),
        });
    }
    let mut w = walk(dirfd, &path)?;
    Ok(Target::Path(w.lookup(&path, flags & AT_SYMLINK_NOFOLLOW == 0)?))
}

/// As [`target`], for calls that need an inode.
pub fn target_path(dirfd: i32, path_addr: u64, flags: u32) -> Result<Path> {
    match target(dirfd, path_addr, flags)? {
        Target::Path(p) => Ok(p),
        Target::File(f) => core_::vfs::path_of_file(&f),
    }
}
