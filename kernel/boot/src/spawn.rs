//! SPAWN: commands of the VMM.

use crate::accounts;
use abi::wire;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use control::gate::Gate;
use control::message::{Boot, Spawn, Writer};
use control::server::{self, SpawnFailure};
use control::stream::HostStream;
use core_::exec::Program;
use core_::fd::FdTable;
use core_::file::{File, oflag};
use core_::signal::{Action, SigHand, SigSet, sig};
use core_::task::{Cred, Outside, Process, TREE, Template, Thread, default_rlimits, new_process, rlimit};
use core_::vfs::{self, FsContext, Walk};
use core_::{Errno, Mutex};
use syscalls::process::seat;

/// EXITED's fault: a guest-machine process died of the host's hand.
pub const FAULT_KILLED: u32 = 3;

/// What is known of a command, until the machine ends.
struct Command {
    pid: u32,
    fault: u32,
    console: Option<crate::terminal::Terminal>,
    gate: Arc<Gate>,
}

static COMMANDS: Mutex<BTreeMap<u32, Command>> = host::sync::mutex(BTreeMap::new());

/// The process of a command, where it still lives.
pub fn find(id: u32) -> Option<Arc<Process>> {
    let pid = COMMANDS.lock().get(&id)?.pid;
    TREE.lock().process(pid).filter(|p| p.spawn_id.load(core::sync::atomic::Ordering::Relaxed) == u64::from(id))
}

pub fn fault_of(id: u32) -> u32 {
    COMMANDS.lock().get(&id).map_or(0, |c| c.fault)
}

pub fn set_fault(id: u32, fault: u32) {
    if let Some(c) = COMMANDS.lock().get_mut(&id) {
        c.fault = fault;
    }
}

/// Changes a command's terminal size.
///
/// # Errors
/// `ESRCH`, `ENOTTY`.
pub fn resize(id: u32, rows: u32, cols: u32) -> Result<(), Errno> {
    let c = COMMANDS.lock();
    let t = c.get(&id).ok_or(Errno::ESRCH)?.console.as_ref().ok_or(Errno::ENOTTY)?;
    t.resize(rows, cols);
    Ok(())
}

/// Whether the command may read the host's terminal.
///
/// # Errors
/// `ESRCH`.
pub fn terminal(id: u32, state: u32) -> Result<(), Errno> {
    let (gate, console) = {
        let commands = COMMANDS.lock();
        let c = commands.get(&id).ok_or(Errno::ESRCH)?;
        (c.gate.clone(), c.console.clone())
    };
    gate.set(state);
    if let Some(t) = console.filter(|_| gate.open()) {
        t.gate_opened();
    }
    Ok(())
}

/// The VMM's shell, where a command is its job.
pub static SHELL: Outside = Outside { continues: |p| gate_of(p).is_some_and(|g| g.job), stopped };

fn gate_of(p: &Process) -> Option<Arc<Gate>> {
    COMMANDS.lock().get(&(p.origin as u32)).map(|c| c.gate.clone())
}

fn stopped(p: &Process) {
    if let Some(g) = gate_of(p).filter(|g| g.job) {
        g.ask(wire::ASK_STOP);
    }
}

/// The VMM stops the command: it need not be told.
pub fn stopping(id: u32) {
    if let Some(c) = COMMANDS.lock().get(&id) {
        c.gate.mute(wire::ASK_STOP);
    }
}

/// The command has ended: its terminal's output goes out, then the terminal is gone.
pub fn close_console(id: u32) {
    let t = COMMANDS.lock().get_mut(&id).and_then(|c| c.console.take());
    if let Some(t) = t {
        t.close();
    }
}

/// Starts a command; STARTED is sent before its first instruction, so that EXITED can not overtake it.
///
/// # Errors
/// The errno and a sentence.
pub fn spawn(mut s: Spawn, boot: &Boot) -> Result<(), SpawnFailure> {
    let id = s.id;
    let name = String::from_utf8_lossy(&s.argv[0]).into_owned();
    let who = accounts::identify(&s)?;
    let cred = Arc::new(Cred::user(who.uid, who.gid, who.groups));
    if !s.envp.iter().any(|e| e.starts_with(b"HOME=")) {
        s.envp.push([b"HOME=", who.home.as_slice()].concat());
    }
    let fs = FsContext::initial().map_err(|e| (e, String::from("the machine has no root directory")))?;
    let mut walk = walk_as(&cred).map_err(|e| (e, String::from("no root directory")))?;
    let directory = String::from_utf8_lossy(&s.cwd).into_owned();
    let nowhere = |e: Errno| (e, format!("working directory {directory}: {}", sentence(e)));
    let cwd = walk.lookup(&s.cwd, true).map_err(nowhere)?;
    if !cwd.dentry.is_dir() {
        return Err((Errno::ENOTDIR, format!("working directory {directory} is not a directory")).into());
    }
    cwd.inode().and_then(|i| vfs::perm::check(i, &cred, vfs::perm::EXEC)).map_err(nowhere)?;
    fs.set_cwd(cwd.clone());
    let open = |path: &[u8]| {
        let mut w = walk_as(&cred)?;
        w.set_base(cwd.clone());
        core_::exec::open_exec_as(&mut w, path)
    };
    let unusable = |e: Errno| SpawnFailure { errno: e, text: format!("{name}: {}", sentence(e)), of_program: true };
    let rlimits = default_rlimits(u64::from(boot.max_files), u64::from(boot.pids_max));
    core_::exec::check_size(&s.argv, &s.envp, rlimits[rlimit::STACK].cur).map_err(unusable)?;
    let (file, path) = resolve(&s, &open).map_err(unusable)?;
    let program = Program::open(file, path, core::mem::take(&mut s.argv), core::mem::take(&mut s.envp), &open)
        .map_err(unusable)?;

    let gate = Gate::new(id, s.flags);
    let (files, console) = stdio(&mut s, &gate).map_err(|e| (e, format!("standard streams: {e}")))?;
    let p = new_process(Template {
        pid: None,
        ppid: 1,
        maker: 1,
        pgid: 0,
        session: None,
        cred: cred.clone(),
        sighand: Arc::new(SigHand::new([Action::default(); 64])),
        mm: None,
        rlimits,
        exit_signal: sig::CHLD,
        spawn_id: u64::from(id),
        origin: u64::from(id),
    })
    .map_err(|e| (e, format!("{name}: the machine's limit of {} processes is reached", boot.pids_max)))?;
    let undo = |p: &Arc<Process>| syscalls::process::exit::forget(p);
    let seat = seat::take().map_err(|e| {
        undo(&p);
        (e, String::from("no thread slot is free"))
    })?;
    let t = Arc::new(Thread::new(p.pid, p.clone(), seat.slot(), cred, files, fs, program.comm(), SigSet::EMPTY));
    if let Some(c) = &console {
        c.make_controlling(&p);
    }
    COMMANDS.lock().insert(id, Command { pid: p.pid, fault: 0, console, gate });
    server::send(Writer::new(wire::STARTED, id).u32(p.pid));
    core_::task::add_thread(&t);
    seat.start(t, program);
    Ok(())
}

fn walk_as(cred: &Arc<Cred>) -> Result<Walk, Errno> {
    let mut w = Walk::kernel()?;
    w.set_cred(cred.clone());
    Ok(w)
}

/// The program file: as named, or looked up in PATH as execvp(3) does.
fn resolve(s: &Spawn, open: &dyn Fn(&[u8]) -> Result<Arc<File>, Errno>) -> Result<(Arc<File>, Vec<u8>), Errno> {
    let name = &s.argv[0];
    if name.contains(&b'/') {
        return Ok((open(name)?, name.clone()));
    }
    if name.is_empty() {
        return Err(Errno::ENOENT);
    }
    let path =
        s.envp.iter().find_map(|e| e.strip_prefix(b"PATH=".as_slice())).unwrap_or(b"/usr/local/bin:/usr/bin:/bin");
    let mut result = Err(Errno::ENOENT);
    for dir in path.split(|b| *b == b':') {
        let mut full = if dir.is_empty() { b".".to_vec() } else { dir.to_vec() };
        full.push(b'/');
        full.extend_from_slice(name);
        match open(&full) {
            Ok(f) => return Ok((f, full)),
            Err(Errno::EACCES) => result = Err(Errno::EACCES),
            Err(Errno::ENOENT | Errno::ENOTDIR) => {}
            // Not "not found", which would be a lie.
            Err(e) => return Err(e),
        }
    }
    result
}

fn sentence(e: Errno) -> &'static str {
    match e {
        Errno::ENOENT => "not found in the machine",
        Errno::EACCES => "permission denied",
        Errno::ENOEXEC => "not an executable format",
        Errno::E2BIG => {
            "arguments and environment are too long (2 MiB is the most): give it a file, or its standard input"
        }
        Errno::ENOTDIR => "a part of the path is not a directory",
        Errno::ELOOP => "too many symbolic links or script interpreters",
        _ => e.name(),
    }
}

/// Descriptors 0, 1, 2 of a command.
fn stdio(s: &mut Spawn, gate: &Arc<Gate>) -> Result<(Arc<FdTable>, Option<crate::terminal::Terminal>), Errno> {
    let files = FdTable::new();
    let limit = 1024;
    if s.tty {
        let (Some(input), Some(output)) = (s.stdio[0].take(), s.stdio[1].take()) else { return Err(Errno::EBADF) };
        let (file, terminal) = crate::terminal::new(input, output, s.rows, s.cols, gate)?;
        for fd in 0..3 {
            files.replace(fd, file.clone(), false, limit)?;
        }
        return Ok((files, Some(terminal)));
    }
    for (fd, host) in s.stdio.iter_mut().enumerate() {
        let file = match host.take() {
            Some(h) => HostStream::open(h, gate)?,
            None => null()?,
        };
        files.replace(fd as i32, file, false, limit)?;
    }
    Ok((files, None))
}

fn null() -> Result<Arc<File>, Errno> {
    core_::vfs::kernel::kopen(b"/dev/null", oflag::RDWR)
}
