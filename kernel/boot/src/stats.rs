//! Numbers for `--stats`.

use crate::mounts::Mounts;
use alloc::string::String;
use core::fmt::Write;
use core::sync::atomic::Ordering;
use core_::counters;
use core_::task::TREE;

/// A JSON object: counters since the machine's start, and what is in use now.
pub fn json(m: &Mounts) -> String {
    let (mut host_calls, mut gates, mut traps) = (0u64, 0u64, 0u64);
    for slot in 0..abi::layout::MAX_SLOTS as u32 {
        let p = host::thread::trusted_of(slot);
        // Counters of a slot go on through its owners: a sum over slots is the machine's.
        if p.context.load(Ordering::Relaxed) == 0 {
            continue;
        }
        host_calls += p.host_calls.load(Ordering::Relaxed);
        gates += p.gate_entries.load(Ordering::Relaxed);
        traps += p.trap_entries.load(Ordering::Relaxed);
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
    put("patched_sites", u64::from(trap::stub::used()));
    put("forks", counters::FORKS.get());
    put("threads_made", counters::THREADS.get());
    put("execs", counters::EXECS.get());
    put("signals", counters::SIGNALS.get());
    put("kicks", counters::KICKS.get());
    put("user_faults", counters::USER_FAULTS.get());
    put("processes", processes as u64);
    put("threads", threads as u64);
    put("ram_used_bytes", ram_used);
    put("ram_total_bytes", ram_total);
    put("disk_used_bytes", m.quota.used_bytes());
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
