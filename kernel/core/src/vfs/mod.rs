//! Names: mounts, directory entries, inodes, path walks.

/// Root, working directory and umask of a process (shared with CLONE_FS).
pub struct FsContext {
    pub umask: core::sync::atomic::AtomicU32,
}

/// The name that /proc shows for an open file.
#[must_use]
pub fn file_name(_file: &crate::file::File) -> alloc::vec::Vec<u8> {
    alloc::vec::Vec::new()
}

/// Device (major, minor) and inode number of an open file; zeros where it has none.
#[must_use]
pub fn file_dev_ino(_file: &crate::file::File) -> ((u32, u32), u64) {
    ((0, 0), 0)
}

/// STUB for compile
pub fn open_exec(_d: Option<i32>, _p: &[u8], _e: bool, _f: bool) -> crate::Result<(alloc::sync::Arc<crate::file::File>, alloc::vec::Vec<u8>)> { Err(crate::Errno::ENOSYS) }
/// STUB
pub fn exec_ids(_f: &crate::file::File) -> Option<(u32, u32, u32)> { None }
impl FsContext { /// STUB
 pub fn fork(&self) -> alloc::sync::Arc<FsContext> { todo!() } }
