//! What the host passed on the initial stack.

/// The parts of the auxiliary vector (getauxval(3)) that matter.
#[derive(Default, Clone, Copy)]
pub struct Aux {
    pub hwcap: u64,
    pub hwcap2: u64,
    pub vdso: u64,
}

/// The initial stack, decoded.
pub struct Initial {
    pub argc: usize,
    argv: *const *const u8,
    pub aux: Aux,
}

impl Initial {
    /// Decodes the stack that the host prepared (System V ABI, x86-64 supplement, 3.4.1).
    ///
    /// # Safety
    /// `sp` is the stack pointer at the program's entry.
    pub unsafe fn read(sp: *const u64) -> Initial {
        // SAFETY: by the caller's word the words lie there, ended by null words and AT_NULL.
        unsafe {
            let argc = sp.read() as usize;
            let argv = sp.add(1).cast::<*const u8>();
            let mut p = sp.add(1 + argc + 1);
            while p.read() != 0 {
                p = p.add(1);
            }
            p = p.add(1);
            let mut aux = Aux::default();
            while p.read() != 0 {
                let v = p.add(1).read();
                match p.read() {
                    16 => aux.hwcap = v,
                    26 => aux.hwcap2 = v,
                    33 => aux.vdso = v,
                    _ => {}
                }
                p = p.add(2);
            }
            Initial { argc, argv, aux }
        }
    }

    /// Argument `i`.
    #[must_use]
    pub fn arg(&self, i: usize) -> &'static [u8] {
        if i >= self.argc {
            return &[];
        }
        // SAFETY: the host's argument strings live for ever on the initial stack.
        unsafe {
            let s = self.argv.add(i).read();
            core::slice::from_raw_parts(s, crate::runtime::strlen(s))
        }
    }
}

/// Where the vDSO's code ends and where its `clock_gettime` is, from its ELF image.
///
/// # Safety
/// `base` is AT_SYSINFO_EHDR.
pub unsafe fn vdso_symbols(base: u64) -> (u64, u64) {
    // SAFETY: the host maps a valid ELF shared object at `base`; offsets stay within it.
    unsafe {
        let u16_at = |a: u64| (a as *const u16).read_unaligned();
        let u32_at = |a: u64| (a as *const u32).read_unaligned();
        let u64_at = |a: u64| (a as *const u64).read_unaligned();
        let (phoff, phnum) = (u64_at(base + 32), u64::from(u16_at(base + 56)));
        let (mut end, mut dynamic) = (base, 0);
        for i in 0..phnum {
            let p = base + phoff + i * 56;
            match u32_at(p) {
                1 => end = end.max((base + u64_at(p + 16) + u64_at(p + 40) + 4095) & !4095),
                2 => dynamic = base + u64_at(p + 16),
                _ => {}
            }
        }
        let (mut strtab, mut symtab, mut hash) = (0, 0, 0);
        let mut d = dynamic;
        while d != 0 && u64_at(d) != 0 {
            let v = u64_at(d + 8);
            // The host leaves the vDSO's addresses relative.
            let v = if v < base { base + v } else { v };
            match u64_at(d) {
                5 => strtab = v,
                6 => symtab = v,
                4 => hash = v,
                0x6fff_fef5 if hash == 0 => hash = 0,
                _ => {}
            }
            d += 16;
        }
        if strtab == 0 || symtab == 0 {
            return (end, 0);
        }
        // Without a DT_HASH the number of symbols is not known; the string table follows the symbols in every vDSO.
        let count = if hash != 0 { u64::from(u32_at(hash + 4)) } else { strtab.saturating_sub(symtab) / 24 };
        for i in 0..count.min(256) {
            let s = symtab + i * 24;
            let name = (strtab + u64::from(u32_at(s))) as *const u8;
            let n = crate::runtime::strlen(name);
            if core::slice::from_raw_parts(name, n) == b"__vdso_clock_gettime" {
                return (end, base + u64_at(s + 8));
            }
        }
        (end, 0)
    }
}
