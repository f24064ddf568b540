//! The seccomp filter, generated from the host-call list.
//!
//! Classic BPF over `struct seccomp_data` (seccomp(2)): wrong architecture kills, x32 numbers kill, a call that
//! is a row of [`crate::calls::TABLE`] passes if its arguments do, everything else kills the process.

use crate::calls::{Check, TABLE};
use core::ops::Range;

#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Insn {
    pub code: u16,
    pub jt: u8,
    pub jf: u8,
    pub k: u32,
}

const LD_W_ABS: u16 = 0x20;
const JEQ: u16 = 0x15;
const JSET: u16 = 0x45;
const JGE: u16 = 0x35;
const RET: u16 = 0x06;
const TRAP: u32 = 0x0003_0000;
const ALLOW: u32 = 0x7fff_0000;
const KILL_PROCESS: u32 = 0x8000_0000;
const AUDIT_ARCH_X86_64: u32 = 0xc000_003e;
const X32_BIT: u32 = 0x4000_0000;
/// The longest program the host takes.
const MAX: usize = 1024;

/// A filter program.
pub struct Program {
    insns: [Insn; MAX],
    len: usize,
}

impl Program {
    fn push(&mut self, code: u16, jt: u8, jf: u8, k: u32) {
        self.insns[self.len] = Insn { code, jt, jf, k };
        self.len += 1;
    }

    fn load_arg(&mut self, arg: usize) {
        self.push(LD_W_ABS, 0, 0, 16 + 8 * arg as u32);
    }

    #[must_use]
    pub fn insns(&self) -> &[Insn] {
        &self.insns[..self.len]
    }
}

/// A host call that may come from one instruction only with these exact arguments: the `mprotect` guard's, which applications
/// can jump to.
#[derive(Clone, Copy, Debug)]
pub struct Site {
    /// Address after the instruction, below 4 GiB.
    pub ip: u32,
    pub nr: u32,
    pub args: [u32; 3],
}

/// Builds the filter from the host-call list. With `kernel`, the addresses (below 4 GiB) of the guest kernel's code, all that comes
/// from elsewhere is an application's and becomes SIGSYS, whatever it is (SECCOMP_RET_TRAP). What comes from one of `sites` is judged by that alone. With `int80`, the 32-bit
/// getpid passes: what the `process` monitor makes of an application's `int 0x80` before it becomes a fault.
#[must_use]
pub fn program(sites: &[Site], int80: bool, kernel: Option<Range<u32>>) -> Program {
    let mut p = Program { insns: [Insn { code: 0, jt: 0, jf: 0, k: 0 }; MAX], len: 0 };
    if let Some(kernel) = kernel {
        // The vsyscall page, the only code at the very top: the host does its three calls itself, as under user dispatch. Else the
        // host gives the address after the instruction: the first is none of the kernel's, the one after the last is.
        const TOP: u32 = u32::MAX;
        p.push(LD_W_ABS, 0, 0, 12);
        p.push(JEQ, 0, 1, TOP);
        p.push(RET, 0, 0, ALLOW);
        p.push(JEQ, 0, 3, 0);
        p.push(LD_W_ABS, 0, 0, 8);
        p.push(JGE, 0, 1, kernel.start + 1);
        p.push(JGE, 0, 1, kernel.end + 1);
        p.push(RET, 0, 0, TRAP);
    }
    p.push(LD_W_ABS, 0, 0, 4);
    if int80 {
        const AUDIT_ARCH_I386: u32 = 0x4000_0003;
        const GETPID: u32 = 20;
        p.push(JEQ, 0, 4, AUDIT_ARCH_I386);
        p.push(LD_W_ABS, 0, 0, 0);
        p.push(JEQ, 0, 1, GETPID);
        p.push(RET, 0, 0, ALLOW);
        p.push(RET, 0, 0, KILL_PROCESS);
    }
    p.push(JEQ, 1, 0, AUDIT_ARCH_X86_64);
    p.push(RET, 0, 0, KILL_PROCESS);
    for s in sites {
        // Instruction pointer, number, and both halves of three arguments: 10 words; each that differs but the pointer's kills.
        const CHECKS: u8 = 14;
        p.push(LD_W_ABS, 0, 0, 12);
        p.push(JEQ, 0, CHECKS + 4, 0);
        p.push(LD_W_ABS, 0, 0, 8);
        p.push(JEQ, 0, CHECKS + 2, s.ip);
        let words = [(0, s.nr), (16, s.args[0]), (20, 0), (24, s.args[1]), (28, 0), (32, s.args[2]), (36, 0)];
        for (i, (at, must)) in words.into_iter().enumerate() {
            p.push(LD_W_ABS, 0, 0, at);
            p.push(JEQ, 0, CHECKS - 2 * i as u8 - 1, must);
        }
        p.push(RET, 0, 0, ALLOW);
        p.push(RET, 0, 0, KILL_PROCESS);
    }
    p.push(LD_W_ABS, 0, 0, 0);
    p.push(JGE, 0, 1, X32_BIT);
    p.push(RET, 0, 0, KILL_PROCESS);
    for row in TABLE {
        match row.check {
            Check::Any => {
                p.push(JEQ, 0, 1, row.nr);
                p.push(RET, 0, 0, ALLOW);
            }
            Check::Clear { arg, mask } => {
                p.push(JEQ, 0, 4, row.nr);
                p.load_arg(arg);
                p.push(JSET, 0, 1, mask);
                p.push(RET, 0, 0, KILL_PROCESS);
                p.push(RET, 0, 0, ALLOW);
            }
            Check::OneOf { arg, values } => {
                let n = values.len() as u8;
                p.push(JEQ, 0, n + 3, row.nr);
                p.load_arg(arg);
                for (i, v) in values.iter().enumerate() {
                    p.push(JEQ, n - i as u8, 0, *v);
                }
                p.push(RET, 0, 0, KILL_PROCESS);
                p.push(RET, 0, 0, ALLOW);
            }
            Check::Pinned { arg, values, when, other, must } => {
                let n = values.len() as u8;
                p.push(JEQ, 0, n + 7, row.nr);
                p.load_arg(arg);
                for (i, v) in values.iter().enumerate() {
                    p.push(JEQ, n - i as u8, 0, *v);
                }
                p.push(RET, 0, 0, KILL_PROCESS);
                p.push(JEQ, 0, 3, when);
                p.load_arg(other);
                p.push(JEQ, 1, 0, must);
                p.push(RET, 0, 0, KILL_PROCESS);
                p.push(RET, 0, 0, ALLOW);
            }
            Check::Null { arg } => {
                p.push(JEQ, 0, 6, row.nr);
                p.load_arg(arg);
                p.push(JEQ, 0, 3, 0);
                p.push(LD_W_ABS, 0, 0, 20 + 8 * arg as u32);
                p.push(JEQ, 0, 1, 0);
                p.push(RET, 0, 0, ALLOW);
                p.push(RET, 0, 0, KILL_PROCESS);
            }
        }
    }
    p.push(RET, 0, 0, KILL_PROCESS);
    p
}
