//! /dev: the memory devices, the nodes and links that Linux programs expect, and /dev/pts.
//!
//! /dev itself is a tmpfs, as in containers; opening a device node goes through the registry
//! ([`core_::vfs::special`]), where [`register`] puts the memory devices and the terminal module its own.
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;

mod mem;
mod pts;

pub use pts::PtsFs;

use core_::Result;
use core_::vfs::{kind, kmkdir, kmkdir_p, kmknod, ksymlink, makedev, special};

/// Registers null, zero, full, random, urandom.
pub fn register() {
    special::register_chardev(mem::MAJOR, mem::open);
}

/// Fills the directory `dev` (a fresh tmpfs mounted there). Mount points `pts` and `shm` are made, not mounted.
///
/// # Errors
/// The file system's.
pub fn populate(dev: &[u8]) -> Result<()> {
    let at = |name: &str| [dev, b"/", name.as_bytes()].concat();
    for (name, major, minor, mode, gid) in [
        ("null", 1, 3, 0o666, 0),
        ("zero", 1, 5, 0o666, 0),
        ("full", 1, 7, 0o666, 0),
        ("random", 1, 8, 0o666, 0),
        ("urandom", 1, 9, 0o666, 0),
        ("tty", 5, 0, 0o666, 5),
        ("console", 5, 1, 0o620, 5),
        ("ptmx", 5, 2, 0o666, 5),
    ] {
        kmknod(&at(name), kind::CHAR | mode, 0, gid, makedev(major, minor))?;
    }
    for (name, target) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
        ("core", "/proc/kcore"),
    ] {
        ksymlink(&at(name), target.as_bytes())?;
    }
    kmkdir_p(&at("pts"))?;
    kmkdir(&at("shm"), 0o1777, 0, 0)?;
    kmkdir(&at("mqueue"), 0o1777, 0, 0)?;
    Ok(())
}
