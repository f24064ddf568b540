//! A host descriptor (pipe, file, terminal) as a guest file: standard input, output and error of a command.
//!
//! Bytes go straight between application memory and the host; a blocking transfer is a blocking host call that a signal to
//! the thread interrupts.

use crate::gate::Gate;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::ops::Deref;
use core_::file::{File, FileOps, oflag};
use core_::io::IoBuf;
use core_::irq::{self, Line};
use core_::vfs::{Attr, SetAttr, kind, makedev};
use core_::wait::{Events, Interrupt, PollTable, WaitQueue};
use core_::{Errno, Mutex, Result, anon, current};
use host::file::{self, HostFd, IoVec};

/// STATX_BASIC_STATS and STATX_BTIME.
const ATTRIBUTES: u32 = 0xfff;

/// Major number of /dev/null and its like.
const MEMORY: u64 = 1;

/// The stream; opened once more through /proc/self/fd it is the same one.
pub struct HostStream(Arc<Shared>);

/// What all openings share: the host's event queue takes a descriptor once.
pub struct Shared {
    fd: HostFd,
    queue: Arc<WaitQueue>,
    /// Made when somebody first polls.
    line: Mutex<Option<Arc<Line>>>,
    /// The host's type and permission bits, and the device number where it is a device.
    mode: u32,
    rdev: u64,
    /// What is shown of one that is shown as a pipe. It is root's.
    node: anon::Node,
    /// For a terminal of the host.
    gate: Option<Arc<Gate>>,
}

struct Wake(Arc<WaitQueue>);

impl irq::Handler for Wake {
    fn ready(&self, events: u32) {
        self.0.wake(Events::from_bits_truncate(events));
    }
}

impl Deref for HostStream {
    type Target = Shared;
    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl HostStream {
    /// The stream as an open file, with the host's access mode. Behind `gate` if it can be a terminal.
    ///
    /// # Errors
    /// The host's.
    pub fn open(fd: HostFd, gate: &Arc<Gate>) -> Result<Arc<File>> {
        let st = file::statx(fd.raw(), b"", ATTRIBUTES)?;
        let flags = file::status_flags(fd.raw())? & (oflag::ACCMODE | oflag::APPEND);
        let Attr { mode, rdev, .. } = Attr::of_host(&st);
        let gate = (mode & kind::MASK == kind::CHAR && rdev >> 8 & 0xfff != MEMORY).then(|| gate.clone());
        let queue = gate.as_ref().map_or_else(Arc::default, |g| g.queue.clone());
        let node = anon::Node::of(kind::FIFO, 0, 0);
        let shared = Shared { fd, queue, line: Mutex::default(), mode, rdev, node, gate };
        Ok(File::new(Arc::new(HostStream(Arc::new(shared))), flags))
    }

    /// A file of the host: it has places, and its position is the host's, which others go on from.
    fn is_file(&self) -> bool {
        self.mode & kind::MASK == kind::FILE
    }

    /// Its attributes are a host file's.
    fn is_hosts(&self) -> bool {
        matches!(self.mode & kind::MASK, kind::FILE | kind::CHAR)
    }

    fn now(&self) -> Events {
        let all = self.now_of_host();
        self.gate.as_ref().map_or(all, |g| g.seen(all))
    }

    fn now_of_host(&self) -> Events {
        match file::poll_now(self.fd.raw(), 0x1 | 0x4) {
            Ok(e) => {
                let e = Events::from_bits_truncate(u32::from(e as u16));
                let mut out = e;
                if e.contains(Events::IN) {
                    out |= Events::READ;
                }
                if e.contains(Events::OUT) {
                    out |= Events::WRITE;
                }
                out
            }
            Err(_) => Events::ERR,
        }
    }

    /// Repeats `transfer` until it does something or a signal wants the thread. It is told whether it may sleep; where not, it
    /// moves no more than what a descriptor that is ready takes or has ([`brief`]).
    fn transfer(&self, file: &File, ready: Events, mut transfer: impl FnMut(bool) -> Result<usize>) -> Result<usize> {
        let me = current();
        // A host call that sleeps would put the whole virtual processor to sleep: it is made when it will not.
        let wait_first = host::cpu::scheduler().is_some();
        let gate = self.gate.as_ref().filter(|_| ready == Events::READ);
        loop {
            if let Some(gate) = gate {
                gate.pass(file)?;
            }
            if wait_first && !file.nonblocking() {
                self.wait(ready)?;
            }
            if file.nonblocking() && !self.now().intersects(ready | Events::ERR | Events::HUP) {
                return Err(Errno::EAGAIN);
            }
            me.begin_interruptible();
            // As on Linux a signal ends a wait, not a transfer that need not wait: a line of output is not lost to a timer.
            let signal = me.interrupted(Interrupt::Signal);
            if signal && !self.now().intersects(ready | Events::ERR | Events::HUP) {
                me.end_interruptible();
                return Err(Errno::ERESTARTSYS);
            }
            let reading = gate.map(|g| g.enter(me));
            if matches!(reading, Some(None)) {
                me.end_interruptible();
                continue;
            }
            let r = transfer(!wait_first && !signal);
            drop(reading);
            me.end_interruptible();
            match r {
                Err(Errno::EINTR) => {}
                // The host's descriptor does not block, the guest's does.
                Err(Errno::EAGAIN) if !file.nonblocking() => self.wait(ready)?,
                r => return r,
            }
        }
    }

    fn wait(&self, ready: Events) -> Result<()> {
        let line = self.line()?;
        self.queue.wait(|| {
            if self.now().intersects(ready | Events::ERR | Events::HUP) {
                return Some(Ok(()));
            }
            match line.as_ref().map_or(Ok(()), |l| l.arm(ready.bits() & 5)) {
                Ok(()) => None,
                Err(e) => Some(Err(e)),
            }
        })
    }

    /// None for a host file that is always ready.
    fn line(&self) -> Result<Option<Arc<Line>>> {
        let mut line = self.line.lock();
        if line.is_none() {
            match Line::new(self.fd.raw(), Arc::new(Wake(self.queue.clone()))) {
                Ok(l) => *line = Some(Arc::new(l)),
                Err(Errno::EPERM) => return Ok(None),
                Err(e) => return Err(e),
            }
        }
        Ok(line.clone())
    }
}

/// At most what a pipe that is ready takes without blocking (PIPE_BUF, pipe(7)).
fn brief(pieces: &[IoVec]) -> [IoVec; 1] {
    const PIPE_BUF: u64 = 4096;
    let first = &pieces[0];
    [IoVec { base: first.base, len: first.len.min(PIPE_BUF) }]
}

impl FileOps for HostStream {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn read(&self, f: &File, dst: &mut IoBuf, _off: u64) -> Result<usize> {
        if dst.left() == 0 {
            return Ok(0);
        }
        let n = match dst.user_pieces() {
            Some(pieces) => {
                let n = self.transfer(f, Events::READ, |may_sleep| {
                    let all: &[IoVec] = if may_sleep { &pieces } else { &brief(&pieces) };
                    file::user_read_stream(self.fd.raw(), all)
                })?;
                dst.advance(n);
                n
            }
            None => {
                let mut buf = [0u8; 4096];
                let want = dst.left().min(buf.len());
                let n = self.transfer(f, Events::READ, |_| file::read(self.fd.raw(), &mut buf[..want]))?;
                dst.put(&buf[..n])?
            }
        };
        Ok(n)
    }

    fn write(&self, f: &File, src: &mut IoBuf, _off: u64) -> Result<usize> {
        let mut done = 0;
        // A blocking write goes on until all is written (write(2) on pipes and terminals).
        while src.left() > 0 {
            let r = match src.user_pieces() {
                Some(pieces) => {
                    let r = self.transfer(f, Events::WRITE, |may_sleep| {
                        let all: &[IoVec] = if may_sleep { &pieces } else { &brief(&pieces) };
                        file::user_write_stream(self.fd.raw(), all)
                    });
                    if let Ok(n) = r {
                        src.advance(n);
                    }
                    r
                }
                None => {
                    let mut buf = [0u8; 4096];
                    let n = src.take(&mut buf)?;
                    self.transfer(f, Events::WRITE, |_| file::write(self.fd.raw(), &buf[..n]))
                }
            };
            match r {
                Ok(n) => done += n,
                Err(Errno::EPIPE) if done == 0 => {
                    let me = current();
                    core_::signal::send_thread_self(me, core_::signal::sig::PIPE);
                    return Err(Errno::EPIPE);
                }
                Err(e) if done == 0 => return Err(e),
                Err(_) => break,
            }
            if f.nonblocking() {
                break;
            }
        }
        Ok(done)
    }

    fn poll(&self, _f: &File, table: Option<&mut PollTable>) -> Events {
        if let Some(t) = table {
            t.add(&self.queue);
            if let Ok(Some(line)) = self.line() {
                // One-shot, rearmed at each poll: level-triggered for the guest. Behind a closed gate input would wake
                // for nothing, again and again.
                let input = if self.gate.as_ref().is_none_or(|g| g.open()) { host::event::IN } else { 0 };
                let _ = line.arm(input | host::event::OUT);
            }
        }
        self.now()
    }

    fn ioctl(&self, _f: &File, cmd: u32, arg: u64) -> Result<i64> {
        const FIONREAD: u32 = 0x541b;
        match cmd {
            FIONREAD => {
                let n = file::readable_bytes(self.fd.raw())?;
                core_::uaccess::UserPtr::<u32>::new(arg).write(n).map(|()| 0)
            }
            _ => Err(Errno::ENOTTY),
        }
    }

    fn reopen(&self, _f: &File, _flags: u32) -> Result<Arc<dyn FileOps>> {
        Ok(Arc::new(HostStream(self.0.clone())))
    }

    fn seek(&self, _f: &File, off: i64, whence: u32) -> Result<u64> {
        if self.is_file() { file::seek(self.fd.raw(), off, whence) } else { Err(Errno::ESPIPE) }
    }

    fn pread(&self, _f: &File, dst: &mut IoBuf, off: u64) -> Result<usize> {
        if self.is_file() { dst.pread(self.fd.raw(), off) } else { Err(Errno::ESPIPE) }
    }

    fn pwrite(&self, _f: &File, src: &mut IoBuf, off: u64) -> Result<usize> {
        if self.is_file() { src.pwrite(self.fd.raw(), off) } else { Err(Errno::ESPIPE) }
    }

    fn pollable(&self) -> bool {
        !self.is_file()
    }

    /// A pipe, a file or a device as on the host; a socket is shown as the pipe that it is used as, because it takes no
    /// socket calls.
    fn attr(&self, _f: &File) -> Option<Attr> {
        if !self.is_hosts() {
            return Some(self.node.attr());
        }
        let st = file::statx(self.fd.raw(), b"", ATTRIBUTES).ok()?;
        Some(Attr::of_host(&st))
    }

    fn setattr(&self, _f: &File, set: &SetAttr) -> Result<()> {
        // What others have, too, is not changed from here.
        if self.is_hosts() {
            return Err(Errno::EPERM);
        }
        self.node.set(set);
        Ok(())
    }

    fn link_text(&self, _f: &File) -> Option<Vec<u8>> {
        let what = match self.mode & kind::MASK {
            kind::FILE => "file",
            kind::CHAR if self.rdev == makedev(1, 3) => return Some(b"/dev/null".to_vec()),
            kind::CHAR => "device",
            _ => return Some(anon::link_text("pipe", self.node.ino())),
        };
        Some(alloc::format!("{what}:[{}]", self.fd.raw()).into_bytes())
    }
}
