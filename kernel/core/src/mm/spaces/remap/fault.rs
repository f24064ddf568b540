//! Page faults: demand paging and copy-on-write.

use super::table::{self, Pte};
use super::{frames, stats};
use crate::file::MapKind;
use crate::mm::{FaultResult, Mm, Space, Vma, flag, wx};
use crate::signal::{code, sig};
use crate::{Errno, Result};
use abi::layout::{self, PAGE};
use alloc::vec::Vec;
use host::mem;

/// How much of a file a first touch brings at once.
const AROUND: u64 = 64 << 10;

/// Why a page can not be had.
pub(super) enum Failure {
    /// The area does not allow it, or there is none.
    Denied(i32),
    /// The file has no such page, or the host can not read it.
    Bus,
    /// The machine's memory is used up.
    NoMemory,
}

impl From<Errno> for Failure {
    fn from(e: Errno) -> Failure {
        if frames::is_oom(e) { Failure::NoMemory } else { Failure::Bus }
    }
}

/// `host::user`'s question: the guest kernel touched application memory that is not mapped.
pub fn for_kernel(addr: u64, len: u64, write: bool) -> bool {
    let Some(mm) = crate::current().process.mm.lock().clone() else { return false };
    super::activate(&mm);
    let need = if write { flag::PROT_WRITE } else { flag::PROT_READ };
    let (first, last) = (addr & !(PAGE - 1), (addr + len.max(1) - 1) & !(PAGE - 1));
    let mut page = first;
    loop {
        if mm.resolve(page, need).is_err() {
            // What lies before the page that is not there can be had.
            return page != first;
        }
        if page == last {
            return true;
        }
        page += PAGE;
    }
}

impl Mm {
    /// As [`Mm::fault`], from the page table.
    pub(super) fn table_fault(&self, addr: u64, err: u64) -> FaultResult {
        let need = if err & 16 != 0 {
            flag::PROT_EXEC
        } else if err & 2 != 0 {
            flag::PROT_WRITE
        } else {
            flag::PROT_READ
        };
        super::activate(self);
        match self.resolve(addr & !(PAGE - 1), need) {
            Ok(()) => FaultResult::Retry,
            Err(Failure::Denied(c)) => FaultResult::Signal(sig::SEGV, c),
            Err(Failure::Bus) => FaultResult::Signal(sig::BUS, code::BUS_ADRERR),
            // The machine has no swap, and the process that asks for more than there is ends.
            Err(Failure::NoMemory) => {
                crate::limits::note(crate::limits::Refused::Memory);
                FaultResult::Signal(sig::KILL, code::KERNEL)
            }
        }
    }

    /// Makes `page` accessible as `need` says (one of the PROT bits), in the table and on the host.
    fn resolve(&self, page: u64, need: u32) -> core::result::Result<(), Failure> {
        let mut s = self.space.lock();
        let Some((start, v)) = s.areas.find(page) else { return Err(Failure::Denied(code::SEGV_MAPERR)) };
        // x86 has no write-only or execute-only pages here: any right includes reading.
        let allowed = v.prot & flag::PROT_MASK;
        if allowed == 0 || (need != flag::PROT_READ && allowed & need == 0) {
            return Err(Failure::Denied(code::SEGV_ACCERR));
        }
        let v = v.clone();
        let write = need == flag::PROT_WRITE;
        let old = s.table.get(page);
        if !old.is_present() && !write {
            let around = touch_around(&s, start, &v, page)?;
            if !around.is_empty() {
                stats::DEMAND.add(1);
                for (at, pte) in &around {
                    frames::share(pte.frame());
                    s.table.set(*at, *pte);
                }
                if self.is_active() && table::load_run(&around, v.prot).is_err() {
                    super::forget_all();
                    s.table.get(page).load(page, v.prot)?;
                }
                return Ok(());
            }
        }
        let new = if !old.is_present() {
            stats::DEMAND.add(1);
            first_touch(start, &v, page, write)?
        } else if write && !old.writable() {
            if v.flags & flag::TYPE == flag::SHARED {
                share_writable(old)
            } else {
                stats::COPIES.add(1);
                own_copy(old)?
            }
        } else {
            old
        };
        if new != old {
            s.table.set(page, new);
        }
        let new = match need {
            flag::PROT_WRITE => new.to_change(),
            flag::PROT_EXEC if wx::on() => self.look_at(&mut s, start, &v, page, new)?,
            _ => new,
        };
        s.table.set(page, new);
        if !self.is_active() {
            return Ok(());
        }
        let loaded = if new.is_direct() { load_direct(start, &v, page) } else { new.load(page, v.prot) };
        if loaded == Err(Errno::ENOMEM) {
            // The host's limit of mappings: everything goes, and comes back as it is touched.
            super::forget_all();
            new.load(page, v.prot)?;
            return Ok(());
        }
        loaded.map_err(Failure::from)
    }

    /// Maps a range ahead of its use (MAP_POPULATE, MADV_POPULATE): what can not be had is left to the fault.
    pub(super) fn populate(&self, start: u64, end: u64, write: bool) -> Result<()> {
        let need = if write { flag::PROT_WRITE } else { flag::PROT_READ };
        let mut page = start;
        while page < end {
            match self.resolve(page, need) {
                Ok(()) => {}
                Err(Failure::NoMemory) => return Err(Errno::ENOMEM),
                Err(_) => return Err(Errno::EFAULT),
            }
            page += PAGE;
        }
        Ok(())
    }
}

/// The page of a file that the area shows at `page`: host descriptor and offset.
fn extent(start: u64, v: &Vma, page: u64) -> Result<Option<(i32, u64)>> {
    let Some(m) = &v.mapping else { return Ok(None) };
    let off = v.offset + (page - start);
    let extents = m.file.ops().map_extents(&m.file, off, PAGE, m.kind())?;
    Ok(extents
        .iter()
        .find(|e| e.offset <= off && off < e.offset + e.len)
        .and_then(|e| e.host.map(|(fd, host_off)| (fd, host_off + (off - e.offset)))))
}

/// Reading a page of a file that is cached brings its neighbours, too, as far as nothing is there yet: their entries, without
/// references. Nothing where that is not possible.
fn touch_around(s: &Space, start: u64, v: &Vma, page: u64) -> Result<Vec<(u64, Pte)>> {
    let Some(m) = v.mapping.as_ref().filter(|_| !v.patched) else { return Ok(Vec::new()) };
    if m.may_write {
        return Ok(Vec::new());
    }
    let Some(id) = m.file.ops().text_identity(&m.file) else { return Ok(Vec::new()) };
    let (low, high) = ((page & !(AROUND - 1)).max(start), ((page & !(AROUND - 1)) + AROUND).min(v.end));
    let off = v.offset + (low - start);
    let extents = m.file.ops().map_extents(&m.file, off, high - low, MapKind::Read)?;
    let Some((fd, from)) = extents.first().filter(|e| e.offset == off).and_then(|e| e.host) else {
        return Ok(Vec::new());
    };
    let (n, wanted) = ((extents[0].len / PAGE) as usize, ((page - low) / PAGE) as usize);
    if fd == host::ram::fd() || from != off || wanted >= n {
        return Ok(Vec::new());
    }
    let entry = |(i, f): (usize, Option<u64>)| {
        let at = low + i as u64 * PAGE;
        f.filter(|_| !s.table.get(at).is_present()).map(|f| (at, Pte::counted(f, false)))
    };
    Ok(frames::cached_around(id, fd, off, n, wanted)?.into_iter().enumerate().filter_map(entry).collect())
}

pub(super) fn first_touch(start: u64, v: &Vma, page: u64, write: bool) -> core::result::Result<Pte, Failure> {
    let shared = v.flags & flag::TYPE == flag::SHARED;
    let may_write = v.prot & flag::PROT_WRITE != 0;
    let Some(m) = &v.mapping else {
        if let Some(pages) = &v.shared {
            return Ok(Pte::counted(pages.get((v.offset + (page - start)) / PAGE)?, true));
        }
        return Ok(if write { Pte::counted(frames::zeroed()?, true) } else { Pte::counted(frames::zero()?, false) });
    };
    if v.patched
        && let Some(ram) = super::map::patched_text(start, v)
    {
        let frame = (ram + (page - start)) / PAGE;
        return if write { Ok(Pte::counted(frames::copy_of(frame)?, true)) } else { Ok(Pte::borrowed(frame, false)) };
    }
    let (fd, off) = extent(start, v, page)?.ok_or(Failure::Bus)?;
    if fd == host::ram::fd() {
        // A file in memory: its own frames.
        let frame = off / PAGE;
        return match (shared, write) {
            (true, _) => Ok(Pte::borrowed(frame, may_write)),
            (false, false) => Ok(Pte::borrowed(frame, false)),
            (false, true) => Ok(Pte::counted(frames::copy_of(frame)?, true)),
        };
    }
    let file_off = v.offset + (page - start);
    if shared && m.file.writable() {
        return Ok(Pte::direct());
    }
    let cached = frames::cached(&m.file, fd, file_off)?;
    match (cached, write && !shared) {
        (Some(f), false) => Ok(Pte::counted(f, false)),
        (Some(f), true) => {
            let own = frames::copy_of(f);
            frames::release(f);
            Ok(Pte::counted(own?, true))
        }
        // A volume's file, which others change: shared pages come straight from it, private ones are copied as they are now.
        (None, _) if shared => Ok(Pte::direct()),
        (None, _) => Ok(Pte::counted(frames::read_from(fd, off)?, may_write)),
    }
}

/// A shared page whose area was not writable when it was first touched.
fn share_writable(old: Pte) -> Pte {
    if old.is_direct() {
        old
    } else if old.is_counted() {
        Pte::counted(old.frame(), true)
    } else {
        Pte::borrowed(old.frame(), true)
    }
}

/// Copy-on-write: the page itself where nobody else has it, else a copy.
pub(super) fn own_copy(old: Pte) -> core::result::Result<Pte, Failure> {
    if old.is_counted() && frames::exclusive(old.frame()) {
        return Ok(Pte::counted(old.frame(), true));
    }
    Ok(Pte::counted(frames::copy_of(old.frame())?, true))
}

/// Maps a page straight from a volume's file.
fn load_direct(start: u64, v: &Vma, page: u64) -> Result<()> {
    let (fd, off) = extent(start, v, page)?.ok_or(Errno::EIO)?;
    stats::MAPPED.add(1);
    mem::mmap(page, PAGE, Pte::direct().effective(v.prot), flag::SHARED | flag::FIXED, fd, off).map(drop)
}

/// For futexes: what identifies the word at `addr`, which all who share it have in common: the frame, or the space.
pub fn futex_key(mm: &Mm, addr: u64, private: bool) -> Result<(u64, u64)> {
    if private {
        return Ok((mm.id, addr));
    }
    let shared = {
        let s = mm.space.lock();
        let (_, v) = s.areas.find(addr).ok_or(Errno::EFAULT)?;
        v.flags & flag::TYPE == flag::SHARED
    };
    if !shared {
        // As Linux: a word in private memory, named without the private flag, is another futex than named with it.
        return Ok((mm.id | 1 << 61, addr));
    }
    let page = addr & !(PAGE - 1);
    mm.resolve(page, flag::PROT_READ).map_err(|_| Errno::EFAULT)?;
    let s = mm.space.lock();
    let pte = s.table.get(page);
    if pte.is_direct() {
        // The host's page cache has it: the file's offset and inode stand for it.
        let (start, v) = s.areas.find(addr).ok_or(Errno::EFAULT)?;
        let ino =
            v.mapping.as_ref().and_then(|m| m.file.inode().map(|i| alloc::sync::Arc::as_ptr(i).cast::<u8>() as u64));
        return Ok((ino.unwrap_or(0) | 1 << 63, v.offset + (addr - start)));
    }
    Ok((1 << 62, pte.frame() * PAGE + (addr - page)))
}

/// The range of guest addresses that a space's free place is looked for in, from the top down: below the host's own
/// mappings (vDSO, the stack that the host's execve made).
pub const TOP: u64 = 0x7ff0_0000_0000;
const _: () = assert!(TOP < layout::USER_MAX);

/// Marks pages whose right to be written was taken away, on the host: a run at a time.
pub fn write_protect(s: &Space, pages: &[u64]) {
    let mut i = 0;
    while i < pages.len() {
        let start = pages[i];
        let Some((_, v)) = s.areas.find(start) else {
            i += 1;
            continue;
        };
        let (prot, limit) = (Pte::counted(0, false).effective(v.prot), v.end);
        let mut end = start + PAGE;
        i += 1;
        while i < pages.len() && pages[i] == end && end < limit {
            end += PAGE;
            i += 1;
        }
        if mem::mprotect(start, end - start, prot).is_err() {
            // Not all of it was mapped: it comes back with the right protection.
            stats::UNMAPS.add(1);
            let _ = mem::munmap(start, end - start);
        }
    }
}
