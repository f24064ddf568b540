//! /proc/PID/{mounts,mountinfo,mountstats}.

use alloc::format;
use alloc::vec::Vec;
use core_::vfs::{Mount, Path, major, minor, mount, ms};

/// Space, tab, newline and backslash as octal (getmntent(3)).
fn escape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for b in text {
        match b {
            b' ' | b'\t' | b'\n' | b'\\' => out.extend_from_slice(format!("\\{b:03o}").as_bytes()),
            _ => out.push(*b),
        }
    }
    out
}

fn options(m: &Mount) -> Vec<u8> {
    let f = m.flags();
    let mut out = if f & ms::RDONLY != 0 { b"ro".to_vec() } else { b"rw".to_vec() };
    for (bit, name) in [
        (ms::NOSUID, &b",nosuid"[..]),
        (ms::NODEV, b",nodev"),
        (ms::NOEXEC, b",noexec"),
        (ms::NOATIME, b",noatime"),
        (ms::RELATIME, b",relatime"),
    ] {
        if f & bit != 0 {
            out.extend_from_slice(name);
        }
    }
    out
}

/// Where `m` is as seen from `root`; None for mounts outside of it.
fn point(m: &alloc::sync::Arc<Mount>, root: &Path) -> Option<Vec<u8>> {
    let text = Path { mnt: m.clone(), dentry: m.root.clone() }.text(root);
    (!text.starts_with(b"(unreachable)")).then(|| escape(&text))
}

pub fn mounts(root: &Path) -> Vec<u8> {
    let mut out = Vec::new();
    for m in mount::all() {
        let Some(at) = point(&m, root) else { continue };
        let parts: [&[u8]; 5] = [&escape(&m.source), &at, m.fs.name().as_bytes(), &options(&m), &m.fs.options()];
        out.extend_from_slice(&parts[..4].join(&b' '));
        out.extend_from_slice(parts[4]);
        out.extend_from_slice(b" 0 0\n");
    }
    out
}

pub fn mountstats(root: &Path) -> Vec<u8> {
    let mut out = Vec::new();
    for m in mount::all() {
        let Some(at) = point(&m, root) else { continue };
        let parts: [&[u8]; 7] =
            [b"device ", &escape(&m.source), b" mounted on ", &at, b" with fstype ", m.fs.name().as_bytes(), b"\n"];
        out.extend_from_slice(&parts.concat());
    }
    out
}

pub fn mountinfo(root: &Path) -> Vec<u8> {
    let mut out = Vec::new();
    for m in mount::all() {
        let Some(at) = point(&m, root) else { continue };
        let parent = m.parent().map_or(1, |p| p.mnt.id);
        let dev = m.root.inode().and_then(|i| i.attr()).map_or(0, |a| a.dev);
        let head = format!("{} {parent} {}:{} / ", m.id, major(dev), minor(dev));
        let rw: &[u8] = if m.read_only() { b" ro" } else { b" rw" };
        let parts: [&[u8]; 8] =
            [head.as_bytes(), &at, b" ", &options(&m), b" - ", m.fs.name().as_bytes(), b" ", &escape(&m.source)];
        out.extend_from_slice(&parts.concat());
        out.extend_from_slice(rw);
        out.extend_from_slice(&m.fs.options());
        out.push(b'\n');
    }
    out
}
