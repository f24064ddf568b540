//! Opening terminals, and the slave side's file.

use super::{State, Tty, find, job};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core_::file::{File, FileOps, oflag};
use core_::io::IoBuf;
use core_::task::Cap;
use core_::wait::{Events, PollTable};
use core_::{Errno, Result, current, vfs};

/// UNIX98 terminals (linux/Documentation/admin-guide/devices.txt).
const PTS_MAJOR: u32 = 136;

/// An open slave side.
pub(super) struct Slave {
    pub(super) tty: Arc<Tty>,
    /// Hang-ups before it was opened.
    pub(super) generation: u64,
}

/// Opens /dev/pts/`index`; makes it the controlling terminal of a session leader without one, unless O_NOCTTY.
///
/// # Errors
/// `ENOENT`, `ENXIO`; `EIO` where it is locked or its master gone; `EBUSY` where it is exclusive.
pub fn open_index(index: u32, flags: u32) -> Result<Arc<dyn FileOps>> {
    let tty = find(index)?;
    let f = tty.open()?;
    if flags & oflag::NOCTTY == 0 {
        job::adopt(&tty);
    }
    Ok(f)
}

/// Opens /dev/tty.
///
/// # Errors
/// `ENXIO` without a controlling terminal.
pub fn open_controlling() -> Result<Arc<dyn FileOps>> {
    job::current_tty().ok_or(Errno::ENXIO)?.open()
}

/// The terminal behind a slave file.
pub(super) fn tty_of(file: &File) -> Option<&Slave> {
    file.downcast::<Slave>()
}

impl Tty {
    /// The slave's device number.
    pub(super) fn device(&self) -> u64 {
        vfs::makedev(PTS_MAJOR, self.index)
    }

    /// Opens the slave side.
    ///
    /// # Errors
    /// `EIO` where it is locked or its master gone; `EBUSY` where it is exclusive.
    pub fn open(self: &Arc<Self>) -> Result<Arc<dyn FileOps>> {
        let generation = {
            let mut st = self.state.lock();
            if !st.master_open || st.locked {
                return Err(Errno::EIO);
            }
            if st.exclusive && !current_may(Cap::SysAdmin) {
                return Err(Errno::EBUSY);
            }
            st.slaves += 1;
            st.opened = true;
            st.generation
        };
        Ok(Arc::new(Slave { tty: self.clone(), generation }))
    }
}

impl Tty {
    /// Its node in the caller's /dev/pts.
    pub(super) fn place(&self) -> Option<vfs::Path> {
        let p = vfs::lookup(alloc::format!("/dev/pts/{}", self.index).as_bytes(), false).ok()?;
        let a = p.inode().ok()?.attr().ok()?;
        (a.mode & vfs::kind::MASK == vfs::kind::CHAR && a.rdev == self.device()).then_some(p)
    }
}

fn current_may(cap: Cap) -> bool {
    current().cred().has(cap)
}

impl FileOps for Slave {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn read(&self, file: &File, dst: &mut IoBuf, _off: u64) -> Result<usize> {
        self.tty.do_read(file, self.generation, dst)
    }

    fn write(&self, file: &File, src: &mut IoBuf, _off: u64) -> Result<usize> {
        self.tty.do_write(file, self.generation, src)
    }

    fn poll(&self, _file: &File, table: Option<&mut PollTable>) -> Events {
        if let Some(t) = table {
            t.add(&self.tty.input);
            t.add(&self.tty.space);
        }
        self.tty.slave_events(self.generation)
    }

    fn ioctl(&self, _file: &File, cmd: u32, arg: u64) -> Result<i64> {
        if self.tty.state.lock().hung_up(self.generation) {
            return Err(Errno::EIO);
        }
        self.tty.slave_ioctl(self.generation, cmd, arg)
    }

    fn link_text(&self, _file: &File) -> Option<Vec<u8>> {
        Some(alloc::format!("/dev/pts/{}", self.tty.index).into_bytes())
    }

    fn release(&self, _file: &File) {
        let last = {
            let mut st = self.tty.state.lock();
            st.slaves -= 1;
            let last = st.slaves == 0;
            if last {
                st.exclusive = false;
            }
            last
        };
        if last {
            self.tty.far.wake(Events::HUP | Events::READ);
        }
    }
}

impl State {
    /// The slave side was opened once and is closed now.
    pub(super) fn abandoned(&self) -> bool {
        self.opened && self.slaves == 0
    }
}
