//! Opening FIFOs (fifo(7)).

use super::Pipe;
use alloc::sync::Arc;
use core_::file::{FileOps, oflag};
use core_::vfs::Inode;
use core_::wait::WaitQueue;
use core_::{Errno, Result};

/// Opens the FIFO `inode`, whose pipe lives in the inode's special slot. Blocks until the other end is open too, unless
/// O_NONBLOCK or open for both.
///
/// # Errors
/// `ENXIO` for a nonblocking writer without a reader; `ERESTARTSYS`.
pub fn open(inode: &Arc<dyn Inode>, flags: u32) -> Result<Arc<dyn FileOps>> {
    let slot = inode.special().ok_or(Errno::ENXIO)?;
    let pipe = {
        let mut s = slot.lock();
        match s.as_ref().and_then(|a| a.clone().downcast::<Pipe>().ok()) {
            Some(p) => p,
            None => {
                let p = Pipe::new();
                *s = Some(p.clone());
                p
            }
        }
    };
    let acc = flags & oflag::ACCMODE;
    let nonblock = flags & oflag::NONBLOCK != 0;
    if acc == oflag::WRONLY && nonblock && pipe.state.lock().readers == 0 {
        return Err(Errno::ENXIO);
    }
    // Opens are counted: a partner that comes and goes in the meantime ends the wait as well.
    let (there, seen) = pipe.count(flags);
    let end = pipe.counted_end(flags, true, (there, seen));
    pipe.data.wake_all();
    pipe.space.wake_all();
    if nonblock || there || acc == oflag::RDWR {
        return Ok(end);
    }
    let wait = |queue: &WaitQueue, reader: bool| {
        queue.wait(|| {
            let st = pipe.state.lock();
            let (there, opens) = if reader { (st.writers, st.writer_opens) } else { (st.readers, st.reader_opens) };
            (there > 0 || opens != seen).then_some(Ok(()))
        })
    };
    let waited = match acc {
        oflag::RDONLY => wait(&pipe.data, true),
        _ => wait(&pipe.space, false),
    };
    waited.inspect_err(|_| pipe.close(flags))?;
    Ok(end)
}
