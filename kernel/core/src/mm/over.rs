//! Programs that lie where the jump table is in other address spaces: large ones at fixed addresses.

use super::map::page_up;
use super::{Mapping, Mm, Vma, flag, spaces};
use crate::file::{File, MapKind};
use crate::{Errno, Result};
use abi::layout;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;

impl Mm {
    /// The address space has something of the program's where the jump table is in others.
    #[must_use]
    pub fn lies_over_table(&self) -> bool {
        self.over_table.load(Ordering::Relaxed)
    }

    /// From now on the address space is such a one; before anything is mapped there.
    pub fn go_over_table(&self) {
        self.over_table.store(true, Ordering::Relaxed);
        spaces::mmu().before_table(self);
    }

    /// Maps a private segment of a program at an address that the jump table has in other address spaces, after [`Mm::go_over_table`].
    ///
    /// # Errors
    /// `ENOMEM`; `ENOEXEC` where the file's pages are not one run.
    pub fn map_over_table(&self, start: u64, len: u64, prot: u32, file: Option<(Arc<File>, u64)>) -> Result<()> {
        let len = page_up(len).filter(|l| layout::user_range_ok(start, *l)).ok_or(Errno::ENOMEM)?;
        self.check_limits(len, prot, flag::PRIVATE)?;
        let mut s = self.space.lock();
        let mut v = Vma {
            end: start + len,
            prot,
            flags: flag::PRIVATE,
            mapping: None,
            offset: 0,
            patched: false,
            shared: None,
        };
        if let Some((file, off)) = file {
            let extents = file.ops().map_extents(&file, off, len, MapKind::Read)?;
            let [(fd, at)] = extents
                .iter()
                .filter(|e| e.offset == off && e.len >= len)
                .filter_map(|e| e.host)
                .collect::<alloc::vec::Vec<_>>()[..]
            else {
                return Err(Errno::ENOEXEC);
            };
            v.offset = off;
            spaces::mmu().over_table(&s, start, &mut v, Some((&file, fd, at)))?;
            v.mapping = Some(Mapping::new(file, false));
        } else {
            v.flags |= flag::ANONYMOUS;
            spaces::mmu().over_table(&s, start, &mut v, None)?;
        }
        s.areas.insert(start, v);
        Ok(())
    }
}
