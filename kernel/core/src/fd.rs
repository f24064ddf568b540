//! Descriptor tables.

use crate::file::File;
use crate::{Errno, Mutex, Result};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Deref;
use host::own::{Lent, Own};

#[derive(Clone)]
struct Slot {
    file: Arc<File>,
    cloexec: bool,
}

/// How many files a thread keeps at hand.
const RECENT: usize = 4;

/// The files that a thread has used last, with their numbers: found without a lock, used without a reference of its own. Only for a
/// table that nobody shares, so that nobody but the thread itself changes what the numbers mean; it then empties this.
/// (Linux's fdget() borrows from an unshared table with the same reason: fs/file.c, `__fget_light`.)
#[derive(Default)]
pub struct Recent([Own<(i32, Arc<File>)>; RECENT]);

impl Recent {
    #[inline(always)]
    fn of(&'static self, fd: i32) -> &'static Own<(i32, Arc<File>)> {
        &self.0[fd as usize % RECENT]
    }

    /// Before a number of the calling thread's gets another meaning, or others can give it one.
    pub fn clear(&self) {
        self.0.iter().for_each(Own::clear);
    }

    fn clear_mine() {
        if let Some(me) = host::thread::current_if_any::<crate::Thread>() {
            me.recent.clear();
        }
    }
}

/// A file while one system call uses it: see [`Recent`].
pub struct InUse(Lent<(i32, Arc<File>)>);

impl InUse {
    /// The calling thread's file `fd`.
    ///
    /// # Errors
    /// `EBADF`.
    #[inline(always)]
    pub fn get(fd: i32) -> Result<InUse> {
        match crate::current().recent.of(fd).take() {
            Some(lent) if lent.0 == fd => Ok(InUse(lent)),
            _ => Self::find(fd),
        }
    }

    #[inline(never)]
    fn find(fd: i32) -> Result<InUse> {
        let me = crate::current();
        let table = me.files();
        let found = (fd, table.get(fd)?);
        // This reference and the thread's: nobody shares the table.
        let alone = Arc::strong_count(&table) == 2;
        Ok(InUse(if alone { me.recent.of(fd).lend(found) } else { Lent::stray(found) }))
    }
}

impl Deref for InUse {
    type Target = Arc<File>;

    #[inline(always)]
    fn deref(&self) -> &Arc<File> {
        &self.0.1
    }
}

/// The descriptors of a process (shared by threads made with CLONE_FILES).
#[derive(Default)]
pub struct FdTable {
    slots: Mutex<Vec<Option<Slot>>>,
}

impl FdTable {
    #[must_use]
    pub fn new() -> Arc<FdTable> {
        Arc::new(FdTable::default())
    }

    /// The file behind `fd`.
    ///
    /// # Errors
    /// `EBADF`.
    pub fn get(&self, fd: i32) -> Result<Arc<File>> {
        match self.slots.lock().get(fd as usize) {
            Some(Some(s)) if fd >= 0 => Ok(s.file.clone()),
            _ => Err(Errno::EBADF),
        }
    }

    /// Installs `file` at the lowest free number from `min` on, below `limit` (RLIMIT_NOFILE).
    ///
    /// # Errors
    /// `EMFILE`.
    pub fn install(&self, file: Arc<File>, cloexec: bool, min: i32, limit: u64) -> Result<i32> {
        let mut slots = self.slots.lock();
        let mut fd = min as usize;
        while fd < slots.len() && slots[fd].is_some() {
            fd += 1;
        }
        if fd as u64 >= limit {
            return Err(Errno::EMFILE);
        }
        if fd >= slots.len() {
            slots.resize(fd + 1, None);
        }
        slots[fd] = Some(Slot { file, cloexec });
        Ok(fd as i32)
    }

    /// [`FdTable::install`] for the calling thread: lowest number, the process's limit.
    ///
    /// # Errors
    /// `EMFILE`.
    pub fn add(&self, file: Arc<File>, cloexec: bool) -> Result<i32> {
        self.install(file, cloexec, 0, crate::current().rlimit_nofile())
    }

    /// Puts `file` at exactly `fd`; returns what was there (to be flushed and dropped by the caller).
    ///
    /// # Errors
    /// `EBADF` for a number at or above `limit`.
    pub fn replace(&self, fd: i32, file: Arc<File>, cloexec: bool, limit: u64) -> Result<Option<Arc<File>>> {
        if fd < 0 || fd as u64 >= limit {
            return Err(Errno::EBADF);
        }
        Recent::clear_mine();
        let mut slots = self.slots.lock();
        if fd as usize >= slots.len() {
            slots.resize(fd as usize + 1, None);
        }
        Ok(slots[fd as usize].replace(Slot { file, cloexec }).map(|s| s.file))
    }

    /// Takes `fd` out; the caller flushes and drops the file.
    ///
    /// # Errors
    /// `EBADF`.
    pub fn remove(&self, fd: i32) -> Result<Arc<File>> {
        Recent::clear_mine();
        let mut slots = self.slots.lock();
        if fd < 0 {
            return Err(Errno::EBADF);
        }
        slots.get_mut(fd as usize).and_then(Option::take).map(|s| s.file).ok_or(Errno::EBADF)
    }

    /// # Errors
    /// `EBADF`.
    pub fn cloexec(&self, fd: i32) -> Result<bool> {
        match self.slots.lock().get(fd as usize) {
            Some(Some(s)) if fd >= 0 => Ok(s.cloexec),
            _ => Err(Errno::EBADF),
        }
    }

    /// # Errors
    /// `EBADF`.
    pub fn set_cloexec(&self, fd: i32, on: bool) -> Result<()> {
        match self.slots.lock().get_mut(fd as usize) {
            Some(Some(s)) if fd >= 0 => {
                s.cloexec = on;
                Ok(())
            }
            _ => Err(Errno::EBADF),
        }
    }

    /// A copy for fork, no larger than the highest open descriptor asks for.
    #[must_use]
    pub fn fork(&self) -> Arc<FdTable> {
        let mut slots = self.slots.lock().clone();
        slots.truncate(slots.iter().rposition(Option::is_some).map_or(0, |last| last + 1));
        Arc::new(FdTable { slots: Mutex::new(slots) })
    }

    /// How many descriptors Linux's table would have room for (fs/file.c, `alloc_fdtable`): select(2) looks at no more,
    /// and `FDSize` of /proc/PID/status says it.
    #[must_use]
    pub fn capacity(&self) -> usize {
        match self.slots.lock().len() {
            0..=64 => 64,
            n => n.div_ceil(128).next_power_of_two() * 128,
        }
    }

    /// Takes out all descriptors for which `which(fd, cloexec)` holds.
    pub fn drain(&self, which: impl Fn(i32, bool) -> bool) -> Vec<Arc<File>> {
        Recent::clear_mine();
        let mut out = Vec::new();
        for (fd, slot) in self.slots.lock().iter_mut().enumerate() {
            if slot.as_ref().is_some_and(|s| which(fd as i32, s.cloexec)) {
                out.extend(slot.take().map(|s| s.file));
            }
        }
        out
    }

    /// The open descriptors: number, file, close-on-exec.
    #[must_use]
    pub fn list(&self) -> Vec<(i32, Arc<File>, bool)> {
        let slots = self.slots.lock();
        slots
            .iter()
            .enumerate()
            .filter_map(|(fd, s)| s.as_ref().map(|s| (fd as i32, s.file.clone(), s.cloexec)))
            .collect()
    }
}
