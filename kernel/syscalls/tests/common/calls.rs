//! System calls as short functions for tests.
#![allow(dead_code)]

use super::{call, s};

pub const RDONLY: u64 = 0;
pub const WRONLY: u64 = 1;
pub const RDWR: u64 = 2;
pub const CREAT: u64 = 0o100;
pub const EXCL: u64 = 0o200;
pub const TRUNC: u64 = 0o1000;
pub const APPEND: u64 = 0o2000;
pub const DIRECTORY: u64 = 0o200_000;
pub const NOFOLLOW: u64 = 0o400_000;
pub const TMPFILE: u64 = 0o20_200_000;
pub const AT_FDCWD: u64 = -100i64 as u64;

pub fn open(path: &str, flags: u64, mode: u64) -> Result<u64, &'static str> {
    call("open", &[s(path).p(), flags, mode]).map(|fd| fd as u64)
}

pub fn close(fd: u64) {
    call("close", &[fd]).unwrap();
}

pub fn write(fd: u64, data: &[u8]) -> Result<i64, &'static str> {
    call("write", &[fd, data.as_ptr() as u64, data.len() as u64])
}

pub fn read(fd: u64, n: usize) -> Result<Vec<u8>, &'static str> {
    let mut buf = vec![0xeeu8; n];
    let got = call("read", &[fd, buf.as_mut_ptr() as u64, n as u64])?;
    buf.truncate(got as usize);
    Ok(buf)
}

pub fn cat(path: &str) -> Result<Vec<u8>, &'static str> {
    let fd = open(path, RDONLY, 0)?;
    let mut out = Vec::new();
    loop {
        let part = read(fd, 4000)?;
        if part.is_empty() {
            close(fd);
            return Ok(out);
        }
        out.extend(part);
    }
}

pub fn text(path: &str) -> String {
    String::from_utf8(cat(path).unwrap()).unwrap()
}

pub fn put(path: &str, data: &[u8]) {
    let fd = open(path, WRONLY | CREAT | TRUNC, 0o644).unwrap();
    assert_eq!(write(fd, data), Ok(data.len() as i64));
    close(fd);
}

pub fn stat(path: &str) -> Result<abi::linux::stat, &'static str> {
    stat_by("stat", path)
}

pub fn stat_by(name: &str, path: &str) -> Result<abi::linux::stat, &'static str> {
    let mut st: abi::linux::stat = core_::uaccess::zeroed();
    call(name, &[s(path).p(), &raw mut st as u64])?;
    Ok(st)
}

pub fn one(name: &str, path: &str) -> Result<i64, &'static str> {
    call(name, &[s(path).p()])
}

pub fn two(name: &str, a: &str, b: &str) -> Result<i64, &'static str> {
    call(name, &[s(a).p(), s(b).p()])
}

pub fn mkdir(path: &str) {
    call("mkdir", &[s(path).p(), 0o755]).unwrap();
}

pub fn ls(path: &str) -> Vec<String> {
    let fd = open(path, RDONLY | DIRECTORY, 0).unwrap();
    let mut out = Vec::new();
    loop {
        let mut buf = vec![0u8; 300];
        let n = call("getdents64", &[fd, buf.as_mut_ptr() as u64, 300]).unwrap() as usize;
        if n == 0 {
            break;
        }
        let mut at = 0;
        while at < n {
            let len = usize::from(u16::from_le_bytes([buf[at + 16], buf[at + 17]]));
            let name = &buf[at + 19..at + len];
            let end = name.iter().position(|b| *b == 0).unwrap();
            out.push(String::from_utf8(name[..end].to_vec()).unwrap());
            at += len;
        }
    }
    close(fd);
    out.retain(|n| n != "." && n != "..");
    out.sort();
    out
}
