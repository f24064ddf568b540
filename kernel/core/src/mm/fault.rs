//! Faults that the host could not resolve: pages that come with the first touch, and real errors.

use super::{Mm, Space, flag, spaces};
use crate::signal::{code, sig};
use crate::{Errno, Result};
use abi::layout;

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
/// The most that is opened ahead for the guest kernel's own access; a longer transfer is a short one.
const AHEAD: u64 = 64 << 20;

impl Space {
    /// Charges the chunk around `addr`, as far as it is lazy and of the same area, and makes it accessible; its end.
    pub(super) fn open_chunk(&mut self, addr: u64) -> Result<u64> {
        let (start, v) = self.areas.find(addr).ok_or(Errno::EFAULT)?;
        if v.flags & flag::LAZY == 0 {
            return Ok(v.end);
        }
        let low = (addr & !(CHUNK - 1)).max(start);
        let high = ((addr & !(CHUNK - 1)) + CHUNK).min(v.end);
        super::check_commit(high - low)?;
        host::mem::mprotect(low, high - low, v.prot)?;
        self.areas.open_lazy(low, high);
        Ok(high)
    }
}

impl Mm {
    /// See `limits::open_lazy`.
    pub(crate) fn open_lazy(&self, addr: u64, len: u64) -> bool {
        let mut s = self.space.lock();
        let before = s.areas.charged();
        let end = addr.saturating_add(len.min(AHEAD));
        let mut at = addr;
        while at < end {
            match s.open_chunk(at) {
                Ok(next) => at = next,
                Err(_) => break,
            }
        }
        s.areas.charged() != before
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
