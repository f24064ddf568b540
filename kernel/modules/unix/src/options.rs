//! Socket options (socket(7), unix(7)).

use super::{Phase, UnixSocket};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering};
use core_::net::AF_UNIX;
use core_::task::{Cap, new_pidfd};
use core_::wait::{Interrupt, WaitQueue, wait_on};
use core_::{Errno, Result, current};

const SOL_SOCKET: i32 = 1;
/// net.core.wmem_default and wmem_max; a setting is doubled (socket(7)).
const BUF_DEFAULT: u32 = 212_992;
const BUF_MAX: u32 = 212_992;
const BUF_MIN: u32 = 4608;
/// The most with the FORCE options: a message is kept in the kernel's memory.
const BUF_HARD: u32 = 8 << 20;

mod so {
    pub const DEBUG: i32 = 1;
    pub const REUSEADDR: i32 = 2;
    pub const TYPE: i32 = 3;
    pub const ERROR: i32 = 4;
    pub const DONTROUTE: i32 = 5;
    pub const BROADCAST: i32 = 6;
    pub const SNDBUF: i32 = 7;
    pub const RCVBUF: i32 = 8;
    pub const KEEPALIVE: i32 = 9;
    pub const OOBINLINE: i32 = 10;
    pub const PRIORITY: i32 = 12;
    pub const LINGER: i32 = 13;
    pub const REUSEPORT: i32 = 15;
    pub const PASSCRED: i32 = 16;
    pub const PEERCRED: i32 = 17;
    pub const RCVLOWAT: i32 = 18;
    pub const SNDLOWAT: i32 = 19;
    pub const RCVTIMEO: i32 = 20;
    pub const SNDTIMEO: i32 = 21;
    pub const TIMESTAMP: i32 = 29;
    pub const ACCEPTCONN: i32 = 30;
    pub const SNDBUFFORCE: i32 = 32;
    pub const RCVBUFFORCE: i32 = 33;
    pub const PROTOCOL: i32 = 38;
    pub const DOMAIN: i32 = 39;
    pub const PEEK_OFF: i32 = 42;
    pub const PEERGROUPS: i32 = 59;
    pub const PASSPIDFD: i32 = 76;
    pub const PEERPIDFD: i32 = 77;
}

/// Flags that a program may set and read back, without any effect on local sockets.
const PLAIN: &[i32] = &[
    so::DEBUG,
    so::REUSEADDR,
    so::DONTROUTE,
    so::BROADCAST,
    so::KEEPALIVE,
    so::OOBINLINE,
    so::REUSEPORT,
    so::TIMESTAMP,
];

/// What setsockopt changed.
pub struct Options {
    pass_cred: AtomicBool,
    pass_pidfd: AtomicBool,
    /// SO_PEEK_OFF: where the next MSG_PEEK begins; negative: at the front, always.
    peek_off: AtomicI32,
    plain: AtomicU64,
    send_buf: AtomicU32,
    recv_buf: AtomicU32,
    low_water: AtomicU32,
    priority: AtomicU32,
    linger: AtomicU64,
    /// Nanoseconds, 0 for none.
    send_timeout: AtomicU64,
    recv_timeout: AtomicU64,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            pass_cred: AtomicBool::new(false),
            pass_pidfd: AtomicBool::new(false),
            peek_off: AtomicI32::new(-1),
            plain: AtomicU64::new(0),
            send_buf: AtomicU32::new(BUF_DEFAULT),
            recv_buf: AtomicU32::new(BUF_DEFAULT),
            low_water: AtomicU32::new(1),
            priority: AtomicU32::new(0),
            linger: AtomicU64::new(0),
            send_timeout: AtomicU64::new(0),
            recv_timeout: AtomicU64::new(0),
        }
    }
}

fn deadline(timeout: &AtomicU64) -> Option<u64> {
    match timeout.load(Ordering::Relaxed) {
        0 => None,
        ns => Some(host::time::monotonic_ns().saturating_add(ns)),
    }
}

impl Options {
    pub fn pass_cred(&self) -> bool {
        self.pass_cred.load(Ordering::Relaxed)
    }

    pub fn pass_pidfd(&self) -> bool {
        self.pass_pidfd.load(Ordering::Relaxed)
    }

    /// Where a MSG_PEEK begins.
    pub fn peek_from(&self) -> usize {
        self.peek_off.load(Ordering::Relaxed).max(0) as usize
    }

    /// `n` bytes were looked at, or taken from the front (`sk_peek_offset_fwd`, `sk_peek_offset_bwd`).
    pub fn peeked(&self, n: usize, taken: bool) {
        let n = n as i32;
        let moved = |off: i32| (off >= 0).then(|| if taken { (off - n).max(0) } else { off.saturating_add(n) });
        let _ = self.peek_off.fetch_update(Ordering::Relaxed, Ordering::Relaxed, moved);
    }

    pub fn send_buf(&self) -> usize {
        self.send_buf.load(Ordering::Relaxed) as usize
    }

    pub fn send_deadline(&self) -> Option<u64> {
        deadline(&self.send_timeout)
    }

    /// Waits under SO_RCVTIMEO. With a time limit a signal gives EINTR, never a restart (signal(7)).
    pub fn wait_recv<T>(&self, queue: &WaitQueue, cond: impl FnMut() -> Option<Result<T>>) -> Result<T> {
        limited(queue, deadline(&self.recv_timeout), cond)
    }

    /// Waits under SO_SNDTIMEO.
    pub fn wait_send<T>(&self, queue: &WaitQueue, cond: impl FnMut() -> Option<Result<T>>) -> Result<T> {
        limited(queue, self.send_deadline(), cond)
    }
}

fn limited<T>(queue: &WaitQueue, deadline: Option<u64>, cond: impl FnMut() -> Option<Result<T>>) -> Result<T> {
    match wait_on(&[queue], deadline, Interrupt::Signal, cond) {
        Err(Errno::ETIMEDOUT) => Err(Errno::EAGAIN),
        Err(Errno::ERESTARTSYS) if deadline.is_some() => Err(Errno::EINTR),
        r => r,
    }
}

fn int(value: &[u8]) -> Result<i32> {
    match value.get(..4) {
        Some(b) => Ok(i32::from_ne_bytes([b[0], b[1], b[2], b[3]])),
        None => Err(Errno::EINVAL),
    }
}

fn word(value: &[u8], at: usize) -> Result<i64> {
    let mut b = [0; 8];
    b.copy_from_slice(value.get(at..at + 8).ok_or(Errno::EINVAL)?);
    Ok(i64::from_ne_bytes(b))
}

/// struct timeval to nanoseconds; a negative time means not to wait, a zero one to wait for ever.
fn timeout(value: &[u8]) -> Result<u64> {
    let (s, us) = (word(value, 0)?, word(value, 8)?);
    if !(0..1_000_000).contains(&us) {
        return Err(Errno::EDOM);
    }
    if s < 0 {
        return Ok(1);
    }
    Ok((s as u64).saturating_mul(1_000_000_000).saturating_add(us as u64 * 1000))
}

impl UnixSocket {
    pub(super) fn set_opt(&self, level: i32, name: i32, value: &[u8]) -> Result<()> {
        if level != SOL_SOCKET {
            return Err(Errno::EOPNOTSUPP);
        }
        let o = &self.options;
        match name {
            so::RCVTIMEO => {
                o.recv_timeout.store(timeout(value)?, Ordering::Relaxed);
                return Ok(());
            }
            so::SNDTIMEO => {
                o.send_timeout.store(timeout(value)?, Ordering::Relaxed);
                return Ok(());
            }
            so::LINGER => {
                let mut b = [0; 8];
                b.copy_from_slice(value.get(..8).ok_or(Errno::EINVAL)?);
                o.linger.store(u64::from_ne_bytes(b), Ordering::Relaxed);
                return Ok(());
            }
            _ => {}
        }
        let v = int(value)?;
        let double = |max: u32| ((v.max(0) as u32).min(max) * 2).max(BUF_MIN);
        let force = || {
            if current().cred().has(Cap::NetAdmin) { Ok(double(BUF_HARD / 2)) } else { Err(Errno::EPERM) }
        };
        match name {
            _ if PLAIN.contains(&name) => {
                let bit = 1u64 << name;
                if v != 0 {
                    o.plain.fetch_or(bit, Ordering::Relaxed)
                } else {
                    o.plain.fetch_and(!bit, Ordering::Relaxed)
                };
            }
            so::PASSCRED => o.pass_cred.store(v != 0, Ordering::SeqCst),
            so::PASSPIDFD => o.pass_pidfd.store(v != 0, Ordering::SeqCst),
            so::PEEK_OFF => o.peek_off.store(v, Ordering::Relaxed),
            so::SNDBUF => o.send_buf.store(double(BUF_MAX), Ordering::Relaxed),
            so::RCVBUF => o.recv_buf.store(double(BUF_MAX), Ordering::Relaxed),
            so::SNDBUFFORCE => o.send_buf.store(force()?, Ordering::Relaxed),
            so::RCVBUFFORCE => o.recv_buf.store(force()?, Ordering::Relaxed),
            so::RCVLOWAT => o.low_water.store(v.max(1) as u32, Ordering::Relaxed),
            so::PRIORITY if (0..=6).contains(&v) => o.priority.store(v as u32, Ordering::Relaxed),
            so::PRIORITY => return Err(Errno::EPERM),
            _ => return Err(Errno::ENOPROTOOPT),
        }
        Ok(())
    }

    pub(super) fn get_opt(&self, level: i32, name: i32, _max: usize) -> Result<Vec<u8>> {
        if level != SOL_SOCKET {
            return Err(Errno::EOPNOTSUPP);
        }
        let o = &self.options;
        let timeval = |t: &AtomicU64| {
            let ns = t.load(Ordering::Relaxed);
            let mut v = (ns / 1_000_000_000).to_ne_bytes().to_vec();
            v.extend_from_slice(&(ns % 1_000_000_000 / 1000).to_ne_bytes());
            v
        };
        let v = match name {
            _ if PLAIN.contains(&name) => u32::from(o.plain.load(Ordering::Relaxed) & 1 << name != 0),
            so::TYPE => self.kind,
            so::DOMAIN => AF_UNIX,
            so::PROTOCOL => 0,
            so::ERROR => self.error.swap(0, Ordering::SeqCst),
            so::SNDBUF => o.send_buf.load(Ordering::Relaxed),
            so::RCVBUF => o.recv_buf.load(Ordering::Relaxed),
            so::RCVLOWAT => o.low_water.load(Ordering::Relaxed),
            so::SNDLOWAT => 1,
            so::PRIORITY => o.priority.load(Ordering::Relaxed),
            so::PASSCRED => u32::from(o.pass_cred()),
            so::ACCEPTCONN => u32::from(matches!(self.state.lock().phase, Phase::Listening { .. })),
            so::LINGER => return Ok(o.linger.load(Ordering::Relaxed).to_ne_bytes().to_vec()),
            so::RCVTIMEO => return Ok(timeval(&o.recv_timeout)),
            so::SNDTIMEO => return Ok(timeval(&o.send_timeout)),
            so::PEERCRED => {
                let c = self.state.lock().peer_cred.as_ref().map_or([0, u32::MAX, u32::MAX], |p| p.ids);
                return Ok(c.iter().flat_map(|w| w.to_ne_bytes()).collect());
            }
            so::PEERGROUPS => {
                let peer = self.state.lock().peer_cred.clone().ok_or(Errno::ENODATA)?;
                return Ok(peer.groups.iter().flat_map(|g| g.to_ne_bytes()).collect());
            }
            so::PEERPIDFD => {
                let peer = self.state.lock().peer_cred.clone().ok_or(Errno::ENODATA)?;
                current().files().add(new_pidfd(peer.process)?, true)? as u32
            }
            so::PEEK_OFF => o.peek_off.load(Ordering::Relaxed) as u32,
            so::PASSPIDFD => u32::from(o.pass_pidfd()),
            _ => return Err(Errno::ENOPROTOOPT),
        };
        Ok(v.to_ne_bytes().to_vec())
    }
}
