//! Sockets of every family: decoding for `core_::net`.

use crate::Args;
use crate::cmsg;
use crate::pipe::install_pair;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core_::file::{File, oflag};
use core_::io::{IoBuf, Way};
use core_::net::{self, SendExtra, Shutdown, SocketFile, msg};
use core_::time::from_timespec;
use core_::uaccess::{UserPtr, read_bytes, write_bytes};
use core_::{Errno, Result, counters, current};

/// sizeof(struct sockaddr_storage).
const MAX_ADDR: u64 = 128;
/// UIO_MAXIOV: the most messages of sendmmsg and recvmmsg.
const MAX_MESSAGES: u32 = 1024;
/// The longest option value.
const MAX_OPTION: u64 = 4096;

/// Splits socket(2)'s type argument into type and flags.
fn split(arg: u32) -> Result<(u32, u32)> {
    let flags = arg & !0xf;
    if flags & !(oflag::NONBLOCK | oflag::CLOEXEC) != 0 {
        return Err(Errno::EINVAL);
    }
    Ok((arg & 0xf, flags))
}

fn family(a: &Args, nr: usize) -> Result<net::Family> {
    net::family(a.u32(0)).map_err(|e| counters::missing(nr, e))
}

fn get(fd: i32) -> Result<Arc<File>> {
    let f = current().files().get(fd)?;
    net::of(&f)?;
    Ok(f)
}

pub fn socket(a: &Args) -> Result<i64> {
    let (kind, flags) = split(a.u32(1))?;
    let s = (family(a, 41)?.socket)(kind, a.u32(2))?;
    let file = SocketFile::open(s, flags);
    current().files().add(file, flags & oflag::CLOEXEC != 0).map(i64::from)
}

pub fn socketpair(a: &Args) -> Result<i64> {
    let (kind, flags) = split(a.u32(1))?;
    let (x, y) = (family(a, 53)?.pair)(kind, a.u32(2))?;
    let (x, y) = (SocketFile::open(x, flags), SocketFile::open(y, flags));
    install_pair(x, y, flags & oflag::CLOEXEC != 0, a.ptr(3))
}

fn read_addr(at: u64, len: u64) -> Result<Vec<u8>> {
    // The length is an int.
    let len = len as u32 as u64;
    if len > MAX_ADDR { Err(Errno::EINVAL) } else { read_bytes(at, len as usize) }
}

/// Writes an address as getsockname(2) does: cut to the room there is, the full length told.
fn write_addr(at: u64, len_at: UserPtr<i32>, addr: &[u8]) -> Result<()> {
    let room = len_at.read()?;
    if room < 0 {
        return Err(Errno::EINVAL);
    }
    let n = addr.len().min(room as usize);
    write_bytes(at, &addr[..n])?;
    len_at.write(addr.len() as i32)
}

pub fn bind(a: &Args) -> Result<i64> {
    let f = get(a.fd(0))?;
    net::of(&f)?.socket.bind(&read_addr(a.u64(1), a.u64(2))?)?;
    Ok(0)
}

pub fn listen(a: &Args) -> Result<i64> {
    let f = get(a.fd(0))?;
    net::of(&f)?.socket.listen(a.int(1))?;
    Ok(0)
}

pub fn connect(a: &Args) -> Result<i64> {
    let f = get(a.fd(0))?;
    net::of(&f)?.socket.connect(&f, &read_addr(a.u64(1), a.u64(2))?)?;
    Ok(0)
}

pub fn accept(a: &Args) -> Result<i64> {
    do_accept(a, 0)
}

pub fn accept4(a: &Args) -> Result<i64> {
    do_accept(a, a.u32(3))
}

fn do_accept(a: &Args, flags: u32) -> Result<i64> {
    if flags & !(oflag::NONBLOCK | oflag::CLOEXEC) != 0 {
        return Err(Errno::EINVAL);
    }
    let f = get(a.fd(0))?;
    let s = net::of(&f)?.socket.accept(&f)?;
    // From here on the connection has a file, which closes it when anything below fails.
    let new = SocketFile::open(s.clone(), flags);
    if a.u64(1) != 0 {
        // A peer that is gone already has no name any more.
        let name = s.peer_name().unwrap_or_else(|_| (s.kind().0 as u16).to_ne_bytes().to_vec());
        write_addr(a.u64(1), a.ptr(2), &name)?;
    }
    current().files().add(new, flags & oflag::CLOEXEC != 0).map(i64::from)
}

pub fn getsockname(a: &Args) -> Result<i64> {
    let f = get(a.fd(0))?;
    let name = net::of(&f)?.socket.name()?;
    write_addr(a.u64(1), a.ptr(2), &name)?;
    Ok(0)
}

pub fn getpeername(a: &Args) -> Result<i64> {
    let f = get(a.fd(0))?;
    let name = net::of(&f)?.socket.peer_name()?;
    write_addr(a.u64(1), a.ptr(2), &name)?;
    Ok(0)
}

pub fn shutdown(a: &Args) -> Result<i64> {
    let f = get(a.fd(0))?;
    let how = match a.int(1) {
        0 => Shutdown::Read,
        1 => Shutdown::Write,
        2 => Shutdown::Both,
        _ => return Err(Errno::EINVAL),
    };
    net::of(&f)?.socket.shutdown(how)?;
    Ok(0)
}

pub fn setsockopt(a: &Args) -> Result<i64> {
    let f = get(a.fd(0))?;
    let len = a.u64(4) as u32 as i32;
    if len < 0 {
        return Err(Errno::EINVAL);
    }
    let value = read_bytes(a.u64(3), (len as u64).min(MAX_OPTION) as usize)?;
    match net::of(&f)?.socket.set_option(a.int(1), a.int(2), &value) {
        Err(Errno::ENOPROTOOPT) => Err(counters::missing(54, Errno::ENOPROTOOPT)),
        r => r.map(|()| 0),
    }
}

pub fn getsockopt(a: &Args) -> Result<i64> {
    let f = get(a.fd(0))?;
    let len_at: UserPtr<i32> = a.ptr(4);
    let room = len_at.read()?;
    if room < 0 {
        return Err(Errno::EINVAL);
    }
    let v = match net::of(&f)?.socket.option(a.int(1), a.int(2), room as usize) {
        Err(Errno::ENOPROTOOPT) => return Err(counters::missing(55, Errno::ENOPROTOOPT)),
        r => r?,
    };
    const PEERGROUPS: (i32, i32) = (1, 59);
    const PEERPIDFD: (i32, i32) = (1, 77);
    let what = (a.int(1), a.int(2));
    // All of them or none, and how much room they need.
    if what == PEERGROUPS && v.len() > room as usize {
        len_at.write(v.len() as i32)?;
        return Err(Errno::ERANGE);
    }
    let n = v.len().min(room as usize);
    let told = write_bytes(a.u64(3), &v[..n]).and_then(|()| len_at.write(n as i32));
    if let (Err(_), PEERPIDFD, Ok(fd)) = (&told, what, v[..].try_into()) {
        drop(current().files().remove(i32::from_ne_bytes(fd)));
    }
    told.map(|()| 0)
}

pub fn sendto(a: &Args) -> Result<i64> {
    let f = get(a.fd(0))?;
    let mut src = IoBuf::user(a.u64(1), a.u64(2), Way::OutOf)?;
    let to = if a.u64(4) != 0 { Some(read_addr(a.u64(4), a.u64(5))?) } else { None };
    let extra = SendExtra { flags: a.u32(3), to, control: Vec::new() };
    net::of(&f)?.socket.send(&f, &mut src, extra).map(|n| n as i64)
}

pub fn recvfrom(a: &Args) -> Result<i64> {
    let f = get(a.fd(0))?;
    let mut dst = IoBuf::user(a.u64(1), a.u64(2), Way::Into)?;
    let (n, extra) = net::of(&f)?.socket.recv(&f, &mut dst, a.u32(3))?;
    if a.u64(4) != 0 {
        write_addr(a.u64(4), a.ptr(5), extra.from.as_deref().unwrap_or_default())?;
    }
    Ok(n as i64)
}

/// struct msghdr as seven words: name, its length, iov, their number, control, its length, flags.
type MsgHdr = [u64; 7];

fn send_message(f: &Arc<File>, at: UserPtr<MsgHdr>, flags: u32) -> Result<i64> {
    let m = at.read()?;
    if m[3] > 1024 {
        return Err(Errno::EMSGSIZE);
    }
    let mut src = IoBuf::user_vec(m[2], m[3], Way::OutOf)?;
    let namelen = m[1] as u32 as i32;
    if namelen < 0 {
        return Err(Errno::EINVAL);
    }
    let to = if m[0] != 0 && namelen > 0 { Some(read_addr(m[0], (namelen as u64).min(MAX_ADDR))?) } else { None };
    let control = cmsg::read(m[4], m[5])?;
    net::of(f)?.socket.send(f, &mut src, SendExtra { flags, to, control }).map(|n| n as i64)
}

fn recv_message(f: &Arc<File>, at: UserPtr<MsgHdr>, flags: u32) -> Result<i64> {
    let m = at.read()?;
    if m[3] > 1024 {
        return Err(Errno::EMSGSIZE);
    }
    let mut dst = IoBuf::user_vec(m[2], m[3], Way::Into)?;
    let (n, extra) = net::of(f)?.socket.recv(f, &mut dst, flags)?;
    if m[0] != 0 {
        // The length is the low half of the second word.
        write_addr(m[0], UserPtr::new(at.addr + 8), extra.from.as_deref().unwrap_or_default())?;
    }
    let mut told = extra.flags;
    let used = cmsg::write(m[4], m[5], extra.control, flags & msg::CMSG_CLOEXEC != 0, &mut told)?;
    if flags & msg::CMSG_CLOEXEC != 0 {
        told |= msg::CMSG_CLOEXEC;
    }
    UserPtr::<u64>::new(at.addr + 40).write(used)?;
    UserPtr::<u32>::new(at.addr + 48).write(told)?;
    Ok(n as i64)
}

pub fn sendmsg(a: &Args) -> Result<i64> {
    send_message(&get(a.fd(0))?, a.ptr(1), a.u32(2))
}

pub fn recvmsg(a: &Args) -> Result<i64> {
    recv_message(&get(a.fd(0))?, a.ptr(1), a.u32(2))
}

/// struct mmsghdr: a msghdr, the bytes done, padding.
const MMSG: u64 = 64;

pub fn sendmmsg(a: &Args) -> Result<i64> {
    let f = get(a.fd(0))?;
    let mut done = 0;
    for i in 0..u64::from(a.u32(2).min(MAX_MESSAGES)) {
        let at = a.u64(1).wrapping_add(i * MMSG);
        match send_message(&f, UserPtr::new(at), a.u32(3)) {
            Ok(n) => UserPtr::<u32>::new(at + 56).write(n as u32)?,
            Err(e) if done == 0 => return Err(e),
            Err(_) => break,
        }
        done += 1;
    }
    Ok(done)
}

pub fn recvmmsg(a: &Args) -> Result<i64> {
    let f = get(a.fd(0))?;
    let mut flags = a.u32(3);
    let limit = a.ptr::<[i64; 2]>(4).read_if()?.map(from_timespec).transpose()?;
    let end = limit.map(|ns| host::time::monotonic_ns().saturating_add(ns as u64));
    let mut done = 0;
    for i in 0..u64::from(a.u32(2).min(MAX_MESSAGES)) {
        let at = a.u64(1).wrapping_add(i * MMSG);
        match recv_message(&f, UserPtr::new(at), flags & !msg::WAITFORONE) {
            Ok(n) => UserPtr::<u32>::new(at + 56).write(n as u32)?,
            Err(e) if done == 0 => return Err(e),
            Err(_) => break,
        }
        done += 1;
        if flags & msg::WAITFORONE != 0 {
            flags |= msg::DONTWAIT;
        }
        // Looked at after each message only, as recvmmsg(2) says of Linux.
        if end.is_some_and(|e| host::time::monotonic_ns() >= e) {
            break;
        }
    }
    Ok(done)
}
