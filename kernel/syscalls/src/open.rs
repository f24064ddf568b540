//! Descriptors: opening, closing, duplicating, fcntl, locks.

use crate::args::Args;
use crate::path::{self, AT_FDCWD, file};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core_::fd::FdTable;
use core_::file::{File, oflag};
use core_::task::TREE;
use core_::uaccess::{UserPtr, read_bytes, read_cstr, read_path};
use core_::vfs::locks::{self, Lock, Owner};
use core_::vfs::{self, New, Resolve, kind};
use core_::{Errno, Result, current};

/// F_SEAL_SEAL: no more seals.
const SEAL_SEAL: u32 = 1;
/// What goes together with O_PATH.
const PATH_FLAGS: u32 = oflag::PATH | oflag::DIRECTORY | oflag::NOFOLLOW | oflag::CLOEXEC;
/// Everything that open(2) knows; unknown bits are ignored as Linux does.
const VALID: u32 = 0o37_777_777 & !0o4;

fn do_open(dirfd: i32, path: u64, flags: u32, mode: u32, resolve: Resolve) -> Result<i64> {
    let path = read_path(path)?;
    if flags & oflag::PATH == 0 {
        vfs::check_flags(flags & VALID)?;
    }
    // Inside a root of one's own an absolute path starts at the directory, too.
    let mut w = path::walk(dirfd, if resolve.contains(Resolve::IN_ROOT) { b"." } else { &path })?;
    if !resolve.is_empty() {
        w.confine(resolve);
    }
    let mode = if flags & (oflag::CREAT | oflag::TMPFILE) != 0 { mode & 0o7777 & !current().fs().umask() } else { 0 };
    let f = vfs::open_with(w, &path, flags & VALID, mode)?;
    let fd = current().files().add(f, flags & oflag::CLOEXEC != 0)?;
    Ok(i64::from(fd))
}

pub fn open(a: &Args) -> Result<i64> {
    do_open(AT_FDCWD, a.u64(0), a.u32(1) | oflag::LARGEFILE, a.u32(2), Resolve::empty())
}

pub fn openat(a: &Args) -> Result<i64> {
    do_open(a.fd(0), a.u64(1), a.u32(2) | oflag::LARGEFILE, a.u32(3), Resolve::empty())
}

pub fn creat(a: &Args) -> Result<i64> {
    let flags = oflag::CREAT | oflag::WRONLY | oflag::TRUNC | oflag::LARGEFILE;
    do_open(AT_FDCWD, a.u64(0), flags, a.u32(1), Resolve::empty())
}

pub fn openat2(a: &Args) -> Result<i64> {
    let size = a.u64(3);
    if size < 24 {
        return Err(Errno::EINVAL);
    }
    if size > 4096 {
        return Err(Errno::E2BIG);
    }
    let bytes = read_bytes(a.u64(2), size as usize)?;
    if bytes[24..].iter().any(|b| *b != 0) {
        return Err(Errno::E2BIG);
    }
    let [flags, mode, resolve] = UserPtr::<[u64; 3]>::new(a.u64(2)).read()?;
    let resolve = u32::try_from(resolve).ok().and_then(Resolve::from_bits).ok_or(Errno::EINVAL)?;
    let flags32 = flags as u32;
    let makes = flags32 & oflag::CREAT != 0 || flags32 & oflag::TMPFILE == oflag::TMPFILE;
    if flags & !u64::from(VALID) != 0
        || mode & !0o7777 != 0
        || (mode != 0 && !makes)
        || resolve.contains(Resolve::BENEATH | Resolve::IN_ROOT)
        || (flags32 & oflag::PATH != 0 && flags32 & !PATH_FLAGS != 0)
    {
        return Err(Errno::EINVAL);
    }
    if resolve.contains(Resolve::CACHED) {
        // "Only if it needs no I/O" can always be answered so: the caller tries again without.
        return Err(Errno::EAGAIN);
    }
    do_open(a.fd(0), a.u64(1), flags32, mode as u32, resolve)
}

/// What follows when a descriptor of `table` stops referring to `f`.
pub fn closed(table: &Arc<FdTable>, f: &Arc<File>) {
    locks::closed(table, f);
    f.ops().flush(f);
}

pub fn close(a: &Args) -> Result<i64> {
    let files = current().files();
    let f = files.remove(a.fd(0))?;
    closed(&files, &f);
    Ok(0)
}

pub fn close_range(a: &Args) -> Result<i64> {
    const UNSHARE: u32 = 2;
    const CLOEXEC: u32 = 4;
    let (first, last, flags) = (a.u32(0), a.u32(1), a.u32(2));
    if first > last || flags & !(UNSHARE | CLOEXEC) != 0 {
        return Err(Errno::EINVAL);
    }
    if flags & UNSHARE != 0 {
        let me = current();
        me.set_files(me.files().fork());
    }
    let files = current().files();
    if flags & CLOEXEC != 0 {
        for (fd, _, _) in files.list() {
            if (first..=last).contains(&(fd as u32)) {
                files.set_cloexec(fd, true)?;
            }
        }
        return Ok(0);
    }
    for f in files.drain(|fd, _| (first..=last).contains(&(fd as u32))) {
        closed(&files, &f);
    }
    Ok(0)
}

pub fn dup(a: &Args) -> Result<i64> {
    let files = current().files();
    Ok(i64::from(files.add(files.get(a.fd(0))?, false)?))
}

fn dup_to(old: i32, new: i32, cloexec: bool) -> Result<i64> {
    let files = current().files();
    let f = files.get(old)?;
    if let Some(gone) = files.replace(new, f, cloexec, current().rlimit_nofile())? {
        closed(&files, &gone);
    }
    Ok(i64::from(new))
}

pub fn dup2(a: &Args) -> Result<i64> {
    if a.fd(0) == a.fd(1) {
        file(a.fd(0))?;
        return Ok(i64::from(a.fd(1)));
    }
    dup_to(a.fd(0), a.fd(1), false)
}

pub fn dup3(a: &Args) -> Result<i64> {
    if a.u32(2) & !oflag::CLOEXEC != 0 || a.fd(0) == a.fd(1) {
        return Err(Errno::EINVAL);
    }
    dup_to(a.fd(0), a.fd(1), a.u32(2) != 0)
}

mod cmd {
    pub const DUPFD: u32 = 0;
    pub const GETFD: u32 = 1;
    pub const SETFD: u32 = 2;
    pub const GETFL: u32 = 3;
    pub const SETFL: u32 = 4;
    pub const GETLK: u32 = 5;
    pub const SETLK: u32 = 6;
    pub const SETLKW: u32 = 7;
    pub const SETOWN: u32 = 8;
    pub const GETOWN: u32 = 9;
    pub const SETSIG: u32 = 10;
    pub const GETSIG: u32 = 11;
    pub const SETOWN_EX: u32 = 15;
    pub const GETOWN_EX: u32 = 16;
    pub const OFD_GETLK: u32 = 36;
    pub const OFD_SETLK: u32 = 37;
    pub const OFD_SETLKW: u32 = 38;
    pub const SETLEASE: u32 = 1024;
    pub const GETLEASE: u32 = 1025;
    pub const NOTIFY: u32 = 1026;
    pub const DUPFD_CLOEXEC: u32 = 1030;
    pub const SETPIPE_SZ: u32 = 1031;
    pub const GETPIPE_SZ: u32 = 1032;
    pub const ADD_SEALS: u32 = 1033;
    pub const GET_SEALS: u32 = 1034;
}

/// Whose signals a file's are to be: a process, a group as a negative number, or nobody's.
fn owner_there(owner: i64) -> Result<()> {
    let id = u32::try_from(owner.unsigned_abs()).ok().filter(|id| *id <= i32::MAX as u32).ok_or(Errno::EINVAL)?;
    let tree = TREE.lock();
    let there = match owner {
        0 => true,
        o if o < 0 => !tree.group(id).is_empty(),
        _ => tree.process_of(id).is_some(),
    };
    if there { Ok(()) } else { Err(Errno::ESRCH) }
}

pub fn fcntl(a: &Args) -> Result<i64> {
    let (fd, cmd, arg) = (a.fd(0), a.u32(1), a.u64(2));
    let me = current();
    let files = me.files();
    let f = files.get(fd)?;
    if f.flags() & oflag::PATH != 0
        && !matches!(cmd, cmd::DUPFD | cmd::DUPFD_CLOEXEC | cmd::GETFD | cmd::SETFD | cmd::GETFL)
    {
        return Err(Errno::EBADF);
    }
    match cmd {
        cmd::DUPFD | cmd::DUPFD_CLOEXEC => {
            let limit = me.rlimit_nofile();
            if arg as i32 as i64 != arg as i64 || (arg as i32) < 0 || arg >= limit {
                return Err(Errno::EINVAL);
            }
            Ok(i64::from(files.install(f, cmd == cmd::DUPFD_CLOEXEC, arg as i32, limit)?))
        }
        cmd::GETFD => Ok(i64::from(files.cloexec(fd)?)),
        cmd::SETFD => files.set_cloexec(fd, arg & 1 != 0).map(|()| 0),
        cmd::GETFL => Ok(i64::from(f.flags())),
        cmd::SETFL => {
            f.set_status_flags(arg as u32);
            Ok(0)
        }
        cmd::SETLK | cmd::SETLKW | cmd::OFD_SETLK | cmd::OFD_SETLKW => record_lock(&files, &f, cmd, arg),
        cmd::GETLK | cmd::OFD_GETLK => get_lock(&files, &f, cmd, arg),
        cmd::SETOWN => {
            let owner = i64::from(arg as i32);
            owner_there(owner)?;
            f.owner.store(owner as u64, core::sync::atomic::Ordering::Relaxed);
            Ok(0)
        }
        cmd::GETOWN => Ok(f.owner.load(core::sync::atomic::Ordering::Relaxed) as i64),
        cmd::SETOWN_EX => {
            let [kind, id] = UserPtr::<[i32; 2]>::new(arg).read()?;
            let owner = match kind {
                0 | 1 => i64::from(id),
                2 => -i64::from(id),
                _ => return Err(Errno::EINVAL),
            };
            owner_there(owner)?;
            f.owner.store(owner as u64, core::sync::atomic::Ordering::Relaxed);
            Ok(0)
        }
        cmd::GETOWN_EX => {
            let o = f.owner.load(core::sync::atomic::Ordering::Relaxed) as i64;
            UserPtr::<[i32; 2]>::new(arg).write([if o < 0 { 2 } else { 1 }, o.unsigned_abs() as i32]).map(|()| 0)
        }
        cmd::GETSIG => Ok(0),
        cmd::SETSIG if arg == 0 => Ok(0),
        cmd::GETLEASE => Ok(2),
        cmd::SETPIPE_SZ | cmd::GETPIPE_SZ => match f.ops().ioctl(&f, cmd, arg) {
            Err(Errno::ENOTTY) => Err(Errno::EBADF),
            r => r,
        },
        cmd::ADD_SEALS => {
            if !f.writable() {
                return Err(Errno::EPERM);
            }
            let inode = f.inode().ok_or(Errno::EINVAL)?;
            // Only memfds may have any; files with names are like memfds that were made without.
            if inode.attr()?.nlink != 0 && inode.seals(0).is_ok() {
                return Err(Errno::EPERM);
            }
            // Adding none to a sealed set is refused like any other.
            if arg as u32 == 0 && inode.seals(0)? & SEAL_SEAL != 0 {
                return Err(Errno::EPERM);
            }
            inode.seals(arg as u32).map(|_| 0)
        }
        cmd::GET_SEALS => f.inode().ok_or(Errno::EINVAL)?.seals(0).map(i64::from),
        cmd::SETLEASE | cmd::NOTIFY | cmd::SETSIG => Err(core_::counters::missing(72, Errno::EINVAL)),
        _ => Err(Errno::EINVAL),
    }
}

const F_RDLCK: i16 = 0;
const F_WRLCK: i16 = 1;
const F_UNLCK: i16 = 2;

/// struct flock: type, whence, start, len, pid.
fn read_flock(f: &File, addr: u64) -> Result<(i16, u64, u64, i32)> {
    let [w0, start, len, w3] = UserPtr::<[u64; 4]>::new(addr).read()?;
    let (kind, whence) = (w0 as i16, (w0 >> 16) as i16);
    let base = match whence {
        0 => 0,
        1 => *f.pos(),
        2 => f.inode().ok_or(Errno::EBADF)?.attr()?.size,
        _ => return Err(Errno::EINVAL),
    };
    let (start, len) = (start as i64, len as i64);
    let start = (base as i64).checked_add(start).ok_or(Errno::EOVERFLOW)?;
    let (first, last) = match len {
        0 => (start, i64::MAX),
        n if n > 0 => (start, start.checked_add(n - 1).ok_or(Errno::EOVERFLOW)?),
        n => (start.checked_add(n).ok_or(Errno::EINVAL)?, start - 1),
    };
    let first = u64::try_from(first).map_err(|_| Errno::EINVAL)?;
    let last = u64::try_from(last).map_err(|_| Errno::EINVAL)?;
    let last = if last == i64::MAX as u64 { u64::MAX } else { last };
    Ok((kind, first, last, w3 as i32))
}

fn owner(files: &Arc<FdTable>, f: &File, cmd: u32, pid: i32) -> Result<(Owner, i32)> {
    if cmd >= cmd::OFD_GETLK {
        return if pid == 0 { Ok((Owner::ofd(f), -1)) } else { Err(Errno::EINVAL) };
    }
    Ok((Owner::table(files), current().process.pid as i32))
}

fn record_lock(files: &Arc<FdTable>, f: &Arc<File>, cmd: u32, addr: u64) -> Result<i64> {
    let (kind, start, end, pid) = read_flock(f, addr)?;
    let (owner, pid) = owner(files, f, cmd, pid)?;
    match kind {
        F_UNLCK => locks::unset(f, owner, start, end),
        F_RDLCK | F_WRLCK => {
            if (kind == F_RDLCK && !f.readable()) || (kind == F_WRLCK && !f.writable()) {
                return Err(Errno::EBADF);
            }
            let wait = matches!(cmd, cmd::SETLKW | cmd::OFD_SETLKW);
            locks::set(f, Lock::new(f, owner, kind == F_WRLCK, (start, end), pid), wait)?;
        }
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}

fn get_lock(files: &Arc<FdTable>, f: &Arc<File>, cmd: u32, addr: u64) -> Result<i64> {
    let (kind, start, end, pid) = read_flock(f, addr)?;
    let (owner, pid) = owner(files, f, cmd, pid)?;
    if !matches!(kind, F_RDLCK | F_WRLCK) {
        return Err(Errno::EINVAL);
    }
    let want = Lock::new(f, owner, kind == F_WRLCK, (start, end), pid);
    match locks::get(f, &want) {
        None => UserPtr::<i16>::new(addr).write(F_UNLCK)?,
        Some(l) => {
            let len = if l.end == u64::MAX { 0 } else { l.end - l.start + 1 };
            let kind = if l.exclusive { F_WRLCK } else { F_RDLCK };
            UserPtr::<[u64; 4]>::new(addr).write([u64::from(kind as u16), l.start, len, u64::from(l.pid as u32)])?;
        }
    }
    Ok(0)
}

pub fn flock(a: &Args) -> Result<i64> {
    const SH: u32 = 1;
    const EX: u32 = 2;
    const NB: u32 = 4;
    const UN: u32 = 8;
    const MAND: u32 = 32;
    let op = a.u32(1);
    // Mandatory locks: nothing is done, and nobody told (`flock` in fs/locks.c).
    if op & MAND != 0 {
        return Ok(0);
    }
    if !matches!(op & !NB, SH | EX | UN) {
        return Err(Errno::EINVAL);
    }
    let f = file(a.fd(0))?;
    if f.flags() & oflag::PATH != 0 {
        return Err(Errno::EBADF);
    }
    let owner = Owner::flock(&f);
    match op & !NB {
        UN => locks::unset(&f, owner, 0, u64::MAX),
        _ => {
            let l = Lock::new(&f, owner, op & EX != 0, (0, u64::MAX), current().process.pid as i32);
            match locks::set(&f, l, false) {
                Err(Errno::EAGAIN) if op & NB == 0 => {
                    // A conversion gives the old lock up first (flock(2)).
                    locks::unset(&f, owner, 0, u64::MAX);
                    locks::set(&f, l, true)?;
                }
                r => r?,
            }
        }
    }
    Ok(0)
}

pub fn memfd_create(a: &Args) -> Result<i64> {
    const CLOEXEC: u32 = 1;
    const ALLOW_SEALING: u32 = 2;
    const NOEXEC_SEAL: u32 = 8;
    const EXEC: u32 = 16;
    const SEAL_EXEC: u32 = 32;
    let flags = a.u32(1);
    if flags & !(CLOEXEC | ALLOW_SEALING | NOEXEC_SEAL | EXEC) != 0
        || flags & (NOEXEC_SEAL | EXEC) == NOEXEC_SEAL | EXEC
    {
        return Err(Errno::EINVAL);
    }
    let mut name: Vec<u8> = b"memfd:".to_vec();
    name.extend(read_cstr(a.u64(0), 250, Errno::EINVAL)?);
    let cred = current().cred();
    let mode = kind::FILE | if flags & NOEXEC_SEAL != 0 { 0o666 } else { 0o777 };
    let new = New { mode, uid: cred.fsuid, gid: cred.fsgid, rdev: 0, target: b"" };
    let inode = vfs::anon_root()?.tmpfile(&new)?;
    if flags & NOEXEC_SEAL != 0 {
        inode.seals(SEAL_EXEC)?;
    } else if flags & ALLOW_SEALING == 0 {
        inode.seals(SEAL_SEAL)?;
    }
    let f = vfs::anon_file(inode, &name, oflag::RDWR | oflag::LARGEFILE)?;
    Ok(i64::from(current().files().add(f, flags & CLOEXEC != 0)?))
}
