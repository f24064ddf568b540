//! Arguments of a system call.

use core_::uaccess::{Plain, UserPtr};

/// The six argument registers.
#[derive(Clone, Copy, Debug)]
pub struct Args(pub [u64; 6]);

impl Args {
    #[must_use]
    pub const fn fd(&self, i: usize) -> i32 {
        self.0[i] as i32
    }
    #[must_use]
    pub const fn int(&self, i: usize) -> i32 {
        self.0[i] as i32
    }
    #[must_use]
    pub const fn u32(&self, i: usize) -> u32 {
        self.0[i] as u32
    }
    #[must_use]
    pub const fn u64(&self, i: usize) -> u64 {
        self.0[i]
    }
    #[must_use]
    pub const fn i64(&self, i: usize) -> i64 {
        self.0[i] as i64
    }
    #[must_use]
    pub const fn ptr<T: Plain>(&self, i: usize) -> UserPtr<T> {
        UserPtr::new(self.0[i])
    }
}
