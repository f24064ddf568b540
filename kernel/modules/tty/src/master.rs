//! The master side of a pty pair (ptmx(4)).

use super::{MAX_PENDING, Todo, Tty};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core_::file::{File, FileOps};
use core_::io::IoBuf;
use core_::wait::{Events, PollTable};
use core_::{Errno, Result, current};

pub(super) struct Master {
    pub(super) tty: Arc<Tty>,
}

/// Opens /dev/ptmx: a new pair. The slave stays locked until TIOCSPTLCK.
///
/// # Errors
/// `ENOSPC` where there are too many terminals.
pub fn open() -> Result<Arc<dyn FileOps>> {
    let cred = current().cred();
    let tty = Tty::new([0; 4], (cred.fsuid, cred.fsgid), None, true)?;
    Ok(Arc::new(Master { tty }))
}

impl Master {
    fn try_read(&self, max: usize) -> Option<Result<Vec<u8>>> {
        let mut st = self.tty.state.lock();
        if st.packet && st.packet_events != 0 {
            return Some(Ok(alloc::vec![core::mem::take(&mut st.packet_events)]));
        }
        if st.out.is_empty() {
            // Nobody can write any more.
            return st.abandoned().then_some(Err(Errno::EIO));
        }
        let head = usize::from(st.packet);
        let n = (max - head).min(st.out.len());
        let mut v = Vec::with_capacity(n + head);
        if st.packet {
            v.push(0);
        }
        v.extend(st.out.drain(..n));
        drop(st);
        self.tty.finish(Todo { space: true, ..Todo::default() });
        Some(Ok(v))
    }
}

impl FileOps for Master {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn read(&self, file: &File, dst: &mut IoBuf, _off: u64) -> Result<usize> {
        let max = dst.left();
        if max == 0 {
            return Ok(0);
        }
        let bytes = match self.try_read(max) {
            Some(r) => r?,
            None if file.nonblocking() => return Err(Errno::EAGAIN),
            None => self.tty.far.wait(|| self.try_read(max))?,
        };
        dst.put(&bytes)
    }

    fn write(&self, file: &File, src: &mut IoBuf, _off: u64) -> Result<usize> {
        let mut total = 0;
        let mut buf = [0u8; 1024];
        while src.left() > 0 {
            // Room first: what is taken from the source must not be dropped.
            let ready = || (self.tty.feed_room() >= buf_len(src.left())).then_some(Ok(()));
            let r = match ready() {
                Some(r) => r,
                None if file.nonblocking() => Err(Errno::EAGAIN),
                None => self.tty.far.wait(ready),
            };
            let r = r.and_then(|()| src.take(&mut buf));
            match r {
                Ok(n) => {
                    // Two writers at once can find less room than they saw; the rest is lost as on a full line.
                    self.tty.feed(&buf[..n]);
                    total += n;
                }
                Err(_) if total > 0 => return Ok(total),
                Err(e) => return Err(e),
            }
        }
        Ok(total)
    }

    fn poll(&self, _file: &File, table: Option<&mut PollTable>) -> Events {
        if let Some(t) = table {
            t.add(&self.tty.far);
        }
        let st = self.tty.state.lock();
        let mut ev = Events::empty();
        if !st.out.is_empty() {
            ev |= Events::READ;
        }
        if st.packet && st.packet_events != 0 {
            ev |= Events::READ | Events::PRI;
        }
        if st.pending.len() + 1024 <= MAX_PENDING {
            ev |= Events::WRITE;
        }
        if st.abandoned() {
            ev |= Events::HUP;
        }
        ev
    }

    fn ioctl(&self, _file: &File, cmd: u32, arg: u64) -> Result<i64> {
        self.tty.master_ioctl(cmd, arg)
    }

    fn link_text(&self, file: &File) -> Option<Vec<u8>> {
        file.path().is_none().then(|| b"/dev/ptmx".to_vec())
    }

    fn fdinfo(&self, _file: &File) -> Vec<u8> {
        alloc::format!("tty-index:\t{}\n", self.tty.index).into_bytes()
    }

    fn release(&self, _file: &File) {
        self.tty.state.lock().master_open = false;
        self.tty.hang_up();
        self.tty.forget();
    }
}

fn buf_len(left: usize) -> usize {
    left.min(1024)
}
