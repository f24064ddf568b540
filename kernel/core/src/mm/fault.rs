//! Faults that the host could not resolve: pages that come with the first touch, and real errors.

use super::{Mm, flag};
use crate::file::MapKind;
use crate::signal::{code, sig};
use abi::layout::{self, PAGE};

/// What a fault comes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FaultResult {
    /// The access can be tried again.
    Retry,
    /// The application gets this signal with this `si_code`.
    Signal(u32, i32),
}

impl Mm {
    /// Looks at a fault at `addr`; `err` is the processor's page-fault error code (bit 1 write, bit 4 instruction fetch).
    pub fn fault(&self, addr: u64, err: u64) -> FaultResult {
        let segv = |c| FaultResult::Signal(sig::SEGV, c);
        if !layout::mappable(addr, 1) {
            return segv(code::SEGV_MAPERR);
        }
        let s = self.space.lock();
        let Some((start, v)) = s.areas.find(addr) else { return segv(code::SEGV_MAPERR) };
        let need = if err & 16 != 0 {
            flag::PROT_EXEC
        } else if err & 2 != 0 {
            flag::PROT_WRITE
        } else {
            flag::PROT_READ | flag::PROT_WRITE | flag::PROT_EXEC
        };
        if v.prot & need == 0 {
            return segv(code::SEGV_ACCERR);
        }
        if let Some(m) = v.mapping.as_ref().filter(|_| v.partial) {
            let shared = v.flags & flag::TYPE == flag::SHARED;
            let kind = if shared && m.file.writable() { MapKind::SharedWrite } else { MapKind::Read };
            let page = addr & !(PAGE - 1);
            let off = v.offset + (page - start);
            return match super::map::map_file(page, PAGE, v.prot, shared, &m.file, off, kind) {
                Ok(true) => FaultResult::Retry,
                _ => FaultResult::Signal(sig::BUS, code::BUS_ADRERR),
            };
        }
        // The tree allows the access: another thread changed the mapping in the same moment.
        FaultResult::Retry
    }
}
