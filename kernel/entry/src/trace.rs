//! `--trace`: one line a system call, in strace's look, from the table's rows.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;
use core::sync::atomic::{AtomicI32, Ordering};
use core_::task::Thread;
use core_::{Result, uaccess};
use syscalls::{Args, Call, Kind};

static FD: AtomicI32 = AtomicI32::new(-1);

/// Sends trace lines to host descriptor `fd` from now on.
pub fn start(fd: i32) {
    FD.store(fd, Ordering::Relaxed);
}

/// True where calls are traced.
#[inline]
#[must_use]
pub fn on() -> bool {
    FD.load(Ordering::Relaxed) >= 0
}

/// The line so far: name and arguments, taken before the call changes memory.
pub fn enter(call: &Call, args: &Args) -> String {
    let mut s = String::new();
    let _ = write!(s, "{}(", call.name);
    for (i, (_, kind)) in call.args.iter().enumerate() {
        if i > 0 {
            s.push_str(", ");
        }
        argument(&mut s, *kind, args, i);
    }
    if call.args.is_empty() && call.support == syscalls::Support::Missing {
        for (i, a) in args.0.iter().enumerate() {
            let _ = write!(s, "{}{a:#x}", if i > 0 { ", " } else { "" });
        }
    }
    s.push(')');
    s
}

fn argument(s: &mut String, kind: Kind, args: &Args, i: usize) {
    let v = args.u64(i);
    let _ = match kind {
        Kind::Dirfd if args.int(i) == -100 => write!(s, "AT_FDCWD"),
        Kind::Fd | Kind::Dirfd | Kind::Int | Kind::Pid => write!(s, "{}", args.int(i)),
        Kind::Size => write!(s, "{v}"),
        Kind::Off => write!(s, "{}", v as i64),
        Kind::Hex | Kind::Ptr if v == 0 => write!(s, "{}", if kind == Kind::Ptr { "NULL" } else { "0" }),
        Kind::Hex | Kind::Ptr => write!(s, "{v:#x}"),
        Kind::OFlags => write!(s, "{:#o}", args.u32(i)),
        Kind::Mode => write!(s, "{:#o}", args.u32(i)),
        Kind::Sig => write!(s, "{}", args.u32(i)),
        Kind::Str if v == 0 => write!(s, "NULL"),
        Kind::Str => {
            match uaccess::read_cstr(v, 4096, core_::Errno::ENAMETOOLONG) {
                Ok(t) => quote(s, &t, 256),
                Err(_) => {
                    let _ = write!(s, "{v:#x}");
                }
            }
            Ok(())
        }
        Kind::Bytes => {
            let n = args.0.get(i + 1).map_or(0, |n| *n as usize);
            match uaccess::read_bytes(v, n.min(33)) {
                Ok(t) => quote(s, &t, 32),
                Err(_) => {
                    let _ = write!(s, "{v:#x}");
                }
            }
            Ok(())
        }
    };
}

/// A C string literal of at most `max` bytes: what is not printable is escaped, so that a guest can not steer the
/// reader's terminal (H7).
fn quote(s: &mut String, bytes: &[u8], max: usize) {
    s.push('"');
    for b in &bytes[..bytes.len().min(max)] {
        let _ = match b {
            b'\n' => write!(s, "\\n"),
            b'\t' => write!(s, "\\t"),
            b'\r' => write!(s, "\\r"),
            b'"' => write!(s, "\\\""),
            b'\\' => write!(s, "\\\\"),
            0x20..=0x7e => write!(s, "{}", *b as char),
            _ => write!(s, "\\{b:o}"),
        };
    }
    s.push_str(if bytes.len() > max { "\"..." } else { "\"" });
}

/// Ends the line with the result and writes it.
pub fn leave(me: &Thread, mut line: String, result: &Result<i64>) {
    let _ = match result {
        Ok(v) if !(-4096..=0x1_0000_0000).contains(v) => write!(line, " = {v:#x}"),
        Ok(v) => write!(line, " = {v}"),
        Err(e) if e.is_restart() => write!(line, " = ? {e}"),
        Err(e) => write!(line, " = -1 {e}"),
    };
    line.push('\n');
    let mut out = Vec::with_capacity(line.len() + 16);
    let mut head = String::new();
    let _ = write!(head, "[{:5}] ", me.tid());
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(line.as_bytes());
    // One write a line keeps lines whole; a full pipe loses the line, not the guest.
    let _ = host::file::write(FD.load(Ordering::Relaxed), &out);
}
