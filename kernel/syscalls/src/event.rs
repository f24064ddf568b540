//! eventfd(2), timerfd_create(2), signalfd(2).

use crate::Args;
use alloc::sync::Arc;
use core_::file::{File, oflag};
use core_::signal::SigSet;
use core_::time::{Clock, Setting, from_timespec, to_timespec};
use core_::uaccess::UserPtr;
use core_::{Errno, Result, current};

fn install(file: Arc<File>, flags: u32) -> Result<i64> {
    current().files().add(file, flags & oflag::CLOEXEC != 0).map(i64::from)
}

pub fn eventfd(a: &Args) -> Result<i64> {
    install(events::eventfd::new(u64::from(a.u32(0)), false, 0), 0)
}

pub fn eventfd2(a: &Args) -> Result<i64> {
    const SEMAPHORE: u32 = 1;
    let flags = a.u32(1);
    if flags & !(SEMAPHORE | oflag::NONBLOCK | oflag::CLOEXEC) != 0 {
        return Err(Errno::EINVAL);
    }
    install(events::eventfd::new(u64::from(a.u32(0)), flags & SEMAPHORE != 0, flags), flags)
}

pub fn timerfd_create(a: &Args) -> Result<i64> {
    let (clock, flags) = (a.int(0), a.u32(1));
    if flags & !(oflag::NONBLOCK | oflag::CLOEXEC) != 0 {
        return Err(Errno::EINVAL);
    }
    match clock {
        Clock::REALTIME | Clock::MONOTONIC | Clock::BOOTTIME => {}
        // The alarm clocks want CAP_WAKE_ALARM (35).
        8 | 9 if current().cred().cap_effective & 1 << 35 == 0 => return Err(Errno::EPERM),
        8 | 9 => {}
        _ => return Err(Errno::EINVAL),
    }
    install(events::timerfd::new(clock, flags), flags)
}

/// struct itimerspec (interval first) to a setting.
pub(crate) fn read_itimerspec(p: UserPtr<[i64; 4]>) -> Result<Setting> {
    let v = p.read()?;
    let (value, interval) = (from_timespec([v[2], v[3]])?, from_timespec([v[0], v[1]])?);
    Ok(Setting { value, interval })
}

pub(crate) fn itimerspec(s: Setting) -> [i64; 4] {
    let (i, v) = (to_timespec(s.interval), to_timespec(s.value));
    [i[0], i[1], v[0], v[1]]
}

pub fn timerfd_settime(a: &Args) -> Result<i64> {
    const ABSTIME: u32 = 1;
    const CANCEL_ON_SET: u32 = 2;
    let flags = a.u32(1);
    if flags & !(ABSTIME | CANCEL_ON_SET) != 0 {
        return Err(Errno::EINVAL);
    }
    let new = read_itimerspec(a.ptr(2))?;
    let file = current().files().get(a.fd(0))?;
    let old = events::timerfd::set(&file, new, flags & ABSTIME != 0)?;
    a.ptr::<[i64; 4]>(3).write_if(|| itimerspec(old))?;
    Ok(0)
}

pub fn timerfd_gettime(a: &Args) -> Result<i64> {
    let file = current().files().get(a.fd(0))?;
    let s = events::timerfd::get(&file)?;
    a.ptr::<[i64; 4]>(1).write(itimerspec(s))?;
    Ok(0)
}

pub fn signalfd(a: &Args) -> Result<i64> {
    make_signalfd(a, 0)
}

pub fn signalfd4(a: &Args) -> Result<i64> {
    make_signalfd(a, a.u32(3))
}

fn make_signalfd(a: &Args, flags: u32) -> Result<i64> {
    if a.u64(2) != 8 || flags & !(oflag::NONBLOCK | oflag::CLOEXEC) != 0 {
        return Err(Errno::EINVAL);
    }
    let mask = SigSet(a.ptr::<u64>(1).read()?);
    if a.fd(0) == -1 {
        return install(events::signalfd::new(mask, flags), flags);
    }
    let file = current().files().get(a.fd(0))?;
    events::signalfd::set_mask(&file, mask)?;
    Ok(i64::from(a.fd(0)))
}
