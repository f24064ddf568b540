//! What becomes executable on a page table, under the `pkey` guard: `mm::wx` says why, and has the rules of `multi` spaces.
//!
//! The host may execute a page only while its entry says that it was looked at ([`Pte::looked_at`]), and nothing writes to such a page:
//! not through this entry, which is read-only on the host until the first write takes the mark away, nor through another one,
//! because its frame is this space's own, or nobody's to write (the page cache, patched text). The mark is the entry's, so it goes
//! with whatever replaces or moves it. One host thread runs all applications: none of them runs between the look and the grant.

use super::fault::{Failure, first_touch, own_copy};
use super::map::patched_text;
use super::table::Pte;
use crate::file::File;
use crate::mm::{Mm, Space, Vma, flag, wx};
use crate::signal::code;
use crate::{Result, counters};
use abi::layout::PAGE;
use alloc::sync::Arc;
use alloc::vec::Vec;
use lib::opcodes::{self, REACH};

/// Enough before and after a page for its instructions to be told apart (`lib::displace`).
const BEFORE: usize = 512;
const AFTER: usize = 64;

/// Refuses shared memory that could be executed and changed.
///
/// # Errors
/// `EACCES`.
pub fn check_shared(file: Option<&Arc<File>>, prot: u32) -> Result<()> {
    if !wx::on() || prot & flag::PROT_EXEC == 0 {
        return Ok(());
    }
    let fixed = file.is_some_and(|f| f.ops().content_is_fixed(f));
    if fixed && prot & flag::PROT_WRITE == 0 { Ok(()) } else { Err(wx::refuse()) }
}

/// As [`check_shared`] for an area, which need not be shared.
///
/// # Errors
/// `EACCES`.
pub fn check_area(v: &Vma, prot: u32) -> Result<()> {
    let shared = v.flags & flag::TYPE == flag::SHARED;
    if shared { check_shared(v.mapping.as_ref().map(|m| &m.file), prot) } else { Ok(()) }
}

impl Mm {
    /// Looks at `page`, whose entry is `pte`, before it is executed: the entry that may be.
    pub(super) fn look_at(
        &self,
        s: &mut Space,
        start: u64,
        v: &Vma,
        page: u64,
        pte: Pte,
    ) -> core::result::Result<Pte, Failure> {
        if pte.was_looked_at() {
            return Ok(pte);
        }
        let refused = || {
            wx::refuse();
            Failure::Denied(code::SEGV_ACCERR)
        };
        if pte.is_direct() || check_area(v, v.prot).is_err() {
            return Err(refused());
        }
        let patched = patched_text(start, v).is_some_and(|ram| pte.frame() == (ram + (page - start)) / PAGE);
        if !pte.is_counted() && !patched {
            // A file in memory, which others write to.
            self.replace(s, v, page, own_copy(pte)?)?;
        }
        if !clean(s, page)? && (v.mapping.is_none() || !self.neutralise_page(s, start, v, page)? || !clean(s, page)?) {
            return Err(refused());
        }
        Ok(s.table.get(page).looked_at())
    }

    /// Puts an entry, on the host, too.
    fn replace(&self, s: &mut Space, v: &Vma, page: u64, pte: Pte) -> Result<()> {
        s.table.set(page, pte);
        if self.is_active() { pte.load(page, v.prot) } else { Ok(()) }
    }

    /// Neutralises the dangerous instructions of a page, in copies of it and of the neighbours that they reach into; false where one
    /// can not be.
    fn neutralise_page(&self, s: &mut Space, start: u64, v: &Vma, page: u64) -> core::result::Result<bool, Failure> {
        // Which part of which page the window has.
        let mut parts: Vec<(u64, usize, usize)> = Vec::new();
        if page > start {
            parts.push((page - PAGE, PAGE as usize - BEFORE, BEFORE));
        }
        parts.push((page, 0, PAGE as usize));
        if page + PAGE < v.end {
            parts.push((page + PAGE, 0, AFTER));
        }
        let mut window = Vec::new();
        let mut have = Vec::new();
        for (at, from, len) in parts {
            let mut pte = s.table.get(at);
            if !pte.is_present() {
                match first_touch(start, v, at, false) {
                    Ok(new) if !new.is_direct() => {
                        s.table.set(at, new);
                        pte = new;
                    }
                    // Beyond the file's end.
                    _ => continue,
                }
            }
            let place = window.len();
            window.resize(place + len, 0);
            host::ram::read(&mut window[place..], pte.frame() * PAGE + from as u64)?;
            have.push((at, from, place, len));
        }
        let Some(&(_, _, first, _)) = have.iter().find(|h| h.0 == page) else { return Ok(false) };
        let before = window.clone();
        match lib::displace::neutralise_from(&mut window, first, page - first as u64) {
            Ok(n) => counters::NEUTRALISED.add(n as u64),
            // The next page's own: seen whole when that one is looked at.
            Err(at) if at >= first + PAGE as usize => {}
            Err(_) => return Ok(false),
        }
        for (at, from, place, len) in have {
            let (old, new) = (&before[place..place + len], &window[place..place + len]);
            if old != new {
                let own = own_copy(s.table.get(at))?;
                host::ram::write(new, own.frame() * PAGE + from as u64)?;
                self.replace(s, v, at, own)?;
            }
        }
        Ok(true)
    }
}

/// Whether nothing dangerous is in a page, or across its ends to neighbours that may be executed already.
fn clean(s: &Space, page: u64) -> Result<bool> {
    let mut buf = [0; 2 * REACH + PAGE as usize];
    let read = |buf: &mut [u8], at: u64, from: u64| {
        let pte = s.table.get(at);
        if at != page && !pte.was_looked_at() {
            return Ok(0);
        }
        host::ram::read(buf, pte.frame() * PAGE + from).map(|()| buf.len())
    };
    let mut n = read(&mut buf[..REACH], page.wrapping_sub(PAGE), PAGE - REACH as u64)?;
    n += read(&mut buf[n..n + PAGE as usize], page, 0)?;
    n += read(&mut buf[n..n + REACH], page + PAGE, 0)?;
    Ok(opcodes::clean(&buf[..n]))
}
