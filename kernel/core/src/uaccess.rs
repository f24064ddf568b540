//! Guest pointers are allegations: [`UserPtr`] has no dereference, only fallible copies.

use crate::{Errno, Result};
use alloc::vec::Vec;
use core::marker::PhantomData;
use smallvec::SmallVec;

pub use host::user::{Pod as Plain, as_bytes, as_bytes_mut, zeroed};

/// An address in application memory where a `T` is said to be.
#[derive(Debug)]
pub struct UserPtr<T> {
    pub addr: u64,
    _t: PhantomData<fn() -> T>,
}

impl<T> Clone for UserPtr<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for UserPtr<T> {}

impl<T: Plain> UserPtr<T> {
    #[must_use]
    pub const fn new(addr: u64) -> Self {
        UserPtr { addr, _t: PhantomData }
    }

    #[must_use]
    pub const fn is_null(self) -> bool {
        self.addr == 0
    }

    /// # Errors
    /// `EFAULT`.
    pub fn read(self) -> Result<T> {
        let mut v: T = zeroed();
        copy_in(as_bytes_mut(&mut v), self.addr)?;
        Ok(v)
    }

    /// # Errors
    /// `EFAULT`.
    pub fn write(self, v: T) -> Result<()> {
        write_bytes(self.addr, as_bytes(&v))
    }

    /// Writes unless the pointer is null.
    ///
    /// # Errors
    /// `EFAULT`.
    pub fn write_if(self, v: impl FnOnce() -> T) -> Result<()> {
        if self.is_null() { Ok(()) } else { self.write(v()) }
    }

    /// None for a null pointer.
    ///
    /// # Errors
    /// `EFAULT`.
    pub fn read_if(self) -> Result<Option<T>> {
        if self.is_null() { Ok(None) } else { self.read().map(Some) }
    }

    /// The element `i` places on.
    #[must_use]
    pub const fn at(self, i: usize) -> Self {
        UserPtr::new(self.addr.wrapping_add((i * size_of::<T>()) as u64))
    }
}

fn copy_in(to: &mut [u8], addr: u64) -> Result<()> {
    host::user::copy_in(to, addr).map_err(|_| Errno::EFAULT)
}

/// Copies `n` bytes in.
///
/// # Errors
/// `EFAULT`.
pub fn read_bytes(addr: u64, n: usize) -> Result<Vec<u8>> {
    let mut v = alloc::vec![0; n];
    copy_in(&mut v, addr)?;
    Ok(v)
}

/// Copies bytes out.
///
/// # Errors
/// `EFAULT`.
pub fn write_bytes(addr: u64, bytes: &[u8]) -> Result<()> {
    host::user::copy_out(addr, bytes).map_err(|_| Errno::EFAULT)
}

/// Reads a NUL-terminated string of fewer than `max` bytes.
///
/// # Errors
/// `EFAULT`, or `too_long` where no NUL comes.
pub fn read_cstr(addr: u64, max: usize, too_long: Errno) -> Result<Vec<u8>> {
    read_string(addr, max, too_long).map(PathBytes::into_vec)
}

fn read_string(addr: u64, max: usize, too_long: Errno) -> Result<PathBytes> {
    let mut out = PathBytes::new();
    let mut chunk = [0u8; 256];
    loop {
        let at = addr + out.len() as u64;
        // Stop at the page's end: the string may end right before memory that is not there.
        let in_page = (4096 - (at & 4095)) as usize;
        let n = in_page.min(chunk.len()).min(max - out.len());
        if n == 0 {
            return Err(too_long);
        }
        copy_in(&mut chunk[..n], at)?;
        if let Some(end) = chunk[..n].iter().position(|b| *b == 0) {
            out.extend_from_slice(&chunk[..end]);
            return Ok(out);
        }
        out.extend_from_slice(&chunk[..n]);
    }
}

/// A path from application memory: most are short, and need no memory of the heap.
pub type PathBytes = SmallVec<[u8; 128]>;

/// Bytes of the longest path, its NUL included.
pub const PATH_MAX: usize = 4096;

/// Reads a path: `ENAMETOOLONG` from [`PATH_MAX`] bytes on.
///
/// # Errors
/// `EFAULT`, `ENAMETOOLONG`.
pub fn read_path(addr: u64) -> Result<PathBytes> {
    read_string(addr, PATH_MAX, Errno::ENAMETOOLONG)
}
