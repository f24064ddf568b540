//! Files about the machine as a whole.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;
use core::sync::atomic::{AtomicU64, Ordering};
use core_::procinfo::{self, hooks};
use core_::task::{State, TREE};
use core_::vfs::mount;
use core_::{Result, counters, ram};

/// Ticks a second in which Linux shows times (USER_HZ).
pub const HZ: u64 = 100;

type Make = fn() -> Result<Vec<u8>>;

pub const FILES: &[(&str, Make)] = &[
    ("cmdline", || Ok(line(procinfo::system(|s| s.cmdline.clone())))),
    ("cpuinfo", || Ok(procinfo::system(|s| s.cpuinfo.clone()))),
    ("filesystems", filesystems),
    ("loadavg", loadavg),
    ("locks", crate::locks::all),
    ("meminfo", meminfo),
    ("stat", stat),
    ("swaps", || Ok(b"Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n".to_vec())),
    ("uptime", uptime),
    ("version", version),
    ("vmstat", vmstat),
    ("devices", || {
        Ok(b"Character devices:\n  1 mem\n  5 /dev/tty\n  5 /dev/console\n  5 /dev/ptmx\n136 pts\n\nBlock devices:\n"
            .to_vec())
    }),
    ("diskstats", || Ok(Vec::new())),
    ("partitions", || Ok(b"major minor  #blocks  name\n\n".to_vec())),
    ("modules", || Ok(Vec::new())),
];

fn line(mut v: Vec<u8>) -> Vec<u8> {
    v.push(b'\n');
    v
}

fn filesystems() -> Result<Vec<u8>> {
    let mut names = mount::fs_kinds();
    // Boot's to mount, not mount(2)'s.
    names.extend([&b"devpts"[..], b"overlay"]);
    Ok(names.iter().flat_map(|n| [b"nodev\t", *n, b"\n"].concat()).collect())
}

fn loadavg() -> Result<Vec<u8>> {
    let (running, threads, last) = {
        let tree = TREE.lock();
        let all = tree.all();
        let running = all.iter().filter(|p| *p.state.lock() == State::Running).count();
        (running, tree.thread_count(), all.last().map_or(0, |p| p.pid))
    };
    Ok(format!("0.00 0.00 0.00 {}/{threads} {last}\n", running.min(1)).into_bytes())
}

fn meminfo() -> Result<Vec<u8>> {
    let m = procinfo::memory();
    let (total, files, free) = (m.total / 1024, m.files / 1024, m.free / 1024);
    let anon = hooks().anon_bytes() / 1024;
    let mut out = String::new();
    for (name, kib) in [
        ("MemTotal", total),
        ("MemFree", free),
        ("MemAvailable", free),
        ("Buffers", 0),
        ("Cached", files),
        ("SwapCached", 0),
        ("Active", anon),
        ("Inactive", files),
        ("SwapTotal", 0),
        ("SwapFree", 0),
        ("Dirty", 0),
        ("Writeback", 0),
        ("AnonPages", anon),
        ("Mapped", 0),
        ("Shmem", files),
        ("KReclaimable", 0),
        ("Slab", 0),
        ("SReclaimable", 0),
        ("SUnreclaim", 0),
        ("PageTables", 0),
        ("CommitLimit", total),
        ("Committed_AS", anon),
        ("VmallocTotal", 34_359_738_367),
        ("VmallocUsed", 0),
    ] {
        // Writing to a String does not fail.
        let _ = writeln!(out, "{:<16}{kib:>8} kB", format!("{name}:"));
    }
    out.push_str("HugePages_Total:       0\nHugePages_Free:        0\nHugepagesize:       2048 kB\n");
    Ok(out.into_bytes())
}

/// User and system time of all live processes, in ticks.
fn cpu_ticks() -> (u64, u64) {
    let all = TREE.lock().all();
    let (mut user, mut system) = (0, 0);
    for p in all {
        let (u, s) = hooks().times(&p);
        let c = *p.child_usage.lock();
        user += u + if p.pid == 1 { c.utime_us } else { 0 };
        system += s + if p.pid == 1 { c.stime_us } else { 0 };
    }
    (user * HZ / 1_000_000, system * HZ / 1_000_000)
}

fn up_ns() -> u64 {
    host::time::monotonic_ns().saturating_sub(procinfo::system(|s| s.boot_ns))
}

fn stat() -> Result<Vec<u8>> {
    let cpus = u64::from(procinfo::system(|s| s.cpus).max(1));
    let (user, system) = cpu_ticks();
    let idle = (up_ns() / 10_000_000 * cpus).saturating_sub(user + system);
    let mut out = format!("cpu  {user} 0 {system} {idle} 0 0 0 0 0 0\n");
    for n in 0..cpus {
        let _ = writeln!(out, "cpu{n} {} 0 {} {} 0 0 0 0 0 0", user / cpus, system / cpus, idle / cpus);
    }
    let running = TREE.lock().all().iter().filter(|p| *p.state.lock() == State::Running).count();
    let _ = write!(
        out,
        "intr 0\nctxt 0\nbtime {}\nprocesses {}\nprocs_running {}\nprocs_blocked 0\nsoftirq 0 0 0 0 0 0 0 0 0 0 0\n",
        procinfo::system(|s| s.boot_time),
        counters::FORKS.get() + 1,
        running.max(1)
    );
    Ok(out.into_bytes())
}

fn uptime() -> Result<Vec<u8>> {
    let cs = up_ns() / 10_000_000;
    let cpus = u64::from(procinfo::system(|s| s.cpus).max(1));
    let (user, system) = cpu_ticks();
    // Times of processes that end come in lumps; readers expect that idleness never shrinks.
    static IDLE: AtomicU64 = AtomicU64::new(0);
    let idle = (cs * cpus).saturating_sub(user + system);
    let idle = IDLE.fetch_max(idle, Ordering::Relaxed).max(idle);
    Ok(format!("{}.{:02} {}.{:02}\n", cs / 100, cs % 100, idle / 100, idle % 100).into_bytes())
}

fn version() -> Result<Vec<u8>> {
    Ok(procinfo::system(|s| [b"Linux version ", &s.release[..], b" (lodger) ", &s.version[..], b"\n"].concat()))
}

fn vmstat() -> Result<Vec<u8>> {
    let (total, free) = ram::usage();
    Ok(format!("nr_free_pages {free}\nnr_file_pages {}\npgfault 0\npgmajfault 0\n", total - free).into_bytes())
}
