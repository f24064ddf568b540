//! Where the bytes of a read go to and those of a write come from: application memory in pieces, or kernel memory.

use crate::uaccess::UserPtr;
use crate::{Errno, Result};
use alloc::vec::Vec;
use host::file::IoVec;

/// The most pieces of one vectored call (UIO_MAXIOV).
pub const MAX_PIECES: usize = 1024;
/// The most bytes of one transfer (Linux's MAX_RW_COUNT).
pub const MAX_COUNT: u64 = 0x7fff_f000;

/// What is copied whole or not at all where kernel memory is one of the sides: a page.
pub const STEP: usize = 4096;

enum Pieces<'a> {
    One(IoVec),
    Many(Vec<IoVec>),
    In(&'a [u8]),
    Out(&'a mut [u8]),
}

/// Which way a transfer goes, as the application's memory sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    Into,
    OutOf,
}

/// A transfer in progress: a list of memory pieces and how far it has come. The same type serves as destination
/// (`put`) and as source (`take`).
pub struct IoBuf<'a> {
    pieces: Pieces<'a>,
    /// Bytes done.
    done: usize,
    total: usize,
}

impl<'a> IoBuf<'a> {
    /// Application memory `[addr, addr+len)`, to be written to or read from; `len` is cut to [`MAX_COUNT`].
    ///
    /// # Errors
    /// `EFAULT` for a range that is not an application's.
    pub fn user(addr: u64, len: u64, way: Way) -> Result<IoBuf<'a>> {
        if len > i64::MAX as u64 {
            return Err(Errno::EFAULT);
        }
        let len = len.min(MAX_COUNT);
        if !abi::layout::user_range_ok(addr, len) {
            return Err(Errno::EFAULT);
        }
        crate::limits::open_or_kill(addr, len, way == Way::Into);
        Ok(IoBuf { pieces: Pieces::One(IoVec { base: addr, len }), done: 0, total: len as usize })
    }

    /// The application's iovec array of `n` pieces.
    ///
    /// # Errors
    /// `EINVAL` for too many or too long pieces, `EFAULT`.
    pub fn user_vec(addr: u64, n: u64, way: Way) -> Result<IoBuf<'a>> {
        if n > MAX_PIECES as u64 {
            return Err(Errno::EINVAL);
        }
        let mut v = Vec::with_capacity(n as usize);
        let mut total = 0u64;
        for i in 0..n as usize {
            let [base, mut len] = UserPtr::<[u64; 2]>::new(addr).at(i).read()?;
            if len > i64::MAX as u64 {
                return Err(Errno::EINVAL);
            }
            if !abi::layout::user_range_ok(base, len) {
                return Err(Errno::EFAULT);
            }
            len = len.min(MAX_COUNT - total);
            total += len;
            if len > 0 {
                crate::limits::open_or_kill(base, len, way == Way::Into);
                v.push(IoVec { base, len });
            }
        }
        Ok(IoBuf { pieces: Pieces::Many(v), done: 0, total: total as usize })
    }

    /// Kernel memory to be filled.
    pub fn kernel_out(buf: &'a mut [u8]) -> IoBuf<'a> {
        let total = buf.len();
        IoBuf { pieces: Pieces::Out(buf), done: 0, total }
    }

    /// Kernel memory to be read from.
    #[must_use]
    pub fn kernel_in(buf: &'a [u8]) -> IoBuf<'a> {
        IoBuf { pieces: Pieces::In(buf), done: 0, total: buf.len() }
    }

    /// Bytes left.
    #[must_use]
    pub fn left(&self) -> usize {
        self.total - self.done
    }

    /// Bytes done.
    #[must_use]
    pub fn done(&self) -> usize {
        self.done
    }

    /// Ends the transfer after at most `n` more bytes.
    pub fn limit(&mut self, n: usize) {
        self.total = self.total.min(self.done.saturating_add(n));
    }

    /// The rest as pieces of application memory, for host calls that transfer directly; None for kernel memory.
    #[must_use]
    pub fn user_pieces(&self) -> Option<Vec<IoVec>> {
        let mut skip = self.done as u64;
        let mut left = self.left() as u64;
        let all: &[IoVec] = match &self.pieces {
            Pieces::One(v) => core::slice::from_ref(v),
            Pieces::Many(v) => v,
            _ => return None,
        };
        let mut out = Vec::with_capacity(all.len());
        for v in all {
            if skip >= v.len {
                skip -= v.len;
                continue;
            }
            let len = (v.len - skip).min(left);
            if len > 0 {
                out.push(IoVec { base: v.base + skip, len });
            }
            left -= len;
            skip = 0;
        }
        Some(out)
    }

    /// The rest as one piece of application memory, where it is one.
    #[must_use]
    pub fn user_single(&self) -> Option<IoVec> {
        match &self.pieces {
            Pieces::One(v) => Some(IoVec { base: v.base + self.done as u64, len: self.left() as u64 }),
            _ => None,
        }
    }

    /// Notes that `n` bytes were transferred by other means.
    pub fn advance(&mut self, n: usize) {
        self.done += n.min(self.left());
    }

    /// Copies `src` (at most what is left) to the destination; returns how much was copied: all, or where a fault ended it
    /// whole steps of [`STEP`].
    ///
    /// # Errors
    /// `EFAULT` where not even one step could be copied.
    pub fn put(&mut self, src: &[u8]) -> Result<usize> {
        let n = src.len().min(self.left());
        if let Pieces::Out(buf) = &mut self.pieces {
            buf[self.done..self.done + n].copy_from_slice(&src[..n]);
            self.done += n;
            return Ok(n);
        }
        let r = self.each(n, |at, pos, len| host::user::copy_out(at, &src[pos..pos + len]));
        self.in_steps(r, n)
    }

    /// Fills `dst` (at most what is left) from the source; returns how much was copied, as [`IoBuf::put`] does.
    ///
    /// # Errors
    /// `EFAULT` where not even one step could be copied.
    pub fn take(&mut self, dst: &mut [u8]) -> Result<usize> {
        let n = dst.len().min(self.left());
        match &self.pieces {
            Pieces::In(buf) => {
                dst[..n].copy_from_slice(&buf[self.done..self.done + n]);
                self.done += n;
                Ok(n)
            }
            _ => {
                let r = self.each(n, |at, pos, len| host::user::copy_in(&mut dst[pos..pos + len], at));
                self.in_steps(r, n)
            }
        }
    }

    /// As [`IoBuf::put`], where each byte counts that has reached its place.
    ///
    /// # Errors
    /// `EFAULT` where none has.
    pub fn put_some(&mut self, src: &[u8]) -> Result<usize> {
        let n = src.len().min(self.left());
        match self.pieces {
            Pieces::Out(_) => self.put(src),
            _ => self.each(n, |at, pos, len| host::user::copy_out(at, &src[pos..pos + len])),
        }
    }

    /// As [`IoBuf::take`], where each byte counts that could be read.
    ///
    /// # Errors
    /// `EFAULT` where none could.
    pub fn take_some(&mut self, dst: &mut [u8]) -> Result<usize> {
        let n = dst.len().min(self.left());
        match self.pieces {
            Pieces::In(_) => self.take(dst),
            _ => self.each(n, |at, pos, len| host::user::copy_in(&mut dst[pos..pos + len], at)),
        }
    }

    /// Fills the destination with random bytes, until a signal comes or memory ends (random(4), getrandom(2)).
    ///
    /// # Errors
    /// `EFAULT` where not one byte could be written.
    pub fn put_random(&mut self) -> Result<usize> {
        let mut total = 0;
        let mut buf = [0u8; 256];
        while self.left() > 0 {
            let want = self.left().min(buf.len());
            host::process::getrandom(&mut buf[..want]);
            match self.put_some(&buf[..want]) {
                Ok(n) => total += n,
                Err(e) if total == 0 => return Err(e),
                Err(_) => break,
            }
            if total % STEP == 0 && crate::current().check_signals().is_err() {
                break;
            }
        }
        Ok(total)
    }

    /// Of a copy of `n` bytes that came as far as `r`, what counts. What is in kernel memory goes page by page in Linux: a
    /// page, a record, a number that only in part reached its place has not been transferred.
    fn in_steps(&mut self, r: Result<usize>, n: usize) -> Result<usize> {
        let some = r?;
        if some == n {
            return Ok(n);
        }
        let whole = some / STEP * STEP;
        self.done -= some - whole;
        if whole == 0 { Err(Errno::EFAULT) } else { Ok(whole) }
    }

    /// Writes `n` zero bytes (at most what is left) to the destination.
    ///
    /// # Errors
    /// `EFAULT` where not even one byte could be written.
    pub fn put_zeros(&mut self, n: usize) -> Result<usize> {
        let n = n.min(self.left());
        if let Pieces::Out(buf) = &mut self.pieces {
            buf[self.done..self.done + n].fill(0);
            self.done += n;
            return Ok(n);
        }
        self.each(n, |at, _, len| host::user::zero(at, len))
    }

    /// All that is left of the source, copied once into kernel memory.
    ///
    /// # Errors
    /// `EFAULT`.
    pub fn take_all(&mut self) -> Result<Vec<u8>> {
        let mut v = alloc::vec![0; self.left()];
        let want = v.len();
        if self.take(&mut v)? < want { Err(Errno::EFAULT) } else { Ok(v) }
    }

    /// Fills the destination from the host's descriptor `fd` at `off`; returns how much there was.
    ///
    /// # Errors
    /// The host's; `EFAULT`.
    pub fn pread(&mut self, fd: i32, off: u64) -> Result<usize> {
        let n = match (self.user_single(), self.user_pieces()) {
            (Some(one), _) => host::file::user_preadv(fd, &[one], off)?,
            (None, Some(pieces)) => host::file::user_preadv(fd, &pieces, off)?,
            (None, None) => {
                let mut total = 0;
                let mut buf = alloc::vec![0u8; self.left().min(65536)];
                while self.left() > 0 {
                    let want = self.left().min(buf.len());
                    let n = host::file::pread(fd, &mut buf[..want], off + total as u64)?;
                    if n == 0 {
                        break;
                    }
                    total += self.put(&buf[..n])?;
                }
                return Ok(total);
            }
        };
        self.advance(n);
        Ok(n)
    }

    /// Writes the source to the host's descriptor `fd` at `off`; returns how much the host took.
    ///
    /// # Errors
    /// The host's; `EFAULT`.
    pub fn pwrite(&mut self, fd: i32, off: u64) -> Result<usize> {
        if let Some(pieces) = self.user_pieces() {
            let n = host::file::user_pwritev(fd, &pieces, off)?;
            self.advance(n);
            return Ok(n);
        }
        let mut total = 0;
        let mut buf = alloc::vec![0u8; self.left().min(65536)];
        while self.left() > 0 {
            let len = self.take(&mut buf)?;
            let mut done = 0;
            while done < len {
                done += host::file::pwrite(fd, &buf[done..len], off + (total + done) as u64)?;
            }
            total += len;
        }
        Ok(total)
    }

    fn each(
        &mut self,
        n: usize,
        mut copy: impl FnMut(u64, usize, usize) -> core::result::Result<(), usize>,
    ) -> Result<usize> {
        let mut pos = 0;
        if let Some(v) = self.user_single() {
            if n > 0 {
                pos = match copy(v.base, 0, n) {
                    Ok(()) => n,
                    Err(some) => some,
                };
            }
        } else {
            for v in self.user_pieces().unwrap_or_default() {
                let len = (v.len as usize).min(n - pos);
                if len == 0 {
                    break;
                }
                match copy(v.base, pos, len) {
                    Ok(()) => pos += len,
                    Err(some) => {
                        pos += some;
                        break;
                    }
                }
            }
        }
        self.done += pos;
        if pos == 0 && n > 0 { Err(Errno::EFAULT) } else { Ok(pos) }
    }
}
