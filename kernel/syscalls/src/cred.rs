//! Credentials (credentials(7)).

use crate::Args;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core_::task::{ALL_CAPS, Cap, Cred, my_cred, secure};
use core_::uaccess::UserPtr;
use core_::{Errno, Result, current};

const SAME: u32 = u32::MAX;

fn change(f: impl FnOnce(&mut Cred) -> Result<()>) -> Result<i64> {
    let me = current();
    let old = me.cred();
    let mut new = (*old).clone();
    f(&mut new)?;
    fix_caps(&old, &mut new);
    if (new.euid, new.egid, new.fsuid, new.fsgid) != (old.euid, old.egid, old.fsuid, old.fsgid) {
        me.process.dumpable.store(false, core::sync::atomic::Ordering::Relaxed);
        // Nor may the parent's end kill who it could not kill itself (`commit_creds`).
        me.process.pdeath_signal.store(0, core::sync::atomic::Ordering::Relaxed);
    }
    if new.uid != old.uid {
        let over = core_::task::over_user_limit(&me.process, &new, 0);
        me.over_user_limit.store(over, core::sync::atomic::Ordering::Relaxed);
    }
    me.set_cred(Arc::new(new));
    Ok(0)
}

/// Effect of user-ID changes on capabilities (capabilities(7)).
fn fix_caps(old: &Cred, new: &mut Cred) {
    if new.securebits & secure::NO_SETUID_FIXUP != 0 {
        return;
    }
    let was_root = [old.uid, old.euid, old.suid].contains(&0);
    let is_root = [new.uid, new.euid, new.suid].contains(&0);
    if was_root && !is_root {
        if new.securebits & secure::KEEP_CAPS == 0 {
            new.cap_permitted = 0;
            new.cap_effective = 0;
        }
        // Programs that know nothing of ambient ones expect execve to drop all (`cap_emulate_setxuid`).
        new.cap_ambient = 0;
    }
    if old.euid == 0 && new.euid != 0 {
        new.cap_effective = 0;
    }
    if old.euid != 0 && new.euid == 0 {
        new.cap_effective = new.cap_permitted;
    }
    const FS_CAPS: u64 = 0b1_1111 | 1 << 9 | 1 << 27 | 1 << 32;
    if old.fsuid == 0 && new.fsuid != 0 {
        new.cap_effective &= !FS_CAPS;
    }
    if old.fsuid != 0 && new.fsuid == 0 {
        new.cap_effective |= new.cap_permitted & FS_CAPS;
    }
}

macro_rules! getter {
    ($($name:ident $field:ident;)*) => {$(
        #[doc = concat!(stringify!($name), "(2).")]
        pub fn $name(_: &Args) -> Result<i64> {
            Ok(i64::from(my_cred().$field))
        }
    )*};
}
getter! { getuid uid; geteuid euid; getgid gid; getegid egid; }

fn bad(id: u32) -> Result<()> {
    if id == SAME { Err(Errno::EINVAL) } else { Ok(()) }
}

/// setuid(2).
pub fn setuid(a: &Args) -> Result<i64> {
    let u = a.u32(0);
    bad(u)?;
    change(|c| {
        if c.has(Cap::Setuid) {
            (c.uid, c.suid) = (u, u);
        } else if u != c.uid && u != c.suid {
            return Err(Errno::EPERM);
        }
        (c.euid, c.fsuid) = (u, u);
        Ok(())
    })
}

/// setgid(2).
pub fn setgid(a: &Args) -> Result<i64> {
    let g = a.u32(0);
    bad(g)?;
    change(|c| {
        if c.has(Cap::Setgid) {
            (c.gid, c.sgid) = (g, g);
        } else if g != c.gid && g != c.sgid {
            return Err(Errno::EPERM);
        }
        (c.egid, c.fsgid) = (g, g);
        Ok(())
    })
}

/// setreuid(2).
pub fn setreuid(a: &Args) -> Result<i64> {
    let (r, e) = (a.u32(0), a.u32(1));
    change(|c| {
        let old = c.clone();
        let cap = c.has(Cap::Setuid);
        if r != SAME {
            if !cap && r != old.uid && r != old.euid {
                return Err(Errno::EPERM);
            }
            c.uid = r;
        }
        if e != SAME {
            if !cap && ![old.uid, old.euid, old.suid].contains(&e) {
                return Err(Errno::EPERM);
            }
            c.euid = e;
        }
        if r != SAME || (e != SAME && e != old.uid) {
            c.suid = c.euid;
        }
        c.fsuid = c.euid;
        Ok(())
    })
}

/// setregid(2).
pub fn setregid(a: &Args) -> Result<i64> {
    let (r, e) = (a.u32(0), a.u32(1));
    change(|c| {
        let old = c.clone();
        let cap = c.has(Cap::Setgid);
        if r != SAME {
            if !cap && r != old.gid && r != old.egid {
                return Err(Errno::EPERM);
            }
            c.gid = r;
        }
        if e != SAME {
            if !cap && ![old.gid, old.egid, old.sgid].contains(&e) {
                return Err(Errno::EPERM);
            }
            c.egid = e;
        }
        if r != SAME || (e != SAME && e != old.gid) {
            c.sgid = c.egid;
        }
        c.fsgid = c.egid;
        Ok(())
    })
}

fn pick(cap: bool, allowed: [u32; 3], want: u32, field: &mut u32) -> Result<()> {
    if want == SAME {
        return Ok(());
    }
    if !cap && !allowed.contains(&want) {
        return Err(Errno::EPERM);
    }
    *field = want;
    Ok(())
}

/// setresuid(2).
pub fn setresuid(a: &Args) -> Result<i64> {
    change(|c| {
        let (cap, old) = (c.has(Cap::Setuid), [c.uid, c.euid, c.suid]);
        pick(cap, old, a.u32(0), &mut c.uid)?;
        pick(cap, old, a.u32(1), &mut c.euid)?;
        pick(cap, old, a.u32(2), &mut c.suid)?;
        c.fsuid = c.euid;
        Ok(())
    })
}

/// setresgid(2).
pub fn setresgid(a: &Args) -> Result<i64> {
    change(|c| {
        let (cap, old) = (c.has(Cap::Setgid), [c.gid, c.egid, c.sgid]);
        pick(cap, old, a.u32(0), &mut c.gid)?;
        pick(cap, old, a.u32(1), &mut c.egid)?;
        pick(cap, old, a.u32(2), &mut c.sgid)?;
        c.fsgid = c.egid;
        Ok(())
    })
}

fn put3(a: &Args, v: [u32; 3]) -> Result<i64> {
    for (i, v) in v.into_iter().enumerate() {
        UserPtr::<u32>::new(a.u64(i)).write(v)?;
    }
    Ok(0)
}

/// getresuid(2).
pub fn getresuid(a: &Args) -> Result<i64> {
    let c = current().cred();
    put3(a, [c.uid, c.euid, c.suid])
}

/// getresgid(2).
pub fn getresgid(a: &Args) -> Result<i64> {
    let c = current().cred();
    put3(a, [c.gid, c.egid, c.sgid])
}

/// setfsuid(2): returns the old value, whatever happens.
pub fn setfsuid(a: &Args) -> Result<i64> {
    let c = current().cred();
    let u = a.u32(0);
    if u != SAME && (c.has(Cap::Setuid) || [c.uid, c.euid, c.suid, c.fsuid].contains(&u)) {
        change(|c| {
            c.fsuid = u;
            Ok(())
        })?;
    }
    Ok(i64::from(c.fsuid))
}

/// setfsgid(2): returns the old value, whatever happens.
pub fn setfsgid(a: &Args) -> Result<i64> {
    let c = current().cred();
    let g = a.u32(0);
    if g != SAME && (c.has(Cap::Setgid) || [c.gid, c.egid, c.sgid, c.fsgid].contains(&g)) {
        change(|c| {
            c.fsgid = g;
            Ok(())
        })?;
    }
    Ok(i64::from(c.fsgid))
}

/// getgroups(2).
pub fn getgroups(a: &Args) -> Result<i64> {
    let c = current().cred();
    let n = a.int(0);
    if n < 0 || (n != 0 && (n as usize) < c.groups.len()) {
        return Err(Errno::EINVAL);
    }
    if n != 0 {
        for (i, g) in c.groups.iter().enumerate() {
            UserPtr::<u32>::new(a.u64(1)).at(i).write(*g)?;
        }
    }
    Ok(c.groups.len() as i64)
}

/// setgroups(2).
pub fn setgroups(a: &Args) -> Result<i64> {
    let n = a.u64(0);
    if !current().cred().has(Cap::Setgid) {
        return Err(Errno::EPERM);
    }
    if n > 65536 {
        return Err(Errno::EINVAL);
    }
    let mut groups = Vec::with_capacity(n as usize);
    for i in 0..n as usize {
        groups.push(UserPtr::<u32>::new(a.u64(1)).at(i).read()?);
    }
    change(|c| {
        groups.sort_unstable();
        c.groups = groups;
        Ok(())
    })
}

/// PR_SET_SECUREBITS.
pub(crate) fn set_securebits(bits: u64) -> Result<i64> {
    let mut c = (*current().cred()).clone();
    let old = u64::from(c.securebits);
    let (all, locks) = (u64::from(secure::ALL), u64::from(secure::LOCKS));
    // What is locked stays, and stays locked.
    let locked = (old & locks) >> 1 & (old ^ bits) != 0 || old & locks & !bits != 0;
    if locked || bits & !(all | locks) != 0 || !c.has(Cap::Setpcap) {
        return Err(Errno::EPERM);
    }
    c.securebits = bits as u32;
    current().set_cred(Arc::new(c));
    Ok(0)
}

/// PR_SET_KEEPCAPS.
pub(crate) fn set_keep_caps(on: bool) -> Result<i64> {
    let mut c = (*current().cred()).clone();
    if c.securebits & secure::KEEP_CAPS << 1 != 0 {
        return Err(Errno::EPERM);
    }
    c.securebits = c.securebits & !secure::KEEP_CAPS | if on { secure::KEEP_CAPS } else { 0 };
    current().set_cred(Arc::new(c));
    Ok(0)
}

/// PR_CAP_AMBIENT.
pub(crate) fn ambient(a: &Args) -> Result<i64> {
    const IS_SET: u64 = 1;
    const RAISE: u64 = 2;
    const LOWER: u64 = 3;
    const CLEAR_ALL: u64 = 4;
    let (what, cap) = (a.u64(1), a.u64(2));
    let mut c = (*current().cred()).clone();
    let limit = if what == CLEAR_ALL { 0 } else { u64::from(ALL_CAPS.count_ones()) - 1 };
    if cap > limit || a.u64(3) | a.u64(4) != 0 {
        return Err(Errno::EINVAL);
    }
    let bit = 1 << cap;
    match what {
        CLEAR_ALL => c.cap_ambient = 0,
        IS_SET => return Ok(i64::from(c.cap_ambient & bit != 0)),
        RAISE => {
            if c.cap_permitted & c.cap_inheritable & bit == 0 || c.securebits & secure::NO_CAP_AMBIENT_RAISE != 0 {
                return Err(Errno::EPERM);
            }
            c.cap_ambient |= bit;
        }
        LOWER => c.cap_ambient &= !bit,
        _ => return Err(Errno::EINVAL),
    }
    current().set_cred(Arc::new(c));
    Ok(0)
}

/// The header of capget and capset: version and pid; gives the number of 32-bit halves.
fn cap_header(at: u64) -> Result<(usize, i32)> {
    let [version, pid] = UserPtr::<[u32; 2]>::new(at).read()?;
    match version {
        0x1998_0330 => Ok((1, pid as i32)),
        0x2007_1026 | 0x2008_0522 => Ok((2, pid as i32)),
        _ => {
            UserPtr::<u32>::new(at).write(0x2008_0522)?;
            Err(Errno::EINVAL)
        }
    }
}

/// capget(2).
pub fn capget(a: &Args) -> Result<i64> {
    let (halves, pid) = match cap_header(a.u64(0)) {
        Err(Errno::EINVAL) if a.u64(1) == 0 => return Ok(0),
        r => r?,
    };
    if pid < 0 {
        return Err(Errno::EINVAL);
    }
    let c = if pid == 0 {
        current().cred()
    } else {
        core_::task::TREE.lock().thread(pid as u32).ok_or(Errno::ESRCH)?.cred()
    };
    for i in 0..halves {
        let half = |v: u64| (v >> (32 * i)) as u32;
        UserPtr::<[u32; 3]>::new(a.u64(1)).at(i).write([
            half(c.cap_effective),
            half(c.cap_permitted),
            half(c.cap_inheritable),
        ])?;
    }
    Ok(0)
}

/// capset(2).
pub fn capset(a: &Args) -> Result<i64> {
    let (halves, pid) = cap_header(a.u64(0))?;
    let me = current();
    if pid != 0 && pid as u32 != me.tid() {
        return Err(Errno::EPERM);
    }
    let (mut e, mut p, mut i) = (0u64, 0u64, 0u64);
    for h in 0..halves {
        let [he, hp, hi] = UserPtr::<[u32; 3]>::new(a.u64(1)).at(h).read()?;
        e |= u64::from(he) << (32 * h);
        p |= u64::from(hp) << (32 * h);
        i |= u64::from(hi) << (32 * h);
    }
    (e, p, i) = (e & ALL_CAPS, p & ALL_CAPS, i & ALL_CAPS);
    let mut c = (*me.cred()).clone();
    if p & !c.cap_permitted != 0 || e & !p != 0 {
        return Err(Errno::EPERM);
    }
    if i & !(c.cap_inheritable | c.cap_permitted) != 0 && !c.has(Cap::Setpcap)
        || i & !(c.cap_inheritable | c.cap_bounding) != 0
    {
        return Err(Errno::EPERM);
    }
    (c.cap_effective, c.cap_permitted, c.cap_inheritable) = (e, p, i);
    c.cap_ambient &= p & i;
    me.set_cred(Arc::new(c));
    Ok(0)
}
