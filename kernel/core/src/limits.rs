//! What the machine's limits refused, by command: the reason that EXITED gives when such a command fails.

use crate::Mutex;
use alloc::collections::BTreeMap;

/// A refusal; the numbers are EXITED's (docs/reference/control-protocol.md).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Refused {
    Memory = 1,
    Processes = 2,
}

/// The first refusal of each command that had one.
static NOTED: Mutex<BTreeMap<u64, Refused>> = host::sync::mutex(BTreeMap::new());

/// Notes that the calling thread's command was refused something. A leaf: may be called with any lock held.
pub fn note(what: Refused) {
    note_for(crate::current().process.origin, what);
}

/// Notes that command `origin` was refused something.
pub(crate) fn note_for(origin: u64, what: Refused) {
    if origin != 0 {
        NOTED.lock().entry(origin).or_insert(what);
    }
}

/// What command `origin` was refused, asked at its end.
#[must_use]
pub fn take(origin: u64) -> Option<Refused> {
    NOTED.lock().remove(&origin)
}

/// Charges and opens what of `[addr, addr+len)` waits for its first touch, or for its first write where this is to be one, before
/// the guest kernel, or a host call of its, touches it itself. By a thread that holds no locks: where there is no memory, somebody is
/// killed for it, as for an application's own touch; perhaps the caller.
pub fn open_or_kill(addr: u64, len: u64, write: bool) {
    if !crate::mm::something_waits() || len == 0 {
        return;
    }
    let me = crate::current();
    let Some(mm) = me.process.mm.lock().clone() else { return };
    while mm.open_ahead(addr, len, write) == Err(crate::Errno::ENOMEM) {
        // It may be the one that was killed.
        if me.interrupted(crate::wait::Interrupt::Killable) {
            return;
        }
        if let crate::mm::FaultResult::Signal(signo, code) = crate::mm::out_of_memory() {
            crate::signal::force(me, crate::signal::SigInfo::fault(signo, code, 0));
            return;
        }
    }
}
