//! The `pkey` guard: memory protection keys (pkeys(7)). Opening and closing are one instruction each, WRPKRU.

use crate::gate::{Code, addresses, gate, open};
use crate::signal::UContext;
use abi::layout;
use core::sync::atomic::{AtomicU64, Ordering};

/// PKRU of the guest kernel: everything is accessible.
pub const PKRU_OPEN: u32 = 0;
/// PKRU of an application: key 1 (guest kernel) no access, key 2 (trusted pages) no writing.
pub const PKRU_CLOSED: u32 = 0b10_11_00;

/// What the host calls the handler's restorer: nothing ever goes there. Under the `pkey` guard a secret that the host writes into each
/// signal frame, so that the entry knows a frame from something that an application made.
#[unsafe(no_mangle)]
static lodger_frame_secret: AtomicU64 = AtomicU64::new(0);

/// Makes the secret, for the handlers' restorer.
pub(crate) fn choose_secret() -> u64 {
    let mut bytes = [0; 8];
    host::process::getrandom(&mut bytes);
    // Not zero, which is what a used frame has.
    let secret = u64::from_le_bytes(bytes) | 1;
    lodger_frame_secret.store(secret, Ordering::Relaxed);
    secret
}

// The pkey guard. Whoever jumps to a WRPKRU here with a rights mask of his own choice either goes on into the gate, which
// reloads everything from trusted state, or fails the comparison (A2).
gate!(
    "pkey",
    ".text.gate",
    open: [
        "mov gs:[0], rax", "mov gs:[8], rcx", "mov gs:[16], rdx",
        "xor ecx, ecx", "xor edx, edx", "xor eax, eax",
        "wrpkru",
        "mov rax, gs:[0]", "mov rcx, gs:[8]", "mov rdx, gs:[16]"
    ],
    close_fast: [
        "mov gs:[0], rax", "mov gs:[16], rdx",
        "xor ecx, ecx", "xor edx, edx", "mov eax, 0x2c",
        "wrpkru",
        "cmp eax, 0x2c", "jne 8f",
        "mov rax, gs:[0]", "mov rdx, gs:[16]",
        ".pushsection .text.gate_trap,\"ax\",@progbits", "8: ud2", ".popsection"
    ],
    close_full: [
        "mov gs:[0], rax", "mov gs:[8], rcx", "mov gs:[16], rdx",
        "xor ecx, ecx", "xor edx, edx", "mov eax, 0x2c",
        "wrpkru",
        "cmp eax, 0x2c", "jne 9f",
        "mov rax, gs:[0]", "mov rcx, gs:[8]", "mov rdx, gs:[16]",
        ".pushsection .text.gate_trap,\"ax\",@progbits", "9: ud2", ".popsection"
    ],
    // Open now, but who came? The host has just written the frame onto this thread's trap stack, with the secret that it
    // was given as the handler's restorer, and each frame counts once; and GS is what that stack's thread has (A4, A11).
    // Until then nothing of the stack is used.
    sig_open: [
        "mov r8, rdx", "xor ecx, ecx", "xor edx, edx", "xor eax, eax", "wrpkru", "mov rdx, r8",
        "mov rax, rdx", "mov ecx, 0x90000000", "sub rax, rcx",
        "cmp rax, 0x20000000", "jae 21f",
        "mov ecx, eax", "and ecx, 0x1ffff", "sub ecx, 8", "cmp ecx, 0x7ff8", "jae 21f",
        "mov rcx, [rip + lodger_frame_secret]", "cmp [rdx - 8], rcx", "jne 21f",
        "mov qword ptr [rdx - 8], 0",
        "shr eax, 17", "lea rcx, [rip + lodger_on_stack]",
        "rdgsbase r9", "mov r10d, 0x6e000000", "sub r9, r10",
        "mov r10d, [rcx + rax * 8]", "shl r10, 12", "cmp r9, r10", "je 22f",
        "mov r10d, [rcx + rax * 8 + 4]", "shl r10, 12", "cmp r9, r10", "jne 21f",
        "22:",
        ".pushsection .text.gate_trap,\"ax\",@progbits", "21: ud2", ".popsection"
    ]
);

/// This guard's code.
#[must_use]
pub fn code() -> Code {
    addresses!(lodger_gate_pkey lodger_gate_start_pkey lodger_gate_end_pkey lodger_enter_pkey lodger_exit_start_pkey lodger_exit_end_pkey lodger_signal_pkey)
}

const _: () = assert!(
    abi::layout::SLOTS_BASE == 0x9000_0000
        && abi::layout::SLOT_SIZE == 1 << 17
        && abi::layout::SLOT_SIZE * abi::layout::MAX_SLOTS as u64 == 0x2000_0000
        && abi::layout::SLOT_ALTSTACK == 0
        && abi::layout::ALTSTACK_SIZE == 0x8000
        && abi::layout::OPEN_BASE == 0x6e00_0000
);
const _: () = assert!(open::RAX == 0 && open::RCX == 8 && open::RDX == 16 && PKRU_CLOSED == 0x2c);

/// Whether the guard was open where the signal came.
pub(super) fn was_open(uc: &UContext) -> bool {
    const PKRU: u64 = 1 << 9;
    if uc.fpstate.is_null() {
        return false;
    }
    // SAFETY: an XSAVE area that the host wrote, in its standard format, which has room for PKRU.
    unsafe {
        let components = uc.fpstate.add(512).cast::<u64>().read_unaligned();
        components & PKRU == 0 || uc.fpstate.add(crate::cpu::pkru_offset()).cast::<u32>().read_unaligned() == 0
    }
}

/// Where a signal came in the first instructions of the signal entry, before it opened the guard: the frame that this entry was about
/// to look at, if the host made it.
pub(crate) fn outer_frame(uc: &UContext) -> Option<u64> {
    let (mine, outer) = (core::ptr::from_ref(uc) as u64, uc.rdx);
    let offset = outer % layout::SLOT_SIZE;
    let here = outer - offset == mine - mine % layout::SLOT_SIZE;
    if !here || !(8..layout::ALTSTACK_SIZE - 1024).contains(&offset) || outer % 8 != 0 {
        return None;
    }
    // SAFETY: on this thread's alternate stack (checked), which nobody else uses.
    let secret = unsafe { &*((outer - 8) as *const AtomicU64) };
    let real = secret.load(Ordering::Relaxed) == lodger_frame_secret.load(Ordering::Relaxed);
    real.then(|| {
        secret.store(0, Ordering::Relaxed);
        outer
    })
}
