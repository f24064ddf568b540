//! Birth and death of processes, as far as it is bookkeeping; host threads are `syscalls::process`'s.

use super::process::{Relations, rlimit};
use super::{Cap, Cred, Exit, IoCount, Marks, Process, Rlimit, Session, State, TREE, Thread, Usage};
use crate::file::File;
use crate::mm::Mm;
use crate::signal::{self, Action, SigHand, SigInfo, SigSet, code, sig};
use crate::wait::WaitQueue;
use crate::{Errno, Mutex, Result};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use host::sync::Once;

/// What a new process gets from its maker.
pub struct Template {
    pub ppid: u32,
    /// See [`Relations::maker`].
    pub maker: u32,
    pub pgid: u32,
    pub session: Option<Arc<Session>>,
    pub sighand: Arc<SigHand>,
    pub cred: Arc<Cred>,
    pub mm: Option<Arc<Mm>>,
    pub rlimits: [Rlimit; rlimit::COUNT],
    pub exit_signal: u32,
    pub spawn_id: u64,
    /// See [`Process::origin`].
    pub origin: u64,
    /// The number that it must get; None: any.
    pub pid: Option<u32>,
}

/// Linux's default limits, with the VM's own where it has some.
#[must_use]
pub fn default_rlimits(files: u64, pids: u64) -> [Rlimit; rlimit::COUNT] {
    let inf = Rlimit { cur: rlimit::INFINITY, max: rlimit::INFINITY };
    let mut l = [inf; rlimit::COUNT];
    l[rlimit::STACK] = Rlimit { cur: 8 << 20, max: rlimit::INFINITY };
    l[rlimit::CORE] = Rlimit { cur: 0, max: rlimit::INFINITY };
    l[rlimit::NPROC] = Rlimit { cur: pids, max: pids };
    l[rlimit::NOFILE] = Rlimit { cur: files.min(1024), max: files };
    l[rlimit::MEMLOCK] = Rlimit { cur: 8 << 20, max: 8 << 20 };
    l[rlimit::SIGPENDING] = Rlimit { cur: 4096, max: 4096 };
    l[rlimit::MSGQUEUE] = Rlimit { cur: 819_200, max: 819_200 };
    l[rlimit::NICE] = Rlimit { cur: 0, max: 0 };
    l[rlimit::RTPRIO] = Rlimit { cur: 0, max: 0 };
    l
}

/// Makes a process with a number of its own and puts it into the tree.
///
/// # Errors
/// `EAGAIN` at the limit of pids; `EEXIST` and `EINVAL` for a number that it can not get.
pub fn new_process(t: Template) -> Result<Arc<Process>> {
    let mut tree = TREE.lock();
    let pid = tree.take_pid(t.pid)?;
    let (session, pgid) = match t.session {
        Some(s) => (s, t.pgid),
        None => (Arc::new(Session { sid: pid, tty: Mutex::default() }), pid),
    };
    let p = Arc::new(Process {
        pid,
        ppid: AtomicU32::new(t.ppid),
        pgid: AtomicU32::new(pgid),
        rel: Mutex::new(Relations { maker: t.maker, session, children: Vec::new() }),
        threads: Mutex::default(),
        state: Mutex::new(State::Running),
        exit: Mutex::default(),
        group_exit: Mutex::default(),
        exiting: AtomicBool::new(false),
        child_wait: Arc::default(),
        signal_wait: Arc::default(),
        exit_wait: Arc::new(WaitQueue::new()),
        sighand: Mutex::new(t.sighand),
        pending: Mutex::default(),
        report: AtomicU32::new(0),
        exit_signal: AtomicU32::new(t.exit_signal),
        cred: Mutex::new(t.cred),
        comm: Mutex::default(),
        rlimits: Mutex::new(t.rlimits),
        start_ns: host::time::monotonic_ns(),
        usage: Mutex::default(),
        child_usage: Mutex::default(),
        pdeath_signal: AtomicU32::new(0),
        did_exec: AtomicBool::new(false),
        dumpable: AtomicBool::new(true),
        subreaper: AtomicBool::new(false),
        marks: Marks::default(),
        io: IoCount::default(),
        origin: t.origin,
        spawn_id: AtomicU64::new(t.spawn_id),
        mm: Mutex::new(t.mm),
        timers: Mutex::default(),
    });
    tree.add_process(&p);
    if let Some(parent) = tree.process(t.ppid) {
        parent.rel.lock().children.push(pid);
    }
    Ok(p)
}

/// Process 1: has no threads; adopts and reaps orphans. Made once at boot.
///
/// # Errors
/// `EAGAIN` where pid 1 is taken: a bug of the boot order.
pub fn init_process() -> Result<Arc<Process>> {
    let mut ignore = [Action::default(); 64];
    ignore[sig::CHLD as usize - 1].handler = Action::IGN;
    let init = new_process(Template {
        ppid: 0,
        maker: 0,
        pgid: 1,
        session: None,
        sighand: Arc::new(SigHand::new(ignore)),
        cred: Arc::new(Cred::user(0, 0, Vec::new())),
        mm: None,
        rlimits: default_rlimits(1024, 4096),
        exit_signal: sig::CHLD,
        spawn_id: 0,
        origin: 0,
        pid: None,
    })?;
    init.comm.lock()[..4].copy_from_slice(b"init");
    Ok(init)
}

/// Whether the user that `cred` says has more threads than RLIMIT_NPROC of `p` allows, once there are `more` (getrlimit(2)).
#[must_use]
pub fn over_user_limit(p: &Process, cred: &Cred, more: u64) -> bool {
    if cred.uid == 0 {
        return false;
    }
    let limit = p.rlimit(rlimit::NPROC);
    let tree = TREE.lock();
    // A user can not have more than there are: where the limit is the VM's own, nothing is counted.
    tree.thread_count() as u64 + more > limit && tree.threads_of(cred.uid) as u64 + more > limit
}

/// Whether a thread with `cred` may make one more thread or process.
///
/// # Errors
/// `EAGAIN` at RLIMIT_NPROC.
pub fn check_user_limit(p: &Process, cred: &Cred) -> Result<()> {
    if !cred.has(Cap::SysResource) && !cred.has(Cap::SysAdmin) && over_user_limit(p, cred, 1) {
        return Err(Errno::EAGAIN);
    }
    Ok(())
}

/// Puts a thread into its process and the tree.
pub fn add_thread(t: &Arc<Thread>) {
    TREE.lock().add_thread(t);
    t.process.threads.lock().push(t.clone());
}

/// Takes a thread out of its process; true where it was the last.
pub fn thread_gone(t: &Thread) -> bool {
    let mut threads = t.process.threads.lock();
    threads.retain(|x| !core::ptr::eq(&**x, t));
    let last = threads.is_empty();
    drop(threads);
    // The object may live on; its signals count no more.
    t.pending.lock().discard(SigSet(u64::MAX));
    if t.tid() == t.process.pid {
        *t.process.comm.lock() = *t.comm.lock();
    }
    // The leader's number stays with the process until it is reaped.
    if t.tid() != t.process.pid {
        TREE.lock().remove_thread(t.tid());
    }
    last
}

/// A thread ends: the children that it made hear of it where they asked to (PR_SET_PDEATHSIG), and belong to the rest of
/// the process, if there is any.
pub fn maker_gone(t: &Thread) {
    let p = &t.process;
    let heir = p.threads.lock().iter().map(|o| o.tid()).find(|tid| *tid != t.tid()).unwrap_or(p.pid);
    let mut told = Vec::new();
    {
        let tree = TREE.lock();
        let children = p.rel.lock().children.clone();
        for child in children.iter().filter_map(|c| tree.process(*c)) {
            let mut rel = child.rel.lock();
            if rel.maker == t.tid() {
                rel.maker = heir;
                drop(rel);
                told.push(child);
            }
        }
    }
    for child in told {
        let signo = child.pdeath_signal.load(Ordering::Relaxed);
        if signo != 0 {
            signal::send_process(&child, SigInfo::user(signo, code::USER, p.pid, t.cred().uid, 0));
        }
    }
}

/// The thread `old` of `p` takes the leader's number (execve): its children go along.
pub fn maker_renamed(p: &Process, old: u32) {
    let tree = TREE.lock();
    let children = p.rel.lock().children.clone();
    for child in children.iter().filter_map(|c| tree.process(*c)) {
        let mut rel = child.rel.lock();
        if rel.maker == old {
            rel.maker = p.pid;
        }
    }
}

static NEW_PIDFD: Once<fn(Arc<Process>) -> Arc<File>> = Once::new();

/// Sets what makes a pidfd (a module's business).
pub fn on_pidfd(f: &'static fn(Arc<Process>) -> Arc<File>) {
    NEW_PIDFD.set(f);
}

/// A new open file that stands for `p` (pidfd_open(2)).
///
/// # Errors
/// `ENOSYS` before boot has set the maker.
pub fn new_pidfd(p: Arc<Process>) -> Result<Arc<File>> {
    Ok(NEW_PIDFD.get().ok_or(Errno::ENOSYS)?(p))
}

static ON_EXITED: Once<fn(&Process, Exit, &Usage)> = Once::new();

/// Sets what is told of the end of processes that the VMM started.
pub fn on_exited(f: &'static fn(&Process, Exit, &Usage)) {
    ON_EXITED.set(f);
}

/// The last thread is gone: the process becomes a zombie (or is reaped at once), its children get a new parent, its
/// parent learns of it.
pub fn process_exit(p: &Arc<Process>, status: Exit) {
    *p.mm.lock() = None;
    let mut orphans_done = Vec::new();
    // Groups that this process linked to the rest of its session: its own through its parent, its children's through itself.
    let mut links = Vec::new();
    let parent;
    {
        let tree = TREE.lock();
        // Children go to the nearest subreaper above, or to process 1.
        let mut heir = p.ppid();
        loop {
            match tree.process(heir) {
                Some(h) if h.subreaper.load(Ordering::Relaxed) && !h.is_exiting() => break,
                Some(h) if heir > 1 => heir = h.ppid(),
                _ => {
                    heir = 1;
                    break;
                }
            }
        }
        let children = core::mem::take(&mut p.rel.lock().children);
        if let Some(h) = tree.process(heir) {
            for c in children {
                let Some(child) = tree.process(c) else { continue };
                links.extend(linked_group(&child, p));
                child.set_ppid(heir);
                child.rel.lock().maker = heir;
                child.exit_signal.store(sig::CHLD, Ordering::Relaxed);
                h.rel.lock().children.push(c);
                if child.is_zombie() {
                    orphans_done.push((h.clone(), child));
                }
            }
        }
        parent = tree.process(p.ppid());
        links.extend(parent.as_ref().and_then(|parent| linked_group(p, parent)));
        *p.exit.lock() = Some(status);
        *p.state.lock() = State::Zombie;
    }
    let spawned = p.spawn_id.load(Ordering::Relaxed) != 0;
    if spawned {
        let mut usage = *p.usage.lock();
        usage.add(&p.child_usage.lock());
        if let Some(f) = ON_EXITED.get() {
            f(p, status, &usage);
        }
    }
    p.exit_wait.wake_all();
    for pgid in links {
        let tree = TREE.lock();
        let stopped = tree.group(pgid).iter().any(|m| m.is_stopped());
        let lost = stopped && tree.orphaned_group(pgid);
        drop(tree);
        // Nobody is left who could continue them (POSIX, "orphaned process group").
        if lost {
            signal::send_group(pgid, SigInfo::kernel(sig::HUP));
            signal::send_group(pgid, SigInfo::kernel(sig::CONT));
        }
    }
    if let Some(parent) = parent {
        tell_parent(p, &parent, status);
    }
    for (heir, child) in orphans_done {
        let st = child.exit.lock().unwrap_or(Exit(0));
        tell_parent(&child, &heir, st);
    }
}

/// The child's group where its parent, of another group in the same session, is one of those who could continue it when it
/// stops (kernel/exit.c, `kill_orphaned_pgrp`).
fn linked_group(child: &Process, parent: &Process) -> Option<u32> {
    (parent.pgid() != child.pgid() && parent.sid() == child.sid()).then(|| child.pgid())
}

fn tell_parent(p: &Arc<Process>, parent: &Arc<Process>, status: Exit) {
    let act = parent.sighand.lock().action(sig::CHLD);
    let signo = p.exit_signal.load(Ordering::Relaxed);
    let auto =
        parent.pid == 1 || (signo == sig::CHLD && (act.handler == Action::IGN || act.flags & Action::NOCLDWAIT != 0));
    if auto {
        reap(p);
    }
    // clone(2) takes any number; one that is no signal tells nobody.
    if (1..=64).contains(&signo) && !(auto && act.handler == Action::IGN) && parent.pid != 1 {
        let (c, st) = exit_code(status);
        let u = *p.usage.lock();
        let uid = p.cred.lock().uid;
        let tick = |us: u64| us / 10_000;
        let mut info = SigInfo::child(c, p.pid, uid, st, tick(u.utime_us), tick(u.stime_us));
        info.signo = signo;
        signal::send_process(parent, info);
    }
    parent.child_wait.wake_all();
}

/// `si_code` and `si_status` of an exit status.
#[must_use]
pub fn exit_code(status: Exit) -> (i32, u32) {
    if status.0 & 0x7f == 0 {
        (code::CLD_EXITED, status.0 >> 8)
    } else if status.0 & 0x80 != 0 {
        (code::CLD_DUMPED, status.0 & 0x7f)
    } else {
        (code::CLD_KILLED, status.0 & 0x7f)
    }
}

/// Takes a zombie out of the tree. False where somebody else did.
pub fn reap(p: &Arc<Process>) -> bool {
    let mut tree = TREE.lock();
    {
        let mut st = p.state.lock();
        if *st != State::Zombie {
            return false;
        }
        *st = State::Dead;
    }
    p.pending.lock().discard(SigSet(u64::MAX));
    if let Some(parent) = tree.process(p.ppid()) {
        let pid = p.pid;
        parent.rel.lock().children.retain(|c| *c != pid);
        let mut u = *p.usage.lock();
        u.add(&p.child_usage.lock());
        parent.child_usage.lock().add(&u);
    }
    tree.ended.add(&p.usage.lock());
    tree.remove_process(p.pid);
    tree.remove_thread(p.pid);
    true
}

/// Reaps all zombies among the children of `p` (SIGCHLD became ignored).
pub fn try_reap_children(p: &Process) {
    let children = p.rel.lock().children.clone();
    for c in children {
        let child = TREE.lock().process(c);
        if let Some(c) = child {
            reap(&c);
        }
    }
}
