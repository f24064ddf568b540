//! Copying to and from application memory. The only code that touches it.
//!
//! Each function is one straight piece of assembly between two labels. A host SIGSEGV or SIGBUS whose
//! instruction lies between them is resumed at the function's fault exit by `trap` (see [`fixup`]), so a bad
//! pointer is `EFAULT`, never a crash. Callers must have checked the range with [`abi::layout::user_range_ok`];
//! these functions check it again because nothing else stands between a bad address and the kernel's memory.

use crate::{Errno, Result};
use abi::layout;
use core::arch::global_asm;
use core::sync::atomic::{AtomicUsize, Ordering};

global_asm!(
    ".pushsection .text.user_access,\"ax\",@progbits",
    ".global lodger_user_access_start",
    "lodger_user_access_start:",
    // lodger_user_copy(rdi dst, rsi src, rdx n) -> rax: bytes not copied
    ".global lodger_user_copy",
    "lodger_user_copy:",
    "mov rcx, rdx",
    "cmp rdx, 32",
    "ja 2f",
    "3: test rcx, rcx",
    "je 5f",
    "cmp rcx, 8",
    "jb 4f",
    ".global lodger_user_copy_words",
    "lodger_user_copy_words:",
    "mov rax, [rsi]",
    "mov [rdi], rax",
    ".global lodger_user_copy_words_end",
    "lodger_user_copy_words_end:",
    "add rsi, 8",
    "add rdi, 8",
    "sub rcx, 8",
    "jmp 3b",
    ".global lodger_user_copy_bytes",
    "lodger_user_copy_bytes:",
    "4: mov al, [rsi]",
    "mov [rdi], al",
    "inc rsi",
    "inc rdi",
    "dec rcx",
    "jmp 3b",
    "2: rep movsb",
    "5: mov rax, rcx",
    "xor edx, edx",
    "ret",
    // lodger_user_zero(rdi dst, rsi n) -> rax: bytes not written
    ".global lodger_user_zero",
    "lodger_user_zero:",
    "mov rcx, rsi",
    "xor eax, eax",
    "rep stosb",
    "mov rax, rcx",
    "ret",
    // lodger_user_load32(rdi addr) -> eax value, rcx 0 (ok)
    ".global lodger_user_load32",
    "lodger_user_load32:",
    "mov ecx, 1",
    "mov eax, [rdi]",
    "xor ecx, ecx",
    "mov edx, eax",
    "mov rax, rcx",
    "ret",
    // lodger_user_cmpxchg32(rdi addr, esi expected, edx new) -> rax 0 ok, rdx old value
    ".global lodger_user_cmpxchg32",
    "lodger_user_cmpxchg32:",
    "mov ecx, 1",
    "mov eax, esi",
    "lock cmpxchg [rdi], edx",
    "mov edx, eax",
    "xor eax, eax",
    "ret",
    ".global lodger_user_access_end",
    "lodger_user_access_end:",
    // where a fault above goes on: rcx is the count left, or 1
    ".global lodger_user_access_fault",
    "lodger_user_access_fault:",
    "mov rax, rcx",
    "xor edx, edx",
    "ret",
    ".popsection",
);

/// rax and rdx of the functions above.
#[repr(C)]
struct Pair {
    rax: u64,
    rdx: u64,
}

unsafe extern "C" {
    fn lodger_user_copy(dst: u64, src: u64, n: u64) -> Pair;
    fn lodger_user_zero(dst: u64, n: u64) -> u64;
    fn lodger_user_load32(addr: u64) -> Pair;
    fn lodger_user_cmpxchg32(addr: u64, expected: u32, new: u32) -> Pair;
    static lodger_user_copy_words: u8;
    static lodger_user_copy_words_end: u8;
    static lodger_user_copy_bytes: u8;
    static lodger_user_access_start: u8;
    static lodger_user_access_end: u8;
    static lodger_user_access_fault: u8;
}

/// Where to go on after a fault at `rip`, if `rip` is in one of this module's functions.
#[must_use]
pub fn fixup(rip: u64) -> Option<u64> {
    // Eight bytes of which the first may be accessible: those are copied one by one, as far as they go.
    let words = (&raw const lodger_user_copy_words) as u64..(&raw const lodger_user_copy_words_end) as u64;
    if words.contains(&rip) {
        return Some((&raw const lodger_user_copy_bytes) as u64);
    }
    let start = (&raw const lodger_user_access_start) as u64;
    let end = (&raw const lodger_user_access_end) as u64;
    (start..end).contains(&rip).then_some((&raw const lodger_user_access_fault) as u64)
}

/// Makes `[addr, addr+len)` accessible, for writing where asked: false where that is impossible.
pub type FaultIn = fn(addr: u64, len: u64, write: bool) -> bool;

/// A [`FaultIn`] that the guest kernel registers; none is as one that says no.
struct Hook(AtomicUsize);

impl Hook {
    const fn new() -> Hook {
        Hook(AtomicUsize::new(0))
    }

    fn set(&self, f: FaultIn) {
        self.0.store(f as usize, Ordering::Release);
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed) != 0
    }

    /// Asks it; false too where the range is not an application's.
    fn ask(&self, addr: u64, len: u64, write: bool) -> bool {
        let f = self.0.load(Ordering::Acquire);
        if f == 0 || !layout::user_range_ok(addr, len) {
            return false;
        }
        // SAFETY: only `set` stores here.
        let f: FaultIn = unsafe { core::mem::transmute::<usize, FaultIn>(f) };
        f(addr, len, write)
    }
}

static FAULT_IN: Hook = Hook::new();
static AGAIN: Hook = Hook::new();

/// Registers who resolves faults on application memory: under `remap` spaces pages come when they are touched, and the guest
/// kernel's own accesses do not go through a trap.
pub fn on_fault(f: FaultIn) {
    FAULT_IN.set(f);
}

/// Asks for `[addr, addr+len)` to be made accessible. False where nobody is registered (the host resolves faults).
fn fault_in(addr: u64, len: u64, write: bool) -> bool {
    FAULT_IN.ask(addr, len, write)
}

/// Registers who says, of an access that has failed, whether it can be tried again: memory that waits for its first touch, or was
/// made accessible by another thread at that moment. Not asked before a host call.
pub fn on_failure(f: FaultIn) {
    AGAIN.set(f);
}

/// Whether an access to `[addr, addr+len)` that has failed can be tried again.
fn again(addr: u64, len: u64, write: bool) -> bool {
    AGAIN.ask(addr, len, write)
}

/// Both are asked: what one has in order the other may not have.
fn resolved(addr: u64, len: u64, write: bool) -> bool {
    again(addr, len, write) | fault_in(addr, len, write)
}

/// Makes a host call that is given application memory, and makes it again where the memory was not accessible and is now.
///
/// # Errors
/// As [`prepare`]; the host's.
pub(crate) fn host_call(iov: &[crate::file::IoVec], write: bool, call: impl FnMut() -> Result<usize>) -> Result<usize> {
    prepare(iov, write)?;
    again_if(|| iov.iter().all(|v| again(v.base, v.len, write)), call)
}

/// Makes a host call, and makes it again where it failed for memory that `may` has made accessible.
///
/// # Errors
/// The host's.
pub fn again_if<T>(may: impl Fn() -> bool, mut call: impl FnMut() -> Result<T>) -> Result<T> {
    let mut tries = 0;
    loop {
        match call() {
            Err(Errno::EFAULT) if tries < TRIES && may() => tries += 1,
            r => return r,
        }
    }
}

/// Makes application memory accessible before a host call is given it: the host does not come back to ask.
///
/// # Errors
/// `EFAULT` where its first bytes can not be made accessible; what follows is the host call's to find out.
fn prepare(iov: &[crate::file::IoVec], write: bool) -> Result<()> {
    if !FAULT_IN.is_set() {
        return Ok(());
    }
    for (i, v) in iov.iter().enumerate() {
        let mut at = v.base;
        let end = v.base.saturating_add(v.len.min(PREPARE_MAX));
        while at < end {
            let next = ((at | (layout::PAGE - 1)) + 1).min(end);
            if !fault_in(at, next - at, write) {
                return if i == 0 && at == v.base { Err(Errno::EFAULT) } else { Ok(()) };
            }
            at = next;
        }
    }
    Ok(())
}

/// A page that is granted this often and still faults is nobody's to solve here.
const TRIES: u32 = 4;
/// The most of one piece that is made accessible ahead of a host call; a longer transfer comes out short there.
const PREPARE_MAX: u64 = 16 << 20;

/// Runs `copy(done)`, which returns what it left undone, again after each fault that could be resolved; returns what remains.
fn faulting(n: u64, addr: u64, write: bool, mut copy: impl FnMut(u64) -> u64) -> u64 {
    let mut done = 0;
    let mut tries = 0;
    loop {
        let left = copy(done);
        if left == 0 {
            return 0;
        }
        let now = n - left;
        tries = if now > done { 0 } else { tries + 1 };
        done = now;
        // The access that failed is one byte wide.
        if tries > TRIES || !resolved(addr + done, 1, write) {
            return left;
        }
    }
}

/// Copies `dst.len()` bytes from application address `src`.
///
/// # Errors
/// `EFAULT` with the number of bytes that were copied.
pub fn copy_in(dst: &mut [u8], src: u64) -> core::result::Result<(), usize> {
    if !layout::user_range_ok(src, dst.len() as u64) {
        return Err(0);
    }
    let (to, n) = (dst.as_mut_ptr() as u64, dst.len() as u64);
    let left =
        // SAFETY: dst is ours and valid; faults on src are fixed up.
        faulting(n, src, false, |k| unsafe { lodger_user_copy(to + k, src + k, n - k) }.rax) as usize;
    if left == 0 { Ok(()) } else { Err(dst.len() - left) }
}

/// Copies `src` to application address `dst`.
///
/// # Errors
/// The number of bytes that were copied before the fault.
pub fn copy_out(dst: u64, src: &[u8]) -> core::result::Result<(), usize> {
    if !layout::user_range_ok(dst, src.len() as u64) {
        return Err(0);
    }
    let (from, n) = (src.as_ptr() as u64, src.len() as u64);
    // SAFETY: src is ours and valid; dst is application memory (range checked), faults are fixed up.
    let left = faulting(n, dst, true, |k| unsafe { lodger_user_copy(dst + k, from + k, n - k) }.rax) as usize;
    if left == 0 { Ok(()) } else { Err(src.len() - left) }
}

/// Writes `n` zero bytes to application address `dst`.
///
/// # Errors
/// The number of bytes that were written before the fault.
pub fn zero(dst: u64, n: usize) -> core::result::Result<(), usize> {
    if !layout::user_range_ok(dst, n as u64) {
        return Err(0);
    }
    // SAFETY: dst is application memory (range checked), faults are fixed up.
    let left = faulting(n as u64, dst, true, |k| unsafe { lodger_user_zero(dst + k, n as u64 - k) }) as usize;
    if left == 0 { Ok(()) } else { Err(n - left) }
}

/// Copies kernel memory that no Rust object owns (the RAM window) to application memory; how much was copied.
pub(crate) fn copy_raw_out(dst: u64, src: u64, n: u64) -> Result<usize> {
    if !layout::user_range_ok(dst, n) {
        return Err(Errno::EFAULT);
    }
    // SAFETY: dst is application memory (range checked), src is in the window (checked by `ram`); faults are fixed up.
    let left = faulting(n, dst, true, |k| unsafe { lodger_user_copy(dst + k, src + k, n - k) }.rax);
    if left == n && n > 0 { Err(Errno::EFAULT) } else { Ok((n - left) as usize) }
}

/// The other way round.
pub(crate) fn copy_raw_in(dst: u64, src: u64, n: u64) -> Result<usize> {
    if !layout::user_range_ok(src, n) {
        return Err(Errno::EFAULT);
    }
    // SAFETY: src is application memory (range checked), dst is in the window (checked by `ram`); faults are fixed up.
    let left = faulting(n, src, false, |k| unsafe { lodger_user_copy(dst + k, src + k, n - k) }.rax);
    if left == n && n > 0 { Err(Errno::EFAULT) } else { Ok((n - left) as usize) }
}

/// Reads an aligned 32-bit word of application memory.
///
/// # Errors
/// `EFAULT`; `EINVAL` where the address is not aligned.
pub fn load_u32(addr: u64) -> Result<u32> {
    if addr % 4 != 0 {
        return Err(Errno::EINVAL);
    }
    if !layout::user_range_ok(addr, 4) {
        return Err(Errno::EFAULT);
    }
    for _ in 0..TRIES {
        // SAFETY: application memory (range checked), faults are fixed up.
        let p = unsafe { lodger_user_load32(addr) };
        if p.rax == 0 {
            return Ok(p.rdx as u32);
        }
        if !resolved(addr, 4, false) {
            break;
        }
    }
    Err(Errno::EFAULT)
}

/// Compares and exchanges an aligned 32-bit word of application memory; returns the old value.
///
/// # Errors
/// `EFAULT`; `EINVAL` where the address is not aligned.
pub fn cmpxchg_u32(addr: u64, expected: u32, new: u32) -> Result<u32> {
    if addr % 4 != 0 {
        return Err(Errno::EINVAL);
    }
    if !layout::user_range_ok(addr, 4) {
        return Err(Errno::EFAULT);
    }
    for _ in 0..TRIES {
        // SAFETY: application memory (range checked), faults are fixed up.
        let p = unsafe { lodger_user_cmpxchg32(addr, expected, new) };
        if p.rax == 0 {
            return Ok(p.rdx as u32);
        }
        if !resolved(addr, 4, true) {
            break;
        }
    }
    Err(Errno::EFAULT)
}

/// Types without padding for which any bit pattern is a value: integers, arrays of them, and the structs for
/// which [`pod!`](crate::pod) vouches.
///
/// # Safety
/// No padding bytes, no invalid bit patterns, no pointers that anybody would dereference.
pub unsafe trait Pod: Copy + 'static {}

macro_rules! pod_int {
    ($($t:ty)*) => {$(
        // SAFETY: an integer.
        unsafe impl Pod for $t {}
        // SAFETY: an array of integers.
        unsafe impl<const N: usize> Pod for [$t; N] {}
    )*};
}
pod_int!(u8 i8 u16 i16 u32 i32 u64 i64 usize isize);

macro_rules! pod_abi {
    ($($t:ident)*) => {$(
        // SAFETY: a C struct of integers from the kernel's headers; its padding, if any, is spelled out as
        // fields or is written only from values that `zeroed` made.
        unsafe impl Pod for abi::linux::$t {}
    )*};
}
pod_abi!(statx stat timespec timeval itimerspec itimerval epoll_event iovec statfs rlimit rlimit64 rusage flock
    __kernel_timespec __kernel_old_timeval __kernel_itimerspec __kernel_old_itimerval pollfd termios termios2 winsize
    sigaltstack robust_list_head open_how clone_args f_owner_ex);

/// A value of all zero bytes.
#[must_use]
pub fn zeroed<T: Pod>() -> T {
    // SAFETY: `Pod`: any bit pattern is a value.
    unsafe { core::mem::zeroed() }
}

/// The bytes of a value.
#[must_use]
pub fn as_bytes<T: Pod>(v: &T) -> &[u8] {
    // SAFETY: `Pod`: no padding.
    unsafe { core::slice::from_raw_parts(core::ptr::from_ref(v).cast(), size_of::<T>()) }
}

/// The bytes of a value, to be overwritten.
pub fn as_bytes_mut<T: Pod>(v: &mut T) -> &mut [u8] {
    // SAFETY: `Pod`: any bit pattern is a value.
    unsafe { core::slice::from_raw_parts_mut(core::ptr::from_mut(v).cast(), size_of::<T>()) }
}
