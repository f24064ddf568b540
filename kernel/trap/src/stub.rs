//! Patched system-call sites: the jump table and the stubs it points to.
//!
//! A site `mov $nr,%eax; syscall` becomes `jmp *[slot]`; the slot points to a stub that knows the number and
//! the return address and jumps to the gate.

use abi::layout;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

static USED: AtomicU32 = AtomicU32::new(0);

/// Makes a stub that enters the gate with `nr` in EAX (or with the EAX it finds, where None), for a site after which the
/// application goes on at `ret`. `tail` instructions (at most 8 bytes) are what the site's patch displaced: they run before
/// going on. Returns the slot's address, which fits the patched instruction; None when all slots are used.
pub fn make(nr: Option<u32>, ret: u64) -> Option<u32> {
    let n = USED.fetch_add(1, Ordering::Relaxed) as usize;
    if n >= layout::MAX_STUBS {
        USED.store(layout::MAX_STUBS as u32, Ordering::Relaxed);
        return None;
    }
    let stub = layout::STUBS + n as u64 * layout::STUB_SIZE;
    let mut code = [0xcc_u8; layout::STUB_SIZE as usize];
    let mut at = 0;
    let mut put = |bytes: &[u8]| {
        code[at..at + bytes.len()].copy_from_slice(bytes);
        at += bytes.len();
    };
    if let Some(nr) = nr {
        put(&[0xb8]);
        put(&nr.to_le_bytes());
    }
    put(&[0x48, 0xb9]); // movabs $ret, %rcx
    put(&ret.to_le_bytes());
    // mov $gate, %r11d; jmp *%r11: the gate is below 4 GiB
    put(&[0x41, 0xbb]);
    put(&(crate::gate::code().gate as u32).to_le_bytes());
    put(&[0x41, 0xff, 0xe3]);
    let alias = layout::JUMP_ALIAS + layout::JUMP_TABLE_SIZE + n as u64 * layout::STUB_SIZE;
    // SAFETY: the alias of stub n, mapped by boot; nobody jumps there before the slot is set.
    unsafe { core::ptr::copy_nonoverlapping(code.as_ptr(), alias as *mut u8, code.len()) };
    // SAFETY: the alias of slot n, aligned, mapped by boot.
    let slot = unsafe { &*((layout::JUMP_ALIAS + n as u64 * 8) as *const AtomicU64) };
    slot.store(stub, Ordering::SeqCst);
    Some((layout::JUMP_TABLE + n as u64 * 8) as u32)
}

/// Stubs in use.
#[must_use]
pub fn used() -> u32 {
    USED.load(Ordering::Relaxed).min(layout::MAX_STUBS as u32)
}
