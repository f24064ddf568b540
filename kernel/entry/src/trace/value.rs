//! How single values are spelled: numbers with names, strings, signals.

use alloc::string::String;
use core::fmt::Write;
use core_::signal::{SigInfo, SigSet, code, sig};
use syscalls::kind::{Names, Value};
use syscalls::names;

/// Most bytes of a string or of data that are shown, as with strace; of a path; and most items of a list.
pub const SHORT: usize = 32;
pub const LONG: usize = 256;
pub const MANY: usize = 32;

/// A C string literal of at most `max` bytes: what is not printable is escaped, so that a guest can not steer the
/// reader's terminal (H7).
pub fn quote(s: &mut String, bytes: &[u8], max: usize) {
    let shown = &bytes[..bytes.len().min(max)];
    s.push('"');
    for (i, b) in shown.iter().enumerate() {
        // Three digits where the next character would be taken for one of them.
        let digit = shown.get(i + 1).is_some_and(|n| matches!(n, b'0'..=b'7'));
        let _ = match b {
            b'\n' => write!(s, "\\n"),
            b'\t' => write!(s, "\\t"),
            b'\r' => write!(s, "\\r"),
            0x0b => write!(s, "\\v"),
            0x0c => write!(s, "\\f"),
            b'"' => write!(s, "\\\""),
            b'\\' => write!(s, "\\\\"),
            0x20..=0x7e => write!(s, "{}", *b as char),
            _ if digit => write!(s, "\\{b:03o}"),
            _ => write!(s, "\\{b:o}"),
        };
    }
    s.push_str(if bytes.len() > max { "\"..." } else { "\"" });
}

/// An address.
pub fn address(s: &mut String, v: u64) {
    let _ = if v == 0 { write!(s, "NULL") } else { write!(s, "{v:#x}") };
}

/// The name that goes with a number.
#[must_use]
pub fn find(list: &'static [Value], number: u64) -> Option<&'static Value> {
    list.iter().find(|v| v.number == number)
}

/// A number or flags by name: `O_RDONLY|O_CLOEXEC`, `PROT_NONE`, `0x7 /* SEEK_??? */`.
pub fn named(s: &mut String, names: &Names, number: u64) {
    let start = s.len();
    let or = |s: &mut String| s.push_str(if s.len() > start { "|" } else { "" });
    let value = number & names.field;
    let known = find(names.values, value).filter(|_| names.field != 0);
    let mut rest = if known.is_some() { number & !names.field } else { number };
    if let Some(v) = known.filter(|_| !names.bits_first) {
        s.push_str(v.name);
    }
    for v in names.bits.iter().filter(|v| v.number != 0) {
        if rest & v.number == v.number {
            or(s);
            s.push_str(v.name);
            rest &= !v.number;
        }
    }
    if let Some(v) = known.filter(|_| names.bits_first) {
        or(s);
        s.push_str(v.name);
    }
    if rest != 0 {
        let unknown = s.len() == start && !names.prefix.is_empty();
        or(s);
        let _ = write!(s, "{rest:#x}");
        if unknown {
            let _ = write!(s, " /* {}??? */", names.prefix);
        }
    } else if s.len() == start {
        s.push_str(find(names.bits, 0).map_or("0", |v| v.name));
    }
}

const SIGNALS: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM",
    "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO",
    "PWR", "SYS",
];

/// `SIGCHLD`, `SIGRTMIN`, `SIGRT_1`; the number where there is no such signal.
pub fn signal_name(s: &mut String, signo: u32) {
    if (1..=sig::MAX).contains(&signo) {
        s.push_str("SIG");
        short_signal(s, signo);
    } else {
        let _ = write!(s, "{signo}");
    }
}

fn short_signal(s: &mut String, signo: u32) {
    let _ = match SIGNALS.get((signo as usize).wrapping_sub(1)) {
        Some(name) => write!(s, "{name}"),
        None if signo == sig::RTMIN => write!(s, "RTMIN"),
        None => write!(s, "RT_{}", signo - sig::RTMIN),
    };
}

/// `[INT CHLD]`, or `~[KILL STOP]` where most are in it.
pub fn signal_set(s: &mut String, set: SigSet) {
    let most = set.0.count_ones() > 32;
    s.push_str(if most { "~[" } else { "[" });
    let mut first = true;
    for signo in (1..=sig::MAX).filter(|n| set.has(*n) != most) {
        if !core::mem::take(&mut first) {
            s.push(' ');
        }
        short_signal(s, signo);
    }
    s.push(']');
}

/// siginfo_t, with the fields that the signal has.
pub fn siginfo(s: &mut String, info: &SigInfo) {
    s.push_str("{si_signo=");
    signal_name(s, info.signo);
    s.push_str(", si_code=");
    let fault = matches!(info.signo, sig::SEGV | sig::BUS | sig::ILL | sig::FPE | sig::TRAP) && info.code > 0;
    let child = info.signo == sig::CHLD && info.code > 0;
    let list = match info.signo {
        sig::CHLD => &names::CHILD_CODE,
        sig::SEGV => &names::SEGV_CODE,
        sig::BUS => &names::BUS_CODE,
        sig::FPE => &names::FPE_CODE,
        sig::ILL => &names::ILL_CODE,
        sig::TRAP => &names::TRAP_CODE,
        _ => &names::ANY_CODE,
    };
    let number = i64::from(info.code) as u64;
    match find(names::ANY_CODE.values, number).or_else(|| find(list.values, number)) {
        Some(v) => s.push_str(v.name),
        None => drop(write!(s, "{}", info.code)),
    }
    let [who, value, third, fourth] = info.fields;
    let (pid, uid) = (who as u32, who >> 32);
    if child {
        let _ = write!(s, ", si_pid={pid}, si_uid={uid}, si_status=");
        if info.code == code::CLD_EXITED {
            let _ = write!(s, "{}", value as u32);
        } else {
            signal_name(s, value as u32);
        }
        let _ = write!(s, ", si_utime={third}, si_stime={fourth}");
    } else if info.code == code::KERNEL {
        // It says no more.
    } else if fault {
        s.push_str(", si_addr=");
        address(s, who);
    } else {
        let _ = match info.code {
            code::TIMER => write!(s, ", si_timerid={pid}, si_overrun={uid}"),
            _ => write!(s, ", si_pid={pid}, si_uid={uid}"),
        };
        if matches!(info.code, code::QUEUE | code::TIMER) {
            let _ = write!(s, ", si_int={}, si_ptr=", value as i32);
            address(s, value);
        }
    }
    s.push('}');
}

/// How a process ended or stopped, as wait4(2) reports it.
pub fn wait_status(s: &mut String, status: u32) {
    let name = |s: &mut String, macro_name: &str, signo: u32| {
        let _ = write!(s, " && {macro_name}(s) == ");
        signal_name(s, signo);
        s.push('}');
    };
    if status == 0xffff {
        s.push_str("{WIFCONTINUED(s)}");
    } else if status & 0xff == 0x7f {
        s.push_str("{WIFSTOPPED(s)");
        name(s, "WSTOPSIG", status >> 8);
    } else if status & 0x7f == 0 {
        let _ = write!(s, "{{WIFEXITED(s) && WEXITSTATUS(s) == {}}}", status >> 8 & 0xff);
    } else {
        s.push_str("{WIFSIGNALED(s)");
        name(s, "WTERMSIG", status & 0x7f);
    }
}

/// `S_IFREG|0644`.
pub fn file_mode(s: &mut String, mode: u64) {
    let kind = match mode >> 12 & 0xf {
        1 => "S_IFIFO",
        2 => "S_IFCHR",
        4 => "S_IFDIR",
        6 => "S_IFBLK",
        8 => "S_IFREG",
        10 => "S_IFLNK",
        12 => "S_IFSOCK",
        _ => "0",
    };
    s.push_str(kind);
    for (bit, name) in [(0o4000, "|S_ISUID"), (0o2000, "|S_ISGID"), (0o1000, "|S_ISVTX")] {
        if mode & bit != 0 {
            s.push_str(name);
        }
    }
    s.push('|');
    octal(s, mode & 0o777);
}

/// At least three digits.
pub fn octal(s: &mut String, v: u64) {
    let _ = if v == 0 { write!(s, "000") } else { write!(s, "0{v:02o}") };
}

/// `8192*1024`, `RLIM64_INFINITY`.
pub fn limit(s: &mut String, v: u64) {
    let _ = match v {
        u64::MAX => write!(s, "RLIM64_INFINITY"),
        v if v > 1024 && v & 1023 == 0 => write!(s, "{}*1024", v >> 10),
        v => write!(s, "{v}"),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(f: impl FnOnce(&mut String)) -> String {
        let mut s = String::new();
        f(&mut s);
        s
    }

    #[test]
    fn flags() {
        let open = |v| said(|s| named(s, &names::OPEN_FLAGS, v));
        assert_eq!(open(0), "O_RDONLY");
        assert_eq!(open(0o2000000), "O_RDONLY|O_CLOEXEC");
        assert_eq!(open(0o1101 | 1 << 30), "O_WRONLY|O_CREAT|O_TRUNC|0x40000000");
        assert_eq!(open(3), "0x3 /* O_??? */");
        assert_eq!(said(|s| named(s, &names::PROT, 0)), "PROT_NONE");
        assert_eq!(said(|s| named(s, &names::PROT, 0x40)), "0x40 /* PROT_??? */");
        assert_eq!(said(|s| named(s, &names::AT_FLAGS, 0)), "0");
        assert_eq!(said(|s| named(s, &names::WHENCE, 9)), "0x9 /* SEEK_??? */");
        assert_eq!(said(|s| named(s, &names::CLONE, 0x120_0011)), "CLONE_CHILD_CLEARTID|CLONE_CHILD_SETTID|SIGCHLD");
        assert_eq!(said(|s| named(s, &names::CLONE, 0x100)), "CLONE_VM");
        assert_eq!(said(|s| named(s, &names::FUTEX, 0x189)), "FUTEX_WAIT_BITSET_PRIVATE|FUTEX_CLOCK_REALTIME");
    }

    #[test]
    fn nothing_steers_a_terminal() {
        let all: alloc::vec::Vec<u8> = (0..=255).collect();
        assert!(said(|s| quote(s, &all, 999)).bytes().all(|b| (0x20..0x7f).contains(&b)));
        assert_eq!(said(|s| quote(s, b"\x7fELF\x021\0", 6)), r#""\177ELF\0021"..."#);
    }

    #[test]
    fn signals() {
        assert_eq!(said(|s| signal_set(s, SigSet(0))), "[]");
        assert_eq!(said(|s| signal_set(s, SigSet::of(2).with(33))), "[INT RT_1]");
        assert_eq!(said(|s| signal_set(s, SigSet(!0).without(9).without(19))), "~[KILL STOP]");
        assert_eq!(said(|s| signal_name(s, 32)), "SIGRTMIN");
        assert_eq!(said(|s| signal_name(s, 0)), "0");
        let child = SigInfo::child(code::CLD_KILLED, 7, 0, 9, 1, 2);
        assert_eq!(
            said(|s| siginfo(s, &child)),
            "{si_signo=SIGCHLD, si_code=CLD_KILLED, si_pid=7, si_uid=0, si_status=SIGKILL, si_utime=1, si_stime=2}"
        );
        assert_eq!(
            said(|s| siginfo(s, &SigInfo::fault(11, 1, 0))),
            "{si_signo=SIGSEGV, si_code=SEGV_MAPERR, si_addr=NULL}"
        );
        assert_eq!(said(|s| wait_status(s, 0x2a00)), "{WIFEXITED(s) && WEXITSTATUS(s) == 42}");
        assert_eq!(said(|s| wait_status(s, 9)), "{WIFSIGNALED(s) && WTERMSIG(s) == SIGKILL}");
    }

    #[test]
    fn numbers() {
        assert_eq!(said(|s| file_mode(s, 0o101755)), "S_IFREG|S_ISVTX|0755");
        assert_eq!(said(|s| octal(s, 0o22)), "022");
        assert_eq!(said(|s| limit(s, 8 << 20)), "8192*1024");
    }
}
