//! The initial stack: strings, auxiliary vector, pointers (System V ABI, x86-64 supplement, 3.4.1).

use super::Program;
use crate::mm::{Image, Mm, flag};
use crate::{Errno, Result, uaccess};
use abi::layout::PAGE;
use alloc::vec::Vec;

/// AT_MINSIGSTKSZ: room for a signal frame with the largest vector state (Linux reports 3632 with AVX-512).
pub const MIN_SIGSTACK: u64 = 3632;
/// What is kept free below the stack (`stack_guard_gap`), but from who asks for just that place.
pub const STACK_GAP: u64 = 256 * PAGE;
/// Longest single string (MAX_ARG_STRLEN).
pub const MAX_STRING: usize = 128 * 1024;

/// Checks argument and environment sizes against a stack limit in bytes (execve(2): a quarter of it, at least 128 KiB, at
/// most 6 MiB).
///
/// # Errors
/// `E2BIG`.
pub fn check_size(argv: &[Vec<u8>], envp: &[Vec<u8>], stack_limit: u64) -> Result<()> {
    let total: usize = argv.iter().chain(envp).map(|s| s.len() + 1 + 8).sum();
    let max = (stack_limit / 4).clamp(128 * 1024, 6 << 20);
    if total as u64 > max || argv.iter().chain(envp).any(|s| s.len() >= MAX_STRING) {
        Err(Errno::E2BIG)
    } else {
        Ok(())
    }
}

/// Maps the stack and fills it; returns the initial stack pointer. `aux` is completed with what lies on the stack.
///
/// # Errors
/// `ENOMEM`, `E2BIG`.
pub fn build(mm: &Mm, image: &mut Image, p: &Program, mut aux: Vec<u64>, limit: u64) -> Result<u64> {
    // All of the stack at once, without reserving memory for it: growth is then nobody's business.
    let size = limit.clamp(512 * 1024, 64 << 20) & !(PAGE - 1);
    let prot = flag::PROT_READ | flag::PROT_WRITE;
    let flags = flag::PRIVATE | flag::ANONYMOUS | flag::NORESERVE | flag::STACK;
    let gap = mm.mmap(0, size + STACK_GAP, 0, flags, None, 0)?;
    let low = gap + STACK_GAP;
    {
        let mut s = mm.space.lock();
        s.areas.exempt(gap);
        // Nothing to applications; the host's mapping stays, so that it places nothing there.
        s.areas.remove(gap, low);
    }
    mm.mprotect(low, size, prot)?;
    let top = low + size;

    // Strings, from the top down: file name, environment, arguments, platform, random bytes.
    let mut strings = Vec::new();
    let mut at = Vec::new();
    let mut random = [0u8; 16];
    host::process::getrandom(&mut random);
    strings.extend_from_slice(&random);
    let mut put = |s: &[u8]| {
        at.push(strings.len() as u64);
        strings.extend_from_slice(s);
        strings.push(0);
    };
    put(b"x86_64");
    for s in p.argv.iter().chain(&p.envp) {
        put(s);
    }
    put(&p.execfn);
    // Eight zero bytes end the stack (Linux does so).
    let base = (top - 8 - strings.len() as u64) & !15;
    let addr = |i: usize| base + at[i];
    let (argc, envc) = (p.argv.len(), p.envp.len());
    aux.extend([25, base, 31, addr(1 + argc + envc), 15, addr(0), 0, 0]);

    let mut words = Vec::with_capacity(4 + argc + envc + aux.len());
    words.push(argc as u64);
    words.extend((0..argc).map(|i| addr(1 + i)));
    words.push(0);
    words.extend((0..envc).map(|i| addr(1 + argc + i)));
    words.push(0);
    words.extend_from_slice(&aux);
    let rsp = (base - 8 * words.len() as u64) & !15;
    if rsp < low + 64 * 1024 {
        return Err(Errno::E2BIG);
    }
    let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
    uaccess::write_bytes(base, &strings)?;
    uaccess::write_bytes(rsp, &bytes)?;

    image.arg_start = if argc > 0 { addr(1) } else { base };
    image.arg_end = if argc + envc > 0 { addr(1 + argc) } else { base };
    image.env_start = image.arg_end;
    image.env_end = addr(1 + argc + envc);
    image.stack_start = rsp;
    image.stack_low = low;
    image.stack_high = top;
    let join = |v: &[Vec<u8>]| v.iter().flat_map(|s| s.iter().copied().chain([0])).collect();
    image.args = join(&p.argv);
    image.env = join(&p.envp);
    image.auxv = aux;
    Ok(rsp)
}
