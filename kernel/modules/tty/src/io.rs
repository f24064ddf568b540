//! Reading and writing the slave side; input from the far side.

use super::{MAX_OUT, MAX_PENDING, Todo, Tty};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core_::file::File;
use core_::io::IoBuf;
use core_::wait::{Events, Interrupt, wait_on};
use core_::{Errno, Result};
use lib::ldisc::Ready;
use lib::ldisc::termios::lflag;

/// Bytes of a write that are processed under one hold of the lock.
const CHUNK: usize = 1024;

impl Tty {
    /// Input from the far side; how many bytes were taken.
    pub(super) fn feed(&self, bytes: &[u8]) -> usize {
        let mut todo = Todo::default();
        let n = {
            let mut st = self.state.lock();
            let n = bytes.len().min(MAX_PENDING.saturating_sub(st.pending.len()));
            st.pending.extend(&bytes[..n]);
            st.digest(&mut todo);
            n
        };
        self.finish(todo);
        n
    }

    pub(super) fn feed_room(&self) -> usize {
        MAX_PENDING.saturating_sub(self.state.lock().pending.len())
    }

    pub(super) fn do_read(self: &Arc<Self>, file: &File, generation: u64, dst: &mut IoBuf) -> Result<usize> {
        if self.state.lock().hung_up(generation) {
            return Ok(0);
        }
        self.check_read()?;
        let want = dst.left();
        let mut got = 0;
        let mut limit = None;
        let mut min = 1;
        if let Some((vmin, vtime)) = self.state.lock().ldisc.raw_limits() {
            let ns = u64::from(vtime) * 100_000_000;
            min = vmin.max(1);
            // VMIN 0: VTIME is a limit for the whole read; otherwise one between bytes, from the first on.
            if vmin == 0 {
                limit = Some(ns);
            }
        }
        let polling = limit == Some(0);
        let mut deadline = limit.map(|ns| host::time::monotonic_ns().saturating_add(ns));
        while got < want {
            let look = || {
                let mut todo = Todo::default();
                let mut st = self.state.lock();
                if st.hung_up(generation) {
                    return Some(Ok(None));
                }
                let r = st.ldisc.read(want - got);
                let Ready::Bytes(b) = r else { return None };
                let raw = st.ldisc.raw_limits();
                st.digest(&mut todo);
                // Room for the far side's next write.
                todo.far = true;
                todo.readable = st.ldisc.readable(false);
                drop(st);
                self.finish(todo);
                Some(Ok(Some((b, raw))))
            };
            let first = look();
            if first.is_none()
                && let Some(sink) = &self.sink
            {
                sink.input_wanted();
            }
            let step = match first {
                Some(r) => r,
                None if file.nonblocking() || polling => {
                    return if got > 0 || polling { Ok(got) } else { Err(Errno::EAGAIN) };
                }
                None => wait_on(&[&self.input], deadline, Interrupt::Signal, look),
            };
            match step {
                Ok(None) => break,
                Ok(Some((bytes, raw))) => {
                    let n = bytes.len();
                    if n > 0 {
                        got += dst.put(&bytes)?;
                    }
                    let Some((_, vtime)) = raw else { return Ok(got) };
                    if got >= min {
                        break;
                    }
                    if vtime > 0 {
                        deadline = Some(host::time::monotonic_ns() + u64::from(vtime) * 100_000_000);
                    }
                }
                Err(Errno::ETIMEDOUT) => break,
                Err(_) if got > 0 => break,
                Err(e) => return Err(e),
            }
        }
        Ok(got)
    }

    pub(super) fn do_write(self: &Arc<Self>, file: &File, generation: u64, src: &mut IoBuf) -> Result<usize> {
        let tostop = self.state.lock().ldisc.termios().l(lflag::TOSTOP);
        if tostop {
            self.check_change()?;
        }
        let mut total = 0;
        let mut buf = [0u8; CHUNK];
        while src.left() > 0 {
            let n = match src.take(&mut buf) {
                Ok(n) => n,
                Err(_) if total > 0 => return Ok(total),
                Err(e) => return Err(e),
            };
            let mut sent = 0;
            while sent < n {
                let look = || self.try_write(generation, &buf[sent..n]);
                let step = match look() {
                    Some(r) => r,
                    None if file.nonblocking() => Err(Errno::EAGAIN),
                    None => wait_on(&[&self.space], None, Interrupt::Signal, look),
                };
                match step {
                    Ok(k) => {
                        sent += k;
                        total += k;
                    }
                    Err(_) if total > 0 => return Ok(total),
                    Err(e) => return Err(e),
                }
            }
        }
        Ok(total)
    }

    fn try_write(&self, generation: u64, bytes: &[u8]) -> Option<Result<usize>> {
        let mut out = Vec::with_capacity(bytes.len() + 64);
        let n = {
            let mut st = self.state.lock();
            if st.hung_up(generation) || !st.master_open {
                return Some(Err(Errno::EIO));
            }
            let room = MAX_OUT.saturating_sub(st.out.len());
            let n = st.ldisc.write(bytes, room, &mut out);
            st.out.extend(&out);
            n
        };
        if n == 0 && !bytes.is_empty() {
            return None;
        }
        self.finish(Todo { far: true, ..Todo::default() });
        Some(Ok(n))
    }

    pub(super) fn slave_events(&self, generation: u64) -> Events {
        let st = self.state.lock();
        if st.hung_up(generation) {
            return Events::READ | Events::WRITE | Events::ERR | Events::HUP;
        }
        let mut ev = Events::empty();
        if st.ldisc.readable(true) {
            ev |= Events::READ;
        }
        // Room for a few hundred bytes, so that a poller does not spin over single ones (WAKEUP_CHARS).
        if !st.ldisc.stopped() && st.out.len() + 256 <= MAX_OUT {
            ev |= Events::WRITE;
        }
        ev
    }

    /// Waits until all output has gone to the far side (tcdrain(3)).
    pub(super) fn drain(&self, generation: u64) -> Result<()> {
        let done = || {
            let st = self.state.lock();
            // Nobody may be reading a master: its buffer counts as sent, as Linux's pty driver reports it.
            let sent = self.sink.is_none() || (st.out.is_empty() && !st.draining);
            (sent || st.hung_up(generation)).then_some(Ok(()))
        };
        self.space.wait(done)
    }
}
