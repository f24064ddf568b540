//! Sets of numbers kept as ranges: free frames, addresses without pages.

use alloc::collections::BTreeMap;

/// A set of `u64` as disjoint, non-adjacent ranges.
#[derive(Clone, Default, Debug)]
pub struct RangeSet {
    /// start → length
    map: BTreeMap<u64, u64>,
    total: u64,
}

impl RangeSet {
    #[must_use]
    pub const fn new() -> RangeSet {
        RangeSet { map: BTreeMap::new(), total: 0 }
    }

    /// How many numbers are in the set.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Adds `start..start+len`, which must not be in the set.
    pub fn insert(&mut self, mut start: u64, mut len: u64) {
        if len == 0 {
            return;
        }
        self.total += len;
        if let Some((&s, &l)) = self.map.range(..start).next_back() {
            debug_assert!(s + l <= start, "range freed twice");
            if s + l == start {
                self.map.remove(&s);
                start = s;
                len += l;
            }
        }
        if let Some(l) = self.map.remove(&(start + len)) {
            len += l;
        }
        self.map.insert(start, len);
    }

    /// Takes up to `n` numbers from `at` on; how many, if `at` is there.
    pub fn take_at(&mut self, n: u64, at: u64) -> Option<u64> {
        let (&start, &len) = self.map.range(..=at).next_back().filter(|(s, l)| at < **s + **l)?;
        let got = n.min(start + len - at);
        self.cut(start, len, at, got);
        Some(got)
    }

    /// Takes up to `n` numbers that follow each other: from the first range that has `n`, else from the largest of the first few.
    pub fn take(&mut self, n: u64) -> Option<(u64, u64)> {
        if n == 0 {
            return None;
        }
        // A bounded search: fragmentation must not make an allocation slow.
        let (s, l) = {
            let mut best: Option<(u64, u64)> = None;
            for (&s, &l) in self.map.iter().take(64) {
                if best.is_none_or(|(_, bl)| l > bl) {
                    best = Some((s, l));
                }
                if l >= n {
                    break;
                }
            }
            best?
        };
        let got = n.min(l);
        self.cut(s, l, s, got);
        Some((s, got))
    }

    /// Takes the range with the lowest numbers.
    pub fn pop(&mut self) -> Option<(u64, u64)> {
        let (s, l) = self.map.pop_first()?;
        self.total -= l;
        Some((s, l))
    }

    /// The range that contains `at`, as start and length.
    #[must_use]
    pub fn around(&self, at: u64) -> Option<(u64, u64)> {
        self.map.range(..=at).next_back().filter(|(s, l)| at < **s + **l).map(|(s, l)| (*s, *l))
    }

    /// What of `start..end` is in the set, as ranges (start, end) in order.
    pub fn within(&self, start: u64, end: u64) -> impl Iterator<Item = (u64, u64)> + '_ {
        let first = self.around(start).map_or(start, |(s, _)| s);
        self.map.range(first..end.max(first)).map(move |(s, l)| ((*s).max(start), (*s + *l).min(end)))
    }

    /// Takes what of `start..end` is in the set out of it.
    pub fn remove(&mut self, start: u64, end: u64) {
        while let Some((s, e)) = { self.within(start, end).next() } {
            let (at, len) = self.around(s).unwrap_or((s, e - s));
            self.cut(at, len, s, e - s);
        }
    }

    fn cut(&mut self, s: u64, l: u64, at: u64, n: u64) {
        self.map.remove(&s);
        if at > s {
            self.map.insert(s, at - s);
        }
        if at + n < s + l {
            self.map.insert(at + n, s + l - at - n);
        }
        self.total -= n;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn merges_neighbours() {
        let mut r = RangeSet::new();
        r.insert(0, 10);
        r.insert(20, 10);
        r.insert(10, 10);
        assert_eq!(r.total(), 30);
        assert_eq!(r.take(30), Some((0, 30)));
        assert_eq!(r.take(1), None);
    }

    #[test]
    fn takes_near_and_splits() {
        let mut r = RangeSet::new();
        r.insert(0, 100);
        assert_eq!(r.take_at(10, 50), Some(10));
        assert_eq!(r.take(60), Some((0, 50)));
        assert_eq!(r.take_at(60, 95), Some(5));
        assert_eq!(r.take_at(1, 50), None);
        assert_eq!(r.total(), 35);
        assert_eq!(r.pop(), Some((60, 35)));
        assert_eq!(r.total(), 0);
    }

    #[test]
    fn removes_what_there_is() {
        let mut r = RangeSet::new();
        r.insert(10, 10);
        r.insert(30, 10);
        r.insert(50, 10);
        assert_eq!(r.around(9), None);
        assert_eq!(r.around(19), Some((10, 10)));
        assert_eq!(r.within(15, 52).collect::<Vec<_>>(), [(15, 20), (30, 40), (50, 52)]);
        assert_eq!(r.within(20, 30).count(), 0);
        r.remove(15, 52);
        assert_eq!(r.within(0, 100).collect::<Vec<_>>(), [(10, 15), (52, 60)]);
        assert_eq!(r.total(), 13);
        r.remove(11, 12);
        assert_eq!(r.within(0, 100).collect::<Vec<_>>(), [(10, 11), (12, 15), (52, 60)]);
    }
}
