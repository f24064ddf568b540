//! Sending signals: which thread gets it, and how it learns of it.

use super::{Default_, SigInfo, SigSet, default_action, sig};
use crate::counters;
use crate::task::{Cap, Event, Process, State, TREE, Thread, tell};
use alloc::sync::Arc;
use core::sync::atomic::Ordering;

/// Host signal that makes a thread look for work (SIGURG's default is to be ignored: a late one harms nobody).
pub const KICK: u32 = 23;

/// [`wake_for_work`] for each thread of `p`; false where it has none any more.
pub fn wake_all(p: &Process) -> bool {
    // A copy: each wake may be a host call, and nobody needs to wait for that.
    let threads = p.threads.lock().clone();
    threads.iter().for_each(|t| wake_for_work(t));
    !threads.is_empty()
}

/// Makes `t` notice that it has work: unparks it if it sleeps in the guest kernel, kicks it if it runs application code.
///
/// One kick for all that comes until the thread looks: it looks before it sleeps and before its application runs, and each
/// kick needs room on its alternate stack, so a storm of signals must not become a storm of kicks.
pub fn wake_for_work(t: &Thread) {
    t.work.store(true, Ordering::SeqCst);
    let page = host::thread::trusted_of(t.slot());
    let told = page.pending.swap(1, Ordering::SeqCst) != 0;
    t.parker.unpark();
    if told {
        return;
    }
    let me = host::thread::trusted().slot.load(Ordering::Relaxed);
    if t.slot() != me {
        let (pid, tid) = (page.host_pid.load(Ordering::Relaxed), page.host_tid.load(Ordering::Relaxed));
        if let Some(s) = host::cpu::scheduler() {
            s.interrupt(t.slot());
        } else if tid != 0 && page.lent.load(Ordering::SeqCst) == 0 {
            counters::KICKS.add(1);
            // A thread that is gone needs no kick.
            let _ = host::process::tgkill(pid, tid, KICK);
        }
    }
}

/// SIGKILL is pending for `t`.
#[must_use]
pub fn kill_pending(t: &Thread) -> bool {
    t.pending.lock().set().has(sig::KILL) || t.process.pending.lock().set().has(sig::KILL)
}

/// Effects that a signal has when it is generated, before anybody takes it: SIGCONT resumes, stop signals cancel SIGCONT
/// and the other way round (POSIX 2.4.3).
fn generate(p: &Arc<Process>, signo: u32) {
    const STOPS: SigSet = SigSet(1 << 18 | 1 << 19 | 1 << 20 | 1 << 21);
    let each = |which: SigSet| {
        p.pending.lock().discard(which);
        for t in p.threads.lock().iter() {
            t.pending.lock().discard(which);
        }
    };
    // SIGKILL resumes, too, but only once it is pending: `entry::signals` sees to that. No stop is told any more.
    if signo == sig::KILL {
        p.report.store(0, Ordering::SeqCst);
    }
    if signo == sig::CONT {
        each(STOPS);
        let mut st = p.state.lock();
        if matches!(*st, State::Stopped(_)) {
            *st = State::Running;
            drop(st);
            p.report.store(0xffff, Ordering::SeqCst);
            notify(p, super::code::CLD_CONTINUED, sig::CONT);
            wake_all(p);
        }
    } else if STOPS.has(signo) {
        each(SigSet::of(sig::CONT));
    }
}

/// Tells the parent of a stop or continue: wakes its wait calls, sends SIGCHLD unless SA_NOCLDSTOP.
pub fn notify(p: &Arc<Process>, code: i32, status: u32) {
    let parent = {
        let ppid = p.ppid();
        TREE.lock().process(ppid)
    };
    let Some(parent) = parent else { return };
    let act = parent.sighand.lock().action(sig::CHLD);
    if act.handler != super::Action::IGN && act.flags & super::Action::NOCLDSTOP == 0 {
        let uid = p.cred.lock().uid;
        send_process(&parent, SigInfo::child(code, p.pid, uid, status, 0, 0));
    }
    parent.child_wait.wake_all();
}

/// How many signals `p`'s user may have queued, as far as `p` is concerned.
#[must_use]
pub fn limit(p: &Process) -> usize {
    usize::try_from(p.rlimit(crate::task::rlimit::SIGPENDING)).unwrap_or(usize::MAX)
}

/// Sends a signal to the process as a whole. False where a real-time signal found the queue full.
pub fn send_process(p: &Arc<Process>, info: SigInfo) -> bool {
    if p.is_zombie() {
        return true;
    }
    generate(p, info.signo);
    let threads = p.threads.lock().clone();
    let wanted = |t: &Thread| !t.blocked().has(info.signo);
    if p.sighand.lock().ignored(info.signo) && threads.iter().any(|t| wanted(t)) {
        threads.first().inspect(|t| tell(t, &Event::Ignored(&info)));
        return true;
    }
    counters::SIGNALS.add(1);
    let ok = {
        let uid = p.cred.lock().uid;
        p.pending.lock().push(info, uid, limit(p))
    };
    super::set::GENERATION.fetch_add(1, Ordering::SeqCst);
    signalfd_wake(p);
    // The main thread if it wants it, else any that does; SIGKILL and stops concern all.
    if info.signo == sig::KILL || default_action(info.signo) == Default_::Stop {
        wake_all(p);
    } else if let Some(t) = threads.iter().find(|t| wanted(t)) {
        wake_for_work(t);
    } else {
        // Blocked everywhere: a thread in sigtimedwait may still want it.
        threads.iter().for_each(|t| t.parker.unpark());
    }
    ok
}

/// Sends a signal to one thread. False where a real-time signal found the queue full.
pub fn send_thread(t: &Arc<Thread>, info: SigInfo) -> bool {
    let p = &t.process;
    if p.is_zombie() {
        return true;
    }
    generate(p, info.signo);
    if !t.blocked().has(info.signo) && p.sighand.lock().ignored(info.signo) {
        tell(t, &Event::Ignored(&info));
        return true;
    }
    counters::SIGNALS.add(1);
    let ok = t.pending.lock().push(info, t.cred().uid, limit(p));
    super::set::GENERATION.fetch_add(1, Ordering::SeqCst);
    signalfd_wake(p);
    if t.blocked().has(info.signo) && info.signo != sig::KILL && info.signo != sig::STOP {
        t.parker.unpark();
    } else {
        wake_for_work(t);
    }
    ok
}

/// Sends a signal to every member of process group `pgid`; returns how many there are.
pub fn send_group(pgid: u32, info: SigInfo) -> usize {
    let members = TREE.lock().group(pgid);
    for p in &members {
        send_process(p, info);
    }
    members.len()
}

/// A signal that the thread can not block or ignore: a fault. If it is blocked or ignored its action becomes the default
/// (Linux `force_sig_info`).
pub fn force(t: &Thread, info: SigInfo) {
    let hand = t.process.sighand.lock().clone();
    {
        let mut actions = hand.actions.lock();
        let a = &mut actions[info.signo as usize - 1];
        if t.blocked().has(info.signo) || a.handler == super::Action::IGN {
            a.handler = super::Action::DFL;
            t.mask.store(t.blocked().without(info.signo).0, Ordering::Relaxed);
        }
    }
    t.pending.lock().push(info, t.cred().uid, usize::MAX);
    t.work.store(true, Ordering::SeqCst);
}

/// signalfd readers of `p` look again.
fn signalfd_wake(p: &Process) {
    p.signal_wait.wake(crate::wait::Events::READ);
}

/// True where `cred` may signal `p`: kill(2)'s rule; SIGCONT within the session is allowed too.
#[must_use]
pub fn group_or_process_perm(me: &Thread, p: &Process, signo: u32) -> bool {
    let cred = me.cred();
    // Process 1 is root's and has no thread; others without one have ended.
    let own = p.any_thread().map_or(p.pid != 1 || cred.has(Cap::Kill), |t| cred.may_signal(&t.cred()));
    own || (signo == sig::CONT && me.process.sid() == p.sid())
}

/// Sends the calling thread a signal from the kernel (SIGPIPE, SIGXFSZ).
pub fn send_thread_self(me: &Thread, signo: u32) {
    if me.blocked().has(signo) || !me.process.sighand.lock().ignored(signo) {
        let uid = me.cred().uid;
        let info = SigInfo::user(signo, super::code::USER, me.process.pid, uid, 0);
        me.pending.lock().push(info, uid, limit(&me.process));
        me.work.store(true, Ordering::SeqCst);
        host::thread::trusted().pending.store(1, Ordering::SeqCst);
    }
}
