//! fork, vfork, clone, clone3 (clone(2)).

use super::exit;
use crate::Args;
use abi::layout;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;
use core_::counters;
use core_::signal::{Action, SigHand, SigSet, sig};
use core_::task::{Cap, Template, Thread, add_thread, new_process};
use core_::uaccess::UserPtr;
use core_::{Errno, Result, current};
use trap::thread::Kind;

/// clone flags (`linux/sched.h`).
pub mod flag {
    pub const VM: u64 = 0x100;
    pub const FS: u64 = 0x200;
    pub const FILES: u64 = 0x400;
    pub const SIGHAND: u64 = 0x800;
    pub const PIDFD: u64 = 0x1000;
    pub const PTRACE: u64 = 0x2000;
    pub const VFORK: u64 = 0x4000;
    pub const PARENT: u64 = 0x8000;
    pub const THREAD: u64 = 0x1_0000;
    pub const NEWNS: u64 = 0x2_0000;
    pub const SYSVSEM: u64 = 0x4_0000;
    pub const SETTLS: u64 = 0x8_0000;
    pub const PARENT_SETTID: u64 = 0x10_0000;
    pub const CHILD_CLEARTID: u64 = 0x20_0000;
    pub const DETACHED: u64 = 0x40_0000;
    pub const UNTRACED: u64 = 0x80_0000;
    pub const CHILD_SETTID: u64 = 0x100_0000;
    pub const NAMESPACES: u64 = 0x7e02_0000 | 0x80;
    pub const IO: u64 = 0x8000_0000;
    pub const CLEAR_SIGHAND: u64 = 0x1_0000_0000;
    pub const INTO_CGROUP: u64 = 0x2_0000_0000;
}

/// What clone and clone3 ask for.
#[derive(Clone, Copy, Default)]
struct Request {
    flags: u64,
    exit_signal: u32,
    stack: u64,
    parent_tid: u64,
    child_tid: u64,
    pidfd: u64,
    tls: u64,
    /// The number that the child must get (clone3 only).
    set_tid: Option<u32>,
}

/// A new descriptor for `p`.
///
/// # Errors
/// `EMFILE`.
pub(super) fn pidfd(p: Arc<core_::task::Process>) -> Result<i32> {
    current().files().add(core_::task::new_pidfd(p)?, true)
}

/// fork(2).
pub fn fork(_: &Args) -> Result<i64> {
    clone_(Request { exit_signal: sig::CHLD, ..Request::default() })
}

/// vfork(2).
pub fn vfork(_: &Args) -> Result<i64> {
    clone_(Request { flags: flag::VM | flag::VFORK, exit_signal: sig::CHLD, ..Request::default() })
}

/// clone(2): flags, stack, parent_tid, child_tid, tls.
pub fn clone(a: &Args) -> Result<i64> {
    let flags = a.u64(0) & !0xff & 0xffff_ffff;
    // Both would write to the same place.
    if flags & flag::PIDFD != 0 && flags & flag::PARENT_SETTID != 0 {
        return Err(Errno::EINVAL);
    }
    clone_(Request {
        flags,
        exit_signal: a.u32(0) & 0xff,
        stack: a.u64(1),
        parent_tid: a.u64(2),
        child_tid: a.u64(3),
        // PIDFD shares the parent_tid argument in clone(2).
        pidfd: a.u64(2),
        tls: a.u64(4),
        set_tid: None,
    })
}

/// clone3(2): struct clone_args and its size.
pub fn clone3(a: &Args) -> Result<i64> {
    let size = a.u64(1) as usize;
    if size < 64 {
        return Err(Errno::EINVAL);
    }
    if size > 4096 {
        return Err(Errno::E2BIG);
    }
    let raw = core_::uaccess::read_bytes(a.u64(0), size)?;
    if raw.get(88..).is_some_and(|rest| rest.iter().any(|b| *b != 0)) {
        return Err(Errno::E2BIG);
    }
    let word = |i: usize| {
        let mut w = [0; 8];
        match raw.get(i * 8..i * 8 + 8) {
            Some(b) => w.copy_from_slice(b),
            None => return 0,
        }
        u64::from_le_bytes(w)
    };
    let (flags, exit_signal, stack, stack_size) = (word(0), word(4), word(5), word(6));
    if flags & (0xff | flag::DETACHED) != 0 || flags >> 34 != 0 || exit_signal > 64 || (stack == 0) != (stack_size == 0)
    {
        return Err(Errno::EINVAL);
    }
    if flags & (flag::THREAD | flag::PARENT) != 0 && exit_signal != 0 {
        return Err(Errno::EINVAL);
    }
    // Both would write to the same place.
    if flags & flag::PIDFD != 0 && flags & flag::PARENT_SETTID != 0 && word(1) == word(3) {
        return Err(Errno::EINVAL);
    }
    let set_tid = set_tid(word(8), word(9))?;
    if stack != 0 && !layout::user_range_ok(stack, stack_size) {
        return Err(Errno::EINVAL);
    }
    clone_(Request {
        flags,
        exit_signal: exit_signal as u32,
        stack: stack.wrapping_add(stack_size),
        pidfd: word(1),
        child_tid: word(2),
        parent_tid: word(3),
        tls: word(7),
        set_tid,
    })
}

/// The number that the caller wants its child to have: an array with one number for each pid namespace, innermost first.
fn set_tid(at: u64, n: u64) -> Result<Option<u32>> {
    /// MAX_PID_NS_LEVEL.
    const LEVELS: u64 = 32;
    if n > LEVELS || (at == 0) != (n == 0) {
        return Err(Errno::EINVAL);
    }
    if n == 0 {
        return Ok(None);
    }
    let pid = UserPtr::<i32>::new(at).read()?;
    // There is one namespace.
    if n > 1 || pid < 1 {
        return Err(Errno::EINVAL);
    }
    let cred = current().cred();
    if !cred.has(Cap::SysAdmin) && !cred.has(Cap::CheckpointRestore) {
        return Err(Errno::EPERM);
    }
    Ok(Some(pid as u32))
}

fn check(r: &Request) -> Result<()> {
    use flag::*;
    let f = r.flags;
    // One line for each rule of clone(2)'s EINVAL list.
    #[allow(clippy::nonminimal_bool)]
    let bad = (f & SIGHAND != 0 && f & VM == 0)
        || (f & THREAD != 0 && f & SIGHAND == 0)
        || (f & CLEAR_SIGHAND != 0 && f & SIGHAND != 0)
        || (f & NEWNS != 0 && f & FS != 0)
        || (f & PIDFD != 0 && f & (DETACHED | THREAD) != 0);
    if bad {
        return Err(Errno::EINVAL);
    }
    if f & NAMESPACES != 0 {
        return Err(counters::missing(56, Errno::EINVAL));
    }
    if f & INTO_CGROUP != 0 {
        return Err(counters::missing(435, Errno::EINVAL));
    }
    if f & SETTLS != 0 && r.tls >= 1 << 47 {
        return Err(Errno::EPERM);
    }
    Ok(())
}

fn clone_(r: Request) -> Result<i64> {
    use flag::*;
    check(&r)?;
    let me = current();
    let vfork = r.flags & VM != 0 && r.flags & VFORK != 0 && r.flags & THREAD == 0;
    if me.process.is_exiting() {
        return Err(Errno::ERESTARTNOINTR);
    }
    core_::task::check_user_limit(&me.process, &me.cred())?;
    me.over_user_limit.store(false, Ordering::Relaxed);
    let slot = trap::thread::alloc_slot().map_err(no_pid)?;
    match build(me, &r, slot) {
        Ok(child) => start(me, &r, child, vfork),
        Err(e) => {
            trap::thread::free_slot(slot);
            Err(e)
        }
    }
}

/// The machine has no number or no place for one more thread.
fn no_pid(e: Errno) -> Errno {
    if e == Errno::EAGAIN {
        core_::limits::note(core_::limits::Refused::Processes);
    }
    e
}

/// Makes the child's objects and its context; nothing runs yet.
fn build(me: &Thread, r: &Request, slot: u32) -> Result<Arc<Thread>> {
    use flag::*;
    me.recent.clear();
    let files = if r.flags & FILES != 0 { me.files() } else { me.files().fork() };
    let fs = if r.flags & FS != 0 { me.fs() } else { me.fs().fork() };
    let comm = *me.comm.lock();
    let mask = SigSet(me.mask.load(Ordering::Relaxed));
    let (tid, process) = if r.flags & THREAD != 0 {
        let tid = core_::task::TREE.lock().take_pid(r.set_tid).map_err(no_pid)?;
        (tid, me.process.clone())
    } else {
        let hand = me.process.sighand.lock().clone();
        let sighand = if r.flags & SIGHAND != 0 {
            hand
        } else {
            let mut actions = *hand.actions.lock();
            if r.flags & CLEAR_SIGHAND != 0 {
                for a in &mut actions {
                    if a.handler != Action::IGN {
                        *a = Action::default();
                    }
                }
            }
            Arc::new(SigHand::new(actions))
        };
        let parent = &me.process;
        let ppid = if r.flags & PARENT != 0 { parent.ppid() } else { parent.pid };
        let mm = parent.mm.lock().clone();
        let p = new_process(Template {
            ppid,
            maker: if r.flags & PARENT != 0 { parent.rel.lock().maker } else { me.tid() },
            pgid: parent.pgid(),
            session: Some(parent.session()),
            sighand,
            cred: me.cred(),
            mm,
            rlimits: *parent.rlimits.lock(),
            exit_signal: if r.flags & PARENT != 0 { parent.exit_signal.load(Ordering::Relaxed) } else { r.exit_signal },
            spawn_id: 0,
            origin: parent.origin,
            pid: r.set_tid,
        })
        .map_err(no_pid)?;
        let cpu = parent.rlimit(core_::task::rlimit::CPU);
        if cpu != core_::task::rlimit::INFINITY {
            p.timers.lock().limit_cpu(cpu, &p);
        }
        p.dumpable.store(parent.dumpable.load(Ordering::Relaxed), Ordering::Relaxed);
        p.marks.inherit(&parent.marks);
        (p.pid, p)
    };
    let child = Arc::new(Thread::new(tid, process, slot, me.cred(), files, fs, comm, mask));
    if r.flags & VM == 0 || r.flags & VFORK != 0 {
        *child.altstack.lock() = *me.altstack.lock();
    }
    child.affinity.store(me.affinity.load(Ordering::Relaxed), Ordering::Relaxed);
    child.ioprio.store(me.ioprio.load(Ordering::Relaxed), Ordering::Relaxed);
    child.personality.store(me.personality.load(Ordering::Relaxed), Ordering::Relaxed);
    child.inherit_timer_slack(me);
    let policy = me.policy.load(Ordering::Relaxed);
    // SCHED_RESET_ON_FORK takes back what needs privilege; the flag itself is not inherited.
    let reset = policy & crate::sched::RESET_ON_FORK != 0;
    let nice = me.nice.load(Ordering::Relaxed);
    child.nice.store(if reset { nice.max(0) } else { nice }, Ordering::Relaxed);
    child.policy.store(policy & !crate::sched::RESET_ON_FORK, Ordering::Relaxed);
    if r.flags & SETTLS != 0 {
        child.start_fs.store(r.tls, Ordering::Relaxed);
    }
    if r.flags & CHILD_CLEARTID != 0 {
        child.clear_child_tid.store(r.child_tid, Ordering::Relaxed);
    }
    if r.flags & CHILD_SETTID != 0 {
        child.start_settid.store(r.child_tid, Ordering::Relaxed);
    }
    let c = trap::context::fresh(slot);
    if trap::sched::on() {
        // The child does not inherit this processor's registers: what a gate call had left in them goes into memory.
        trap::cpu::make_full(trap::context::current());
    }
    c.copy_from(trap::context::current());
    c.regs.rax = 0;
    c.regs.orig_rax = u64::MAX;
    if r.stack != 0 {
        c.regs.rsp = r.stack;
    }
    Ok(child)
}

fn start(me: &Thread, r: &Request, child: Arc<Thread>, vfork: bool) -> Result<i64> {
    use flag::*;
    let (slot, tid) = (child.slot(), child.tid());
    if r.flags & PARENT_SETTID != 0 {
        // As with the child's words, nobody hears that there is no such place (`kernel_clone`).
        let _ = UserPtr::<u32>::new(r.parent_tid).write(tid);
    }
    let fd = if r.flags & PIDFD != 0 {
        let fd = pidfd(child.process.clone()).or_else(|e| abandon(&child, slot, e))?;
        UserPtr::<i32>::new(r.pidfd).write(fd).or_else(|e| {
            let _ = me.files().remove(fd);
            abandon(&child, slot, e)
        })?;
        Some(fd)
    } else {
        None
    };
    host::thread::set_current(slot, child.clone());
    add_thread(&child);
    let entry = trap::thread::entry();
    if vfork {
        counters::FORKS.add(1);
        child.borrowed.store(true, Ordering::Relaxed);
        let done = child.process.clone();
        drop(child);
        trap::thread::lend(slot, entry);
        trap::thread::free_slot(slot);
        return Ok(i64::from(done.pid));
    }
    let made = if r.flags & (THREAD | VM) != 0 {
        // A process that has its parent's memory is a thread of its parent's host process: only the guest kernel tells them apart.
        if r.flags & THREAD != 0 { &counters::THREADS } else { &counters::FORKS }.add(1);
        trap::thread::spawn(Kind::Thread, slot, entry)
    } else {
        counters::FORKS.add(1);
        // The tree and the host's copy must be of the same moment: no other thread maps in between.
        let mm = me.process.mm.lock().clone();
        match mm {
            Some(mm) => match mm.fork_locked() {
                Ok((copy, held)) => {
                    *child.process.mm.lock() = Some(copy);
                    let made = trap::thread::spawn(Kind::Process, slot, entry);
                    drop(held);
                    made
                }
                Err(e) => Err(e),
            },
            None => Err(Errno::EAGAIN),
        }
    };
    match made {
        Ok(_) => Ok(i64::from(tid)),
        Err(e) => {
            if let Some(fd) = fd {
                let _ = me.files().remove(fd);
            }
            // The slot keeps the child until its next owner comes: it must not keep pipes open for so long.
            drop(child.set_files(core_::fd::FdTable::new()));
            core_::task::thread_gone(&child);
            abandon(&child, slot, e)
        }
    }
}

/// Undoes a child that never ran.
fn abandon<T>(child: &Arc<Thread>, slot: u32, e: Errno) -> Result<T> {
    if child.tid() == child.process.pid {
        exit::forget(&child.process);
    }
    trap::thread::free_slot(slot);
    Err(e)
}
