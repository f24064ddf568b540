//! Text for /proc/PID/maps and smaps.

use super::{Image, Mm, Vma, flag};
use crate::file::File;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::Write;

/// Where the host's vDSO and its data pages are, for /proc and execve.
static VDSO: [core::sync::atomic::AtomicU64; 3] = [const { core::sync::atomic::AtomicU64::new(0) }; 3];

/// Tells where the vDSO is: data pages `[vvar, vdso)`, code `[vdso, end)`.
pub fn set_vdso(vvar: u64, vdso: u64, end: u64) {
    host::mem::keep_vdso(vvar, end);
    for (v, x) in VDSO.iter().zip([vvar, vdso, end]) {
        v.store(x, core::sync::atomic::Ordering::Relaxed);
    }
}

/// (vvar, vdso, end).
#[must_use]
pub fn vdso() -> (u64, u64, u64) {
    let v = |i: usize| VDSO[i].load(core::sync::atomic::Ordering::Relaxed);
    (v(0), v(1), v(2))
}

fn name(start: u64, v: &Vma, image: &Image) -> Vec<u8> {
    if let Some(m) = &v.mapping {
        return crate::vfs::file_name(&m.file);
    }
    if v.flags & flag::SHARED != 0 {
        return b"/dev/zero (deleted)".to_vec();
    }
    if start <= image.stack_start && image.stack_start < v.end {
        return b"[stack]".to_vec();
    }
    if image.brk > image.brk_start && start < image.brk && v.end > image.brk_start {
        return b"[heap]".to_vec();
    }
    Vec::new()
}

impl Mm {
    /// Start, end and file of each mapped file, ascending.
    #[must_use]
    pub fn mapped_files(&self) -> Vec<(u64, u64, Arc<File>)> {
        let s = self.space.lock();
        s.areas.iter().filter_map(|(start, v)| Some((start, v.end, v.mapping.as_ref()?.file.clone()))).collect()
    }

    /// The lines of /proc/PID/maps; with `detail`, of smaps.
    #[must_use]
    pub fn maps(&self, detail: bool) -> Vec<u8> {
        let s = self.space.lock();
        let mut out = Vec::new();
        let mut line =
            |start: u64, end: u64, prot: u32, shared: bool, off: u64, dev: (u32, u32), ino: u64, name: &[u8]| {
                let bit = |b: u32, c: char| if prot & b != 0 { c } else { '-' };
                let mut t = String::new();
                let _ = write!(
                    t,
                    "{start:08x}-{end:08x} {}{}{}{} {off:08x} {:02x}:{:02x} {ino} ",
                    bit(1, 'r'),
                    bit(2, 'w'),
                    bit(4, 'x'),
                    if shared { 's' } else { 'p' },
                    dev.0,
                    dev.1
                );
                if !name.is_empty() {
                    while t.len() < 73 {
                        t.push(' ');
                    }
                }
                out.extend_from_slice(t.as_bytes());
                out.extend_from_slice(name);
                out.push(b'\n');
                if detail {
                    let kb = (end - start) / 1024;
                    let mut t = String::new();
                    let _ = write!(
                        t,
                        "Size:           {kb:8} kB\nKernelPageSize:        4 kB\nMMUPageSize:           4 kB\n"
                    );
                    out.extend_from_slice(t.as_bytes());
                }
            };
        let (vvar, vdso, vend) = vdso();
        let mut shown = vdso == 0;
        for (start, v) in s.areas.iter() {
            if !shown && start > vdso {
                line(vvar, vdso, 1, false, 0, (0, 0), 0, b"[vvar]");
                line(vdso, vend, 5, false, 0, (0, 0), 0, b"[vdso]");
                shown = true;
            }
            let (dev, ino) = v.mapping.as_ref().map_or(((0, 0), 0), |m| crate::vfs::file_dev_ino(&m.file));
            let shared = v.flags & flag::TYPE == flag::SHARED;
            line(start, v.end, v.prot, shared, v.offset, dev, ino, &name(start, v, &s.image));
        }
        if !shown {
            line(vvar, vdso, 1, false, 0, (0, 0), 0, b"[vvar]");
            line(vdso, vend, 5, false, 0, (0, 0), 0, b"[vdso]");
        }
        out
    }
}
