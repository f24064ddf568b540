//! Pipes and FIFOs (pipe(7), fifo(7)).
//!
//! One lock and one byte ring a pipe. User memory is copied straight into and out of the ring under the lock: the
//! host resolves the faults of application memory, no other lock of this kernel is needed for it.
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;

mod buffer;
mod fifo;

use alloc::sync::Arc;
use alloc::vec::Vec;
use buffer::Buffer;
use core::any::Any;
use core_::file::{File, FileOps, oflag};
use core_::io::IoBuf;
use core_::signal::{own_signal, send_current, sig};
use core_::task::Cap;
use core_::uaccess::UserPtr;
use core_::vfs::{Attr, SetAttr, kind};
use core_::wait::{Events, PollTable, WaitQueue};
use core_::{Errno, Mutex, Result, anon};

pub use fifo::open as open_fifo;

/// Writes up to this size are not interleaved with others (PIPE_BUF).
pub const PIPE_BUF: usize = 4096;
/// A pipe's capacity at first: 16 pages.
const DEFAULT_CAPACITY: usize = 65536;
/// What a process without CAP_SYS_RESOURCE can set (/proc/sys/fs/pipe-max-size).
const MAX_CAPACITY: usize = 1 << 20;
/// What nobody can exceed here.
const HARD_CAPACITY: usize = 1 << 24;

const FIONREAD: u32 = 0x541b;

struct State {
    buffer: Buffer,
    capacity: usize,
    readers: usize,
    writers: usize,
    /// How often an end of each kind was opened: what a blocking open of a FIFO waits for.
    reader_opens: u64,
    writer_opens: u64,
}

/// A pipe: what both ends share.
pub struct Pipe {
    node: anon::Node,
    state: Mutex<State>,
    /// Readers wait here for bytes or for the last writer to go.
    data: Arc<WaitQueue>,
    /// Writers wait here for space or for the last reader to go.
    space: Arc<WaitQueue>,
}

impl Pipe {
    fn new() -> Arc<Pipe> {
        Arc::new(Pipe {
            node: anon::Node::new(kind::FIFO),
            state: Mutex::new(State {
                buffer: Buffer::default(),
                capacity: DEFAULT_CAPACITY,
                readers: 0,
                writers: 0,
                reader_opens: 0,
                writer_opens: 0,
            }),
            data: Arc::new(WaitQueue::new()),
            space: Arc::new(WaitQueue::new()),
        })
    }

    /// An end; which ends it is follows from the flags' access mode (a FIFO can be opened for both).
    fn end(self: &Arc<Pipe>, flags: u32, named: bool) -> Arc<dyn FileOps> {
        let partner = self.count(flags);
        self.counted_end(flags, named, partner)
    }

    /// The object of an end that [`Pipe::count`] has counted.
    fn counted_end(self: &Arc<Pipe>, flags: u32, named: bool, (partner, opens): (bool, u64)) -> Arc<dyn FileOps> {
        let early = named && flags & oflag::ACCMODE == oflag::RDONLY && flags & oflag::NONBLOCK != 0 && !partner;
        Arc::new(End { pipe: self.clone(), named, quiet_at: early.then_some(opens) })
    }

    /// Counts a new end. Tells what an opener of a FIFO has to know, all of one moment: whether the other side is there, and how
    /// often it has been opened.
    fn count(&self, flags: u32) -> (bool, u64) {
        let mut st = self.state.lock();
        let acc = flags & oflag::ACCMODE;
        let partner =
            if acc == oflag::RDONLY { (st.writers > 0, st.writer_opens) } else { (st.readers > 0, st.reader_opens) };
        if acc != oflag::WRONLY {
            st.readers += 1;
            st.reader_opens += 1;
        }
        if acc != oflag::RDONLY {
            st.writers += 1;
            st.writer_opens += 1;
        }
        partner
    }

    fn try_read(&self, dst: &mut IoBuf) -> Option<Result<usize>> {
        let mut st = self.state.lock();
        if st.buffer.is_empty() {
            return (st.writers == 0).then_some(Ok(0));
        }
        let r = st.buffer.read(dst);
        let open = st.free() >= PIPE_BUF;
        drop(st);
        // Costs one load where no writer waits.
        if open {
            self.space.wake(Events::WRITE);
        }
        Some(r)
    }

    /// One step of a write: None where it has to wait.
    fn try_write(&self, file: &File, src: &mut IoBuf) -> Option<Result<usize>> {
        let mut st = self.state.lock();
        if st.readers == 0 {
            return Some(Err(Errno::EPIPE));
        }
        let want = src.left();
        let free = st.free();
        let packet = file.flags() & oflag::DIRECT != 0;
        let n = if packet { want.min(PIPE_BUF) } else { want };
        // PIPE_BUF bytes or fewer: all or nothing.
        let enough = if want <= PIPE_BUF || packet { free >= n } else { free > 0 };
        if !enough {
            return None;
        }
        let r = st.buffer.write(src, n.min(free), packet);
        drop(st);
        if matches!(r, Ok(n) if n > 0) {
            self.data.wake(Events::READ);
        }
        Some(r)
    }

    fn close(&self, flags: u32) {
        let (mut no_readers, mut no_writers) = (false, false);
        {
            let mut st = self.state.lock();
            let acc = flags & oflag::ACCMODE;
            if acc != oflag::WRONLY {
                st.readers -= 1;
                no_readers = st.readers == 0;
            }
            if acc != oflag::RDONLY {
                st.writers -= 1;
                no_writers = st.writers == 0;
            }
            if st.readers == 0 && st.writers == 0 {
                st.buffer.clear();
            }
        }
        if no_readers {
            self.space.wake_all();
        }
        if no_writers {
            self.data.wake_all();
        }
    }

    fn set_capacity(&self, arg: u64) -> Result<i64> {
        if arg == 0 || arg > i32::MAX as u64 {
            return Err(Errno::EINVAL);
        }
        let size = (arg as usize).max(4096).next_power_of_two();
        let mut st = self.state.lock();
        if size > st.capacity && size > MAX_CAPACITY && !core_::current().cred().has(Cap::SysResource) {
            return Err(Errno::EPERM);
        }
        if size > HARD_CAPACITY {
            return Err(Errno::ENOMEM);
        }
        if st.buffer.len() > size {
            return Err(Errno::EBUSY);
        }
        let grew = size > st.capacity;
        st.capacity = size;
        drop(st);
        if grew {
            self.space.wake(Events::WRITE);
        }
        Ok(size as i64)
    }
}

impl State {
    fn free(&self) -> usize {
        self.capacity.saturating_sub(self.buffer.len())
    }
}

/// One open end of a pipe.
struct End {
    pipe: Arc<Pipe>,
    /// A FIFO: has a path of its own.
    named: bool,
    /// A FIFO that was opened before any writer: how many writers had come until then. While that is still so,
    /// it is quiet, not hung up (fifo(7)).
    quiet_at: Option<u64>,
}

/// A new pipe: reading end, writing end. `flags`: O_NONBLOCK, O_DIRECT.
#[must_use]
pub fn pair(flags: u32) -> (Arc<File>, Arc<File>) {
    let flags = flags & (oflag::NONBLOCK | oflag::DIRECT);
    let pipe = Pipe::new();
    (
        File::new(pipe.end(oflag::RDONLY | flags, false), oflag::RDONLY | flags),
        File::new(pipe.end(oflag::WRONLY | flags, false), oflag::WRONLY | flags),
    )
}

/// True where `file` is an end of a pipe or FIFO.
#[must_use]
pub fn is_pipe(file: &File) -> bool {
    file.downcast::<End>().is_some()
}

/// Up to `max` bytes of the pipe behind `file`, left in place (tee(2)). Empty at the end of the stream.
///
/// # Errors
/// `EINVAL` where it is no pipe; `EAGAIN` where it is empty and `nonblock`; `ERESTARTSYS`.
pub fn peek(file: &File, max: usize, nonblock: bool) -> Result<Vec<u8>> {
    let end = file.downcast::<End>().ok_or(Errno::EINVAL)?;
    let look = || {
        let st = end.pipe.state.lock();
        if st.buffer.is_empty() && st.writers > 0 {
            return None;
        }
        Some(Ok(st.buffer.peek(max)))
    };
    match look() {
        Some(r) => r,
        None if nonblock => Err(Errno::EAGAIN),
        None => end.pipe.data.wait(look),
    }
}

/// F_GETPIPE_SZ.
///
/// # Errors
/// `EBADF` where `file` is no pipe.
pub fn capacity(file: &File) -> Result<i64> {
    let end = file.downcast::<End>().ok_or(Errno::EBADF)?;
    Ok(end.pipe.state.lock().capacity as i64)
}

/// F_SETPIPE_SZ.
///
/// # Errors
/// `EBADF` where `file` is no pipe; `EINVAL`, `EPERM`, `EBUSY` as in fcntl(2).
pub fn set_capacity(file: &File, size: u64) -> Result<i64> {
    file.downcast::<End>().ok_or(Errno::EBADF)?.pipe.set_capacity(size)
}

impl FileOps for End {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn reopen(&self, _file: &File, flags: u32) -> Result<Arc<dyn FileOps>> {
        Ok(self.pipe.end(flags, self.named))
    }

    fn read(&self, file: &File, dst: &mut IoBuf, _off: u64) -> Result<usize> {
        if dst.left() == 0 {
            return Ok(0);
        }
        match self.pipe.try_read(dst) {
            Some(r) => r,
            None if file.nonblocking() => Err(Errno::EAGAIN),
            None => self.pipe.data.wait(|| self.pipe.try_read(dst)),
        }
    }

    fn write(&self, file: &File, src: &mut IoBuf, _off: u64) -> Result<usize> {
        let mut total = 0;
        if src.left() == 0 {
            return Ok(0);
        }
        loop {
            let step = match self.pipe.try_write(file, src) {
                Some(r) => r,
                None if file.nonblocking() => Err(Errno::EAGAIN),
                None => self.pipe.space.wait(|| self.pipe.try_write(file, src)),
            };
            match step {
                Ok(n) => {
                    total += n;
                    if src.left() == 0 || n == 0 {
                        return Ok(total);
                    }
                }
                Err(e) => {
                    if e == Errno::EPIPE {
                        send_current(own_signal(sig::PIPE));
                    }
                    return if total > 0 { Ok(total) } else { Err(e) };
                }
            }
        }
    }

    fn peek(&self, _file: &File, max: usize) -> Option<Vec<u8>> {
        Some(self.pipe.state.lock().buffer.peek(max))
    }

    fn poll(&self, file: &File, table: Option<&mut PollTable>) -> Events {
        let mut ev = Events::empty();
        if let Some(t) = table {
            if file.readable() {
                t.add(&self.pipe.data);
            }
            if file.writable() {
                t.add(&self.pipe.space);
            }
        }
        let st = self.pipe.state.lock();
        if file.readable() {
            if !st.buffer.is_empty() {
                ev |= Events::READ;
            }
            if st.writers == 0 && self.quiet_at != Some(st.writer_opens) {
                ev |= Events::HUP;
            }
        }
        if file.writable() {
            if st.free() >= PIPE_BUF {
                ev |= Events::WRITE;
            }
            if st.readers == 0 {
                ev |= Events::ERR;
            }
        }
        ev
    }

    fn ioctl(&self, file: &File, cmd: u32, arg: u64) -> Result<i64> {
        // fcntl's two commands come this way, too (`syscalls::open`); ioctl(2) itself refuses them.
        const SETPIPE_SZ: u32 = 1031;
        const GETPIPE_SZ: u32 = 1032;
        match cmd {
            GETPIPE_SZ => return capacity(file),
            SETPIPE_SZ => return set_capacity(file, arg),
            _ => {}
        }
        if cmd == FIONREAD {
            let n = self.pipe.state.lock().buffer.len();
            UserPtr::<i32>::new(arg).write(n as i32)?;
            return Ok(0);
        }
        Err(Errno::ENOTTY)
    }

    fn link_text(&self, _file: &File) -> Option<Vec<u8>> {
        (!self.named).then(|| anon::link_text("pipe", self.pipe.node.ino()))
    }

    fn attr(&self, _file: &File) -> Option<Attr> {
        (!self.named).then(|| self.pipe.node.attr())
    }

    fn setattr(&self, _file: &File, set: &SetAttr) -> Result<()> {
        self.pipe.node.set(set);
        Ok(())
    }

    fn release(&self, file: &File) {
        self.pipe.close(file.flags());
    }
}
