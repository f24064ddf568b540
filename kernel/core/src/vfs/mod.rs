//! Names: mounts, directory entries, inodes, path walks.

/// Root, working directory and umask of a process (shared with CLONE_FS).
pub struct FsContext {
    pub umask: core::sync::atomic::AtomicU32,
}
