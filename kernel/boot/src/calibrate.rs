//! What the host operations of the classic machine's three costs take here and now: `lodger-kernel calibrate`.
//!
//! Measured on memory of the machine's own shape: the kernel region with a heap of which 1 MiB is resident, and single pages
//! of a memory file. The profiler multiplies counts with these.

use abi::layout;
use alloc::format;
use alloc::string::String;
use core::arch::global_asm;
use host::raw::call;
use host::{Errno, Result};

const GETPPID: i64 = 110;
const MMAP: i64 = 9;
const MPROTECT: i64 = 10;
const MUNMAP: i64 = 11;
const MEMFD_CREATE: i64 = 319;
const FTRUNCATE: i64 = 77;
const RESIDENT: u64 = 1 << 20;
const ROUNDS: u64 = 2000;
const PAGES: u64 = 512;
/// Applications' memory in the calibration: anywhere free.
const AT: u64 = 0x10_0000_0000;

global_asm!(
    ".pushsection .text,\"ax\",@progbits",
    "lodger_calibrate_handler: ret",
    "lodger_calibrate_restorer: mov eax, 15",
    "syscall",
    "ud2",
    ".popsection",
);

unsafe extern "C" {
    static lodger_calibrate_handler: u8;
    static lodger_calibrate_restorer: u8;
}

/// Nanoseconds from a signal's cause to its handler and back.
fn signal_ns(call_ns: u64) -> Result<u64> {
    const RT_SIGACTION: i64 = 13;
    const TGKILL: i64 = 234;
    const SIGUSR1: u64 = 10;
    const SA_RESTORER: u64 = 0x0400_0000;
    let action =
        [(&raw const lodger_calibrate_handler) as u64, SA_RESTORER, (&raw const lodger_calibrate_restorer) as u64, 0];
    host_call(RT_SIGACTION, [SIGUSR1, action.as_ptr() as u64, 0, 8, 0, 0])?;
    let (pid, tid) = (u64::from(host::process::getpid()), u64::from(host::process::gettid()));
    let both = each(ROUNDS, |_| host_call(TGKILL, [pid, tid, SIGUSR1, 0, 0, 0]).map(drop))?;
    Ok(both.saturating_sub(call_ns))
}

fn host_call(nr: i64, args: [u64; 6]) -> Result<usize> {
    // SAFETY: the calls below touch only the mappings made here.
    Errno::from_ret(unsafe { call(nr, args) })
}

/// Nanoseconds of one of `n` runs of `f`.
fn each(n: u64, mut f: impl FnMut(u64) -> Result<()>) -> Result<u64> {
    let start = host::time::monotonic_ns();
    for i in 0..n {
        f(i)?;
    }
    Ok((host::time::monotonic_ns() - start) / n)
}

fn measure() -> Result<String> {
    // The heap is private here, and a tenth of the region: what counts is what is resident.
    let touch = layout::HEAP_BASE + (64 << 20);
    let mut at = touch;
    while at < touch + RESIDENT {
        // SAFETY: the tool's heap is mapped; the allocator has not come this far.
        unsafe { (at as *mut u8).write_volatile(1) };
        at += layout::PAGE;
    }
    let half = (layout::HEAP_END - layout::HEAP_BASE) - (64 << 20);
    let call_ns = each(ROUNDS * 10, |_| host_call(GETPPID, [0; 6]).map(drop))?;
    let pair = each(ROUNDS, |_| {
        host_call(MPROTECT, [touch, half, 0, 0, 0, 0])?;
        host_call(MPROTECT, [touch, half, 3, 0, 0, 0])?;
        // SAFETY: as above; the guest kernel touches its memory after each opening.
        unsafe { (touch as *mut u8).write_volatile(2) };
        Ok(())
    })?;
    let name = b"calibrate\0";
    let fd = host_call(MEMFD_CREATE, [name.as_ptr() as u64, 1, 0, 0, 0, 0])? as u64;
    host_call(FTRUNCATE, [fd, PAGES * 2 * layout::PAGE, 0, 0, 0, 0])?;
    let map = |i: u64| {
        // Every other frame, so that no two mappings become one.
        host_call(MMAP, [AT + i * layout::PAGE, layout::PAGE, 3, 0x11, fd, i * 2 * layout::PAGE]).map(drop)
    };
    let touch_page = |i: u64| {
        // SAFETY: mapped right before.
        unsafe { ((AT + i * layout::PAGE) as *mut u8).write_volatile(1) };
    };
    let (mut mapped, mut touched, mut unmapped) = (0, 0, 0);
    const TURNS: u64 = 10;
    for _ in 0..TURNS {
        mapped += each(PAGES, map)?;
        touched += each(PAGES, |i| {
            touch_page(i);
            Ok(())
        })?;
        let start = host::time::monotonic_ns();
        host_call(MUNMAP, [AT, PAGES * layout::PAGE, 0, 0, 0, 0])?;
        unmapped += (host::time::monotonic_ns() - start) / PAGES;
    }
    let signal_ns = signal_ns(call_ns)?;
    Ok(format!(
        "{{\"call_ns\":{call_ns},\"signal_ns\":{signal_ns},\"protect_ns\":{},\"map_page_ns\":{},\"touch_page_ns\":{},\"unmap_page_ns\":{}}}\n",
        pair / 2,
        mapped / TURNS,
        touched / TURNS,
        unmapped / TURNS
    ))
}

/// Measures; JSON in nanoseconds.
pub fn run() -> String {
    measure().unwrap_or_else(|e| format!("{{\"error\":\"{e}\"}}\n"))
}

/// Many host calls and nothing else: for measuring what a stop of a traced process costs.
pub fn spin() -> String {
    const READ: i64 = 0;
    // Until the tracer is there, which closes the other end.
    let mut byte = 0u8;
    let _ = host_call(READ, [0, (&raw mut byte) as u64, 1, 0, 0, 0]);
    let _ = each(ROUNDS * 5, |_| host_call(GETPPID, [0; 6]).map(drop));
    format!("{}\n", ROUNDS * 5)
}
