//! Patched system-call sites: the jump table and the stubs it points to.
//!
//! A site becomes `jmp *[slot]` (`entry::inline` says which); the slot points to a stub that knows the return
//! address and jumps to the gate.

use abi::layout;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

static USED: AtomicU32 = AtomicU32::new(0);

/// What a stub does after the call, instead of the instructions that the site's patch displaced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tail {
    /// Nothing: the application goes on right after the patch.
    None,
    /// `cmp $imm32,%eax`
    CmpEax(u32),
    /// `cmp $imm32,%rax`
    CmpRax(u32),
}

/// Makes a stub that executes `head` (at most 10 bytes) and enters the gate with the EAX that there is then, for a site after which
/// the application goes on at `next`. Returns the slot's address, which goes into the patched instruction; None when all
/// slots are used.
pub fn make(head: &[u8], next: u64, tail: Tail) -> Option<u32> {
    let n = reserve()?;
    let stub = layout::STUBS + n as u64 * layout::STUB_SIZE;
    let mut code = [0xcc_u8; layout::STUB_SIZE as usize];
    let mut at = 0;
    let mut put = |bytes: &[u8]| {
        code[at..at + bytes.len()].copy_from_slice(bytes);
        at += bytes.len();
        at
    };
    put(head);
    // With a tail the gate returns into the stub, behind a `syscall` that is there for restarted calls only: they
    // go back two bytes from the return address.
    let ret = if tail == Tail::None { next } else { stub + head.len() as u64 + 19 + 2 };
    put(&[0x48, 0xb9]); // movabs $ret, %rcx
    put(&ret.to_le_bytes());
    put(&[0x41, 0xbb]); // mov $gate, %r11d: the gate is below 4 GiB
    put(&(crate::gate::code().gate as u32).to_le_bytes());
    put(&[0x41, 0xff, 0xe3]); // jmp *%r11
    if tail != Tail::None {
        put(&[0x0f, 0x05]);
        match tail {
            Tail::CmpEax(imm) => {
                put(&[0x3d]);
                put(&imm.to_le_bytes());
            }
            Tail::CmpRax(imm) => {
                put(&[0x48, 0x3d]);
                put(&imm.to_le_bytes());
            }
            Tail::None => {}
        }
        put(&[0xff, 0x25, 0, 0, 0, 0]); // jmp *next
        put(&next.to_le_bytes());
    }
    publish(n, &code)?;
    Some((layout::JUMP_TABLE + n as u64 * 8) as u32)
}

/// Takes a stub and its slot.
fn reserve() -> Option<usize> {
    let n = USED.fetch_add(1, Ordering::Relaxed) as usize;
    if n >= layout::MAX_STUBS {
        USED.store(layout::MAX_STUBS as u32, Ordering::Relaxed);
        return None;
    }
    Some(n)
}

/// Writes stub `n`. None where an address or a constant in it, which an application chose, would make it an instruction that opens
/// the guard (A1): the stub stays unused.
fn publish(n: usize, code: &[u8; layout::STUB_SIZE as usize]) -> Option<u64> {
    if !lib::opcodes::clean(code) {
        return None;
    }
    let stub = layout::STUBS + n as u64 * layout::STUB_SIZE;
    let alias = layout::JUMP_ALIAS + layout::JUMP_TABLE_SIZE + n as u64 * layout::STUB_SIZE;
    // SAFETY: the alias of stub n, mapped by boot; nobody jumps there before the slot is set.
    unsafe { core::ptr::copy_nonoverlapping(code.as_ptr(), alias as *mut u8, code.len()) };
    // SAFETY: the alias of slot n, aligned, mapped by boot.
    let slot = unsafe { &*((layout::JUMP_ALIAS + n as u64 * 8) as *const AtomicU64) };
    slot.store(stub, Ordering::SeqCst);
    Some(stub)
}

/// Makes a stub that executes `code` and goes on at `next`; its address.
pub fn displaced(code: &[u8], next: u64) -> Option<u64> {
    let mut all = [0xcc_u8; layout::STUB_SIZE as usize];
    let n = code.len();
    all.get_mut(..n)?.copy_from_slice(code);
    all.get_mut(n..n + 6)?.copy_from_slice(&[0xff, 0x25, 0, 0, 0, 0]); // jmp *next
    all.get_mut(n + 6..n + 14)?.copy_from_slice(&next.to_le_bytes());
    publish(reserve()?, &all)
}

/// Where a call that trapped before its site was patched goes on. `site` are the 7 bytes from the old `syscall` on: where a
/// patch starts there, the instruction after the `syscall` is gone and the stub has it.
#[must_use]
pub fn moved_return(site: &[u8; 7]) -> Option<u64> {
    let slot = u64::from(u32::from_le_bytes([site[3], site[4], site[5], site[6]]));
    let ours = site[..3] == [0xff, 0x24, 0x25] && (layout::JUMP_TABLE..layout::STUBS).contains(&slot);
    ours.then(|| layout::STUBS + (slot - layout::JUMP_TABLE) / 8 * layout::STUB_SIZE + 19 + 2)
}

/// Stubs in use.
#[must_use]
pub fn used() -> u32 {
    USED.load(Ordering::Relaxed).min(layout::MAX_STUBS as u32)
}
