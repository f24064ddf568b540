//! The `syscall` instruction.

use core::arch::asm;

/// Makes host call `nr` with up to six arguments and returns what the host returned.
///
/// # Safety
/// The call must be sound for the guest kernel's own memory: pointers valid for what the host does
/// with them, mappings changed only where no Rust object lives.
#[inline(always)]
pub unsafe fn call(nr: i64, a: [u64; 6]) -> i64 {
    let ret;
    // SAFETY: the caller vouches for the call; the clobbers are those of the ABI.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") nr => ret,
            in("rdi") a[0], in("rsi") a[1], in("rdx") a[2],
            in("r10") a[3], in("r8") a[4], in("r9") a[5],
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    count();
    ret
}

/// Counts one host call of this thread (`host::thread::Trusted::host_calls`).
#[inline(always)]
fn count() {
    crate::thread::count_host_call();
}

/// [`call`] with the arguments spelled out.
#[macro_export]
macro_rules! syscall {
    ($nr:ident $(, $arg:expr)*) => {{
        #[allow(unused_mut, unused_assignments)]
        {
            let mut args = [0u64; 6];
            let mut n = 0;
            $( args[n] = $arg as u64; n += 1; )*
            let _ = n;
            $crate::raw::call($crate::calls::nr::$nr, args)
        }
    }};
}
