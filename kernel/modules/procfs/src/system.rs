//! Files about the machine as a whole.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::Write;
use core::sync::atomic::{AtomicU64, Ordering};
use core_::load::{self, up_ns, used};
use core_::procinfo::{self, hooks};
use core_::task::{Process, TREE};
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

/// How many threads run or could: one at least, the reader.
fn runnable(all: &[Arc<Process>]) -> usize {
    let ready = |p: &Arc<Process>| p.threads.lock().iter().filter(|t| hooks().state(t) == b'R').count();
    all.iter().map(ready).sum()
}

fn loadavg() -> Result<Vec<u8>> {
    let (running, threads, last) = {
        let tree = TREE.lock();
        let all = tree.all();
        (runnable(&all), tree.thread_count(), all.last().map_or(0, |p| p.pid))
    };
    // Two digits, rounded.
    let [one, five, fifteen] = load::averages().map(|v| {
        let hundredths = (v * 100 + (1 << load::SHIFT) / 2) >> load::SHIFT;
        format!("{}.{:02}", hundredths / 100, hundredths % 100)
    });
    Ok(format!("{one} {five} {fifteen} {running}/{threads} {last}\n").into_bytes())
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

/// User and system time of all processes, in ticks. Neither ever shrinks, though a process that ends tells anew which is which.
fn cpu_ticks() -> (u64, u64) {
    static LAST: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];
    let u = used();
    let most = |i: usize, us: u64| LAST[i].fetch_max(us, Ordering::Relaxed).max(us) * HZ / 1_000_000;
    (most(0, u.utime_us), most(1, u.stime_us))
}

fn stat() -> Result<Vec<u8>> {
    let cpus = u64::from(procinfo::system(|s| s.cpus).max(1));
    let (user, system) = cpu_ticks();
    let idle = (up_ns() / 10_000_000 * cpus).saturating_sub(user + system);
    let mut out = format!("cpu  {user} 0 {system} {idle} 0 0 0 0 0 0\n");
    for n in 0..cpus {
        let _ = writeln!(out, "cpu{n} {} 0 {} {} 0 0 0 0 0 0", user / cpus, system / cpus, idle / cpus);
    }
    let all = TREE.lock().all();
    let running = runnable(&all);
    let used = used();
    let _ = write!(
        out,
        "intr {}\nctxt {}\nbtime {}\nprocesses {}\nprocs_running {}\nprocs_blocked 0\nsoftirq 0 0 0 0 0 0 0 0 0 0 0\n",
        counters::KICKS.get(),
        used.nvcsw + used.nivcsw,
        procinfo::system(|s| s.boot_time),
        counters::FORKS.get() + 1,
        running
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
    let files = total - free;
    let anon = hooks().anon_bytes() / 4096;
    let u = used();
    let text = format!(
        "nr_free_pages {}\nnr_anon_pages {anon}\nnr_file_pages {files}\nnr_shmem {files}\npswpin 0\npswpout 0\n\
         pgfault {}\npgmajfault {}\noom_kill 0\n",
        free.saturating_sub(anon),
        // Those that the host handled, and those that came to the guest kernel.
        u.minflt + u.majflt + counters::USER_FAULTS.get(),
        u.majflt
    );
    Ok(text.into_bytes())
}
