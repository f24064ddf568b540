//! null(4), zero(4), full(4), random(4).

use alloc::sync::Arc;
use core::any::Any;
use core_::file::{File, FileOps};
use core_::io::{IoBuf, STEP, Way};
use core_::task::Cap;
use core_::uaccess::UserPtr;
use core_::vfs::Path;
use core_::wait::{Events, PollTable};
use core_::{Errno, Result, current};

pub const MAJOR: u32 = 1;

// random(4)'s own numbers (`linux/random.h`).
const RNDGETENTCNT: u32 = 0x8004_5200;
const RNDADDTOENTCNT: u32 = 0x4004_5201;
const RNDADDENTROPY: u32 = 0x4008_5203;
const RNDZAPENTCNT: u32 = 0x5204;
const RNDCLEARPOOL: u32 = 0x5206;
const RNDRESEEDCRNG: u32 = 0x5207;
/// What a pool that is ready holds: Linux counts no further.
const POOL_BITS: u32 = 256;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Device {
    Null,
    Zero,
    Full,
    Random,
    Urandom,
}

struct Memory(Device);

pub fn open(minor: u32, _flags: u32, _path: &Path) -> Result<Arc<dyn FileOps>> {
    Ok(Arc::new(Memory(match minor {
        3 => Device::Null,
        5 => Device::Zero,
        7 => Device::Full,
        8 => Device::Random,
        9 => Device::Urandom,
        _ => return Err(Errno::ENXIO),
    })))
}

/// Reads what is given to the pool, and mixes nothing: the host's generator is ready, and is not the guest's to feed.
fn absorb(src: &mut IoBuf) -> Result<usize> {
    let mut block = [0u8; 64];
    while src.left() > 0 {
        match src.take_some(&mut block) {
            Ok(_) => {}
            Err(e) if src.done() == 0 => return Err(e),
            Err(_) => break,
        }
        if src.done() % STEP == 0 && current().check_signals().is_err() {
            break;
        }
    }
    Ok(src.done())
}

/// random(4): to add to the pool is root's, and what is counted is full already.
fn random_ioctl(cmd: u32, arg: u64) -> Result<i64> {
    match cmd {
        RNDGETENTCNT => return UserPtr::new(arg).write(POOL_BITS).map(|()| 0),
        RNDADDTOENTCNT | RNDADDENTROPY | RNDZAPENTCNT | RNDCLEARPOOL | RNDRESEEDCRNG => {}
        _ => return Err(Errno::EINVAL),
    }
    if !current().cred().has(Cap::SysAdmin) {
        return Err(Errno::EPERM);
    }
    let numbers = UserPtr::<i32>::new(arg);
    if matches!(cmd, RNDADDTOENTCNT | RNDADDENTROPY) && numbers.read()? < 0 {
        return Err(Errno::EINVAL);
    }
    if cmd == RNDADDENTROPY {
        let len = i64::from(numbers.at(1).read()?) as u64;
        let mut src = IoBuf::user(numbers.at(2).addr, len, Way::OutOf)?;
        if absorb(&mut src)? as u64 != len {
            return Err(Errno::EFAULT);
        }
    }
    Ok(0)
}

impl FileOps for Memory {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn read(&self, _file: &File, dst: &mut IoBuf, _off: u64) -> Result<usize> {
        match self.0 {
            Device::Null => Ok(0),
            Device::Zero | Device::Full => {
                let left = dst.left();
                dst.put_zeros(left)
            }
            Device::Random | Device::Urandom => dst.put_random(),
        }
    }

    fn write(&self, _file: &File, src: &mut IoBuf, _off: u64) -> Result<usize> {
        match self.0 {
            Device::Full => Err(Errno::ENOSPC),
            Device::Random | Device::Urandom => absorb(src),
            Device::Null | Device::Zero => {
                let n = src.left();
                src.advance(n);
                Ok(n)
            }
        }
    }

    fn ioctl(&self, _file: &File, cmd: u32, arg: u64) -> Result<i64> {
        match self.0 {
            Device::Random | Device::Urandom => random_ioctl(cmd, arg),
            _ => Err(Errno::ENOTTY),
        }
    }

    fn maps_zeros(&self) -> bool {
        self.0 == Device::Zero
    }

    fn ignores_offset(&self) -> bool {
        true
    }

    fn seek(&self, _file: &File, _off: i64, _whence: u32) -> Result<u64> {
        Ok(0)
    }

    /// Linux's poll says ready always; epoll refuses files without a poll function, but random has one.
    fn pollable(&self) -> bool {
        self.0 == Device::Random
    }

    fn poll(&self, _file: &File, _table: Option<&mut PollTable>) -> Events {
        if self.0 == Device::Random { Events::READ } else { Events::READ | Events::WRITE }
    }
}
