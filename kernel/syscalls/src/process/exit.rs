//! exit, exit_group, and the end of threads.

use crate::Args;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;
use core_::fd::FdTable;
use core_::task::{Event, Exit, Process, TREE, Thread, Usage, tell};
use core_::uaccess::UserPtr;
use core_::{Result, current, signal};
use host::sync::Once;

/// exit(2): ends the calling thread.
pub fn exit(a: &Args) -> Result<i64> {
    thread_exit(Exit::code(a.u32(0)))
}

/// exit_group(2): ends the process.
pub fn exit_group(a: &Args) -> Result<i64> {
    group_exit(Exit::code(a.u32(0)))
}

/// Ends the whole process of the calling thread with `status`; the first status counts.
pub fn group_exit(status: Exit) -> ! {
    let me = current();
    begin_group_exit(&me.process, status);
    thread_exit(status)
}

/// Marks the process as ending and tells its threads.
pub fn begin_group_exit(p: &Arc<Process>, status: Exit) {
    {
        let mut g = p.group_exit.lock();
        if g.is_some() {
            return;
        }
        *g = Some(status);
        p.exiting.store(true, Ordering::SeqCst);
    }
    let threads = p.threads.lock().clone();
    for t in threads.iter().filter(|t| !core::ptr::eq(&***t, current())) {
        signal::wake_for_work(t);
    }
}

static SESSION_END: Once<fn(&Process)> = Once::new();

/// Sets what is told when a session leader ends (its terminal hangs up).
pub fn on_session_leader_exit(f: &'static fn(&Process)) {
    SESSION_END.set(f);
}

/// Ends the calling thread; the last one takes the process with it.
pub fn thread_exit(status: Exit) -> ! {
    let slot;
    let borrowed;
    {
        let me = current();
        slot = me.slot();
        borrowed = me.borrowed.load(Ordering::Relaxed);
        me.dead.store(true, Ordering::SeqCst);
        super::super::futex::exit_robust_list(me);
        release_tid(me);
        let files = me.set_files(FdTable::new());
        close_all(files);
        account(me);
        core_::task::maker_gone(me);
        let p = me.process.clone();
        let status = p.group_exit.lock().unwrap_or(status);
        tell(me, &Event::Ended(status));
        if core_::task::thread_gone(me) {
            // Another thread may have ended the group meanwhile, and be gone.
            let status = p.group_exit.lock().unwrap_or(status);
            p.exiting.store(true, Ordering::SeqCst);
            core_::time::process_gone(&p);
            if p.sid() == p.pid
                && let Some(f) = SESSION_END.get()
            {
                f(&p);
            }
            core_::task::process_exit(&p, status);
        } else {
            // execve waits for its siblings' end.
            p.child_wait.wake_all();
        }
    }
    if borrowed {
        trap::thread::give_back(slot)
    }
    trap::thread::exit_host(slot)
}

/// CLONE_CHILD_CLEARTID: clears the word and wakes who joins (set_tid_address(2)).
pub fn release_tid(me: &Thread) {
    let at = me.clear_child_tid.swap(0, Ordering::Relaxed);
    // Only where somebody shares the memory is there anybody to tell (Linux: mm_users > 1).
    if at != 0
        && (me.process.threads.lock().len() > 1 || me.process.shares_memory())
        && UserPtr::<u32>::new(at).write(0).is_ok()
    {
        super::super::futex::wake_address(at, 1);
    }
}

/// Drops a table; where it was the last reference, its files are closed.
pub fn close_all(files: Arc<FdTable>) {
    if Arc::strong_count(&files) == 1 {
        for f in files.drain(|_, _| true) {
            core_::vfs::locks::closed(&files, &f);
            f.ops().flush(&f);
        }
    }
}

/// Adds the calling thread's times to its process.
pub fn account(me: &Thread) {
    me.process.io.add(&me.io);
    if let Some(s) = host::cpu::scheduler() {
        let resident = me.process.mm.lock().as_ref().map_or(0, |mm| mm.space.lock().table.resident());
        let mut u = me.process.usage.lock();
        u.utime_us += s.runtime_ns(me.slot()) / 1000;
        u.maxrss_kib = u.maxrss_kib.max(resident * 4);
        return;
    }
    // The host brings a thread's own times up to date at its ticks only, some milliseconds apart, but for who asks for the process.
    let _ = host::process::getrusage(0);
    if let Ok(u) = host::process::getrusage(1) {
        me.process.usage.lock().add(&Usage::from_words(&u));
    }
}

/// Takes a process that never ran out of the tree.
pub fn forget(p: &Arc<Process>) {
    let mut tree = TREE.lock();
    if let Some(parent) = tree.process(p.ppid()) {
        let pid = p.pid;
        parent.rel.lock().children.retain(|c| *c != pid);
    }
    tree.remove_process(p.pid);
    tree.remove_thread(p.pid);
}
