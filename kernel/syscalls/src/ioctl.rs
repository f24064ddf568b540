//! ioctl(2): what every descriptor answers; the rest is the file's own.

use crate::Args;
use core_::file::oflag;
use core_::uaccess::UserPtr;
use core_::vfs::{file_attr, kind};
use core_::{Errno, Result, current};

const FIONCLEX: u32 = 0x5450;
const FIOCLEX: u32 = 0x5451;
const FIONBIO: u32 = 0x5421;
const FIOASYNC: u32 = 0x5452;
const FIOQSIZE: u32 = 0x5460;
const FIGETBSZ: u32 = 2;
const FIONREAD: u32 = 0x541b;

/// ioctl(2).
pub fn ioctl(a: &Args) -> Result<i64> {
    let (fd, cmd, arg) = (a.fd(0), a.u32(1), a.u64(2));
    let files = current().files();
    let file = files.get(fd)?;
    if file.flags() & oflag::PATH != 0 {
        return Err(Errno::EBADF);
    }
    // Numbers of fcntl(2) that reach a file by the same way, but not from here.
    const FCNTL: core::ops::RangeInclusive<u32> = 1024..=1040;
    match cmd {
        c if FCNTL.contains(&c) => Err(Errno::ENOTTY),
        FIOCLEX => files.set_cloexec(fd, true).map(|()| 0),
        FIONCLEX => files.set_cloexec(fd, false).map(|()| 0),
        FIONBIO | FIOASYNC => {
            let on = UserPtr::<i32>::new(arg).read()? != 0;
            let flag = if cmd == FIONBIO { oflag::NONBLOCK } else { oflag::ASYNC };
            let flags = file.flags();
            file.set_status_flags(if on { flags | flag } else { flags & !flag });
            Ok(0)
        }
        // These two come before the file's own.
        FIGETBSZ => UserPtr::<u32>::new(arg).write(file_attr(&file)?.blksize).map(|()| 0),
        FIOQSIZE => {
            let attr = file_attr(&file)?;
            if file.path().is_none() || !matches!(attr.mode & kind::MASK, kind::FILE | kind::DIR | kind::LINK) {
                return Err(Errno::ENOTTY);
            }
            UserPtr::<u64>::new(arg).write(attr.size).map(|()| 0)
        }
        _ => match file.ops().ioctl(&file, cmd, arg) {
            Err(Errno::ENOTTY) if cmd == FIONREAD => left_in(&file, arg),
            r => r,
        },
    }
}

/// FIONREAD of a regular file (`fs/ioctl.c`).
fn left_in(file: &core_::file::File, arg: u64) -> Result<i64> {
    let attr = file_attr(file)?;
    if file.path().is_none() || attr.mode & kind::MASK != kind::FILE {
        return Err(Errno::ENOTTY);
    }
    let left = attr.size.saturating_sub(*file.pos());
    UserPtr::<u32>::new(arg).write(left.min(u64::from(u32::MAX)) as u32).map(|()| 0)
}
