//! Areas as /proc/PID/maps and its relatives show them.

use super::{Image, Mm, Vma, flag};
use crate::file::File;
use abi::layout::{JUMP_TABLE, KERNEL_END, OUTSIDE_BASE, RAM_MAX, RAM_WINDOW, STUBS_END};
use alloc::sync::Arc;
use alloc::vec::Vec;

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

const STACK: &[u8] = b"[stack]";
const KEPT: &[u8] = b"[lodger]";

fn name(start: u64, v: &Vma, image: &Image) -> Vec<u8> {
    if let Some(m) = &v.mapping {
        return crate::vfs::file_name(&m.file);
    }
    if v.flags & flag::SHARED != 0 {
        return b"/dev/zero (deleted)".to_vec();
    }
    if image.is_stack(start, v) {
        return STACK.to_vec();
    }
    if image.brk > image.brk_start && start < image.brk && v.end > image.brk_start {
        return b"[heap]".to_vec();
    }
    Vec::new()
}

/// An area as /proc shows it.
pub struct ShownArea {
    pub start: u64,
    pub end: u64,
    pub prot: u32,
    /// See [`flag`].
    pub flags: u32,
    pub offset: u64,
    /// Device (major, minor) and inode number of the mapped file.
    pub file: Option<((u32, u32), u64)>,
    /// The file's, or `[heap]` and the like; empty for anonymous memory.
    pub name: Vec<u8>,
}

impl ShownArea {
    /// Private anonymous memory that differs only in how it is counted: of no interest to who reads.
    fn continues_in(&self, next: &ShownArea) -> bool {
        const COUNTING: u32 = flag::ACCOUNT | flag::HELD | flag::COW | flag::LAZY;
        let like = |a: &ShownArea| (a.prot, a.flags & !COUNTING);
        self.end == next.start
            && like(self) == like(next)
            && !self.is_shared()
            && self.file.is_none()
            && next.file.is_none()
            && self.name == next.name
    }

    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.flags & flag::TYPE == flag::SHARED
    }
}

impl Mm {
    /// Start, end and file of each mapped file, ascending.
    #[must_use]
    pub fn mapped_files(&self) -> Vec<(u64, u64, Arc<File>)> {
        let s = self.space.lock();
        s.areas.iter().filter_map(|(start, v)| Some((start, v.end, v.mapping.as_ref()?.file.clone()))).collect()
    }

    /// All areas, ascending, with the vDSO's among them, and what the guest kernel keeps for itself: who arranges the address
    /// space after /proc/PID/maps (valgrind) finds nothing free that it could not map.
    #[must_use]
    pub fn shown(&self) -> Vec<ShownArea> {
        let s = self.space.lock();
        let (vvar, vdso, end) = vdso();
        let own = |start: u64, end: u64, prot: u32, name: &[u8]| ShownArea {
            start,
            end,
            prot,
            flags: flag::PRIVATE,
            offset: 0,
            file: None,
            name: name.to_vec(),
        };
        let mut out: Vec<ShownArea> = Vec::new();
        for (start, v) in s.areas.iter() {
            let file = v.mapping.as_ref().map(|m| crate::vfs::file_dev_ino(&m.file));
            let name = name(start, v, &s.image);
            let area = ShownArea { start, end: v.end, prot: v.prot, flags: v.flags, offset: v.offset, file, name };
            match out.last_mut() {
                Some(last) if last.continues_in(&area) => {
                    last.end = area.end;
                    last.flags |= area.flags;
                }
                _ => out.push(area),
            }
        }
        // Once they are put together: of what the stack has been split into, the area of its beginning has the name.
        for a in out.iter_mut().filter(|a| a.name == STACK && !(a.start..=a.end).contains(&s.image.stack_start)) {
            a.name.clear();
        }
        let (read, run) = (flag::PROT_READ, flag::PROT_READ | flag::PROT_EXEC);
        let kept = [
            (JUMP_TABLE, if self.lies_over_table() { 0 } else { STUBS_END }, run, KEPT),
            (OUTSIDE_BASE, KERNEL_END, 0, KEPT),
            (RAM_WINDOW, RAM_WINDOW + RAM_MAX, 0, KEPT),
            (vvar, vdso, read, b"[vvar]"),
            (vdso, end, run, b"[vdso]"),
        ];
        for (start, end, prot, name) in kept.into_iter().filter(|(start, end, ..)| start < end) {
            let at = out.partition_point(|a| a.start < start);
            out.insert(at, own(start, end, prot, name));
        }
        out
    }
}
