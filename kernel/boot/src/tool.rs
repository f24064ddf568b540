//! The ELF as a program: `lodger-kernel syscalls`, `hostcalls`, `version`; and the few decodings that boot needs before it
//! has a heap.

use crate::auxv::Initial;
use crate::{heap, memory};
use abi::layout;
use alloc::string::String;
use core::fmt::Write;
use host::calls::Check;

fn exit(code: u32) -> ! {
    loop {
        // SAFETY: ends this process.
        unsafe { host::syscall!(exit_group, code) };
    }
}

fn out(fd: i32, text: &[u8]) {
    let mut rest = text;
    while !rest.is_empty() {
        match host::file::write(fd, rest) {
            Ok(n) => rest = &rest[n..],
            Err(_) => exit(1),
        }
    }
}

/// Says how the ELF is meant to be used.
pub fn usage() -> ! {
    out(2, b"lodger-kernel: the guest kernel of a Lodger virtual machine, started by the VMM with its control channel as\ndescriptor 3. Try: lodger-kernel syscalls | hostcalls | layout | calibrate | version\n");
    exit(125)
}

/// Runs the ELF as a program.
pub fn run(initial: &Initial) -> ! {
    if memory::map_tool_heap().is_err() {
        exit(125);
    }
    heap::init();
    let text = match initial.arg(1) {
        b"syscalls" => syscalls_json(),
        b"hostcalls" => hostcalls_json(),
        b"layout" => layout_json(),
        b"calibrate" => crate::calibrate::run(),
        b"spin" => crate::calibrate::spin(),
        b"version" => alloc::format!("lodger-kernel {}\n", env!("CARGO_PKG_VERSION")),
        _ => usage(),
    };
    out(1, text.as_bytes());
    exit(0)
}

fn quoted(s: &mut String, t: &str) {
    s.push('"');
    for c in t.chars() {
        match c {
            '"' => s.push_str("\\\""),
            '\\' => s.push_str("\\\\"),
            c => s.push(c),
        }
    }
    s.push('"');
}

fn syscalls_json() -> String {
    let mut s = String::from("[");
    for c in syscalls::CALLS.iter().filter(|c| c.name != "?") {
        if s.len() > 1 {
            s.push_str(",\n");
        }
        let _ = write!(s, "{{\"nr\":{},\"name\":\"{}\",\"args\":[", c.nr, c.name);
        for (i, (name, kind)) in c.args.iter().enumerate() {
            let _ = write!(s, "{}[\"{name}\",\"{}\"]", if i > 0 { "," } else { "" }, kind.name());
        }
        let _ = write!(s, "],\"support\":\"{}\",\"note\":", c.support.name());
        quoted(&mut s, c.note);
        s.push('}');
    }
    s.push_str("]\n");
    s
}

fn hostcalls_json() -> String {
    let mut s = String::from("[");
    for c in host::calls::TABLE {
        if s.len() > 1 {
            s.push_str(",\n");
        }
        let _ = write!(s, "{{\"nr\":{},\"name\":\"{}\",\"reason\":", c.nr, c.name);
        quoted(&mut s, c.reason);
        s.push_str(",\"check\":");
        check_json(&mut s, &c.check);
        s.push('}');
    }
    s.push_str("]\n");
    s
}

/// What is required of a host call's arguments, for the `process` monitor, which checks them in the VMM.
fn check_json(s: &mut String, check: &Check) {
    let list = |values: &[u32]| {
        let mut t = String::new();
        for v in values {
            let _ = write!(t, "{}{v}", if t.is_empty() { "" } else { "," });
        }
        t
    };
    let _ = match check {
        Check::Any => write!(s, "null"),
        Check::Clear { arg, mask } => write!(s, "{{\"arg\":{arg},\"clear\":{mask}}}"),
        Check::OneOf { arg, values } => write!(s, "{{\"arg\":{arg},\"one_of\":[{}]}}", list(values)),
        Check::Pinned { arg, values, when, other, must } => write!(
            s,
            "{{\"arg\":{arg},\"one_of\":[{}],\"when\":{when},\"other\":{other},\"must\":{must}}}",
            list(values)
        ),
        Check::Null { arg } => write!(s, "{{\"arg\":{arg},\"null\":true}}"),
    };
}

/// Where things are, for the `process` monitor: the guest kernel's own code, the mode flag, the guard's host calls.
fn layout_json() -> String {
    let (open, close) = trap::guard::mprotect::portal_sites();
    let portal = trap::guard::mprotect::portal();
    alloc::format!(
        "{{\"text\":[{},{}],\"portal\":[{},{}],\"open_sites\":[{},{}],\"close_sites\":[{},{}],\"open_base\":{},\
         \"trusted_base\":{},\"pages\":{},\"kernel_base\":{},\"kernel_size\":{},\"in_user\":{}}}\n",
        layout::KERNEL_BASE,
        layout::HEAP_BASE,
        portal.start,
        portal.end,
        open[0],
        open[1],
        close[0],
        close[1],
        layout::OPEN_BASE,
        layout::TRUSTED_BASE,
        layout::MAX_SLOTS,
        layout::KERNEL_BASE,
        layout::KERNEL_SIZE,
        host::thread::offset::IN_USER
    )
}

/// Which descriptor of BOOT is the kernel-region memory: walks the fixed fields without allocating.
pub fn kernel_memory_index(packet: &[u8]) -> Option<usize> {
    let word = |at: usize| -> Option<usize> {
        let b = packet.get(at..at + 4)?;
        Some(u32::from_le_bytes([b[0], b[1], b[2], b[3]]) as usize)
    };
    if word(0)? != abi::wire::BOOT as usize {
        return None;
    }
    // kind, id, version, memory (8), pids, cpus, then the name, then monitor, guard, spaces, flags, uid, gid.
    let name = word(28)?;
    word(32usize.checked_add(name)?.checked_add(24)?)
}

/// Size of the vDSO's data pages, found by asking the host which pages before it are mapped.
pub fn vvar_size(vdso: u64) -> u64 {
    let mut n = 0;
    while n < 16 {
        let mut b = [0u8; 1];
        let page = vdso - (n + 1) * 4096;
        // SAFETY: mincore writes one byte; ENOMEM means that nothing is mapped there.
        if unsafe { host::syscall!(mincore, page, 4096, b.as_mut_ptr()) } < 0 {
            break;
        }
        n += 1;
    }
    n * 4096
}
