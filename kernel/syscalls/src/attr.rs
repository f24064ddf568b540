//! Changing attributes, lengths and extended attributes; synchronising.

use crate::args::Args;
use crate::path::{self, AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW, file};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core_::file::oflag;
use core_::signal::{SigInfo, send_process, sig};
use core_::task::Cap;
use core_::uaccess::{UserPtr, read_bytes, read_cstr, write_bytes};
use core_::vfs::{self, Inode, Path, SetAttr, Time, kind, now, perm};
use core_::{Errno, Result, current};

fn writable(p: &Path) -> Result<&Arc<dyn Inode>> {
    if p.mnt.read_only() { Err(Errno::EROFS) } else { p.inode() }
}

/// What an open file that is not O_PATH refers to.
fn fd_path(fd: i32) -> Result<Path> {
    let f = file(fd)?;
    if f.flags() & oflag::PATH != 0 {
        return Err(Errno::EBADF);
    }
    vfs::path_of_file(&f)
}

fn change_mode(p: &Path, mode: u32) -> Result<i64> {
    let inode = writable(p)?;
    let cred = current().cred();
    let old = inode.perm();
    if !perm::owner_or_capable(old, &cred) {
        return Err(Errno::EPERM);
    }
    let mut mode = mode & 0o7777;
    if inode.kind() == kind::LINK {
        return Err(Errno::EOPNOTSUPP);
    }
    if !cred.in_group(old.gid) && !cred.has(Cap::Fsetid) {
        mode &= !kind::SETGID;
    }
    inode.setattr(&SetAttr { mode: Some(mode), ..SetAttr::default() }).map(|()| 0)
}

pub fn chmod(a: &Args) -> Result<i64> {
    change_mode(&path::target_path(AT_FDCWD, a.u64(0), 0)?, a.u32(1))
}

pub fn fchmod(a: &Args) -> Result<i64> {
    change_mode(&fd_path(a.fd(0))?, a.u32(1))
}

pub fn fchmodat(a: &Args) -> Result<i64> {
    change_mode(&path::target_path(a.fd(0), a.u64(1), 0)?, a.u32(2))
}

pub fn fchmodat2(a: &Args) -> Result<i64> {
    if a.u32(3) & !(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    change_mode(&path::target_path(a.fd(0), a.u64(1), a.u32(3))?, a.u32(2))
}

fn change_owner(p: &Path, uid: u32, gid: u32) -> Result<i64> {
    let inode = writable(p)?;
    let cred = current().cred();
    let old = inode.perm();
    let set = |v: u32| (v != u32::MAX).then_some(v);
    let (uid, gid) = (set(uid), set(gid));
    if !cred.has(Cap::Chown) {
        let own = cred.fsuid == old.uid;
        let uid_ok = uid.is_none_or(|u| own && u == old.uid);
        let gid_ok = gid.is_none_or(|g| own && (g == old.gid || cred.in_group(g)));
        if !uid_ok || !gid_ok {
            return Err(Errno::EPERM);
        }
    }
    // A new owner gets no set-ID rights with the file (chown(2)).
    let mode = perm::without_set_ids(old, &cred);
    inode.setattr(&SetAttr { mode, uid, gid, ..SetAttr::default() }).map(|()| 0)
}

pub fn chown(a: &Args) -> Result<i64> {
    change_owner(&path::target_path(AT_FDCWD, a.u64(0), 0)?, a.u32(1), a.u32(2))
}

pub fn lchown(a: &Args) -> Result<i64> {
    change_owner(&path::target_path(AT_FDCWD, a.u64(0), AT_SYMLINK_NOFOLLOW)?, a.u32(1), a.u32(2))
}

pub fn fchown(a: &Args) -> Result<i64> {
    change_owner(&fd_path(a.fd(0))?, a.u32(1), a.u32(2))
}

pub fn fchownat(a: &Args) -> Result<i64> {
    let flags = a.u32(4);
    if flags & !(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    change_owner(&path::target_path(a.fd(0), a.u64(1), flags)?, a.u32(2), a.u32(3))
}

/// A time to set: None keeps it; the bool says "now", which needs less permission.
type Wanted = [(Option<Time>, bool); 2];

fn change_times(p: &Path, t: Wanted) -> Result<i64> {
    let inode = writable(p)?;
    let cred = current().cred();
    let both_now = t.iter().all(|(_, now)| *now);
    let owner = perm::owner_or_capable(inode.perm(), &cred);
    let may = owner || (both_now && perm::allowed(inode.perm(), &cred, perm::WRITE));
    if !may {
        return Err(if both_now { Errno::EACCES } else { Errno::EPERM });
    }
    let set = SetAttr { atime: t[0].0, mtime: t[1].0, now: t.map(|(_, now)| now), ..SetAttr::default() };
    inode.setattr(&set).map(|()| 0)
}

fn both_now() -> Wanted {
    let t = now();
    [(Some(t), true); 2]
}

fn micros(addr: u64) -> Result<Wanted> {
    if addr == 0 {
        return Ok(both_now());
    }
    let v = UserPtr::<[i64; 4]>::new(addr).read()?;
    let one = |s: i64, us: i64| {
        if (0..1_000_000).contains(&us) { Ok((Some((s, us as u32 * 1000)), false)) } else { Err(Errno::EINVAL) }
    };
    Ok([one(v[0], v[1])?, one(v[2], v[3])?])
}

pub fn utime(a: &Args) -> Result<i64> {
    let t = if a.u64(1) == 0 {
        both_now()
    } else {
        UserPtr::<[i64; 2]>::new(a.u64(1)).read()?.map(|s| (Some((s, 0)), false))
    };
    change_times(&path::target_path(AT_FDCWD, a.u64(0), 0)?, t)
}

pub fn utimes(a: &Args) -> Result<i64> {
    let t = micros(a.u64(1))?;
    change_times(&path::target_path(AT_FDCWD, a.u64(0), 0)?, t)
}

pub fn futimesat(a: &Args) -> Result<i64> {
    let t = micros(a.u64(2))?;
    let p = if a.u64(1) == 0 { fd_path(a.fd(0))? } else { path::target_path(a.fd(0), a.u64(1), 0)? };
    change_times(&p, t)
}

pub fn utimensat(a: &Args) -> Result<i64> {
    const NOW: i64 = 0x3fff_ffff;
    const OMIT: i64 = 0x3fff_fffe;
    let flags = a.u32(3);
    if flags & !(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    let t = if a.u64(2) == 0 {
        both_now()
    } else {
        let v = UserPtr::<[i64; 4]>::new(a.u64(2)).read()?;
        let one = |s: i64, ns: i64| match ns {
            NOW => Ok((Some(now()), true)),
            OMIT => Ok((None, false)),
            0..1_000_000_000 => Ok((Some((s, ns as u32)), false)),
            _ => Err(Errno::EINVAL),
        };
        [one(v[0], v[1])?, one(v[2], v[3])?]
    };
    // Nothing to set: not even the path is looked at.
    if t.iter().all(|(t, _)| t.is_none()) {
        return Ok(0);
    }
    let p = if a.u64(1) == 0 { fd_path(a.fd(0))? } else { path::target_path(a.fd(0), a.u64(1), flags)? };
    change_times(&p, t)
}

fn check_len(len: i64) -> Result<u64> {
    let len = u64::try_from(len).map_err(|_| Errno::EINVAL)?;
    if len > current().rlimit_fsize() {
        send_process(&current().process, SigInfo::kernel(sig::XFSZ));
        return Err(Errno::EFBIG);
    }
    Ok(len)
}

pub fn truncate(a: &Args) -> Result<i64> {
    let len = u64::try_from(a.i64(1)).map_err(|_| Errno::EINVAL)?;
    let p = path::target_path(AT_FDCWD, a.u64(0), 0)?;
    match p.inode()?.kind() {
        kind::FILE => {}
        kind::DIR => return Err(Errno::EISDIR),
        _ => return Err(Errno::EINVAL),
    }
    let inode = writable(&p)?;
    let cred = current().cred();
    perm::check(inode, &cred, perm::WRITE)?;
    check_len(len as i64)?;
    let _writer = core_::vfs::busy::write(inode)?;
    inode.truncate(len)?;
    vfs::drop_set_ids(inode);
    Ok(0)
}

pub fn ftruncate(a: &Args) -> Result<i64> {
    let len = u64::try_from(a.i64(1)).map_err(|_| Errno::EINVAL)?;
    let f = file(a.fd(0))?;
    if f.flags() & oflag::PATH != 0 {
        return Err(Errno::EBADF);
    }
    let inode = f.inode().ok_or(Errno::EINVAL)?;
    if !f.writable() || inode.kind() != kind::FILE {
        return Err(Errno::EINVAL);
    }
    check_len(len as i64)?;
    inode.truncate(len)?;
    vfs::drop_set_ids(inode);
    Ok(0)
}

pub fn fallocate(a: &Args) -> Result<i64> {
    let f = file(a.fd(0))?;
    let (off, len) = (a.i64(2), a.i64(3));
    if off < 0 || len <= 0 {
        return Err(Errno::EINVAL);
    }
    if !f.writable() {
        return Err(Errno::EBADF);
    }
    let inode = f.inode().ok_or(Errno::ESPIPE)?;
    match inode.kind() {
        kind::FILE => {}
        kind::DIR => return Err(Errno::EISDIR),
        kind::FIFO => return Err(Errno::ESPIPE),
        _ => return Err(Errno::ENODEV),
    }
    let end = off.checked_add(len).ok_or(Errno::EFBIG)?;
    if a.u32(1) & 1 == 0 {
        check_len(end)?;
    }
    inode.fallocate(a.u32(1), off as u64, len as u64)?;
    vfs::drop_set_ids(inode);
    Ok(0)
}

pub fn umask(a: &Args) -> Result<i64> {
    let old = current().fs().umask.swap(a.u32(0) & 0o777, core::sync::atomic::Ordering::Relaxed);
    Ok(i64::from(old))
}

fn do_sync(fd: i32, data_only: bool) -> Result<i64> {
    let f = file(fd)?;
    if f.flags() & oflag::PATH != 0 {
        return Err(Errno::EBADF);
    }
    match f.inode() {
        Some(i) if matches!(i.kind(), kind::FILE | kind::DIR) => i.sync(data_only).map(|()| 0),
        Some(_) | None => Err(Errno::EINVAL),
    }
}

pub fn fsync(a: &Args) -> Result<i64> {
    do_sync(a.fd(0), false)
}

pub fn fdatasync(a: &Args) -> Result<i64> {
    do_sync(a.fd(0), true)
}

/// In-memory files have nothing to write; volumes are the host's page cache, which the host writes.
pub fn sync(_: &Args) -> Result<i64> {
    Ok(0)
}

pub fn syncfs(a: &Args) -> Result<i64> {
    let f = file(a.fd(0))?;
    if f.flags() & oflag::PATH != 0 { Err(Errno::EBADF) } else { Ok(0) }
}

pub fn sync_file_range(a: &Args) -> Result<i64> {
    let end = a.i64(1).checked_add(a.i64(2));
    if a.i64(1) < 0 || a.i64(2) < 0 || end.is_none() || a.u32(3) & !7 != 0 {
        return Err(Errno::EINVAL);
    }
    do_sync(a.fd(0), true).map_err(|e| if e == Errno::EINVAL { Errno::ESPIPE } else { e })
}

/// Name of an extended attribute, and whether the caller may use it so (xattr(7)).
fn xattr_name(inode: &Arc<dyn Inode>, addr: u64, write: bool) -> Result<Vec<u8>> {
    let name = read_cstr(addr, 256, Errno::ERANGE)?;
    if name.is_empty() {
        return Err(Errno::ERANGE);
    }
    let cred = current().cred();
    let refused = if write { Errno::EPERM } else { Errno::ENODATA };
    if name.starts_with(b"user.") {
        if !matches!(inode.kind(), kind::FILE | kind::DIR) {
            return Err(refused);
        }
        // Who may add to a shared directory may not say something of it.
        let p = inode.perm();
        if write
            && p.mode & (kind::MASK | kind::STICKY) == kind::DIR | kind::STICKY
            && !perm::owner_or_capable(p, &cred)
        {
            return Err(Errno::EPERM);
        }
        perm::check(inode, &cred, if write { perm::WRITE } else { perm::READ })?;
    } else if name.starts_with(b"trusted.") {
        if !cred.has(Cap::SysAdmin) {
            return Err(refused);
        }
    } else if name.starts_with(b"security.") {
        if write && !cred.has(Cap::SysAdmin) && !(name == b"security.capability" && cred.has(Cap::Setfcap)) {
            return Err(Errno::EPERM);
        }
    } else if write || name != vfs::SOCKET_PROTOCOL || inode.kind() != kind::SOCKET || inode.special().is_some() {
        // POSIX ACLs (system.) are not there.
        return Err(Errno::EOPNOTSUPP);
    }
    // A prefix alone is no name.
    if name.ends_with(b".") && name.iter().filter(|b| **b == b'.').count() == 1 {
        return Err(Errno::EINVAL);
    }
    Ok(name)
}

fn set_xattr(p: &Path, a: &Args) -> Result<i64> {
    let flags = a.u32(4);
    if flags > 2 {
        return Err(Errno::EINVAL);
    }
    let inode = writable(p)?;
    let name = xattr_name(inode, a.u64(1), true)?;
    if a.u64(3) > 65536 {
        return Err(Errno::E2BIG);
    }
    inode.setxattr(&name, &read_bytes(a.u64(2), a.u64(3) as usize)?, flags).map(|()| 0)
}

fn give(bytes: &[u8], addr: u64, size: u64) -> Result<i64> {
    if size != 0 {
        if size < bytes.len() as u64 {
            return Err(Errno::ERANGE);
        }
        write_bytes(addr, bytes)?;
    }
    Ok(bytes.len() as i64)
}

fn get_xattr(p: &Path, a: &Args) -> Result<i64> {
    let inode = p.inode()?;
    let name = xattr_name(inode, a.u64(1), false)?;
    give(&inode.getxattr(&name)?, a.u64(2), a.u64(3))
}

fn list_xattr(p: &Path, a: &Args) -> Result<i64> {
    let mut names = p.inode()?.listxattr()?;
    if !current().cred().has(Cap::SysAdmin) {
        let all = core::mem::take(&mut names);
        for n in all.split_inclusive(|b| *b == 0).filter(|n| !n.starts_with(b"trusted.")) {
            names.extend_from_slice(n);
        }
    }
    give(&names, a.u64(1), a.u64(2))
}

fn remove_xattr(p: &Path, a: &Args) -> Result<i64> {
    let inode = writable(p)?;
    let name = xattr_name(inode, a.u64(1), true)?;
    inode.removexattr(&name).map(|()| 0)
}

macro_rules! xattr_calls {
    ($($by_path:ident $by_link:ident $by_fd:ident $do:ident;)*) => {$(
        pub fn $by_path(a: &Args) -> Result<i64> {
            $do(&path::target_path(AT_FDCWD, a.u64(0), 0)?, a)
        }
        pub fn $by_link(a: &Args) -> Result<i64> {
            $do(&path::target_path(AT_FDCWD, a.u64(0), AT_SYMLINK_NOFOLLOW)?, a)
        }
        pub fn $by_fd(a: &Args) -> Result<i64> {
            $do(&fd_path(a.fd(0))?, a)
        }
    )*};
}
xattr_calls! {
    setxattr lsetxattr fsetxattr set_xattr;
    getxattr lgetxattr fgetxattr get_xattr;
    listxattr llistxattr flistxattr list_xattr;
    removexattr lremovexattr fremovexattr remove_xattr;
}
