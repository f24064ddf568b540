//! /proc/PID/map_files: a link for each mapped file, named by its addresses.

use crate::process::{Who, ino};
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core_::file::File;
use core_::task::Cap;
use core_::vfs::pseudo::{Entries, Id, Link};
use core_::vfs::{self, DirList, Inode, kind};
use core_::{Errno, Result, current};

pub struct MapFiles {
    pub dev: u64,
    pub who: Who,
}

/// `START-END` as the names are written: hexadecimal digits, none of them a leading zero.
fn range(name: &[u8]) -> Option<(u64, u64)> {
    let number = |s: &str| -> Option<u64> {
        let plain = s.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) && !s.starts_with('0');
        if plain { u64::from_str_radix(s, 16).ok() } else { None }
    };
    let (start, end) = core::str::from_utf8(name).ok()?.split_once('-')?;
    Some((number(start)?, number(end)?))
}

fn files(who: &Who) -> Result<Vec<(u64, u64, Arc<File>)>> {
    Ok(who.process()?.mm.lock().clone().map_or_else(Vec::new, |mm| mm.mapped_files()))
}

fn file(who: &Who, at: (u64, u64)) -> Result<Arc<File>> {
    files(who)?.into_iter().find(|(s, e, _)| (*s, *e) == at).map(|(_, _, f)| f).ok_or(Errno::ENOENT)
}

impl Entries for MapFiles {
    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>> {
        let at = range(name).ok_or(Errno::ENOENT)?;
        let who = self.who;
        let f = file(&who, at)?;
        let (uid, gid) = who.owner();
        let mode = if f.readable() { 0o400 } else { 0 } | if f.writable() { 0o200 } else { 0 };
        // The number tells links apart while both are there; Linux makes it up, too.
        let id = Id { dev: self.dev, ino: ino(who.tid(), 0x8_0000 | (at.0 >> 12) as u32 & 0x7_ffff), mode, uid, gid };
        Ok(Link::magic(
            id,
            64,
            move || Ok(vfs::file_text(&*file(&who, at)?, &current().fs().root())),
            move || {
                // A mapping outlives what its owner may open: following takes privilege (proc(5)).
                let c = current().cred();
                if !c.has(Cap::SysAdmin) && !c.has(Cap::CheckpointRestore) {
                    return Err(Errno::EPERM);
                }
                vfs::path_of_file(&file(&who, at)?)
            },
        ))
    }

    fn list(&self) -> Result<DirList> {
        let mut out = DirList::new();
        for (start, end, _) in files(&self.who)? {
            let number = ino(self.who.tid(), 0x8_0000 | (start >> 12) as u32 & 0x7_ffff);
            out.push(format!("{start:x}-{end:x}").as_bytes(), number, kind::LINK);
        }
        Ok(out)
    }
}
