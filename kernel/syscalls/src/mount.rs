//! mount(2) and umount2(2), as far as a VM without mount namespaces has them: bind mounts, moves, remounts, and new
//! instances of file systems that boot registered.

use crate::args::Args;
use core_::task::Cap;
use core_::uaccess::{read_cstr, read_path};
use core_::vfs::{self, ms};
use core_::{Errno, Result, current};

pub fn mount(a: &Args) -> Result<i64> {
    if !current().cred().has(Cap::SysAdmin) {
        return Err(Errno::EPERM);
    }
    const MAGIC: u32 = 0xc0ed_0000;
    const MAGIC_MASK: u32 = 0xffff_0000;
    const SHARED: u32 = 1 << 20;
    const PRIVATE: u32 = 1 << 18;
    const SLAVE: u32 = 1 << 19;
    const UNBINDABLE: u32 = 1 << 17;
    const NODIRATIME: u32 = 2048;
    const STRICTATIME: u32 = 1 << 24;
    const ATIMES: u32 = ms::NOATIME | ms::RELATIME;
    let mut flags = a.u32(3);
    if flags & MAGIC_MASK == MAGIC {
        flags &= !MAGIC_MASK;
    }
    let at = vfs::lookup(&read_path(a.u64(1))?, true)?;
    if flags & ms::REMOUNT != 0 {
        if !alloc::sync::Arc::ptr_eq(&at.mnt.root, &at.dentry) {
            return Err(Errno::EINVAL);
        }
        if at.mnt.fs.read_only() && flags & ms::RDONLY == 0 {
            return Err(Errno::EROFS);
        }
        // With MS_BIND it is about this mount alone.
        if flags & ms::BIND == 0 {
            at.mnt.fs.remount(&options(a)?)?;
        }
        // Nothing said about access times leaves them.
        let times = if flags & (NODIRATIME | STRICTATIME | ATIMES) == 0 { at.mnt.flags() & ATIMES } else { 0 };
        at.mnt.set_flags(flags | times);
        return Ok(0);
    }
    if flags & ms::BIND != 0 {
        let from = vfs::lookup(&read_path(a.u64(0))?, true)?;
        vfs::bind(&at, &from, flags & ms::REC != 0)?;
        return Ok(0);
    }
    if flags & (SHARED | PRIVATE | SLAVE | UNBINDABLE) != 0 {
        // Propagation between namespaces: there is one namespace.
        return Ok(0);
    }
    if flags & ms::MOVE != 0 {
        let from = vfs::lookup(&read_path(a.u64(0))?, true)?;
        vfs::mount::move_to(&at, &from)?;
        return Ok(0);
    }
    let kind = read_cstr(a.u64(2), 4096, Errno::EINVAL)?;
    let source = if a.u64(0) == 0 { kind.clone() } else { read_path(a.u64(0))?.into_vec() };
    let fs = vfs::mount::make_fs(&kind, &options(a)?)?;
    vfs::mount_on(&at, fs, &source, flags)?;
    Ok(0)
}

fn options(a: &Args) -> Result<alloc::vec::Vec<u8>> {
    if a.u64(4) == 0 { Ok(alloc::vec::Vec::new()) } else { read_cstr(a.u64(4), 4096, Errno::EINVAL) }
}

pub fn umount2(a: &Args) -> Result<i64> {
    const FORCE: u32 = 1;
    const DETACH: u32 = 2;
    const NOFOLLOW: u32 = 8;
    if !current().cred().has(Cap::SysAdmin) {
        return Err(Errno::EPERM);
    }
    let flags = a.u32(1);
    if flags & !(FORCE | DETACH | NOFOLLOW) != 0 {
        return Err(Errno::EINVAL);
    }
    let at = vfs::lookup(&read_path(a.u64(0))?, flags & NOFOLLOW == 0)?;
    vfs::umount(&at, flags & DETACH != 0).map(|()| 0)
}
