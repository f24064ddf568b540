//! Faults that the host could not resolve: pages that come with the first touch, and real errors.

use super::spaces::map_file;
use super::{Mm, Space, flag, spaces};
use crate::signal::{code, sig};
use crate::{Errno, Result};
use abi::layout::{self, PAGE};

/// What a fault comes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FaultResult {
    /// The access can be tried again.
    Retry,
    /// The application gets this signal with this `si_code`.
    Signal(u32, i32),
}

/// What a touch of a lazy area opens and charges: enough that a program which fills it does not fault all the time.
const CHUNK: u64 = 2 << 20;
/// The same for a write to what forked processes have in common: a child often writes a little here and there.
const COPY: u64 = 256 << 10;
/// The most that is opened ahead for the guest kernel's own access; a longer transfer is a short one.
const AHEAD: u64 = 64 << 20;
/// What comes with the first touch of a file's hole: as much as Linux maps around a fault. As long as a program goes on where the
/// last piece ended, each is twice as large, up to `CHUNK`.
const AROUND: u64 = 64 << 10;

impl Space {
    /// Maps the missing pages of a file around `addr`, which get memory where the file has none. False where the page at `addr` is
    /// still missing: it lies beyond the file's end, or there is no memory left for it.
    pub(super) fn find_pages(&mut self, addr: u64) -> bool {
        let page = addr & !(PAGE - 1);
        let Some((start, v)) = self.areas.find(page) else { return false };
        let Some(m) = v.mapping.clone() else { return false };
        let Some((from, to)) = self.areas.missing_around(page) else { return true };
        let (v_end, offset, prot, flags) = (v.end, v.offset, v.host_prot(v.prot), v.flags);
        let (next, last) = self.touched;
        let (low, high) = if page == next {
            (page, page + (last * 2).min(CHUNK))
        } else {
            (page & !(AROUND - 1), (page & !(AROUND - 1)) + AROUND)
        };
        let around = (low.max(from).max(start), high.min(to).min(v_end));
        // Where there is not so much memory left, the page itself.
        for (low, high) in [around, (page, page + PAGE)] {
            let r = map_file(&mut self.areas, (low, high), prot, flags, (&m.file, m.kind()), offset + (low - start));
            if !self.areas.lacks(page, page + PAGE) {
                self.touched = (high, high - low);
                return true;
            }
            if r.is_err() {
                break;
            }
        }
        false
    }

    /// Charges the chunk around `addr`, as far as it is of the same area and waits for a touch, or for a write where this is one, and
    /// makes it accessible. Where it ends.
    pub(super) fn open_chunk(&mut self, addr: u64, write: bool) -> Result<u64> {
        let (start, v) = self.areas.find(addr).ok_or(Errno::EFAULT)?;
        let copy = write && v.flags & flag::COW != 0 && v.prot & flag::PROT_WRITE != 0;
        let chunk = match v.flags & flag::LAZY {
            0 if !copy => return Ok(v.end),
            0 => COPY,
            _ => CHUNK,
        };
        let low = (addr & !(chunk - 1)).max(start);
        let high = ((addr & !(chunk - 1)) + chunk).min(v.end);
        let (prot, flags) = (v.prot, v.flags);
        self.open(low, high, prot, flags)?;
        Ok(high)
    }
}

/// `host::user`'s question, see [`Mm::can_access`]; boot registers it.
pub fn try_again(addr: u64, len: u64, write: bool) -> bool {
    let me = host::thread::current_if_any::<crate::Thread>();
    let mm = me.and_then(|t| t.process.mm.lock().clone());
    mm.is_some_and(|mm| mm.can_access(addr, len, write))
}

impl Mm {
    /// See `limits::open_or_kill`; `ENOMEM` where there is no memory for the first of it.
    pub(crate) fn open_ahead(&self, addr: u64, len: u64, write: bool) -> Result<()> {
        let mut s = self.space.lock();
        let end = addr.saturating_add(len.min(AHEAD));
        let mut at = addr;
        while at < end {
            let missing = s.areas.missing(at, end).next();
            // What is missing up to its end, then what is lazy up to the next that is missing.
            if let Some((from, to)) = missing
                && from == at
            {
                if !s.find_pages(at) {
                    break;
                }
                at = s.areas.missing(at, to).next().map_or(to, |(from, _)| from);
                continue;
            }
            match s.open_chunk(at, write) {
                Ok(next) => at = next.min(missing.map_or(u64::MAX, |m| m.0)),
                Err(Errno::ENOMEM) if at - addr < CHUNK => return Err(Errno::ENOMEM),
                Err(_) => break,
            }
        }
        Ok(())
    }

    /// Whether an access of the guest kernel's to `[addr, addr+len)` that has failed can be tried again: what waited for its first
    /// touch does not any more, and all of it may be accessed. It may be another thread that has changed that, a moment ago.
    pub(super) fn can_access(&self, addr: u64, len: u64, write: bool) -> bool {
        if self.open_ahead(addr, len, write).is_err() {
            return false;
        }
        let s = self.space.lock();
        let end = addr.saturating_add(len.min(AHEAD));
        let need = if write { flag::PROT_WRITE } else { flag::PROT_MASK };
        let allowed = |_, _, v: &super::Vma| if v.prot & need != 0 { Ok(()) } else { Err(Errno::EFAULT) };
        s.areas.each_covering(addr, end, allowed).is_ok() && !s.areas.lacks(addr, end)
    }

    /// Gives memory to what waits for its first touch in `[start, end)`, as far as there is any (MAP_POPULATE, mlock(2)).
    pub(super) fn fill_ahead(&self, start: u64, end: u64) {
        let mut s = self.space.lock();
        let mut at = start;
        while let Some((from, to)) = { s.areas.missing(at, end).next() } {
            if !s.find_pages(from) {
                break;
            }
            at = s.areas.missing(from, to).next().map_or(to, |(from, _)| from);
        }
    }

    /// Looks at a fault at `addr`; `err` is the processor's page-fault error code (bit 1 write, bit 4 instruction fetch).
    pub fn fault(&self, addr: u64, err: u64) -> FaultResult {
        let segv = |c| FaultResult::Signal(sig::SEGV, c);
        let over_table = self.lies_over_table();
        if !(host::mem::mappable(addr, 1) || over_table && layout::user_range_ok(addr, 1)) {
            return segv(code::SEGV_MAPERR);
        }
        spaces::mmu().fault(self, addr, err)
    }
}
