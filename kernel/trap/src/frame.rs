//! Signal frames on the application's stack: `struct rt_sigframe` of x86-64 (`arch/x86/include/asm/sigframe.h`, sigreturn(2)).

use crate::context::{self, Context, Regs};
use crate::cpu;
use alloc::vec::Vec;
use host::{Errno, Result};

/// Bytes: return address, ucontext (flags, link, stack, 256 of sigcontext, mask), siginfo.
const UC: usize = 8;
const MCONTEXT: usize = UC + 40;
const MASK: usize = MCONTEXT + 256;
const INFO: usize = MASK + 8;
const SIZE: usize = INFO + 128;

const FP_XSTATE_MAGIC1: u32 = 0x4650_5853;
const FP_XSTATE_MAGIC2: u32 = 0x4650_5845;
/// Where software finds out about the extended state: the last 48 bytes of the FXSAVE area.
const SW_BYTES: usize = 464;

/// Flags that an application may set for itself (Linux's `FIX_EFLAGS`). The trap flag takes effect with the IRETQ of the full exit, after
/// the first instruction of the application's: no instruction of the guest kernel's is stepped through (A13).
const USER_EFLAGS: u64 = 0x0005_0dd5;
const FIXED_EFLAGS: u64 = 0x202;

/// What is to be delivered.
pub struct Delivery<'a> {
    pub signo: u32,
    pub info: &'a [u8; 128],
    pub handler: u64,
    pub restorer: u64,
    /// The mask to return to.
    pub mask: u64,
    /// sigaltstack's state: sp, flags, size, as uc_stack shows it.
    pub stack: [u64; 3],
    /// Top of the stack to use, where it is not the interrupted one.
    pub switch_to: Option<u64>,
    /// Of a fault: error code, trap number, address.
    pub fault: (u64, u64, u64),
}

/// Where a frame will be, from below its stack's top on.
fn place(c: &Context, switch_to: Option<u64>) -> (u64, u64, u64) {
    // The red zone of the interrupted function stays untouched (System V ABI).
    let top = switch_to.unwrap_or(c.regs.rsp.wrapping_sub(128));
    let fp = top.wrapping_sub(cpu::xsize() as u64 + 4) & !63;
    (top, fp, (fp.wrapping_sub(SIZE as u64) & !15).wrapping_sub(8))
}

/// The memory that [`push`] is going to write: address and length.
#[must_use]
pub fn room(c: &Context, switch_to: Option<u64>) -> (u64, u64) {
    let (top, _, at) = place(c, switch_to);
    (at, top.wrapping_sub(at))
}

/// Pushes a frame and points the context at the handler.
///
/// # Errors
/// `EFAULT` where the stack can not be written.
pub fn push(c: &mut Context, d: &Delivery) -> Result<()> {
    cpu::make_full(c);
    let xsize = cpu::xsize();
    let (_, fp, at) = place(c, d.switch_to);

    let mut f = [0u8; SIZE];
    let mut put = |off: usize, v: u64| f[off..off + 8].copy_from_slice(&v.to_le_bytes());
    put(0, d.restorer);
    put(UC, 7); // UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS
    for (i, w) in d.stack.iter().enumerate() {
        put(UC + 16 + 8 * i, *w);
    }
    for (i, w) in words(&c.regs).iter().enumerate() {
        put(MCONTEXT + 8 * i, *w);
    }
    put(MCONTEXT + 144, 0x33 | 0x2b << 48);
    put(MCONTEXT + 152, d.fault.0);
    put(MCONTEXT + 160, d.fault.1);
    put(MCONTEXT + 168, d.mask);
    put(MCONTEXT + 176, d.fault.2);
    put(MCONTEXT + 184, fp);
    put(MASK, d.mask);
    f[INFO..].copy_from_slice(d.info);

    let mut x = Vec::with_capacity(xsize + 4);
    x.extend_from_slice(&c.xsave.0[..xsize]);
    let mut sw = |off: usize, b: &[u8]| x[SW_BYTES + off..SW_BYTES + off + b.len()].copy_from_slice(b);
    sw(0, &FP_XSTATE_MAGIC1.to_le_bytes());
    sw(4, &(xsize as u32 + 4).to_le_bytes());
    sw(8, &cpu::xmask().to_le_bytes());
    sw(16, &(xsize as u32).to_le_bytes());
    x.extend_from_slice(&FP_XSTATE_MAGIC2.to_le_bytes());

    host::user::copy_out(fp, &x).map_err(|_| Errno::EFAULT)?;
    host::user::copy_out(at, &f).map_err(|_| Errno::EFAULT)?;

    let r = &mut c.regs;
    r.rdi = u64::from(d.signo);
    r.rsi = at + INFO as u64;
    r.rdx = at + UC as u64;
    r.rax = 0;
    r.rip = d.handler;
    r.rsp = at;
    r.eflags &= !0x0001_0500; // DF, TF, RF
    r.orig_rax = u64::MAX;
    cpu::init_xsave(&mut c.xsave);
    Ok(())
}

/// Undoes [`push`] (rt_sigreturn): the frame is read once and every value made harmless. Returns the mask and the alternate
/// stack to restore.
///
/// # Errors
/// `EFAULT`: the application gets SIGSEGV.
pub fn pop(c: &mut Context) -> Result<(u64, [u64; 3])> {
    let at = c.regs.rsp.wrapping_sub(8);
    let mut f = [0u8; SIZE];
    host::user::copy_in(&mut f, at).map_err(|_| Errno::EFAULT)?;
    let get = |off: usize| {
        let mut w = [0; 8];
        w.copy_from_slice(&f[off..off + 8]);
        u64::from_le_bytes(w)
    };
    let mut w = [0u64; 18];
    for (i, w) in w.iter_mut().enumerate() {
        *w = get(MCONTEXT + 8 * i);
    }
    let fp = get(MCONTEXT + 184);
    if fp == 0 {
        cpu::init_xsave(&mut c.xsave);
        c.full = 1;
    } else {
        let mut x = [0u8; context::XSAVE_MAX];
        host::user::copy_in(&mut x[..512], fp).map_err(|_| Errno::EFAULT)?;
        let word = |off: usize| u32::from_le_bytes([x[off], x[off + 1], x[off + 2], x[off + 3]]);
        let size = word(SW_BYTES + 16) as usize;
        let extended = word(SW_BYTES) == FP_XSTATE_MAGIC1 && (576..=cpu::xsize()).contains(&size);
        let n = if extended {
            host::user::copy_in(&mut x[512..size], fp + 512).map_err(|_| Errno::EFAULT)?;
            size
        } else {
            512
        };
        cpu::set_xsave(c, &x[..n]);
    }
    set_words(&mut c.regs, &w);
    c.regs.eflags = (c.regs.eflags & USER_EFLAGS) | FIXED_EFLAGS;
    c.regs.orig_rax = u64::MAX;
    if c.regs.rip >= abi::layout::USER_MAX {
        return Err(Errno::EFAULT);
    }
    Ok((get(MASK), [get(UC + 16), get(UC + 24), get(UC + 32)]))
}

/// Registers in sigcontext's order.
fn words(r: &Regs) -> [u64; 18] {
    [
        r.r8, r.r9, r.r10, r.r11, r.r12, r.r13, r.r14, r.r15, r.rdi, r.rsi, r.rbp, r.rbx, r.rdx, r.rax, r.rcx, r.rsp,
        r.rip, r.eflags,
    ]
}

fn set_words(r: &mut Regs, w: &[u64; 18]) {
    [r.r8, r.r9, r.r10, r.r11, r.r12, r.r13, r.r14, r.r15] = [w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7]];
    [r.rdi, r.rsi, r.rbp, r.rbx, r.rdx, r.rax, r.rcx] = [w[8], w[9], w[10], w[11], w[12], w[13], w[14]];
    [r.rsp, r.rip, r.eflags] = [w[15], w[16], w[17]];
}
