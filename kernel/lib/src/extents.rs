//! Which frames hold a sparse file's pages.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// A run of pages in consecutive frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Run {
    pub page: u64,
    pub frame: u64,
    pub len: u64,
}

/// A map from page numbers to frames, as runs.
#[derive(Default, Debug)]
pub struct ExtentMap {
    /// page → (frame, length)
    map: BTreeMap<u64, (u64, u64)>,
    pages: u64,
}

impl ExtentMap {
    #[must_use]
    pub const fn new() -> ExtentMap {
        ExtentMap { map: BTreeMap::new(), pages: 0 }
    }

    /// Number of pages that have a frame.
    #[must_use]
    pub fn pages(&self) -> u64 {
        self.pages
    }

    /// The run that holds `page`, from `page` on, at most `max` pages long.
    #[must_use]
    pub fn get(&self, page: u64, max: u64) -> Option<Run> {
        let (&p, &(f, l)) = self.map.range(..=page).next_back()?;
        if page >= p + l {
            return None;
        }
        Some(Run { page, frame: f + (page - p), len: (l - (page - p)).min(max) })
    }

    /// The first page at or after `page` that has a frame.
    #[must_use]
    pub fn next_data(&self, page: u64) -> Option<u64> {
        if self.get(page, 1).is_some() {
            return Some(page);
        }
        self.map.range(page..).next().map(|(&p, _)| p)
    }

    /// The first page at or after `page` that has none.
    #[must_use]
    pub fn next_hole(&self, mut page: u64) -> u64 {
        while let Some(r) = self.get(page, u64::MAX) {
            page += r.len;
        }
        page
    }

    /// Adds a run whose pages have no frames yet.
    pub fn insert(&mut self, run: Run) {
        if run.len == 0 {
            return;
        }
        debug_assert!(self.next_data(run.page).is_none_or(|p| p >= run.page + run.len), "page has a frame");
        self.pages += run.len;
        let Run { mut page, mut frame, mut len } = run;
        if let Some((&p, &(f, l))) = self.map.range(..page).next_back()
            && p + l == page
            && f + l == frame
        {
            self.map.remove(&p);
            page = p;
            frame = f;
            len += l;
        }
        if let Some(&(f, l)) = self.map.get(&(page + len))
            && frame + len == f
        {
            self.map.remove(&(page + len));
            len += l;
        }
        self.map.insert(page, (frame, len));
    }

    /// The runs of `page..page+n` that have frames, in order.
    #[must_use]
    pub fn runs(&self, page: u64, n: u64) -> Vec<Run> {
        let end = page.saturating_add(n);
        let mut out = Vec::new();
        let mut at = page;
        while let Some(p) = self.next_data(at) {
            if p >= end {
                break;
            }
            let Some(r) = self.get(p, end - p) else { break };
            at = r.page + r.len;
            out.push(r);
        }
        out
    }

    /// Takes the frames of `page..page+n` away and returns their runs.
    pub fn remove(&mut self, page: u64, n: u64) -> Vec<Run> {
        let gone = self.runs(page, n);
        for r in &gone {
            let Some((&p, &(f, l))) = self.map.range(..=r.page).next_back() else { continue };
            self.map.remove(&p);
            if p < r.page {
                self.map.insert(p, (f, r.page - p));
            }
            let end = r.page + r.len;
            if end < p + l {
                self.map.insert(end, (f + (end - p), p + l - end));
            }
            self.pages -= r.len;
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appending_makes_one_run() {
        let mut m = ExtentMap::new();
        for i in 0..10 {
            m.insert(Run { page: i, frame: 100 + i, len: 1 });
        }
        assert_eq!(m.get(0, 100), Some(Run { page: 0, frame: 100, len: 10 }));
        assert_eq!(m.pages(), 10);
    }

    #[test]
    fn holes() {
        let mut m = ExtentMap::new();
        m.insert(Run { page: 0, frame: 5, len: 2 });
        m.insert(Run { page: 10, frame: 50, len: 4 });
        assert_eq!(m.next_hole(0), 2);
        assert_eq!(m.next_data(2), Some(10));
        assert_eq!(m.next_data(14), None);
        assert_eq!(m.get(2, 9), None);
        let gone = m.remove(1, 10);
        assert_eq!(gone, [Run { page: 1, frame: 6, len: 1 }, Run { page: 10, frame: 50, len: 1 }]);
        assert_eq!(m.pages(), 4);
        assert_eq!(m.get(11, 9), Some(Run { page: 11, frame: 51, len: 3 }));
    }

    #[test]
    fn punch_in_the_middle() {
        let mut m = ExtentMap::new();
        m.insert(Run { page: 0, frame: 0, len: 10 });
        assert_eq!(m.remove(4, 2), [Run { page: 4, frame: 4, len: 2 }]);
        assert_eq!(m.runs(0, 10), [Run { page: 0, frame: 0, len: 4 }, Run { page: 6, frame: 6, len: 4 }]);
        m.insert(Run { page: 4, frame: 4, len: 2 });
        assert_eq!(m.runs(0, 10).len(), 1);
    }
}
