//! Which module answers which hook of `core` and `syscalls`: modules do not know each other, this file does.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use control::message::Boot;
use core::any::Any;
use core::sync::atomic::Ordering;
use core_::file::{File, FileOps};
use core_::net::SocketNames;
use core_::procinfo::{self, MemInfo, ProcInfo, System};
use core_::task::{Process, Thread, Usage};
use core_::vfs::special::{self, Pts, PtsDir};
use core_::vfs::{self, FileSystem, Path, kernel, kind};
use core_::{Errno, Result};
use host::sync::Once;
use tmpfs::{Quota, TmpFs};

/// Registers everything; once, before the first mount. `quota` is what all file systems in memory share.
pub fn wire(quota: &Arc<Quota>) {
    core_::task::on_pidfd(&(new_pidfd as fn(Arc<Process>) -> Arc<File>));
    syscalls::process::pidfd::on_process_of(&(events::pidfd::process as fn(&File) -> Option<Arc<Process>>));
    syscalls::process::exit::on_session_leader_exit(&(session_leader_exit as fn(&Process)));
    syscalls::process::seat::on_waiting(&(crate::memory::touch as fn(u32)));
    QUOTA.set(alloc::boxed::Box::leak(alloc::boxed::Box::new(quota.clone())));
    vfs::mount::register_fs(b"sysfs", |_| Ok(sysfs::SysFs::new()));
    vfs::mount::register_fs(b"tmpfs", |options| {
        Ok(TmpFs::mounted(QUOTA.get().ok_or(Errno::ENODEV)?.clone(), options)?)
    });
    vfs::mount::register_fs(b"proc", |_| Ok(procfs::ProcFs::new()));
    special::register_fifo(pipe::open_fifo);
    devfs::register();
    const TTYAUX_MAJOR: u32 = 5;
    special::register_chardev(TTYAUX_MAJOR, open_ttyaux);
    const UNIX98_PTY_SLAVE_MAJOR: u32 = 136;
    special::register_chardev(UNIX98_PTY_SLAVE_MAJOR, |minor, flags, _| tty::open_index(minor, flags));
    special::register_pts(&Terminals);
    core_::net::register(unix::FAMILY);
    core_::net::set_names(&Names);
    procinfo::set_hooks(&Processes);
    host::user::on_failure(core_::mm::try_again);
}

fn new_pidfd(p: Arc<Process>) -> Arc<File> {
    events::pidfd::new(p, 0)
}

fn session_leader_exit(p: &Process) {
    tty::session_leader_exit(&p.session());
}

/// Major 5: /dev/tty, /dev/console, /dev/ptmx (tty(4), console(4), ptmx(4)).
fn open_ttyaux(minor: u32, _flags: u32, _path: &Path) -> Result<Arc<dyn FileOps>> {
    match minor {
        0 | 1 => tty::open_controlling(),
        2 => tty::open_ptmx(),
        _ => Err(Errno::ENXIO),
    }
}

/// Contents of /dev/pts.
struct Terminals;

impl PtsDir for Terminals {
    fn list(&self) -> Vec<Pts> {
        tty::list().iter().map(|t| entry(t)).collect()
    }

    fn get(&self, number: u32) -> Option<Pts> {
        tty::find(number).ok().map(|t| entry(&t))
    }

    fn set(&self, pts: Pts) {
        if let Ok(t) = tty::find(pts.number) {
            t.set_access(pts.uid, pts.gid, pts.mode);
        }
    }
}

fn entry(t: &tty::Tty) -> Pts {
    let (uid, gid, mode) = t.access();
    Pts { number: t.index(), mode, uid, gid }
}

/// Names of local sockets in the file system (unix(7)).
struct Names;

impl SocketNames for Names {
    fn bind_path(&self, path: &[u8], socket: Arc<dyn Any + Send + Sync>) -> Result<()> {
        let p = vfs::mknod_at(None, path, kind::SOCKET | 0o777)
            .map_err(|e| if e == Errno::EEXIST { Errno::EADDRINUSE } else { e })?;
        let inode = p.inode()?;
        *inode.special().ok_or(Errno::EPERM)?.lock() = Some(socket);
        Ok(())
    }

    fn lookup_path(&self, path: &[u8]) -> Result<Arc<dyn Any + Send + Sync>> {
        let p = vfs::lookup(path, true)?;
        let inode = p.inode()?;
        if inode.kind() != kind::SOCKET {
            return Err(Errno::ECONNREFUSED);
        }
        vfs::perm::check(inode, &core_::current().cred(), vfs::perm::WRITE)?;
        inode.special().and_then(|s| s.lock().clone()).ok_or(Errno::ECONNREFUSED)
    }
}

/// What /proc/PID shows of memory and time.
struct Processes;

impl Processes {
    /// The strings as they are now: programs write their titles over their arguments. Those of execve where the process does
    /// not tell in time.
    fn strings(
        p: &Process,
        which: fn(&core_::mm::Image) -> (u64, u64),
        kept: fn(&core_::mm::Image) -> &Vec<u8>,
    ) -> Vec<u8> {
        const PATIENCE_NS: u64 = 50_000_000;
        let Some(mm) = p.mm.lock().clone() else { return Vec::new() };
        let s = mm.space.lock();
        let (start, end) = which(&s.image);
        let kept = kept(&s.image).clone();
        drop(s);
        let n = end.saturating_sub(start).min(1 << 20) as usize;
        let until = host::time::monotonic_ns() + PATIENCE_NS;
        if n > 0
            && let Ok(Ok(bytes)) = mm.ask(Some(until), move |_| core_::uaccess::read_bytes(start, n))
        {
            return bytes;
        }
        kept
    }
}

impl ProcInfo for Processes {
    fn cmdline(&self, p: &Process) -> Vec<u8> {
        Self::strings(p, |i| (i.arg_start, i.arg_end), |i| &i.args)
    }

    fn environ(&self, p: &Process) -> Vec<u8> {
        Self::strings(p, |i| (i.env_start, i.env_end), |i| &i.env)
    }

    fn auxv(&self, p: &Process) -> Vec<u8> {
        let mm = p.mm.lock().clone();
        mm.map_or_else(Vec::new, |mm| mm.space.lock().image.auxv.iter().flat_map(|w| w.to_le_bytes()).collect())
    }

    fn mem(&self, p: &Process) -> MemInfo {
        let Some(mm) = p.mm.lock().clone() else { return MemInfo::default() };
        let found = mm.resident(core_::current().process.pid == p.pid);
        let sizes = found.sizes;
        let s = mm.space.lock();
        let i = &s.image;
        let text = i.code_end.saturating_sub(i.code_start).div_ceil(4096);
        MemInfo {
            size: s.areas.total() / 4096,
            own: found.own,
            shared: found.shared,
            peak: found.peak,
            text,
            libraries: sizes.exec.saturating_sub(text),
            data: sizes.data,
            stack: sizes.stack,
            locked: sizes.locked,
            start_code: i.code_start,
            end_code: i.code_end,
            start_stack: i.stack_start,
            places: [i.data_start, i.data_end, i.brk_start, i.arg_start, i.arg_end, i.env_start, i.env_end],
        }
    }

    fn anon_bytes(&self) -> u64 {
        let processes = core_::task::TREE.lock().all();
        let mut all: Vec<Arc<core_::mm::Mm>> = processes.iter().filter_map(|p| p.mm.lock().clone()).collect();
        // Of those that share their memory, once.
        all.sort_unstable_by_key(Arc::as_ptr);
        all.dedup_by(|a, b| Arc::ptr_eq(a, b));
        // Not even the caller's own is measured: sysinfo(2) is called by programs that sort.
        all.iter().map(|mm| mm.resident(false).own * 4096).sum()
    }

    fn times(&self, p: &Process) -> (u64, u64) {
        const USER: i32 = 1;
        const BOTH: i32 = 2;
        let done = *p.usage.lock();
        // A vfork child runs as its parent's host process, whose the time is.
        let lent = p.any_thread().is_none_or(|t| t.borrowed.load(Ordering::Relaxed));
        let arc = core_::task::TREE.lock().process(p.pid).filter(|_| !p.is_zombie() && !lent);
        let now = |kind| arc.as_ref().and_then(|p| core_::time::cpu_ns(p, kind).ok()).unwrap_or(0) as u64 / 1000;
        let (both, user) = (now(BOTH), now(USER));
        // The host samples which is which; the sum it knows.
        (done.utime_us.max(user.min(both)), done.stime_us.max(both.saturating_sub(user)))
    }

    fn switches(&self, p: &Process) -> (u64, u64) {
        // The host tells a process of its own only: of others' live threads there is how often they went to sleep.
        let mine = core_::current().process.pid == p.pid && host::cpu::scheduler().is_none();
        if let Some(words) = mine.then(|| host::process::getrusage(0).ok()).flatten() {
            let u = Usage::from_words(&words);
            return (u.nvcsw, u.nivcsw);
        }
        let u = *p.usage.lock();
        let sleeps: u64 = p.threads.lock().iter().map(|t| t.sleeps.load(Ordering::Relaxed)).sum();
        (u.nvcsw + sleeps, u.nivcsw)
    }

    fn syscall(&self, t: &Thread) -> Vec<u8> {
        let me = core_::current().tid() == t.tid();
        if !me && self.state(t) == b'R' {
            return b"running\n".to_vec();
        }
        let r = trap::context::glance(t.slot());
        let text = if r.orig_rax == u64::MAX {
            alloc::format!("-1 {:#x} {:#x}\n", r.rsp, r.rip)
        } else {
            let args = [r.rdi, r.rsi, r.rdx, r.r10, r.r8, r.r9].map(|a| alloc::format!("{a:#x} ")).concat();
            alloc::format!("{} {args}{:#x} {:#x}\n", r.orig_rax, r.rsp, r.rip)
        };
        text.into_bytes()
    }

    fn tty(&self, p: &Process) -> (u64, i32) {
        tty::shown(&p.session()).map_or((0, -1), |(device, pgrp)| (device, pgrp as i32))
    }

    fn state(&self, t: &Thread) -> u8 {
        match *t.process.state.lock() {
            core_::task::State::Stopped(_) => b'T',
            core_::task::State::Zombie | core_::task::State::Dead => b'Z',
            core_::task::State::Running => {
                let me = core_::current().tid() == t.tid();
                let user = match host::cpu::scheduler() {
                    Some(s) => s.is_runnable(t.slot()),
                    None => host::thread::trusted_of(t.slot()).in_user.load(Ordering::Relaxed) == 1,
                };
                if me || user { b'R' } else { b'S' }
            }
        }
    }
}

/// Tells /proc about the machine.
pub fn system(b: &Boot) {
    let mut boot_id = [0; 16];
    for (to, from) in boot_id.iter_mut().zip(&b.random) {
        *to = *from;
    }
    procinfo::set_system(System {
        hostname: b.hostname.clone(),
        release: syscalls::misc::RELEASE.into(),
        version: syscalls::misc::VERSION.into(),
        cpuinfo: trap::cpuinfo::cpuinfo(b.cpus).into_bytes(),
        cpus: b.cpus,
        cmdline: b"lodger\n".to_vec(),
        boot_ns: host::time::monotonic_ns(),
        boot_time: host::time::now().0,
        boot_id,
        max_files: u64::from(b.max_files),
    });
}

/// For file systems in memory that mount(2) makes.
static QUOTA: Once<Arc<Quota>> = Once::new();

/// Mounts of /proc, /dev (with pts and shm), /sys.
///
/// # Errors
/// A sentence for the VMM.
pub fn special_mount(kind: u32, target: &[u8], quota: &Arc<Quota>) -> core::result::Result<(), String> {
    let go = || -> Result<()> {
        kernel::kmkdir_p(target)?;
        let tmp = |mode| -> Result<Arc<dyn FileSystem>> { Ok(TmpFs::new(quota.clone(), mode)?) };
        let at = |name: &str| [target, b"/", name.as_bytes()].concat();
        let (nosuid, noexec, nodev) = (vfs::ms::NOSUID, vfs::ms::NOEXEC, vfs::ms::NODEV);
        match kind {
            4 => kernel::mount_at(target, procfs::ProcFs::new(), b"proc", nosuid | noexec | nodev).map(drop),
            5 => {
                kernel::mount_at(target, tmp(0o755)?, b"dev", nosuid)?;
                devfs::populate(target)?;
                kernel::mount_at(&at("pts"), devfs::PtsFs::new(), b"devpts", nosuid | noexec)?;
                kernel::mount_at(&at("shm"), tmp(0o1777)?, b"tmpfs", nosuid | nodev).map(drop)
            }
            _ => kernel::mount_at(target, sysfs::SysFs::new(), b"sysfs", nosuid | noexec | nodev).map(drop),
        }
    };
    go().map_err(|e| format!("mount on {}: {e}", String::from_utf8_lossy(target)))
}
