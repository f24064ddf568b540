//! Host calls that end as soon as the calling thread has work.
//!
//! Nothing can become pending between the look and the call without being seen: a kick whose interrupted instruction
//! lies between the two labels is resumed at the abort label (`trap::signal`). After the `syscall` instruction the host
//! itself reports the interruption.

use core::arch::global_asm;

global_asm!(
    ".pushsection .text.interruptible,\"ax\",@progbits",
    ".global lodger_call_interruptible",
    "lodger_call_interruptible:", // rdi number, rsi arguments
    "mov rax, rdi",
    "mov r11, rsi",
    "mov rdi, [r11]",
    "mov rsi, [r11 + 8]",
    "mov rdx, [r11 + 16]",
    "mov r10, [r11 + 24]",
    "mov r8, [r11 + 32]",
    "mov r9, [r11 + 40]",
    ".global lodger_interruptible_start",
    "lodger_interruptible_start:",
    "cmp dword ptr gs:[{T} + {PENDING}], 0",
    "jne 2f",
    "syscall",
    ".global lodger_interruptible_end",
    "lodger_interruptible_end:",
    "ret",
    ".global lodger_interruptible_abort",
    "lodger_interruptible_abort:",
    "2: mov rax, -4",
    "ret",
    ".popsection",
    T = const abi::layout::TRUSTED_DELTA,
    PENDING = const crate::thread::offset::PENDING,
);

unsafe extern "C" {
    fn lodger_call_interruptible(nr: i64, args: *const [u64; 6]) -> i64;
    static lodger_interruptible_start: u8;
    static lodger_interruptible_end: u8;
    static lodger_interruptible_abort: u8;
}

/// Where a kick at `rip` goes on, if `rip` is between look and call.
#[must_use]
pub fn abort(rip: u64) -> Option<u64> {
    let start = (&raw const lodger_interruptible_start) as u64;
    let end = (&raw const lodger_interruptible_end) as u64;
    (start..end).contains(&rip).then_some((&raw const lodger_interruptible_abort) as u64)
}

/// A host call that ends with -EINTR as soon as this thread has work.
///
/// # Safety
/// As [`crate::raw::call`].
pub unsafe fn call(nr: i64, args: [u64; 6]) -> i64 {
    crate::thread::count_host_call();
    // SAFETY: the caller vouches for the call.
    unsafe { lodger_call_interruptible(nr, &args) }
}
