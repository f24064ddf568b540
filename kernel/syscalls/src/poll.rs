//! poll(2), ppoll(2), select(2), pselect(2).

use crate::Args;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core_::file::{File, oflag};
use core_::signal::{SigSet, restore_mask_unless, set_temporary_mask};
use core_::task::Restart;
use core_::time::{from_timespec, to_timespec};
use core_::uaccess::{UserPtr, read_bytes, write_bytes};
use core_::wait::{Events, Interrupt, PollTable, ThreadWaker};
use core_::{Errno, Result, current};

/// Until when a call waits.
#[derive(Clone, Copy)]
pub(crate) struct Limit {
    /// CLOCK_MONOTONIC; None for ever, 0 not at all.
    pub deadline: Option<u64>,
}

impl Limit {
    pub(crate) fn after(ns: i64) -> Limit {
        let deadline = if ns == 0 { 0 } else { host::time::monotonic_ns().saturating_add(ns as u64).max(1) };
        Limit { deadline: Some(deadline) }
    }

    /// poll's milliseconds: negative waits for ever.
    pub(crate) fn millis(ms: i32) -> Limit {
        if ms < 0 { Limit { deadline: None } } else { Limit::after(i64::from(ms) * 1_000_000) }
    }

    pub(crate) fn timespec(ts: Option<[i64; 2]>) -> Result<Limit> {
        match ts {
            None => Ok(Limit { deadline: None }),
            Some(ts) => Ok(Limit::after(from_timespec(ts)?)),
        }
    }

    /// What is left, in nanoseconds.
    fn left(self) -> i64 {
        let d = self.deadline.unwrap_or(0);
        d.saturating_sub(host::time::monotonic_ns()) as i64
    }
}

/// Runs `f` under the signal mask at `mask` where that is not null.
pub(crate) fn with_mask(mask: UserPtr<u64>, size: u64, f: impl FnOnce() -> Result<i64>) -> Result<i64> {
    if mask.is_null() {
        return f();
    }
    if size != 8 {
        return Err(Errno::EINVAL);
    }
    set_temporary_mask(SigSet(mask.read()?));
    let r = f();
    restore_mask_unless(matches!(r, Err(e) if e.is_restart() || e == Errno::EINTR));
    r
}

/// A file to look at, and what for.
struct Watch {
    file: Option<Arc<File>>,
    want: Events,
}

/// Looks at all files until at least one of the wanted events is true, `limit` is over or a signal comes. `got` receives
/// the events; the number of files with some.
fn wait_ready(watches: &[Watch], got: &mut [Events], limit: Limit) -> Result<usize> {
    let look = |got: &mut [Events], mut table: Option<&mut PollTable>| {
        let mut n = 0;
        for (w, g) in watches.iter().zip(got) {
            *g = match &w.file {
                Some(f) => f.ops().poll(f, table.as_deref_mut()) & (w.want | Events::ERR | Events::HUP),
                None => w.want,
            };
            if !g.is_empty() {
                n += 1;
                // Whoever has something to report does not sleep: no more registrations.
                table = None;
            }
        }
        n
    };
    let n = look(got, None);
    let me = current();
    if n > 0 {
        return Ok(n);
    }
    if limit.deadline == Some(0) {
        // Nothing is waited for, but a signal is told: this may be the only call that lets it come.
        return if me.interrupted(Interrupt::Signal) { Err(Errno::EINTR) } else { Ok(0) };
    }
    let mut table = PollTable::new(Arc::new(ThreadWaker(me.parker.clone())));
    let mut n = look(got, Some(&mut table));
    while n == 0 {
        if me.interrupted(Interrupt::Signal) {
            return Err(Errno::EINTR);
        }
        let in_time = me.park(limit.deadline);
        n = look(got, None);
        if !in_time {
            break;
        }
    }
    Ok(n)
}

/// Waits until one of `want` is true of `file`, or it has an end or an error to tell.
///
/// # Errors
/// `EAGAIN` where it would have to wait and may not; `ERESTARTSYS`.
pub(crate) fn wait_for(file: &Arc<File>, want: Events, may_wait: bool) -> Result<()> {
    let limit = if may_wait { Limit { deadline: None } } else { Limit { deadline: Some(0) } };
    let mut got = [Events::empty()];
    let n = wait_ready(&[Watch { file: Some(file.clone()), want }], &mut got, limit);
    match n {
        Ok(0) => Err(Errno::EAGAIN),
        Ok(_) => Ok(()),
        Err(Errno::EINTR) if may_wait => Err(Errno::ERESTARTSYS),
        Err(Errno::EINTR) => Err(Errno::EAGAIN),
        Err(e) => Err(e),
    }
}

/// sizeof(struct pollfd): fd, events, revents.
const POLLFD: usize = 8;

fn do_poll(at: u64, n: u64, limit: Limit) -> Result<i64> {
    if n > current().rlimit_nofile() {
        return Err(Errno::EINVAL);
    }
    let files = current().files();
    let raw = read_bytes(at, n as usize * POLLFD)?;
    let mut watches = Vec::with_capacity(n as usize);
    for p in raw.chunks_exact(POLLFD) {
        let fd = i32::from_ne_bytes([p[0], p[1], p[2], p[3]]);
        let want = Events::from_bits_truncate(u32::from(u16::from_ne_bytes([p[4], p[5]])));
        watches.push(match files.get(fd) {
            _ if fd < 0 => Watch { file: None, want: Events::empty() },
            // A descriptor that only names a place can not be asked.
            Ok(f) if f.flags() & oflag::PATH != 0 => Watch { file: None, want: Events::NVAL },
            Ok(f) => Watch { file: Some(f), want },
            Err(_) => Watch { file: None, want: Events::NVAL },
        });
    }
    let mut got = alloc::vec![Events::empty(); watches.len()];
    let ready = wait_ready(&watches, &mut got, limit)?;
    for (i, g) in got.iter().enumerate() {
        write_bytes(at + (i * POLLFD) as u64 + 6, &(g.bits() as u16).to_ne_bytes())?;
    }
    Ok(ready as i64)
}

pub fn poll(a: &Args) -> Result<i64> {
    poll_until(a.u64(0), a.u64(1), Limit::millis(a.int(2)))
}

/// poll(2) until `limit`; an interrupted call goes on with the same deadline (restart_syscall(2)).
pub(crate) fn poll_until(fds: u64, n: u64, limit: Limit) -> Result<i64> {
    let r = do_poll(fds, n, limit);
    if r == Err(Errno::EINTR) {
        *current().restart.lock() = Restart::Poll { fds, n, deadline: limit.deadline };
        return Err(Errno::ERESTART_RESTARTBLOCK);
    }
    r
}

/// Tells the application the time left, as Linux does for ppoll, select and pselect6.
fn write_left(at: UserPtr<[i64; 2]>, limit: Limit, per_unit: i64) {
    if !at.is_null() && limit.deadline.is_some() {
        let ts = to_timespec(if limit.deadline == Some(0) { 0 } else { limit.left().max(0) });
        // A time-out in read-only memory is no error (`poll_select_finish`).
        let _ = at.write([ts[0], ts[1] / per_unit]);
    }
}

fn no_handler(r: Result<i64>) -> Result<i64> {
    match r {
        Err(Errno::EINTR) => Err(Errno::ERESTARTNOHAND),
        r => r,
    }
}

pub fn ppoll(a: &Args) -> Result<i64> {
    let limit = Limit::timespec(a.ptr::<[i64; 2]>(2).read_if()?)?;
    with_mask(a.ptr(3), a.u64(4), || {
        let r = do_poll(a.u64(0), a.u64(1), limit);
        write_left(a.ptr(2), limit, 1);
        no_handler(r)
    })
}

const SELECT_IN: Events = Events::IN.union(Events::RDNORM).union(Events::RDBAND).union(Events::HUP).union(Events::ERR);
const SELECT_OUT: Events = Events::OUT.union(Events::WRNORM).union(Events::WRBAND).union(Events::ERR);
const SELECT_EX: Events = Events::PRI;

fn do_select(n: i32, sets: [u64; 3], limit: Limit) -> Result<i64> {
    if n < 0 {
        return Err(Errno::EINVAL);
    }
    let files = current().files();
    // Linux does not look beyond the table: bits up there are neither an error nor an event.
    let n = (n as usize).min(files.capacity());
    // An fd_set is an array of 64-bit words.
    let bytes = n.div_ceil(64) * 8;
    let mut asked: Vec<Vec<u8>> = Vec::with_capacity(3);
    for at in sets {
        asked.push(if at == 0 { Vec::new() } else { read_bytes(at, bytes)? });
    }
    let has = |set: usize, fd: usize| asked[set].get(fd / 8).is_some_and(|b| b & 1 << (fd % 8) != 0);
    let kinds = [SELECT_IN, SELECT_OUT, SELECT_EX];
    let (mut watches, mut fds) = (Vec::new(), Vec::new());
    for fd in 0..n {
        let mut want = Events::empty();
        for (set, kind) in kinds.iter().enumerate() {
            if has(set, fd) {
                want |= *kind;
            }
        }
        if !want.is_empty() {
            watches.push(Watch { file: Some(files.get(fd as i32)?), want });
            fds.push(fd);
        }
    }
    let mut got = alloc::vec![Events::empty(); watches.len()];
    // ERR and HUP count only for the set that they belong to: otherwise a file with nothing to report would end the
    // wait.
    let ready = wait_select(&watches, &mut got, limit)?;
    let mut count = 0;
    let mut out = [alloc::vec![0u8; bytes], alloc::vec![0; bytes], alloc::vec![0; bytes]];
    if ready > 0 {
        for (fd, g) in fds.iter().zip(&got) {
            for (set, kind) in kinds.iter().enumerate() {
                if has(set, *fd) && g.intersects(*kind) {
                    out[set][fd / 8] |= 1 << (fd % 8);
                    count += 1;
                }
            }
        }
    }
    for (at, set) in sets.iter().zip(&out) {
        if *at != 0 {
            write_bytes(*at, set)?;
        }
    }
    Ok(count)
}

/// [`wait_ready`] for select: an error on a file watched only for exceptional conditions is not reported, so it must not
/// end the wait either; waits again until something counts.
fn wait_select(watches: &[Watch], got: &mut [Events], limit: Limit) -> Result<usize> {
    loop {
        let n = wait_ready(watches, got, limit)?;
        let counts = watches.iter().zip(got.iter()).any(|(w, g)| g.intersects(w.want));
        if n == 0 || counts || limit.deadline.is_some_and(|d| d == 0 || host::time::monotonic_ns() >= d) {
            return Ok(if counts { n } else { 0 });
        }
        current().check_signals().map_err(|_| Errno::EINTR)?;
        // Such a file can not be waited for without being woken at once; look again after a moment.
        current().park(Some(host::time::monotonic_ns() + 10_000_000));
    }
}

pub fn select(a: &Args) -> Result<i64> {
    let at: UserPtr<[i64; 2]> = a.ptr(4);
    let limit = match at.read_if()? {
        None => Limit { deadline: None },
        Some([s, us]) => {
            if s < 0 || us < 0 {
                return Err(Errno::EINVAL);
            }
            // Microseconds of a second and more are carried over.
            Limit::after(
                s.saturating_add(us / 1_000_000).saturating_mul(1_000_000_000).saturating_add(us % 1_000_000 * 1000),
            )
        }
    };
    let r = do_select(a.int(0), [a.u64(1), a.u64(2), a.u64(3)], limit);
    write_left(at, limit, 1000);
    no_handler(r)
}

pub fn pselect6(a: &Args) -> Result<i64> {
    let at: UserPtr<[i64; 2]> = a.ptr(4);
    let limit = Limit::timespec(at.read_if()?)?;
    // The sixth argument leads to the mask's address and size.
    let [mask, size] = a.ptr::<[u64; 2]>(5).read_if()?.unwrap_or_default();
    with_mask(UserPtr::new(mask), size, || {
        let r = do_select(a.int(0), [a.u64(1), a.u64(2), a.u64(3)], limit);
        write_left(at, limit, 1);
        no_handler(r)
    })
}
