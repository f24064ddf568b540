//! Program text in which no instruction opens the guard and yet every other one works.
//!
//! Dangerous bytes are often no instruction but part of one: the displacement of a call, two neighbours. [`neutralise`] replaces the
//! instruction that they belong to by traps; [`meaning`] says what the guest kernel does instead when one is hit.

use crate::opcodes::{self, REACH, TRAP};
use alloc::vec::Vec;
use core::ops::Range;
use iced_x86::{Code, ConditionCode, Decoder, DecoderOptions, Encoder, FlowControl, Instruction, OpKind, Register};

/// Room for the code of a displaced instruction, without the jump back.
pub const MAX_CODE: usize = 48;

/// A memory operand, by number of its registers (RAX 0 … R15 15).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Address {
    pub base: Option<u8>,
    pub index: Option<u8>,
    pub scale: u8,
    pub displacement: u64,
    /// Relative to the thread's FS base.
    pub fs: bool,
}

impl Address {
    /// The address, given the registers' values.
    #[must_use]
    pub fn of(&self, reg: impl Fn(u8) -> u64, fs_base: u64) -> u64 {
        let part = |r: Option<u8>| r.map_or(0, &reg);
        let at = part(self.base).wrapping_add(part(self.index).wrapping_mul(u64::from(self.scale)));
        at.wrapping_add(self.displacement).wrapping_add(if self.fs { fs_base } else { 0 })
    }
}

/// What an instruction comes to, where the guest kernel acts in its place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Meaning {
    /// WRPKRU, WRGSBASE: not the application's.
    Refused,
    /// XRSTOR from an address, of the components in EDX:EAX.
    Xrstor(Address),
    Call(u64),
    Jump(u64),
    /// A conditional jump: condition (its 4 bits in the opcode), where to.
    Branch(u8, u64),
    /// A jump (or, with true, a call) to the address that is stored at an address.
    Indirect(bool, u64),
    /// Code that does the same at any other address, and has no dangerous bytes.
    Code(Vec<u8>),
}

/// Length and meaning of the instruction at the beginning of `bytes`, which lies at address `ip`; None for one that can only work
/// where it is.
#[must_use]
pub fn meaning(bytes: &[u8], ip: u64) -> Option<(usize, Meaning)> {
    let i = Decoder::with_ip(64, bytes, ip, DecoderOptions::NONE).decode();
    if i.is_invalid() {
        return None;
    }
    let m = match i.code() {
        Code::Wrpkru | Code::Wrgsbase_r32 | Code::Wrgsbase_r64 => Meaning::Refused,
        Code::Xrstor_mem | Code::Xrstor64_mem => Meaning::Xrstor(address(&i)?),
        Code::Call_rel32_64 => Meaning::Call(i.near_branch_target()),
        Code::Jmp_rel32_64 | Code::Jmp_rel8_64 => Meaning::Jump(i.near_branch_target()),
        Code::Jmp_rm64 | Code::Call_rm64 if i.is_ip_rel_memory_operand() && plain_segment(&i) => {
            Meaning::Indirect(i.code() == Code::Call_rm64, i.ip_rel_memory_address())
        }
        _ if i.flow_control() == FlowControl::ConditionalBranch && i.condition_code() != ConditionCode::None => {
            Meaning::Branch(i.condition_code() as u8 - 1, i.near_branch_target())
        }
        _ if i.flow_control() == FlowControl::Next => Meaning::Code(elsewhere(&i, &bytes[..i.len()])?),
        _ => return None,
    };
    Some((i.len(), m))
}

fn plain_segment(i: &Instruction) -> bool {
    !matches!(i.segment_prefix(), Register::FS | Register::GS)
}

fn number(r: Register) -> Option<Option<u8>> {
    match r {
        Register::None => Some(None),
        r if r.is_gpr64() => Some(Some(r.number() as u8)),
        _ => None,
    }
}

/// The memory operand of an instruction with one; None for a form that nobody writes (32-bit addresses, GS).
fn address(i: &Instruction) -> Option<Address> {
    if i.segment_prefix() == Register::GS {
        return None;
    }
    let fs = i.segment_prefix() == Register::FS;
    if i.is_ip_rel_memory_operand() {
        let displacement = i.ip_rel_memory_address();
        return Some(Address { base: None, index: None, scale: 1, displacement, fs });
    }
    Some(Address {
        base: number(i.memory_base())?,
        index: number(i.memory_index())?,
        scale: i.memory_index_scale() as u8,
        displacement: i.memory_displacement64(),
        fs,
    })
}

/// Code with the effect of `i` for any address.
fn elsewhere(i: &Instruction, bytes: &[u8]) -> Option<Vec<u8>> {
    let code = if i.is_ip_rel_memory_operand() {
        through_register(i)?
    } else if opcodes::clean(bytes) {
        bytes.to_vec()
    } else {
        constant_apart(i)?
    };
    (code.len() <= MAX_CODE && opcodes::clean(&code)).then_some(code)
}

/// Instructions with a constant, and the same with a register.
const CONSTANTS: &[(Code, Code)] = &[
    (Code::Mov_rm32_imm32, Code::Mov_rm32_r32),
    (Code::Mov_rm64_imm32, Code::Mov_rm64_r64),
    (Code::Add_rm32_imm32, Code::Add_rm32_r32),
    (Code::Add_rm64_imm32, Code::Add_rm64_r64),
    (Code::Or_rm32_imm32, Code::Or_rm32_r32),
    (Code::Or_rm64_imm32, Code::Or_rm64_r64),
    (Code::Adc_rm32_imm32, Code::Adc_rm32_r32),
    (Code::Adc_rm64_imm32, Code::Adc_rm64_r64),
    (Code::Sbb_rm32_imm32, Code::Sbb_rm32_r32),
    (Code::Sbb_rm64_imm32, Code::Sbb_rm64_r64),
    (Code::And_rm32_imm32, Code::And_rm32_r32),
    (Code::And_rm64_imm32, Code::And_rm64_r64),
    (Code::Sub_rm32_imm32, Code::Sub_rm32_r32),
    (Code::Sub_rm64_imm32, Code::Sub_rm64_r64),
    (Code::Xor_rm32_imm32, Code::Xor_rm32_r32),
    (Code::Xor_rm64_imm32, Code::Xor_rm64_r64),
    (Code::Cmp_rm32_imm32, Code::Cmp_rm32_r32),
    (Code::Cmp_rm64_imm32, Code::Cmp_rm64_r64),
    (Code::Test_rm32_imm32, Code::Test_rm32_r32),
    (Code::Test_rm64_imm32, Code::Test_rm64_r64),
    (Code::Cmp_EAX_imm32, Code::Cmp_rm32_r32),
    (Code::Add_EAX_imm32, Code::Add_rm32_r32),
    (Code::And_EAX_imm32, Code::And_rm32_r32),
    (Code::Or_EAX_imm32, Code::Or_rm32_r32),
    (Code::Sub_EAX_imm32, Code::Sub_rm32_r32),
    (Code::Xor_EAX_imm32, Code::Xor_rm32_r32),
    (Code::Test_EAX_imm32, Code::Test_rm32_r32),
];

/// An instruction with a dangerous constant: the constant comes into a register by way of its complement, which changes no flags.
fn constant_apart(i: &Instruction) -> Option<Vec<u8>> {
    if matches!(i.code(), Code::Mov_r32_imm32 | Code::Mov_r64_imm64) {
        let r = i.op0_register().full_register();
        return Some(load(r, i.immediate(1)));
    }
    let (_, with_register) = CONSTANTS.iter().find(|c| c.0 == i.code())?;
    let names = |r: Register| {
        i.memory_base() == r
            || i.memory_index() == r
            || i.op0_kind() == OpKind::Register && i.op0_register().full_register() == r
    };
    let r = [Register::R11, Register::R10, Register::R9, Register::R8].into_iter().find(|r| !names(*r))?;
    if i.op0_kind() == OpKind::Register && i.op0_register().full_register() == Register::RSP || !plain_segment(i) {
        return None;
    }
    let wide = matches!(i.op1_kind(), OpKind::Immediate32to64);
    let mut new = *i;
    new.set_code(*with_register);
    new.set_op1_kind(OpKind::Register);
    new.set_op1_register(if wide { r } else { r.full_register32() });
    if i.memory_base() == Register::RSP {
        // The red zone and the register are below it now.
        new.set_memory_displacement64(i.memory_displacement64().wrapping_add(136));
        new.set_memory_displ_size(8);
    }
    let mut enc = Encoder::new(64);
    enc.encode(&new, 0).ok()?;
    let low = r.number() as u8 & 7;
    let mut code = Vec::with_capacity(MAX_CODE);
    code.extend([0x48, 0x8d, 0x64, 0x24, 0x80]); // lea -128(%rsp), %rsp
    code.extend([0x41, 0x50 | low]); // push r
    code.extend(load(r, i.immediate(1)));
    code.extend(enc.take_buffer());
    code.extend([0x41, 0x58 | low]); // pop r
    code.extend([0x48, 0x8d, 0xa4, 0x24, 0x80, 0, 0, 0]); // lea 128(%rsp), %rsp
    Some(code)
}

/// `movabs $!value, r; not r`
fn load(r: Register, value: u64) -> Vec<u8> {
    let (high, low) = ((r.number() > 7) as u8, r.number() as u8 & 7);
    let mut code = Vec::with_capacity(13);
    code.extend([0x48 | high, 0xb8 | low]);
    code.extend((!value).to_le_bytes());
    code.extend([0x48 | high, 0xf7, 0xd0 | low]);
    code
}

/// An instruction that names memory relative to itself, by a register that it does not use otherwise. Flags and the red zone stay.
fn through_register(i: &Instruction) -> Option<Vec<u8>> {
    // No instruction names one of these but as an explicit operand.
    let spare = [Register::R11, Register::R10, Register::R9, Register::R8, Register::R14, Register::R15];
    let used = |r: Register| {
        (0..i.op_count()).any(|n| i.op_kind(n) == OpKind::Register && i.op_register(n).full_register() == r)
    };
    let own_stack = (0..i.op_count())
        .any(|n| i.op_kind(n) == OpKind::Register && i.op_register(n).full_register() == Register::RSP);
    if own_stack || i.is_stack_instruction() || !plain_segment(i) {
        return None;
    }
    let r = spare.into_iter().find(|r| !used(*r))?;
    let mut new = *i;
    new.set_memory_base(r);
    new.set_memory_displ_size(0);
    new.set_memory_displacement64(0);
    let mut enc = Encoder::new(64);
    enc.encode(&new, 0).ok()?;
    let body = enc.take_buffer();
    let low = r.number() as u8 & 7;
    let mut code = Vec::with_capacity(MAX_CODE);
    code.extend([0x48, 0x8d, 0x64, 0x24, 0x80]); // lea -128(%rsp), %rsp
    code.extend([0x41, 0x50 | low]); // push r
    code.extend([0x49, 0xb8 | low]); // movabs $address, r
    code.extend(i.ip_rel_memory_address().to_le_bytes());
    code.extend(body);
    code.extend([0x41, 0x58 | low]); // pop r
    code.extend([0x48, 0x8d, 0xa4, 0x24, 0x80, 0, 0, 0]); // lea 128(%rsp), %rsp
    Some(code)
}

/// Whether a condition (4 bits of the opcode) holds under `flags`.
#[must_use]
pub fn taken(condition: u8, flags: u64) -> bool {
    let f = |bit: u32| flags >> bit & 1 != 0;
    let (cf, pf, zf, sf, of) = (f(0), f(2), f(6), f(7), f(11));
    let yes = match condition >> 1 {
        0 => of,
        1 => cf,
        2 => zf,
        3 => cf || zf,
        4 => sf,
        5 => pf,
        6 => sf != of,
        _ => zf || sf != of,
    };
    yes != (condition & 1 != 0)
}

/// Removes all dangerous bytes from `text`, which will be executed at address `start`; how many instructions were replaced.
///
/// # Errors
/// The offset of dangerous bytes that belong to nothing that could be replaced.
pub fn neutralise(text: &mut [u8], start: u64) -> Result<usize, usize> {
    neutralise_from(text, 0, start)
}

/// As [`neutralise`] for those that end after offset `from`; what comes before tells only where instructions begin.
///
/// # Errors
/// As [`neutralise`].
pub fn neutralise_from(text: &mut [u8], from: usize, start: u64) -> Result<usize, usize> {
    let mut n = 0;
    let mut at = from;
    while let Some(hit) = opcodes::find(text, at) {
        let site = containing(text, &hit)
            .into_iter()
            .find(|r| meaning(&text[r.clone()], start + r.start as u64).is_some_and(|(len, _)| len == r.len()))
            .ok_or(hit.start)?;
        text[site].fill(TRAP);
        n += 1;
        at = hit.start.saturating_sub(REACH);
    }
    Ok(n)
}

/// The instructions that `hit` is part of. x86 code read from a wrong start falls into step after a few instructions: what most of many
/// starts agree on is taken; where they do not agree, nothing.
fn containing(text: &[u8], hit: &Range<usize>) -> Vec<Range<usize>> {
    const FAR: usize = 160;
    const NEAR: usize = 64;
    let mut votes: Vec<(Vec<Range<usize>>, u32)> = Vec::new();
    let mut total = 0;
    let first = hit.start.saturating_sub(FAR);
    // The beginning of a text is a beginning for sure.
    let starts = if hit.start < FAR { 0..1 } else { first..hit.start - NEAR };
    for s in starts {
        let mut pieces = Vec::new();
        let mut at = s;
        let mut dec = Decoder::with_ip(64, &text[..text.len().min(hit.end + REACH)], 0, DecoderOptions::NONE);
        while at < hit.end {
            if dec.set_position(at).is_err() {
                break;
            }
            let i = dec.decode();
            let len = if i.is_invalid() { 1 } else { i.len() };
            if at + len > hit.start && !i.is_invalid() {
                pieces.push(at..at + len);
            }
            at += len;
        }
        total += 1;
        match votes.iter_mut().find(|v| v.0 == pieces) {
            Some(v) => v.1 += 1,
            None => votes.push((pieces, 1)),
        }
    }
    match votes.into_iter().max_by_key(|v| v.1) {
        Some((pieces, n)) if n * 4 >= total * 3 => pieces,
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `code` among plausible instructions of varied length, at offset 200.
    fn around(code: &[u8]) -> Vec<u8> {
        let filler: &[&[u8]] = &[
            &[0x48, 0x89, 0xc7],
            &[0x55],
            &[0x83, 0xc0, 0x05],
            &[0x8b, 0x45, 0xfc],
            &[0x0f, 0xb6, 0xc0],
            &[0x31, 0xc0],
        ];
        let mut t = Vec::new();
        for k in 0.. {
            let f = filler[k * 7 % filler.len()];
            if t.len() + f.len() > 200 {
                break;
            }
            t.extend_from_slice(f);
        }
        t.resize(200, 0x90);
        t.extend_from_slice(code);
        t.resize(400, 0x90);
        t
    }

    fn check(code: &[u8], want: Meaning) {
        let mut t = around(code);
        assert_eq!(neutralise(&mut t, 0x40_0000), Ok(1), "{code:x?}");
        assert!(opcodes::clean(&t));
        let at = t.iter().position(|b| *b == TRAP).expect("a trap");
        let whole = around(code);
        let (len, m) = meaning(&whole[at..at + 15], 0x40_0000 + at as u64).expect("a meaning");
        assert!(t[at..at + len].iter().all(|b| *b == TRAP) && t[at + len] != TRAP, "{code:x?}");
        assert_eq!(m, want, "{code:x?}");
    }

    #[test]
    fn what_is_dangerous_itself() {
        check(&[0x0f, 0x01, 0xef], Meaning::Refused);
        check(&[0xf3, 0x48, 0x0f, 0xae, 0xd8], Meaning::Refused);
        let rsp40 = Address { base: Some(4), index: None, scale: 1, displacement: 0x40, fs: false };
        check(&[0x0f, 0xae, 0x6c, 0x24, 0x40], Meaning::Xrstor(rsp40));
        check(&[0x48, 0x0f, 0xae, 0x6c, 0x24, 0x40], Meaning::Xrstor(rsp40));
        let at = Address { base: Some(15), index: Some(1), scale: 8, displacement: (-8i64) as u64, fs: false };
        check(&[0x41, 0x0f, 0xae, 0x6c, 0xcf, 0xf8], Meaning::Xrstor(at));
        assert_eq!(at.of(|r| if r == 15 { 1000 } else { 3 }, 0), 1016);
    }

    #[test]
    fn what_only_contains_it() {
        // call, jmp, jcc with such a displacement
        check(&[0xe8, 0x0f, 0xae, 0x28, 0x00], Meaning::Call(0x40_0000 + 205 + 0x28_ae0f));
        check(&[0xe9, 0x0f, 0x01, 0xef, 0xff], Meaning::Jump(0x40_0000 + 205 - 0x10_fef1));
        check(&[0x0f, 0x85, 0x0f, 0x01, 0xef, 0xff], Meaning::Branch(5, 0x40_0000 + 206 - 0x10_fef1));
        check(&[0xff, 0x25, 0x0f, 0xae, 0x2c, 0x00], Meaning::Indirect(false, 0x40_0000 + 206 + 0x2c_ae0f));
        // rol $15, %r15d; add %ebp, %edi (libnettle)
        let code = Meaning::Code([0x41, 0xc1, 0xc7, 0x0f].to_vec());
        check(&[0x41, 0xc1, 0xc7, 0x0f, 0x01, 0xef], code);
    }

    #[test]
    fn memory_relative_to_the_instruction() {
        // lea, mov, store, cmp with an immediate after the displacement, SSE, AVX
        let forms: &[&[u8]] = &[
            &[0x48, 0x8d, 0x05, 0x0f, 0xae, 0x2d, 0x01],
            &[0x4c, 0x8b, 0x1d, 0x0f, 0xae, 0x2d, 0x01],
            &[0x48, 0x89, 0x0d, 0x0f, 0xae, 0x6a, 0x02],
            &[0x80, 0x3d, 0x0f, 0xae, 0x2a, 0x00, 0x00],
            &[0xf2, 0x0f, 0x10, 0x0d, 0x0f, 0xae, 0x28, 0x01],
            &[0xc5, 0xfd, 0x6f, 0x05, 0x0f, 0xae, 0x2d, 0x01],
        ];
        for f in forms {
            let t = around(f);
            let (len, m) = meaning(&t[200..215], 0x40_0000 + 200).expect("a meaning");
            assert_eq!(len, f.len());
            let Meaning::Code(code) = m else { panic!("{f:x?}: {m:?}") };
            // The address is in the code, and the operand is the register it is loaded into.
            let want = Decoder::with_ip(64, f, 0x40_0000 + 200, 0).decode();
            assert_eq!(code[9..17], want.ip_rel_memory_address().to_le_bytes());
            let mut dec = Decoder::new(64, &code[17..], 0);
            let got = dec.decode();
            assert_eq!(got.code(), want.code());
            assert_eq!(
                (got.op_count(), got.op0_kind(), got.op1_kind()),
                (want.op_count(), want.op0_kind(), want.op1_kind())
            );
            assert_eq!(
                (got.memory_displacement64(), got.memory_base()),
                (0, if f[0] == 0x4c { Register::R10 } else { Register::R11 })
            );
            let mut t = t;
            assert_eq!(neutralise(&mut t, 0x40_0000), Ok(1), "{f:x?}");
        }
    }

    #[test]
    fn constants() {
        let forms: &[(&[u8], Code, usize)] = &[
            (&[0xb8, 0x0f, 0x01, 0xef, 0xc3], Code::Mov_r64_imm64, 0),
            (&[0xc7, 0x07, 0x0f, 0x01, 0xef, 0xc3], Code::Mov_rm32_r32, 20),
            (&[0xc7, 0x44, 0x24, 0x08, 0x0f, 0x01, 0xef, 0xc3], Code::Mov_rm32_r32, 20),
            (&[0x3d, 0x0f, 0xae, 0x28, 0x00], Code::Cmp_rm32_r32, 20),
            (&[0x49, 0x81, 0xc3, 0x0f, 0x01, 0xef, 0xc3], Code::Add_rm64_r64, 20),
        ];
        for (f, want, at) in forms {
            let mut t = around(f);
            let (len, m) = meaning(&t[200..215], 0).expect("a meaning");
            let Meaning::Code(code) = m else { panic!("{f:x?}: {m:?}") };
            let mut dec = Decoder::new(64, &code[*at..], 0);
            let got = dec.decode();
            assert_eq!((len, got.code()), (f.len(), *want), "{code:x?}");
            assert!(got.memory_base() != Register::RSP || got.memory_displacement64() == 8 + 136);
            assert_eq!(neutralise(&mut t, 0), Ok(1));
        }
        // Both halves of what is loaded make the constant again, sign-extended where the instruction does that.
        assert_eq!(load(Register::R11, 0xc3ef_010f)[..2], [0x49, 0xbb]);
        assert_eq!(load(Register::RAX, 0xc3ef_010f)[2..10], (!0xc3ef_010fu64).to_le_bytes());
    }

    #[test]
    fn what_can_not_be_made_safe_is_said() {
        // imul $0xc3ef010f, %eax, %eax: the constant is the instruction's own.
        let mut t = around(&[0x69, 0xc0, 0x0f, 0x01, 0xef, 0xc3]);
        assert_eq!(neutralise(&mut t, 0), Err(202));
        // A push through the register that serves as the address would move the stack it is pushed to.
        assert_eq!(meaning(&[0xff, 0x35, 0x0f, 0xae, 0x2d, 0x01, 0, 0, 0, 0, 0, 0, 0, 0, 0], 0), None);
    }

    #[test]
    fn conditions() {
        const CF: u64 = 1;
        const ZF: u64 = 0x40;
        const SF: u64 = 0x80;
        const OF: u64 = 0x800;
        for (condition, flags, want) in [
            (4, ZF, true),
            (5, ZF, false),
            (2, CF, true),
            (7, CF, false),
            (7, 0, true),
            (12, SF, true),
            (12, SF | OF, false),
            (15, 0, true),
            (15, ZF, false),
        ] {
            assert_eq!(taken(condition, flags), want, "{condition} {flags:x}");
        }
    }
}
