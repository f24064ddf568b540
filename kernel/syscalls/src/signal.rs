//! Signals: actions, masks, sending, waiting (signal(7)).

use crate::Args;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;
use core_::signal::{self, Action, SigInfo, SigSet, code, sig};
use core_::task::{AltStack, Process, TREE, Thread};
use core_::uaccess::{self, UserPtr};
use core_::wait::Interrupt;
use core_::{Errno, Result, current};

fn size(a: &Args, i: usize) -> Result<()> {
    if a.u64(i) == 8 { Ok(()) } else { Err(Errno::EINVAL) }
}

/// rt_sigaction(2).
pub fn rt_sigaction(a: &Args) -> Result<i64> {
    size(a, 3)?;
    let signo = a.u32(0);
    if !(1..=64).contains(&signo) || (a.u64(1) != 0 && matches!(signo, sig::KILL | sig::STOP)) {
        return Err(Errno::EINVAL);
    }
    let new = UserPtr::<[u64; 4]>::new(a.u64(1)).read_if()?;
    let p = &current().process;
    let hand = p.sighand.lock().clone();
    let old = {
        let mut actions = hand.actions.lock();
        let old = actions[signo as usize - 1];
        if let Some([handler, flags, restorer, mask]) = new {
            const KNOWN: u64 = Action::NOCLDSTOP
                | Action::NOCLDWAIT
                | Action::SIGINFO
                | Action::EXPOSE_TAGBITS
                | Action::RESTORER
                | Action::ONSTACK
                | Action::RESTART
                | Action::NODEFER
                | Action::RESETHAND;
            actions[signo as usize - 1] =
                Action { handler, flags: flags & KNOWN, restorer, mask: SigSet(mask).minus(SigSet::UNBLOCKABLE) };
        }
        old
    };
    if new.is_some() && hand.ignored(signo) {
        // An ignored signal stops being pending (POSIX 3.3.1.3).
        p.pending.lock().discard(SigSet::of(signo));
        for t in p.threads.lock().iter() {
            t.pending.lock().discard(SigSet::of(signo));
        }
    }
    UserPtr::<[u64; 4]>::new(a.u64(2)).write_if(|| [old.handler, old.flags, old.restorer, old.mask.0])?;
    Ok(0)
}

/// rt_sigprocmask(2).
pub fn rt_sigprocmask(a: &Args) -> Result<i64> {
    size(a, 3)?;
    let me = current();
    let old = me.blocked();
    if let Some(set) = UserPtr::<u64>::new(a.u64(1)).read_if()? {
        let new = match a.u32(0) {
            0 => SigSet(old.0 | set),
            1 => SigSet(old.0 & !set),
            2 => SigSet(set),
            _ => return Err(Errno::EINVAL),
        };
        set_mask(me, new);
    }
    UserPtr::<u64>::new(a.u64(2)).write_if(|| old.0)?;
    Ok(0)
}

/// Changes the mask; what is unblocked now may be pending.
pub fn set_mask(me: &Thread, new: SigSet) {
    me.mask.store(new.minus(SigSet::UNBLOCKABLE).0, Ordering::SeqCst);
    if me.signal_pending() {
        me.work.store(true, Ordering::SeqCst);
        host::thread::trusted().pending.store(1, Ordering::SeqCst);
    }
}

/// rt_sigpending(2).
pub fn rt_sigpending(a: &Args) -> Result<i64> {
    if a.u64(1) > 8 {
        return Err(Errno::EINVAL);
    }
    let me = current();
    let set = (me.pending.lock().set().0 | me.process.pending.lock().set().0) & me.blocked().0;
    uaccess::write_bytes(a.u64(0), &set.to_le_bytes()[..a.u64(1) as usize])?;
    Ok(0)
}

/// rt_sigsuspend(2).
pub fn rt_sigsuspend(a: &Args) -> Result<i64> {
    size(a, 1)?;
    let new = SigSet(UserPtr::<u64>::new(a.u64(0)).read()?);
    let me = current();
    *me.saved_mask.lock() = Some(me.blocked());
    set_mask(me, new);
    pause_until_signal()
}

/// pause(2).
pub fn pause(_: &Args) -> Result<i64> {
    pause_until_signal()
}

fn pause_until_signal() -> Result<i64> {
    let me = current();
    while !me.interrupted(Interrupt::Signal) {
        me.park(None);
    }
    Err(Errno::ERESTARTNOHAND)
}

/// rt_sigtimedwait(2).
pub fn rt_sigtimedwait(a: &Args) -> Result<i64> {
    size(a, 3)?;
    let set = SigSet(UserPtr::<u64>::new(a.u64(0)).read()?).minus(SigSet::UNBLOCKABLE);
    let deadline = match UserPtr::<[i64; 2]>::new(a.u64(2)).read_if()? {
        Some([s, ns]) if s < 0 || !(0..1_000_000_000).contains(&ns) => return Err(Errno::EINVAL),
        Some([s, ns]) => {
            Some(host::time::monotonic_ns().saturating_add((s as u64).saturating_mul(1_000_000_000) + ns as u64))
        }
        None => None,
    };
    let me = current();
    let take = || me.pending.lock().take(set).or_else(|| me.process.pending.lock().take(set));
    let got = loop {
        if let Some(i) = take() {
            break Ok(i);
        }
        if me.interrupted(Interrupt::Signal) {
            break Err(Errno::EINTR);
        }
        if !me.park(deadline) {
            break take().ok_or(Errno::EAGAIN);
        }
    };
    let info = got?;
    if a.u64(1) != 0 {
        uaccess::write_bytes(a.u64(1), &info.to_bytes())?;
    }
    Ok(i64::from(info.signo))
}

/// Reads a siginfo_t of the application.
///
/// # Errors
/// `EFAULT`.
pub fn read_info(at: u64) -> Result<SigInfo> {
    Ok(SigInfo::from_bytes(&UserPtr::<[u8; 128]>::new(at).read()?))
}

fn check_sig(signo: u32) -> Result<()> {
    if signo <= 64 { Ok(()) } else { Err(Errno::EINVAL) }
}

fn send(me: &Thread, p: &Arc<Process>, info: SigInfo) -> Result<()> {
    if !signal::group_or_process_perm(me, p, info.signo) {
        return Err(Errno::EPERM);
    }
    if info.signo != 0 && p.pid != 1 && !signal::send_process(p, info) {
        return Err(Errno::EAGAIN);
    }
    Ok(())
}

/// kill(2).
pub fn kill(a: &Args) -> Result<i64> {
    let (pid, signo) = (a.int(0), a.u32(1));
    check_sig(signo)?;
    let me = current();
    let info = SigInfo::user(signo, code::USER, me.process.pid, me.cred().uid, 0);
    let targets = match pid {
        i32::MIN => return Err(Errno::ESRCH),
        p if p > 0 => {
            let p = super::process::ids::by_pid(p)?;
            return send(me, &p, info).map(|()| 0);
        }
        0 => {
            let g = me.process.pgid();
            TREE.lock().group(g)
        }
        -1 => {
            let mut all = TREE.lock().all();
            all.retain(|p| p.pid != 1 && p.pid != me.process.pid);
            all
        }
        g => TREE.lock().group(g.unsigned_abs()),
    };
    if targets.is_empty() {
        return Err(Errno::ESRCH);
    }
    // Success if any could be signalled.
    let mut result = Err(Errno::EPERM);
    for p in &targets {
        if send(me, p, info).is_ok() {
            result = Ok(0);
        }
    }
    result
}

fn to_thread(tgid: Option<u32>, tid: i32, info: SigInfo) -> Result<i64> {
    check_sig(info.signo)?;
    if tid <= 0 || tgid == Some(0) {
        return Err(Errno::EINVAL);
    }
    let me = current();
    let t = TREE.lock().thread(tid as u32).ok_or(Errno::ESRCH)?;
    if tgid.is_some_and(|g| g != t.process.pid) {
        return Err(Errno::ESRCH);
    }
    if !signal::group_or_process_perm(me, &t.process, info.signo) {
        return Err(Errno::EPERM);
    }
    if info.signo != 0 && !signal::send_thread(&t, info) {
        return Err(Errno::EAGAIN);
    }
    Ok(0)
}

fn tkill_info(signo: u32) -> SigInfo {
    let me = current();
    SigInfo::user(signo, code::TKILL, me.process.pid, me.cred().uid, 0)
}

/// tkill(2).
pub fn tkill(a: &Args) -> Result<i64> {
    to_thread(None, a.int(0), tkill_info(a.u32(1)))
}

/// tgkill(2).
pub fn tgkill(a: &Args) -> Result<i64> {
    if a.int(0) <= 0 {
        return Err(Errno::EINVAL);
    }
    to_thread(Some(a.u32(0)), a.int(1), tkill_info(a.u32(2)))
}

/// A siginfo that a process may send to another: nothing that the kernel itself would say (rt_sigqueueinfo(2)).
fn foreign_info(at: u64, signo: u32, own: bool) -> Result<SigInfo> {
    let mut info = read_info(at)?;
    if (info.code >= 0 || info.code == code::TKILL) && !own {
        return Err(Errno::EPERM);
    }
    info.signo = signo;
    Ok(info)
}

/// rt_sigqueueinfo(2).
pub fn rt_sigqueueinfo(a: &Args) -> Result<i64> {
    check_sig(a.u32(1))?;
    let me = current();
    let info = foreign_info(a.u64(2), a.u32(1), a.u32(0) == me.process.pid)?;
    // Zero is nobody here, and not the caller.
    if a.int(0) == 0 {
        return Err(Errno::ESRCH);
    }
    let p = super::process::ids::by_pid(a.int(0))?;
    send(me, &p, info).map(|()| 0)
}

/// rt_tgsigqueueinfo(2).
pub fn rt_tgsigqueueinfo(a: &Args) -> Result<i64> {
    let info = foreign_info(a.u64(3), a.u32(2), a.u32(0) == current().process.pid)?;
    to_thread(Some(a.u32(0)), a.int(1), info)
}

const SS_ONSTACK: u32 = 1;
const SS_DISABLE: u32 = 2;
const SS_AUTODISARM: u32 = 1 << 31;

/// What a stack_t asks for.
fn alt_stack(sp: u64, flags: u32, size: u64) -> Result<AltStack> {
    match flags & !SS_AUTODISARM {
        SS_DISABLE => Ok(AltStack { sp: 0, flags, size: 0 }),
        // MINSIGSTKSZ.
        0 | SS_ONSTACK if size < 2048 => Err(Errno::ENOMEM),
        0 | SS_ONSTACK => Ok(AltStack { sp, flags, size }),
        _ => Err(Errno::EINVAL),
    }
}

/// sigaltstack(2).
pub fn sigaltstack(a: &Args) -> Result<i64> {
    let me = current();
    let rsp = trap::context::current().regs.rsp;
    let old = *me.altstack.lock();
    let on = on_stack(&old, rsp);
    if let Some([sp, flags, size]) = UserPtr::<[u64; 3]>::new(a.u64(0)).read_if()? {
        if on {
            return Err(Errno::EPERM);
        }
        *me.altstack.lock() = alt_stack(sp, flags as u32, size)?;
    }
    // Stored as given (a handler's context shows that), told as it is.
    let shown = if on { old.flags | SS_ONSTACK } else { old.flags & !SS_ONSTACK };
    UserPtr::<[u64; 3]>::new(a.u64(1)).write_if(|| [old.sp, u64::from(shown), old.size])?;
    Ok(0)
}

/// True where `rsp` is on the alternate stack.
#[must_use]
pub fn on_stack(s: &AltStack, rsp: u64) -> bool {
    s.flags & SS_AUTODISARM == 0 && s.size > 0 && rsp > s.sp && rsp - s.sp <= s.size
}

/// rt_sigreturn(2).
pub fn rt_sigreturn(_: &Args) -> Result<i64> {
    let me = current();
    let c = trap::context::current();
    match trap::frame::pop(c) {
        Ok((mask, [sp, flags, size])) => {
            set_mask(me, SigSet(mask));
            // As Linux: restored unless we stand on the present one or the handler has made nonsense of it.
            if let Ok(new) = alt_stack(sp, flags as u32, size)
                && !on_stack(&me.altstack.lock(), c.regs.rsp)
            {
                *me.altstack.lock() = new;
            }
        }
        Err(_) => {
            c.regs.orig_rax = u64::MAX;
            signal::force(me, SigInfo::kernel(sig::SEGV));
        }
    }
    Ok(0)
}
