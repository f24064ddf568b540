//! The `inline` monitor: system-call sites become jumps to the gate.
//!
//! | site | becomes |
//! |---|---|
//! | `mov $nr,%eax; syscall` (7 bytes) | `jmp *[slot]` |
//! | `syscall; cmp $imm32,%eax` (7 bytes) | `jmp *[slot]`; the stub does the comparison |
//! | `syscall; cmp $imm32,%rax` (8 bytes) | `jmp *[slot]; nop`; the stub does the comparison |
//! | `lea disp32(…),%r64; syscall` (9 bytes) | `jmp *[slot]; syscall`; the stub loads the address first (pthread_create) |
//!
//! In the first form the jump's last two bytes are `0f 05`: a jump to the old `syscall` still traps, as in the last. Other sites go
//! on trapping; so does glibc's signal return, which unwinders know by its bytes. A text is copied and patched as a whole once
//! calls from it have trapped often enough ([`core_::text`]), or when a process is about to have a second thread: later is too
//! late for it.

use alloc::sync::Arc;
use core::sync::atomic::Ordering;
use core_::counters;
use core_::mm::{flag, wx};
use core_::task::Thread;
use core_::text::{self, Key};
use syscalls::process::fork;
use trap::monitor::stub::{self, Tail};
use trap::monitor::{self, Monitor};

const NR_CLONE: u64 = 56;
const NR_CLONE3: u64 = 435;

/// A system call trapped at the instruction before `rip`: makes its text a patched one if that pays.
#[cold]
pub fn consider(me: &Thread, rip: u64) {
    if monitor::in_force() != Monitor::Inline {
        return;
    }
    // Other threads may stand right behind a `syscall` whose neighbour instruction a patch takes away. They go on trapping;
    // texts are usually patched before a program's second thread.
    if me.borrowed.load(Ordering::Relaxed) || me.process.threads.lock().len() > 1 {
        return;
    }
    let Some(mm) = me.process.mm.lock().clone() else { return };
    // Held by its process and here. A third is a vfork child, or its parent: their threads run in it, too.
    if Arc::strong_count(&mm) > 2 || mm.lies_over_table() {
        return;
    }
    let mut s = mm.space.lock();
    let Some((start, v)) = s.areas.find(rip - 1) else { return };
    let plain = v.flags & flag::TYPE == flag::PRIVATE
        && v.prot == flag::PROT_READ | flag::PROT_EXEC
        && !v.patched
        && !s.areas.lacks(start, v.end)
        // Written to since it was mapped: the copy would be another text.
        && v.flags & (flag::ACCOUNT | flag::HELD) == 0;
    let Some(m) = v.mapping.as_ref().filter(|_| plain) else { return };
    let Some(file) = m.file.ops().text_identity(&m.file) else { return };
    let key = Key { file, offset: v.offset, start, len: v.end - start };
    let ram = match text::lookup(&key) {
        Some(at) => at,
        None => {
            if !text::trapped(&key) && !makes_thread() {
                return;
            }
            let mut bytes = alloc::vec![0u8; key.len as usize];
            if core_::exec::read_file(&m.file, key.offset, &mut bytes).is_err() {
                return;
            }
            if wx::on() && text::neutralise(&mut bytes, key.start).is_none() {
                return;
            }
            patch(&mut bytes, key.start);
            if wx::on() && !lib::opcodes::clean(&bytes) || !text::keep(&key, &bytes) {
                return;
            }
            match text::lookup(&key) {
                Some(at) => at,
                None => return,
            }
        }
    };
    if mm.install_text(&mut s, start, key.len, ram).is_ok() {
        drop(s);
        let regs = &mut trap::context::current().regs;
        regs.rip = moved(regs.rip);
    }
}

/// Whether the system call at hand is a clone that makes a thread.
fn makes_thread() -> bool {
    let regs = &trap::context::current().regs;
    let flags = match regs.rax {
        NR_CLONE => Ok(regs.rdi),
        // struct clone_args begins with them.
        NR_CLONE3 => core_::uaccess::UserPtr::<u64>::new(regs.rdi).read(),
        _ => return false,
    };
    flags.is_ok_and(|f| f & fork::flag::VM != 0 && f & fork::flag::VFORK == 0)
}

/// `rip`, or where the code that was there is now: for calls that trapped before their text was patched.
#[must_use]
pub fn moved(rip: u64) -> u64 {
    let mut site = [0u8; 7];
    match host::user::copy_in(&mut site, rip.wrapping_sub(2)) {
        Ok(()) => stub::moved_return(&site).unwrap_or(rip),
        Err(_) => rip,
    }
}

/// As [`patch`], for copies that are made for another reason.
pub static FOR_COPIES: text::Patch = patch;

/// Patches all sites of a text that will be executed at address `start`.
fn patch(text: &mut [u8], start: u64) {
    let mut i = 0;
    while i + 1 < text.len() {
        // `0f 05` by memchr-like search on the rarer second byte is not worth it: texts are patched once.
        if text[i] != 0x0f || text[i + 1] != 0x05 {
            i += 1;
            continue;
        }
        if let Some(done) =
            mov_form(text, i, start).or_else(|| cmp_form(text, i, start)).or_else(|| lea_form(text, i, start))
        {
            counters::PATCHED_SITES.add(1);
            i = done;
        } else {
            i += 2;
        }
    }
}

fn le32(b: &[u8]) -> u32 {
    u32::from_le_bytes([b[0], b[1], b[2], b[3]])
}

/// `b8 imm32 0f 05`, with the syscall at `i`.
fn mov_form(text: &mut [u8], i: usize, start: u64) -> Option<usize> {
    let at = i.checked_sub(5)?;
    // A REX prefix before it would make it another register's mov; where the byte is some other instruction's last, the
    // site merely stays a trap.
    let rex = at > 0 && (0x40..=0x4f).contains(&text[at - 1]);
    if text[at] != 0xb8 || rex || le32(&text[at + 1..]) >= 512 {
        return None;
    }
    let slot = stub::make(&text[at..i], start + i as u64 + 2, Tail::None)?;
    // The slot's upper half is 0x050f: its bytes are already there.
    jump(text, at, slot);
    Some(i + 2)
}

/// Writes `jmp *[slot]`, 7 bytes.
fn jump(text: &mut [u8], at: usize, slot: u32) {
    text[at..at + 3].copy_from_slice(&[0xff, 0x24, 0x25]);
    text[at + 3..at + 7].copy_from_slice(&slot.to_le_bytes());
}

/// `lea` of 7 bytes, with the syscall after it at `i`: REX.W 8d, and a 32-bit displacement from RIP or a register.
fn lea_form(text: &mut [u8], i: usize, start: u64) -> Option<usize> {
    let at = i.checked_sub(7)?;
    let (rex, mode, rm) = (text[at], text[at + 2] >> 6, text[at + 2] & 7);
    let from_rip = mode == 0 && rm == 5;
    // rm 4 is a longer form (SIB).
    if rex & 0xf8 != 0x48 || text[at + 1] != 0x8d || !(from_rip || mode == 2 && rm != 4) {
        return None;
    }
    // A prefix would be the jump's.
    if at > 0 && matches!(text[at - 1], 0x26 | 0x2e | 0x36 | 0x3e | 0x40..=0x4f | 0x64..=0x67 | 0xf0 | 0xf2 | 0xf3) {
        return None;
    }
    let mut movabs = [0; 10];
    let head = if from_rip {
        movabs[0] = 0x48 | rex >> 2 & 1;
        movabs[1] = 0xb8 | text[at + 2] >> 3 & 7;
        let target = (start + i as u64).wrapping_add_signed(i64::from(le32(&text[at + 3..]) as i32));
        movabs[2..].copy_from_slice(&target.to_le_bytes());
        &movabs
    } else {
        &text[at..i]
    };
    let slot = stub::make(head, start + i as u64 + 2, Tail::None)?;
    jump(text, at, slot);
    Some(i + 2)
}

/// `0f 05` followed by a comparison of the result with a 32-bit constant.
fn cmp_form(text: &mut [u8], i: usize, start: u64) -> Option<usize> {
    let rest = &text[i + 2..];
    let (len, tail) = if rest.len() >= 5 && rest[0] == 0x3d {
        (7, Tail::CmpEax(le32(&rest[1..])))
    } else if rest.len() >= 6 && rest[..2] == [0x48, 0x3d] {
        (8, Tail::CmpRax(le32(&rest[2..])))
    } else {
        return None;
    };
    let slot = stub::make(&[], start + (i + len) as u64, tail)?;
    jump(text, i, slot);
    if len == 8 {
        text[i + 7] = 0x90;
    }
    Some(i + len)
}
