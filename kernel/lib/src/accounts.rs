//! passwd(5) and group(5): whom a name means. Lines that are none of the format are passed over, as the C library does.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

/// A line of passwd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account<'a> {
    pub name: &'a [u8],
    pub uid: u32,
    pub gid: u32,
    pub home: &'a [u8],
}

fn lines(table: &[u8]) -> impl Iterator<Item = Vec<&[u8]>> {
    table.split(|b| *b == b'\n').map(|line| line.split(|b| *b == b':').collect())
}

fn number(digits: &[u8]) -> Option<u32> {
    // Not str::parse, which takes a sign.
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    core::str::from_utf8(digits).ok()?.parse().ok()
}

fn accounts(passwd: &[u8]) -> impl Iterator<Item = Account<'_>> {
    lines(passwd).filter_map(|f| match f[..] {
        [name, _, uid, gid, _, home, ..] if !name.is_empty() => {
            Some(Account { name, uid: number(uid)?, gid: number(gid)?, home })
        }
        _ => None,
    })
}

/// The user of this name.
#[must_use]
pub fn user<'a>(passwd: &'a [u8], name: &[u8]) -> Option<Account<'a>> {
    accounts(passwd).find(|a| a.name == name)
}

/// The first user of this number.
#[must_use]
pub fn owner(passwd: &[u8], uid: u32) -> Option<Account<'_>> {
    accounts(passwd).find(|a| a.uid == uid)
}

/// The number of the group of this name.
#[must_use]
pub fn group(groups: &[u8], name: &[u8]) -> Option<u32> {
    lines(groups).find_map(|f| match f[..] {
        [this, _, gid, ..] if this == name && !name.is_empty() => number(gid),
        _ => None,
    })
}

/// The groups that have this user among their members, in the order of the file, each once, as many as one can be in
/// beside its own (NGROUPS_MAX).
#[must_use]
pub fn memberships(groups: &[u8], user: &[u8]) -> Vec<u32> {
    const MOST: usize = 65535;
    let (mut found, mut known) = (Vec::new(), BTreeSet::new());
    for f in lines(groups) {
        // No members at all is one empty name.
        if let [_, _, gid, members, ..] = f[..]
            && let Some(gid) = number(gid)
            && members.split(|b| *b == b',').any(|m| !m.is_empty() && m == user)
            && found.len() < MOST
            && known.insert(gid)
        {
            found.push(gid);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &[u8] = b"root:x:0:0:root:/root:/bin/sh\n# a comment\nshort:x:1\nsigned:x:+5:5::/:/\n+::::::\n\
        ann:x:1000:100:Ann,,,:/home/ann:/bin/sh\nann:x:1001:101::/other:\ntoor:x:0:0::/toor:/bin/sh";
    const GROUP: &[u8] =
        b"root:x:0:\nusers:x:100:bob,ann\naudio:x:29:ann\naudio2:x:29:ann\nannex:x:30:annex\nbad:x:-1:ann\nstaff:x:50";

    #[test]
    fn users() {
        let ann = user(PASSWD, b"ann").expect("is there");
        assert_eq!((ann.uid, ann.gid, ann.home), (1000, 100, b"/home/ann".as_slice()));
        assert_eq!(user(PASSWD, b"toor").map(|a| a.uid), Some(0), "the last line has no end");
        for name in [b"signed".as_slice(), b"short", b"", b"an", b"# a comment", b"+"] {
            assert_eq!(user(PASSWD, name), None, "{name:?}");
        }
        assert_eq!(owner(PASSWD, 0).map(|a| a.name), Some(b"root".as_slice()));
        assert_eq!(owner(PASSWD, 7), None);
    }

    #[test]
    fn groups() {
        assert_eq!(group(GROUP, b"users"), Some(100));
        assert_eq!(group(GROUP, b"staff"), Some(50), "members may be missing");
        assert_eq!((group(GROUP, b"bad"), group(GROUP, b"")), (None, None));
        assert_eq!(memberships(GROUP, b"ann"), [100, 29]);
        assert_eq!(memberships(GROUP, b"annex"), [30]);
        assert!(memberships(GROUP, b"").is_empty());
    }
}
