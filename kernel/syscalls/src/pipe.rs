//! pipe(2), pipe2(2).

use crate::Args;
use core_::file::oflag;
use core_::uaccess::UserPtr;
use core_::{Errno, Result, current};

/// Installs two files and tells the numbers at `at`; takes both back when that fails.
///
/// # Errors
/// `EMFILE`, `EFAULT`.
pub(crate) fn install_pair(
    a: alloc::sync::Arc<core_::file::File>,
    b: alloc::sync::Arc<core_::file::File>,
    cloexec: bool,
    at: UserPtr<[i32; 2]>,
) -> Result<i64> {
    let files = current().files();
    let first = files.add(a, cloexec)?;
    let second = match files.add(b, cloexec) {
        Ok(fd) => fd,
        Err(e) => {
            drop(files.remove(first));
            return Err(e);
        }
    };
    if let Err(e) = at.write([first, second]) {
        drop(files.remove(first));
        drop(files.remove(second));
        return Err(e);
    }
    Ok(0)
}

pub fn pipe(a: &Args) -> Result<i64> {
    make(a.ptr(0), 0)
}

pub fn pipe2(a: &Args) -> Result<i64> {
    make(a.ptr(0), a.u32(1))
}

fn make(at: UserPtr<[i32; 2]>, flags: u32) -> Result<i64> {
    if flags & !(oflag::NONBLOCK | oflag::CLOEXEC | oflag::DIRECT) != 0 {
        return Err(Errno::EINVAL);
    }
    let (r, w) = pipe::pair(flags);
    install_pair(r, w, flags & oflag::CLOEXEC != 0, at)
}
