//! The arguments of a call, and what lies behind them in application memory.

use super::value::{self, LONG, MANY, SHORT};
use alloc::string::String;
use core::fmt::Write;
use core_::signal::{SigInfo, SigSet};
use core_::uaccess::{self, UserPtr};
use core_::{Errno, Result};
use syscalls::kind::{Count, Fields, Kind, Layout, Names};
use syscalls::{Args, Call};

/// O_CREAT, and the bit that O_TMPFILE has beside O_DIRECTORY.
const MAKES_A_FILE: u64 = 0o100 | 0o20_000_000;

/// Where counting ends: a guest's array may go on for ever.
const MOST_VARIABLES: usize = 0x1_0000;

/// The arguments of one call, before it (no result yet) or after it.
pub struct Arguments<'a> {
    call: &'a Call,
    args: &'a Args,
    result: Option<&'a Result<i64>>,
    /// How many bytes of those that the call has filled are not shown yet: several pieces share the result.
    left: u64,
}

/// What is known about the thing that holds a value: the argument or field behind it.
#[derive(Clone, Copy)]
struct Next(u64);

impl<'a> Arguments<'a> {
    pub fn new(call: &'a Call, args: &'a Args, result: Option<&'a Result<i64>>) -> Arguments<'a> {
        let left = result.and_then(|r| r.as_ref().ok()).map_or(0, |v| (*v).max(0) as u64);
        Arguments { call, args, result, left }
    }

    /// What argument `i` is; None where there is none, or where the call does not look at it.
    fn kind(&self, i: usize) -> Option<Kind> {
        let value = |n: usize| self.args.u64(n);
        for (at, (_, kind)) in self.call.args.iter().enumerate().take(i) {
            let Kind::Named(names) = kind else { continue };
            let number = u64::from(self.args.u32(at)) & names.field;
            if let Some(next) = value::find(names.values, number).and_then(|v| v.next) {
                return next.get(i - at - 1).copied();
            }
        }
        let kind = self.call.args.get(i)?.1;
        match kind {
            Kind::CreateMode if value(i - 1) & MAKES_A_FILE == 0 => None,
            kind => Some(kind),
        }
    }

    /// Adds the arguments from `from` on; before the call, only up to the first that it fills. The one to go on from.
    pub fn show(&mut self, s: &mut String, from: usize) -> usize {
        for i in from..self.args.0.len() {
            let Some(kind) = self.kind(i) else { return self.args.0.len() };
            match kind {
                Kind::Result(_) => return self.args.0.len(),
                Kind::Unused => continue,
                Kind::Out(_) | Kind::InOut(_) if self.result.is_none() => return i,
                _ => {}
            }
            if i > 0 {
                s.push_str(", ");
            }
            let v = match kind {
                // Flags and the like are ints: what is above is not looked at.
                Kind::Named(_) => u64::from(self.args.u32(i)),
                _ => self.args.u64(i),
            };
            self.value(s, kind, v, Next(self.args.0.get(i + 1).copied().unwrap_or(0)));
        }
        self.args.0.len()
    }

    /// The names of the result's flags, where it has some.
    pub fn result_names(&self) -> Option<&'static Names> {
        (0..self.args.0.len()).map_while(|i| self.kind(i)).find_map(|kind| match kind {
            Kind::Result(names) => Some(names),
            _ => None,
        })
    }

    /// A value that fits into a register.
    fn value(&mut self, s: &mut String, kind: Kind, v: u64, next: Next) {
        let _ = match kind {
            Kind::Dirfd if v as i32 == -100 => write!(s, "AT_FDCWD"),
            Kind::Fd | Kind::Dirfd | Kind::Int | Kind::Pid => write!(s, "{}", v as i32),
            Kind::Size => write!(s, "{v}"),
            Kind::Off => write!(s, "{}", v as i64),
            Kind::Hex if v == 0 => write!(s, "0"),
            Kind::Hex => write!(s, "{v:#x}"),
            Kind::Ptr | Kind::Addr => return value::address(s, v),
            Kind::Mode | Kind::CreateMode => return value::octal(s, v & 0xffff_ffff),
            Kind::Sig => return value::signal_name(s, v as u32),
            Kind::Named(names) => return value::named(s, names, v),
            Kind::SigSet => return value::signal_set(s, SigSet(v)),
            Kind::Status => return value::wait_status(s, v as u32),
            Kind::FileMode => return value::file_mode(s, v),
            Kind::Limit => return value::limit(s, v),
            Kind::Str => return self.string(s, v),
            Kind::In(layout) => return self.memory(s, layout, v, next, false),
            // After an error nothing is sure to be there.
            Kind::Out(_) if !matches!(self.result, Some(Ok(_))) => return value::address(s, v),
            Kind::Out(layout) | Kind::InOut(layout) => return self.memory(s, layout, v, next, true),
            Kind::Unused | Kind::Result(_) | Kind::Struct(_) | Kind::Chars | Kind::SigInfo => Ok(()),
        };
    }

    fn string(&self, s: &mut String, at: u64) {
        match uaccess::read_cstr(at, 4096, Errno::ENAMETOOLONG) {
            Ok(t) if at != 0 => value::quote(s, &t, LONG),
            _ => value::address(s, at),
        }
    }

    /// What lies at `at`; the bare address where it can not be read.
    fn memory(&mut self, s: &mut String, layout: &Layout, at: u64, next: Next, filled: bool) {
        let start = s.len();
        if at == 0 || self.try_memory(s, layout, at, next, filled).is_err() {
            s.truncate(start);
            value::address(s, at);
        }
    }

    fn try_memory(&mut self, s: &mut String, layout: &Layout, at: u64, next: Next, filled: bool) -> Result<()> {
        match *layout {
            Layout::Bytes => {
                let n = if filled { next.0.min(self.left) } else { next.0 };
                self.left = self.left.saturating_sub(n);
                value::quote(s, &uaccess::read_bytes(at, n.min(SHORT as u64 + 1) as usize)?, SHORT);
            }
            Layout::Text => value::quote(s, &uaccess::read_cstr(at, 4096, Errno::ENAMETOOLONG)?, LONG),
            Layout::Strings => self.strings(s, at)?,
            Layout::Environment => {
                let mut n = 0;
                while n < MOST_VARIABLES && UserPtr::<u64>::new(at).at(n).read()? != 0 {
                    n += 1;
                }
                let _ = write!(s, "{at:#x} /* {n} vars */");
            }
            Layout::Address => {
                let n = if filled { u64::from(UserPtr::<u32>::new(next.0).read()?) } else { next.0 };
                socket_address(s, &uaccess::read_bytes(at, n.min(110) as usize)?);
            }
            Layout::FdSet => {
                let n = self.args.int(0).clamp(0, 1024) as usize;
                let set = uaccess::read_bytes(at, n.div_ceil(64) * 8)?;
                let mut separator = '[';
                for fd in (0..n).filter(|fd| set[fd / 8] >> (fd % 8) & 1 != 0) {
                    let _ = write!(s, "{separator}{fd}");
                    separator = ' ';
                }
                s.push_str(if separator == '[' { "[]" } else { "]" });
            }
            Layout::Entries => {
                let (mut n, mut done) = (0, 0);
                while done < self.left {
                    // d_reclen, behind inode and offset.
                    done += u64::from(UserPtr::<u16>::new(at + done + 16).read()?.max(1));
                    n += 1;
                }
                let _ = write!(s, "{at:#x} /* {n} entries */");
            }
            Layout::One(size, kind) => self.item(s, kind, &uaccess::read_bytes(at, size)?, next),
            Layout::Array(size, kind, count) => {
                let n = match count {
                    Count::Fixed(n) => n as u64,
                    Count::Next => next.0,
                    Count::Result => self.left,
                    Count::Found if self.left == 0 => return Err(Errno::EFAULT),
                    Count::Found => 1,
                };
                s.push('[');
                for i in 0..n.min(MANY as u64) {
                    s.push_str(if i > 0 { ", " } else { "" });
                    let b = uaccess::read_bytes(at.wrapping_add(i * size as u64), size)?;
                    self.item(s, kind, &b, next);
                }
                s.push_str(if n > MANY as u64 { ", ...]" } else { "]" });
            }
        }
        Ok(())
    }

    /// Something read from memory.
    fn item(&mut self, s: &mut String, kind: Kind, bytes: &[u8], next: Next) {
        match kind {
            Kind::Struct(fields) => self.fields(s, fields, bytes),
            Kind::Chars => {
                value::quote(s, bytes.split(|b| *b == 0).next().unwrap_or_default(), LONG);
            }
            Kind::SigInfo => match bytes.first_chunk() {
                Some(b) => value::siginfo(s, &SigInfo::from_bytes(b)),
                None => s.push_str("{}"),
            },
            kind => self.value(s, kind, number(bytes), next),
        }
    }

    fn fields(&mut self, s: &mut String, fields: &Fields, bytes: &[u8]) {
        let part = |i: usize| fields.list.get(i).and_then(|f| bytes.get(f.at..f.at + f.size)).unwrap_or_default();
        s.push('{');
        let mut first = true;
        for (i, f) in fields.list.iter().enumerate() {
            if f.optional && part(i).iter().all(|b| *b == 0) {
                continue;
            }
            if !core::mem::take(&mut first) {
                s.push_str(", ");
            }
            let _ = write!(s, "{}=", f.name);
            self.item(s, f.kind, part(i), Next(number(part(i + 1))));
        }
        s.push_str(if fields.more { ", ...}" } else { "}" });
    }

    fn strings(&self, s: &mut String, at: u64) -> Result<()> {
        for i in 0.. {
            let p = UserPtr::<u64>::new(at).at(i).read()?;
            if p == 0 {
                s.push_str(if i == 0 { "[]" } else { "]" });
                break;
            }
            s.push_str(if i > 0 { ", " } else { "[" });
            if i == MANY {
                s.push_str("...]");
                break;
            }
            match uaccess::read_cstr(p, 128 * 1024, Errno::E2BIG) {
                Ok(t) => value::quote(s, &t, SHORT),
                Err(_) => value::address(s, p),
            }
        }
        Ok(())
    }
}

/// Up to eight bytes as a number.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().take(8).rev().fold(0, |v, b| v << 8 | u64::from(*b))
}

fn socket_address(s: &mut String, bytes: &[u8]) {
    s.push_str("{sa_family=");
    let family = number(bytes.get(..2).unwrap_or_default());
    value::named(s, &syscalls::names::DOMAIN, family);
    let path = bytes.get(2..).unwrap_or_default();
    if family == u64::from(abi::net::AF_UNIX) && !path.is_empty() {
        s.push_str(", sun_path=");
        if path[0] == 0 {
            s.push('@');
            value::quote(s, &path[1..], LONG);
        } else {
            value::quote(s, path.split(|b| *b == 0).next().unwrap_or_default(), LONG);
        }
    }
    s.push('}');
}
