//! /proc/PID/{mem,pagemap,clear_refs} (proc(5); `mem_rw` in fs/proc/base.c, fs/proc/task_mmu.c).

use crate::memory::space;
use crate::process::Who;
use abi::layout::PAGE;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core_::file::{File, FileOps};
use core_::io::IoBuf;
use core_::mm::{Mm, errand};
use core_::vfs::seek_without_end;
use core_::{Errno, Result};

/// What an open file keeps: the space as it was then, also when the process has another now.
struct Mem(Option<Arc<Mm>>);

pub fn mem(who: &Who) -> Result<Arc<dyn FileOps>> {
    Ok(Arc::new(Mem(space(who)?)))
}

/// Nothing is left of a space without threads.
fn or_end<T>(r: Result<T>, end: T) -> Result<T> {
    match r {
        Err(Errno::ESRCH) => Ok(end),
        r => r,
    }
}

impl FileOps for Mem {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn offsets_are_addresses(&self) -> bool {
        true
    }

    fn pollable(&self) -> bool {
        false
    }

    fn read(&self, _file: &File, dst: &mut IoBuf, off: u64) -> Result<usize> {
        let Some(mm) = &self.0 else { return Ok(0) };
        let mut done = 0;
        while dst.left() > 0 {
            let want = dst.left().min(errand::MOST);
            let Some(bytes) = or_end(mm.peek(off + done as u64, want).map(Some), None)? else { break };
            done += dst.put(&bytes)?;
            if bytes.len() < want {
                return if done == 0 { Err(Errno::EIO) } else { Ok(done) };
            }
        }
        Ok(done)
    }

    // What the process itself may not write to can not be written to here: Linux would make a copy of the page.
    fn write(&self, _file: &File, src: &mut IoBuf, off: u64) -> Result<usize> {
        let Some(mm) = &self.0 else { return Ok(0) };
        let mut done = 0;
        while src.left() > 0 {
            let mut bytes = alloc::vec![0; src.left().min(errand::MOST)];
            let n = src.take(&mut bytes)?;
            bytes.truncate(n);
            let wrote = or_end(mm.poke(off + done as u64, bytes), 0)?;
            done += wrote;
            if wrote < n {
                return if done == 0 { Err(Errno::EIO) } else { Ok(done) };
            }
        }
        Ok(done)
    }

    fn is_stream(&self) -> bool {
        false
    }

    fn seek(&self, file: &File, off: i64, whence: u32) -> Result<u64> {
        seek_without_end(file, off, whence)
    }
}

/// An entry of pagemap: a page is in memory; it is a file's or shared.
const PRESENT: u64 = 1 << 63;
const FILE_OR_SHARED: u64 = 1 << 61;
/// The most entries of one errand.
const MOST_ENTRIES: usize = 32768;

struct PageMap(Option<Arc<Mm>>);

pub fn pagemap(who: &Who) -> Result<Arc<dyn FileOps>> {
    Ok(Arc::new(PageMap(space(who)?)))
}

impl FileOps for PageMap {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn pollable(&self) -> bool {
        false
    }

    /// Frame numbers are zero, as Linux has them for all without CAP_SYS_ADMIN: the host does not tell them.
    fn read(&self, _file: &File, dst: &mut IoBuf, off: u64) -> Result<usize> {
        if !off.is_multiple_of(8) || !dst.left().is_multiple_of(8) {
            return Err(Errno::EINVAL);
        }
        let Some(mm) = &self.0 else { return Ok(0) };
        let first = off / 8;
        let end = abi::layout::USER_MAX / PAGE;
        let left = usize::try_from(end.saturating_sub(first)).unwrap_or(usize::MAX).min(dst.left() / 8);
        let mut done = 0;
        while done < left {
            let n = (left - done).min(MOST_ENTRIES);
            let states = or_end(mm.page_states((first + done as u64) * PAGE, n), Vec::new())?;
            if states.is_empty() {
                break;
            }
            let entry = |s: &core_::mm::PageState| match (s.present, s.own) {
                (false, _) => 0,
                (true, true) => PRESENT,
                (true, false) => PRESENT | FILE_OR_SHARED,
            };
            let bytes: Vec<u8> = states.iter().flat_map(|s| entry(s).to_le_bytes()).collect();
            dst.put(&bytes)?;
            done += n;
        }
        Ok(done * 8)
    }

    fn is_stream(&self) -> bool {
        false
    }

    fn seek(&self, file: &File, off: i64, whence: u32) -> Result<u64> {
        seek_without_end(file, off, whence)
    }
}

/// `CLEAR_REFS_MM_HIWATER_RSS`: the others clear marks of pages that the host keeps.
const PEAK: i32 = 5;

pub fn clear_refs(who: &Who, text: &[u8]) -> Result<()> {
    let number = core::str::from_utf8(text).ok().and_then(|t| t.trim().parse::<i32>().ok()).ok_or(Errno::EINVAL)?;
    let mm = space(who)?;
    match number {
        PEAK => {
            if let Some(mm) = mm {
                mm.forget_peak();
            }
            Ok(())
        }
        1..=4 => {
            const WRITE: usize = 1;
            core_::counters::MISSING[WRITE].add(1);
            Err(Errno::EOPNOTSUPP)
        }
        _ => Err(Errno::EINVAL),
    }
}
