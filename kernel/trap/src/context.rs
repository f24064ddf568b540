//! The saved state of a guest thread in user mode.

use abi::layout;
use core::sync::atomic::{AtomicU64, Ordering};

/// General registers, in the order in which the assembly stores them.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Regs {
    pub r15: u64,
    pub r14: u64,
    pub r13: u64,
    pub r12: u64,
    pub rbp: u64,
    pub rbx: u64,
    pub r11: u64,
    pub r10: u64,
    pub r9: u64,
    pub r8: u64,
    pub rax: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rsi: u64,
    pub rdi: u64,
    /// The system-call number, or -1 outside one.
    pub orig_rax: u64,
    pub rip: u64,
    pub eflags: u64,
    pub rsp: u64,
}

/// Why application code stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// A system call: number and arguments are in the registers.
    Syscall,
    /// A host exception signal.
    Fault { sig: u32, code: i32, addr: u64, err: u64, trapno: u64 },
    /// Somebody wants this thread to look for work.
    Interrupted,
}

/// Room for the vector state in XSAVE's standard format (without AMX, which a guest is never given).
pub const XSAVE_MAX: usize = 4096;

/// The saved context of a thread: in its slot, protected by the guard.
#[repr(C, align(64))]
pub struct Context {
    pub regs: Regs,
    /// 1: the next exit restores everything (XRSTOR, iretq); 0: a plain return from a gate system call.
    pub full: u64,
    exit_kind: u32,
    exit_sig: u32,
    exit_code: i32,
    _pad: u32,
    exit_addr: u64,
    exit_err: u64,
    exit_trapno: u64,
    /// XMM0–15 of a gate system call; the upper halves stay in the registers.
    pub xmm: XmmArea,
    /// The vector state where `full` is set.
    pub xsave: XsaveArea,
}

/// 16-byte aligned room for 16 vector registers.
#[repr(C, align(16))]
#[derive(Clone, Copy)]
pub struct XmmArea(pub [u8; 256]);

/// 64-byte aligned room for XSAVE.
#[repr(C, align(64))]
#[derive(Clone, Copy)]
pub struct XsaveArea(pub [u8; XSAVE_MAX]);

const _: () = assert!(size_of::<Context>() as u64 <= layout::CONTEXT_SIZE);

const SYSCALL: u32 = 0;
const FAULT: u32 = 1;
const INTERRUPTED: u32 = 2;

impl Context {
    /// Why the thread is in the guest kernel.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self.exit_kind {
            SYSCALL => Exit::Syscall,
            FAULT => Exit::Fault {
                sig: self.exit_sig,
                code: self.exit_code,
                addr: self.exit_addr,
                err: self.exit_err,
                trapno: self.exit_trapno,
            },
            _ => Exit::Interrupted,
        }
    }

    pub(crate) fn set_exit(&mut self, e: Exit) {
        self.exit_kind = match e {
            Exit::Syscall => SYSCALL,
            Exit::Interrupted => INTERRUPTED,
            Exit::Fault { sig, code, addr, err, trapno } => {
                self.exit_sig = sig;
                self.exit_code = code;
                self.exit_addr = addr;
                self.exit_err = err;
                self.exit_trapno = trapno;
                FAULT
            }
        };
    }

    /// Copies the parent's state into a child's context (fork, clone). The upper halves of vector registers come
    /// with the host thread, which is a copy too.
    pub fn copy_from(&mut self, parent: &Context) {
        self.regs = parent.regs;
        self.full = parent.full;
        self.xmm = parent.xmm;
        if parent.full != 0 {
            self.xsave = parent.xsave;
        }
    }

    /// The state of a fresh program: all zero, vector state initial.
    pub fn reset(&mut self) {
        self.regs = Regs::default();
        self.full = 1;
        crate::cpu::init_xsave(&mut self.xsave);
    }
}

pub(crate) mod offset {
    use super::{Context, Regs};
    use core::mem::offset_of;
    pub const R15: usize = offset_of!(Regs, r15);
    pub const R14: usize = offset_of!(Regs, r14);
    pub const R13: usize = offset_of!(Regs, r13);
    pub const R12: usize = offset_of!(Regs, r12);
    pub const RBP: usize = offset_of!(Regs, rbp);
    pub const RBX: usize = offset_of!(Regs, rbx);
    pub const R10: usize = offset_of!(Regs, r10);
    pub const R11: usize = offset_of!(Regs, r11);
    pub const R9: usize = offset_of!(Regs, r9);
    pub const R8: usize = offset_of!(Regs, r8);
    pub const RAX: usize = offset_of!(Regs, rax);
    pub const RCX: usize = offset_of!(Regs, rcx);
    pub const RDX: usize = offset_of!(Regs, rdx);
    pub const RSI: usize = offset_of!(Regs, rsi);
    pub const RDI: usize = offset_of!(Regs, rdi);
    pub const RIP: usize = offset_of!(Regs, rip);
    pub const EFLAGS: usize = offset_of!(Regs, eflags);
    pub const RSP: usize = offset_of!(Regs, rsp);
    pub const FULL: usize = offset_of!(Context, full);
    pub const EXIT: usize = offset_of!(Context, exit_kind);
    pub const XMM: usize = offset_of!(Context, xmm);
    pub const XSAVE: usize = offset_of!(Context, xsave);
}

/// The context of a slot whose thread does not run yet, to be prepared.
///
/// # Panics
/// Where it runs.
#[must_use]
pub fn fresh(slot: u32) -> &'static mut Context {
    assert!((slot as usize) < layout::MAX_SLOTS);
    assert!(host::thread::trusted_of(slot).host_tid.load(Ordering::Relaxed) == 0, "slot runs");
    let at = layout::SLOTS_BASE + u64::from(slot) * layout::SLOT_SIZE + layout::SLOT_CONTEXT;
    // SAFETY: boot maps all slots, zeroed; all-zero is a valid Context; nobody else knows the slot before its thread is made.
    unsafe { &mut *(at as *mut Context) }
}

/// The calling thread's context. The spine holds the only reference while a call is handled.
#[must_use]
pub fn current() -> &'static mut Context {
    let at = host::thread::trusted().context.load(Ordering::Relaxed);
    // SAFETY: set by `thread::start` to this thread's slot; only this thread uses it.
    unsafe { &mut *(at as *mut Context) }
}

/// The registers of a thread that sleeps in the guest kernel, to be shown. Where it goes on meanwhile, each word is an old or
/// a new one.
#[must_use]
pub fn glance(slot: u32) -> Regs {
    assert!((slot as usize) < layout::MAX_SLOTS);
    let at = layout::SLOTS_BASE + u64::from(slot) * layout::SLOT_SIZE + layout::SLOT_CONTEXT;
    let word = |offset: usize| {
        // SAFETY: boot maps all slots; the word is aligned, and its owner may write it at the same time, so it is read atomically.
        unsafe { AtomicU64::from_ptr((at + offset as u64) as *mut u64) }.load(Ordering::Relaxed)
    };
    use offset::*;
    Regs {
        rdi: word(RDI),
        rsi: word(RSI),
        rdx: word(RDX),
        r10: word(R10),
        r8: word(R8),
        r9: word(R9),
        orig_rax: word(core::mem::offset_of!(Regs, orig_rax)),
        rip: word(RIP),
        rsp: word(RSP),
        ..Regs::default()
    }
}
