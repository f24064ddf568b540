//! Process descriptors (pidfd_open(2)): readable once the process has ended.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core_::file::{File, FileOps, oflag};
use core_::task::Process;
use core_::wait::{Events, PollTable};

struct PidFd {
    process: Arc<Process>,
}

/// A descriptor for `process`; `flags` O_NONBLOCK (PIDFD_NONBLOCK) or 0.
#[must_use]
pub fn new(process: Arc<Process>, flags: u32) -> Arc<File> {
    File::new(Arc::new(PidFd { process }), oflag::RDWR | (flags & oflag::NONBLOCK))
}

/// The process behind `file`, where it is such a descriptor.
#[must_use]
pub fn process(file: &File) -> Option<Arc<Process>> {
    file.downcast::<PidFd>().map(|p| p.process.clone())
}

impl FileOps for PidFd {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn poll(&self, _file: &File, table: Option<&mut PollTable>) -> Events {
        if let Some(t) = table {
            t.add(&self.process.exit_wait);
        }
        if self.process.is_zombie() { Events::READ } else { Events::empty() }
    }

    fn link_text(&self, _file: &File) -> Option<Vec<u8>> {
        Some(b"anon_inode:[pidfd]".to_vec())
    }

    fn fdinfo(&self, _file: &File) -> Vec<u8> {
        let pid = if *self.process.state.lock() == core_::task::State::Dead { -1 } else { self.process.pid as i32 };
        alloc::format!("Pid:\t{pid}\nNSpid:\t{pid}\n").into_bytes()
    }
}
