//! From the host's exec to a running machine.

use crate::auxv::{Initial, vdso_symbols};
use crate::machine::Vm;
use crate::panic::SUPERVISOR;
use crate::{confine, heap, memory, tool};
use abi::wire;
use core::sync::atomic::Ordering;
use host::sync::Once;

/// First code after `_start`.
pub extern "C" fn boot(sp: *const u64) -> ! {
    // SAFETY: `_start` passes the initial stack pointer.
    let initial = unsafe { Initial::read(sp) };
    if initial.argc > 1 {
        tool::run(&initial);
    }
    machine(&initial)
}

/// Says why the machine can not start, on the kernel log, and ends.
fn give_up(what: &str, e: &dyn core::fmt::Display) -> ! {
    panic!("boot: {what}: {e}")
}

fn must<T, E: core::fmt::Display>(what: &str, r: Result<T, E>) -> T {
    match r {
        Ok(v) => v,
        Err(e) => give_up(what, &e),
    }
}

fn machine(initial: &Initial) -> ! {
    // Time of the machine's birth, for READY.
    let born = host::time::monotonic_ns();
    confine::close_strays();
    let mut buf = [0u8; 8192];
    let packet = match host::channel::receive(control::server::CHANNEL, &mut buf, false) {
        Ok(p) => p,
        Err(_) => tool::usage(),
    };
    must("host process", confine::settle());
    let Some(fd) = tool::kernel_memory_index(&buf[..packet.len]).and_then(|i| packet.fds[..packet.fd_count].get(i))
    else {
        give_up("BOOT", &"no kernel-region memory in the first message")
    };
    must("mapping the kernel region", memory::map_kernel(*fd));
    heap::init();
    SUPERVISOR.store(host::process::getpid(), Ordering::Relaxed);
    trap::thread::set_supervisor(host::process::getpid());

    let boot = must("BOOT", control::server::decode_boot(&buf[..packet.len], &packet.fds[..packet.fd_count]));
    must("processor", trap::cpu::init());
    if boot.guard == wire::GUARD_MPROTECT {
        // The window would lie open to applications: the guard closes the kernel region only.
        host::ram::without_window();
    } else {
        must("RAM", memory::map_ram(boot.ram.raw(), boot.memory));
    }
    core_::ram::init(boot.ram.raw(), boot.memory);
    core_::mm::set_limit(boot.memory);
    core_::exec::set_hwcap(initial.aux.hwcap, initial.aux.hwcap2);
    if initial.aux.vdso != 0 {
        // SAFETY: AT_SYSINFO_EHDR.
        let (end, clock) = unsafe { vdso_symbols(initial.aux.vdso) };
        // The vDSO makes a system call where the host's clock is not to be read without; only the guest kernel's own code may.
        if boot.flags & wire::FLAG_SECCOMP_TRAP == 0 {
            host::time::set_vdso_clock_gettime(clock);
        }
        // The data pages lie right before the code; how many depends on the host's release: at most 8.
        core_::mm::set_vdso(initial.aux.vdso - tool::vvar_size(initial.aux.vdso), initial.aux.vdso, end);
    }
    match boot.guard {
        wire::GUARD_PKEY if trap::cpu::has_pku() => {
            trap::guard::choose(trap::guard::Guard::Pkey);
            must("memory protection keys", memory::protect_with_keys(boot.memory));
        }
        wire::GUARD_MPROTECT if boot.spaces == wire::SPACES_REMAP => {
            trap::guard::choose(trap::guard::Guard::Mprotect);
            must("mprotect guard", memory::prepare_for_mprotect(boot.kernel_memory.raw()));
        }
        wire::GUARD_NONE => trap::guard::choose(trap::guard::Guard::None),
        g => give_up("guard", &alloc::format!("number {g} is not to be had on this processor or with these spaces")),
    }
    let Some(monitor) = trap::monitor::choose(boot.monitor) else {
        give_up("monitor", &alloc::format!("number {} is unknown", boot.monitor))
    };
    if boot.flags & wire::FLAG_SECCOMP_TRAP != 0 && monitor != trap::monitor::Monitor::Process {
        trap::monitor::divert_by_seccomp();
    }
    if boot.spaces > wire::SPACES_REMAP {
        give_up("spaces", &alloc::format!("number {} is unknown", boot.spaces));
    }
    if boot.spaces == wire::SPACES_REMAP {
        core_::mm::spaces::remap::choose(boot.guard == wire::GUARD_PKEY);
        trap::sched::choose();
        trap::sched::on_switch(core_::mm::spaces::remap::switch);
    }
    core_::counters::BORN.set_once(host::time::monotonic_ns());
    core_::counters::BORN_TICKS.set_once(host::thread::ticks());
    if boot.flags & wire::FLAG_DEBUG != 0 {
        core_::log::copy_to_stderr();
    }
    entry::run::COUNT_CALLS.store(boot.flags & wire::FLAG_COUNT != 0, Ordering::Relaxed);
    if boot.guard == wire::GUARD_PKEY {
        core_::mm::wx::enable();
    }
    if monitor == trap::monitor::Monitor::Inline {
        core_::text::set_patch(&entry::inline::FOR_COPIES);
    }
    must("trap handlers", trap::signal::install());
    trap::thread::set_entry(entry::run::begin);
    let slot = must("first slot", trap::thread::alloc_slot());
    let page = host::thread::trusted_of(slot);
    page.host_pid.store(host::process::getpid(), Ordering::Relaxed);
    page.host_tid.store(host::process::gettid(), Ordering::Relaxed);
    host::thread::set_gs(slot);
    trap::thread::set_altstack(slot);
    host::thread::set_ready();
    core_::log::line(5, format_args!("Linux version {} {}", syscalls::misc::RELEASE, syscalls::misc::VERSION));
    let spaces = if boot.spaces == wire::SPACES_REMAP { "remap" } else { "multi" };
    let (guard, pages) = (trap::guard::in_force(), boot.memory / abi::layout::PAGE);
    core_::log::line(6, format_args!("machine: monitor {monitor:?}, guard {guard:?}, spaces {spaces}, {pages} pages"));
    let vm = Vm::new(boot, born);
    VM.set(alloc::boxed::Box::leak(alloc::boxed::Box::new(vm)));
    trap::thread::switch_to_slot(slot, supervise, 0)
}

static VM: Once<Vm> = Once::new();

/// The supervisor: serves the VMM, devices, timers and the ends of host processes. It never runs guest code.
extern "C" fn supervise(_: u64) -> ! {
    let Some(vm) = VM.get() else { give_up("supervisor", &"no machine") };
    vm.prepare();
    control::server::serve(vm, true);
    must("control channel", control::server::Channel::watch(vm));
    loop {
        if core_::irq::wait_and_dispatch(-1).is_err() {
            give_up("supervisor", &"epoll failed");
        }
    }
}
