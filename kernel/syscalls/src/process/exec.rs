//! execve, execveat.

use super::{exit, seat};
use crate::Args;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use core_::exec::{Program, Start, check_size};
use core_::mm::Mm;
use core_::signal::{Action, SigHand, sig};
use core_::task::{Cap, Cred, Event, Exit, Restart, Thread, rlimit, tell};
use core_::uaccess::{self, UserPtr};
use core_::wait::{Interrupt, wait_on};
use core_::{Errno, Result, counters, current};

/// Most strings of one execve.
const MAX_STRINGS: usize = 0x10_0000;

/// execve(2).
pub fn execve(a: &Args) -> Result<i64> {
    let path = uaccess::read_path(a.u64(0))?;
    exec(None, path.into_vec(), a.u64(1), a.u64(2), 0)
}

/// execveat(2).
pub fn execveat(a: &Args) -> Result<i64> {
    let path = uaccess::read_path(a.u64(1))?;
    exec(Some(a.fd(0)), path.into_vec(), a.u64(2), a.u64(3), a.u32(4))
}

fn strings(at: u64, budget: &mut usize) -> Result<Vec<Vec<u8>>> {
    let mut out = Vec::new();
    if at == 0 {
        return Ok(out);
    }
    loop {
        let p = UserPtr::<u64>::new(at).at(out.len()).read()?;
        if p == 0 {
            return Ok(out);
        }
        let s = uaccess::read_cstr(p, 128 * 1024, Errno::E2BIG)?;
        *budget = budget.checked_sub(s.len() + 9).ok_or(Errno::E2BIG)?;
        out.push(s);
        if out.len() > MAX_STRINGS {
            return Err(Errno::E2BIG);
        }
    }
}

fn exec(dirfd: Option<i32>, path: Vec<u8>, argv: u64, envp: u64, flags: u32) -> Result<i64> {
    const AT_EMPTY_PATH: u32 = 0x1000;
    const AT_SYMLINK_NOFOLLOW: u32 = 0x100;
    if flags & !(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) != 0 {
        return Err(Errno::EINVAL);
    }
    let me = current();
    if me.over_user_limit.load(Ordering::Relaxed) && core_::task::over_user_limit(&me.process, &me.cred(), 0) {
        return Err(Errno::EAGAIN);
    }
    me.over_user_limit.store(false, Ordering::Relaxed);
    let stack = me.process.rlimit(rlimit::STACK);
    let mut budget = 6 << 20;
    let mut argv = strings(argv, &mut budget)?;
    let envp = strings(envp, &mut budget)?;
    check_size(&argv, &envp, stack)?;
    if argv.is_empty() {
        // Linux since 5.18: an empty argument list becomes [""].
        argv.push(Vec::new());
    }
    let (file, name) =
        core_::exec::open_exec(dirfd, &path, flags & AT_EMPTY_PATH != 0, flags & AT_SYMLINK_NOFOLLOW == 0)?;
    let program =
        Program::open(file, name, argv, envp, &|p| core_::exec::open_exec(None, p, false, true).map(|f| f.0))?;
    run(program)
}

/// Replaces the calling thread's program; returns only with an error.
fn run(program: Program) -> Result<i64> {
    let me = current();
    end_siblings(me)?;
    // A vfork child, or a thread that one made: the memory, and the host process, are its parent's too.
    if me.process.shares_memory() {
        return elsewhere(program);
    }
    trap::context::current().reset();
    match become_program(me, &program) {
        Ok(start) => {
            set_start(start);
            Ok(0)
        }
        // Past the point of no return: as Linux, SIGKILL (SIGSEGV there).
        Err(_) => exit::group_exit(Exit::signal(sig::SEGV, false)),
    }
}

/// Ends the other threads of the process and waits until they are gone.
fn end_siblings(me: &'static Thread) -> Result<()> {
    let p = &me.process;
    let others: Vec<Arc<Thread>> = p.threads.lock().iter().filter(|t| !core::ptr::eq(&***t, me)).cloned().collect();
    for t in &others {
        t.dead.store(true, Ordering::SeqCst);
        core_::signal::wake_for_work(t);
    }
    // `exit::thread_exit` wakes this queue.
    wait_on(&[&p.child_wait], None, Interrupt::Killable, || (p.threads.lock().len() == 1).then_some(Ok(())))
        .map_err(|_| Errno::EAGAIN)?;
    // Their host threads use the address space until their very last instruction. A slot may have its next owner by now.
    while others.iter().any(|t| trap::thread::slot_in_use(t.slot()) && host::thread::is_current(t.slot(), t)) {
        host::cpu::relax();
    }
    // Also where the leader has ended long ago.
    if me.tid() != p.pid {
        core_::task::maker_renamed(p, me.tid());
        core_::task::TREE.lock().remove_thread(me.tid());
        me.become_leader();
        if let Some(t) = p.threads.lock().first().cloned() {
            core_::task::TREE.lock().add_thread(&t);
        }
    }
    Ok(())
}

/// The common part: everything of execve(2)'s list of what changes; maps the program into the calling host process.
fn become_program(me: &Thread, program: &Program) -> Result<Start> {
    let p = &me.process;
    counters::EXECS.add(1);
    crate::futex::exit_robust_list(me);
    exit::release_tid(me);
    let (cred, secure) = new_cred(me, program);
    let mm = Mm::new();
    let old = p.mm.lock().replace(mm.clone());
    mm.take_over()?;
    if !core_::mm::spaces::remap::on() && old.is_some_and(|mm| mm.lies_over_table()) {
        host::mem::restore_table(trap::guard::in_force() == trap::guard::Guard::Pkey)?;
    }
    let start = program.load(&mm, &cred, secure, p.rlimit(rlimit::STACK))?;
    me.set_cred(Arc::new(cred));
    // Handlers go, ignored signals stay ignored (signal(7)).
    let old = p.sighand.lock().clone();
    let mut actions = *old.actions.lock();
    for act in &mut actions {
        *act =
            Action { handler: if act.handler == Action::IGN { Action::IGN } else { Action::DFL }, ..Action::default() };
    }
    *p.sighand.lock() = Arc::new(SigHand::new(actions));
    core_::time::exec(p);
    // A table shared with others (CLONE_FILES) is copied first.
    let files = me.files();
    let files = if Arc::strong_count(&files) > 2 {
        let own = files.fork();
        exit::close_all(me.set_files(own.clone()));
        own
    } else {
        files
    };
    for f in files.drain(|_, cloexec| cloexec) {
        core_::vfs::locks::closed(&files, &f);
        f.ops().flush(&f);
    }
    *me.altstack.lock() = core_::task::AltStack { sp: 0, flags: 2, size: 0 };
    me.robust_list.store(0, Ordering::Relaxed);
    *me.restart.lock() = Restart::None;
    *me.comm.lock() = program.comm();
    p.did_exec.store(true, Ordering::Relaxed);
    p.dumpable.store(!secure, Ordering::Relaxed);
    if secure {
        p.pdeath_signal.store(0, Ordering::Relaxed);
        me.personality.store(0, Ordering::Relaxed);
    }
    p.exit_signal.store(sig::CHLD, Ordering::Relaxed);
    host::thread::set_fs_base(0);
    tell(me, &Event::Exec(program));
    Ok(start)
}

fn set_start(s: Start) {
    let c = trap::context::current();
    c.reset();
    c.regs.rip = s.rip;
    c.regs.rsp = s.rsp;
    c.regs.eflags = 0x202;
    c.regs.orig_rax = u64::MAX;
}

/// Credentials of the new program: set-user-ID and set-group-ID files, capabilities of root (capabilities(7)).
fn new_cred(me: &Thread, program: &Program) -> (Cred, bool) {
    let mut c = (*me.cred()).clone();
    let old = (c.euid, c.egid);
    if !c.no_new_privs
        && let Some((mode, uid, gid)) = core_::exec::exec_ids(&program.file)
    {
        if mode & 0o4000 != 0 {
            c.euid = uid;
        }
        // Without group execute the bit means mandatory locking, not set-group-ID.
        if mode & 0o2010 == 0o2010 {
            c.egid = gid;
        }
    }
    c.suid = c.euid;
    c.sgid = c.egid;
    c.fsuid = c.euid;
    c.fsgid = c.egid;
    c.exec_caps();
    let secure = (c.euid, c.egid) != old || c.uid != c.euid || c.gid != c.egid;
    (c, secure)
}

/// execve of a vfork child: it runs in its parent's memory, and mostly on its parent's host thread. The new program gets a host
/// process of its own ([`seat`]); a borrowed host thread goes back to the parent.
fn elsewhere(program: Program) -> Result<i64> {
    let me = current();
    let old = me.slot();
    let Some(arc) = me.process.any_thread() else { return Err(Errno::EAGAIN) };
    let seat = seat::take()?;
    // Only the host thread that has them at hand can let go of them, and only here is the memory that these two write to.
    me.recent.clear();
    crate::futex::exit_robust_list(me);
    exit::release_tid(me);
    // `adopt` clears it, perhaps before the next line.
    let borrowed = me.borrowed.load(Ordering::Relaxed);
    seat.send(arc, program);
    if borrowed {
        trap::thread::give_back(old)
    }
    trap::thread::exit_host(old)
}

/// The calling fresh host process becomes `thread` running `program`.
pub(super) fn adopt(thread: &Arc<Thread>, slot: u32, program: &Program) {
    thread.set_slot(slot);
    thread.borrowed.store(false, Ordering::Relaxed);
    match become_program(thread, program) {
        Ok(start) => set_start(start),
        Err(_) => exit::group_exit(Exit::signal(sig::SEGV, false)),
    }
    if thread.signal_pending() {
        thread.work.store(true, Ordering::SeqCst);
    }
}

/// For checks by others: may the caller trace or inspect `t`?
#[must_use]
pub fn may_inspect(me: &Thread, t: &Thread) -> bool {
    let (a, b) = (me.cred(), t.cred());
    a.has(Cap::SysPtrace) || (a.fsuid == b.uid && a.fsuid == b.euid && a.fsuid == b.suid)
}
