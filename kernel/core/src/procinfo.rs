//! What /proc asks of the parts of the kernel that the file systems do not know.

use crate::Mutex;
use crate::task::{Process, Thread};
use alloc::vec::Vec;

/// Sizes of an address space, in pages, for /proc/PID/{stat,statm,status}.
#[derive(Clone, Copy, Default, Debug)]
pub struct MemInfo {
    pub size: u64,
    /// In memory: of its own, of files and shared memory, and the most of both that was found so far.
    pub own: u64,
    pub shared: u64,
    pub peak: u64,
    pub text: u64,
    /// Executable, but not the program's text.
    pub libraries: u64,
    pub data: u64,
    pub stack: u64,
    pub locked: u64,
    /// Start and end of code, start of the stack: addresses.
    pub start_code: u64,
    pub end_code: u64,
    pub start_stack: u64,
    /// Start and end of data, start of what brk(2) gives, start and end of arguments and environment: addresses.
    pub places: [u64; 7],
}

impl MemInfo {
    /// Pages in memory.
    #[must_use]
    pub fn resident(&self) -> u64 {
        self.own + self.shared
    }
}

/// Asked by /proc about one process or thread. The defaults know nothing.
#[allow(unused_variables)]
pub trait ProcInfo: Send + Sync {
    fn cmdline(&self, p: &Process) -> Vec<u8> {
        Vec::new()
    }
    fn environ(&self, p: &Process) -> Vec<u8> {
        Vec::new()
    }
    fn auxv(&self, p: &Process) -> Vec<u8> {
        Vec::new()
    }
    fn mem(&self, p: &Process) -> MemInfo {
        MemInfo::default()
    }
    /// User and system time of a process (all threads) in microseconds.
    fn times(&self, p: &Process) -> (u64, u64) {
        let u = *p.usage.lock();
        (u.utime_us, u.stime_us)
    }
    /// Voluntary and other context switches of a process.
    fn switches(&self, p: &Process) -> (u64, u64) {
        let u = *p.usage.lock();
        (u.nvcsw, u.nivcsw)
    }
    /// Controlling terminal's device number and its foreground process group.
    fn tty(&self, p: &Process) -> (u64, i32) {
        (0, -1)
    }
    /// Bytes of private memory of all processes together, for /proc/meminfo.
    fn anon_bytes(&self) -> u64 {
        0
    }
    /// State letter of a thread as ps shows it: R, S, D, T, Z.
    fn state(&self, t: &Thread) -> u8 {
        b'S'
    }
    /// Text of /proc/PID/syscall: what the thread sleeps in.
    fn syscall(&self, t: &Thread) -> Vec<u8> {
        b"running\n".to_vec()
    }
    /// Path of the executable, for /proc/PID/exe.
    fn exe(&self, p: &Process) -> Option<crate::vfs::Path> {
        p.mm.lock().clone().and_then(|mm| mm.exe()).and_then(|f| f.path().cloned())
    }
}

struct Nothing;
impl ProcInfo for Nothing {}

/// What does not change while the VM lives; boot sets it.
#[derive(Clone, Default, Debug)]
pub struct System {
    pub hostname: Vec<u8>,
    /// `6.1.0-lodger`
    pub release: Vec<u8>,
    /// `#1 SMP lodger …`
    pub version: Vec<u8>,
    /// Text of /proc/cpuinfo.
    pub cpuinfo: Vec<u8>,
    pub cpus: u32,
    pub cmdline: Vec<u8>,
    /// CLOCK_MONOTONIC and CLOCK_REALTIME (seconds) at boot.
    pub boot_ns: u64,
    pub boot_time: i64,
    pub boot_id: [u8; 16],
    pub max_files: u64,
}

static HOOKS: Mutex<&'static dyn ProcInfo> = host::sync::mutex(&Nothing);
static SYSTEM: Mutex<Option<System>> = host::sync::mutex(None);

/// Sets who answers.
pub fn set_hooks(h: &'static dyn ProcInfo) {
    *HOOKS.lock() = h;
}

/// The machine's memory in bytes: all, what files in memory take, and what is free.
pub struct Memory {
    pub total: u64,
    pub files: u64,
    pub free: u64,
}

/// For /proc/meminfo, sysinfo(2) and their like. What is nobody's frame may be a page of an application all the same.
#[must_use]
pub fn memory() -> Memory {
    let (total, unused) = crate::ram::usage();
    let (total, unused) = (total * crate::ram::FRAME, unused * crate::ram::FRAME);
    Memory { total, files: total - unused, free: unused.saturating_sub(hooks().anon_bytes()) }
}

#[must_use]
pub fn hooks() -> &'static dyn ProcInfo {
    *HOOKS.lock()
}

pub fn set_system(s: System) {
    *SYSTEM.lock() = Some(s);
}

/// A copy of what boot set, or of parts of it, taken by `f`.
pub fn system<T>(f: impl FnOnce(&System) -> T) -> T {
    match SYSTEM.lock().as_ref() {
        Some(s) => f(s),
        None => f(&System::default()),
    }
}

/// Changes the machine's name (sethostname(2), /proc/sys/kernel/hostname): of the first 64 bytes.
pub fn set_hostname(name: &[u8]) {
    SYSTEM.lock().get_or_insert_with(System::default).hostname = name[..name.len().min(64)].to_vec();
}
