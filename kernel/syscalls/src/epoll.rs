//! epoll(7)'s calls.

use crate::Args;
use crate::poll::{Limit, with_mask};
use core_::file::oflag;
use core_::uaccess::{UserPtr, write_bytes};
use core_::{Errno, Result, current};
use events::epoll::{Op, of};

/// sizeof(struct epoll_event): packed on x86-64.
const EVENT: usize = 12;
/// EP_MAX_EVENTS.
const MAX_EVENTS: i32 = i32::MAX / EVENT as i32;

pub fn epoll_create(a: &Args) -> Result<i64> {
    if a.int(0) <= 0 {
        return Err(Errno::EINVAL);
    }
    current().files().add(events::epoll::new(), false).map(i64::from)
}

pub fn epoll_create1(a: &Args) -> Result<i64> {
    if a.u32(0) & !oflag::CLOEXEC != 0 {
        return Err(Errno::EINVAL);
    }
    current().files().add(events::epoll::new(), a.u32(0) != 0).map(i64::from)
}

pub fn epoll_ctl(a: &Args) -> Result<i64> {
    let op = match a.int(1) {
        1 => Some(Op::Add),
        2 => Some(Op::Delete),
        3 => Some(Op::Modify),
        _ => None,
    };
    let (mut events, mut data) = (0, 0);
    if op != Some(Op::Delete) {
        let raw = a.ptr::<[u8; EVENT]>(3).read()?;
        events = u32::from_ne_bytes([raw[0], raw[1], raw[2], raw[3]]);
        let mut d = [0; 8];
        d.copy_from_slice(&raw[4..]);
        data = u64::from_ne_bytes(d);
    }
    let files = current().files();
    let ep = files.get(a.fd(0))?;
    let file = files.get(a.fd(2))?;
    if (ep.flags() | file.flags()) & oflag::PATH != 0 {
        return Err(Errno::EBADF);
    }
    if !file.ops().pollable() {
        return Err(Errno::EPERM);
    }
    let ep = of(&ep)?;
    ep.control(op.ok_or(Errno::EINVAL)?, a.fd(2), &file, events, data)?;
    Ok(0)
}

fn wait(epfd: i32, out: u64, max: i32, limit: Limit) -> Result<i64> {
    if max <= 0 || max > MAX_EVENTS {
        return Err(Errno::EINVAL);
    }
    if !abi::layout::user_range_ok(out, max as u64 * EVENT as u64) {
        return Err(Errno::EFAULT);
    }
    let file = current().files().get(epfd)?;
    let got = of(&file)?.wait(max as usize, limit.deadline)?;
    let mut n = 0;
    for (events, data) in &got {
        let mut raw = [0; EVENT];
        raw[..4].copy_from_slice(&events.to_ne_bytes());
        raw[4..].copy_from_slice(&data.to_ne_bytes());
        if let Err(e) = write_bytes(out + n * EVENT as u64, &raw) {
            if n == 0 {
                return Err(e);
            }
            break;
        }
        n += 1;
    }
    Ok(n as i64)
}

pub fn epoll_wait(a: &Args) -> Result<i64> {
    wait(a.fd(0), a.u64(1), a.int(2), Limit::millis(a.int(3)))
}

pub fn epoll_pwait(a: &Args) -> Result<i64> {
    with_mask(a.ptr(4), a.u64(5), || wait(a.fd(0), a.u64(1), a.int(2), Limit::millis(a.int(3))))
}

pub fn epoll_pwait2(a: &Args) -> Result<i64> {
    let timeout: UserPtr<[i64; 2]> = a.ptr(3);
    let limit = Limit::timespec(timeout.read_if()?)?;
    with_mask(a.ptr(4), a.u64(5), || wait(a.fd(0), a.u64(1), a.int(2), limit))
}
