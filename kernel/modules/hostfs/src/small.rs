//! Contents of small files that do not change, kept in guest kernel memory: a file that is read again and again (headers,
//! modules, scripts) costs the host an open, a read and a close once.

use crate::HostInode;
use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use core_::{Result, ram};

/// The longest file that is kept.
const SMALL: u64 = 32 << 10;
/// The most that a file system keeps, whatever the machine's memory.
const MOST: u64 = 64 << 20;
/// The share of the machine's memory that may be used.
const SHARE: u64 = 16;

/// What a file system keeps, oldest first.
#[derive(Default)]
pub(crate) struct Kept {
    files: VecDeque<(Weak<HostInode>, u64)>,
    bytes: u64,
}

impl Kept {
    /// Counts a file in; those that have to go for it.
    fn add(&mut self, i: &Arc<HostInode>, len: u64) -> Vec<Arc<HostInode>> {
        self.files.push_back((Arc::downgrade(i), len));
        self.bytes += len;
        let budget = (ram::usage().0 * ram::FRAME / SHARE).min(MOST);
        let mut gone = Vec::new();
        while self.bytes > budget
            && let Some((old, len)) = self.files.pop_front()
        {
            self.bytes -= len;
            gone.extend(old.upgrade());
        }
        gone
    }
}

impl HostInode {
    /// The whole file, where it is small and does not change; read from the host the first time.
    ///
    /// # Errors
    /// The host's.
    pub(crate) fn content(&self) -> Result<Option<Arc<[u8]>>> {
        let size = self.size.load(Ordering::Relaxed);
        if self.live() || size > SMALL {
            return Ok(None);
        }
        // Of another length: another name's lookup has found that somebody changes the file after all.
        if let Some(c) = self.content.lock().as_ref().filter(|c| c.len() as u64 == size) {
            return Ok(Some(c.clone()));
        }
        let fd = self.fd(false)?;
        let mut buf = alloc::vec![0u8; size as usize];
        if host::file::pread_full(fd.raw(), &mut buf, 0)? < buf.len() {
            return Ok(None);
        }
        let c: Arc<[u8]> = Arc::from(buf);
        *self.content.lock() = Some(c.clone());
        if let Some(me) = self.me.upgrade() {
            let gone = self.fs.kept.lock().add(&me, size);
            for i in gone {
                let old = i.content.lock().take();
                drop(old);
            }
        }
        Ok(Some(c))
    }

    /// True where reading needs no host descriptor.
    pub(crate) fn has_content(&self) -> bool {
        self.content.lock().is_some()
    }
}
