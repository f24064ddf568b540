//! Arguments of a system call, and how the trace prints each.

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

/// What an argument is, for `--trace` and `lodger syscalls`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Fd,
    /// A directory descriptor or AT_FDCWD.
    Dirfd,
    Int,
    Size,
    Off,
    Hex,
    Ptr,
    /// A NUL-terminated string in application memory: a path or a name.
    Str,
    /// An octal mode.
    Mode,
    Sig,
    Pid,
    /// Open flags.
    OFlags,
    /// Bytes in application memory whose length is the next argument (input only).
    Bytes,
}

impl Kind {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Fd => "fd",
            Kind::Dirfd => "dirfd",
            Kind::Int => "int",
            Kind::Size => "size",
            Kind::Off => "off",
            Kind::Hex => "hex",
            Kind::Ptr => "ptr",
            Kind::Str => "str",
            Kind::Mode => "mode",
            Kind::Sig => "signal",
            Kind::Pid => "pid",
            Kind::OFlags => "open flags",
            Kind::Bytes => "bytes",
        }
    }
}
