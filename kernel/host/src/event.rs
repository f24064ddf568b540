//! Waiting for host descriptors: the supervisor's epoll.

use crate::{Errno, Result, syscall};

/// struct epoll_event: packed on x86-64.
#[repr(C, packed)]
#[derive(Clone, Copy, Default)]
pub struct Event {
    pub events: u32,
    pub data: u64,
}

pub const IN: u32 = 1;
pub const OUT: u32 = 4;
pub const ERR: u32 = 8;
pub const HUP: u32 = 0x10;
pub const ONESHOT: u32 = 1 << 30;

fn ctl(epfd: i32, op: u32, fd: i32, events: u32, data: u64) -> Result<()> {
    let ev = Event { events, data };
    // SAFETY: the event is valid for reading.
    Errno::from_ret(unsafe { syscall!(epoll_ctl, epfd, op, fd, &raw const ev) }).map(drop)
}

/// Watches `fd` for `events`.
///
/// # Errors
/// `EPERM` for a file that is always ready, `EEXIST`.
pub fn add(epfd: i32, fd: i32, events: u32, data: u64) -> Result<()> {
    ctl(epfd, 1, fd, events, data)
}

/// Changes what `fd` is watched for; rearms a one-shot watch.
///
/// # Errors
/// `ENOENT`.
pub fn modify(epfd: i32, fd: i32, events: u32, data: u64) -> Result<()> {
    ctl(epfd, 3, fd, events, data)
}

/// Ends a watch.
///
/// # Errors
/// `ENOENT`.
pub fn remove(epfd: i32, fd: i32) -> Result<()> {
    ctl(epfd, 2, fd, 0, 0)
}

/// Waits for events, at most `timeout_ms` (-1: for ever).
///
/// # Errors
/// `EINTR`.
pub fn wait(epfd: i32, events: &mut [Event], timeout_ms: i32) -> Result<usize> {
    // SAFETY: the buffer is valid for writing.
    Errno::from_ret(unsafe { syscall!(epoll_pwait, epfd, events.as_mut_ptr(), events.len(), timeout_ms, 0, 8) })
}

static CHILDREN_FD: core::sync::atomic::AtomicI32 = core::sync::atomic::AtomicI32::new(-1);

/// Tells the descriptor on which SIGCHLD arrives.
pub fn set_children_fd(fd: i32) {
    CHILDREN_FD.store(fd, core::sync::atomic::Ordering::Relaxed);
}

/// Takes what has arrived there, so that the next is news again.
pub fn drain_signals() {
    let mut buf = [0u8; 128 * 8];
    let fd = CHILDREN_FD.load(core::sync::atomic::Ordering::Relaxed);
    while crate::file::read(fd, &mut buf).is_ok_and(|n| n > 0) {}
}

/// Reaps ended host children of the supervisor: their pids and waitid(2)'s code and status.
pub fn reap(mut each: impl FnMut(u32, i32, i32)) {
    const P_ALL: u32 = 0;
    const WNOHANG: u32 = 1;
    const WEXITED: u32 = 4;
    loop {
        let mut info = [0i32; 32];
        // SAFETY: siginfo_t is 128 bytes.
        let r = unsafe { syscall!(waitid, P_ALL, 0, info.as_mut_ptr(), WNOHANG | WEXITED, 0) };
        if r < 0 || info[0] == 0 {
            return;
        }
        // siginfo_t in words: 2 si_code, 4 si_pid, 6 si_status (waitid(2)).
        each(info[4] as u32, info[2], info[6]);
    }
}
