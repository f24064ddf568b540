//! eventfd(2).

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core_::file::{File, FileOps, oflag};
use core_::io::IoBuf;
use core_::wait::{Events, PollTable, WaitQueue};
use core_::{Errno, Mutex, Result};

struct EventFd {
    value: Mutex<u64>,
    semaphore: bool,
    wait: Arc<WaitQueue>,
}

/// A new counter; `flags` O_NONBLOCK or 0.
#[must_use]
pub fn new(value: u64, semaphore: bool, flags: u32) -> Arc<File> {
    let ops = EventFd { value: Mutex::new(value), semaphore, wait: Arc::new(WaitQueue::new()) };
    File::new(Arc::new(ops), oflag::RDWR | (flags & oflag::NONBLOCK))
}

impl EventFd {
    fn try_read(&self) -> Option<Result<u64>> {
        let mut v = self.value.lock();
        if *v == 0 {
            return None;
        }
        let n = if self.semaphore { 1 } else { *v };
        *v -= n;
        drop(v);
        self.wait.wake(Events::WRITE);
        Some(Ok(n))
    }

    fn try_write(&self, n: u64) -> Option<Result<()>> {
        let mut v = self.value.lock();
        // The counter never reaches 2^64-1 by a write.
        if u64::MAX - *v <= n {
            return None;
        }
        *v += n;
        drop(v);
        self.wait.wake(Events::READ);
        Some(Ok(()))
    }
}

impl FileOps for EventFd {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn read(&self, file: &File, dst: &mut IoBuf, _off: u64) -> Result<usize> {
        if dst.left() < 8 {
            return Err(Errno::EINVAL);
        }
        let n = match self.try_read() {
            Some(r) => r?,
            None if file.nonblocking() => return Err(Errno::EAGAIN),
            None => self.wait.wait(|| self.try_read())?,
        };
        dst.put(&n.to_ne_bytes())
    }

    fn write(&self, file: &File, src: &mut IoBuf, _off: u64) -> Result<usize> {
        if src.left() < 8 {
            return Err(Errno::EINVAL);
        }
        let mut b = [0; 8];
        if src.take(&mut b)? < 8 {
            return Err(Errno::EFAULT);
        }
        let n = u64::from_ne_bytes(b);
        if n == u64::MAX {
            return Err(Errno::EINVAL);
        }
        match self.try_write(n) {
            Some(r) => r?,
            None if file.nonblocking() => return Err(Errno::EAGAIN),
            None => self.wait.wait(|| self.try_write(n))?,
        }
        Ok(8)
    }

    fn poll(&self, _file: &File, table: Option<&mut PollTable>) -> Events {
        if let Some(t) = table {
            t.add(&self.wait);
        }
        let v = *self.value.lock();
        let mut ev = Events::empty();
        if v > 0 {
            ev |= Events::IN;
        }
        if v < u64::MAX - 1 {
            ev |= Events::OUT;
        }
        ev
    }

    fn seek(&self, _file: &File, _off: i64, _whence: u32) -> Result<u64> {
        Ok(0) // noop_llseek
    }

    fn link_text(&self, _file: &File) -> Option<Vec<u8>> {
        Some(b"anon_inode:[eventfd]".to_vec())
    }

    fn fdinfo(&self, _file: &File) -> Vec<u8> {
        alloc::format!("eventfd-count: {:16x}\n", *self.value.lock()).into_bytes()
    }
}
