//! Files whose life is elsewhere: FIFOs, terminals and other character devices. Modules register here; the VFS asks.

use super::{Inode, Path};
use crate::file::FileOps;
use crate::{Errno, Mutex, Result};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Opens a FIFO: may block for the other side. The inode's `special` slot holds the pipe.
pub type OpenFifo = fn(&Arc<dyn Inode>, flags: u32) -> Result<Arc<dyn FileOps>>;
/// Opens a character device by minor number.
pub type OpenDevice = fn(minor: u32, flags: u32, path: &Path) -> Result<Arc<dyn FileOps>>;

static FIFO: Mutex<Option<OpenFifo>> = host::sync::mutex(None);
static CHARDEVS: Mutex<BTreeMap<u32, OpenDevice>> = host::sync::mutex(BTreeMap::new());

/// Tells how FIFOs are opened.
pub fn register_fifo(f: OpenFifo) {
    *FIFO.lock() = Some(f);
}

/// Tells how character devices of `major` are opened.
pub fn register_chardev(major: u32, f: OpenDevice) {
    CHARDEVS.lock().insert(major, f);
}

pub(super) fn open_fifo(inode: &Arc<dyn Inode>, flags: u32) -> Result<Arc<dyn FileOps>> {
    let f = *FIFO.lock();
    f.ok_or(Errno::ENXIO)?(inode, flags)
}

pub(super) fn open_chardev(rdev: u64, flags: u32, path: &Path) -> Result<Arc<dyn FileOps>> {
    let f = CHARDEVS.lock().get(&super::major(rdev)).copied();
    f.ok_or(Errno::ENXIO)?(super::minor(rdev), flags, path)
}

/// One terminal in /dev/pts.
#[derive(Clone, Copy, Debug)]
pub struct Pts {
    pub number: u32,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
}

/// What /dev/pts asks the terminal module.
pub trait PtsDir: Send + Sync {
    /// The terminals that exist now, by number.
    fn list(&self) -> Vec<Pts>;
    fn get(&self, number: u32) -> Option<Pts>;
    /// chmod, chown of a terminal.
    fn set(&self, pts: Pts);
}

static PTS: Mutex<Option<&'static dyn PtsDir>> = host::sync::mutex(None);

/// Tells where the contents of /dev/pts come from.
pub fn register_pts(dir: &'static dyn PtsDir) {
    *PTS.lock() = Some(dir);
}

/// The registered terminals.
#[must_use]
pub fn pts() -> Option<&'static dyn PtsDir> {
    *PTS.lock()
}
