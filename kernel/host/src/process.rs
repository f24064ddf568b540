//! Host threads and processes of this VM.

use crate::{Errno, Result, syscall};

pub const CLONE_VM: u64 = 0x100;
pub const CLONE_FS: u64 = 0x200;
pub const CLONE_FILES: u64 = 0x400;
pub const CLONE_SIGHAND: u64 = 0x800;
pub const CLONE_PARENT: u64 = 0x8000;
pub const CLONE_THREAD: u64 = 0x1_0000;
pub const CLONE_SYSVSEM: u64 = 0x4_0000;

#[must_use]
pub fn getpid() -> u32 {
    // SAFETY: no arguments.
    unsafe { syscall!(getpid) as u32 }
}

#[must_use]
pub fn getppid() -> u32 {
    // SAFETY: no arguments.
    unsafe { syscall!(getppid) as u32 }
}

#[must_use]
pub fn gettid() -> u32 {
    // SAFETY: no arguments.
    unsafe { syscall!(gettid) as u32 }
}

/// Sends host signal `sig` to a thread of this VM (Landlock confines it to the VM's processes).
///
/// # Errors
/// `ESRCH` where it is gone.
pub fn tgkill(pid: u32, tid: u32, sig: u32) -> Result<()> {
    // SAFETY: no memory is touched.
    Errno::from_ret(unsafe { syscall!(tgkill, pid, tid, sig) }).map(drop)
}

/// The parent-death signal: this process dies when the supervisor does.
///
/// # Errors
/// The host's.
pub fn set_parent_death_signal(sig: u32) -> Result<()> {
    // SAFETY: no memory is touched.
    Errno::from_ret(unsafe { syscall!(prctl, 1, sig) }).map(drop)
}

/// sched_yield(2).
pub fn sched_yield() {
    // SAFETY: no arguments.
    unsafe { syscall!(sched_yield) };
}

/// Fills `buf` with random bytes.
pub fn getrandom(buf: &mut [u8]) {
    let mut done = 0;
    while done < buf.len() {
        // SAFETY: the rest of the buffer is valid for writing.
        let n = unsafe { syscall!(getrandom, buf[done..].as_mut_ptr(), buf.len() - done, 0) };
        if n > 0 {
            done += n as usize;
        }
    }
}

/// Resource use of this host process (`who` 0), or thread (1): struct rusage as 18 words (getrusage(2)).
///
/// # Errors
/// The host's.
pub fn getrusage(who: i32) -> Result<[u64; 18]> {
    let mut buf = [0u64; 18];
    // SAFETY: struct rusage is 144 bytes.
    Errno::from_ret(unsafe { syscall!(getrusage, who, buf.as_mut_ptr()) })?;
    Ok(buf)
}

/// membarrier(2) with command `cmd`, flags 0.
///
/// # Errors
/// The host's.
pub fn membarrier(cmd: u32) -> Result<usize> {
    // SAFETY: no memory is touched.
    Errno::from_ret(unsafe { syscall!(membarrier, cmd, 0, 0) })
}

/// The processors that this VM may use, as sched_getaffinity(2) tells: the mask's bytes.
///
/// # Errors
/// The host's.
pub fn affinity(mask: &mut [u8]) -> Result<usize> {
    // SAFETY: the buffer is valid for writing.
    Errno::from_ret(unsafe { syscall!(sched_getaffinity, 0, mask.len(), mask.as_mut_ptr()) })
}

/// Restricts host thread `tid` (0: the caller) to the processors of `mask`.
///
/// # Errors
/// The host's.
pub fn set_affinity(tid: u32, mask: &[u8]) -> Result<()> {
    // SAFETY: the buffer is valid for reading.
    Errno::from_ret(unsafe { syscall!(sched_setaffinity, tid, mask.len(), mask.as_ptr()) }).map(drop)
}
