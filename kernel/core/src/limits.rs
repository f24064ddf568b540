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
/// the guest kernel touches it itself. True where something was opened: a copy that failed can be tried again.
pub fn open_lazy(addr: u64, len: u64, write: bool) -> bool {
    if !crate::mm::something_waits() || len == 0 {
        return false;
    }
    let mm = crate::current().process.mm.lock().clone();
    mm.is_some_and(|mm| mm.open_lazy(addr, len, write))
}
