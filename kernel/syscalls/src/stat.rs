//! Attributes: the stat family, statfs, access.

use crate::args::Args;
use crate::path::{self, AT_EACCESS, AT_EMPTY_PATH, AT_FDCWD, AT_NO_AUTOMOUNT, AT_SYMLINK_NOFOLLOW, Target};
use abi::linux;
use alloc::sync::Arc;
use core_::fd::InUse;
use core_::task::{Cap, Cred};
use core_::uaccess::{UserPtr, read_path, zeroed};
use core_::vfs::{self, Attr, Mount, Path, kind, major, minor, perm};
use core_::{Errno, Result, current};

fn to_stat(a: &Attr) -> linux::stat {
    let mut s: linux::stat = zeroed();
    s.st_dev = a.dev;
    s.st_ino = a.ino;
    s.st_nlink = u64::from(a.nlink);
    s.st_mode = a.mode;
    s.st_uid = a.uid;
    s.st_gid = a.gid;
    s.st_rdev = a.rdev;
    s.st_size = a.size as i64;
    s.st_blksize = i64::from(a.blksize);
    s.st_blocks = a.blocks as i64;
    s.st_atime = a.atime.0 as u64;
    s.st_atime_nsec = u64::from(a.atime.1);
    s.st_mtime = a.mtime.0 as u64;
    s.st_mtime_nsec = u64::from(a.mtime.1);
    s.st_ctime = a.ctime.0 as u64;
    s.st_ctime_nsec = u64::from(a.ctime.1);
    s
}

fn put(to: u64, a: &Attr) -> Result<i64> {
    UserPtr::new(to).write(to_stat(a))?;
    Ok(0)
}

fn attr(p: &Path) -> Result<Attr> {
    p.inode()?.attr()
}

pub fn stat(a: &Args) -> Result<i64> {
    let path = read_path(a.u64(0))?;
    put(a.u64(1), &attr(&vfs::lookup(&path, true)?)?)
}

pub fn lstat(a: &Args) -> Result<i64> {
    let path = read_path(a.u64(0))?;
    put(a.u64(1), &attr(&vfs::lookup(&path, false)?)?)
}

pub fn fstat(a: &Args) -> Result<i64> {
    put(a.u64(1), &vfs::file_attr(&**InUse::get(a.fd(0))?)?)
}

/// What an AT_EMPTY_PATH call with an empty path asks of a descriptor (glibc's fstat is one): None for any other.
fn descriptor_attr(dirfd: i32, path: u64, flags: u32) -> Option<Result<Attr>> {
    let empty = flags & AT_EMPTY_PATH != 0 && dirfd >= 0 && (path == 0 || UserPtr::<u8>::new(path).read() == Ok(0));
    empty.then(|| vfs::file_attr(&**InUse::get(dirfd)?))
}

fn target_attr(dirfd: i32, path: u64, flags: u32) -> Result<(Attr, Option<Path>)> {
    Ok(match path::target(dirfd, path, flags)? {
        Target::Path(p) => (attr(&p)?, Some(p)),
        Target::File(f) => (vfs::file_attr(&f)?, None),
    })
}

pub fn newfstatat(a: &Args) -> Result<i64> {
    let flags = a.u32(3);
    if flags & !(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    let (dirfd, path) = (a.fd(0), a.u64(1));
    if let Some(attr) = descriptor_attr(dirfd, path, flags) {
        return put(a.u64(2), &attr?);
    }
    // Not by `target_attr`: attributes that two ways lead to are copied once more, a tenth of the call.
    match path::target(dirfd, path, flags)? {
        Target::Path(p) => put(a.u64(2), &attr(&p)?),
        Target::File(f) => put(a.u64(2), &vfs::file_attr(&f)?),
    }
}

pub fn statx(a: &Args) -> Result<i64> {
    const SYNC_TYPES: u32 = 0x6000;
    const RESERVED: u32 = 0x8000_0000;
    const BASIC_STATS: u32 = 0x7ff;
    const BTIME: u32 = 0x800;
    const MNT_ID: u32 = 0x1000;
    const ATTR_MOUNT_ROOT: u64 = 0x2000;
    let (flags, mask) = (a.u32(2), a.u32(3));
    if flags & !(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | SYNC_TYPES) != 0
        || flags & SYNC_TYPES == SYNC_TYPES
        || mask & RESERVED != 0
    {
        return Err(Errno::EINVAL);
    }
    let (at, p) = target_attr(a.fd(0), a.u64(1), flags)?;
    let mut s: linux::statx = zeroed();
    s.stx_mask = BASIC_STATS | BTIME;
    s.stx_blksize = at.blksize;
    s.stx_nlink = at.nlink;
    s.stx_uid = at.uid;
    s.stx_gid = at.gid;
    s.stx_mode = at.mode as u16;
    s.stx_ino = at.ino;
    s.stx_size = at.size;
    s.stx_blocks = at.blocks;
    for (to, (sec, ns)) in [
        (&mut s.stx_atime, at.atime),
        (&mut s.stx_mtime, at.mtime),
        (&mut s.stx_ctime, at.ctime),
        (&mut s.stx_btime, at.btime),
    ] {
        to.tv_sec = sec;
        to.tv_nsec = ns;
    }
    s.stx_rdev_major = major(at.rdev);
    s.stx_rdev_minor = minor(at.rdev);
    s.stx_dev_major = major(at.dev);
    s.stx_dev_minor = minor(at.dev);
    s.stx_attributes_mask = ATTR_MOUNT_ROOT;
    if let Some(p) = p {
        s.stx_mask |= MNT_ID;
        s.stx_mnt_id = u64::from(p.mnt.id);
        if Arc::ptr_eq(&p.mnt.root, &p.dentry) {
            s.stx_attributes |= ATTR_MOUNT_ROOT;
        }
    }
    UserPtr::new(a.u64(4)).write(s)?;
    Ok(0)
}

fn put_statfs(to: u64, m: &Mount) -> Result<i64> {
    const ST_VALID: i64 = 0x20;
    let f = m.fs.statfs()?;
    let mut s: linux::statfs = zeroed();
    s.f_type = f.magic as i64;
    s.f_bsize = f.bsize as i64;
    s.f_blocks = f.blocks as i64;
    s.f_bfree = f.bfree as i64;
    s.f_bavail = f.bavail as i64;
    s.f_files = f.files as i64;
    s.f_ffree = f.ffree as i64;
    s.f_fsid.val = [f.fsid as i32, (f.fsid >> 32) as i32];
    s.f_namelen = 255;
    s.f_frsize = f.bsize as i64;
    // ST_RDONLY, ST_NOSUID, ST_NODEV, ST_NOEXEC have the mount flags' numbers.
    s.f_flags = i64::from(m.flags() & 0xf) | ST_VALID;
    UserPtr::new(to).write(s)?;
    Ok(0)
}

pub fn statfs(a: &Args) -> Result<i64> {
    let path = read_path(a.u64(0))?;
    put_statfs(a.u64(1), &vfs::lookup(&path, true)?.mnt)
}

pub fn fstatfs(a: &Args) -> Result<i64> {
    const PIPEFS_MAGIC: i64 = 0x5049_5045;
    const SOCKFS_MAGIC: i64 = 0x534f_434b;
    const ANON_INODE_FS_MAGIC: i64 = 0x0904_1934;
    let f = path::file(a.fd(0))?;
    if let Some(p) = f.path() {
        return put_statfs(a.u64(1), &p.mnt);
    }
    let mut s: linux::statfs = zeroed();
    s.f_type = match vfs::file_attr(&f)?.mode & kind::MASK {
        kind::FIFO => PIPEFS_MAGIC,
        kind::SOCKET => SOCKFS_MAGIC,
        _ => ANON_INODE_FS_MAGIC,
    };
    s.f_bsize = 4096;
    s.f_frsize = 4096;
    s.f_namelen = 255;
    UserPtr::new(a.u64(1)).write(s)?;
    Ok(0)
}

/// With the real ids, as access(2) asks; the capabilities are those that root by real id would have.
fn real(cred: &Cred) -> Cred {
    Cred {
        fsuid: cred.uid,
        fsgid: cred.gid,
        cap_effective: if cred.uid == 0 { cred.cap_permitted } else { 0 },
        ..cred.clone()
    }
}

fn do_access(dirfd: i32, path: u64, mode: u32, flags: u32) -> Result<i64> {
    if mode & !7 != 0 || flags & !(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    // Without AT_EACCESS the whole way is walked as the real user, too.
    let p = if flags & (AT_EACCESS | AT_EMPTY_PATH) != 0 {
        path::target_path(dirfd, path, flags)?
    } else {
        let name = core_::uaccess::read_path(path)?;
        let mut w = path::walk(dirfd, &name)?;
        w.set_cred(Arc::new(real(&current().cred())));
        w.lookup(&name, flags & AT_SYMLINK_NOFOLLOW == 0)?
    };
    let inode = p.inode()?;
    let what = inode.kind();
    if mode & perm::WRITE != 0 && p.mnt.read_only() && matches!(what, kind::FILE | kind::DIR | kind::LINK) {
        return Err(Errno::EROFS);
    }
    if mode & perm::EXEC != 0 && what == kind::FILE && p.mnt.flags() & vfs::ms::NOEXEC != 0 {
        return Err(Errno::EACCES);
    }
    let cred = current().cred();
    let same = cred.fsuid == cred.uid && cred.fsgid == cred.gid;
    if flags & AT_EACCESS != 0 || (same && (cred.uid == 0) == cred.has(Cap::DacOverride)) {
        perm::check(inode, &cred, mode)?;
    } else {
        perm::check(inode, &real(&cred), mode)?;
    }
    Ok(0)
}

pub fn access(a: &Args) -> Result<i64> {
    do_access(AT_FDCWD, a.u64(0), a.u32(1), 0)
}

pub fn faccessat(a: &Args) -> Result<i64> {
    do_access(a.fd(0), a.u64(1), a.u32(2), 0)
}

pub fn faccessat2(a: &Args) -> Result<i64> {
    do_access(a.fd(0), a.u64(1), a.u32(2), a.u32(3))
}
