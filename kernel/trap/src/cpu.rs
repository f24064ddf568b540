//! Processor features and vector state.

use crate::context::{Context, XSAVE_MAX, XsaveArea, offset};
use core::arch::asm;
use core::arch::x86_64::{__cpuid, __cpuid_count};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// XSAVE components that a guest has: the host's, without AMX tiles and PKRU.
static XMASK: AtomicU64 = AtomicU64::new(3);
/// Size of the XSAVE area for the host's enabled components.
static XSIZE: AtomicU32 = AtomicU32::new(576);

/// Where each XSAVE component is (CPUID is slow on a virtualised host): offset in the standard format << 32, size << 1, aligned to
/// 64 in the compact one.
static COMPONENTS: [AtomicU64; 32] = [const { AtomicU64::new(0) }; 32];

const PKRU: u64 = 1 << 9;
const AMX: u64 = 3 << 17;

/// Looks at the processor.
///
/// # Errors
/// A sentence on what is missing.
pub fn init() -> Result<(), &'static str> {
    let one = __cpuid(1);
    if one.ecx & (1 << 27) == 0 {
        return Err("the host does not enable XSAVE");
    }
    let xcr0: u64;
    // SAFETY: OSXSAVE is set, so xgetbv is enabled.
    unsafe {
        let (lo, hi): (u32, u32);
        asm!("xgetbv", in("ecx") 0, out("eax") lo, out("edx") hi, options(nomem, nostack));
        xcr0 = u64::from(hi) << 32 | u64::from(lo);
    }
    let mask = xcr0 & !(PKRU | AMX);
    // Standard format: the area ends where the last component does.
    let mut size = 576u32;
    for i in 2..32 {
        if xcr0 & (1 << i) != 0 {
            let c = __cpuid_count(0xd, i);
            let packed = u64::from(c.ebx) << 32 | u64::from(c.eax) << 1 | u64::from(c.ecx >> 1 & 1);
            COMPONENTS[i as usize].store(packed, Ordering::Relaxed);
        }
        if mask & (1 << i) != 0 {
            let c = __cpuid_count(0xd, i);
            size = size.max(c.ebx + c.eax);
        }
    }
    if size as usize > XSAVE_MAX {
        return Err("the processor's vector state is larger than this kernel has room for");
    }
    XMASK.store(mask, Ordering::Relaxed);
    XSIZE.store(size, Ordering::Relaxed);
    Ok(())
}

/// True where the processor and the host offer memory protection keys.
#[must_use]
pub fn has_pku() -> bool {
    __cpuid(0).eax >= 7 && __cpuid_count(7, 0).ecx & (1 << 4) != 0
}

/// Where PKRU is in an XSAVE area of the host's.
#[must_use]
pub fn pkru_offset() -> usize {
    (COMPONENTS[9].load(Ordering::Relaxed) >> 32) as usize
}

/// Components that a guest's vector state may have.
#[must_use]
pub fn xmask() -> u64 {
    XMASK.load(Ordering::Relaxed)
}

/// Bytes of a guest's vector state.
#[must_use]
pub fn xsize() -> usize {
    XSIZE.load(Ordering::Relaxed) as usize
}

/// The initial vector state: nothing in use, x87 and MXCSR at their defaults.
pub fn init_xsave(area: &mut XsaveArea) {
    area.0[..576].fill(0);
    area.0[0..2].copy_from_slice(&0x37fu16.to_le_bytes());
    area.0[24..28].copy_from_slice(&0x1f80u32.to_le_bytes());
    // XSTATE_BV = SSE: MXCSR is loaded from the area, everything else takes its initial value.
    area.0[512..520].copy_from_slice(&2u64.to_le_bytes());
}

/// Makes the context complete: the vector state of a gate system call goes from the registers into the area, and the next
/// exit restores all of it. Needed before a signal frame is built.
pub fn make_full(c: &mut Context) {
    if c.full != 0 {
        return;
    }
    let mask = xmask();
    c.xsave.0[512..576].fill(0);
    // SAFETY: loads the 16 saved registers, then saves the whole state to an aligned area of sufficient size.
    unsafe {
        asm!(
            "movaps xmm0, [{c} + {x}]", "movaps xmm1, [{c} + {x} + 16]",
            "movaps xmm2, [{c} + {x} + 32]", "movaps xmm3, [{c} + {x} + 48]",
            "movaps xmm4, [{c} + {x} + 64]", "movaps xmm5, [{c} + {x} + 80]",
            "movaps xmm6, [{c} + {x} + 96]", "movaps xmm7, [{c} + {x} + 112]",
            "movaps xmm8, [{c} + {x} + 128]", "movaps xmm9, [{c} + {x} + 144]",
            "movaps xmm10, [{c} + {x} + 160]", "movaps xmm11, [{c} + {x} + 176]",
            "movaps xmm12, [{c} + {x} + 192]", "movaps xmm13, [{c} + {x} + 208]",
            "movaps xmm14, [{c} + {x} + 224]", "movaps xmm15, [{c} + {x} + 240]",
            "xsave64 [{c} + {area}]",
            c = in(reg) core::ptr::from_mut(c),
            x = const offset::XMM,
            area = const offset::XSAVE,
            in("eax") mask as u32, in("edx") (mask >> 32) as u32,
            out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _, out("xmm4") _, out("xmm5") _,
            out("xmm6") _, out("xmm7") _, out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _,
            out("xmm12") _, out("xmm13") _, out("xmm14") _, out("xmm15") _,
            options(nostack),
        );
    }
    c.full = 1;
}

/// End of the XSAVE header: legacy area, XSTATE_BV, XCOMP_BV, zeros.
pub const XSAVE_HEADER_END: usize = 576;

/// Why XRSTOR does not take an area.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BadArea {
    /// It goes on beyond the memory that there is.
    Short,
    /// The processor would refuse it.
    Invalid,
}

/// XRSTOR in an application's place: of the components in `mask` that a guest has, from a copy of its area, whose first `got` bytes
/// are there. What the processor would refuse is refused before it sees it.
///
/// # Errors
/// As the instruction.
pub fn xrstor_for(c: &mut Context, area: &mut [u8; XSAVE_MAX], got: usize, mask: u64) -> Result<(), BadArea> {
    const COMPACT: u64 = 1 << 63;
    let word = |at: usize| {
        let mut w = [0; 8];
        w.copy_from_slice(&area[at..at + 8]);
        u64::from_le_bytes(w)
    };
    let (bv, comp) = (word(512), word(520));
    let known = xmask() | PKRU;
    let reserved = area[528..XSAVE_HEADER_END].iter().any(|b| *b != 0);
    let mxcsr = u32::from_le_bytes([area[24], area[25], area[26], area[27]]);
    let valid = if comp & COMPACT != 0 {
        (comp & !COMPACT) & !known == 0 && bv & !comp == 0
    } else {
        comp == 0 && bv & !known == 0
    };
    // Compact areas leave out MXCSR where neither SSE nor AVX is asked for.
    if !valid || reserved || (mask & 6 != 0 && mxcsr & !0xffff != 0) {
        return Err(BadArea::Invalid);
    }
    let mut end = XSAVE_HEADER_END;
    let used = if comp == 0 { bv & mask & xmask() } else { comp & !COMPACT };
    for (_, packed) in COMPONENTS.iter().enumerate().filter(|(i, _)| *i >= 2 && used & (1 << i) != 0) {
        let packed = packed.load(Ordering::Relaxed);
        let (offset, size) = ((packed >> 32) as usize, (packed >> 1) as usize & 0x7fff_ffff);
        if comp == 0 {
            end = end.max(offset + size);
        } else {
            end = if packed & 1 != 0 { end.next_multiple_of(64) } else { end } + size;
        }
    }
    if end > area.len() {
        return Err(BadArea::Invalid);
    }
    if end > got {
        return Err(BadArea::Short);
    }
    make_full(c);
    let mut copy = XsaveArea([0; XSAVE_MAX]);
    copy.0[..end].copy_from_slice(&area[..end]);
    let all = xmask();
    let mask = mask & all;
    let mut out = XsaveArea([0; XSAVE_MAX]);
    // SAFETY: three aligned areas of sufficient size whose headers the processor accepts (checked; the context's is the guest
    // kernel's own). All vector registers are given up. The masks have no PKRU: whoever jumps here with one that has meets the trap.
    unsafe {
        asm!(
            "mov eax, {al:e}", "mov edx, {ah:e}",
            "xrstor64 [{state}]",
            "test eax, 0x200", "jne 2f",
            "mov eax, {ml:e}", "mov edx, {mh:e}",
            "xrstor64 [{copy}]",
            "test eax, 0x200", "jne 2f",
            "mov eax, {al:e}", "mov edx, {ah:e}",
            "xsave64 [{out}]",
            "jmp 3f",
            "2: ud2",
            "3:",
            state = in(reg) c.xsave.0.as_ptr(),
            copy = in(reg) copy.0.as_ptr(),
            out = in(reg) out.0.as_mut_ptr(),
            al = in(reg) all as u32, ah = in(reg) (all >> 32) as u32,
            ml = in(reg) mask as u32, mh = in(reg) (mask >> 32) as u32,
            out("eax") _, out("edx") _,
            out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _, out("xmm4") _, out("xmm5") _,
            out("xmm6") _, out("xmm7") _, out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _,
            out("xmm12") _, out("xmm13") _, out("xmm14") _, out("xmm15") _,
            out("st(0)") _, out("st(1)") _, out("st(2)") _, out("st(3)") _,
            out("st(4)") _, out("st(5)") _, out("st(6)") _, out("st(7)") _,
            options(nostack),
        );
    }
    c.xsave = out;
    Ok(())
}

/// Takes over a vector state that an application supplied (sigreturn): `bytes` in XSAVE's standard format, or the 512
/// bytes of FXSAVE. What the processor would refuse is corrected, so that XRSTOR can not fault (A10).
pub fn set_xsave(c: &mut Context, bytes: &[u8]) {
    let n = bytes.len().min(xsize());
    c.xsave.0[..n].copy_from_slice(&bytes[..n]);
    let mut bv = [0u8; 8];
    if n >= 576 {
        bv.copy_from_slice(&c.xsave.0[512..520]);
    } else {
        bv = 3u64.to_le_bytes();
    }
    let bv = u64::from_le_bytes(bv) & xmask();
    c.xsave.0[512..520].copy_from_slice(&bv.to_le_bytes());
    c.xsave.0[520..576].fill(0);
    let mut mxcsr = [0u8; 4];
    mxcsr.copy_from_slice(&c.xsave.0[24..28]);
    let mxcsr = u32::from_le_bytes(mxcsr) & 0xffff;
    c.xsave.0[24..28].copy_from_slice(&mxcsr.to_le_bytes());
    c.full = 1;
}
