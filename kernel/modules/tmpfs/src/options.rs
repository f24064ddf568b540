//! What mount(8) can say of a tmpfs (tmpfs(5)).

use alloc::format;
use alloc::vec::Vec;
use core_::ram::{self, FRAME};
use core_::{Errno, Result};

/// Options of a mount; what is not said is None.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Options {
    /// Most pages of contents; 0 is no limit of its own.
    pub pages: Option<u64>,
    /// Most files; 0 is no limit of its own.
    pub inodes: Option<u64>,
    pub mode: Option<u32>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
}

impl Options {
    /// From mount(2)'s text.
    ///
    /// # Errors
    /// `EINVAL` for an option or value that tmpfs(5) does not know.
    pub fn parse(text: &[u8]) -> Result<Options> {
        let text = core::str::from_utf8(text).map_err(|_| Errno::EINVAL)?;
        let mut o = Options::default();
        for option in text.split(',').filter(|o| !o.is_empty()) {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            match name {
                "size" => o.pages = Some(size(value)?.div_ceil(FRAME)),
                "nr_blocks" => o.pages = Some(scaled(value)?),
                "nr_inodes" => o.inodes = Some(scaled(value)?),
                "mode" => o.mode = Some(u32::from_str_radix(value, 8).map_err(|_| Errno::EINVAL)? & 0o7777),
                "uid" => o.uid = Some(value.parse().map_err(|_| Errno::EINVAL)?),
                "gid" => o.gid = Some(value.parse().map_err(|_| Errno::EINVAL)?),
                // How the kernel holds it, not what it holds: there are no huge pages, no swap, one node.
                "huge" if matches!(value, "never" | "always" | "within_size" | "advise") => {}
                "inode64" | "noswap" if value.is_empty() => {}
                _ => return Err(Errno::EINVAL),
            }
        }
        Ok(o)
    }
}

/// A number of bytes, or per cents of the machine's memory.
fn size(text: &str) -> Result<u64> {
    match text.strip_suffix('%') {
        Some(n) => Ok(ram::usage().0 * FRAME / 100 * n.parse::<u64>().map_err(|_| Errno::EINVAL)?.min(1 << 20)),
        None => scaled(text),
    }
}

/// A number with k, m, g, t, p or e behind it.
fn scaled(text: &str) -> Result<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        "p" => 50,
        "e" => 60,
        _ => return Err(Errno::EINVAL),
    };
    digits.parse::<u64>().ok().and_then(|n| n.checked_mul(1 << shift)).ok_or(Errno::EINVAL)
}

/// What /proc/mounts shows, in Linux's order.
pub(crate) fn show(o: &Options) -> Vec<u8> {
    let mut text = Vec::new();
    let mut add = |part: alloc::string::String| text.extend_from_slice(part.as_bytes());
    if let Some(n) = o.pages.filter(|n| *n != 0) {
        add(format!(",size={}k", n * (FRAME / 1024)));
    }
    if let Some(n) = o.inodes.filter(|n| *n != 0) {
        add(format!(",nr_inodes={n}"));
    }
    if let Some(mode) = o.mode.filter(|m| *m != 0o1777) {
        add(format!(",mode={mode:03o}"));
    }
    if let Some(uid) = o.uid.filter(|u| *u != 0) {
        add(format!(",uid={uid}"));
    }
    if let Some(gid) = o.gid.filter(|g| *g != 0) {
        add(format!(",gid={gid}"));
    }
    text
}
