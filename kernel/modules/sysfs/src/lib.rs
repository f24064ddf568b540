//! The few files of /sys that programs look at to learn about processors and memory.
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core_::vfs::pseudo::{Fixed, Id, Polled, Text};
use core_::vfs::{FileSystem, Inode, Statfs, anon_dev};
use core_::{Result, procinfo};

/// A mounted sysfs.
pub struct SysFs {
    root: Arc<dyn Inode>,
    dev: u64,
}

struct Builder {
    dev: u64,
    next: u64,
}

impl Builder {
    fn id(&mut self, mode: u32) -> Id {
        self.next += 1;
        Id::root(self.dev, self.next, mode)
    }

    fn text(&mut self, make: impl Fn() -> String + Send + Sync + 'static) -> Arc<dyn Inode> {
        Text::polled(self.id(0o444), Polled::Attribute, Arc::new(move || Ok(make().into_bytes())), None)
    }

    fn dir(&mut self, entries: Vec<(&str, Arc<dyn Inode>)>) -> Arc<dyn Inode> {
        Fixed::inode(self.id(0o755), entries)
    }
}

fn cpus() -> u32 {
    procinfo::system(|s| s.cpus).max(1)
}

/// `0-3`, or `0` for one processor.
fn range() -> String {
    match cpus() {
        1 => String::from("0\n"),
        n => format!("0-{}\n", n - 1),
    }
}

/// A bitmap of processors as bitmap_print_to_pagebuf writes it: groups of 32 from the highest (lib/bitmap-str.c).
fn mask(bits: impl Iterator<Item = u32>) -> String {
    let width = cpus();
    let mut words = alloc::vec![0u32; width.div_ceil(32) as usize];
    for n in bits {
        words[(n / 32) as usize] |= 1 << (n % 32);
    }
    let first = format!("{:0width$x}", words[words.len() - 1], width = ((width - 1) % 32 / 4 + 1) as usize);
    let rest = words.iter().rev().skip(1).map(|w| format!(",{w:08x}"));
    core::iter::once(first).chain(rest).collect::<String>() + "\n"
}

fn all() -> String {
    mask(0..cpus())
}

fn node_meminfo() -> String {
    let m = procinfo::memory();
    let line = |name: &str, bytes: u64| format!("Node 0 {name:<16}{:>8} kB\n", bytes / 1024);
    line("MemTotal:", m.total) + &line("MemFree:", m.free) + &line("MemUsed:", m.total - m.free)
}

impl SysFs {
    #[must_use]
    pub fn new() -> Arc<SysFs> {
        let dev = anon_dev();
        let mut b = Builder { dev, next: 0 };
        let names: Vec<String> = (0..cpus()).map(|n| format!("cpu{n}")).collect();
        let mut cpu: Vec<(&str, Arc<dyn Inode>)> = Vec::new();
        for (n, name) in (0..cpus()).zip(&names) {
            let zero = || String::from("0\n");
            let mut topology = alloc::vec![
                ("core_id", b.text(move || format!("{n}\n"))),
                ("die_id", b.text(zero)),
                ("physical_package_id", b.text(zero)),
            ];
            for name in ["thread_siblings", "core_cpus"] {
                topology.push((name, b.text(move || mask(core::iter::once(n)))));
            }
            for name in ["thread_siblings_list", "core_cpus_list"] {
                topology.push((name, b.text(move || format!("{n}\n"))));
            }
            for name in ["core_siblings", "package_cpus", "die_cpus"] {
                topology.push((name, b.text(all)));
            }
            for name in ["core_siblings_list", "package_cpus_list", "die_cpus_list"] {
                topology.push((name, b.text(range)));
            }
            let topology = b.dir(topology);
            let online = b.text(|| String::from("1\n"));
            cpu.push((name, b.dir(alloc::vec![("topology", topology), ("online", online)])));
        }
        for name in ["online", "possible", "present"] {
            cpu.push((name, b.text(range)));
        }
        let max = b.text(|| format!("{}\n", cpus() - 1));
        cpu.push(("kernel_max", max));
        let cpu = b.dir(cpu);
        let node0 = alloc::vec![
            ("cpulist", b.text(range)),
            ("cpumap", b.text(all)),
            ("distance", b.text(|| String::from("10\n"))),
            ("meminfo", b.text(node_meminfo)),
        ];
        let mut node = alloc::vec![("node0", b.dir(node0))];
        for name in ["online", "possible", "has_cpu", "has_memory", "has_normal_memory"] {
            node.push((name, b.text(|| String::from("0\n"))));
        }
        let node = b.dir(node);
        let system = b.dir(alloc::vec![("cpu", cpu), ("node", node)]);
        let devices = b.dir(alloc::vec![("system", system)]);
        let thp = alloc::vec![
            ("enabled", b.text(|| String::from("always [madvise] never\n"))),
            ("hpage_pmd_size", b.text(|| String::from("2097152\n"))),
        ];
        let thp = b.dir(thp);
        let mm = b.dir(alloc::vec![("transparent_hugepage", thp)]);
        let kernel = b.dir(alloc::vec![("mm", mm)]);
        let cgroup = b.dir(Vec::new());
        let fs = b.dir(alloc::vec![("cgroup", cgroup)]);
        let dev_block = b.dir(Vec::new());
        let dev_char = b.dir(Vec::new());
        let devs = b.dir(alloc::vec![("block", dev_block), ("char", dev_char)]);
        let (class, block, bus, module) = (b.dir(Vec::new()), b.dir(Vec::new()), b.dir(Vec::new()), b.dir(Vec::new()));
        let root = Fixed::inode(
            Id::root(dev, 1_000_000, 0o555),
            alloc::vec![
                ("devices", devices),
                ("kernel", kernel),
                ("fs", fs),
                ("class", class),
                ("block", block),
                ("dev", devs),
                ("bus", bus),
                ("module", module),
            ],
        );
        Arc::new(SysFs { root, dev })
    }
}

impl FileSystem for SysFs {
    fn name(&self) -> &'static str {
        "sysfs"
    }
    fn root(&self) -> Arc<dyn Inode> {
        self.root.clone()
    }
    fn statfs(&self) -> Result<Statfs> {
        const SYSFS_MAGIC: u64 = 0x6265_6572;
        Ok(Statfs { magic: SYSFS_MAGIC, bsize: 4096, fsid: self.dev, ..Statfs::default() })
    }
}
