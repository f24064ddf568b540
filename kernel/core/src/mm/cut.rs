//! Files that become shorter while they are mapped: what lies beyond the new end goes out of the address spaces, so that
//! touching it is SIGBUS until the file grows again (mmap(2), truncate(2)).
//!
//! A host process changes its own mappings only. The caller's go at once; others are told, and take the pages out before they
//! next return to their application. In between they see zeros: whoever learns of the truncation from the one who did it
//! has been through the guest kernel, and so is past that.

use super::{Mm, spaces};
use crate::signal::wake_all;
use crate::task::TREE;
use abi::layout::PAGE;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// The file that `FileOps::mapping_id` calls `id` has only `len` bytes now.
pub fn file_shrunk(id: usize, len: u64) {
    let all = TREE.lock().all();
    let own = crate::current().process.mm.lock().clone();
    for p in all {
        let Some(mm) = p.mm.lock().clone() else { continue };
        if !mm.maps_file(id) {
            continue;
        }
        mm.cuts.lock().push((id, len));
        if own.as_ref().is_some_and(|o| Arc::ptr_eq(o, &mm)) {
            mm.apply_cuts();
            continue;
        }
        wake_all(&p);
    }
}

impl Mm {
    fn maps_file(&self, id: usize) -> bool {
        let s = self.space.lock();
        s.areas.iter().any(|(_, v)| v.mapping.as_ref().is_some_and(|m| m.file.ops().mapping_id(&m.file) == id))
    }

    /// Takes out what files have lost; by a thread whose address space this is.
    pub fn apply_cuts(&self) {
        let cuts = core::mem::take(&mut *self.cuts.lock());
        if cuts.is_empty() {
            return;
        }
        let mut s = self.space.lock();
        for (id, len) in cuts {
            let end = len.div_ceil(PAGE) * PAGE;
            let hit: Vec<(u64, u64)> = s
                .areas
                .iter()
                .filter(|(_, v)| v.mapping.as_ref().is_some_and(|m| m.file.ops().mapping_id(&m.file) == id))
                .map(|(start, v)| (start + end.saturating_sub(v.offset), v.end))
                .filter(|(from, to)| from < to)
                .collect();
            for (from, to) in hit {
                spaces::mmu().cut(self, &mut s, from, to);
            }
        }
    }
}
