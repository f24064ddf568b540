//! The gate and the way back: assembly, once for each guard (`guard::none`, `guard::pkey`, `guard::mprotect`).
//!
//! Registers rest in the thread's open page for the few instructions in which the guard is closed. Nothing
//! there is trusted: an application that writes its own open page changes only its own registers, as it can anyway.
//!
//! Neither way is a call or a return to the processor: between two of its own calls and returns an application comes through here, and
//! its returns would be predicted wrongly, and the guest kernel's too, if one of either were left over (at 20 cycles each).

use crate::context::{Context, Exit};
use crate::guard::{self, Guard};

/// Offsets in the open page.
pub(crate) mod open {
    pub const RAX: usize = 0;
    pub const RCX: usize = 8;
    pub const RDX: usize = 16;
    pub const RIP: usize = 24;
    pub const IRET: usize = 64;
    // From 104 on: processor ticks that closing took, until the next opening can count them (statistics only).
}

pub(crate) const T: u64 = abi::layout::TRUSTED_DELTA;

macro_rules! gate {
    ($guard:literal, $section:literal, open: [$($open:literal),*], close_fast: [$($close_fast:literal),*], close_full: [$($close_full:literal),*], sig_open: [$($sig_open:literal),*]) => {
        core::arch::global_asm!(
            concat!(".pushsection ", $section, ",\"ax\",@progbits"),
            ".balign 64",
            // ---- from a stub: rax number, rcx return address, all else the application's
            concat!(".global lodger_gate_", $guard), concat!("lodger_gate_", $guard, ":"),
            concat!(".global lodger_gate_start_", $guard), concat!("lodger_gate_start_", $guard, ":"),
            $($open,)*
            "mov byte ptr gs:[{T} + {SELECTOR}], 0",
            "mov r11, gs:[{T} + {CONTEXT}]",
            "mov [r11 + {R15}], r15",
            "mov [r11 + {R14}], r14",
            "mov [r11 + {R13}], r13",
            "mov [r11 + {R12}], r12",
            "mov [r11 + {RBP}], rbp",
            "mov [r11 + {RBX}], rbx",
            "mov [r11 + {R10}], r10",
            "mov [r11 + {R9}], r9",
            "mov [r11 + {R8}], r8",
            "mov [r11 + {RAX}], rax",
            "mov [r11 + {RCX}], rcx",
            "mov [r11 + {RIP}], rcx",
            "mov [r11 + {RDX}], rdx",
            "mov [r11 + {RSI}], rsi",
            "mov [r11 + {RDI}], rdi",
            "mov [r11 + {RSP}], rsp",
            "mov qword ptr [r11 + {EFLAGS}], 0x246",
            "mov qword ptr [r11 + {R11}], 0x246",
            "mov qword ptr [r11 + {FULL}], 0",
            "mov dword ptr [r11 + {EXIT}], 0",
            "mov dword ptr gs:[{T} + {IN_USER}], 0",
            concat!(".global lodger_gate_end_", $guard), concat!("lodger_gate_end_", $guard, ":"),
            "movaps [r11 + {XMM}], xmm0", "movaps [r11 + {XMM} + 16], xmm1",
            "movaps [r11 + {XMM} + 32], xmm2", "movaps [r11 + {XMM} + 48], xmm3",
            "movaps [r11 + {XMM} + 64], xmm4", "movaps [r11 + {XMM} + 80], xmm5",
            "movaps [r11 + {XMM} + 96], xmm6", "movaps [r11 + {XMM} + 112], xmm7",
            "movaps [r11 + {XMM} + 128], xmm8", "movaps [r11 + {XMM} + 144], xmm9",
            "movaps [r11 + {XMM} + 160], xmm10", "movaps [r11 + {XMM} + 176], xmm11",
            "movaps [r11 + {XMM} + 192], xmm12", "movaps [r11 + {XMM} + 208], xmm13",
            "movaps [r11 + {XMM} + 224], xmm14", "movaps [r11 + {XMM} + 240], xmm15",
            "inc qword ptr gs:[{T} + {GATES}] # {PROTECTS}, {PROTECT_TSC}: the mprotect guard's",
            "cld",
            "mov rsp, gs:[{T} + {KERNEL_RSP}]",
            "pop r15", "pop r14", "pop r13", "pop r12", "pop rbp", "pop rbx",
            "pop r11", "jmp r11",

            // ---- lodger_enter_*(rdi: context, esi/edx: XRSTOR mask low/high)
            ".balign 64",
            concat!(".global lodger_enter_", $guard), concat!("lodger_enter_", $guard, ":"),
            "push rbx", "push rbp", "push r12", "push r13", "push r14", "push r15",
            "mov gs:[{T} + {KERNEL_RSP}], rsp",
            concat!(".global lodger_exit_start_", $guard), concat!("lodger_exit_start_", $guard, ":"),
            "cmp dword ptr gs:[{T} + {PENDING}], 0",
            "jne 7f",
            "cmp qword ptr [rdi + {FULL}], 0",
            "jne 5f",
            // fast: return from a gate system call
            "movaps xmm0, [rdi + {XMM}]", "movaps xmm1, [rdi + {XMM} + 16]",
            "movaps xmm2, [rdi + {XMM} + 32]", "movaps xmm3, [rdi + {XMM} + 48]",
            "movaps xmm4, [rdi + {XMM} + 64]", "movaps xmm5, [rdi + {XMM} + 80]",
            "movaps xmm6, [rdi + {XMM} + 96]", "movaps xmm7, [rdi + {XMM} + 112]",
            "movaps xmm8, [rdi + {XMM} + 128]", "movaps xmm9, [rdi + {XMM} + 144]",
            "movaps xmm10, [rdi + {XMM} + 160]", "movaps xmm11, [rdi + {XMM} + 176]",
            "movaps xmm12, [rdi + {XMM} + 192]", "movaps xmm13, [rdi + {XMM} + 208]",
            "movaps xmm14, [rdi + {XMM} + 224]", "movaps xmm15, [rdi + {XMM} + 240]",
            "mov rcx, [rdi + {RIP}]",
            "mov gs:[{O_RIP}], rcx",
            "mov r15, [rdi + {R15}]",
            "mov r14, [rdi + {R14}]",
            "mov r13, [rdi + {R13}]",
            "mov r12, [rdi + {R12}]",
            "mov rbp, [rdi + {RBP}]",
            "mov rbx, [rdi + {RBX}]",
            "mov r10, [rdi + {R10}]",
            "mov r9, [rdi + {R9}]",
            "mov r8, [rdi + {R8}]",
            "mov rax, [rdi + {RAX}]",
            "mov rdx, [rdi + {RDX}]",
            "mov rsi, [rdi + {RSI}]",
            "mov rsp, [rdi + {RSP}]",
            "mov rdi, [rdi + {RDI}]",
            "mov r11d, 0x246",
            "mov dword ptr gs:[{T} + {IN_USER}], 1",
            "mov byte ptr gs:[{T} + {SELECTOR}], 1",
            $($close_fast,)*
            "mov rcx, gs:[{O_RIP}]",
            "jmp rcx",
            // full: everything, by iretq, which works from ring 3 to ring 3
            "5:",
            "mov eax, esi",
            "xrstor64 [rdi + {XSAVE}]",
            // Whoever jumped there with a mask that has PKRU (A3).
            "test eax, 0x200", "jne 24f",
            "mov rax, [rdi + {RIP}]", "mov gs:[{O_IRET}], rax",
            "mov qword ptr gs:[{O_IRET} + 8], 0x33",
            "mov rax, [rdi + {EFLAGS}]", "mov gs:[{O_IRET} + 16], rax",
            "mov rax, [rdi + {RSP}]", "mov gs:[{O_IRET} + 24], rax",
            "mov qword ptr gs:[{O_IRET} + 32], 0x2b",
            "mov r15, [rdi + {R15}]",
            "mov r14, [rdi + {R14}]",
            "mov r13, [rdi + {R13}]",
            "mov r12, [rdi + {R12}]",
            "mov rbp, [rdi + {RBP}]",
            "mov rbx, [rdi + {RBX}]",
            "mov r11, [rdi + {R11}]",
            "mov r10, [rdi + {R10}]",
            "mov r9, [rdi + {R9}]",
            "mov r8, [rdi + {R8}]",
            "mov rax, [rdi + {RAX}]",
            "mov rcx, [rdi + {RCX}]",
            "mov rdx, [rdi + {RDX}]",
            "mov rsi, [rdi + {RSI}]",
            "mov rdi, [rdi + {RDI}]",
            "rdgsbase rsp",
            "lea rsp, [rsp + {O_IRET}]",
            "mov dword ptr gs:[{T} + {IN_USER}], 1",
            "mov byte ptr gs:[{T} + {SELECTOR}], 1",
            $($close_full,)*
            "iretq",
            concat!(".global lodger_exit_end_", $guard), concat!("lodger_exit_end_", $guard, ":"),
            // work is pending: back to the spine at once
            "7:",
            "mov dword ptr [rdi + {EXIT}], 2",
            "pop r15", "pop r14", "pop r13", "pop r12", "pop rbp", "pop rbx",
            "pop r11", "jmp r11",

            // ---- host signal handler: edi signal, rsi siginfo, rdx ucontext, on the alternate stack
            ".balign 64",
            concat!(".global lodger_signal_", $guard), concat!("lodger_signal_", $guard, ":"),
            $($sig_open,)*
            // The application's flags but for what the host clears (DF, TF): with AC an unaligned access below would fault, with
            // NT every iretq (A10).
            "push 2",
            "popfq",
            "sub rsp, 8",
            "call {handler}",
            "test rax, rax",
            "jne 6f",
            "mov rsp, gs:[{T} + {KERNEL_RSP}]",
            "pop r15", "pop r14", "pop r13", "pop r12", "pop rbp", "pop rbx",
            "pop r11", "jmp r11",
            // go on where the guest kernel was: registers from the ucontext (rax), by iretq
            "6:",
            "mov rdi, rax",
            "mov rsi, [rdi + 224]", // uc_mcontext.fpstate
            "mov eax, [rip + {xlo}]",
            "xor edx, edx",
            "xrstor64 [rsi]",
            "test eax, 0x200", "jne 24f",
            // Straight onto the alternate stack: another signal may come in between, and go through here itself.
            "push 0x2b",
            "push qword ptr [rdi + 160]", // rsp
            "push qword ptr [rdi + 176]", // eflags
            "push 0x33",
            "push qword ptr [rdi + 168]", // rip
            "mov r8, [rdi + 40]",
            "mov r9, [rdi + 48]",
            "mov r10, [rdi + 56]",
            "mov r11, [rdi + 64]",
            "mov r12, [rdi + 72]",
            "mov r13, [rdi + 80]",
            "mov r14, [rdi + 88]",
            "mov r15, [rdi + 96]",
            "mov rsi, [rdi + 112]",
            "mov rbp, [rdi + 120]",
            "mov rbx, [rdi + 128]",
            "mov rdx, [rdi + 136]",
            "mov rax, [rdi + 144]",
            "mov rcx, [rdi + 152]",
            "mov rdi, [rdi + 104]",
            "iretq",
            ".popsection",
            ".pushsection .text.gate_trap,\"ax\",@progbits", "24: ud2", ".popsection",
            T = const $crate::gate::T,
            PROTECTS = const host::thread::offset::PROTECTS, PROTECT_TSC = const host::thread::offset::PROTECT_TSC,
            SELECTOR = const host::thread::offset::SELECTOR, CONTEXT = const host::thread::offset::CONTEXT, KERNEL_RSP = const host::thread::offset::KERNEL_RSP,
            IN_USER = const host::thread::offset::IN_USER, PENDING = const host::thread::offset::PENDING, GATES = const host::thread::offset::GATE_ENTRIES,
            R15 = const $crate::context::offset::R15, R14 = const $crate::context::offset::R14, R13 = const $crate::context::offset::R13, R12 = const $crate::context::offset::R12,
            RBP = const $crate::context::offset::RBP, RBX = const $crate::context::offset::RBX, R11 = const $crate::context::offset::R11, R10 = const $crate::context::offset::R10,
            R9 = const $crate::context::offset::R9, R8 = const $crate::context::offset::R8, RAX = const $crate::context::offset::RAX, RCX = const $crate::context::offset::RCX,
            RDX = const $crate::context::offset::RDX, RSI = const $crate::context::offset::RSI, RDI = const $crate::context::offset::RDI, RIP = const $crate::context::offset::RIP,
            EFLAGS = const $crate::context::offset::EFLAGS, RSP = const $crate::context::offset::RSP, FULL = const $crate::context::offset::FULL,
            EXIT = const $crate::context::offset::EXIT, XMM = const $crate::context::offset::XMM, XSAVE = const $crate::context::offset::XSAVE,
            O_RIP = const $crate::gate::open::RIP, O_IRET = const $crate::gate::open::IRET,
            handler = sym $crate::signal::lodger_handle_signal,
            xlo = sym $crate::signal::XMASK_LOW,
        );
    };
}
pub(crate) use gate;

macro_rules! symbols {
    ($($field:ident),*) => {
        /// Addresses of one guard's code.
        #[derive(Clone, Copy)]
        pub struct Code { $(pub $field: u64),* }
    };
}
symbols!(gate, gate_start, gate_end, enter, exit_start, exit_end, signal);

macro_rules! addresses {
    ($gate:ident $gs:ident $ge:ident $enter:ident $es:ident $ee:ident $sig:ident) => {{
        unsafe extern "C" {
            static $gate: u8;
            static $gs: u8;
            static $ge: u8;
            static $enter: u8;
            static $es: u8;
            static $ee: u8;
            static $sig: u8;
        }
        $crate::gate::Code {
            gate: (&raw const $gate) as u64,
            gate_start: (&raw const $gs) as u64,
            gate_end: (&raw const $ge) as u64,
            enter: (&raw const $enter) as u64,
            exit_start: (&raw const $es) as u64,
            exit_end: (&raw const $ee) as u64,
            signal: (&raw const $sig) as u64,
        }
    }};
}
pub(crate) use addresses;

/// The code for the guard in force.
#[must_use]
pub fn code() -> Code {
    match guard::in_force() {
        Guard::Pkey => guard::pkey::code(),
        Guard::Mprotect => guard::mprotect::code(),
        Guard::None => guard::none::code(),
    }
}

/// Runs the application from its saved context until something stops it. The one way from guest kernel to
/// application.
#[must_use]
pub fn enter_user(c: &mut Context) -> Exit {
    match guard::in_force() {
        Guard::None => enter!(lodger_enter_none, c),
        Guard::Mprotect => enter!(lodger_enter_mprotect, c),
        Guard::Pkey => enter!(lodger_enter_pkey, c),
    }
    c.exit()
}

unsafe extern "C" {
    fn lodger_enter_none();
    fn lodger_enter_mprotect();
    fn lodger_enter_pkey();
}

/// A call that the processor does not see as one.
macro_rules! enter {
    ($enter:ident, $context:ident) => {{
        let mask = crate::cpu::xmask();
        // SAFETY: the context is this thread's; the assembly preserves the kernel's callee-saved registers and stack, and comes back
        // to the address that is pushed.
        unsafe {
            core::arch::asm!(
                "lea r11, [rip + 2f]",
                "push r11",
                "jmp {enter}",
                "2:",
                enter = sym $enter,
                in("rdi") core::ptr::from_mut($context),
                in("esi") mask as u32,
                in("edx") (mask >> 32) as u32,
                clobber_abi("C"),
            );
        }
    }};
}
use enter;
