//! Instructions that would open the guard, found at any byte offset: what an application jumps to need not be what its compiler
//! wrote.
//!
//! | instruction | bytes |
//! |---|---|
//! | WRPKRU | `0f 01 ef` |
//! | XRSTOR, XRSTOR64 from memory | `0f ae /5`, mod not 3 |
//! | WRGSBASE | `f3`, then any prefixes, `0f ae`, then `d8`–`df` |
//!
//! With a REX2 prefix (Intel APX) `d5 80`–`d5 ff` stands in place of the `0f`. XRSTOR is invalid with it (APX specification, 3.1.2).

use core::ops::Range;

/// Bytes before and after a place that may belong to one instruction with it: the longest has 15.
pub const REACH: usize = 15;

/// The byte that stands for a neutralised one: UDB, which is an invalid opcode by definition.
pub const TRAP: u8 = 0xd6;

/// True for what may stand before an opcode: legacy prefixes and REX.
const fn is_prefix(b: u8) -> bool {
    matches!(b, 0x26 | 0x2e | 0x36 | 0x3e | 0x40..=0x4f | 0x64..=0x67 | 0xf0 | 0xf2 | 0xf3)
}

/// True where a two-byte opcode's `0f`, or what stands for it in a REX2 prefix, ends before `i`.
fn is_second(b: &[u8], i: usize) -> bool {
    i > 0 && b[i - 1] == 0x0f || is_rex2(b, i)
}

fn is_rex2(b: &[u8], i: usize) -> bool {
    i > 1 && b[i - 2] == 0xd5 && b[i - 1] & 0x80 != 0
}

/// The next `0f ae`, `01 ef` or `ae d8`–`ae df` that starts at `from` or later.
fn next_pair(b: &[u8], from: usize) -> Option<usize> {
    const BLOCK: usize = 64;
    let pair = |x: u8, y: u8| (x == 0x0f) & (y == 0xae) | (x == 0x01) & (y == 0xef) | (x == 0xae) & (y & 0xf8 == 0xd8);
    let mut i = from;
    // A block at a time, without branches, so that the compiler makes vector code of it.
    while i + BLOCK < b.len() {
        let (x, y) = (&b[i..i + BLOCK], &b[i + 1..=i + BLOCK]);
        if x.iter().zip(y).fold(false, |any, (x, y)| any | pair(*x, *y)) {
            break;
        }
        i += BLOCK;
    }
    (i..b.len().saturating_sub(1)).find(|i| pair(b[*i], b[i + 1]))
}

/// The bytes of the first dangerous instruction that ends after `from`, opcode and what follows; None where there is none.
#[must_use]
pub fn find(b: &[u8], from: usize) -> Option<Range<usize>> {
    let mut at = from.saturating_sub(2);
    while let Some(i) = next_pair(b, at) {
        at = i + 1;
        let has_f3 = |opcode: usize| {
            let prefixes = b[opcode.saturating_sub(REACH)..opcode].iter().rev().take_while(|b| is_prefix(**b));
            prefixes.clone().any(|b| *b == 0xf3).then(|| opcode - prefixes.count())
        };
        let hit = if b[i] == 0x01 {
            is_second(b, i).then(|| i - 1 - usize::from(is_rex2(b, i) && b[i - 1] != 0x0f)..i + 2)
        } else if b[i] == 0xae {
            if is_rex2(b, i) { has_f3(i - 2).map(|start| start..i + 2) } else { None }
        } else {
            match b.get(i + 2) {
                Some(m) if m & 0x38 == 0x28 && m & 0xc0 != 0xc0 => Some(i..i + 3),
                Some(m) if m & 0xf8 == 0xd8 => has_f3(i).map(|start| start..i + 3),
                _ => None,
            }
        };
        if let Some(r) = hit.filter(|r| r.end > from) {
            return Some(r);
        }
    }
    None
}

/// True where no dangerous instruction is in `b`.
#[must_use]
pub fn clean(b: &[u8]) -> bool {
    find(b, 0).is_none()
}

/// True where the last bytes of one piece of memory and the first of the next make no dangerous instruction together.
#[must_use]
pub fn seam_clean(before: &[u8], after: &[u8]) -> bool {
    let head = &before[before.len().saturating_sub(REACH)..];
    let tail = &after[..after.len().min(REACH)];
    let mut both = [0u8; 2 * REACH];
    both[..head.len()].copy_from_slice(head);
    both[head.len()..head.len() + tail.len()].copy_from_slice(tail);
    clean(&both[..head.len() + tail.len()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    const DANGEROUS: &[&[u8]] = &[
        &[0x0f, 0x01, 0xef],
        &[0x0f, 0xae, 0x28],
        &[0x0f, 0xae, 0x6c, 0x24, 0x40],
        &[0x0f, 0xae, 0xaf, 0, 0, 0, 0],
        &[0x48, 0x0f, 0xae, 0x2f],
        &[0xf3, 0x0f, 0xae, 0xd8],
        &[0xf3, 0x48, 0x0f, 0xae, 0xdf],
        &[0xf3, 0x66, 0x2e, 0x48, 0x0f, 0xae, 0xdb],
        &[0xd5, 0x80, 0x01, 0xef],
        &[0xf3, 0xd5, 0x98, 0xae, 0xdf],
    ];

    #[test]
    fn finds_each_at_every_offset() {
        for d in DANGEROUS {
            for off in 0..200 {
                let mut b = std::vec![0x90u8; 260];
                b[off..off + d.len()].copy_from_slice(d);
                let r = find(&b, 0).unwrap_or_else(|| panic!("{d:x?} at {off}"));
                assert!(r.start >= off && r.end <= off + d.len(), "{d:x?} at {off}: {r:?}");
                assert_eq!(find(&b, r.end), None);
            }
        }
    }

    #[test]
    fn leaves_the_rest_alone() {
        let harmless: &[&[u8]] = &[
            &[0x0f, 0x01, 0xee],             // rdpkru
            &[0x0f, 0xae, 0xe8],             // lfence
            &[0x0f, 0xae, 0x21],             // xsave
            &[0x0f, 0xae, 0x5c, 0x24, 0x40], // stmxcsr
            &[0xf3, 0x48, 0x0f, 0xae, 0xd0], // wrfsbase
            &[0xf3, 0x48, 0x0f, 0xae, 0xc8], // rdgsbase
            &[0xf3, 0x90, 0x0f, 0xae, 0xd8], // the f3 is another instruction's
            &[0x01, 0xef, 0x0f],
            &[0xd5, 0x7f, 0x01, 0xef], // REX2 before a one-byte opcode: add
            &[0xd5, 0x80, 0xae, 0xdf], // without f3
            &[0x0f, 0xae],
        ];
        for h in harmless {
            assert!(clean(h), "{h:x?}");
        }
    }

    #[test]
    fn sees_across_seams() {
        for d in DANGEROUS {
            for cut in 1..d.len() {
                let mut before = std::vec![0x90; 20];
                before.extend(&d[..cut]);
                let mut after: Vec<u8> = d[cut..].into();
                after.extend([0x90; 20]);
                // A cut after what makes it dangerous leaves the danger in one piece, which `find` sees.
                assert!(!seam_clean(&before, &after) || !clean(&before), "{d:x?} cut at {cut}");
            }
        }
        assert!(seam_clean(&[0x0f], &[0x01]) && seam_clean(&[], &[0x0f, 0x05]));
    }

    #[test]
    fn agrees_with_a_slow_search() {
        let mut x = 1u64;
        let mut b = std::vec![0u8; 50_000];
        for v in &mut b {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *v =
                [0x0f, 0xae, 0x01, 0xef, 0xf3, 0x48, 0x28, 0xd8, 0xda, 0x6c, 0x90, 0xd5, 0x9a][(x >> 33) as usize % 13];
        }
        let mut at = 0;
        let mut fast = 0;
        while let Some(r) = find(&b, at) {
            fast += 1;
            at = r.end;
        }
        let mut slow = 0;
        for end in 3..=b.len() {
            let [p, q, m] = [b[end - 3], b[end - 2], b[end - 1]];
            let prefixes = b[..end - 3].iter().rev().take(REACH).take_while(|b| is_prefix(**b)).any(|b| *b == 0xf3);
            let rex2 = end > 3 && b[end - 4] == 0xd5 && p >= 0x80;
            let before = b[..end.saturating_sub(4)].iter().rev().take(REACH).take_while(|b| is_prefix(**b));
            let apx =
                rex2 && ([q, m] == [0x01, 0xef] || q == 0xae && m & 0xf8 == 0xd8 && before.clone().any(|b| *b == 0xf3));
            slow += u32::from(
                apx || [p, q, m] == [0x0f, 0x01, 0xef]
                    || [p, q] == [0x0f, 0xae] && (m & 0x38 == 0x28 && m < 0xc0 || m & 0xf8 == 0xd8 && prefixes),
            );
        }
        assert!(slow > 100);
        assert_eq!(fast, slow);
    }
}
