//! Sockets, whatever their family: the trait that families implement, the file object around it, the registry, and
//! the names of local sockets in the file system.

use crate::file::{File, FileOps, oflag};
use crate::io::IoBuf;
use crate::task::Process;
use crate::vfs::{Attr, SetAttr, kind};
use crate::wait::{Events, PollTable};
use crate::{Errno, Mutex, Result, anon};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;

pub const AF_UNIX: u32 = 1;
pub const AF_INET: u32 = 2;
pub const AF_INET6: u32 = 10;
pub const AF_NETLINK: u32 = 16;

pub const SOCK_STREAM: u32 = 1;
pub const SOCK_DGRAM: u32 = 2;
pub const SOCK_RAW: u32 = 3;
pub const SOCK_SEQPACKET: u32 = 5;

/// Flags of send(2) and recv(2).
pub mod msg {
    pub const OOB: u32 = 1;
    pub const PEEK: u32 = 2;
    pub const DONTROUTE: u32 = 4;
    pub const CTRUNC: u32 = 8;
    pub const TRUNC: u32 = 0x20;
    pub const DONTWAIT: u32 = 0x40;
    pub const EOR: u32 = 0x80;
    pub const WAITALL: u32 = 0x100;
    pub const NOSIGNAL: u32 = 0x4000;
    pub const MORE: u32 = 0x8000;
    pub const WAITFORONE: u32 = 0x1_0000;
    pub const CMSG_CLOEXEC: u32 = 0x4000_0000;
}

/// One piece of ancillary data (cmsg(3), unix(7)).
pub enum Control {
    /// SCM_RIGHTS.
    Rights(Vec<Arc<File>>),
    /// SCM_CREDENTIALS: pid, uid, gid.
    Credentials([u32; 3]),
    /// SCM_PIDFD: who sent it.
    Pidfd(Arc<Process>),
    /// A family's own: level, type, bytes.
    Other(i32, i32, Vec<u8>),
}

/// What goes with the bytes of a send.
#[derive(Default)]
pub struct SendExtra {
    pub flags: u32,
    pub to: Option<Vec<u8>>,
    pub control: Vec<Control>,
}

/// What came with the bytes of a receive.
#[derive(Default)]
pub struct RecvExtra {
    pub from: Option<Vec<u8>>,
    pub control: Vec<Control>,
    /// MSG_TRUNC, MSG_CTRUNC, MSG_EOR.
    pub flags: u32,
}

/// How shutdown(2) is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shutdown {
    Read,
    Write,
    Both,
}

/// A socket of some family. Addresses are the bytes of a `struct sockaddr`. Methods that can block get the file for
/// `file.nonblocking()`.
pub trait Socket: Send + Sync + Any {
    fn as_any(&self) -> &dyn Any;
    /// Number of the family, SOCK_ type, protocol.
    fn kind(&self) -> (u32, u32, u32);
    /// The protocol's name in Linux (`struct proto`).
    fn protocol(&self) -> &'static [u8];
    /// # Errors
    /// bind(2)'s.
    fn bind(&self, addr: &[u8]) -> Result<()>;
    /// # Errors
    /// listen(2)'s.
    fn listen(&self, backlog: i32) -> Result<()>;
    /// # Errors
    /// accept(2)'s.
    fn accept(&self, file: &File) -> Result<Arc<dyn Socket>>;
    /// # Errors
    /// connect(2)'s.
    fn connect(&self, file: &File, addr: &[u8]) -> Result<()>;
    /// # Errors
    /// getsockname(2)'s.
    fn name(&self) -> Result<Vec<u8>>;
    /// # Errors
    /// getpeername(2)'s.
    fn peer_name(&self) -> Result<Vec<u8>>;
    /// # Errors
    /// send(2)'s.
    fn send(&self, file: &File, src: &mut IoBuf, extra: SendExtra) -> Result<usize>;
    /// # Errors
    /// recv(2)'s.
    fn recv(&self, file: &File, dst: &mut IoBuf, flags: u32) -> Result<(usize, RecvExtra)>;
    /// # Errors
    /// shutdown(2)'s.
    fn shutdown(&self, how: Shutdown) -> Result<()>;
    /// # Errors
    /// setsockopt(2)'s.
    fn set_option(&self, level: i32, name: i32, value: &[u8]) -> Result<()>;
    /// # Errors
    /// getsockopt(2)'s.
    fn option(&self, level: i32, name: i32, max: usize) -> Result<Vec<u8>>;
    fn poll(&self, file: &File, table: Option<&mut PollTable>) -> Events;
    /// # Errors
    /// ioctl(2)'s.
    fn ioctl(&self, file: &File, cmd: u32, arg: u64) -> Result<i64>;
    /// An open file was made for it, with this inode number.
    fn opened(&self, ino: u64);
    /// The last descriptor is gone.
    fn close(&self);
}

/// The file object around a socket.
pub struct SocketFile {
    pub socket: Arc<dyn Socket>,
    node: anon::Node,
}

impl SocketFile {
    /// A new open file for `socket`, with `flags` O_NONBLOCK or 0.
    #[must_use]
    pub fn open(socket: Arc<dyn Socket>, flags: u32) -> Arc<File> {
        let node = anon::Node::new(kind::SOCKET);
        socket.opened(node.ino());
        let ops = Arc::new(SocketFile { socket, node });
        File::new(ops, oflag::RDWR | (flags & oflag::NONBLOCK))
    }
}

/// The socket behind a file.
///
/// # Errors
/// `ENOTSOCK`.
pub fn of(file: &File) -> Result<&SocketFile> {
    file.downcast::<SocketFile>().ok_or(Errno::ENOTSOCK)
}

impl FileOps for SocketFile {
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn read(&self, file: &File, dst: &mut IoBuf, _off: u64) -> Result<usize> {
        self.socket.recv(file, dst, 0).map(|r| r.0)
    }
    fn write(&self, file: &File, src: &mut IoBuf, _off: u64) -> Result<usize> {
        self.socket.send(file, src, SendExtra::default())
    }
    fn poll(&self, file: &File, table: Option<&mut PollTable>) -> Events {
        self.socket.poll(file, table)
    }
    fn ioctl(&self, file: &File, cmd: u32, arg: u64) -> Result<i64> {
        self.socket.ioctl(file, cmd, arg)
    }
    fn link_text(&self, _file: &File) -> Option<Vec<u8>> {
        Some(anon::link_text("socket", self.node.ino()))
    }
    fn attr(&self, _file: &File) -> Option<Attr> {
        Some(self.node.attr())
    }
    fn setattr(&self, _file: &File, set: &SetAttr) -> Result<()> {
        self.node.set(set);
        Ok(())
    }
    fn release(&self, _file: &File) {
        self.socket.close();
    }
}

/// Two sockets, connected.
pub type Pair = (Arc<dyn Socket>, Arc<dyn Socket>);

/// How a family makes sockets: type and protocol.
#[derive(Clone, Copy)]
pub struct Family {
    pub number: u32,
    pub socket: fn(u32, u32) -> Result<Arc<dyn Socket>>,
    pub pair: fn(u32, u32) -> Result<Pair>,
    /// Files of /proc/PID/net that the family has: name and text.
    pub tables: &'static [(&'static str, fn() -> Vec<u8>)],
}

static FAMILIES: Mutex<Vec<Family>> = host::sync::mutex(Vec::new());

/// Adds a family; boot does this once for each.
pub fn register(family: Family) {
    FAMILIES.lock().push(family);
}

/// # Errors
/// `EAFNOSUPPORT`.
pub fn family(number: u32) -> Result<Family> {
    FAMILIES.lock().iter().find(|f| f.number == number).copied().ok_or(Errno::EAFNOSUPPORT)
}

/// The files of /proc/PID/net.
#[must_use]
pub fn tables() -> Vec<(&'static str, fn() -> Vec<u8>)> {
    FAMILIES.lock().iter().flat_map(|f| f.tables).copied().collect()
}

/// Names of local sockets in the file system: implemented over the VFS, set at boot.
pub trait SocketNames: Send + Sync {
    /// Makes a socket inode at `path` that leads to `socket`.
    ///
    /// # Errors
    /// `EADDRINUSE` where the path exists; those of mknod(2).
    fn bind_path(&self, path: &[u8], socket: Arc<dyn Any + Send + Sync>) -> Result<()>;
    /// What is bound at `path`.
    ///
    /// # Errors
    /// `ECONNREFUSED` for anything that is no bound socket; `EACCES` without write permission; those of a path walk.
    fn lookup_path(&self, path: &[u8]) -> Result<Arc<dyn Any + Send + Sync>>;
}

static NAMES: Mutex<Option<&'static dyn SocketNames>> = host::sync::mutex(None);

/// Boot says who keeps the names.
pub fn set_names(names: &'static dyn SocketNames) {
    *NAMES.lock() = Some(names);
}

/// The keeper of names.
///
/// # Errors
/// `EOPNOTSUPP` before boot has set it.
pub fn names() -> Result<&'static dyn SocketNames> {
    (*NAMES.lock()).ok_or(Errno::EOPNOTSUPP)
}
