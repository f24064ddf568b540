//! Opening FIFOs (fifo(7)).

use super::Pipe;
use alloc::sync::Arc;
use core::any::Any;
use core_::file::{File, oflag};
use core_::wait::WaitQueue;
use core_::{Errno, Mutex, Result};

type Slot = Mutex<Option<Arc<dyn Any + Send + Sync>>>;

/// Opens the FIFO whose pipe lives in `slot` of its inode. Blocks until the other end is open too, unless O_NONBLOCK
/// or open for both.
///
/// # Errors
/// `ENXIO` for a nonblocking writer without a reader; `ERESTARTSYS`.
pub fn open(
    slot: &Slot,
    flags: u32,
    path: Option<Arc<dyn Any + Send + Sync>>,
    inode: Option<Arc<dyn Any + Send + Sync>>,
) -> Result<Arc<File>> {
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
    let seen = {
        let st = pipe.state.lock();
        (st.writer_opens, st.reader_opens)
    };
    let file = pipe.end(true, flags, path, inode);
    pipe.data.wake_all();
    pipe.space.wake_all();
    if nonblock || acc == oflag::RDWR {
        return Ok(file);
    }
    let wait = |queue: &WaitQueue, reader: bool| {
        let seen = if reader { seen.0 } else { seen.1 };
        queue.wait(|| {
            let st = pipe.state.lock();
            let (there, opens) = if reader { (st.writers, st.writer_opens) } else { (st.readers, st.reader_opens) };
            (there > 0 || opens != seen).then_some(Ok(()))
        })
    };
    // Dropping the file on an interrupt closes the end again.
    if acc == oflag::RDONLY {
        wait(&pipe.data, true)?
    } else {
        wait(&pipe.space, false)?
    }
    Ok(file)
}
