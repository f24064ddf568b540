//! What happens before a thread returns to its application: stops, the end, handlers, restarted calls.

use crate::trace;
use core::sync::atomic::Ordering;
use core_::Errno;
use core_::signal::{self, Action, Default_, SigInfo, SigSet, default_action, notify, sig};
use core_::task::{Exit, State, Thread};
use core_::wait::Interrupt;
use host::thread::trusted;
use syscalls::process::exit;
use syscalls::signal::on_stack;
use trap::context;
use trap::frame::{self, Delivery};

/// Number of restart_syscall(2).
const NR_RESTART: u64 = 219;

/// Does all pending work of the calling thread; returns when its application may run.
pub fn work(me: &'static Thread) {
    if !me.work.load(Ordering::SeqCst) && trusted().pending.load(Ordering::SeqCst) == 0 {
        return;
    }
    loop {
        // Clear first, look after: what comes later sets it again.
        trusted().pending.store(0, Ordering::SeqCst);
        me.work.store(false, Ordering::SeqCst);
        trap::sched::preempt();
        if me.dead.load(Ordering::SeqCst) || me.process.is_exiting() {
            exit::thread_exit(Exit::code(0));
        }
        me.check_cpu_timers();
        let mm = me.process.mm.lock().clone();
        if let Some(mm) = mm {
            mm.apply_cuts();
            mm.run_errands();
        }
        if me.process.is_stopped() {
            wait_stopped(me);
            continue;
        }
        // Before all others, whatever their numbers.
        if signal::kill_pending(me) {
            exit::group_exit(Exit::signal(sig::KILL, false));
        }
        let wanted = SigSet(!me.blocked().0);
        let next = me.pending.lock().take(wanted);
        let next = next.or_else(|| me.process.pending.lock().take(wanted));
        let Some(info) = next else { break };
        // There may be more: look again even if nobody tells.
        me.work.store(true, Ordering::SeqCst);
        if act(me, &info) {
            return;
        }
    }
    // No handler ran: the call goes on where it was, with the mask that it found.
    restart_without_handler();
    if let Some(mask) = me.saved_mask.lock().take() {
        syscalls::signal::set_mask(me, mask);
    }
}

/// Acts on one signal; true where a handler was set up.
fn act(me: &'static Thread, info: &SigInfo) -> bool {
    if trace::on() {
        trace::signal(me, info);
    }
    let hand = me.process.sighand.lock().clone();
    let action = hand.action(info.signo);
    match action.handler {
        Action::IGN => false,
        Action::DFL => {
            default(me, info);
            false
        }
        _ => {
            if action.flags & Action::RESETHAND != 0 {
                hand.actions.lock()[info.signo as usize - 1].handler = Action::DFL;
            }
            handle(me, info, &action)
        }
    }
}

fn default(me: &'static Thread, info: &SigInfo) {
    let signo = info.signo;
    match default_action(signo) {
        Default_::Ignore | Default_::Continue => {}
        Default_::Stop => {
            // A group that nobody could continue is not stopped by the terminal (POSIX "orphaned process group").
            let terminal = signo != sig::STOP;
            if terminal && core_::task::TREE.lock().orphaned_group(me.process.pgid()) {
                // Somebody outside of the guest may: a shell of the host's.
                if signo != sig::TSTP || !core_::task::outside(|o| (o.continues)(&me.process)) {
                    return;
                }
                stop(me, signo);
                core_::task::outside(|o| (o.stopped)(&me.process));
                return;
            }
            stop(me, signo);
        }
        Default_::Terminate | Default_::Core => {
            log_fault(me, info);
            exit::group_exit(Exit::signal(signo, false))
        }
    }
}

/// Notes an exception that ends a process, as Linux does (arch/x86/mm/fault.c, `show_signal_msg`).
fn log_fault(me: &Thread, info: &SigInfo) {
    let what = match info.signo {
        sig::SEGV => "segfault",
        sig::BUS => "bus error",
        sig::ILL => "invalid opcode",
        sig::FPE => "divide error",
        sig::TRAP => "trap",
        _ => return,
    };
    // Sent by somebody.
    if info.code <= 0 {
        return;
    }
    let (error, _, addr) = me.take_fault();
    let comm = *me.comm.lock();
    let comm = comm.split(|c| *c == 0).next().unwrap_or_default().escape_ascii();
    let regs = &context::current().regs;
    let (pid, ip, sp) = (me.tid(), regs.rip, regs.rsp);
    core_::log::line(6, format_args!("{comm}[{pid}]: {what} at {addr:x} ip {ip:x} sp {sp:x} error {error:x}"));
}

/// Stops the whole process.
fn stop(me: &Thread, signo: u32) {
    let p = &me.process;
    {
        let mut st = p.state.lock();
        if *st != State::Running {
            return;
        }
        *st = State::Stopped(signo);
    }
    if trace::on() {
        trace::stopped(me, signo);
    }
    p.report.store(signo << 8 | 0x7f, Ordering::SeqCst);
    let threads = p.threads.lock().clone();
    for t in threads.iter().filter(|t| !core::ptr::eq(&***t, me)) {
        signal::wake_for_work(t);
    }
    notify(p, signal::code::CLD_STOPPED, signo);
    // Its parent is process 1, which continues nobody.
    if p.spawn_id.load(Ordering::Relaxed) != 0 {
        core_::task::outside(|o| (o.stopped)(p));
    }
}

fn wait_stopped(me: &Thread) {
    while me.process.is_stopped() {
        if me.interrupted(Interrupt::Killable) || signal::kill_pending(me) {
            *me.process.state.lock() = State::Running;
            break;
        }
        me.park(None);
    }
    me.work.store(true, Ordering::SeqCst);
}

/// Sets up a handler's frame; true on success.
fn handle(me: &'static Thread, info: &SigInfo, action: &Action) -> bool {
    let c = context::current();
    if c.regs.orig_rax != u64::MAX {
        match restart_code(c.regs.rax) {
            Some(Errno::ERESTARTNOINTR) => rewind(),
            Some(Errno::ERESTARTSYS) if action.flags & Action::RESTART != 0 => rewind(),
            Some(_) => c.regs.rax = Errno::EINTR.to_ret() as u64,
            None => {}
        }
    }
    let alt = *me.altstack.lock();
    let on = on_stack(&alt, c.regs.rsp);
    let switch = action.flags & Action::ONSTACK != 0 && alt.size > 0 && !on;
    const AUTODISARM: u32 = 1 << 31;
    let old = me.blocked();
    let back_to = me.saved_mask.lock().take().unwrap_or(old);
    let fault = me.take_fault();
    let delivery = Delivery {
        signo: info.signo,
        info: &info.to_bytes(),
        handler: action.handler,
        restorer: action.restorer,
        mask: back_to.0,
        // As it was set, whether it is stood on or not (`__save_altstack`).
        stack: [alt.sp, u64::from(alt.flags), alt.size],
        switch_to: switch.then(|| alt.sp + alt.size),
        fault,
    };
    let (low, len) = frame::room(c, delivery.switch_to);
    core_::limits::open_or_kill(low, len, true);
    // Linux insists on a restorer on x86-64: without one there is no way back.
    if action.flags & Action::RESTORER == 0 || frame::push(c, &delivery).is_err() {
        if info.signo == sig::SEGV {
            exit::group_exit(Exit::signal(sig::SEGV, false));
        }
        signal::force(me, SigInfo::kernel(sig::SEGV));
        return false;
    }
    if alt.flags & AUTODISARM != 0 {
        *me.altstack.lock() = core_::task::AltStack { sp: 0, flags: 2, size: 0 };
    }
    let mut mask = SigSet(old.0 | action.mask.0);
    if action.flags & Action::NODEFER == 0 {
        mask = mask.with(info.signo);
    }
    me.mask.store(mask.minus(SigSet::UNBLOCKABLE).0, Ordering::SeqCst);
    if me.signal_pending() {
        trusted().pending.store(1, Ordering::SeqCst);
    } else {
        me.work.store(false, Ordering::SeqCst);
    }
    true
}

fn restart_code(rax: u64) -> Option<Errno> {
    let n = (rax as i64).checked_neg()?;
    (512..=516).contains(&n).then_some(Errno(n as u16))
}

/// Back to the system-call instruction. In a patched site the two bytes before the return address are still `0f 05`.
fn rewind() {
    let r = &mut context::current().regs;
    r.rax = r.orig_rax;
    r.rip -= 2;
    r.orig_rax = u64::MAX;
    // The return address is inside the patched jump: only a trap leads on from there.
    trap::cpu::make_full(context::current());
}

fn restart_without_handler() {
    let r = &mut context::current().regs;
    if r.orig_rax == u64::MAX {
        return;
    }
    match restart_code(r.rax) {
        Some(Errno::ERESTART_RESTARTBLOCK) => {
            rewind();
            context::current().regs.rax = NR_RESTART;
        }
        Some(_) => rewind(),
        None => {}
    }
}
