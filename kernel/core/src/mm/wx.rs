//! What becomes executable under the `pkey` guard, which an application's own WRPKRU, XRSTOR or WRGSBASE would open
//! (`lib::opcodes`).
//!
//! Executable memory never changes while it is executable, and was looked at after its last change:
//!
//! | memory | how it becomes executable |
//! |---|---|
//! | text of a file that does not change, clean | mapped as it is; looked at once per VM (`crate::text`) |
//! | the same with dangerous bytes | a neutralised copy, one for all processes at that address |
//! | any other private file mapping | a snapshot in memory of its own: the file may change, and be given back to, behind our back |
//! | anonymous | made read-only, looked at, made executable |
//! | private, writable and executable | each page is the one or the other, changed over by faults |
//! | shared | refused, but for files that do not change |
//!
//! The host's own page protection is what keeps writers out, other threads and the guest kernel's copies alike, so nothing can be
//! written between the look and the grant. A grant looks across the seams to its neighbours, too.

use super::{Area, FaultResult, Mapping, Mm, Space, Vma, flag};
use crate::counters;
use crate::file::{File, MapKind};
use crate::signal::{code, sig};
use crate::text;
use crate::{Errno, Result};
use abi::layout::PAGE;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};
use host::mem;
use lib::opcodes::{self, REACH};

static ON: AtomicBool = AtomicBool::new(false);
static TOGGLES: AtomicBool = AtomicBool::new(false);

const R: u32 = flag::PROT_READ;
const RW: u32 = flag::PROT_READ | flag::PROT_WRITE;
const RX: u32 = flag::PROT_READ | flag::PROT_EXEC;
const X: u32 = flag::PROT_EXEC;

/// Bytes looked at, or copied, at a time.
const CHUNK: u64 = 64 << 10;

/// From now on everything is looked at; boot, under the `pkey` guard.
pub fn enable() {
    ON.store(true, Ordering::Relaxed);
}

#[inline]
#[must_use]
pub fn on() -> bool {
    ON.load(Ordering::Relaxed)
}

/// The host's protection for memory that the application wants to have `prot` and that holds nothing dangerous. What is writable is
/// not executable yet; execute-only would make the host take a memory key for it.
pub(super) fn host_prot(prot: u32) -> u32 {
    match prot {
        p if !on() || p & X == 0 => p,
        p if p & flag::PROT_WRITE != 0 => RW,
        _ => RX,
    }
}

/// Refuses executable memory, counted.
pub(super) fn refuse() -> Errno {
    counters::EXEC_REFUSED.add(1);
    Errno::EACCES
}

/// True where the file's pages behind the area are as they were: never writable, no copies.
fn pristine(v: &Vma) -> bool {
    v.flags & (flag::ACCOUNT | flag::HELD | flag::COPIED) == 0
}

fn fixed_content(file: &File) -> bool {
    file.ops().content_is_fixed(file)
}

/// Looks at `[start, end)`, which must be readable; an address of something dangerous.
fn look(start: u64, end: u64) -> Result<Option<u64>> {
    let mut buf = alloc::vec![0u8; (CHUNK as usize).min((end - start) as usize)];
    let mut at = start;
    loop {
        let n = ((end - at) as usize).min(buf.len());
        host::user::copy_in(&mut buf[..n], at).map_err(|_| Errno::EFAULT)?;
        if let Some(hit) = opcodes::find(&buf[..n], 0) {
            return Ok(Some(at + hit.start as u64));
        }
        at += n as u64;
        if at >= end {
            return Ok(None);
        }
        // What straddles two pieces is seen whole in the second one.
        at -= REACH as u64;
    }
}

/// Where to look for a grant of `[start, end)`: as far into executable neighbours as an instruction can reach.
fn with_neighbours(areas: &Area, start: u64, end: u64) -> (u64, u64) {
    let executable = |at: u64| areas.find(at).is_some_and(|(_, v)| v.prot & X != 0);
    let from = if executable(start - 1) { start - REACH as u64 } else { start };
    let to = if executable(end) { end + REACH as u64 } else { end };
    (from, to)
}

/// True where something executable is next to `[start, end)`.
fn has_neighbours(areas: &Area, start: u64, end: u64) -> bool {
    with_neighbours(areas, start, end) != (start, end)
}

/// Makes `[start, end)` executable if nothing dangerous is in it or across its ends; read-only before and while it looks.
fn grant(areas: &Area, start: u64, end: u64) -> Result<()> {
    mem::mprotect(start, end - start, R)?;
    let (from, to) = with_neighbours(areas, start, end);
    match look(from, to) {
        Ok(None) => mem::mprotect(start, end - start, RX),
        _ => Err(refuse()),
    }
}

/// As [`grant`] for text that was looked at before: only its ends are new.
fn grant_seams(areas: &Area, start: u64, end: u64) -> Result<()> {
    let (from, to) = with_neighbours(areas, start, end);
    let reach = REACH as u64;
    let dirty = |a: u64, b: u64| !matches!(look(a, b), Ok(None));
    if from < start && dirty(from, start + reach) || to > end && dirty(end - reach, to) {
        return Err(refuse());
    }
    mem::mprotect(start, end - start, RX)
}

/// Replaces what lies at `[start, end)`, which is readable and private, by a copy in memory of its own, neutralised where possible;
/// the copy is read-only.
fn snapshot(start: u64, end: u64) -> Result<()> {
    let len = end - start;
    mem::mprotect(start, len, R)?;
    let how = flag::PRIVATE | flag::ANONYMOUS;
    let copy = mem::mmap(0, len, RW, how, -1, 0)?;
    let done = copy_piecewise(copy, start, len).and_then(|()| {
        // Nobody knows the copy's address; whoever finds it all the same writes what the grant will look at afterwards.
        neutralise(copy, len, start)?;
        mem::mprotect(copy, len, R)?;
        mem::mremap(copy, len, len, 3, start).map(drop)
    });
    if done.is_err() {
        let _ = mem::munmap(copy, len);
    }
    done
}

fn copy_piecewise(to: u64, from: u64, len: u64) -> Result<()> {
    let mut buf = alloc::vec![0u8; CHUNK.min(len) as usize];
    let mut at = 0;
    while at < len {
        let n = (CHUNK.min(len - at)) as usize;
        host::user::copy_in(&mut buf[..n], from + at).map_err(|_| Errno::EFAULT)?;
        host::user::copy_out(to + at, &buf[..n]).map_err(|_| Errno::EFAULT)?;
        at += n as u64;
    }
    Ok(())
}

/// Neutralises writable memory at `at` that will be executed at `runs_at`. What can not be stays: the grant refuses it.
fn neutralise(at: u64, len: u64, runs_at: u64) -> Result<()> {
    /// Enough on either side for instructions to be told apart (`lib::displace`).
    const AROUND: u64 = 256;
    let mut from = at;
    while let Some(hit) = look(from, at + len)? {
        let start = hit.saturating_sub(AROUND).max(at);
        let end = (hit + AROUND).min(at + len);
        let mut window = alloc::vec![0u8; (end - start) as usize];
        host::user::copy_in(&mut window, start).map_err(|_| Errno::EFAULT)?;
        match lib::displace::neutralise(&mut window, runs_at + (start - at)) {
            Ok(n) => counters::NEUTRALISED.add(n as u64),
            Err(_) => return Ok(()),
        }
        host::user::copy_out(start, &window).map_err(|_| Errno::EFAULT)?;
        from = hit;
    }
    Ok(())
}

impl Mm {
    /// The part of mmap(2) that maps a file executable.
    pub(super) fn mmap_exec(
        &self,
        s: &mut Space,
        hint: u64,
        len: u64,
        prot: u32,
        flags: u32,
        mapping: Arc<Mapping>,
        off: u64,
    ) -> Result<u64> {
        let file = &mapping.file;
        let shared = matches!(flags & flag::TYPE, 1 | 3);
        let fixed = fixed_content(file);
        if shared && (!fixed || prot & flag::PROT_WRITE != 0) {
            return Err(refuse());
        }
        let extents = file.ops().map_extents(file, off, len, MapKind::Read)?;
        let have = extents.iter().map(|e| (e.offset + e.len).min(off + len) - off).max().unwrap_or(0);
        // Holes between pages: tmpfs. A snapshot reads them as zeros.
        let fixed = fixed && extents.iter().all(|e| e.host.is_some());
        let keep = flags & (flag::FIXED | flag::FIXED_NOREPLACE | flag::BIT32);
        let at = mem::mmap(hint, len, 0, keep | flag::PRIVATE | flag::ANONYMOUS | flag::NORESERVE, -1, 0)?;
        // Whatever was here is gone, whether what follows succeeds or not.
        s.areas.remove(at, at + len);
        let (how, patched) = match fill(&s.areas, at, have, prot, file, off, fixed, self.lies_over_table()) {
            Ok(done) => done,
            Err(e) => {
                mem::munmap(at, len)?;
                return Err(e);
            }
        };
        let flags = (if shared { flag::SHARED } else { flag::PRIVATE }) | how;
        let vma = Vma { end: at + len, prot, flags, mapping: Some(mapping), offset: off, patched, shared: None };
        s.areas.insert(at, vma);
        s.areas.set_missing(at + have, at + len);
        Ok(at)
    }

    /// The part of mprotect(2) for one area (or a part of one) that is to be executable.
    pub(super) fn make_executable(&self, s: &mut Space, start: u64, v: &Vma, prot: u32) -> Result<()> {
        let end = v.end;
        let file = v.mapping.as_ref().map(|m| m.file.clone());
        let shared = v.flags & flag::TYPE == flag::SHARED;
        let write = prot & flag::PROT_WRITE != 0;
        if shared && (write || !pristine(v) || !file.as_ref().is_some_and(|f| fixed_content(f)))
            || s.areas.lacks(start, end)
        {
            return Err(refuse());
        }
        let done = match file.filter(|_| v.flags & flag::COPIED == 0) {
            Some(f)
                if !write
                    && pristine(v)
                    && fixed_content(&f)
                    && (v.patched || text::is_clean(&f, v.offset, end - start)?) =>
            {
                mem::mprotect(start, end - start, R).and_then(|()| grant_seams(&s.areas, start, end))
            }
            Some(f) if !write && pristine(v) && fixed_content(&f) && !self.lies_over_table() => {
                Self::use_copy(s, start, end, v.offset, &f)
            }
            Some(_) => {
                snapshot(start, end)?;
                s.areas.set_copied(start, end);
                if write { mem::mprotect(start, end - start, RW) } else { grant(&s.areas, start, end) }
            }
            None if write => mem::mprotect(start, end - start, RW),
            None => grant(&s.areas, start, end),
        };
        if done.is_err() {
            mem::mprotect(start, end - start, host_prot(v.prot & !X))?;
        }
        done
    }

    /// Maps the neutralised copy of a text that is at `start` already, not yet executable.
    fn use_copy(s: &mut Space, start: u64, end: u64, off: u64, file: &Arc<File>) -> Result<()> {
        let ram = text::safe_copy(file, off, start, end - start).ok_or_else(refuse)?;
        mem::mmap(start, end - start, R, flag::PRIVATE | flag::FIXED, host::ram::fd(), ram)?;
        grant_seams(&s.areas, start, end)?;
        s.areas.split_off(start, end);
        s.areas.set_patched(start);
        Ok(())
    }

    /// Maps a patched text over `[start, start+len)`, which is executable now.
    pub(super) fn swap_text(s: &Space, start: u64, len: u64, ram: u64) -> Result<()> {
        let how = flag::PRIVATE | flag::FIXED;
        mem::mmap(start, len, R, how, host::ram::fd(), ram)?;
        grant_seams(&s.areas, start, start + len)
    }

    /// mremap(2) of executable memory, before it moves: not executable meanwhile, and granted again page by page as it runs.
    pub(super) fn before_move(start: u64, end: u64, new_len: u64, v: &Vma) -> Result<()> {
        if new_len > end - start && v.mapping.is_some() {
            return Err(refuse());
        }
        mem::mprotect(start, end - start, if v.prot & flag::PROT_WRITE != 0 { RW } else { R })
    }

    /// A fault in memory that is, or may become, executable. `start` is the area's.
    pub(super) fn exec_fault(s: &Space, addr: u64, err: u64, start: u64, v: &Vma) -> FaultResult {
        let page = addr & !(PAGE - 1);
        if s.areas.lacks(page, page + PAGE) && beyond_file(page, start, v) {
            return FaultResult::Signal(sig::BUS, code::BUS_ADRERR);
        }
        if err & 16 != 0 {
            if v.prot & flag::PROT_WRITE != 0 && !TOGGLES.swap(true, Ordering::Relaxed) {
                host::user::on_fault(fault_in);
            }
            return match grant(&s.areas, page, page + PAGE) {
                Ok(()) => FaultResult::Retry,
                Err(_) => FaultResult::Signal(sig::SEGV, code::SEGV_ACCERR),
            };
        }
        if err & 2 != 0 && mem::mprotect(page, PAGE, RW).is_err() {
            return FaultResult::Signal(sig::SEGV, code::SEGV_ACCERR);
        }
        FaultResult::Retry
    }

    /// The instruction at `rip` is a trap: the bytes that it stands for, if it does.
    #[must_use]
    pub fn displaced(&self, rip: u64) -> Option<Vec<u8>> {
        let s = self.space.lock();
        let (start, v) = s.areas.find(rip)?;
        let file = v.mapping.as_ref()?.file.clone();
        let (at, most) = (v.offset + (rip - start), (v.end - rip).min(REACH as u64));
        drop(s);
        let mut byte = [0];
        host::user::copy_in(&mut byte, rip).ok()?;
        if byte[0] != opcodes::TRAP {
            return None;
        }
        let mut bytes = alloc::vec![0; most as usize];
        let n = crate::exec::read_file(&file, at, &mut bytes).ok()?;
        bytes.truncate(n);
        (bytes.first() != Some(&opcodes::TRAP)).then_some(bytes)
    }
}

fn beyond_file(page: u64, start: u64, v: &Vma) -> bool {
    let Some(m) = &v.mapping else { return false };
    m.file.ops().map_extents(&m.file, v.offset + (page - start), PAGE, MapKind::Read).is_ok_and(|e| e.is_empty())
}

/// Fills a fresh mapping with a file's text and grants it; what the area's flags get, and whether the text is a copy with patches.
fn fill(
    areas: &Area,
    at: u64,
    have: u64,
    prot: u32,
    file: &Arc<File>,
    off: u64,
    fixed: bool,
    over: bool,
) -> Result<(u32, bool)> {
    if have == 0 {
        return Ok((0, false));
    }
    let write = prot & flag::PROT_WRITE != 0;
    // The copies that address spaces share go through the jump table.
    let known = if write || over { None } else { text::lookup_at(file, off, at, have) };
    let shared = match known {
        Some(ram) => Some(Some(ram)),
        None if write => None,
        None if fixed && text::is_clean(file, off, have)? => Some(None),
        None if over => None,
        None if fixed => Some(Some(text::safe_copy(file, off, at, have).ok_or_else(refuse)?)),
        // The same content again and again: that of a file that can change, but does not.
        None if text::mapped_often(file, off, at, have) => text::safe_copy(file, off, at, have).map(Some),
        None => None,
    };
    if let Some(ram) = shared {
        let alone = !has_neighbours(areas, at, at + have);
        let first = if alone { RX } else { R };
        match ram {
            Some(ram) => {
                mem::mmap(at, have, first, flag::PRIVATE | flag::FIXED, host::ram::fd(), ram)?;
            }
            None => {
                // Not in the tree yet: there is nothing to be found in.
                super::spaces::map_file(
                    &mut Area::default(),
                    (at, at + have),
                    first,
                    flag::PRIVATE,
                    (file, MapKind::Read),
                    off,
                )?;
            }
        }
        if !alone {
            grant_seams(areas, at, at + have)?;
        }
        return Ok((0, ram.is_some()));
    }
    mem::mmap(at, have, RW, flag::PRIVATE | flag::ANONYMOUS | flag::FIXED | flag::POPULATE, -1, 0)?;
    read_text(at, have, file, off)?;
    if !write {
        grant(areas, at, at + have)?;
    }
    Ok((flag::COPIED, false))
}

/// Reads a file's text into writable memory, neutralised where possible.
fn read_text(at: u64, len: u64, file: &File, off: u64) -> Result<()> {
    // Through a buffer: reading straight into application memory asks for the space's lock, which the caller has.
    let mut buf = alloc::vec![0u8; CHUNK.min(len) as usize];
    let mut done = 0;
    while done < len {
        let n = CHUNK.min(len - done) as usize;
        let got = crate::exec::read_file(file, off + done, &mut buf[..n])?;
        host::user::copy_out(at + done, &buf[..got]).map_err(|_| Errno::EFAULT)?;
        if got < n {
            break;
        }
        done += n as u64;
    }
    neutralise(at, len, at)
}

/// Maps a program's text where the jump table is in other address spaces: a copy, as of a file that may change.
pub(super) fn fill_over_table(areas: &Area, at: u64, len: u64, prot: u32, file: &File, off: u64) -> Result<()> {
    if prot & flag::PROT_WRITE != 0 {
        return Err(refuse());
    }
    mem::mmap_over_table(at, len, RW, flag::PRIVATE | flag::ANONYMOUS, -1, 0)?;
    read_text(at, len, file, off)?;
    mem::mprotect_over_table(at, len, R)?;
    let (from, to) = with_neighbours(areas, at, at + len);
    match look(from, to) {
        Ok(None) => mem::mprotect_over_table(at, len, RX),
        _ => Err(refuse()),
    }
}

/// The guest kernel is about to write to pages that may be executable at the moment: they are written, or executed, never both.
fn fault_in(addr: u64, len: u64, write: bool) -> bool {
    let Some(mm) = crate::current().process.mm.lock().clone() else { return false };
    let s = mm.space.lock();
    let mut page = addr & !(PAGE - 1);
    while page < addr + len {
        let Some((_, v)) = s.areas.find(page) else { return false };
        let need = if write { flag::PROT_WRITE } else { flag::PROT_MASK };
        if v.prot & need == 0 || !host::mem::mappable(page, PAGE) {
            return false;
        }
        if write && v.prot & X != 0 && mem::mprotect(page, PAGE, RW).is_err() {
            return false;
        }
        page += PAGE;
    }
    true
}
