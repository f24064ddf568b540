//! The `mprotect` guard, the classic machine's: mprotect(2) of the whole region at each switch between guest kernel and
//! application (King, Dunlap, Chen 2003, section 3.2).
//!
//! The code that opens the region lies outside it, in the *portal*, which applications can see and jump to.

use crate::gate::{Code, addresses, gate};
use crate::signal::{HANDLED, Info, KICK, SIGSEGV, UContext};
use abi::layout;
use core::sync::atomic::{AtomicBool, Ordering};

// The mprotect guard. The four host calls below are the only `syscall` instructions that an application can reach; the host
// diverts none of them, and seccomp lets each make exactly the call that is written here (`host::seccomp`), so that jumping to
// one with arguments of one's own is of no use (A2).
gate!(
    "mprotect",
    ".portal",
    open: [
        "mov gs:[0], rax", "mov gs:[8], rcx", "mov gs:[16], rdx", "mov gs:[32], rdi", "mov gs:[40], rsi",
        ".global lodger_portal_saved", "lodger_portal_saved:",
        "rdtsc", "shl rdx, 32", "or rax, rdx", "mov gs:[56], rax",
        "mov edi, 0x70000000", "mov esi, 0x50000000", "mov edx, 7", "mov eax, 10", "syscall",
        ".global lodger_portal_open_gate", "lodger_portal_open_gate:",
        "test eax, eax", "jne 8f",
        // An application can change GS: from here on it is the running thread's.
        "movabs rax, qword ptr [0xb6000000]", "wrgsbase rax",
        "inc qword ptr gs:[{T} + {PROTECTS}]",
        "rdtsc", "shl rdx, 32", "or rax, rdx", "sub rax, gs:[56]", "add rax, gs:[104]",
        "add gs:[{T} + {PROTECT_TSC}], rax", "mov qword ptr gs:[104], 0",
        "mov rax, gs:[0]", "mov rcx, gs:[8]", "mov rdx, gs:[16]", "mov rdi, gs:[32]", "mov rsi, gs:[40]"
    ],
    close_fast: [
        "inc qword ptr gs:[{T} + {PROTECTS}]",
        "mov gs:[0], rax", "mov gs:[16], rdx", "mov gs:[32], rdi", "mov gs:[40], rsi",
        "rdtsc", "shl rdx, 32", "or rax, rdx", "mov gs:[56], rax",
        "mov edi, 0x70000000", "mov esi, 0x50000000", "xor edx, edx", "mov eax, 10", "syscall",
        ".global lodger_portal_close_fast", "lodger_portal_close_fast:",
        "test eax, eax", "jne 8f",
        "rdtsc", "shl rdx, 32", "or rax, rdx", "sub rax, gs:[56]", "add gs:[104], rax",
        "mov rax, gs:[0]", "mov rdx, gs:[16]", "mov rdi, gs:[32]", "mov rsi, gs:[40]",
        ".pushsection .portal.trap,\"ax\",@progbits", "8: ud2", ".popsection"
    ],
    close_full: [
        "inc qword ptr gs:[{T} + {PROTECTS}]",
        "mov gs:[0], rax", "mov gs:[8], rcx", "mov gs:[16], rdx", "mov gs:[32], rdi", "mov gs:[40], rsi",
        "mov gs:[48], r11",
        "rdtsc", "shl rdx, 32", "or rax, rdx", "mov gs:[56], rax",
        "mov edi, 0x70000000", "mov esi, 0x50000000", "xor edx, edx", "mov eax, 10", "syscall",
        ".global lodger_portal_close_full", "lodger_portal_close_full:",
        "test eax, eax", "jne 9f",
        "rdtsc", "shl rdx, 32", "or rax, rdx", "sub rax, gs:[56]", "add gs:[104], rax",
        "mov rax, gs:[0]", "mov rcx, gs:[8]", "mov rdx, gs:[16]", "mov rdi, gs:[32]", "mov rsi, gs:[40]",
        "mov r11, gs:[48]",
        ".pushsection .portal.trap,\"ax\",@progbits", "9: ud2", ".popsection"
    ],
    sig_open: [
        // Nothing is written through GS here, which may be the application's: the memory may be open already.
        "push rdi", "push rsi", "push rdx",
        "rdtsc", "shl rdx, 32", "or rax, rdx", "mov r9, rax",
        "mov edi, 0x70000000", "mov esi, 0x50000000", "mov edx, 7", "mov eax, 10", "syscall",
        ".global lodger_portal_open_signal", "lodger_portal_open_signal:",
        "test eax, eax", "jne 8f",
        "movabs rax, qword ptr [0xb6000000]", "wrgsbase rax",
        "inc qword ptr gs:[{T} + {PROTECTS}]",
        "rdtsc", "shl rdx, 32", "or rax, rdx", "sub rax, r9", "add rax, gs:[104]",
        "add gs:[{T} + {PROTECT_TSC}], rax", "mov qword ptr gs:[104], 0",
        "pop rdx", "pop rsi", "pop rdi",
        // Nor is the stack pointer to be relied on: an application may have jumped here. Its first frame's place is known.
        "cmp dword ptr gs:[{T} + {IN_USER}], 0", "je 2f",
        "movabs rax, qword ptr [0xb6000008]", "mov rsp, rax", "2:",
        ".pushsection .portal.trap,\"ax\",@progbits", "8: ud2", ".popsection"
    ]
);

/// This guard's code.
#[must_use]
pub fn code() -> Code {
    addresses!(lodger_gate_mprotect lodger_gate_start_mprotect lodger_gate_end_mprotect lodger_enter_mprotect lodger_exit_start_mprotect lodger_exit_end_mprotect lodger_signal_mprotect)
}

const _: () = assert!(abi::layout::PROCESS_PAGE == 0xb600_0000);
const _: () = assert!(abi::layout::KERNEL_BASE == 0x7000_0000 && abi::layout::KERNEL_SIZE == 0x5000_0000);

// Weak, because only the guest kernel's linker script makes these: the tests' host programs have no portal.
core::arch::global_asm!(
    ".weak __portal_start",
    ".weak __portal_end",
    ".pushsection .data.rel.ro,\"aw\",@progbits",
    ".balign 8",
    ".global lodger_portal",
    "lodger_portal: .quad __portal_start, __portal_end",
    ".popsection",
);

unsafe extern "C" {
    safe static lodger_portal: [u64; 2];
}

/// The addresses of the portal's code: what the application may execute of the guest kernel under the `mprotect` guard.
#[must_use]
pub fn portal() -> core::ops::Range<u64> {
    lodger_portal[0]..lodger_portal[1]
}

/// The portal's host calls, by the address after the instruction: those that open the region, those that close it.
#[must_use]
pub fn portal_sites() -> ([u64; 2], [u64; 2]) {
    unsafe extern "C" {
        static lodger_portal_open_gate: u8;
        static lodger_portal_open_signal: u8;
        static lodger_portal_close_fast: u8;
        static lodger_portal_close_full: u8;
    }
    (
        [(&raw const lodger_portal_open_gate) as u64, (&raw const lodger_portal_open_signal) as u64],
        [(&raw const lodger_portal_close_fast) as u64, (&raw const lodger_portal_close_full) as u64],
    )
}

/// An application was interrupted in the portal's gate: it starts over from the gate's first instruction, with its own registers,
/// which it may have left in its open page.
pub fn rewind(uc: &mut UContext) {
    unsafe extern "C" {
        static lodger_portal_saved: u8;
    }
    if uc.rip > (&raw const lodger_portal_saved) as u64 {
        let open = host::thread::open_words();
        (uc.rax, uc.rcx, uc.rdx, uc.rdi, uc.rsi) = (open[0], open[1], open[2], open[4], open[5]);
    }
    uc.rip = code().gate_start;
}

/// The next signal's frame is a first one: its place is kept.
static LEARN: AtomicBool = AtomicBool::new(false);
/// From the stack pointer at a handler's first instruction to the ucontext: the return address lies between.
const FRAME_STACK: u64 = 8;

/// Learns where the host puts the frame of a signal that interrupts an application.
///
/// # Panics
/// Where the host does not send the signal.
pub fn learn_frame() {
    LEARN.store(true, Ordering::SeqCst);
    let me = host::thread::trusted();
    let (pid, tid) = (me.host_pid.load(Ordering::Relaxed), me.host_tid.load(Ordering::Relaxed));
    host::process::tgkill(pid, tid, KICK).expect("a signal to itself");
    assert!(!LEARN.load(Ordering::SeqCst), "the signal did not come");
}

/// A signal's frame, given by its siginfo and ucontext: keeps its place, where that is to be learned.
pub(crate) fn note_frame(info: u64, uc: u64) {
    if LEARN.swap(false, Ordering::Relaxed) {
        host::thread::process_word(1).store(uc - FRAME_STACK, Ordering::Relaxed);
        host::thread::process_word(2).store(info, Ordering::Relaxed);
    }
}

/// The frame of the signal that interrupted the application, wherever the entry's registers point: the portal can be jumped
/// to, with registers and stack pointer of one's own (A11). The host puts that frame always at the same place. The application
/// can write there, and thereby say of itself what it likes: registers, a fault, an interrupt.
pub(crate) fn first_frame() -> (u32, &'static Info, &'static mut UContext) {
    let uc = host::thread::process_word(1).load(Ordering::Relaxed) + FRAME_STACK;
    let info = host::thread::process_word(2).load(Ordering::Relaxed);
    // SAFETY: the place of a frame on this process's alternate stack (`learn_frame`); any bits are values of these types.
    let (info, uc) = unsafe { (&*(info as *const Info), &mut *(uc as *mut UContext)) };
    let size = crate::cpu::xsize() as u64;
    let stacks =
        layout::OUTSIDE_STACKS..layout::OUTSIDE_STACKS + layout::ALTSTACK_SIZE * layout::MAX_SLOTS as u64 - size;
    if !stacks.contains(&(uc.fpstate as u64)) {
        uc.fpstate = core::ptr::null();
    }
    let sig = info.signo as u32;
    (if HANDLED.contains(&sig) { sig } else { SIGSEGV }, info, uc)
}
