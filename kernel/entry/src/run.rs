//! One loop a guest thread.
//!
//! ```text
//!            ┌────────────────────────────────────────────────────┐
//!            ▼                                                    │
//!   signals::work ──► trap::enter_user ══ application runs ══► Exit
//!            │                                  │  Syscall     ──► table ─► handler
//!            ▼                                  │  Fault       ──► mm.fault, or a signal
//!   thread_exit (never returns)                 └─ Interrupted ──► nothing: work is looked for anyway
//! ```

use crate::displace::Outcome;
use crate::{signals, trace};
use core::sync::atomic::{AtomicBool, Ordering};
use core_::mm::FaultResult;
use core_::signal::{SigInfo, code, sig};
use core_::task::Thread;
use core_::uaccess::UserPtr;
use core_::{counters, current, signal};
use syscalls::{Args, CALLS};
use trap::{Exit, context};

/// Whether system calls are counted by number (`--stats`).
pub static COUNT_CALLS: AtomicBool = AtomicBool::new(false);

/// First guest kernel code of every guest thread: forked, cloned, or loaded by exec.
pub extern "C" fn begin(slot: u64) -> ! {
    let slot = slot as u32;
    if host::thread::slot() != slot {
        // A new host thread; a leader's is a process of its own.
        let page = host::thread::trusted_of(slot);
        let (pid, tid) = (page.host_pid.load(Ordering::Relaxed), page.host_tid.load(Ordering::Relaxed));
        trap::thread::start(slot, pid == 0 || pid == tid);
    }
    trap::monitor::arm();
    if counters::FIRST_THREAD.get() == 0 {
        counters::FIRST_THREAD.set_once(host::time::monotonic_ns());
    }
    let me = current();
    let fs = me.start_fs.load(Ordering::Relaxed);
    if fs != u64::MAX {
        host::thread::set_fs_base(fs);
    }
    let settid = me.start_settid.swap(0, Ordering::Relaxed);
    if settid != 0 {
        // A bad address is the application's own loss (clone(2)).
        let _ = UserPtr::<u32>::new(settid).write(me.tid());
    }
    run(me)
}

fn run(me: &'static Thread) -> ! {
    loop {
        signals::work(me);
        match trap::enter_user(context::current()) {
            Exit::Syscall => {
                if context::current().full != 0 {
                    crate::inline::consider(me, context::current().regs.rip);
                }
                syscall(me);
            }
            Exit::Fault { sig, code, addr, err, trapno } => fault(me, sig, code, addr, err, trapno),
            Exit::Interrupted => context::current().regs.orig_rax = u64::MAX,
        }
    }
}

/// rt_sigreturn(2).
const NR_SIGRETURN: usize = 15;

fn syscall(me: &Thread) {
    let regs = &mut context::current().regs;
    let nr = regs.rax as usize;
    regs.orig_rax = nr as u64;
    let args = Args([regs.rdi, regs.rsi, regs.rdx, regs.r10, regs.r8, regs.r9]);
    let Some(call) = CALLS.get(nr) else {
        regs.rax = core_::Errno::ENOSYS.to_ret() as u64;
        return;
    };
    let counted = COUNT_CALLS.load(Ordering::Relaxed).then(|| begin_count(nr));
    let traced = trace::on().then(|| trace::enter(me, call, &args));
    let result = (call.handler)(&args);
    if let Some(line) = traced {
        trace::leave(me, call, &args, line, &result);
    }
    if let Some(start) = counted {
        end_count(nr, start);
    }
    let ret = match result {
        Ok(v) => v,
        Err(e) => {
            if e.is_restart() {
                me.work.store(true, Ordering::Relaxed);
            }
            if e == core_::Errno::ENOSYS {
                counters::MISSING[nr & 511].add(1);
            }
            e.to_ret()
        }
    };
    // execve and rt_sigreturn have set the registers themselves: orig_rax says so.
    let regs = &mut context::current().regs;
    if regs.orig_rax != u64::MAX {
        regs.rax = ret as u64;
    } else if nr == NR_SIGRETURN {
        // The frame may be older than the patched text.
        regs.rip = crate::inline::moved(regs.rip);
    }
}

/// Time and host calls before a system call that is counted.
fn begin_count(nr: usize) -> (u64, u64) {
    counters::CALLS[nr & 511].add(1);
    (host::time::monotonic_ns(), host::thread::trusted().host_calls.load(Ordering::Relaxed))
}

fn end_count(nr: usize, (start, before): (u64, u64)) {
    counters::CALL_NS[nr & 511].add(host::time::monotonic_ns() - start);
    // A vfork child comes back on another slot: what its parent's counts meanwhile is not its doing.
    let made = host::thread::trusted().host_calls.load(Ordering::Relaxed).saturating_sub(before);
    counters::CALL_HOST[nr & 511].add(made);
}

fn fault(me: &Thread, signo: u32, si_code: i32, addr: u64, mut err: u64, trapno: u64) {
    const PAGE_FAULT: u64 = 14;
    /// SI_KERNEL.
    const GENERAL_PROTECTION: i32 = 0x80;
    context::current().regs.orig_rax = u64::MAX;
    counters::USER_FAULTS.add(1);
    let mut info = SigInfo::fault(signo, si_code, addr);
    if signo == sig::SEGV && trapno == PAGE_FAULT {
        let mm = me.process.mm.lock().clone();
        match mm.map_or(FaultResult::Signal(sig::SEGV, code::SEGV_MAPERR), |mm| mm.fault(addr, err)) {
            FaultResult::Retry => return,
            FaultResult::Signal(s, c) => {
                info = SigInfo::fault(s, c, addr);
                err = core_::mm::spaces::remap::error_code(addr, err);
            }
        }
    }
    if signo == sig::ILL && core_::mm::wx::on() {
        match crate::displace::execute(me) {
            Outcome::Done => return,
            Outcome::Illegal => {}
            Outcome::Fault(0) => info = SigInfo::fault(sig::SEGV, GENERAL_PROTECTION, 0),
            Outcome::Fault(at) => info = SigInfo::fault(sig::SEGV, code::SEGV_MAPERR, at),
        }
    }
    me.set_fault((err, trapno, addr));
    signal::force(me, info);
}
