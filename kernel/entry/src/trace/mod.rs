//! `--trace`: one line a system call, a signal, an end, in strace's look. What is said of arguments comes from the table's rows
//! (`syscalls::kind`).

mod show;
mod value;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;
use core::sync::atomic::{AtomicI32, Ordering};
use core_::exec::Program;
use core_::signal::SigInfo;
use core_::task::{Event, Exit, Thread};
use core_::{Mutex, Result};
use show::Arguments;
use syscalls::kind::Names;
use syscalls::{Args, Call, Kind, Support};

/// No line is longer: what is written to a pipe at once stays together up to 4096 bytes (pipe(7)).
const LONGEST: usize = 4000;
/// Calls that do not come back.
const NR_EXIT: u32 = 60;
const NR_EXIT_GROUP: u32 = 231;
/// Calls that come back only with an error: elsewhere and in a new program otherwise.
const NR_EXECVE: u32 = 59;
const NR_EXECVEAT: u32 = 322;
/// The call whose result is another's.
const NR_SIGRETURN: u32 = 15;

static FD: AtomicI32 = AtomicI32::new(-1);
/// Lines by the thread's address: both its number and its slot may change while it is in execve.
type Lines = Mutex<Vec<(usize, String)>>;
/// Of threads in execve: whoever runs the new program ends them.
static EXECS: Lines = host::sync::mutex(Vec::new());
/// To be written after the line of the call that the thread is in.
static LATER: Lines = host::sync::mutex(Vec::new());

/// Sends trace lines to host descriptor `fd` from now on.
pub fn start(fd: i32) {
    FD.store(fd, Ordering::Relaxed);
    core_::task::watch(&(event as fn(&Thread, &Event<'_>)));
}

/// True where calls are traced.
#[inline]
#[must_use]
pub fn on() -> bool {
    FD.load(Ordering::Relaxed) >= 0
}

/// The line of a call so far.
pub struct Line {
    text: String,
    /// The first argument that is not in it: from the first on that the call fills.
    next: usize,
}

/// The beginning of a call's line, with what the call may change or never come back from.
pub fn enter(me: &Thread, call: &Call, args: &Args) -> Line {
    let mut text = String::new();
    let _ = write!(text, "{}(", call.name);
    if call.args.is_empty() && call.support == Support::Missing {
        for (i, a) in args.0.iter().enumerate() {
            let _ = write!(text, "{}{a:#x}", if i > 0 { ", " } else { "" });
        }
    }
    let next = Arguments::new(call, args, None).show(&mut text, 0);
    match call.nr {
        NR_EXIT | NR_EXIT_GROUP => write_line(me, core::mem::take(&mut text) + ") = ?"),
        NR_EXECVE | NR_EXECVEAT => EXECS.lock().push((key(me), core::mem::take(&mut text))),
        _ => {}
    }
    Line { text, next }
}

/// Ends the line with what the call has filled, and with its result.
pub fn leave(me: &Thread, call: &Call, args: &Args, line: Line, result: &Result<i64>) {
    let Line { mut text, next } = line;
    if matches!(call.nr, NR_EXECVE | NR_EXECVEAT) {
        match take(&EXECS, me) {
            Some(t) => text = t,
            // The new program's line has been written.
            None => return,
        }
    }
    let mut arguments = Arguments::new(call, args, Some(result));
    arguments.show(&mut text, next);
    let mut result = *result;
    if call.nr == NR_SIGRETURN {
        text.push_str("{mask=");
        value::signal_set(&mut text, me.blocked());
        text.push('}');
        let ret = trap::context::current().regs.rax as i64;
        result = core_::Errno::from_ret(ret).map(|_| ret);
    }
    text.push_str(") = ");
    let _ = match result {
        Err(e) if e.is_restart() => write!(text, "? {e} ({})", e.text()),
        Err(e) => write!(text, "-1 {e} ({})", e.text()),
        Ok(v) => {
            number(&mut text, call, arguments.result_names(), v);
            Ok(())
        }
    };
    write_line(me, text);
    while let Some(t) = take(&LATER, me) {
        write_line(me, t);
    }
}

/// What a call has given back.
fn number(s: &mut String, call: &Call, names: Option<&Names>, v: i64) {
    let _ = match (names, call.args.first()) {
        (Some(names), _) => {
            let _ = write!(s, "{v:#x} (flags ");
            value::named(s, names, v as u64);
            write!(s, ")")
        }
        (None, Some((_, Kind::Mode))) => return value::octal(s, v as u64),
        (None, Some((_, Kind::Addr))) if v != 0 => write!(s, "{v:#x}"),
        _ => write!(s, "{v}"),
    };
}

/// A signal is about to be acted on.
pub fn signal(me: &Thread, info: &SigInfo) {
    write_line(me, signal_line(info));
}

fn signal_line(info: &SigInfo) -> String {
    let mut s = String::from("--- ");
    value::signal_name(&mut s, info.signo);
    s.push(' ');
    value::siginfo(&mut s, info);
    s + " ---"
}

/// The thread's process stops.
pub fn stopped(me: &Thread, signo: u32) {
    let mut s = String::from("--- stopped by ");
    value::signal_name(&mut s, signo);
    write_line(me, s + " ---");
}

fn event(t: &Thread, event: &Event<'_>) {
    match event {
        // Its own doing: the call's line comes first.
        Event::Ignored(info) if t.slot() == host::thread::slot() => LATER.lock().push((key(t), signal_line(info))),
        Event::Ignored(info) => signal(t, info),
        Event::Exec(program) => write_line(t, take(&EXECS, t).unwrap_or_else(|| first_exec(program)) + ") = 0"),
        Event::Ended(status) => {
            // Its execve could not go back any more.
            if let Some(line) = take(&EXECS, t) {
                write_line(t, line + ") = ?");
            }
            while take(&LATER, t).is_some() {}
            ended(t, *status);
        }
    }
}

fn ended(t: &Thread, Exit(status): Exit) {
    let mut s = String::from("+++ ");
    if status & 0x7f == 0 {
        let _ = write!(s, "exited with {}", status >> 8);
    } else {
        s.push_str("killed by ");
        value::signal_name(&mut s, status & 0x7f);
    }
    write_line(t, s + " +++");
}

/// The line of a program that the VMM has started: no call of a guest thread has done it.
fn first_exec(program: &Program) -> String {
    let mut s = String::from("execve(");
    value::quote(&mut s, &program.execfn, value::LONG);
    for (i, a) in program.argv.iter().take(value::MANY).enumerate() {
        s.push_str(if i > 0 { ", " } else { ", [" });
        value::quote(&mut s, a, value::SHORT);
    }
    let more = if program.argv.len() > value::MANY { ", ..." } else { "" };
    let _ = write!(s, "{more}], [/* {} vars */]", program.envp.len());
    s
}

fn key(t: &Thread) -> usize {
    core::ptr::from_ref(t).addr()
}

/// Takes the thread's first line out of the list.
fn take(list: &Lines, t: &Thread) -> Option<String> {
    let mut lines = list.lock();
    let at = lines.iter().position(|(k, _)| *k == key(t))?;
    Some(lines.remove(at).1)
}

fn write_line(t: &Thread, mut text: String) {
    // All of it is ASCII (`value::quote`).
    if text.len() > LONGEST {
        text.truncate(LONGEST);
        text.push_str("...");
    }
    let out = alloc::format!("[{:5}] {text}\n", t.tid());
    // One write a line keeps lines whole; a full pipe loses the line, not the guest.
    let _ = host::file::write(FD.load(Ordering::Relaxed), out.as_bytes());
}
