//! null(4), zero(4), full(4), random(4).

use alloc::sync::Arc;
use core::any::Any;
use core_::file::{File, FileOps};
use core_::io::IoBuf;
use core_::vfs::Path;
use core_::wait::{Events, PollTable};
use core_::{Errno, Result};

pub const MAJOR: u32 = 1;

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
        if self.0 == Device::Full {
            return Err(Errno::ENOSPC);
        }
        let n = src.left();
        if matches!(self.0, Device::Random | Device::Urandom) {
            // Nothing comes of it, but it is read.
            let mut buf = [0; 256];
            while src.left() > 0 && src.take_some(&mut buf).is_ok() {}
            let done = n - src.left();
            return if done == 0 && n > 0 { Err(Errno::EFAULT) } else { Ok(done) };
        }
        src.advance(n);
        Ok(n)
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
