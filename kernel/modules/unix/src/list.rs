//! /proc/net/unix: all local sockets (`unix_seq_show` in net/unix/af_unix.c).

use super::{Phase, UnixSocket};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use core_::Mutex;

static ALL: Mutex<BTreeMap<usize, Weak<UnixSocket>>> = host::sync::mutex(BTreeMap::new());

pub fn add(s: &Arc<UnixSocket>) {
    ALL.lock().insert(Arc::as_ptr(s) as usize, Arc::downgrade(s));
}

pub fn remove(s: &UnixSocket) {
    ALL.lock().remove(&(core::ptr::from_ref(s) as usize));
}

/// `__SO_ACCEPTCON` of linux/net.h.
const ACCEPTS: u32 = 1 << 16;
/// `SS_UNCONNECTED`, `SS_CONNECTING`, `SS_CONNECTED` of linux/net.h.
const UNCONNECTED: u32 = 1;
const CONNECTING: u32 = 2;
const CONNECTED: u32 = 3;

fn line(s: &Arc<UnixSocket>) -> Vec<u8> {
    let ino = s.ino.load(Ordering::Relaxed);
    let (flags, state, name) = {
        let st = s.state.lock();
        let (flags, connected) = match &st.phase {
            Phase::Listening { .. } => (ACCEPTS, false),
            Phase::Connected => (0, true),
            // A datagram socket that has a peer counts, too.
            Phase::Idle | Phase::Connecting => (0, st.peer.is_some()),
        };
        let state = match connected {
            false => UNCONNECTED,
            // Nobody has accepted it.
            true if ino == 0 => CONNECTING,
            true => CONNECTED,
        };
        (flags, state, st.name.clone())
    };
    // An address of the kernel is nobody's business: Linux shows zeros or a hash. One reference is this list's.
    let references = Arc::strong_count(s) - 1;
    let kind = s.kind;
    let mut out =
        format!("{:016x}: {references:08X} 00000000 {flags:08X} {kind:04X} {state:02X} {ino:5}", 0).into_bytes();
    if let Some(name) = name {
        out.push(b' ');
        // An abstract name begins with a NUL, and may have more.
        let shown = |b: &u8| if *b == 0 { b'@' } else { *b };
        out.extend(name.iter().map(shown));
    }
    out.push(b'\n');
    out
}

pub fn text() -> Vec<u8> {
    // Sockets end with the last reference, which may be ours: not under the lock.
    let all: Vec<Arc<UnixSocket>> = ALL.lock().values().filter_map(Weak::upgrade).collect();
    let mut out = b"Num       RefCount Protocol Flags    Type St Inode Path\n".to_vec();
    out.extend(all.iter().flat_map(line));
    out
}
