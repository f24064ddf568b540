//! execve(2): from a file to a program in memory.
//!
//! [`Program::open`] does everything that can fail for the caller (scripts, headers, argument sizes); [`Program::load`]
//! maps the image into an empty address space.

mod elf;
mod find;
mod stack;

pub use stack::{STACK_GAP, check_size};

pub use elf::Header;
pub use find::{exec_ids, open_exec, open_exec_as};

use crate::file::File;
use crate::io::IoBuf;
use crate::mm::{Image, Mm};
use crate::task::Cred;
use crate::{Errno, Mutex, Result};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

/// How many `#!` lines may lead to each other (Linux: 5 interpreters deep).
const MAX_SCRIPTS: usize = 5;
/// Longest `#!` line that is looked at (BINPRM_BUF_SIZE).
const LINE: usize = 256;

/// A program about to be run.
pub struct Program {
    pub file: Arc<File>,
    header: Header,
    interp: Option<(Arc<File>, Header)>,
    pub argv: Vec<Vec<u8>>,
    pub envp: Vec<Vec<u8>>,
    /// AT_EXECFN: the path as given.
    pub execfn: Vec<u8>,
}

/// Where the new program starts.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    pub rip: u64,
    pub rsp: u64,
}

/// Host values that go into the auxiliary vector, told by boot.
static HWCAP: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];

/// Tells AT_HWCAP and AT_HWCAP2 of the host.
pub fn set_hwcap(hwcap: u64, hwcap2: u64) {
    // FSGSBASE (bit 1) is not offered: GS is the guest kernel's.
    HWCAP[0].store(hwcap, Ordering::Relaxed);
    HWCAP[1].store(hwcap2 & !2, Ordering::Relaxed);
}

/// Reads exactly the bytes at `off`; shorter where the file ends.
///
/// # Errors
/// The file's.
pub fn read_file(file: &File, off: u64, buf: &mut [u8]) -> Result<usize> {
    let mut done = 0;
    while done < buf.len() {
        let n = file.ops().read(file, &mut IoBuf::kernel_out(&mut buf[done..]), off + done as u64)?;
        if n == 0 {
            break;
        }
        done += n;
    }
    Ok(done)
}

impl Program {
    /// Opens `file` (already permission-checked; `execfn` is the path it was named by) and everything that it
    /// needs: script interpreters, the ELF interpreter. `open` finds a file by path and checks that it may be executed.
    ///
    /// # Errors
    /// `ENOEXEC`, `ELIBBAD`, `E2BIG`, `ELOOP`, and what `open` gives.
    pub fn open(
        mut file: Arc<File>,
        execfn: Vec<u8>,
        mut argv: Vec<Vec<u8>>,
        envp: Vec<Vec<u8>>,
        open: &dyn Fn(&[u8]) -> Result<Arc<File>>,
    ) -> Result<Program> {
        let mut name = execfn.clone();
        let mut head = [0u8; LINE];
        for _ in 0..=MAX_SCRIPTS {
            head.fill(0);
            let n = read_file(&file, 0, &mut head)?;
            if n < 2 || &head[..2] != b"#!" {
                let header = Header::read(&file, &head[..n])?;
                let interp = match header.interp(&file)? {
                    Some(path) => {
                        let f = open(&path)?;
                        let mut h = [0u8; LINE];
                        let n = read_file(&f, 0, &mut h)?;
                        let header = Header::read(&f, &h[..n]).map_err(|_| Errno::ELIBBAD)?;
                        Some((f, header))
                    }
                    None => None,
                };
                return Ok(Program { file, header, interp, argv, envp, execfn });
            }
            let (interp, arg) = script_line(&head[2..n])?;
            // argv[0] is replaced by interpreter, argument, script path (execve(2)).
            let mut new = alloc::vec![interp.clone()];
            new.extend(arg);
            new.push(name);
            new.extend(argv.into_iter().skip(1));
            argv = new;
            file = open(&interp)?;
            name = interp;
        }
        Err(Errno::ELOOP)
    }

    /// Maps the program into `mm`, whose host address space is empty, and lays out its stack.
    ///
    /// # Errors
    /// `ENOMEM`, `ENOEXEC`: the caller kills the process, as Linux does past the point of no return.
    pub fn load(&self, mm: &Mm, cred: &Cred, secure: bool, stack_limit: u64) -> Result<Start> {
        let main = self.header.map(mm, &self.file)?;
        let (entry, base) = match &self.interp {
            Some((file, header)) => {
                let m = header.map(mm, file)?;
                file.give_up_claim();
                (m.entry, m.bias)
            }
            None => (main.entry, 0),
        };
        let mut image = Image {
            brk_start: main.brk,
            brk: main.brk,
            code_start: main.code.0,
            code_end: main.code.1,
            data_start: main.data.0,
            data_end: main.data.1,
            ..Image::default()
        };
        let (_, vdso, _) = crate::mm::vdso();
        let hw = |i: usize| HWCAP[i].load(Ordering::Relaxed);
        // getauxval(3); order as Linux's binfmt_elf.
        let mut aux = Vec::with_capacity(48);
        let mut push = |k: u64, v: u64| aux.extend([k, v]);
        if vdso != 0 {
            push(33, vdso);
        }
        push(51, stack::MIN_SIGSTACK);
        push(16, hw(0));
        push(6, 4096);
        push(17, 100);
        push(3, main.phdr);
        push(4, 56);
        push(5, u64::from(self.header.phnum()));
        push(7, base);
        push(8, 0);
        push(9, main.entry);
        push(11, u64::from(cred.uid));
        push(12, u64::from(cred.euid));
        push(13, u64::from(cred.gid));
        push(14, u64::from(cred.egid));
        push(23, u64::from(secure));
        push(26, hw(1));
        let rsp = stack::build(mm, &mut image, self, aux, stack_limit)?;
        let mut s = mm.space.lock();
        s.image = image;
        s.exe = Some(self.file.clone());
        Ok(Start { rip: entry, rsp })
    }

    /// The name for comm: the last part of the executed path.
    #[must_use]
    pub fn comm(&self) -> [u8; 16] {
        comm_of(&self.execfn)
    }
}

/// The first 15 bytes of the last component of `path`.
#[must_use]
pub fn comm_of(path: &[u8]) -> [u8; 16] {
    let name = path.rsplit(|b| *b == b'/').next().unwrap_or(path);
    let mut c = [0; 16];
    let n = name.len().min(15);
    c[..n].copy_from_slice(&name[..n]);
    c
}

/// Splits `interpreter [argument]` (execve(2)): the rest of the line is one argument.
fn script_line(line: &[u8]) -> Result<(Vec<u8>, Option<Vec<u8>>)> {
    let blank = |b: &u8| *b == b' ' || *b == b'\t';
    let end = line.iter().position(|b| *b == b'\n');
    let text = match end {
        Some(e) => &line[..e],
        // No newline: the name must at least be complete.
        None => {
            let start = line.iter().position(|b| !blank(b)).ok_or(Errno::ENOEXEC)?;
            if line.len() >= LINE - 2 && !line[start..].iter().any(blank) {
                return Err(Errno::ENOEXEC);
            }
            line
        }
    };
    let text: &[u8] = text.split(|b| *b == 0).next().unwrap_or(text);
    let start = text.iter().position(|b| !blank(b)).ok_or(Errno::ENOEXEC)?;
    let text = &text[start..];
    let stop = text.iter().position(blank).unwrap_or(text.len());
    let interp = text[..stop].to_vec();
    if interp.is_empty() {
        return Err(Errno::ENOEXEC);
    }
    let rest = &text[stop..];
    let arg = rest.iter().position(|b| !blank(b)).map(|s| {
        let rest = &rest[s..];
        let stop = rest.iter().rposition(|b| !blank(b)).map_or(0, |e| e + 1);
        rest[..stop].to_vec()
    });
    Ok((interp, arg.filter(|a| !a.is_empty())))
}

/// Addresses at which files are mapped wherever they can be: a file that lies at the same address in all processes needs one
/// patched text for all. So addresses are random for each VM, not for each process.
static PREFERRED: Mutex<Vec<(u64, u64, u64, u64)>> = host::sync::mutex(Vec::new());

/// The address chosen earlier for `len` bytes of the file (device, inode).
#[must_use]
pub fn preferred(id: (u64, u64), len: u64) -> Option<u64> {
    PREFERRED.lock().iter().find(|p| (p.0, p.1, p.2) == (id.0, id.1, len)).map(|p| p.3)
}

/// Remembers where the file was mapped first.
pub fn prefer(id: (u64, u64), len: u64, addr: u64) {
    let mut p = PREFERRED.lock();
    if p.len() < 4096 && !p.iter().any(|p| (p.0, p.1, p.2) == (id.0, id.1, len)) {
        p.push((id.0, id.1, len, addr));
    }
}
