//! Text of /proc/cpuinfo, from CPUID.

use alloc::string::String;
use core::arch::x86_64::{__cpuid, __cpuid_count};
use core::fmt::Write;

/// The flags that say what a program may use, word by word in Linux's order; those of the kernel's own instructions are left out, and
/// so is what the guest kernel takes for itself or does not hand out (FSGSBASE, memory keys, AMX, transactions).
const FLAGS: [(fn() -> u32, &[(u32, &str)]); 10] = [
    (
        || __cpuid(1).edx,
        &[
            (0, "fpu"),
            (4, "tsc"),
            (8, "cx8"),
            (15, "cmov"),
            (19, "clflush"),
            (23, "mmx"),
            (24, "fxsr"),
            (25, "sse"),
            (26, "sse2"),
            (28, "ht"),
        ],
    ),
    (
        || __cpuid(0x8000_0001).edx,
        &[
            (11, "syscall"),
            (20, "nx"),
            (22, "mmxext"),
            (25, "fxsr_opt"),
            (27, "rdtscp"),
            (29, "lm"),
            (30, "3dnowext"),
            (31, "3dnow"),
        ],
    ),
    (
        || __cpuid(1).ecx,
        &[
            (0, "pni"),
            (1, "pclmulqdq"),
            (9, "ssse3"),
            (12, "fma"),
            (13, "cx16"),
            (19, "sse4_1"),
            (20, "sse4_2"),
            (22, "movbe"),
            (23, "popcnt"),
            (25, "aes"),
            (26, "xsave"),
            (28, "avx"),
            (29, "f16c"),
            (30, "rdrand"),
            (31, "hypervisor"),
        ],
    ),
    (
        || __cpuid(0x8000_0001).ecx,
        &[
            (0, "lahf_lm"),
            (5, "abm"),
            (6, "sse4a"),
            (7, "misalignsse"),
            (8, "3dnowprefetch"),
            (11, "xop"),
            (16, "fma4"),
            (21, "tbm"),
        ],
    ),
    (
        || leaf(7, 0)[1],
        &[
            (3, "bmi1"),
            (5, "avx2"),
            (8, "bmi2"),
            (9, "erms"),
            (16, "avx512f"),
            (17, "avx512dq"),
            (18, "rdseed"),
            (19, "adx"),
            (21, "avx512ifma"),
            (23, "clflushopt"),
            (24, "clwb"),
            (28, "avx512cd"),
            (29, "sha_ni"),
            (30, "avx512bw"),
            (31, "avx512vl"),
        ],
    ),
    (|| leaf(0xd, 1)[0], &[(0, "xsaveopt"), (1, "xsavec"), (2, "xgetbv1")]),
    (|| if leaf(7, 0)[0] >= 1 { leaf(7, 1)[0] } else { 0 }, &[(4, "avx_vnni"), (5, "avx512_bf16"), (23, "avx_ifma")]),
    (|| if __cpuid(0x8000_0000).eax >= 0x8000_0008 { __cpuid(0x8000_0008).ebx } else { 0 }, &[(0, "clzero")]),
    (
        || leaf(7, 0)[2],
        &[
            (1, "avx512vbmi"),
            (6, "avx512_vbmi2"),
            (8, "gfni"),
            (9, "vaes"),
            (10, "vpclmulqdq"),
            (11, "avx512_vnni"),
            (12, "avx512_bitalg"),
            (14, "avx512_vpopcntdq"),
            (22, "rdpid"),
            (25, "cldemote"),
            (27, "movdiri"),
            (28, "movdir64b"),
        ],
    ),
    (|| leaf(7, 0)[3], &[(4, "fsrm"), (8, "avx512_vp2intersect"), (14, "serialize"), (23, "avx512_fp16")]),
];

/// EAX, EBX, ECX and EDX of a leaf; zeros beyond the highest, where some processors answer with another's.
fn leaf(n: u32, sub: u32) -> [u32; 4] {
    if __cpuid(0).eax < n {
        return [0; 4];
    }
    let c = __cpuid_count(n, sub);
    [c.eax, c.ebx, c.ecx, c.edx]
}

/// Text of /proc/cpuinfo for `cpus` processors.
#[must_use]
pub fn cpuinfo(cpus: u32) -> String {
    let mut brand = [0u8; 48];
    for i in 0..3u32 {
        let c = __cpuid(0x8000_0002 + i);
        for (j, w) in [c.eax, c.ebx, c.ecx, c.edx].into_iter().enumerate() {
            let at = i as usize * 16 + j * 4;
            brand[at..at + 4].copy_from_slice(&w.to_le_bytes());
        }
    }
    let v = __cpuid(0);
    let mut vendor = [0u8; 12];
    for (i, w) in [v.ebx, v.edx, v.ecx].into_iter().enumerate() {
        vendor[i * 4..i * 4 + 4].copy_from_slice(&w.to_le_bytes());
    }
    let one = __cpuid(1);
    let base = (one.eax >> 8) & 15;
    let family = if base == 15 { base + ((one.eax >> 20) & 255) } else { base };
    let model = (one.eax >> 4) & 15 | ((one.eax >> 16) & 15) << 4;
    let stepping = one.eax & 15;
    let mut flags = String::new();
    for (word, names) in FLAGS {
        let word = word();
        for (_, name) in names.iter().filter(|(bit, _)| word & (1 << bit) != 0) {
            let _ = write!(flags, " {name}");
        }
    }
    let text = |b: &[u8]| String::from_utf8_lossy(b).trim_matches(|c| c == '\0' || c == ' ').into();
    let (brand, vendor): (String, String) = (text(&brand), text(&vendor));
    let highest = v.eax;
    let mut s = String::new();
    for cpu in 0..cpus {
        let _ = write!(
            s,
            "processor\t: {cpu}\nvendor_id\t: {vendor}\ncpu family\t: {family}\nmodel\t\t: {model}\nmodel name\t: {brand}\n\
             stepping\t: {stepping}\ncpu MHz\t\t: 1000.000\nphysical id\t: 0\nsiblings\t: {cpus}\ncore id\t\t: {cpu}\n\
             cpu cores\t: {cpus}\napicid\t\t: {cpu}\ninitial apicid\t: {cpu}\nfpu\t\t: yes\nfpu_exception\t: yes\n\
             cpuid level\t: {highest}\nwp\t\t: yes\nflags\t\t:{flags}\nclflush size\t: 64\ncache_alignment\t: 64\n\
             address sizes\t: 46 bits physical, 48 bits virtual\npower management:\n\n"
        );
    }
    s
}
