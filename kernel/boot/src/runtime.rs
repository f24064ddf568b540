//! What the compiler expects of a freestanding program: an entry point and the memory functions.

use core::arch::{asm, global_asm};

global_asm!(
    ".pushsection .text,\"ax\",@progbits",
    ".global _start",
    "_start:",
    "xor ebp, ebp",
    "mov rdi, rsp",
    "and rsp, -16",
    "call {boot}",
    "ud2",
    ".popsection",
    boot = sym crate::start::boot,
);

/// memcpy(3).
///
/// # Safety
/// As in C.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memcpy(dst: *mut u8, src: *const u8, n: usize) -> *mut u8 {
    // SAFETY: the caller's word. Everything is read before it is written for sizes up to 32, so that memmove can use it.
    unsafe {
        if n <= 32 {
            small(dst, src, n);
        } else {
            forward(dst, src, n);
        }
    }
    dst
}

/// Up to 32 bytes, by two moves that may overlap.
#[inline(always)]
unsafe fn small(dst: *mut u8, src: *const u8, n: usize) {
    // SAFETY: the caller's word.
    unsafe {
        if n >= 16 {
            let (a, b) = (src.cast::<u128>().read_unaligned(), src.add(n - 16).cast::<u128>().read_unaligned());
            dst.cast::<u128>().write_unaligned(a);
            dst.add(n - 16).cast::<u128>().write_unaligned(b);
        } else if n >= 8 {
            let (a, b) = (src.cast::<u64>().read_unaligned(), src.add(n - 8).cast::<u64>().read_unaligned());
            dst.cast::<u64>().write_unaligned(a);
            dst.add(n - 8).cast::<u64>().write_unaligned(b);
        } else if n >= 4 {
            let (a, b) = (src.cast::<u32>().read_unaligned(), src.add(n - 4).cast::<u32>().read_unaligned());
            dst.cast::<u32>().write_unaligned(a);
            dst.add(n - 4).cast::<u32>().write_unaligned(b);
        } else if n > 0 {
            let (a, b, c) = (src.read(), src.add(n / 2).read(), src.add(n - 1).read());
            dst.write(a);
            dst.add(n / 2).write(b);
            dst.add(n - 1).write(c);
        }
    }
}

/// More than 32 bytes, upwards. In assembly, because the compiler would make a call of memcpy out of a loop.
#[inline(always)]
unsafe fn forward(dst: *mut u8, src: *const u8, n: usize) {
    // SAFETY: the caller's word. The last 16 bytes are read first: an overlapping move may overwrite them.
    unsafe {
        if n >= 512 {
            asm!("rep movsb", inout("rdi") dst => _, inout("rsi") src => _, inout("rcx") n => _, options(nostack, preserves_flags));
            return;
        }
        let tail = src.add(n - 16).cast::<u128>().read_unaligned();
        asm!(
            "2: movups {x}, [{s}]",
            "movups [{d}], {x}",
            "add {s}, 16",
            "add {d}, 16",
            "sub {n}, 16",
            "ja 2b",
            x = out(xmm_reg) _, s = inout(reg) src => _, d = inout(reg) dst => _, n = inout(reg) n - 16 => _,
            options(nostack)
        );
        dst.add(n - 16).cast::<u128>().write_unaligned(tail);
    }
}

/// memmove(3).
///
/// # Safety
/// As in C.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memmove(dst: *mut u8, src: *const u8, n: usize) -> *mut u8 {
    // SAFETY: the caller's word; downwards where upwards would overwrite what is still to be read. The first 16 bytes are
    // read before they can be overwritten.
    unsafe {
        if n <= 32 {
            small(dst, src, n);
        } else if (dst as usize).wrapping_sub(src as usize) >= n {
            forward(dst, src, n);
        } else {
            let head = src.cast::<u128>().read_unaligned();
            asm!(
                "2: movups {x}, [{s} + {n} - 16]",
                "movups [{d} + {n} - 16], {x}",
                "sub {n}, 16",
                "cmp {n}, 16",
                "ja 2b",
                x = out(xmm_reg) _, s = in(reg) src, d = in(reg) dst, n = inout(reg) n => _,
                options(nostack)
            );
            dst.cast::<u128>().write_unaligned(head);
        }
    }
    dst
}

/// memset(3).
///
/// # Safety
/// As in C.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memset(dst: *mut u8, c: i32, n: usize) -> *mut u8 {
    // SAFETY: the caller's word.
    unsafe {
        asm!("rep stosb", inout("rdi") dst => _, in("al") c as u8, inout("rcx") n => _, options(nostack, preserves_flags));
    }
    dst
}

/// memcmp(3).
///
/// # Safety
/// As in C.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, n: usize) -> i32 {
    let mut i = 0;
    // SAFETY: the caller's word.
    unsafe {
        while i + 8 <= n {
            if a.add(i).cast::<u64>().read_unaligned() != b.add(i).cast::<u64>().read_unaligned() {
                break;
            }
            i += 8;
        }
        while i < n {
            let (x, y) = (a.add(i).read(), b.add(i).read());
            if x != y {
                return i32::from(x) - i32::from(y);
            }
            i += 1;
        }
    }
    0
}

/// bcmp(3).
///
/// # Safety
/// As in C.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, n: usize) -> i32 {
    // SAFETY: the caller's word.
    unsafe { memcmp(a, b, n) }
}

/// strlen(3).
///
/// # Safety
/// As in C.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strlen(s: *const u8) -> usize {
    let mut n = 0;
    // SAFETY: the caller's word.
    while unsafe { s.add(n).read() } != 0 {
        n += 1;
    }
    n
}

/// Named by the precompiled `alloc`; this kernel aborts on panic and never unwinds.
#[unsafe(no_mangle)]
pub extern "C" fn rust_eh_personality() -> ! {
    crate::panic::end()
}

/// As [`rust_eh_personality`].
#[allow(non_snake_case)]
#[unsafe(no_mangle)]
pub extern "C" fn _Unwind_Resume() -> ! {
    crate::panic::end()
}
