//! process_vm_readv(2), process_vm_writev(2): copies between the caller's memory and another process's.

use crate::args::Args;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core_::io::{IoBuf, MAX_PIECES, Way};
use core_::mm::{Mm, errand};
use core_::task::TREE;
use core_::uaccess::UserPtr;
use core_::{Errno, Result, current};

/// The other process's memory, for who may trace it.
fn space(pid: u32) -> Result<Arc<Mm>> {
    let me = current();
    let p = TREE.lock().process_of(pid).ok_or(Errno::ESRCH)?;
    let c = me.cred();
    if !Arc::ptr_eq(&p, &me.process) && !p.may_be_traced(&c, c.uid, c.gid) {
        return Err(Errno::EPERM);
    }
    let mm = p.mm.lock().clone();
    mm.ok_or(Errno::ESRCH)
}

/// The pieces of the other's memory: address and length. What is not an application's address fails when it is reached.
fn pieces(addr: u64, n: u64) -> Result<Vec<(u64, u64)>> {
    if n > MAX_PIECES as u64 {
        return Err(Errno::EINVAL);
    }
    let piece = |i: usize| {
        let [base, len] = UserPtr::<[u64; 2]>::new(addr).at(i).read()?;
        if len > i64::MAX as u64 { Err(Errno::EINVAL) } else { Ok((base, len)) }
    };
    (0..n as usize).map(piece).collect()
}

/// Goes through the pieces with `copy`, which is given a place and how much to copy at most, and says how much it did.
fn transfer(a: &Args, way: Way, mut copy: impl FnMut(&Mm, &mut IoBuf, u64, usize) -> Result<usize>) -> Result<i64> {
    if a.u64(5) != 0 {
        return Err(Errno::EINVAL);
    }
    let mut local = IoBuf::user_vec(a.u64(1), a.u64(2), way)?;
    let remote = pieces(a.u64(3), a.u64(4))?;
    if local.left() == 0 || remote.iter().all(|(_, len)| *len == 0) {
        return Ok(0);
    }
    let mm = space(a.u32(0))?;
    let mut total = 0;
    let mut part = |base: u64, len: u64| -> Result<bool> {
        let mut done = 0;
        while done < len && local.left() > 0 {
            let want = local.left().min(errand::MOST).min(usize::try_from(len - done).unwrap_or(usize::MAX));
            let n = copy(&mm, &mut local, base.wrapping_add(done), want)?;
            (done, total) = (done + n as u64, total + n);
            if n < want {
                return Ok(false);
            }
        }
        Ok(true)
    };
    let mut all = Ok(true);
    for (base, len) in remote {
        all = part(base, len);
        if !matches!(all, Ok(true)) {
            break;
        }
    }
    match all {
        _ if total > 0 => Ok(total as i64),
        Ok(_) => Err(Errno::EFAULT),
        Err(e) => Err(e),
    }
}

pub fn process_vm_readv(a: &Args) -> Result<i64> {
    transfer(a, Way::Into, |mm, local, at, n| local.put(&mm.peek(at, n)?))
}

pub fn process_vm_writev(a: &Args) -> Result<i64> {
    transfer(a, Way::OutOf, |mm, local, at, n| {
        let mut bytes = alloc::vec![0; n];
        let n = local.take(&mut bytes)?;
        bytes.truncate(n);
        mm.poke(at, bytes)
    })
}
