//! Host files, by descriptor. Paths go through [`open_beneath`] only.

use crate::{Errno, Result, syscall};

/// A host descriptor that is closed when dropped.
#[derive(Debug)]
pub struct HostFd(i32);

impl HostFd {
    /// Takes over descriptor `fd`.
    #[must_use]
    pub const fn new(fd: i32) -> HostFd {
        HostFd(fd)
    }

    #[must_use]
    pub const fn raw(&self) -> i32 {
        self.0
    }

    /// Gives the descriptor up without closing it.
    #[must_use]
    pub fn into_raw(self) -> i32 {
        let fd = self.0;
        core::mem::forget(self);
        fd
    }
}

impl Drop for HostFd {
    fn drop(&mut self) {
        // SAFETY: closing a descriptor that we own.
        unsafe { syscall!(close, self.0) };
    }
}

/// A path as the host wants it: bytes without NUL, ended by one. At most 4095 bytes.
pub struct CPath {
    buf: [u8; 4096],
}

impl CPath {
    /// # Errors
    /// `ENAMETOOLONG`, or `EINVAL` for a NUL inside.
    pub fn new(path: &[u8]) -> Result<CPath> {
        if path.len() >= 4096 {
            return Err(Errno::ENAMETOOLONG);
        }
        if path.contains(&0) {
            return Err(Errno::EINVAL);
        }
        let mut buf = [0; 4096];
        buf[..path.len()].copy_from_slice(path);
        Ok(CPath { buf })
    }

    #[must_use]
    pub fn as_ptr(&self) -> *const u8 {
        self.buf.as_ptr()
    }
}

/// One piece of memory for vectored calls: kernel memory or range-checked application memory.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct IoVec {
    pub base: u64,
    pub len: u64,
}

const RESOLVE_NO_MAGICLINKS: u64 = 0x02;
const RESOLVE_NO_SYMLINKS: u64 = 0x04;
const RESOLVE_BENEATH: u64 = 0x08;

fn result_fd(ret: i64) -> Result<HostFd> {
    Errno::from_ret(ret).map(|fd| HostFd(fd as i32))
}

/// Opens `path` beneath directory `dir`. No component may be a symbolic link (the guest kernel resolves
/// links itself), nothing leaves `dir`.
///
/// # Errors
/// The host's.
pub fn open_beneath(dir: i32, path: &[u8], flags: u32, mode: u32) -> Result<HostFd> {
    const O_CLOEXEC: u32 = 0o2_000_000;
    const O_NOCTTY: u32 = 0o400;
    const O_PATH: u32 = 0o10_000_000;
    let c = CPath::new(if path.is_empty() { b"." } else { path })?;
    // openat2 refuses flags that O_PATH has no use for.
    let noctty = if flags & O_PATH == 0 { O_NOCTTY } else { 0 };
    let how = [
        u64::from(flags | O_CLOEXEC | noctty),
        u64::from(mode),
        RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    ];
    // SAFETY: the path is NUL-terminated and `how` is a struct open_how; both outlive the call.
    result_fd(unsafe { syscall!(openat2, dir, c.as_ptr(), how.as_ptr(), 24) })
}

/// Reads into kernel memory at file offset `off`.
///
/// # Errors
/// The host's.
pub fn pread(fd: i32, buf: &mut [u8], off: u64) -> Result<usize> {
    // SAFETY: the buffer is valid for writing.
    Errno::from_ret(unsafe { syscall!(pread64, fd, buf.as_mut_ptr(), buf.len(), off) })
}

/// Reads into kernel memory at file offset `off` until `buf` is full or the file ends; how much there was.
///
/// # Errors
/// The host's.
pub fn pread_full(fd: i32, buf: &mut [u8], off: u64) -> Result<usize> {
    let mut done = 0;
    while done < buf.len() {
        match pread(fd, &mut buf[done..], off + done as u64)? {
            0 => break,
            n => done += n,
        }
    }
    Ok(done)
}

/// Writes from kernel memory at file offset `off`.
///
/// # Errors
/// The host's.
pub fn pwrite(fd: i32, buf: &[u8], off: u64) -> Result<usize> {
    // SAFETY: the buffer is valid for reading.
    Errno::from_ret(unsafe { syscall!(pwrite64, fd, buf.as_ptr(), buf.len(), off) })
}

/// lseek(2) on a descriptor of the VM's user: the position is shared with whoever else has it.
///
/// # Errors
/// The host's.
pub fn seek(fd: i32, off: i64, whence: u32) -> Result<u64> {
    // SAFETY: no memory is touched.
    Errno::from_ret(unsafe { syscall!(lseek, fd, off, whence) }).map(|n| n as u64)
}

/// Access mode and status flags of a descriptor (F_GETFL, fcntl(2)).
///
/// # Errors
/// The host's.
pub fn status_flags(fd: i32) -> Result<u32> {
    const F_GETFL: i32 = 3;
    // SAFETY: no memory is touched.
    Errno::from_ret(unsafe { syscall!(fcntl, fd, F_GETFL, 0) }).map(|n| n as u32)
}

fn check(iov: &[IoVec]) -> Result<()> {
    if iov.iter().all(|v| abi::layout::user_range_ok(v.base, v.len)) { Ok(()) } else { Err(Errno::EFAULT) }
}

/// Reads straight into application memory at file offset `off` (at most 1024 pieces).
///
/// # Errors
/// `EFAULT` for a range that is not an application's; the host's.
pub fn user_preadv(fd: i32, iov: &[IoVec], off: u64) -> Result<usize> {
    check(iov)?;
    crate::user::host_call(iov, true, || {
        // SAFETY: only application memory is written (checked).
        Errno::from_ret(unsafe {
            if let [one] = iov {
                syscall!(pread64, fd, one.base, one.len, off)
            } else {
                syscall!(preadv, fd, iov.as_ptr(), iov.len(), off, 0)
            }
        })
    })
}

/// Writes straight from application memory at file offset `off` (at most 1024 pieces).
///
/// # Errors
/// `EFAULT` for a range that is not an application's; the host's.
pub fn user_pwritev(fd: i32, iov: &[IoVec], off: u64) -> Result<usize> {
    check(iov)?;
    crate::user::host_call(iov, false, || {
        // SAFETY: only application memory is read (checked).
        Errno::from_ret(unsafe {
            if let [one] = iov {
                syscall!(pwrite64, fd, one.base, one.len, off)
            } else {
                syscall!(pwritev, fd, iov.as_ptr(), iov.len(), off, 0)
            }
        })
    })
}

/// Reads from a stream (console) into kernel memory.
///
/// # Errors
/// The host's.
pub fn read(fd: i32, buf: &mut [u8]) -> Result<usize> {
    // SAFETY: the buffer is valid for writing.
    Errno::from_ret(unsafe { syscall!(read, fd, buf.as_mut_ptr(), buf.len()) })
}

/// Writes kernel memory to a stream (console).
///
/// # Errors
/// The host's.
pub fn write(fd: i32, buf: &[u8]) -> Result<usize> {
    // SAFETY: the buffer is valid for reading.
    Errno::from_ret(unsafe { syscall!(write, fd, buf.as_ptr(), buf.len()) })
}

/// Which of `events` (poll(2)) are true of `fd` now.
///
/// # Errors
/// The host's.
pub fn poll_now(fd: i32, events: i16) -> Result<i16> {
    let mut pfd: u64 = u64::from(fd as u32) | (u64::from(events as u16) << 32);
    // SAFETY: `pfd` has the layout of one struct pollfd.
    let n = Errno::from_ret(unsafe { syscall!(poll, &raw mut pfd, 1, 0) })?;
    Ok(if n == 0 { 0 } else { (pfd >> 48) as i16 })
}

/// statx(2) of `path` beneath `dir` (the descriptor itself where `path` is empty); links are not followed.
///
/// # Errors
/// The host's.
pub fn statx(dir: i32, path: &[u8], mask: u32) -> Result<abi::linux::statx> {
    const AT_SYMLINK_NOFOLLOW: u32 = 0x100;
    const AT_EMPTY_PATH: u32 = 0x1000;
    const AT_NO_AUTOMOUNT: u32 = 0x800;
    let c = CPath::new(path)?;
    let mut out = core::mem::MaybeUninit::<abi::linux::statx>::zeroed();
    // SAFETY: path and buffer are valid; an all-zero statx is a valid value.
    unsafe {
        Errno::from_ret(syscall!(
            statx,
            dir,
            c.as_ptr(),
            AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT,
            mask,
            out.as_mut_ptr()
        ))?;
        Ok(out.assume_init())
    }
}

/// Raw directory entries (struct linux_dirent64) of an open directory.
///
/// # Errors
/// The host's.
pub fn getdents64(fd: i32, buf: &mut [u8]) -> Result<usize> {
    // SAFETY: the buffer is valid for writing.
    Errno::from_ret(unsafe { syscall!(getdents64, fd, buf.as_mut_ptr(), buf.len()) })
}

/// Target of the symbolic link `path` beneath `dir`.
///
/// # Errors
/// The host's.
pub fn readlinkat(dir: i32, path: &[u8], buf: &mut [u8]) -> Result<usize> {
    let c = CPath::new(path)?;
    // SAFETY: path and buffer are valid.
    Errno::from_ret(unsafe { syscall!(readlinkat, dir, c.as_ptr(), buf.as_mut_ptr(), buf.len()) })
}

/// Sets a host file's length.
///
/// # Errors
/// The host's.
pub fn ftruncate(fd: i32, len: u64) -> Result<()> {
    // SAFETY: no memory is touched; shortening a mapped file is the caller's concern (SIGBUS is fixed up).
    Errno::from_ret(unsafe { syscall!(ftruncate, fd, len) }).map(drop)
}

/// fallocate(2).
///
/// # Errors
/// The host's.
pub fn fallocate(fd: i32, mode: u32, off: u64, len: u64) -> Result<()> {
    // SAFETY: no kernel memory object lives in the files this is used on (RAM file frames are owned by `core::ram`).
    Errno::from_ret(unsafe { syscall!(fallocate, fd, mode, off, len) }).map(drop)
}

/// Reads a stream straight into application memory; ends with `EINTR` as soon as the calling thread has work.
///
/// # Errors
/// `EFAULT` for a range that is not an application's; the host's.
pub fn user_read_stream(fd: i32, iov: &[IoVec]) -> Result<usize> {
    check(iov)?;
    let args = [fd as u64, iov.as_ptr() as u64, iov.len() as u64, 0, 0, 0];
    crate::user::host_call(iov, true, || {
        // SAFETY: only application memory is written (checked).
        Errno::from_ret(unsafe { crate::interruptible::call(crate::calls::nr::readv, args) })
    })
}

/// Writes a stream straight from application memory; ends early (`EINTR` where nothing was written) as soon as the
/// calling thread has work.
///
/// # Errors
/// `EFAULT` for a range that is not an application's; the host's.
pub fn user_write_stream(fd: i32, iov: &[IoVec]) -> Result<usize> {
    check(iov)?;
    let args = [fd as u64, iov.as_ptr() as u64, iov.len() as u64, 0, 0, 0];
    crate::user::host_call(iov, false, || {
        // SAFETY: only application memory is read (checked).
        Errno::from_ret(unsafe { crate::interruptible::call(crate::calls::nr::writev, args) })
    })
}

/// Bytes that can be read from `fd` now (FIONREAD).
///
/// # Errors
/// The host's.
pub fn readable_bytes(fd: i32) -> Result<u32> {
    let mut n = 0u32;
    // SAFETY: FIONREAD writes one int.
    Errno::from_ret(unsafe { syscall!(ioctl, fd, 0x541b, &raw mut n) })?;
    Ok(n)
}

/// Closes a descriptor that a [`HostFd`] elsewhere still names but nobody will use.
pub fn close(fd: i32) {
    // SAFETY: closing touches no memory.
    unsafe { syscall!(close, fd) };
}
