//! Names: listing, making, removing, moving; working directory and root.

use crate::args::Args;
use crate::path::{self, AT_EMPTY_PATH, AT_FDCWD, AT_REMOVEDIR, AT_SYMLINK_FOLLOW, AT_SYMLINK_NOFOLLOW};
use core_::task::Cap;
use core_::uaccess::{PATH_MAX, read_cstr, read_path, write_bytes};
use core_::vfs::{self, Path, kind, perm};
use core_::{Errno, Result, current};

fn masked(mode: u32) -> u32 {
    mode & 0o7777 & !current().fs().umask()
}

fn dents(a: &Args, old: bool) -> Result<i64> {
    let f = path::file(a.fd(0))?;
    if !f.readable() {
        return Err(Errno::EBADF);
    }
    // One call gives out at most this much: the rest comes with the next.
    let max = (a.u64(2) as u32 as usize).min(1 << 20);
    let before = *f.pos();
    let bytes = vfs::fill_dents(&f, max, old)?;
    // What could not be handed over comes again.
    write_bytes(a.u64(1), &bytes).inspect_err(|_| *f.pos() = before)?;
    Ok(bytes.len() as i64)
}

pub fn getdents(a: &Args) -> Result<i64> {
    dents(a, true)
}

pub fn getdents64(a: &Args) -> Result<i64> {
    dents(a, false)
}

fn do_mkdir(dirfd: i32, path: u64, mode: u32) -> Result<i64> {
    let path = read_path(path)?;
    vfs::mkdir(&mut path::walk(dirfd, &path)?, &path, masked(mode)).map(|()| 0)
}

pub fn mkdir(a: &Args) -> Result<i64> {
    do_mkdir(AT_FDCWD, a.u64(0), a.u32(1))
}

pub fn mkdirat(a: &Args) -> Result<i64> {
    do_mkdir(a.fd(0), a.u64(1), a.u32(2))
}

fn do_unlink(dirfd: i32, path: u64, flags: u32) -> Result<i64> {
    if flags & !AT_REMOVEDIR != 0 {
        return Err(Errno::EINVAL);
    }
    let path = read_path(path)?;
    let mut w = path::walk(dirfd, &path)?;
    if flags & AT_REMOVEDIR != 0 { vfs::rmdir(&mut w, &path) } else { vfs::unlink(&mut w, &path) }.map(|()| 0)
}

pub fn rmdir(a: &Args) -> Result<i64> {
    do_unlink(AT_FDCWD, a.u64(0), AT_REMOVEDIR)
}

pub fn unlink(a: &Args) -> Result<i64> {
    do_unlink(AT_FDCWD, a.u64(0), 0)
}

pub fn unlinkat(a: &Args) -> Result<i64> {
    do_unlink(a.fd(0), a.u64(1), a.u32(2))
}

fn do_rename(old_fd: i32, old: u64, new_fd: i32, new: u64, flags: u32) -> Result<i64> {
    let (old, new) = (read_path(old)?, read_path(new)?);
    let (mut w, mut w2) = (path::walk(old_fd, &old)?, path::walk(new_fd, &new)?);
    vfs::rename(&mut w, &old, &mut w2, &new, flags).map(|()| 0)
}

pub fn rename(a: &Args) -> Result<i64> {
    do_rename(AT_FDCWD, a.u64(0), AT_FDCWD, a.u64(1), 0)
}

pub fn renameat(a: &Args) -> Result<i64> {
    do_rename(a.fd(0), a.u64(1), a.fd(2), a.u64(3), 0)
}

pub fn renameat2(a: &Args) -> Result<i64> {
    do_rename(a.fd(0), a.u64(1), a.fd(2), a.u64(3), a.u32(4))
}

fn do_link(old_fd: i32, old: u64, new_fd: i32, new: u64, flags: u32) -> Result<i64> {
    if flags & !(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    if flags & AT_EMPTY_PATH != 0 && !current().cred().has(Cap::DacReadSearch) {
        return Err(Errno::ENOENT);
    }
    let nofollow = if flags & AT_SYMLINK_FOLLOW != 0 { 0 } else { AT_SYMLINK_NOFOLLOW };
    let from = path::target_path(old_fd, old, nofollow | flags & AT_EMPTY_PATH)?;
    let new = read_path(new)?;
    vfs::link(&mut path::walk(new_fd, &new)?, &from, &new).map(|()| 0)
}

pub fn link(a: &Args) -> Result<i64> {
    do_link(AT_FDCWD, a.u64(0), AT_FDCWD, a.u64(1), 0)
}

pub fn linkat(a: &Args) -> Result<i64> {
    do_link(a.fd(0), a.u64(1), a.fd(2), a.u64(3), a.u32(4))
}

fn do_symlink(target: u64, dirfd: i32, path: u64) -> Result<i64> {
    let target = read_cstr(target, PATH_MAX, Errno::ENAMETOOLONG)?;
    let path = read_path(path)?;
    vfs::symlink(&mut path::walk(dirfd, &path)?, &target, &path).map(|()| 0)
}

pub fn symlink(a: &Args) -> Result<i64> {
    do_symlink(a.u64(0), AT_FDCWD, a.u64(1))
}

pub fn symlinkat(a: &Args) -> Result<i64> {
    do_symlink(a.u64(0), a.fd(1), a.u64(2))
}

fn do_readlink(dirfd: i32, path: u64, buf: u64, size: i64) -> Result<i64> {
    if size <= 0 {
        return Err(Errno::EINVAL);
    }
    let bytes = read_path(path)?;
    // An empty path names the link that dirfd was opened on with O_PATH|O_NOFOLLOW.
    let flags = if bytes.is_empty() && dirfd != AT_FDCWD { AT_EMPTY_PATH } else { 0 };
    let p = path::target_path(dirfd, path, AT_SYMLINK_NOFOLLOW | flags)?;
    let inode = p.inode()?;
    if inode.kind() != kind::LINK {
        return Err(if bytes.is_empty() { Errno::ENOENT } else { Errno::EINVAL });
    }
    let t = inode.readlink()?;
    let n = t.len().min(size as usize);
    write_bytes(buf, &t[..n])?;
    Ok(n as i64)
}

pub fn readlink(a: &Args) -> Result<i64> {
    do_readlink(AT_FDCWD, a.u64(0), a.u64(1), a.i64(2))
}

pub fn readlinkat(a: &Args) -> Result<i64> {
    do_readlink(a.fd(0), a.u64(1), a.u64(2), a.i64(3))
}

fn do_mknod(dirfd: i32, path: u64, mode: u32, dev: u64) -> Result<i64> {
    let what = match mode & kind::MASK {
        0 => kind::FILE,
        k @ (kind::FILE | kind::FIFO | kind::SOCKET | kind::CHAR | kind::BLOCK) => k,
        kind::DIR => return Err(Errno::EPERM),
        _ => return Err(Errno::EINVAL),
    };
    let path = read_path(path)?;
    vfs::mknod(&mut path::walk(dirfd, &path)?, &path, what | masked(mode), dev & 0xffff_ffff).map(|_| 0)
}

pub fn mknod(a: &Args) -> Result<i64> {
    do_mknod(AT_FDCWD, a.u64(0), a.u32(1), a.u64(2))
}

pub fn mknodat(a: &Args) -> Result<i64> {
    do_mknod(a.fd(0), a.u64(1), a.u32(2), a.u64(3))
}

fn enter(p: &Path) -> Result<()> {
    let inode = p.inode()?;
    if inode.kind() != kind::DIR {
        return Err(Errno::ENOTDIR);
    }
    perm::check(inode, &current().cred(), perm::EXEC)
}

pub fn chdir(a: &Args) -> Result<i64> {
    let path = read_path(a.u64(0))?;
    let p = vfs::lookup(&path, true)?;
    enter(&p)?;
    current().fs().set_cwd(p);
    Ok(0)
}

pub fn fchdir(a: &Args) -> Result<i64> {
    let p = path::file(a.fd(0))?.path().cloned().ok_or(Errno::ENOTDIR)?;
    enter(&p)?;
    current().fs().set_cwd(p);
    Ok(0)
}

pub fn chroot(a: &Args) -> Result<i64> {
    let path = read_path(a.u64(0))?;
    let p = vfs::lookup(&path, true)?;
    enter(&p)?;
    if !current().cred().has(Cap::SysChroot) {
        return Err(Errno::EPERM);
    }
    current().fs().set_root(p);
    Ok(0)
}

pub fn getcwd(a: &Args) -> Result<i64> {
    let cwd = current().fs().cwd();
    if cwd.dentry.unlinked() {
        return Err(Errno::ENOENT);
    }
    let mut text = cwd.display();
    text.push(0);
    if text.len() > PATH_MAX {
        return Err(Errno::ENAMETOOLONG);
    }
    if (text.len() as u64) > a.u64(1) {
        return Err(Errno::ERANGE);
    }
    write_bytes(a.u64(0), &text)?;
    Ok(text.len() as i64)
}
