//! ELF files (elf(5)): 64-bit x86, executable or position-independent.

use super::read_file;
use crate::file::File;
use crate::mm::{Mm, flag};
use crate::{Errno, Result};
use abi::layout::{self, PAGE};
use alloc::sync::Arc;
use alloc::vec::Vec;

const PT_LOAD: u32 = 1;
const PT_INTERP: u32 = 3;
const ET_EXEC: u16 = 2;
const ET_DYN: u16 = 3;
const EM_X86_64: u16 = 62;
const PHDR: usize = 56;
/// More program headers than this (64 KiB of them) is no program (Linux's own limit).
const MAX_PHNUM: u16 = 1170;

#[derive(Clone, Copy, Debug)]
struct Segment {
    kind: u32,
    flags: u32,
    offset: u64,
    vaddr: u64,
    filesz: u64,
    memsz: u64,
    align: u64,
}

/// The headers of an ELF file.
pub struct Header {
    dynamic: bool,
    entry: u64,
    phoff: u64,
    segments: Vec<Segment>,
}

/// Where an ELF file was mapped.
#[derive(Debug)]
pub struct Mapped {
    pub bias: u64,
    pub entry: u64,
    pub phdr: u64,
    pub brk: u64,
    pub code: (u64, u64),
    pub data: (u64, u64),
}

fn u16_at(b: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([b[at], b[at + 1]])
}

fn u32_at(b: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([b[at], b[at + 1], b[at + 2], b[at + 3]])
}

fn u64_at(b: &[u8], at: usize) -> u64 {
    let mut w = [0; 8];
    w.copy_from_slice(&b[at..at + 8]);
    u64::from_le_bytes(w)
}

impl Header {
    /// Reads the headers; `head` is the file's beginning.
    ///
    /// # Errors
    /// `ENOEXEC`.
    pub fn read(file: &File, head: &[u8]) -> Result<Header> {
        if head.len() < 64 || &head[..4] != b"\x7fELF" || head[4] != 2 || head[5] != 1 {
            return Err(Errno::ENOEXEC);
        }
        let kind = u16_at(head, 16);
        let (phentsize, phnum) = (u16_at(head, 54), u16_at(head, 56));
        if !matches!(kind, ET_EXEC | ET_DYN)
            || u16_at(head, 18) != EM_X86_64
            || phentsize as usize != PHDR
            || phnum == 0
            || phnum > MAX_PHNUM
        {
            return Err(Errno::ENOEXEC);
        }
        let phoff = u64_at(head, 32);
        let mut raw = alloc::vec![0; phnum as usize * PHDR];
        if read_file(file, phoff, &mut raw)? < raw.len() {
            return Err(Errno::ENOEXEC);
        }
        let segments = raw
            .chunks_exact(PHDR)
            .map(|p| Segment {
                kind: u32_at(p, 0),
                flags: u32_at(p, 4),
                offset: u64_at(p, 8),
                vaddr: u64_at(p, 16),
                filesz: u64_at(p, 32),
                memsz: u64_at(p, 40),
                align: u64_at(p, 48),
            })
            .collect();
        Ok(Header { dynamic: kind == ET_DYN, entry: u64_at(head, 24), phoff, segments })
    }

    #[must_use]
    pub fn phnum(&self) -> u16 {
        self.segments.len() as u16
    }

    /// The path of the ELF interpreter, if the program asks for one.
    ///
    /// # Errors
    /// `ENOEXEC`.
    pub fn interp(&self, file: &File) -> Result<Option<Vec<u8>>> {
        let Some(s) = self.segments.iter().find(|s| s.kind == PT_INTERP) else { return Ok(None) };
        if !(2..=4096).contains(&s.filesz) {
            return Err(Errno::ENOEXEC);
        }
        let mut path = alloc::vec![0; s.filesz as usize];
        if read_file(file, s.offset, &mut path)? < path.len() || path.pop() != Some(0) {
            return Err(Errno::ENOEXEC);
        }
        Ok(Some(path))
    }

    fn loads(&self) -> impl Iterator<Item = &Segment> {
        self.segments.iter().filter(|s| s.kind == PT_LOAD)
    }

    /// Maps all segments.
    ///
    /// # Errors
    /// `ENOEXEC` for nonsense, `ENOMEM`.
    pub fn map(&self, mm: &Mm, file: &Arc<File>) -> Result<Mapped> {
        let page_down = |n: u64| n & !(PAGE - 1);
        let (mut low, mut high) = (u64::MAX, 0u64);
        for s in self.loads() {
            let end = s.vaddr.checked_add(s.memsz).filter(|e| *e < layout::USER_MAX).ok_or(Errno::ENOEXEC)?;
            if s.filesz > s.memsz || (s.vaddr ^ s.offset) & (PAGE - 1) != 0 {
                return Err(Errno::ENOEXEC);
            }
            low = low.min(page_down(s.vaddr));
            high = high.max(end.checked_add(PAGE - 1).map(page_down).ok_or(Errno::ENOEXEC)?);
        }
        if low >= high {
            return Err(Errno::ENOEXEC);
        }
        let span = high - low;
        let bias = if self.dynamic { self.choose_base(mm, file, span)?.wrapping_sub(low) } else { 0 };
        let at = |v: u64| v.wrapping_add(bias);
        let over = |from: u64, to: u64| from < layout::STUBS_END && to > layout::JUMP_TABLE;
        // Before the first segment, the text perhaps, which must not be a copy that goes through the table.
        if self.loads().any(|s| over(page_down(at(s.vaddr)), at(s.vaddr) + s.memsz)) {
            mm.go_over_table();
        }
        let mut m = Mapped { bias, entry: at(self.entry), phdr: 0, brk: 0, code: (u64::MAX, 0), data: (0, 0) };
        for s in self.loads() {
            let prot = (s.flags & 4) >> 2 | (s.flags & 2) | (s.flags & 1) << 2;
            let start = page_down(at(s.vaddr));
            let skew = at(s.vaddr) - start;
            let file_end = at(s.vaddr) + s.filesz;
            let mem_end = at(s.vaddr) + s.memsz;
            if s.filesz > 0 && over(start, file_end) {
                mm.map_over_table(start, skew + s.filesz, prot, Some((file.clone(), s.offset - skew)))?;
            } else if s.filesz > 0 {
                mm.mmap(
                    start,
                    skew + s.filesz,
                    prot,
                    flag::PRIVATE | flag::FIXED,
                    Some(file.clone()),
                    s.offset - skew,
                )?;
            }
            let file_pages_end = if s.filesz > 0 { (file_end + PAGE - 1) & !(PAGE - 1) } else { start };
            if mem_end > file_end && s.filesz > 0 && prot & flag::PROT_WRITE != 0 {
                let n = file_pages_end.min(mem_end) - file_end;
                host::user::zero(file_end, n as usize).map_err(|_| Errno::ENOEXEC)?;
                // Linux clears the rest of the page, too, beyond the segment's end.
                if mem_end < file_pages_end {
                    let _ = host::user::zero(mem_end, (file_pages_end - mem_end) as usize);
                }
            }
            if mem_end > file_pages_end {
                let flags = flag::PRIVATE | flag::ANONYMOUS | flag::FIXED;
                if over(file_pages_end, mem_end) {
                    mm.map_over_table(file_pages_end, mem_end - file_pages_end, prot, None)?;
                } else {
                    mm.mmap(file_pages_end, mem_end - file_pages_end, prot, flags, None, 0)?;
                }
            }
            if (s.offset..s.offset + s.filesz).contains(&self.phoff) {
                m.phdr = at(s.vaddr) + (self.phoff - s.offset);
            }
            m.brk = m.brk.max(mem_end);
            if prot & flag::PROT_EXEC != 0 {
                m.code = (m.code.0.min(at(s.vaddr)), m.code.1.max(file_end));
            } else if prot & flag::PROT_WRITE != 0 {
                m.data = (at(s.vaddr), file_end);
            }
        }
        m.brk = (m.brk + PAGE - 1) & !(PAGE - 1);
        if !self.dynamic {
            // A fixed low program: its heap gets room that neither the jump table nor the guest kernel cuts short.
            m.brk = 0x1_0000_0000 + (random() & 0xfff_f000);
        }
        Ok(m)
    }

    /// A base for a position-independent file: the one it had before in this VM if that is free.
    fn choose_base(&self, mm: &Mm, file: &Arc<File>, span: u64) -> Result<u64> {
        let align = self
            .loads()
            .map(|s| s.align)
            .filter(|a| a.is_power_of_two() && *a <= 1 << 30)
            .max()
            .unwrap_or(PAGE)
            .max(PAGE);
        let id = file.ops().text_identity(file);
        if let Some(base) = id.and_then(|id| super::preferred(id, span))
            && mm.space.lock().areas.free(base, base + span)
        {
            return Ok(base);
        }
        // Above 0x5555_0000_0000 where Linux puts programs; an interpreter goes where the host's mmap would put a library.
        for _ in 0..16 {
            let base = (0x5555_0000_0000 + (random() & 0xff_ffff_f000)) & !(align - 1);
            if mm.space.lock().areas.free(base, base + span + (64 << 20)) {
                if let Some(id) = id {
                    super::prefer(id, span, base);
                }
                return Ok(base);
            }
        }
        Err(Errno::ENOMEM)
    }
}

fn random() -> u64 {
    let mut b = [0; 8];
    host::process::getrandom(&mut b);
    u64::from_le_bytes(b)
}
