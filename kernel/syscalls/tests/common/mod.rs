//! A guest without a guest: maps the thread pages and the RAM window into the test process, makes one guest
//! process with one thread, and calls system-call handlers as that thread.

pub mod calls;

use core_::fd::FdTable;
use core_::task::{Cred, Process, Template, Thread, default_rlimits, new_process};
use core_::vfs::{self, FileSystem, FsContext};
use std::ffi::c_void;
use std::sync::{Arc, Mutex, MutexGuard, Once, OnceLock};

unsafe extern "C" {
    fn mmap(addr: *mut c_void, len: usize, prot: i32, flags: i32, fd: i32, off: i64) -> *mut c_void;
    fn memfd_create(name: *const i8, flags: u32) -> i32;
    fn ftruncate(fd: i32, len: i64) -> i32;
    fn open(path: *const i8, flags: i32, ...) -> i32;
    fn getuid() -> u32;
    fn getgid() -> u32;
}

pub const RAM: usize = 64 << 20;
const MAP_SHARED: i32 = 1;
const MAP_PRIVATE_ANON: i32 = 0x22;
const MAP_FIXED_NOREPLACE: i32 = 0x10_0000;

fn map(addr: u64, len: usize, flags: i32, fd: i32) {
    // SAFETY: a fixed mapping that replaces nothing.
    let p = unsafe { mmap(addr as *mut c_void, len, 3, flags | MAP_FIXED_NOREPLACE, fd, 0) };
    assert_eq!(p as u64, addr);
}

/// An O_PATH descriptor of a host directory.
pub fn host_dir(path: &str) -> i32 {
    let c = std::ffi::CString::new(path).unwrap();
    // SAFETY: a valid path.
    let fd = unsafe { open(c.as_ptr(), 0o10_200_000 | 0o2_000_000) };
    assert!(fd >= 0, "{path}");
    fd
}

pub fn ids() -> (u32, u32) {
    // SAFETY: no arguments.
    unsafe { (getuid(), getgid()) }
}

pub fn quota() -> Arc<tmpfs::Quota> {
    static Q: OnceLock<Arc<tmpfs::Quota>> = OnceLock::new();
    Q.get_or_init(|| tmpfs::Quota::new(RAM as u64, 10_000)).clone()
}

pub fn tmp(mode: u32) -> Arc<dyn FileSystem> {
    tmpfs::TmpFs::new(quota(), mode).unwrap()
}

/// The host directory under the overlay.
pub fn lower_path() -> std::path::PathBuf {
    std::env::temp_dir().join(format!("lodger-files-test-{}", std::process::id()))
}

/// Fills it with known contents.
fn lower_dir() -> std::path::PathBuf {
    let d = lower_path();
    let _ = std::fs::remove_dir_all(&d);
    std::fs::create_dir_all(d.join("etc/sub")).unwrap();
    std::fs::write(d.join("etc/passwd"), "root:x:0:0\n").unwrap();
    std::fs::write(d.join("etc/sub/deep"), "deep\n").unwrap();
    std::fs::write(d.join("big"), vec![7u8; 300_000]).unwrap();
    std::os::unix::fs::symlink("etc/passwd", d.join("link")).unwrap();
    std::os::unix::fs::symlink("/etc", d.join("abs")).unwrap();
    std::os::unix::fs::symlink("loop2", d.join("loop1")).unwrap();
    std::os::unix::fs::symlink("loop1", d.join("loop2")).unwrap();
    d
}

fn boot() {
    use abi::layout;
    map(layout::OPEN_BASE, 65536, MAP_PRIVATE_ANON, -1);
    map(layout::TRUSTED_BASE, 65536, MAP_PRIVATE_ANON, -1);
    // SAFETY: a valid name.
    let fd = unsafe { memfd_create(c"ram".as_ptr(), 1) };
    // SAFETY: a descriptor of ours.
    assert_eq!(unsafe { ftruncate(fd, RAM as i64) }, 0);
    map(layout::RAM_WINDOW, RAM, MAP_SHARED, fd);
    core_::ram::init(fd, RAM as u64);
    let (uid, gid) = ids();
    let lower =
        hostfs::HostFs::new(host_dir(lower_dir().to_str().unwrap()), hostfs::Mode::Cached, uid, gid, 0).unwrap();
    let lower: Arc<dyn FileSystem> = lower;
    vfs::set_anon(tmp(0o700));
    vfs::mount_at(b"/", overlay::Overlay::new(&lower, tmp(0o755)).unwrap(), b"overlay", 0).unwrap();
    vfs::mount_at(b"/tmp", tmp(0o1777), b"tmpfs", 0).unwrap();
    vfs::mount_at(b"/dev", tmp(0o755), b"devtmpfs", 0).unwrap();
    devfs::register();
    devfs::populate(b"/dev").unwrap();
    vfs::mount_at(b"/dev/pts", devfs::PtsFs::new(), b"devpts", 0).unwrap();
    vfs::mount_at(b"/proc", procfs::ProcFs::new(), b"proc", 0).unwrap();
    vfs::mount_at(b"/sys", sysfs::SysFs::new(), b"sysfs", 0).unwrap();
    let live = lower_path().with_extension("live");
    let _ = std::fs::remove_dir_all(&live);
    std::fs::create_dir_all(&live).unwrap();
    let rw = hostfs::HostFs::new(host_dir(live.to_str().unwrap()), hostfs::Mode::ReadWrite, uid, gid, 0).unwrap();
    vfs::mount_at(b"/vol", rw, b"/vol", 0).unwrap();
}

fn process() -> Arc<Process> {
    let actions = core::array::from_fn(|_| core_::signal::Action::default());
    let p = new_process(Template {
        pid: None,
        ppid: 0,
        maker: 0,
        pgid: 0,
        session: None,
        cred: Arc::new(Cred::user(0, 0, Vec::new())),
        sighand: Arc::new(core_::signal::SigHand::new(actions)),
        mm: None,
        rlimits: default_rlimits(4096, 100),
        exit_signal: 0,
        spawn_id: 0,
        origin: 0,
    })
    .unwrap();
    assert_eq!(p.pid, 1);
    p.dumpable.store(true, std::sync::atomic::Ordering::Relaxed);
    p
}

/// One test at a time: they share the guest. Returns with this host thread being guest thread 1, as root in `/`.
pub fn enter() -> MutexGuard<'static, ()> {
    static BOOT: Once = Once::new();
    static ONE: Mutex<()> = Mutex::new(());
    static MAIN: OnceLock<Arc<Thread>> = OnceLock::new();
    let guard = ONE.lock().unwrap_or_else(|e| e.into_inner());
    BOOT.call_once(boot);
    let t = MAIN.get_or_init(|| {
        let p = process();
        let cred = Arc::new(Cred::user(0, 0, Vec::new()));
        let fs = FsContext::initial().unwrap();
        let t = Arc::new(Thread::new(
            1,
            p.clone(),
            0,
            cred,
            FdTable::new(),
            fs,
            *b"test\0\0\0\0\0\0\0\0\0\0\0\0",
            core_::signal::SigSet(0),
        ));
        p.threads.lock().push(t.clone());
        let mut tree = core_::task::TREE.lock();
        tree.add_process(&p);
        tree.add_thread(&t);
        drop(tree);
        host::thread::set_gs(0);
        host::thread::set_current(0, t.clone());
        t
    });
    host::thread::set_gs(0);
    t.set_cred(Arc::new(Cred::user(0, 0, Vec::new())));
    t.fs().set_cwd(t.fs().root());
    guard
}

/// Calls a handler by the table's name.
pub fn call(name: &str, args: &[u64]) -> Result<i64, &'static str> {
    let c = syscalls::CALLS.iter().find(|c| c.name == name).expect("a system call");
    let mut a = [0; 6];
    a[..args.len()].copy_from_slice(args);
    (c.handler)(&syscalls::Args(a)).map_err(|e| e.name())
}

/// A NUL-terminated string whose address can be passed.
pub struct S(std::ffi::CString);
impl S {
    pub fn p(&self) -> u64 {
        self.0.as_ptr() as u64
    }
}
pub fn s(text: &str) -> S {
    S(std::ffi::CString::new(text).unwrap())
}
