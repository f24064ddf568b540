//! /proc/locks, and the locks of /proc/PID/fdinfo (proc(5); `lock_get_status` in fs/locks.c).

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core_::Result;
use core_::fd::FdTable;
use core_::file::File;
use core_::vfs::locks::{self, Owner, Shown};
use core_::vfs::{major, minor};

fn line(s: &Shown) -> String {
    let l = &s.lock;
    let kind = match l.owner {
        Owner::Table(_) => "POSIX ",
        Owner::File(_) => "OFDLCK",
        Owner::Flock(_) => "FLOCK ",
    };
    let arrow = if s.waiting { "-> " } else { "" };
    let access = if l.exclusive { "WRITE" } else { "READ" };
    let (dev, ino) = s.file();
    let end = if l.end == u64::MAX { String::from("EOF") } else { format!("{}", l.end) };
    let (number, pid, major, minor, start) = (s.number, l.pid, major(dev), minor(dev), l.start);
    format!("{number}: {arrow}{kind} ADVISORY  {access} {pid} {major:02x}:{minor:02x}:{ino} {start} {end}\n")
}

pub fn all() -> Result<Vec<u8>> {
    Ok(locks::all().iter().map(line).collect::<String>().into_bytes())
}

/// Lines of /proc/PID/fdinfo/FD.
pub fn of(file: &File, table: &Arc<FdTable>) -> String {
    locks::through(file, table).iter().map(|s| format!("lock:\t{}", line(s))).collect()
}
