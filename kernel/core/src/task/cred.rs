//! Credentials (credentials(7), capabilities(7)) in the guest's own terms.

use alloc::vec::Vec;

/// The capabilities that the guest kernel asks about; numbers of `linux/capability.h`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Cap {
    Chown = 0,
    DacOverride = 1,
    DacReadSearch = 2,
    Fowner = 3,
    Fsetid = 4,
    Kill = 5,
    Setgid = 6,
    Setuid = 7,
    Setpcap = 8,
    NetBindService = 10,
    NetAdmin = 12,
    IpcLock = 14,
    SysChroot = 18,
    SysPtrace = 19,
    SysAdmin = 21,
    SysBoot = 22,
    SysNice = 23,
    SysResource = 24,
    SysTime = 25,
    SysTtyConfig = 26,
    Mknod = 27,
    Lease = 28,
    AuditControl = 30,
    Setfcap = 31,
    CheckpointRestore = 40,
}

/// All capabilities that exist (0..=40).
pub const ALL_CAPS: u64 = (1 << 41) - 1;

/// Bits of [`Cred::securebits`] (capabilities(7), "The securebits flags"); each has its lock one higher.
pub mod secure {
    pub const NOROOT: u32 = 1;
    pub const NO_SETUID_FIXUP: u32 = 1 << 2;
    pub const KEEP_CAPS: u32 = 1 << 4;
    pub const NO_CAP_AMBIENT_RAISE: u32 = 1 << 6;
    pub const ALL: u32 = NOROOT | NO_SETUID_FIXUP | KEEP_CAPS | NO_CAP_AMBIENT_RAISE;
    pub const LOCKS: u32 = ALL << 1;
}

/// The credentials of a thread; immutable, replaced as a whole.
#[derive(Clone, Debug)]
pub struct Cred {
    pub uid: u32,
    pub euid: u32,
    pub suid: u32,
    pub fsuid: u32,
    pub gid: u32,
    pub egid: u32,
    pub sgid: u32,
    pub fsgid: u32,
    pub groups: Vec<u32>,
    pub cap_permitted: u64,
    pub cap_effective: u64,
    pub cap_inheritable: u64,
    pub cap_bounding: u64,
    pub cap_ambient: u64,
    pub securebits: u32,
    pub no_new_privs: bool,
}

impl Cred {
    /// Credentials of a fresh login as `uid`: all capabilities for 0, none for others.
    #[must_use]
    pub fn user(uid: u32, gid: u32, groups: Vec<u32>) -> Cred {
        let caps = if uid == 0 { ALL_CAPS } else { 0 };
        Cred {
            uid,
            euid: uid,
            suid: uid,
            fsuid: uid,
            gid,
            egid: gid,
            sgid: gid,
            fsgid: gid,
            groups,
            cap_permitted: caps,
            cap_effective: caps,
            cap_inheritable: 0,
            cap_bounding: ALL_CAPS,
            cap_ambient: 0,
            securebits: 0,
            no_new_privs: false,
        }
    }

    #[must_use]
    pub fn has(&self, cap: Cap) -> bool {
        self.cap_effective & (1 << cap as u8) != 0
    }

    /// What a new program makes of the capabilities, once the ids are set (`cap_bprm_creds_from_file`): files have none of their own.
    pub fn exec_caps(&mut self) {
        let set_id = self.uid != self.euid || self.gid != self.egid;
        let root = self.securebits & secure::NOROOT == 0 && (self.uid == 0 || self.euid == 0);
        if set_id {
            self.cap_ambient = 0;
        }
        self.cap_permitted = if root { self.cap_bounding | self.cap_inheritable } else { 0 } | self.cap_ambient;
        self.cap_effective = if root && self.euid == 0 { self.cap_permitted } else { self.cap_ambient };
        self.securebits &= !secure::KEEP_CAPS;
    }

    /// True where `gid` is the file-system group or a supplementary one.
    #[must_use]
    pub fn in_group(&self, gid: u32) -> bool {
        self.fsgid == gid || self.groups.contains(&gid)
    }

    /// Where kill(2) by these credentials may reach `target`.
    #[must_use]
    pub fn may_signal(&self, target: &Cred) -> bool {
        self.has(Cap::Kill) || [self.uid, self.euid].iter().any(|u| *u == target.uid || *u == target.suid)
    }

    /// Whether the holder may say how a process with `target` runs (set_one_prio_perm in kernel/sys.c).
    #[must_use]
    pub fn may_schedule(&self, target: &Cred) -> bool {
        self.has(Cap::SysNice) || self.euid == target.uid || self.euid == target.euid
    }
}
