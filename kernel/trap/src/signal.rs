//! Host signals: what they interrupted, and what follows.

use crate::context::{self, Exit};
use crate::gate;
use crate::guard::{self, Guard, mprotect, pkey};
use abi::layout;
use core::sync::atomic::{AtomicU32, Ordering};

/// The low half of the XRSTOR mask, for the assembly that resumes interrupted kernel code.
#[unsafe(no_mangle)]
pub static XMASK_LOW: AtomicU32 = AtomicU32::new(3);

const SIGILL: u32 = 4;
const SIGTRAP: u32 = 5;
const SIGBUS: u32 = 7;
const SIGFPE: u32 = 8;
pub(crate) const SIGSEGV: u32 = 11;
const SIGSYS: u32 = 31;
/// `core::signal::KICK`: SIGURG.
pub const KICK: u32 = 23;
/// A system call, under the `process` monitor: the VMM has stopped it, made it harmless, and sends this instead.
const SIGUSR1: u32 = 10;
/// The timer interrupt of the virtual processor.
const SIGALRM: u32 = 14;
/// EFLAGS: nested task, alignment check.
const NT: u64 = 0x4000;
const AC: u64 = 0x4_0000;
const SYS_USER_DISPATCH: i32 = 2;
const SYS_SECCOMP: i32 = 1;
const AUDIT_ARCH_X86_64: u32 = 0xc000_003e;

/// The x86-64 ucontext as the host lays it out (`asm/ucontext.h`, `asm/sigcontext.h`).
#[repr(C)]
pub struct UContext {
    flags: u64,
    link: u64,
    stack: [u64; 3],
    pub r8: u64,
    pub r9: u64,
    pub r10: u64,
    pub r11: u64,
    pub r12: u64,
    pub r13: u64,
    pub r14: u64,
    pub r15: u64,
    pub rdi: u64,
    pub rsi: u64,
    pub rbp: u64,
    pub rbx: u64,
    pub rdx: u64,
    pub rax: u64,
    pub rcx: u64,
    pub rsp: u64,
    pub rip: u64,
    pub eflags: u64,
    cs: u64,
    err: u64,
    trapno: u64,
    oldmask: u64,
    cr2: u64,
    pub(crate) fpstate: *const u8,
}

/// The parts of siginfo_t that are looked at.
#[repr(C)]
pub struct Info {
    pub(crate) signo: i32,
    errno: i32,
    code: i32,
    pad: i32,
    addr: u64,
    syscall: i32,
    arch: u32,
}

/// From a frame's ucontext to its siginfo (`struct rt_sigframe`).
const UCONTEXT_SIZE: u64 = 304;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Goes back to the spine (`enter_user` returns).
    Spine,
    /// Goes on where the signal came.
    Resume,
    /// This signal interrupted the entry of another one, whose ucontext is here: that one is handled.
    Outer(u64),
}
use Next::{Resume as RESUME, Spine as TO_SPINE};

/// What [`install`] installs a handler for.
pub(crate) const HANDLED: [u32; 9] = [SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV, SIGSYS, SIGALRM, SIGUSR1, KICK];

/// Handles a host signal; the ucontext to go on with, or 0: back to the spine. On the alternate stack, guard open; may not sleep,
/// allocate or lock.
///
/// # Safety
/// `info` and `uc` are the host's; the first frame's place is looked at instead where an application may have made them.
pub unsafe extern "C" fn lodger_handle_signal(sig: u32, info: *const Info, uc: *mut UContext) -> u64 {
    let portal = guard::in_force() == Guard::Mprotect;
    if portal {
        mprotect::note_frame(info as u64, uc as u64);
    }
    let alarm = sig == SIGALRM;
    if alarm {
        crate::sched::timer_interrupt();
    }
    let from_user = host::thread::trusted().in_user.load(Ordering::Relaxed) != 0;
    let here = uc as u64;
    let (sig, info, uc) = if portal && from_user {
        mprotect::first_frame()
    } else {
        // SAFETY: by the caller's word.
        unsafe { (sig, &*info, &mut *uc) }
    };
    if !alarm && core::ptr::from_mut(uc) as u64 != here {
        // This signal came before the entry had got anywhere with the first one, and nobody comes back to what lies between the
        // two: perhaps a timer interrupt. One too many does no harm; one that is lost is the last one.
        crate::sched::timer_interrupt();
    }
    // From here on as any other interrupt.
    let sig = if sig == SIGALRM { KICK } else { sig };
    match decide(sig, info, uc, from_user) {
        Next::Spine => 0,
        Next::Resume => core::ptr::from_mut(uc) as u64,
        Next::Outer(at) => {
            let (info, uc) = ((at + UCONTEXT_SIZE) as *const Info, at as *mut UContext);
            // SAFETY: `outer_frame` found a frame of the host's here, which nobody else handles: it has taken its secret away.
            unsafe { lodger_handle_signal((*info).signo as u32, info, uc) }
        }
    }
}

/// What a host signal means.
///
/// The order of the questions matters: the gate and exit ranges come before the mode flag, because the flag
/// changes inside them. Where the guard was closed it was the application that ran, wherever it had jumped to.
fn decide(sig: u32, info: &Info, uc: &mut UContext, from_user: bool) -> Next {
    let code = gate::code();
    let page = host::thread::trusted();
    let portal = guard::in_force() == Guard::Mprotect;
    let rip = uc.rip;
    let mut stepped = false;
    let open = guard::was_open(uc);
    // An application that single-steps has come to the gate.
    let at_gate = from_user && sig == SIGTRAP && rip == code.gate_start;
    if at_gate {
        // Below, with its registers as they are: nothing of the gate has run.
    } else if portal && (code.gate_start..code.gate_end).contains(&rip) {
        // Never on from the middle of it with the guard open: who says that the application was there?
        mprotect::rewind(uc);
        if sig == SIGTRAP {
            uc.eflags &= !0x100;
            stepped = true;
        }
    } else if open && (code.gate_start..code.gate_end).contains(&rip) {
        // On the way in: the spine looks for work before it goes out again.
        if sig == KICK {
            return RESUME;
        }
        // An application that single-steps comes this way with the flag set: it goes, the gate's flags are fixed (A13).
        if sig == SIGTRAP {
            uc.eflags &= !0x100;
            return RESUME;
        }
        // Whoever came through a stub has no fault here: an application that has jumped into the middle.
    }
    if (code.exit_start..code.exit_end).contains(&rip) {
        page.selector.store(0, Ordering::Relaxed);
        page.in_user.store(0, Ordering::Relaxed);
        let c = context::current();
        if c.full == 0 {
            keep_upper_halves(c, uc);
        }
        // iretq refuses to run with NT, which came in through the gate; the entry to this handler has cleared it: again.
        let nested = sig == SIGSEGV && uc.eflags & NT != 0;
        c.set_exit(if sig == KICK || nested {
            Exit::Interrupted
        } else {
            // The registers to be loaded are bad (a non-canonical address): the application's fault.
            Exit::Fault { sig, code: 0x80, addr: 0, err: uc.err, trapno: uc.trapno }
        });
        return TO_SPINE;
    }
    if !from_user {
        return in_kernel(sig, info, uc);
    }
    // A second kick in the first instructions of this very handler, before the flag below has changed: the first one is on its
    // way to look for work. (An application that has jumped into the guest kernel's text merely does not hear of this kick.)
    if open && sig == KICK && !portal && (layout::KERNEL_BASE..layout::HEAP_BASE).contains(&rip) {
        return RESUME;
    }
    const ENTRY: u64 = 64;
    if !open
        && (code.signal..code.signal + ENTRY).contains(&rip)
        && let Some(at) = pkey::outer_frame(uc)
    {
        return Next::Outer(at);
    }
    // An application that single-steps goes through a patched call in one step.
    let in_stub = (layout::STUBS..layout::STUBS_END).contains(&rip);
    stepped |= sig == SIGTRAP && in_stub;
    // Application code was interrupted. From here on host calls are the guest kernel's.
    page.selector.store(0, Ordering::Relaxed);
    page.in_user.store(0, Ordering::Relaxed);
    page.trap_entries.store(page.trap_entries.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    let c = context::current();
    save(c, uc);
    if at_gate {
        // The call that it is about to make; the trap flag stays with the application.
        c.regs.rip = c.regs.rcx;
    }
    c.set_exit(match sig {
        KICK => Exit::Interrupted,
        SIGTRAP if at_gate => Exit::Syscall,
        SIGTRAP if stepped => Exit::Interrupted,
        SIGUSR1 => Exit::Syscall,
        SIGSYS if matches!(info.code, SYS_USER_DISPATCH | SYS_SECCOMP) && info.arch == AUDIT_ARCH_X86_64 => {
            Exit::Syscall
        }
        // int 0x80 from 64-bit code: this guest has no 32-bit interface; without one Linux gives a general protection fault.
        SIGSYS => Exit::Fault { sig: SIGSEGV, code: 0x80, addr: 0, err: 0, trapno: 13 },
        _ => Exit::Fault { sig, code: info.code, addr: info.addr, err: uc.err, trapno: uc.trapno },
    });
    TO_SPINE
}

/// A signal that came while the guest kernel ran.
fn in_kernel(sig: u32, info: &Info, uc: &mut UContext) -> Next {
    match sig {
        KICK => {
            if let Some(rip) = host::interruptible::abort(uc.rip) {
                uc.rip = rip;
            }
            RESUME
        }
        // Flags that came in through the gate, which does not spend time on them (A10).
        SIGBUS if uc.eflags & AC != 0 => {
            uc.eflags &= !AC;
            RESUME
        }
        SIGSEGV | SIGBUS => match host::user::fixup(uc.rip) {
            Some(rip) => {
                uc.rip = rip;
                RESUME
            }
            None => die(sig, info, uc, "a fault in the guest kernel"),
        },
        // Single-stepping through the gate: the flag goes (A13).
        SIGTRAP => {
            uc.eflags &= !0x100;
            RESUME
        }
        _ => die(sig, info, uc, "an exception in the guest kernel"),
    }
}

/// An exit after a gate call was interrupted: the host has put the vector registers back to their initial state, so what
/// had stayed in them comes from its frame, and the low halves from the context.
fn keep_upper_halves(c: &mut context::Context, uc: &UContext) {
    const XMM: usize = 160;
    const SSE: u8 = 2;
    copy_vector_state(c, uc);
    c.xsave.0[XMM..XMM + 256].copy_from_slice(&c.xmm.0);
    c.xsave.0[512] |= SSE;
    c.full = 1;
}

/// Copies the interrupted registers and vector state into the thread's context.
fn save(c: &mut context::Context, uc: &UContext) {
    let r = &mut c.regs;
    (r.r15, r.r14, r.r13, r.r12) = (uc.r15, uc.r14, uc.r13, uc.r12);
    (r.r11, r.r10, r.r9, r.r8) = (uc.r11, uc.r10, uc.r9, uc.r8);
    (r.rbp, r.rbx, r.rax, r.rcx) = (uc.rbp, uc.rbx, uc.rax, uc.rcx);
    (r.rdx, r.rsi, r.rdi) = (uc.rdx, uc.rsi, uc.rdi);
    (r.rip, r.rsp, r.eflags) = (uc.rip, uc.rsp, uc.eflags);
    copy_vector_state(c, uc);
    c.full = 1;
}

/// Takes the vector state out of a host frame.
fn copy_vector_state(c: &mut context::Context, uc: &UContext) {
    let n = crate::cpu::xsize();
    if uc.fpstate.is_null() {
        crate::cpu::init_xsave(&mut c.xsave);
    } else {
        // SAFETY: the host wrote an XSAVE area of at least this size here (boot computed the size from CPUID); it lies on
        // this thread's alternate stack.
        c.xsave.0[..n].copy_from_slice(unsafe { core::slice::from_raw_parts(uc.fpstate, n) });
        // Only components that a guest has; the rest of the header must be zero for XRSTOR.
        let mut bv = [0u8; 8];
        bv.copy_from_slice(&c.xsave.0[512..520]);
        let bv = u64::from_le_bytes(bv) & crate::cpu::xmask();
        c.xsave.0[512..520].copy_from_slice(&bv.to_le_bytes());
        c.xsave.0[520..576].fill(0);
        // MXCSR's reserved bits, which XRSTOR refuses: the frame may be the application's work.
        c.xsave.0[26..28].fill(0);
    }
}

fn die(sig: u32, info: &Info, uc: &UContext, what: &str) -> ! {
    use core::fmt::Write;
    let mut text = Text { buf: [0; 400], len: 0 };
    let _ = write!(
        text,
        "{what}: signal {sig} code {} at rip {:#x} rsp {:#x} address {:#x} error {:#x} rdi {:#x} rsi {:#x}",
        info.code, uc.rip, uc.rsp, info.addr, uc.err, uc.rdi, uc.rsi
    );
    panic!("{}", core::str::from_utf8(&text.buf[..text.len]).unwrap_or(what));
}

/// A fixed buffer to format into: the allocator may be what is broken.
struct Text {
    buf: [u8; 400],
    len: usize,
}

impl core::fmt::Write for Text {
    fn write_str(&mut self, s: &str) -> core::fmt::Result {
        let n = s.len().min(self.buf.len() - self.len);
        self.buf[self.len..self.len + n].copy_from_slice(&s.as_bytes()[..n]);
        self.len += n;
        Ok(())
    }
}

#[repr(C)]
struct KernelSigaction {
    handler: u64,
    flags: u64,
    restorer: u64,
    mask: u64,
}

/// Installs the handler for every host signal that means something; inherited by all guest-machine processes.
///
/// # Errors
/// The host's.
pub fn install() -> host::Result<()> {
    const SA_SIGINFO: u64 = 4;
    const SA_ONSTACK: u64 = 0x0800_0000;
    const SA_NODEFER: u64 = 0x4000_0000;
    const SA_RESTORER: u64 = 0x0400_0000;
    XMASK_LOW.store(crate::cpu::xmask() as u32, Ordering::Relaxed);
    let mut secret = gate::code().signal;
    if guard::in_force() == Guard::Pkey {
        secret = pkey::choose_secret();
    }
    for sig in HANDLED {
        // No mask and NODEFER: a handler never returns by rt_sigreturn, so nothing would undo a mask. The host insists on
        // a restorer's being named; it is never reached.
        let act = KernelSigaction {
            handler: gate::code().signal,
            flags: SA_SIGINFO | SA_ONSTACK | SA_NODEFER | SA_RESTORER,
            restorer: secret,
            mask: 0,
        };
        // SAFETY: the structure is the host's `struct kernel_sigaction`; the handler follows its contract.
        host::Errno::from_ret(unsafe { host::syscall!(rt_sigaction, sig, &raw const act, 0, 8) })?;
    }
    Ok(())
}
