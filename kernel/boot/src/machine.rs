//! The machine as the control channel sees it.

use crate::confine::{self, Devices};
use crate::mounts::Mounts;
use crate::panic;
use crate::{spawn, stats, wiring};
use abi::wire;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use control::message::{Boot, Mount, Node, Spawn, Writer};
use control::server::{self, Machine, Ready, SpawnFailure};
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use core_::irq::{self, Handler, Line};
use core_::signal::{SigInfo, code, send_group, send_process, sig};
use core_::task::{Event, Exit, Process, State, TREE, Usage, tell};
use core_::{Errno, Mutex};
use host::sync::Once;
use syscalls::process::seat;

/// One machine.
pub struct Vm {
    boot: Boot,
    born: u64,
    mounts: Mounts,
    devices: Once<Devices>,
    lines: Mutex<alloc::vec::Vec<Arc<Line>>>,
    landlock: AtomicBool,
    seccomp: AtomicBool,
    guard: AtomicU32,
}

/// Something that has happened on a host descriptor, by a plain function.
struct Call {
    line: Mutex<Option<Arc<Line>>>,
    f: fn(),
}

impl Handler for Call {
    fn ready(&self, _events: u32) {
        (self.f)();
        if let Some(l) = self.line.lock().as_ref() {
            let _ = l.arm(host::event::IN);
        }
    }
}

fn watch(fd: i32, f: fn()) -> Result<Arc<Line>, Errno> {
    let c = Arc::new(Call { line: Mutex::default(), f });
    let line = Arc::new(Line::new(fd, c.clone())?);
    *c.line.lock() = Some(line.clone());
    line.arm(host::event::IN)?;
    Ok(line)
}

impl Vm {
    #[must_use]
    pub fn new(boot: Boot, born: u64) -> Vm {
        let mounts = Mounts::new(boot.disk, boot.host_uid, boot.host_gid);
        let guard = AtomicU32::new(boot.guard);
        Vm {
            boot,
            born,
            mounts,
            devices: Once::new(),
            lines: Mutex::default(),
            landlock: AtomicBool::new(false),
            seccomp: AtomicBool::new(false),
            guard,
        }
    }

    /// What has to be there before the first mount: hooks, process 1, devices.
    pub fn prepare(&self) {
        wiring::wire(self.mounts.quota());
        if let Err(e) = self.mounts.unnamed() {
            panic!("boot: {e}");
        }
        let devices = match confine::devices() {
            Ok(d) => d,
            Err(e) => panic!("boot: devices: {e}"),
        };
        host::event::set_children_fd(devices.children);
        irq::init(devices.epoll);
        core_::time::init(devices.timer);
        let lines = [
            watch(devices.timer, core_::time::expire_due),
            watch(devices.children, reap),
            watch(devices.vmm, || panic::end()),
        ];
        for l in lines {
            match l {
                Ok(l) => self.lines.lock().push(l),
                Err(e) => panic!("boot: supervisor's epoll: {e}"),
            }
        }
        self.devices.set(alloc::boxed::Box::leak(alloc::boxed::Box::new(devices)));
        TREE.lock().pids_max = self.boot.pids_max;
        if let Err(e) = core_::task::init_process() {
            panic!("boot: process 1: {e}");
        }
        core_::task::set_outside(&spawn::SHELL);
        core_::task::on_exited(&(exited as fn(&Process, Exit, &Usage)));
        syscalls::misc::set_machine(&self.boot.hostname, self.boot.cpus);
        wiring::system(&self.boot);
        if self.boot.flags & wire::FLAG_TRACE != 0
            && let Some(fd) = &self.boot.trace
        {
            entry::trace::start(fd.raw());
        }
    }
}

/// Tells the VMM that a command has ended.
fn exited(p: &Process, status: Exit, usage: &Usage) {
    let id = p.spawn_id.load(Ordering::Relaxed) as u32;
    spawn::close_console(id);
    let refused = core_::limits::take(u64::from(id));
    let fault = match (spawn::fault_of(id), refused) {
        // A command that met a limit and made do with it has no fault.
        (0, Some(what)) if status != Exit(0) => what as u32,
        (fault, _) => fault,
    };
    server::send(
        Writer::new(wire::EXITED, id)
            .u32(status.0)
            .u64(usage.utime_us)
            .u64(usage.stime_us)
            .u64(usage.maxrss_kib)
            .u32(fault),
    );
}

/// Reaps host processes; one that ended without the guest kernel's doing is the host's violence.
fn reap() {
    host::event::drain_signals();
    host::event::reap(|pid, code, status| {
        const CLD_EXITED: i32 = 1;
        if code == CLD_EXITED && status == 0 {
            return;
        }
        if pid == trap::sched::host_pid() {
            processor_lost(code, status);
            return;
        }
        if seat::died(pid) {
            return;
        }
        let here = |t: &Arc<core_::Thread>| host::thread::trusted_of(t.slot()).host_pid.load(Ordering::Relaxed) == pid;
        let all = TREE.lock().all();
        // More than one where they share their memory (CLONE_VM).
        for p in all.iter().filter(|p| !p.is_zombie() && p.threads.lock().iter().any(here)) {
            killed_by_host(p, (pid, code, status));
        }
    });
    seat::top_up();
}

/// The host has killed the host process of `p`, in which it ran application code.
fn killed_by_host(p: &Arc<Process>, (pid, code, status): (u32, i32, i32)) {
    let threads = p.threads.lock().clone();
    let in_user = threads.iter().all(|t| host::thread::trusted_of(t.slot()).in_user.load(Ordering::Relaxed) == 1);
    assert!(
        in_user,
        "host process {pid} of guest process {} was killed inside the guest kernel (code {code}, status {status})",
        p.pid
    );
    // Its threads ran application code: no lock is held, its books can be closed here.
    spawn::set_fault(p.spawn_id.load(Ordering::Relaxed) as u32, spawn::FAULT_KILLED);
    for t in &threads {
        let_go(t);
        tell(t, &Event::Ended(Exit::signal(sig::KILL, false)));
        core_::task::thread_gone(t);
        trap::thread::free_slot(t.slot());
    }
    core_::time::process_gone(p);
    core_::task::process_exit(p, Exit::signal(sig::KILL, false));
}

/// Closes the files of a thread whose host thread is gone.
fn let_go(t: &core_::Thread) {
    // SAFETY: the host has reported the end of the host process; the supervisor is no guest thread.
    drop(unsafe { host::thread::in_place_of(t.slot(), || t.set_files(core_::fd::FdTable::new())) });
}

/// The host killed the virtual processor (`remap` spaces) while it ran application code: that process ends, and the machine
/// gets another processor.
fn processor_lost(code: i32, status: i32) {
    let slot = trap::sched::lost(code, status);
    core_::mm::spaces::remap::lost();
    let victim = TREE.lock().all().into_iter().find(|p| p.threads.lock().iter().any(|t| t.slot() == slot));
    if let Some(p) = victim {
        spawn::set_fault(p.spawn_id.load(Ordering::Relaxed) as u32, spawn::FAULT_KILLED);
        let thread = p.threads.lock().iter().find(|t| t.slot() == slot).cloned();
        if let Some(t) = thread {
            let_go(&t);
            tell(&t, &Event::Ended(Exit::signal(sig::KILL, false)));
            let last = core_::task::thread_gone(&t);
            if last {
                core_::time::process_gone(&p);
                core_::task::process_exit(&p, Exit::signal(sig::KILL, false));
            } else {
                // The others sleep in the guest kernel: they end themselves.
                syscalls::process::exit::begin_group_exit(&p, Exit::signal(sig::KILL, false));
            }
        }
    }
    trap::thread::free_slot(slot);
    if let Err(e) = trap::sched::power_on() {
        panic!("no new virtual processor: {e}");
    }
}

impl Machine for Vm {
    fn mount(&self, m: Mount) -> Result<(), String> {
        let start = host::time::monotonic_ns();
        let done = self.mounts.mount(m);
        core_::counters::ROOTFS_NS.add(host::time::monotonic_ns() - start);
        done
    }

    fn node(&self, n: Node) -> Result<(), String> {
        let start = host::time::monotonic_ns();
        let done = self.mounts.node(&n);
        core_::counters::ROOTFS_NS.add(host::time::monotonic_ns() - start);
        done
    }

    fn start(&self) -> Result<Ready, String> {
        let ruleset = self.boot.landlock.as_ref().map(host::file::HostFd::raw);
        confine::restrict(ruleset).map_err(|e| format!("Landlock: {e}"))?;
        self.landlock.store(ruleset.is_some(), Ordering::Relaxed);
        // Nobody needs these any more: the mappings stay, the descriptors would only be a danger (H2).
        host::file::close(self.boot.kernel_memory.raw());
        if let Some(fd) = ruleset {
            host::file::close(fd);
        }
        confine::filter(self.boot.monitor == wire::MONITOR_PROCESS).map_err(|e| format!("seccomp: {e}"))?;
        self.seccomp.store(true, Ordering::Relaxed);
        if trap::sched::on() {
            trap::sched::power_on().map_err(|e| format!("the virtual processor: {e}"))?;
        }
        core_::counters::STARTED.set_once(host::time::monotonic_ns());
        Ok(Ready {
            landlock: ruleset.is_some(),
            seccomp: true,
            guard: self.guard.load(Ordering::Relaxed),
            monitor: self.boot.monitor,
            boot_ns: host::time::monotonic_ns() - self.born,
        })
    }

    fn spawn(&self, s: Spawn) -> Result<(), SpawnFailure> {
        spawn::spawn(s, &self.boot)
    }

    fn signal(&self, id: u32, signo: u32, scope: u32) -> Result<(), Errno> {
        if !(1..=64).contains(&signo) {
            return Err(Errno::EINVAL);
        }
        let root = spawn::find(id);
        let info = SigInfo::user(signo, code::USER, 0, 0, 0);
        if signo == sig::STOP {
            spawn::stopping(id);
        }
        match scope {
            0 => {
                let p = root.ok_or(Errno::ESRCH)?;
                send_process(&p, info);
            }
            1 => {
                let p = root.ok_or(Errno::ESRCH)?;
                send_group(p.pgid(), info);
            }
            2 => {
                // The command and all that descends from it, also what has left its session and lost its parent.
                let all = TREE.lock().all();
                let mut found = false;
                for p in all.iter().filter(|p| p.origin == u64::from(id)) {
                    if *p.state.lock() != State::Dead {
                        send_process(p, info);
                        found = true;
                    }
                }
                if !found {
                    return Err(Errno::ESRCH);
                }
            }
            _ => return Err(Errno::EINVAL),
        }
        Ok(())
    }

    fn winsize(&self, id: u32, rows: u32, cols: u32) -> Result<(), Errno> {
        spawn::resize(id, rows, cols)
    }

    fn terminal(&self, id: u32, state: u32) -> Result<(), Errno> {
        spawn::terminal(id, state)
    }

    fn stats(&self) -> String {
        stats::json(&self.mounts)
    }

    fn shutdown(&self) -> ! {
        panic::end()
    }
}
