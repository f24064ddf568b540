//! Who may do what (path_resolution(7), inode(7), capabilities(7)).

use super::inode::{Inode, Perm, kind};
use crate::task::{Cap, Cred};
use crate::{Errno, Result};
use alloc::sync::Arc;

pub const EXEC: u32 = 1;
pub const WRITE: u32 = 2;
pub const READ: u32 = 4;

/// May `cred` do all of `want` ([`READ`], [`WRITE`], [`EXEC`]) with a file of these permissions?
#[inline]
#[must_use]
pub fn allowed(p: Perm, cred: &Cred, want: u32) -> bool {
    let shift = if cred.fsuid == p.uid {
        6
    } else if cred.in_group(p.gid) {
        3
    } else {
        0
    };
    if p.mode >> shift & want == want {
        return true;
    }
    let dir = p.mode & kind::MASK == kind::DIR;
    if cred.has(Cap::DacOverride) && (dir || want & EXEC == 0 || p.mode & 0o111 != 0) {
        return true;
    }
    cred.has(Cap::DacReadSearch) && (want == READ || (dir && want & WRITE == 0))
}

/// # Errors
/// `EACCES`.
#[inline]
pub fn check(inode: &Arc<dyn Inode>, cred: &Cred, want: u32) -> Result<()> {
    if allowed(inode.perm(), cred, want) { Ok(()) } else { Err(Errno::EACCES) }
}

/// May `cred` search directory `dir`? The common case (root) asks the inode nothing.
#[inline]
pub(super) fn search(dir: &Arc<dyn Inode>, cred: &Cred) -> Result<()> {
    if cred.has(Cap::DacOverride) || allowed(dir.perm(), cred, EXEC) { Ok(()) } else { Err(Errno::EACCES) }
}

/// Owner, or CAP_FOWNER.
#[must_use]
pub fn owner_or_capable(p: Perm, cred: &Cred) -> bool {
    cred.fsuid == p.uid || cred.has(Cap::Fowner)
}

/// The mode of a file that `cred` has changed or given away, if that is another: set-user-ID rights end, and set-group-ID
/// rights unless the bit means something else there and `cred` could set it (`setattr_should_drop_suidgid`).
#[must_use]
pub fn without_set_ids(p: Perm, cred: &Cred) -> Option<u32> {
    if p.mode & kind::MASK == kind::DIR {
        return None;
    }
    let old = p.mode & 0o7777;
    let mut mode = old & !kind::SETUID;
    if old & 0o010 != 0 || !(cred.in_group(p.gid) || cred.has(Cap::Fsetid)) {
        mode &= !kind::SETGID;
    }
    (mode != old).then_some(mode)
}

/// May an entry for `victim` be removed from `dir`: write permission and the sticky bit's rule.
///
/// # Errors
/// `EACCES`, `EPERM`.
pub fn may_delete(dir: &Arc<dyn Inode>, victim: &Arc<dyn Inode>, cred: &Cred) -> Result<()> {
    let d = dir.perm();
    if !allowed(d, cred, WRITE | EXEC) {
        return Err(Errno::EACCES);
    }
    if d.mode & kind::STICKY != 0 && cred.fsuid != d.uid && !owner_or_capable(victim.perm(), cred) {
        return Err(Errno::EPERM);
    }
    Ok(())
}

/// Mode, uid, gid for something new in `dir` (set-group-ID directories hand on their group).
#[must_use]
pub fn ownership(dir: &Arc<dyn Inode>, cred: &Cred, mut mode: u32) -> (u32, u32, u32) {
    let d = dir.perm();
    let mut gid = cred.fsgid;
    if d.mode & kind::SETGID != 0 {
        gid = d.gid;
        if mode & kind::MASK == kind::DIR {
            mode |= kind::SETGID;
        } else if mode & (kind::SETGID | 0o010) == kind::SETGID | 0o010 && !cred.in_group(gid) && !cred.has(Cap::Fsetid)
        {
            mode &= !kind::SETGID;
        }
    }
    (mode, cred.fsuid, gid)
}
