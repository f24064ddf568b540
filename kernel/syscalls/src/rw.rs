//! Reading, writing, positions, and copying from file to file.

use crate::args::Args;
use crate::path::file;
use alloc::sync::Arc;
use core_::fd::InUse;
use core_::file::{File, oflag};
use core_::io::{IoBuf, MAX_COUNT, Way};
use core_::signal::{SigInfo, send_process, sig};
use core_::vfs::{drop_privileges_on_write, kind};
use core_::{Errno, Result, current};

/// What a call that reads returns, counted for /proc/PID/io.
fn was_read(r: Result<usize>) -> Result<i64> {
    current().io.read(*r.as_ref().unwrap_or(&0));
    r.map(|n| n as i64)
}

fn written(r: Result<usize>) -> Result<i64> {
    current().io.wrote(*r.as_ref().unwrap_or(&0));
    r.map(|n| n as i64)
}

/// Counts a copy of `n` bytes as one call that reads and one that writes.
fn copied(n: i64) -> i64 {
    let io = &current().io;
    io.read(n as usize);
    io.wrote(n as usize);
    n
}

/// RLIMIT_FSIZE: cuts the transfer at the limit, or refuses it with SIGXFSZ.
fn check_fsize(f: &File, buf: &mut IoBuf, off: u64) -> Result<()> {
    let limit = current().rlimit_fsize();
    if limit == u64::MAX || f.inode().is_none_or(|i| i.kind() != kind::FILE) {
        return Ok(());
    }
    let off = if f.appending() { f.inode().map_or(Ok(off), |i| i.attr().map(|a| a.size))? } else { off };
    if off >= limit && buf.left() > 0 {
        send_process(&current().process, SigInfo::kernel(sig::XFSZ));
        return Err(Errno::EFBIG);
    }
    buf.limit((limit - off.min(limit)) as usize);
    Ok(())
}

fn do_write(f: &Arc<File>, src: &mut IoBuf) -> Result<i64> {
    if !f.ops().is_stream() && f.writable() {
        let pos = *f.pos();
        check_fsize(f, src, pos)?;
        drop_privileges_on_write(f);
    }
    written(f.write(src))
}

fn do_write_at(f: &Arc<File>, src: &mut IoBuf, off: u64) -> Result<i64> {
    if !f.ops().is_stream() && f.writable() {
        check_fsize(f, src, off)?;
        drop_privileges_on_write(f);
    }
    written(f.write_at(src, off))
}

pub fn read(a: &Args) -> Result<i64> {
    let f = InUse::get(a.fd(0))?;
    was_read(f.read(&mut IoBuf::user(a.u64(1), a.u64(2), Way::Into)?))
}

pub fn write(a: &Args) -> Result<i64> {
    let f = InUse::get(a.fd(0))?;
    do_write(&f, &mut IoBuf::user(a.u64(1), a.u64(2), Way::OutOf)?)
}

fn position(a: &Args, i: usize) -> Result<u64> {
    u64::try_from(a.i64(i)).map_err(|_| Errno::EINVAL)
}

pub fn pread64(a: &Args) -> Result<i64> {
    let off = position(a, 3)?;
    let f = InUse::get(a.fd(0))?;
    was_read(f.read_at(&mut IoBuf::user(a.u64(1), a.u64(2), Way::Into)?, off))
}

pub fn pwrite64(a: &Args) -> Result<i64> {
    let off = position(a, 3)?;
    let f = InUse::get(a.fd(0))?;
    do_write_at(&f, &mut IoBuf::user(a.u64(1), a.u64(2), Way::OutOf)?, off)
}

pub fn readv(a: &Args) -> Result<i64> {
    let f = InUse::get(a.fd(0))?;
    was_read(f.read(&mut IoBuf::user_vec(a.u64(1), a.u64(2), Way::Into)?))
}

pub fn writev(a: &Args) -> Result<i64> {
    let f = InUse::get(a.fd(0))?;
    do_write(&f, &mut IoBuf::user_vec(a.u64(1), a.u64(2), Way::OutOf)?)
}

pub fn preadv(a: &Args) -> Result<i64> {
    let off = position(a, 3)?;
    let f = file(a.fd(0))?;
    was_read(f.read_at(&mut IoBuf::user_vec(a.u64(1), a.u64(2), Way::Into)?, off))
}

pub fn pwritev(a: &Args) -> Result<i64> {
    let off = position(a, 3)?;
    let f = file(a.fd(0))?;
    do_write_at(&f, &mut IoBuf::user_vec(a.u64(1), a.u64(2), Way::OutOf)?, off)
}

/// RWF_HIPRI, RWF_DSYNC, RWF_SYNC are hints here; RWF_NOWAIT and RWF_APPEND would change the meaning.
fn rwf(flags: u32) -> Result<()> {
    const HINTS: u32 = 1 | 2 | 4;
    if flags & !HINTS != 0 { Err(Errno::EOPNOTSUPP) } else { Ok(()) }
}

pub fn preadv2(a: &Args) -> Result<i64> {
    rwf(a.u32(5))?;
    if a.i64(3) == -1 { readv(a) } else { preadv(a) }
}

pub fn pwritev2(a: &Args) -> Result<i64> {
    rwf(a.u32(5))?;
    if a.i64(3) == -1 { writev(a) } else { pwritev(a) }
}

pub fn lseek(a: &Args) -> Result<i64> {
    let f = InUse::get(a.fd(0))?;
    Ok(f.ops().seek(&f, a.i64(1), a.u32(2))? as i64)
}

/// One side of a copy: a position of the caller's, or the file's own.
struct Side {
    file: Arc<File>,
    off: Option<u64>,
    ptr: u64,
}

impl Side {
    fn new(fd: i32, ptr: u64) -> Result<Side> {
        let file = file(fd)?;
        let off = match ptr {
            0 => None,
            p => {
                let off = core_::uaccess::UserPtr::<i64>::new(p).read()?;
                if file.ops().is_stream() {
                    return Err(Errno::ESPIPE);
                }
                Some(u64::try_from(off).map_err(|_| Errno::EINVAL)?)
            }
        };
        Ok(Side { file, off, ptr })
    }

    fn read(&mut self, buf: &mut [u8]) -> Result<usize> {
        let mut b = IoBuf::kernel_out(buf);
        match &mut self.off {
            Some(off) => {
                let n = self.file.read_at(&mut b, *off)?;
                *off += n as u64;
                Ok(n)
            }
            None => self.file.read(&mut b),
        }
    }

    fn write(&mut self, buf: &[u8]) -> Result<usize> {
        let mut b = IoBuf::kernel_in(buf);
        if !self.file.ops().is_stream() {
            let off = self.off.unwrap_or_else(|| *self.file.pos());
            check_fsize(&self.file, &mut b, off)?;
            drop_privileges_on_write(&self.file);
        }
        match &mut self.off {
            Some(off) => {
                let n = self.file.write_at(&mut b, *off)?;
                *off += n as u64;
                Ok(n)
            }
            None => self.file.write(&mut b),
        }
    }

    /// Takes back what was read but could not be written.
    fn unread(&mut self, n: usize) {
        if n == 0 || self.file.ops().is_stream() {
            return;
        }
        match &mut self.off {
            Some(off) => *off -= n as u64,
            None => {
                let mut pos = self.file.pos();
                *pos = pos.saturating_sub(n as u64);
            }
        }
    }

    /// The two ends of one pipe.
    fn same_pipe(&self, o: &Side) -> bool {
        let text = |s: &Side| s.file.ops().link_text(&s.file);
        text(self).is_some_and(|t| t.starts_with(b"pipe:") && text(o).is_some_and(|u| t == u))
    }

    /// True where an operation would not wait: data, room, or an end that answers at once.
    fn ready(&self, what: core_::wait::Events) -> bool {
        use core_::wait::Events;
        self.file.ops().poll(&self.file, None).intersects(what | Events::HUP | Events::ERR)
    }

    fn store(&self) -> Result<()> {
        match self.off {
            Some(off) => core_::uaccess::UserPtr::<i64>::new(self.ptr).write(off as i64),
            None => Ok(()),
        }
    }
}

/// Copies up to `len` bytes through kernel memory. Ends early at the end of the input, or where the output takes no more.
fn copy(from: &mut Side, to: &mut Side, len: u64) -> Result<i64> {
    let len = len.min(MAX_COUNT) as usize;
    let stream = from.file.ops().is_stream();
    let mut buf = alloc::vec![0u8; len.min(65536)];
    let mut total = 0;
    while total < len {
        let want = (len - total).min(buf.len());
        let n = match from.read(&mut buf[..want]) {
            Ok(0) => break,
            Ok(n) => n,
            Err(e) if total == 0 => return Err(e),
            Err(_) => break,
        };
        let mut done = 0;
        let mut failed = None;
        while done < n {
            match to.write(&buf[done..n]) {
                Ok(0) => break,
                Ok(w) => done += w,
                Err(e) => {
                    failed = Some(e);
                    break;
                }
            }
        }
        from.unread(n - done);
        total += done;
        if let Some(e) = failed {
            if total == 0 {
                return Err(e);
            }
            break;
        }
        // A stream gives what it has; asking again might block although something was moved.
        if done < n || stream {
            break;
        }
    }
    Ok(total as i64)
}

pub fn sendfile(a: &Args) -> Result<i64> {
    let mut to = Side::new(a.fd(0), 0)?;
    let mut from = Side::new(a.fd(1), a.u64(2))?;
    if !from.file.readable() || !to.file.writable() {
        return Err(Errno::EBADF);
    }
    // What comes out of a stream could not be put back (`splice_direct_to_actor`).
    if to.file.appending() || from.file.ops().is_stream() || from.file.inode().is_some_and(|i| i.kind() == kind::DIR) {
        return Err(Errno::EINVAL);
    }
    let n = copied(copy(&mut from, &mut to, a.u64(3))?);
    from.store()?;
    Ok(n)
}

pub fn copy_file_range(a: &Args) -> Result<i64> {
    if a.u32(5) != 0 {
        return Err(Errno::EINVAL);
    }
    let mut from = Side::new(a.fd(0), a.u64(1))?;
    let mut to = Side::new(a.fd(2), a.u64(3))?;
    for s in [&from, &to] {
        match s.file.inode().map(|i| i.kind()) {
            Some(kind::FILE) => {}
            Some(kind::DIR) => return Err(Errno::EISDIR),
            _ => return Err(Errno::EINVAL),
        }
    }
    if !from.file.readable() || !to.file.writable() || to.file.appending() {
        return Err(Errno::EBADF);
    }
    let mut len = a.u64(4);
    if let (Some(i), Some(o)) = (from.file.inode(), to.file.inode()) {
        let (fo, to_) = (from.off.unwrap_or_else(|| *from.file.pos()), to.off.unwrap_or_else(|| *to.file.pos()));
        const MAX: u64 = i64::MAX as u64;
        if to_ >= MAX {
            return Err(Errno::EFBIG);
        }
        // Only what there is counts, and what there is room for (`generic_copy_file_checks`).
        len = len.min(i.attr()?.size.saturating_sub(fo)).min(MAX - to_).min(MAX_COUNT);
        if Arc::ptr_eq(i, o) && fo < to_.saturating_add(len) && to_ < fo.saturating_add(len) {
            return Err(Errno::EINVAL);
        }
    }
    let n = copied(copy(&mut from, &mut to, len)?);
    from.store()?;
    to.store()?;
    Ok(n)
}

/// Through kernel memory: pipes here do not hold pages.
/// tee(2).
pub fn tee(a: &Args) -> Result<i64> {
    use core_::wait::Events;
    let flags = a.u32(3);
    if flags & !15 != 0 {
        return Err(Errno::EINVAL);
    }
    let len = a.u64(2).min(65536) as usize;
    if len == 0 {
        return Ok(0);
    }
    let (from, to) = (Side::new(a.fd(0), 0)?, Side::new(a.fd(1), 0)?);
    if !from.file.readable() || !to.file.writable() {
        return Err(Errno::EBADF);
    }
    let ends = from.file.ops().peek(&from.file, 0).is_some() && to.file.ops().peek(&to.file, 0).is_some();
    if !ends || from.same_pipe(&to) {
        return Err(Errno::EINVAL);
    }
    let wait = flags & SPLICE_NONBLOCK == 0;
    crate::poll::wait_for(&from.file, Events::READ, wait && !from.file.nonblocking())?;
    let data = from.file.ops().peek(&from.file, len).unwrap_or_default();
    if data.is_empty() {
        return Ok(0);
    }
    crate::poll::wait_for(&to.file, Events::WRITE, wait && !to.file.nonblocking())?;
    to.file.write(&mut IoBuf::kernel_in(&data)).map(|n| n as i64)
}

const SPLICE_NONBLOCK: u32 = 2;

pub fn splice(a: &Args) -> Result<i64> {
    let mut from = Side::new(a.fd(0), a.u64(1))?;
    let mut to = Side::new(a.fd(2), a.u64(3))?;
    if !from.file.readable() || !to.file.writable() {
        return Err(Errno::EBADF);
    }
    let pipe = |s: &Side| {
        s.file.ops().link_text(&s.file).is_some_and(|t| t.starts_with(b"pipe:"))
            || s.file.inode().is_some_and(|i| i.kind() == kind::FIFO)
    };
    if !pipe(&from) && !pipe(&to) {
        return Err(Errno::EINVAL);
    }
    if to.file.appending() || Arc::ptr_eq(&from.file, &to.file) || (from.same_pipe(&to)) {
        return Err(Errno::EINVAL);
    }
    let flags = a.u32(5);
    if flags & !15 != 0 {
        return Err(Errno::EINVAL);
    }
    // Nothing is taken out for a reader that is gone.
    if pipe(&to) && to.file.ops().poll(&to.file, None).contains(core_::wait::Events::ERR) {
        core_::signal::send_current(core_::signal::own_signal(core_::signal::sig::PIPE));
        return Err(Errno::EPIPE);
    }
    if flags & SPLICE_NONBLOCK != 0 {
        // Only the pipe's side is asked not to wait; the other goes by its own flags.
        if pipe(&from) && !from.ready(core_::wait::Events::READ) || pipe(&to) && !to.ready(core_::wait::Events::WRITE) {
            return Err(Errno::EAGAIN);
        }
    }
    // One read's worth: what a pipe holds at most.
    let n = copy(&mut from, &mut to, a.u64(4).min(65536))?;
    from.store()?;
    to.store()?;
    Ok(n)
}

pub fn vmsplice(a: &Args) -> Result<i64> {
    if a.u32(3) & !15 != 0 {
        return Err(Errno::EINVAL);
    }
    let f = file(a.fd(0))?;
    if f.ops().peek(&f, 0).is_none() {
        return Err(Errno::EBADF);
    }
    let way = if f.writable() { Way::OutOf } else { Way::Into };
    let mut buf = IoBuf::user_vec(a.u64(1), a.u64(2), way)?;
    if f.writable() { written(f.write(&mut buf)) } else { Ok(f.read(&mut buf)? as i64) }
}

pub fn readahead(a: &Args) -> Result<i64> {
    let f = file(a.fd(0))?;
    if !f.readable() {
        return Err(Errno::EBADF);
    }
    if f.inode().is_none_or(|i| i.kind() != kind::FILE) { Err(Errno::EINVAL) } else { Ok(0) }
}

pub fn fadvise64(a: &Args) -> Result<i64> {
    let f = file(a.fd(0))?;
    if f.flags() & oflag::PATH != 0 {
        return Err(Errno::EBADF);
    }
    if f.ops().is_stream() && f.inode().is_none() {
        return Err(Errno::ESPIPE);
    }
    if a.i64(2) < 0 || a.u32(3) > 5 { Err(Errno::EINVAL) } else { Ok(0) }
}
