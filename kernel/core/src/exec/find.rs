//! Finding the file to execute, and asking whether it may be executed (execve(2)).

use crate::file::{File, oflag};
use crate::vfs::{self, Path, Walk, kind, perm};
use crate::{Errno, Result};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Opens `path` (relative to descriptor `dirfd`, or to the working directory) for execution. With `empty`, an empty path
/// means `dirfd` itself. Returns the file and the name that AT_EXECFN shows.
///
/// # Errors
/// `ENOENT`, `EACCES`, `ELOOP` and the like.
pub fn open_exec(dirfd: Option<i32>, path: &[u8], empty: bool, follow: bool) -> Result<(Arc<File>, Vec<u8>)> {
    const AT_FDCWD: i32 = -100;
    let dirfd = dirfd.filter(|fd| *fd != AT_FDCWD);
    let base = match dirfd {
        Some(fd) if path.first() != Some(&b'/') => Some(vfs::path_of_file(&crate::current().files().get(fd)?)?),
        _ => None,
    };
    let mut walk = Walk::new(base.clone());
    let (p, name) = match (dirfd, base) {
        (Some(fd), Some(p)) if path.is_empty() && empty => (p, alloc::format!("/dev/fd/{fd}").into_bytes()),
        (Some(fd), Some(_)) => {
            let mut name = alloc::format!("/dev/fd/{fd}/").into_bytes();
            name.extend_from_slice(path);
            (walk.lookup(path, follow)?, name)
        }
        // The working directory itself, which is not for execution.
        _ if path.is_empty() && empty => return Err(Errno::EACCES),
        _ => (walk.lookup(path, follow)?, path.to_vec()),
    };
    Ok((open_program(&walk, p)?, name))
}

/// [`open_exec`] with a prepared walk, without a calling thread.
///
/// # Errors
/// As [`open_exec`].
pub fn open_exec_as(walk: &mut Walk, path: &[u8]) -> Result<Arc<File>> {
    let p = walk.lookup(path, true)?;
    open_program(walk, p)
}

fn open_program(walk: &Walk, p: Path) -> Result<Arc<File>> {
    let inode = p.inode()?.clone();
    match inode.kind() {
        kind::FILE => {}
        kind::LINK => return Err(Errno::ELOOP),
        _ => return Err(Errno::EACCES),
    }
    perm::check(&inode, &walk.cred, perm::EXEC)?;
    if p.mnt.flags() & vfs::ms::NOEXEC != 0 {
        return Err(Errno::EACCES);
    }
    // Execution needs no read permission (execve(2)): the kernel reads, not the caller.
    let claim = vfs::busy::execute(&inode)?;
    let ops = inode.open(oflag::RDONLY)?;
    Ok(File::with_claim(ops, oflag::RDONLY, Some(p), Some(claim)))
}

/// Mode, owner and group of the program file, where set-user-ID and set-group-ID count (not on `nosuid` mounts).
#[must_use]
pub fn exec_ids(file: &File) -> Option<(u32, u32, u32)> {
    let path = file.path()?;
    if path.mnt.flags() & vfs::ms::NOSUID != 0 {
        return None;
    }
    let p = path.inode().ok()?.perm();
    Some((p.mode, p.uid, p.gid))
}
