//! The contents of a regular file: which frames hold them, and copying in and out.
//!
//! Locks: `writer` is held by whatever changes the extents (write, truncate, fallocate, mapping), also while copying
//! from application memory, so that the size is never ahead of the data. `state` is held for moments only. Readers hold neither
//! while they copy: they *pin* the file, and frames that are taken away meanwhile wait in `limbo`.
//!
//! While the file is mapped, frames that a truncation or punched hole takes away stay in place, zeroed: the
//! mapping and later contents stay the same memory. They are freed with the last mapping.

use crate::Quota;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use core_::file::{Extent, MapKind};
use core_::io::IoBuf;
use core_::ram::{self, FRAME};
use core_::{Errno, Mutex, Result};
use host::file::IoVec;
use lib::extents::{ExtentMap, Run};

static ZEROS: [u8; FRAME as usize] = [0; FRAME as usize];

/// Largest file (s_maxbytes).
const MAX_SIZE: u64 = i64::MAX as u64;

/// Pages that a mapping of holes may always be given at once: what is mapped around a touch, and small files.
const FEW: u64 = 16;
/// And the most that it is given, where that is but a small part of what is free. More comes with the first touch.
const MANY: u64 = 1024;

/// Seals of memfd_create(2).
pub mod seal {
    pub const SEAL: u32 = 1;
    pub const SHRINK: u32 = 2;
    pub const GROW: u32 = 4;
    pub const WRITE: u32 = 8;
    pub const FUTURE_WRITE: u32 = 16;
    pub const ALL: u32 = 63;
}

#[derive(Default)]
struct State {
    extents: ExtentMap,
    /// Frames taken away while somebody was copying from them.
    limbo: Vec<(u64, u64)>,
}

pub(crate) struct FileData {
    quota: Arc<Quota>,
    writer: Mutex<()>,
    state: Mutex<State>,
    size: AtomicU64,
    pages: AtomicU64,
    pins: AtomicU32,
    maps: AtomicU32,
    /// Those through which it may be written.
    writing_maps: AtomicU32,
    /// Host process and number of pages that it transferred lately: see [`FileData::hot`].
    heat: AtomicU64,
    seals: AtomicU32,
    /// Number of this content for the patched-text cache: 0 not asked for yet, `u64::MAX` never again (somebody maps the
    /// file writable). A change of the content takes it away.
    content: AtomicU64,
}

static CONTENTS: AtomicU64 = AtomicU64::new(1);

fn host_error(e: Errno) -> Errno {
    // The host refused memory to the RAM file: for the guest, its disk is full.
    if e == Errno::ENOMEM { Errno::ENOSPC } else { e }
}

fn cut(mut iov: Vec<IoVec>, n: u64) -> Vec<IoVec> {
    let mut left = n;
    iov.retain_mut(|v| {
        v.len = v.len.min(left);
        left -= v.len;
        v.len > 0
    });
    iov
}

/// Copies `n` bytes from RAM offset `at` to `dst`.
fn copy_out(dst: &mut IoBuf, at: u64, n: u64, hot: bool) -> Result<usize> {
    let got = if let Some(v) = dst.user_single() {
        let len = n.min(v.len);
        if hot {
            host::ram::to_user(v.base, at, len)?
        } else {
            host::ram::pread_user(&[IoVec { base: v.base, len }], at)?
        }
    } else if let Some(pieces) = dst.user_pieces() {
        host::ram::pread_user(&cut(pieces, n), at)?
    } else {
        let mut buf = [0; 1024];
        let len = (n as usize).min(buf.len());
        host::file::pread(host::ram::fd(), &mut buf[..len], at)?;
        return dst.put(&buf[..len]);
    };
    dst.advance(got);
    Ok(got)
}

/// Copies `n` bytes from `src` to RAM offset `at`.
fn copy_in(src: &mut IoBuf, at: u64, n: u64, hot: bool) -> Result<usize> {
    let got = if let Some(v) = src.user_single() {
        let len = n.min(v.len);
        if hot {
            host::ram::from_user(at, v.base, len)?
        } else {
            host::ram::pwrite_user(&[IoVec { base: v.base, len }], at).map_err(host_error)?
        }
    } else if let Some(pieces) = src.user_pieces() {
        host::ram::pwrite_user(&cut(pieces, n), at).map_err(host_error)?
    } else {
        let mut buf = [0; 1024];
        let len = src.take(&mut buf[..(n as usize).min(1024)])?;
        let mut done = 0;
        while done < len {
            done += host::file::pwrite(host::ram::fd(), &buf[done..len], at + done as u64).map_err(host_error)?;
        }
        return Ok(len);
    };
    src.advance(got);
    Ok(got)
}

/// Zeroes part of one frame by host call: its page of the window may not be present.
fn zero_part(at: u64, n: u64) -> Result<()> {
    let mut done = 0;
    while done < n {
        let len = (n - done).min(FRAME) as usize;
        done += host::file::pwrite(host::ram::fd(), &ZEROS[..len], at + done).map_err(host_error)? as u64;
    }
    Ok(())
}

impl FileData {
    pub fn new(quota: Arc<Quota>) -> FileData {
        FileData {
            quota,
            writer: Mutex::new(()),
            state: Mutex::default(),
            size: AtomicU64::new(0),
            pages: AtomicU64::new(0),
            pins: AtomicU32::new(0),
            maps: AtomicU32::new(0),
            writing_maps: AtomicU32::new(0),
            heat: AtomicU64::new(0),
            seals: AtomicU32::new(0),
            content: AtomicU64::new(0),
        }
    }

    fn changed(&self) {
        if self.content.load(Ordering::Relaxed) != u64::MAX {
            self.content.store(0, Ordering::Release);
        }
    }

    /// A number that no other content has or will have.
    pub fn content(&self) -> Option<u64> {
        // Not in the middle of a change: the number would stay with what the rest of it makes of the content.
        let _writer = self.writer.lock();
        let new = CONTENTS.fetch_add(1, Ordering::Relaxed);
        match self.content.compare_exchange(0, new, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => Some(new),
            Err(u64::MAX) => None,
            Err(n) => Some(n),
        }
    }

    pub fn size(&self) -> u64 {
        self.size.load(Ordering::Acquire)
    }

    pub fn pages(&self) -> u64 {
        self.pages.load(Ordering::Relaxed)
    }

    fn note_pages(&self, st: &State) {
        self.pages.store(st.extents.pages(), Ordering::Relaxed);
    }

    /// Should this process copy through the window? The first touch of a window page in a process costs a page fault,
    /// more than a host call; later ones cost nothing. So: once this process has transferred the file twice over.
    fn hot(&self, bytes: u64) -> bool {
        let pid = u64::from(host::thread::trusted().host_pid.load(Ordering::Relaxed));
        let heat = self.heat.load(Ordering::Relaxed);
        let count = if heat >> 32 == pid { heat & 0xffff_ffff } else { 0 };
        if count > self.pages().saturating_mul(2) {
            return true;
        }
        let count = (count + bytes.div_ceil(FRAME).max(1)).min(0xffff_ffff);
        self.heat.store(pid << 32 | count, Ordering::Relaxed);
        false
    }

    fn unpin(&self) {
        if self.pins.fetch_sub(1, Ordering::SeqCst) != 1 {
            return;
        }
        let gone = {
            let mut st = self.state.lock();
            if st.limbo.is_empty() || self.pins.load(Ordering::SeqCst) != 0 {
                return;
            }
            core::mem::take(&mut st.limbo)
        };
        self.give_back(gone);
    }

    fn give_back(&self, frames: Vec<(u64, u64)>) {
        for (first, len) in frames {
            self.quota.give_pages(len);
            ram::free(first, len);
        }
    }

    pub fn read(&self, dst: &mut IoBuf, off: u64) -> Result<usize> {
        let size = self.size();
        if off >= size || dst.left() == 0 {
            return Ok(0);
        }
        let n = (dst.left() as u64).min(size - off);
        let hot = dst.user_single().is_some() && self.hot(n);
        self.pins.fetch_add(1, Ordering::SeqCst);
        let r = self.read_pinned(dst, off, n, hot);
        self.unpin();
        r
    }

    fn read_pinned(&self, dst: &mut IoBuf, off: u64, n: u64, hot: bool) -> Result<usize> {
        let mut done = 0;
        while done < n {
            let (page, within) = ((off + done) / FRAME, (off + done) % FRAME);
            let want = (n - done + within).div_ceil(FRAME);
            let (run, hole_end) = {
                let st = self.state.lock();
                match st.extents.get(page, want) {
                    Some(r) => (Some(r), 0),
                    None => (None, st.extents.next_data(page).unwrap_or(u64::MAX / FRAME)),
                }
            };
            let r = match run {
                Some(r) => copy_out(dst, r.frame * FRAME + within, (r.len * FRAME - within).min(n - done), hot),
                None => dst.put_zeros(((hole_end * FRAME).saturating_sub(off + done)).min(n - done) as usize),
            };
            match r {
                Ok(0) => break,
                Ok(got) => done += got as u64,
                Err(e) if done == 0 => return Err(e),
                Err(_) => break,
            }
        }
        Ok(done as usize)
    }

    /// Writes at `off`, or at the end. Returns the count and the position after it.
    pub fn write(&self, src: &mut IoBuf, off: Option<u64>) -> Result<(usize, u64)> {
        let _writer = self.writer.lock();
        self.changed();
        let off = off.unwrap_or_else(|| self.size());
        if src.left() == 0 {
            return Ok((0, off));
        }
        if off >= MAX_SIZE {
            return Err(Errno::EFBIG);
        }
        let mut n = (src.left() as u64).min(MAX_SIZE - off);
        let seals = self.seals.load(Ordering::Relaxed);
        if seals & (seal::WRITE | seal::FUTURE_WRITE) != 0 || (seals & seal::GROW != 0 && off >= self.size()) {
            return Err(Errno::EPERM);
        }
        if seals & seal::GROW != 0 {
            n = n.min(self.size() - off);
        }
        let hot = src.user_single().is_some() && self.hot(n);
        let mut done = 0;
        while done < n {
            let (page, within) = ((off + done) / FRAME, (off + done) % FRAME);
            let want = (n - done + within).div_ceil(FRAME);
            let run = self.state.lock().extents.get(page, want);
            let r = match run {
                Some(r) => copy_in(src, r.frame * FRAME + within, (r.len * FRAME - within).min(n - done), hot),
                None => self.write_hole(src, page, within, n - done),
            };
            match r {
                Ok(0) => break,
                Ok(got) => {
                    done += got as u64;
                    self.size.fetch_max(off + done, Ordering::Release);
                }
                Err(e) if done == 0 => return Err(e),
                Err(_) => break,
            }
        }
        Ok((done as usize, off + done))
    }

    /// Frames for up to `want` pages from `page` on, all of them holes; if possible those that follow the frame before them, or lead
    /// up to the one after.
    fn new_frames(&self, page: u64, want: u64) -> Result<ram::Frames> {
        let (free, near) = {
            let st = self.state.lock();
            let next = st.extents.next_data(page).and_then(|d| st.extents.get(d, 1));
            let free = next.map_or(want, |r| want.min(r.page - page));
            let before = page.checked_sub(1).and_then(|p| st.extents.get(p, 1)).map(|r| r.frame + 1);
            (free, before.or_else(|| next?.frame.checked_sub(next?.page - page)))
        };
        // An almost full file system gives what it has.
        let n = if self.quota.take_pages(free).is_ok() {
            free
        } else {
            self.quota.take_pages(1)?;
            1
        };
        match ram::alloc(n, near) {
            Ok(f) => {
                self.quota.give_pages(n - f.len);
                Ok(f)
            }
            Err(_) => {
                self.quota.give_pages(n);
                Err(Errno::ENOSPC)
            }
        }
    }

    fn write_hole(&self, src: &mut IoBuf, page: u64, within: u64, n: u64) -> Result<usize> {
        let f = self.new_frames(page, (n + within).div_ceil(FRAME))?;
        let at = f.first * FRAME;
        // The frames are still ours alone: nobody sees what they held before.
        let want = (f.len * FRAME - within).min(n);
        let r = copy_in(src, at + within, want, false).and_then(|got| {
            let end = within + got as u64;
            if !f.fresh {
                if within > 0 {
                    zero_part(at, within)?;
                }
                zero_part(at + end, end.next_multiple_of(FRAME) - end)?;
            }
            Ok(got)
        });
        let used = r.as_ref().map_or(0, |got| if *got == 0 { 0 } else { (within + *got as u64).div_ceil(FRAME) });
        if used > 0 {
            let mut st = self.state.lock();
            st.extents.insert(Run { page, frame: f.first, len: used });
            self.note_pages(&st);
        }
        if used < f.len {
            self.give_back(alloc::vec![(f.first + used, f.len - used)]);
        }
        r
    }

    /// Takes the frames of `page..page+n` away, or zeroes them in place while the file is mapped.
    fn discard(&self, page: u64, n: u64) -> Result<()> {
        if self.maps.load(Ordering::SeqCst) != 0 {
            let runs = self.state.lock().extents.runs(page, n);
            for r in runs {
                ram::clear(r.frame, r.len)?;
            }
            return Ok(());
        }
        let gone = {
            let mut st = self.state.lock();
            let runs = st.extents.remove(page, n);
            self.note_pages(&st);
            let gone: Vec<(u64, u64)> = runs.into_iter().map(|r| (r.frame, r.len)).collect();
            if self.pins.load(Ordering::SeqCst) != 0 {
                st.limbo.extend(gone);
                return Ok(());
            }
            gone
        };
        self.give_back(gone);
        Ok(())
    }

    /// Zeroes bytes within one page, where it has a frame.
    fn zero_bytes(&self, off: u64, len: u64) -> Result<()> {
        let run = self.state.lock().extents.get(off / FRAME, 1);
        match run {
            Some(r) if len > 0 => zero_part(r.frame * FRAME + off % FRAME, len),
            _ => Ok(()),
        }
    }

    fn zero_range(&self, off: u64, len: u64) -> Result<()> {
        let end = off.saturating_add(len);
        let (first, last) = (off.div_ceil(FRAME), end / FRAME);
        if first > last {
            return self.zero_bytes(off, len);
        }
        self.zero_bytes(off, first * FRAME - off)?;
        self.zero_bytes(last * FRAME, end - last * FRAME)?;
        self.discard(first, last - first)
    }

    pub fn truncate(&self, len: u64) -> Result<()> {
        if len > MAX_SIZE {
            return Err(Errno::EFBIG);
        }
        let _writer = self.writer.lock();
        self.changed();
        let old = self.size();
        let seals = self.seals.load(Ordering::Relaxed);
        if (len < old && seals & seal::SHRINK != 0) || (len > old && seals & seal::GROW != 0) {
            return Err(Errno::EPERM);
        }
        self.size.store(len, Ordering::Release);
        if len < old {
            let page = len.div_ceil(FRAME);
            self.zero_bytes(len, page * FRAME - len)?;
            self.discard(page, u64::MAX / FRAME - page)?;
        }
        Ok(())
    }

    pub fn fallocate(&self, mode: u32, off: u64, len: u64) -> Result<()> {
        const KEEP_SIZE: u32 = 1;
        const PUNCH_HOLE: u32 = 2;
        let end = off.checked_add(len).filter(|e| *e <= MAX_SIZE).ok_or(Errno::EFBIG)?;
        let _writer = self.writer.lock();
        self.changed();
        let seals = self.seals.load(Ordering::Relaxed);
        match mode & !KEEP_SIZE {
            PUNCH_HOLE if mode & KEEP_SIZE != 0 => {
                if seals & (seal::WRITE | seal::FUTURE_WRITE) != 0 {
                    return Err(Errno::EPERM);
                }
                return self.zero_range(off, len);
            }
            0 => {}
            _ => return Err(Errno::EOPNOTSUPP),
        }
        if end > self.size() && seals & seal::GROW != 0 {
            return Err(Errno::EPERM);
        }
        self.fill(off / FRAME, end.div_ceil(FRAME))?;
        if mode & KEEP_SIZE == 0 {
            self.size.fetch_max(end, Ordering::Release);
        }
        Ok(())
    }

    /// Pages of `page..end` that have no frames.
    fn holes(&self, page: u64, end: u64) -> u64 {
        let n = end.saturating_sub(page);
        n - self.state.lock().extents.runs(page, n).iter().map(|r| r.len).sum::<u64>()
    }

    /// Gives zeroed frames to all holes of `page..end`; `writer` is held.
    fn fill(&self, mut page: u64, end: u64) -> Result<()> {
        // Asking for more than there is must not first take everything.
        if self.holes(page, end) > ram::usage().1.min(self.quota.free_pages()) {
            return Err(Errno::ENOSPC);
        }
        while page < end {
            if let Some(r) = self.state.lock().extents.get(page, end - page) {
                page += r.len;
                continue;
            }
            let f = self.new_frames(page, end - page)?;
            if !f.fresh
                && let Err(e) = ram::clear(f.first, f.len)
            {
                self.give_back(alloc::vec![(f.first, f.len)]);
                return Err(e);
            }
            let mut st = self.state.lock();
            st.extents.insert(Run { page, frame: f.first, len: f.len });
            self.note_pages(&st);
            page += f.len;
        }
        Ok(())
    }

    pub fn seek_data(&self, off: u64, hole: bool) -> Result<u64> {
        let size = self.size();
        if off >= size {
            return Err(Errno::ENXIO);
        }
        let st = self.state.lock();
        let page = off / FRAME;
        if hole {
            let at = st.extents.next_hole(page);
            return Ok(if at == page { off } else { (at * FRAME).min(size) });
        }
        match st.extents.next_data(page) {
            Some(p) if p == page => Ok(off),
            Some(p) if p * FRAME < size => Ok(p * FRAME),
            _ => Err(Errno::ENXIO),
        }
    }

    pub fn map_extents(&self, off: u64, len: u64, kind: MapKind) -> Result<Vec<Extent>> {
        if kind == MapKind::SharedWrite {
            self.content.store(u64::MAX, Ordering::Release);
        }
        let _writer = self.writer.lock();
        let page = off / FRAME;
        let end = off.saturating_add(len).div_ceil(FRAME).min(self.size().div_ceil(FRAME));
        if page >= end {
            return Ok(Vec::new());
        }
        // Small holes get memory at once, which saves faults; nothing is wrong where there is none, until they are touched.
        let free = ram::usage().1.min(self.quota.free_pages());
        if self.holes(page, end) <= FEW.max(MANY.min(free / 64)) {
            let _ = self.fill(page, end);
        }
        let fd = host::ram::fd();
        let mut out = Vec::new();
        let mut at = page;
        for r in self.state.lock().extents.runs(page, end - page) {
            if r.page > at {
                out.push(Extent { offset: at * FRAME, len: (r.page - at) * FRAME, host: None });
            }
            out.push(Extent { offset: r.page * FRAME, len: r.len * FRAME, host: Some((fd, r.frame * FRAME)) });
            at = r.page + r.len;
        }
        if at < end {
            out.push(Extent { offset: at * FRAME, len: (end - at) * FRAME, host: None });
        }
        Ok(out)
    }

    /// A mapping came into being; `writes` as in [`core_::file::FileOps::mapped`].
    pub fn mapped(&self, writes: bool) -> bool {
        self.maps.fetch_add(1, Ordering::SeqCst);
        if !writes {
            return false;
        }
        let _writer = self.writer.lock();
        let may = self.seals.load(Ordering::Relaxed) & (seal::WRITE | seal::FUTURE_WRITE) == 0;
        self.writing_maps.fetch_add(u32::from(may), Ordering::SeqCst);
        may
    }

    pub fn is_mapped(&self) -> bool {
        self.maps.load(Ordering::SeqCst) != 0
    }

    pub fn unmapped(&self, writes: bool) {
        self.writing_maps.fetch_sub(u32::from(writes), Ordering::SeqCst);
        if self.maps.fetch_sub(1, Ordering::SeqCst) == 1 {
            let _writer = self.writer.lock();
            let page = self.size().div_ceil(FRAME);
            // Without mappings nothing can fail here; a new one that came meanwhile keeps the frames.
            let _ = self.discard(page, u64::MAX / FRAME - page);
        }
    }

    pub fn seals(&self, add: u32) -> Result<u32> {
        let _writer = self.writer.lock();
        let old = self.seals.load(Ordering::Relaxed);
        if add != 0 {
            if add & !seal::ALL != 0 {
                return Err(Errno::EINVAL);
            }
            if old & seal::SEAL != 0 {
                return Err(Errno::EPERM);
            }
            if add & seal::WRITE != 0 && self.writing_maps.load(Ordering::SeqCst) != 0 {
                return Err(Errno::EBUSY);
            }
            self.seals.store(old | add, Ordering::Relaxed);
        }
        Ok(old | add)
    }
}

impl Drop for FileData {
    fn drop(&mut self) {
        let st = core::mem::take(self.state.get_mut());
        let runs = st.extents.runs(0, u64::MAX / FRAME);
        let mut gone: Vec<(u64, u64)> = runs.into_iter().map(|r| (r.frame, r.len)).collect();
        gone.extend(st.limbo);
        self.give_back(gone);
    }
}
