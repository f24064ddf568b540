//! The address map that every guest-machine process has in common.
//!
//! ```text
//! 0x0000_1000 .. 0x050f_0000   application
//! 0x050f_0000 .. 0x0510_0000   jump table: 8-byte slots named by the 4 middle bytes of a patched site
//! 0x0510_0000 .. 0x0518_0000   stubs the slots point to (read, execute)
//! 0x0518_0000 .. 0x6000_0000   application
//! 0x6000_0000 .. 0x6800_0000   alternate signal stacks that the guard leaves alone (`mprotect` guard)
//! 0x6c00_0000 .. 0x6d00_0000   read-only view of the trusted pages (`mprotect` guard: the host reads the selector there)
//! 0x6e00_0000 .. 0x6f00_0000   open pages: one a thread, private to the process, application-writable
//! 0x6f00_0000 .. 0x7000_0000   portal: the guest kernel's code that runs while its memory is closed (`mprotect` guard)
//! 0x7000_0000 .. 0x7200_0000   guest kernel text, data, bss
//! 0x7200_0000 .. 0x9000_0000   guest kernel heap
//! 0x9000_0000 .. 0xb000_0000   thread slots: alternate stack, kernel stack, saved context
//! 0xb200_0000 .. 0xb300_0000   trusted pages: one a thread, application-readable (the host reads the selector there)
//! 0xb400_0000 .. 0xb409_0000   writable alias of jump table and stubs
//! 0xb600_0000 .. 0xb600_1000   what of a guest-machine process's own state is trusted (`mprotect` guard)
//! 0xc000_0000 .. 2^47          application
//! 0x3f00_0000_0000 ..          window onto the RAM memfd (guest kernel only)
//! ```
//!
//! A patched system-call site is `jmp *[0x050fXXXX]`: its last two bytes are still `0f 05`, which is why
//! the jump table must be where it is.

/// First byte of the region that belongs to the guest kernel.
pub const KERNEL_BASE: u64 = 0x7000_0000;
/// First byte after it.
pub const KERNEL_END: u64 = 0xc000_0000;
/// Size of the kernel-region memfd.
pub const KERNEL_SIZE: u64 = KERNEL_END - KERNEL_BASE;

pub const HEAP_BASE: u64 = 0x7200_0000;
pub const HEAP_END: u64 = 0x9000_0000;

/// Thread slots: the memory that one guest thread needs in the guest kernel.
pub const SLOTS_BASE: u64 = 0x9000_0000;
pub const SLOT_SIZE: u64 = 128 * 1024;
/// The most threads that a VM can have.
pub const MAX_SLOTS: usize = 4096;
/// Within a slot: the host's alternate signal stack, from its start.
pub const SLOT_ALTSTACK: u64 = 0;
pub const ALTSTACK_SIZE: u64 = 32 * 1024;
/// Within a slot: the saved user context.
pub const SLOT_CONTEXT: u64 = ALTSTACK_SIZE;
pub const CONTEXT_SIZE: u64 = 8 * 1024;
/// Within a slot: the kernel stack, to its end.
pub const SLOT_STACK: u64 = SLOT_CONTEXT + CONTEXT_SIZE;

/// Open pages: GS points to the thread's own. Registers rest here for the few instructions in which
/// the guard is closed; nothing in them is trusted.
pub const OPEN_BASE: u64 = 0x6e00_0000;
/// Trusted pages lie at this distance from the open pages.
pub const TRUSTED_DELTA: u64 = 0x4400_0000;
pub const TRUSTED_BASE: u64 = OPEN_BASE + TRUSTED_DELTA;
pub const THREAD_PAGE: u64 = 4096;

/// Jump table and stubs, where applications execute them.
pub const JUMP_TABLE: u64 = 0x050f_0000;
pub const JUMP_TABLE_SIZE: u64 = 0x1_0000;
pub const STUBS: u64 = JUMP_TABLE + JUMP_TABLE_SIZE;
pub const STUB_SIZE: u64 = 64;
pub const MAX_STUBS: usize = (JUMP_TABLE_SIZE / 8) as usize;
pub const STUBS_SIZE: u64 = MAX_STUBS as u64 * STUB_SIZE;
/// First byte after the stubs.
pub const STUBS_END: u64 = STUBS + STUBS_SIZE;
/// The guest kernel's writable alias of both.
pub const JUMP_ALIAS: u64 = 0xb400_0000;

/// A page that each guest-machine process has for itself (`mprotect` guard): the value that GS must have, the stack pointer of
/// the trap handler's first frame, and the address of that frame's siginfo.
pub const PROCESS_PAGE: u64 = 0xb600_0000;

/// The guest kernel's window onto the RAM memfd (tmpfs pages, patched text).
pub const RAM_WINDOW: u64 = 0x3f00_0000_0000;
/// The most RAM a VM can have.
pub const RAM_MAX: u64 = 1 << 40;

/// What lies right below the guest kernel's region and stays accessible while that is closed: not the application's either.
pub const OUTSIDE_BASE: u64 = 0x6000_0000;
/// Alternate signal stacks outside the region, [`ALTSTACK_SIZE`] each, by slot.
pub const OUTSIDE_STACKS: u64 = OUTSIDE_BASE;
/// Read-only view of the trusted pages.
pub const TRUSTED_VIEW: u64 = 0x6c00_0000;
/// Where the linker puts the portal (boot/kernel.ld).
pub const PORTAL_BASE: u64 = 0x6f00_0000;

/// First byte that an application can map (the host's usual `vm.mmap_min_addr`).
pub const USER_MIN: u64 = 0x1_0000;
/// First byte after what an application can map.
pub const USER_MAX: u64 = 0x7fff_ffff_f000;

pub const PAGE: u64 = 4096;

/// True where `[addr, addr+len)` lies in memory that belongs to applications: neither the guest kernel's
/// region nor the jump table, the RAM window or the host's half. This is the one check behind every
/// address that a guest passes in (A7, A14 in docs/explain/security.md).
#[must_use]
pub const fn user_range_ok(addr: u64, len: u64) -> bool {
    let Some(end) = addr.checked_add(len) else {
        return false;
    };
    end <= USER_MAX && !(addr < KERNEL_END && end > OUTSIDE_BASE) && !(addr < RAM_WINDOW + RAM_MAX && end > RAM_WINDOW)
}

/// As [`user_range_ok`], for mapping calls: the jump table and the stubs are readable but not the
/// application's to map, unmap or protect.
#[must_use]
pub const fn mappable(addr: u64, len: u64) -> bool {
    user_range_ok(addr, len)
        && match addr.checked_add(len) {
            Some(end) => !(addr < STUBS_END && end > JUMP_TABLE),
            None => false,
        }
}
