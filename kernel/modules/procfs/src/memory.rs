//! /proc/PID/{maps,smaps,smaps_rollup,numa_maps} (proc(5); fs/proc/task_mmu.c).
//!
//! The host keeps the page tables. What is in memory of another process's space that process tells (`mm::errand`).

use crate::process::Who;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::Write;
use core_::mm::{Mm, ShownArea, Used, flag};
use core_::task::TREE;
use core_::{Errno, Result};

/// The space that `who` has, for who may look into it; None for a process without one.
pub fn space(who: &Who) -> Result<Option<Arc<Mm>>> {
    Ok(who.looked_into()?.mm.lock().clone())
}

/// The line of an area, as in maps.
fn head(a: &ShownArea, out: &mut Vec<u8>) {
    let bit = |b: u32, c: char| if a.prot & b != 0 { c } else { '-' };
    let (dev, ino) = a.file.unwrap_or_default();
    let mut t = format!(
        "{:08x}-{:08x} {}{}{}{} {:08x} {:02x}:{:02x} {ino} ",
        a.start,
        a.end,
        bit(flag::PROT_READ, 'r'),
        bit(flag::PROT_WRITE, 'w'),
        bit(flag::PROT_EXEC, 'x'),
        if a.is_shared() { 's' } else { 'p' },
        a.offset,
        dev.0,
        dev.1
    );
    if !a.name.is_empty() {
        while t.len() < 73 {
            t.push(' ');
        }
    }
    out.extend_from_slice(t.as_bytes());
    out.extend_from_slice(&a.name);
    out.push(b'\n');
}

pub fn maps(who: &Who) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    for a in space(who)?.map_or(Vec::new(), |mm| mm.shown()) {
        head(&a, &mut out);
    }
    Ok(out)
}

/// How many address spaces map each file: a page of it counts for each of them by that part (Pss).
fn sharers() -> BTreeMap<((u32, u32), u64), u64> {
    let mut seen: Vec<Arc<Mm>> = Vec::new();
    let all = TREE.lock().all();
    for p in all {
        seen.extend(p.mm.lock().clone().filter(|mm| !seen.iter().any(|s| Arc::ptr_eq(s, mm))));
    }
    let mut out = BTreeMap::new();
    for mm in seen {
        let mut files: Vec<_> = mm.shown().iter().filter_map(|a| a.file).collect();
        files.sort_unstable();
        files.dedup();
        for f in files {
            *out.entry(f).or_insert(0) += 1;
        }
    }
    out
}

/// Memory of an area or of several, in KiB.
#[derive(Clone, Copy, Default)]
struct Amount {
    rss: u64,
    pss: u64,
    pss_dirty: u64,
    pss_anon: u64,
    pss_shmem: u64,
    shared_clean: u64,
    shared_dirty: u64,
    private_clean: u64,
    private_dirty: u64,
    anonymous: u64,
    locked: u64,
}

impl Amount {
    fn add(&mut self, o: &Amount) {
        for (to, from) in [
            (&mut self.rss, o.rss),
            (&mut self.pss, o.pss),
            (&mut self.pss_dirty, o.pss_dirty),
            (&mut self.pss_anon, o.pss_anon),
            (&mut self.pss_shmem, o.pss_shmem),
            (&mut self.shared_clean, o.shared_clean),
            (&mut self.shared_dirty, o.shared_dirty),
            (&mut self.private_clean, o.private_clean),
            (&mut self.private_dirty, o.private_dirty),
            (&mut self.anonymous, o.anonymous),
            (&mut self.locked, o.locked),
        ] {
            *to += from;
        }
    }

    /// The lines, with how Pss is made up where it is of all areas together.
    fn text(&self, parts: bool) -> String {
        let mut t = String::new();
        let mut line = |name: &str, kib: u64| {
            // Writing to a String does not fail.
            let _ = writeln!(t, "{:<16}{kib:8} kB", format!("{name}:"));
        };
        line("Rss", self.rss);
        line("Pss", self.pss);
        line("Pss_Dirty", self.pss_dirty);
        if parts {
            line("Pss_Anon", self.pss_anon);
            line("Pss_File", self.pss - self.pss_anon - self.pss_shmem);
            line("Pss_Shmem", self.pss_shmem);
        }
        line("Shared_Clean", self.shared_clean);
        line("Shared_Dirty", self.shared_dirty);
        line("Private_Clean", self.private_clean);
        line("Private_Dirty", self.private_dirty);
        line("Referenced", self.rss);
        line("Anonymous", self.anonymous);
        for nothing in [
            "KSM",
            "LazyFree",
            "AnonHugePages",
            "ShmemPmdMapped",
            "FilePmdMapped",
            "Shared_Hugetlb",
            "Private_Hugetlb",
            "Swap",
            "SwapPss",
        ] {
            line(nothing, 0);
        }
        line("Locked", self.locked);
        t
    }
}

/// What `pages` of an area are, which `sharers` spaces map.
fn amount(a: &ShownArea, pages: u64, own: bool, sharers: u64) -> Amount {
    let rss = pages * 4;
    let writable = a.prot & flag::PROT_WRITE != 0;
    // Of a file only a shared mapping makes pages dirty.
    let dirty = own || (a.is_shared() && writable);
    let alone = own || sharers <= 1;
    let pss = if own { rss } else { rss / sharers.max(1) };
    let when = |c: bool, n: u64| if c { n } else { 0 };
    Amount {
        rss,
        pss,
        pss_dirty: when(dirty, pss),
        pss_anon: when(own, pss),
        pss_shmem: when(!own && a.file.is_none(), pss),
        shared_clean: when(!alone && !dirty, rss),
        shared_dirty: when(!alone && dirty, rss),
        private_clean: when(alone && !dirty, rss),
        private_dirty: when(alone && dirty, rss),
        anonymous: when(own, rss),
        locked: when(a.flags & flag::LOCKED != 0, pss),
    }
}

/// Each area with its pages in memory.
fn measured(mm: &Mm) -> Result<Vec<(ShownArea, Amount)>> {
    let used = mm.used()?;
    let sharers = sharers();
    // The areas may have changed since: an area has what was found in it.
    let pages = |a: &ShownArea| {
        let part = |u: &Used| {
            let inside = u.end.min(a.end).saturating_sub(u.start.max(a.start)) / 4096;
            (u.pages.min(inside), u.own)
        };
        used.iter().map(part).fold((0, false), |(n, own), (more, o)| (n + more, if more > 0 { o } else { own }))
    };
    let all = mm.shown().into_iter().map(|a| {
        let (n, own) = pages(&a);
        let sharers = a.file.and_then(|f| sharers.get(&f).copied()).unwrap_or(1);
        let amount = amount(&a, n, own, sharers);
        (a, amount)
    });
    Ok(all.collect())
}

/// The two-letter codes of an area (`show_smap_vma_flags`).
fn flags(a: &ShownArea) -> String {
    let has = |f: u32| a.flags & f != 0;
    let all = [
        (a.prot & flag::PROT_READ != 0, "rd"),
        (a.prot & flag::PROT_WRITE != 0, "wr"),
        (a.prot & flag::PROT_EXEC != 0, "ex"),
        (a.is_shared(), "sh"),
        (true, "mr mw me"),
        (a.is_shared(), "ms"),
        (has(flag::GROWSDOWN), "gd"),
        (has(flag::LOCKED), "lo"),
        (has(flag::DONTFORK), "dc"),
        (has(flag::ACCOUNT | flag::HELD), "ac"),
        (has(flag::NORESERVE), "nr"),
        (has(flag::WIPEONFORK), "wf"),
    ];
    all.iter().filter(|(there, _)| *there).map(|(_, code)| format!("{code} ")).collect()
}

pub fn smaps(who: &Who) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    let Some(mm) = space(who)? else { return Ok(out) };
    for (a, amount) in measured(&mm)? {
        head(&a, &mut out);
        let size = (a.end - a.start) / 1024;
        let sizes = format!("Size:           {size:8} kB\nKernelPageSize:        4 kB\nMMUPageSize:           4 kB\n");
        let rest = format!("THPeligible:           0\nVmFlags: {}\n", flags(&a));
        out.extend_from_slice(&[sizes.as_bytes(), amount.text(false).as_bytes(), rest.as_bytes()].concat());
    }
    Ok(out)
}

pub fn smaps_rollup(who: &Who) -> Result<Vec<u8>> {
    let mm = space(who)?.ok_or(Errno::ESRCH)?;
    let all = measured(&mm)?;
    let mut sum = Amount::default();
    all.iter().for_each(|(_, a)| sum.add(a));
    let (start, end) = all.first().zip(all.last()).map_or((0, 0), |(f, l)| (f.0.start, l.0.end));
    let mut out = Vec::new();
    let whole =
        ShownArea { start, end, prot: 0, flags: flag::PRIVATE, offset: 0, file: None, name: b"[rollup]".to_vec() };
    head(&whole, &mut out);
    out.extend_from_slice(sum.text(true).as_bytes());
    Ok(out)
}

pub fn numa_maps(who: &Who) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    let Some(mm) = space(who)? else { return Ok(out) };
    for (a, amount) in measured(&mm)? {
        out.extend_from_slice(format!("{:08x} default", a.start).as_bytes());
        match &a.name[..] {
            b"[heap]" => out.extend_from_slice(b" heap"),
            b"[stack]" => out.extend_from_slice(b" stack"),
            name if a.file.is_some() => out.extend_from_slice(&[b" file=", name].concat()),
            _ => {}
        }
        let pages = amount.rss / 4;
        if pages > 0 {
            let own = if amount.anonymous > 0 { "anon" } else { "mapped" };
            let dirty = amount.private_dirty + amount.shared_dirty > 0;
            let dirty = if dirty { format!(" dirty={pages}") } else { String::new() };
            out.extend_from_slice(format!(" {own}={pages}{dirty} N0={pages} kernelpagesize_kB=4").as_bytes());
        }
        out.push(b'\n');
    }
    Ok(out)
}
