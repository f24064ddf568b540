//! Numbers for `--stats`.

use crate::mounts::Mounts;
use alloc::string::String;
use core::fmt::Write;
use core::sync::atomic::Ordering;
use core_::counters;
use core_::mm::spaces::remap::stats as remap;
use core_::task::TREE;

/// A JSON object: counters since the machine's start, and what is in use now.
pub fn json(m: &Mounts) -> String {
    let (mut host_calls, mut gates, mut traps, mut protects, mut protect_ticks) = (0u64, 0u64, 0u64, 0u64, 0u64);
    for slot in 0..abi::layout::MAX_SLOTS as u32 {
        let p = host::thread::trusted_of(slot);
        // Counters of a slot go on through its owners: a sum over slots is the machine's.
        if p.context.load(Ordering::Relaxed) == 0 {
            continue;
        }
        host_calls += p.host_calls.load(Ordering::Relaxed);
        gates += p.gate_entries.load(Ordering::Relaxed);
        traps += p.trap_entries.load(Ordering::Relaxed);
        protects += p.protects.load(Ordering::Relaxed);
        protect_ticks += p.protect_tsc.load(Ordering::Relaxed);
    }
    let (processes, threads) = {
        let tree = TREE.lock();
        (tree.all().len().saturating_sub(1), tree.thread_count())
    };
    let (ram_used, ram_total) = core_::ram::usage();
    let mut s = String::from("{");
    let mut put = |k: &str, v: u64| {
        let _ = write!(s, "\"{k}\":{v},");
    };
    put("host_calls", host_calls);
    put("gate_entries", gates);
    put("trap_entries", traps);
    put("guard_protects", protects);
    put("guard_protect_ns", (protect_ticks as f64 * ns_per_tick()) as u64);
    put("process_switches", remap::SWITCHES.get());
    put("process_switch_ns", remap::SWITCH_NS.get());
    put("pages_mapped", remap::MAPPED.get());
    put("pages_mapped_by_switches", remap::MAPPED_BY_SWITCH.get());
    put("unmaps", remap::UNMAPS.get());
    put("demand_pages", remap::DEMAND.get());
    put("copied_pages", remap::COPIES.get());
    put("thread_switches", trap::sched::THREAD_SWITCHES.load(Ordering::Relaxed));
    put("timer_interrupts", trap::sched::TIMER_INTERRUPTS.load(Ordering::Relaxed));
    put("patched_sites", u64::from(trap::monitor::stub::used()));
    put("forks", counters::FORKS.get());
    put("threads_made", counters::THREADS.get());
    put("execs", counters::EXECS.get());
    put("signals", counters::SIGNALS.get());
    put("kicks", counters::KICKS.get());
    put("user_faults", counters::USER_FAULTS.get());
    put("neutralised", counters::NEUTRALISED.get());
    put("exec_refused", counters::EXEC_REFUSED.get());
    put("displaced", counters::DISPLACED.get());
    put("processes", processes as u64);
    put("threads", threads as u64);
    put("ram_used_bytes", ram_used);
    put("ram_total_bytes", ram_total);
    put("disk_used_bytes", m.quota.used_bytes());
    put("born_ns", counters::BORN.get());
    put("rootfs_ns", counters::ROOTFS_NS.get());
    put("started_ns", counters::STARTED.get());
    put("first_thread_ns", counters::FIRST_THREAD.get());
    calls(&mut s);
    s.push_str("\"missing\":{");
    let mut first = true;
    for call in syscalls::CALLS.iter().filter(|c| c.name != "?") {
        let n = counters::MISSING[call.nr as usize & 511].get();
        if n > 0 {
            let _ = write!(s, "{}\"{}\":{n}", if first { "" } else { "," }, call.name);
            first = false;
        }
    }
    s.push_str("}}");
    s
}

/// Length of a processor tick, from the machine's life so far.
fn ns_per_tick() -> f64 {
    let (ticks, ns) = (host::thread::ticks(), host::time::monotonic_ns());
    let (ticks0, ns0) = (counters::BORN_TICKS.get(), counters::BORN.get());
    if ticks <= ticks0 { 0.0 } else { (ns - ns0) as f64 / (ticks - ticks0) as f64 }
}

/// What each system call came to, where calls are counted: how often, its host calls, nanoseconds with sleep.
fn calls(s: &mut String) {
    s.push_str("\"calls\":{");
    let mut first = true;
    for call in syscalls::CALLS.iter().filter(|c| c.name != "?") {
        let i = call.nr as usize & 511;
        let n = counters::CALLS[i].get();
        if n > 0 {
            let comma = if first { "" } else { "," };
            let (host, ns) = (counters::CALL_HOST[i].get(), counters::CALL_NS[i].get());
            let _ = write!(s, "{comma}\"{}\":[{n},{host},{ns}]", call.name);
            first = false;
        }
    }
    s.push_str("},");
}
