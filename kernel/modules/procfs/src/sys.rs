//! /proc/sys: the settings that programs read.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core_::procinfo;
use core_::task::{Cap, TREE};
use core_::vfs::Inode;
use core_::vfs::pseudo::{Fixed, Id, Text};
use core_::{Errno, Result, current};

struct Builder {
    dev: u64,
    ino: u64,
}

impl Builder {
    fn id(&mut self, mode: u32) -> Id {
        self.ino += 1;
        Id::root(self.dev, self.ino, mode)
    }

    fn text(&mut self, make: impl Fn() -> Vec<u8> + Send + Sync + 'static) -> Arc<dyn Inode> {
        Text::inode(self.id(0o444), move || {
            let mut v = make();
            v.push(b'\n');
            Ok(v)
        })
    }

    fn fixed(&mut self, value: &'static str) -> Arc<dyn Inode> {
        self.text(move || value.as_bytes().to_vec())
    }

    fn dir(&mut self, entries: Vec<(&str, Arc<dyn Inode>)>) -> Arc<dyn Inode> {
        Fixed::inode(self.id(0o555), entries)
    }
}

fn uuid(mut b: [u8; 16], random: bool) -> Vec<u8> {
    if random {
        b[6] = b[6] & 0x0f | 0x40;
        b[8] = b[8] & 0x3f | 0x80;
    }
    let hex = |r: &[u8]| r.iter().map(|b| format!("{b:02x}")).collect::<alloc::string::String>();
    format!("{}-{}-{}-{}-{}", hex(&b[..4]), hex(&b[4..6]), hex(&b[6..8]), hex(&b[8..10]), hex(&b[10..])).into_bytes()
}

fn set_hostname(text: &[u8]) -> Result<()> {
    if !current().cred().has(Cap::SysAdmin) {
        return Err(Errno::EPERM);
    }
    let name = text.split(|b| *b == b'\n').next().unwrap_or(b"");
    if name.len() > 64 {
        return Err(Errno::EINVAL);
    }
    procinfo::set_hostname(name);
    Ok(())
}

/// What can be dropped the host drops when it wants: here there is nothing.
fn drop_caches(text: &[u8]) -> Result<()> {
    if !current().cred().has(Cap::SysAdmin) {
        return Err(Errno::EPERM);
    }
    let number = core::str::from_utf8(text).ok().and_then(|t| t.trim().parse::<u32>().ok());
    number.filter(|n| (1..=4).contains(n)).map(drop).ok_or(Errno::EINVAL)
}

/// Open file descriptions that some descriptor refers to.
fn open_files() -> usize {
    let all = TREE.lock().all();
    let threads = all.iter().flat_map(|p| p.threads.lock().clone());
    let mut tables: Vec<_> = threads.map(|t| t.files()).collect();
    tables.sort_unstable_by_key(Arc::as_ptr);
    tables.dedup_by(|a, b| Arc::ptr_eq(a, b));
    let files = tables.iter().flat_map(|t| t.list());
    let mut files: Vec<_> = files.map(|(_, f, _)| Arc::as_ptr(&f) as usize).collect();
    files.sort_unstable();
    files.dedup();
    files.len()
}

pub fn tree(dev: u64) -> Arc<dyn Inode> {
    let mut b = Builder { dev, ino: 10_000 };
    let hostname = Text::writable(
        b.id(0o644),
        || Ok([&procinfo::system(|s| s.hostname.clone())[..], b"\n"].concat()),
        set_hostname,
    );
    let random = alloc::vec![
        ("boot_id", b.text(|| uuid(procinfo::system(|s| s.boot_id), true))),
        (
            "uuid",
            b.text(|| {
                let mut bytes = [0; 16];
                host::process::getrandom(&mut bytes);
                uuid(bytes, true)
            })
        ),
        ("entropy_avail", b.fixed("256")),
        ("poolsize", b.fixed("256")),
    ];
    let random = b.dir(random);
    let kernel = alloc::vec![
        ("hostname", hostname),
        ("domainname", b.fixed("(none)")),
        ("ostype", b.fixed("Linux")),
        ("osrelease", b.text(|| procinfo::system(|s| s.release.clone()))),
        ("version", b.text(|| procinfo::system(|s| s.version.clone()))),
        ("pid_max", b.fixed("32768")),
        ("threads-max", b.text(|| format!("{}", TREE.lock().pids_max).into_bytes())),
        ("cap_last_cap", b.fixed("40")),
        ("ngroups_max", b.fixed("65536")),
        ("overflowuid", b.fixed("65534")),
        ("overflowgid", b.fixed("65534")),
        ("randomize_va_space", b.fixed("2")),
        ("core_pattern", b.fixed("core")),
        ("core_uses_pid", b.fixed("0")),
        ("shmmax", b.fixed("18446744073692774399")),
        ("shmall", b.fixed("18446744073692774399")),
        ("shmmni", b.fixed("4096")),
        ("sem", b.fixed("32000\t1024000000\t500\t32000")),
        ("msgmax", b.fixed("8192")),
        ("msgmnb", b.fixed("16384")),
        ("printk", b.fixed("4\t4\t1\t7")),
        ("perf_event_paranoid", b.fixed("4")),
        ("unprivileged_userns_clone", b.fixed("0")),
        ("random", random),
    ];
    let kernel = b.dir(kernel);
    let drop_caches = Text::writable(b.id(0o644), || Ok(b"0\n".to_vec()), drop_caches);
    let vm = alloc::vec![
        ("overcommit_memory", b.fixed("1")),
        ("overcommit_ratio", b.fixed("50")),
        ("max_map_count", b.fixed("65530")),
        ("mmap_min_addr", b.fixed("65536")),
        ("swappiness", b.fixed("60")),
        ("nr_hugepages", b.fixed("0")),
        ("drop_caches", drop_caches),
    ];
    let vm = b.dir(vm);
    let fs = alloc::vec![
        ("file-max", b.text(|| format!("{}", procinfo::system(|s| s.max_files)).into_bytes())),
        ("file-nr", b.text(|| format!("{}\t0\t{}", open_files(), procinfo::system(|s| s.max_files)).into_bytes())),
        ("nr_open", b.fixed("1048576")),
        ("pipe-max-size", b.fixed("1048576")),
        ("pipe-user-pages-soft", b.fixed("16384")),
        ("pipe-user-pages-hard", b.fixed("0")),
        ("protected_symlinks", b.fixed("0")),
        ("protected_hardlinks", b.fixed("0")),
        ("lease-break-time", b.fixed("45")),
        ("aio-max-nr", b.fixed("65536")),
    ];
    let fs = b.dir(fs);
    let core =
        alloc::vec![("somaxconn", b.fixed("4096")), ("rmem_max", b.fixed("212992")), ("wmem_max", b.fixed("212992"))];
    let core = b.dir(core);
    let unix = alloc::vec![("max_dgram_qlen", b.fixed("512"))];
    let unix = b.dir(unix);
    let net = b.dir(alloc::vec![("core", core), ("unix", unix)]);
    b.dir(alloc::vec![("kernel", kernel), ("vm", vm), ("fs", fs), ("net", net)])
}
