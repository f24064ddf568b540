//! The files of /proc/PID and /proc/PID/task/TID: the table, and what makes the short ones.

use crate::process::Who;
use crate::settings;
use crate::{mem, memory, mounts, status, times};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core_::Result;
use core_::file::FileOps;
use core_::procinfo::hooks;
use core_::task::{IoCount, TREE};
use core_::vfs::mount;
use core_::vfs::pseudo::Polled;

pub type Make = fn(&Who) -> Result<Vec<u8>>;
pub type Store = fn(&Who, &[u8]) -> Result<()>;

/// A file with made contents; one that can be written to has a `store`.
pub struct File {
    pub name: &'static str,
    pub mode: u32,
    pub make: Make,
    pub store: Option<Store>,
    pub polled: Polled,
}

const fn read(name: &'static str, mode: u32, make: Make) -> File {
    File { name, mode, make, store: None, polled: Polled::Never }
}

const fn set(name: &'static str, mode: u32, make: Make, store: Store) -> File {
    File { name, mode, make, store: Some(store), polled: Polled::Never }
}

/// What shows the tree of mounts, and can be asked whether that has changed.
const fn mounts(name: &'static str, make: Make) -> File {
    File { name, mode: 0o444, make, store: None, polled: Polled::Changes(mount::changes) }
}

/// In the order of their names.
pub const FILES: &[File] = &[
    read("auxv", 0o400, |w| Ok(hooks().auxv(&*w.looked_into()?))),
    read("cgroup", 0o444, |_| Ok(b"0::/\n".to_vec())),
    read("children", 0o444, children),
    set("clear_refs", 0o200, |_| Err(core_::Errno::EINVAL), mem::clear_refs),
    read("cmdline", 0o444, |w| Ok(hooks().cmdline(&*w.process()?))),
    set("comm", 0o644, settings::comm, settings::set_comm),
    set("coredump_filter", 0o644, settings::coredump_filter, settings::set_coredump_filter),
    read("cpuset", 0o444, |_| Ok(b"/\n".to_vec())),
    read("environ", 0o400, |w| Ok(hooks().environ(&*w.looked_into()?))),
    set("gid_map", 0o644, settings::id_map, settings::set_id_map),
    read("io", 0o400, io),
    read("limits", 0o444, status::limits),
    set("loginuid", 0o644, settings::login_uid, settings::set_login_uid),
    read("maps", 0o444, memory::maps),
    mounts("mountinfo", |w| Ok(mounts::mountinfo(&w.thread()?.fs().root()))),
    mounts("mounts", |w| Ok(mounts::mounts(&w.thread()?.fs().root()))),
    read("mountstats", 0o400, |w| Ok(mounts::mountstats(&w.thread()?.fs().root()))),
    read("numa_maps", 0o444, memory::numa_maps),
    set("oom_adj", 0o644, settings::oom_adj, settings::set_oom_adj),
    read("oom_score", 0o444, settings::oom_score),
    set("oom_score_adj", 0o644, settings::oom_score_adj, settings::set_oom_score_adj),
    read("personality", 0o400, |w| {
        Ok(format!("{:08x}\n", w.thread()?.personality.load(core::sync::atomic::Ordering::Relaxed)).into_bytes())
    }),
    set("projid_map", 0o644, settings::id_map, settings::set_id_map),
    read("schedstat", 0o444, times::schedstat),
    read("sessionid", 0o444, settings::login_session),
    set("setgroups", 0o644, |_| Ok(b"allow\n".to_vec()), settings::set_setgroups),
    read("smaps", 0o444, memory::smaps),
    read("smaps_rollup", 0o444, memory::smaps_rollup),
    read("stat", 0o444, status::stat),
    read("statm", 0o444, status::statm),
    read("status", 0o444, status::status),
    read("syscall", 0o400, |w| Ok(hooks().syscall(&*w.thread()?))),
    read("timers", 0o444, times::timers),
    set("timerslack_ns", 0o666, settings::timer_slack, settings::set_timer_slack),
    set("uid_map", 0o644, settings::id_map, settings::set_id_map),
    // The function that a thread sleeps in: nobody is told, as with kernel.kptr_restrict.
    read("wchan", 0o444, |_| Ok(b"0".to_vec())),
];

/// How a file that is no text is opened.
type Open = fn(&Who) -> Result<Arc<dyn FileOps>>;

pub const OPENED: &[(&str, u32, Open)] = &[("mem", 0o600, mem::mem), ("pagemap", 0o400, mem::pagemap)];

/// The children that the thread has made, in one line.
fn children(who: &Who) -> Result<Vec<u8>> {
    let p = who.process()?;
    let tree = TREE.lock();
    let all: Vec<u32> = p.rel.lock().children.clone();
    let made_here = |pid: &&u32| tree.process(**pid).is_some_and(|c| c.rel.lock().maker == who.tid());
    // Those whose thread has ended are the leader's.
    let orphan = |pid: &&u32| {
        who.tid() == p.pid && tree.process(**pid).is_some_and(|c| tree.thread(c.rel.lock().maker).is_none())
    };
    let text: String = all.iter().filter(|c| made_here(c) || orphan(c)).map(|c| format!("{c} ")).collect();
    Ok(text.into_bytes())
}

/// Only calls are counted: the guest kernel has no block devices.
fn io(who: &Who) -> Result<Vec<u8>> {
    let p = who.looked_into()?;
    let sum = IoCount::default();
    if who.is_thread() {
        sum.add(&who.thread()?.io);
    } else {
        sum.add(&p.io);
        p.threads.lock().iter().for_each(|t| sum.add(&t.io));
    }
    let [rchar, wchar, syscr, syscw] = sum.get();
    let text = format!(
        "rchar: {rchar}\nwchar: {wchar}\nsyscr: {syscr}\nsyscw: {syscw}\nread_bytes: 0\nwrite_bytes: 0\n\
         cancelled_write_bytes: 0\n"
    );
    Ok(text.into_bytes())
}
