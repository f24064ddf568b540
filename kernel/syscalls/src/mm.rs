//! Memory calls: decode, then `core::mm`.

use crate::Args;
use alloc::sync::Arc;
use core_::file::oflag;
use core_::mm::{Mm, flag};
use core_::uaccess;
use core_::{Errno, Result, counters, current};

fn mm() -> Result<Arc<Mm>> {
    current().process.mm.lock().clone().ok_or(Errno::ENOMEM)
}

/// mmap(2).
pub fn mmap(a: &Args) -> Result<i64> {
    const SHARED_VALIDATE: u32 = 3;
    let flags = a.u32(3);
    let file = if flags & flag::ANONYMOUS != 0 { None } else { Some(current().files().get(a.fd(4))?) };
    if file.as_ref().is_some_and(|f| f.flags() & oflag::PATH != 0) {
        return Err(Errno::EBADF);
    }
    // Only files have flags to validate.
    if file.is_none() && flags & flag::TYPE == SHARED_VALIDATE {
        return Err(Errno::EINVAL);
    }
    let mm = mm()?;
    mm.tell_resident();
    mm.mmap(a.u64(0), a.u64(1), a.u32(2), flags, file, a.u64(5)).map(|p| p as i64)
}

/// munmap(2).
pub fn munmap(a: &Args) -> Result<i64> {
    let mm = mm()?;
    mm.munmap(a.u64(0), a.u64(1))?;
    mm.tell_resident();
    Ok(0)
}

/// mprotect(2).
pub fn mprotect(a: &Args) -> Result<i64> {
    const GROWSDOWN: u32 = 0x0100_0000;
    const GROWSUP: u32 = 0x0200_0000;
    let prot = a.u32(2);
    if prot & !(flag::PROT_MASK | GROWSDOWN | GROWSUP | 8) != 0 || prot & (GROWSDOWN | GROWSUP) == GROWSDOWN | GROWSUP {
        return Err(Errno::EINVAL);
    }
    let (mut addr, mut len) = (a.u64(0), a.u64(1));
    if prot & (GROWSDOWN | GROWSUP) != 0 && len != 0 {
        // From the area's beginning on: what ld.so does for objects that want an executable stack.
        let start = if prot & GROWSUP == 0 { mm()?.grows_down_to(addr) } else { None };
        let start = start.filter(|_| addr.is_multiple_of(abi::layout::PAGE)).ok_or(Errno::EINVAL)?;
        (addr, len) = (start, len.checked_add(addr - start).ok_or(Errno::ENOMEM)?);
    }
    mm()?.mprotect(addr, len, prot).map(|()| 0)
}

/// brk(2).
pub fn brk(a: &Args) -> Result<i64> {
    let mm = mm()?;
    mm.tell_resident();
    Ok(mm.brk(a.u64(0)) as i64)
}

/// mremap(2).
pub fn mremap(a: &Args) -> Result<i64> {
    mm()?.mremap(a.u64(0), a.u64(1), a.u64(2), a.u32(3), a.u64(4)).map(|p| p as i64)
}

/// madvise(2).
pub fn madvise(a: &Args) -> Result<i64> {
    mm()?.madvise(a.u64(0), a.u64(1), a.u32(2)).map(|()| 0)
}

/// msync(2).
pub fn msync(a: &Args) -> Result<i64> {
    mm()?.msync(a.u64(0), a.u64(1), a.u32(2)).map(|()| 0)
}

/// mincore(2).
pub fn mincore(a: &Args) -> Result<i64> {
    let mut to = a.u64(2);
    mm()?.mincore(a.u64(0), a.u64(1), |bytes| {
        uaccess::write_bytes(to, bytes)?;
        to += bytes.len() as u64;
        Ok(())
    })?;
    Ok(0)
}

/// mlock(2).
pub fn mlock(a: &Args) -> Result<i64> {
    mm()?.lock(a.u64(0), a.u64(1)).map(|()| 0)
}

/// munlock(2).
pub fn munlock(a: &Args) -> Result<i64> {
    mm()?.unlock(a.u64(0), a.u64(1)).map(|()| 0)
}

/// mlock2(2).
pub fn mlock2(a: &Args) -> Result<i64> {
    const ONFAULT: u32 = 1;
    if a.u32(2) & !ONFAULT != 0 {
        return Err(Errno::EINVAL);
    }
    mlock(a)
}

/// mlockall(2).
pub fn mlockall(a: &Args) -> Result<i64> {
    const CURRENT: u32 = 1;
    const FUTURE: u32 = 2;
    const ONFAULT: u32 = 4;
    let flags = a.u32(0);
    if flags & !(CURRENT | FUTURE | ONFAULT) != 0 || flags & (CURRENT | FUTURE) == 0 {
        return Err(Errno::EINVAL);
    }
    mm()?.lock_all(flags & CURRENT != 0, flags & FUTURE != 0).map(|()| 0)
}

/// munlockall(2).
pub fn munlockall(_: &Args) -> Result<i64> {
    mm()?.unlock_all();
    Ok(0)
}

/// membarrier(2): the host's, over the threads of the calling host process.
pub fn membarrier(a: &Args) -> Result<i64> {
    if a.u32(1) != 0 {
        return Err(counters::missing(324, Errno::EINVAL));
    }
    host::process::membarrier(a.u32(0)).map(|n| n as i64)
}
