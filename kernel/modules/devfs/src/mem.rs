//! null(4), zero(4), full(4), random(4).

use alloc::sync::Arc;
use core::any::Any;
use core_::file::{File, FileOps};
use core_::io::IoBuf;
use core_::vfs::Path;
use core_::{Errno, Result, current};

pub const MAJOR: u32 = 1;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Device {
    Null,
    Zero,
    Full,
    Random,
}

struct Memory(Device);

pub fn open(minor: u32, _flags: u32, _path: &Path) -> Result<Arc<dyn FileOps>> {
    Ok(Arc::new(Memory(match minor {
        3 => Device::Null,
        5 => Device::Zero,
        7 => Device::Full,
        8 | 9 => Device::Random,
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
            Device::Random => {
                let mut total = 0;
                let mut buf = [0u8; 256];
                while dst.left() > 0 {
                    let n = dst.left().min(buf.len());
                    host::process::getrandom(&mut buf[..n]);
                    match dst.put(&buf[..n]) {
                        Ok(n) => total += n,
                        Err(e) if total == 0 => return Err(e),
                        Err(_) => break,
                    }
                    // A large read ends early at a signal, as Linux's does.
                    if total % 65536 == 0 && current().check_signals().is_err() {
                        break;
                    }
                }
                Ok(total)
            }
        }
    }

    fn write(&self, _file: &File, src: &mut IoBuf, _off: u64) -> Result<usize> {
        if self.0 == Device::Full {
            return Err(Errno::ENOSPC);
        }
        let n = src.left();
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
}
