//! What an argument is, for `--trace`: data only, which `entry::trace` prints. The names of numbers are in [`crate::names`],
//! what lies at addresses is in [`crate::layouts`].

/// What an argument, or a field of a structure, is.
#[derive(Clone, Copy)]
pub enum Kind {
    Fd,
    /// A directory descriptor or AT_FDCWD.
    Dirfd,
    Int,
    /// Unsigned, in decimal.
    Size,
    /// Signed, in decimal.
    Off,
    Hex,
    Ptr,
    /// As `Ptr`. Where it is a call's first argument, so is the result.
    Addr,
    /// The address of a NUL-terminated string: a path or a name.
    Str,
    /// An octal mode. Where it is a call's first argument, so is the result.
    Mode,
    /// As `Mode`, and there only where the open flags in front of it make a file.
    CreateMode,
    Sig,
    Pid,
    /// A number with a name, or flags.
    Named(&'static Names),
    /// The address of something that the call reads.
    In(&'static Layout),
    /// The address of something that the call fills: shown as it is afterwards, where the call succeeded.
    Out(&'static Layout),
    /// As `Out`, whether the call succeeded or not.
    InOut(&'static Layout),
    /// Nothing that this call looks at; others come behind it.
    Unused,
    /// No argument: the call's result has names.
    Result(&'static Names),

    // In structures only:
    /// A structure at this place.
    Struct(&'static Fields),
    /// Text up to a NUL.
    Chars,
    SigSet,
    /// siginfo_t.
    SigInfo,
    /// As wait4(2) reports the end of a process.
    Status,
    /// `st_mode`: type and permissions.
    FileMode,
    /// A resource limit.
    Limit,
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
            Kind::Ptr | Kind::Addr => "ptr",
            Kind::Str => "str",
            Kind::Mode | Kind::CreateMode | Kind::FileMode => "mode",
            Kind::Sig => "signal",
            Kind::Pid => "pid",
            Kind::Named(_) => "named",
            Kind::In(_) => "in",
            Kind::Out(_) => "out",
            Kind::InOut(_) => "in and out",
            Kind::Unused => "unused",
            Kind::Result(_) => "result",
            Kind::Struct(_) => "struct",
            Kind::Chars => "chars",
            Kind::SigSet => "signal set",
            Kind::SigInfo => "siginfo",
            Kind::Status => "status",
            Kind::Limit => "limit",
        }
    }
}

/// Names of numbers that mean one thing each, of flags, or of both together.
pub struct Names {
    /// What all begin with: said of a number that has no name (`0x7 /* SEEK_??? */`).
    pub prefix: &'static str,
    /// These bits are one number, with its name in `values`. All ones: there are no flags.
    pub field: u64,
    pub values: &'static [Value],
    /// Flags; those of several bits come before their parts. Zero is what it is called where no bit is set.
    pub bits: &'static [Value],
    /// strace says the flags before the number (clone's signal).
    pub bits_first: bool,
}

/// A number and its name.
pub struct Value {
    pub number: u64,
    pub name: &'static str,
    /// What the arguments behind it are, where that depends on it: no more than these.
    pub next: Option<&'static [Kind]>,
}

/// What lies at an address.
pub enum Layout {
    /// Bytes: as many as the next argument (or field) says; of what the call filled no more than its result.
    Bytes,
    /// Bytes up to a NUL.
    Text,
    /// Addresses of strings, ended by a null pointer.
    Strings,
    /// The same of an environment: only counted.
    Environment,
    /// A socket address. Its length is the next argument: the length itself, or where it lies if the call fills it.
    Address,
    /// A bit a descriptor, as many as the first argument says.
    FdSet,
    /// Directory entries, as many as the result says in bytes: only counted.
    Entries,
    /// One item of so many bytes.
    One(usize, Kind),
    /// Items of so many bytes, in brackets.
    Array(usize, Kind, Count),
}

/// How many items an array has.
#[derive(Clone, Copy)]
pub enum Count {
    Fixed(usize),
    /// The next argument (or field) says it.
    Next,
    /// The call's result is it.
    Result,
    /// One, unless the result is zero: the call has found nothing.
    Found,
}

/// The fields of a structure that are shown.
pub struct Fields {
    pub list: &'static [Field],
    /// There are more.
    pub more: bool,
}

/// One of them.
pub struct Field {
    pub name: &'static str,
    /// Its offset and size in bytes.
    pub at: usize,
    pub size: usize,
    pub kind: Kind,
    /// Left out where it is zero.
    pub optional: bool,
}
