//! Objects without a path: pipes, sockets, event objects.

use crate::Mutex;
use crate::vfs::{Attr, SetAttr, kind, now};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

static NEXT_INO: AtomicU64 = AtomicU64::new(1);

/// An inode number for an object without a file system (Linux's pipefs, sockfs, anon_inodefs).
#[must_use]
pub fn next_ino() -> u64 {
    NEXT_INO.fetch_add(1, Ordering::Relaxed)
}

/// The text of /proc/PID/fd for such an object: `pipe:[12]`.
#[must_use]
pub fn link_text(kind: &str, ino: u64) -> Vec<u8> {
    alloc::format!("{kind}:[{ino}]").into_bytes()
}

/// What stat(2) shows of a pipe or a socket, and chmod(2) and its like change.
pub struct Node {
    ino: u64,
    kind: u32,
    set: Mutex<SetAttr>,
}

impl Node {
    /// The caller's: a pipe or a socket (`kind`).
    #[must_use]
    pub fn new(kind: u32) -> Node {
        let cred = crate::task::my_cred();
        Node::of(kind, cred.fsuid, cred.fsgid)
    }

    #[must_use]
    pub fn of(kind: u32, uid: u32, gid: u32) -> Node {
        let set = SetAttr { uid: Some(uid), gid: Some(gid), ..SetAttr::default() };
        Node { ino: next_ino(), kind, set: Mutex::new(set) }
    }

    #[must_use]
    pub fn ino(&self) -> u64 {
        self.ino
    }

    #[must_use]
    pub fn attr(&self) -> Attr {
        let s = *self.set.lock();
        // pipefs and sockfs of Linux.
        let (dev, mode) = if self.kind == kind::FIFO { (13, 0o600) } else { (8, 0o777) };
        let t = now();
        Attr {
            dev,
            ino: self.ino,
            mode: self.kind | s.mode.unwrap_or(mode),
            nlink: 1,
            uid: s.uid.unwrap_or(0),
            gid: s.gid.unwrap_or(0),
            blksize: 4096,
            atime: s.atime.unwrap_or(t),
            mtime: s.mtime.unwrap_or(t),
            ctime: t,
            btime: t,
            ..Attr::default()
        }
    }

    pub fn set(&self, new: &SetAttr) {
        let mut s = self.set.lock();
        *s = SetAttr {
            mode: new.mode.or(s.mode),
            uid: new.uid.or(s.uid),
            gid: new.gid.or(s.gid),
            atime: new.atime.or(s.atime),
            mtime: new.mtime.or(s.mtime),
            now: [false; 2],
        };
    }
}
