//! Local sockets (unix(7)): stream, datagram, sequenced packets.
//!
//! Every socket has an [`inbox::Inbox`] with what others sent it. A sender looks its peer up under its own state lock, lets
//! go of it, and then takes only the inbox's lock: no two socket locks are ever held together.
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;

mod connect;
mod flight;
mod inbox;
mod list;
mod names;
mod options;
mod transfer;

use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use core_::file::File;
use core_::io::IoBuf;
use core_::net::{
    AF_UNIX, Family, RecvExtra, SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET, SOCK_STREAM, SendExtra, Shutdown, Socket,
};
use core_::task::Process;
use core_::uaccess::UserPtr;
use core_::wait::{Events, PollTable, WaitQueue};
use core_::{Errno, Mutex, Result};
use inbox::Inbox;
use options::Options;

/// Bits of [`UnixSocket::shut`] (Linux RCV_SHUTDOWN, SEND_SHUTDOWN).
const RCV: u32 = 1;
const SEND: u32 = 2;

const FIONREAD: u32 = 0x541b;
const SIOCOUTQ: u32 = 0x5411;
const SIOCATMARK: u32 = 0x8905;

/// Where a socket is in its life.
enum Phase {
    Idle,
    /// A connect is under way in another thread.
    Connecting,
    /// Connections that wait for accept.
    Listening {
        queue: VecDeque<Arc<UnixSocket>>,
        backlog: usize,
    },
    Connected,
}

struct State {
    phase: Phase,
    /// What it is bound to: the bytes of sun_path (abstract: with the leading NUL).
    name: Option<Arc<[u8]>>,
    /// Kept strong; a socket gives its peer up when it closes, so two peers never keep each other.
    peer: Option<Arc<UnixSocket>>,
    /// SO_PEERCRED.
    peer_cred: Option<Peer>,
    /// The credentials that listen was called with.
    own_cred: Option<Peer>,
}

/// Who is at the other end, as of when it connected or listened.
#[derive(Clone)]
struct Peer {
    /// SO_PEERCRED: pid, uid, gid.
    ids: [u32; 3],
    /// SO_PEERGROUPS.
    groups: Arc<[u32]>,
    /// SO_PEERPIDFD.
    process: Arc<Process>,
}

/// A local socket.
pub struct UnixSocket {
    /// SOCK_STREAM, SOCK_DGRAM or SOCK_SEQPACKET.
    kind: u32,
    me: Weak<UnixSocket>,
    /// Of its open file; 0 before there is one.
    ino: AtomicU64,
    state: Mutex<State>,
    inbox: Inbox,
    shut: AtomicU32,
    /// SO_ERROR.
    error: AtomicU32,
    options: Options,
    /// Those who wait for something to read here, a connection, or a change of state.
    wait: Arc<WaitQueue>,
    /// Those who wait for the accept queue to shorten.
    backlog_wait: Arc<WaitQueue>,
}

/// The family, for `net::register`.
pub const FAMILY: Family = Family { number: AF_UNIX, socket, pair, tables: &[("unix", list::text)] };

fn socket(kind: u32, protocol: u32) -> Result<Arc<dyn Socket>> {
    Ok(UnixSocket::new(check(kind, protocol)?))
}

fn pair(kind: u32, protocol: u32) -> Result<(Arc<dyn Socket>, Arc<dyn Socket>)> {
    let kind = check(kind, protocol)?;
    let (a, b) = (UnixSocket::new(kind), UnixSocket::new(kind));
    let cred = transfer::peer_cred();
    for (x, y) in [(&a, &b), (&b, &a)] {
        let mut st = x.state.lock();
        st.phase = Phase::Connected;
        st.peer = Some(y.clone());
        st.peer_cred = Some(cred.clone());
    }
    Ok((a, b))
}

fn check(kind: u32, protocol: u32) -> Result<u32> {
    if protocol != 0 && protocol != AF_UNIX {
        return Err(Errno::EPROTONOSUPPORT);
    }
    match kind {
        SOCK_STREAM | SOCK_DGRAM | SOCK_SEQPACKET => Ok(kind),
        // An old promise: raw local sockets are datagram sockets (`unix_create`).
        SOCK_RAW => Ok(SOCK_DGRAM),
        _ => Err(Errno::ESOCKTNOSUPPORT),
    }
}

impl UnixSocket {
    fn new(kind: u32) -> Arc<UnixSocket> {
        let new = Arc::new_cyclic(|me| UnixSocket {
            kind,
            me: me.clone(),
            ino: AtomicU64::new(0),
            state: Mutex::new(State { phase: Phase::Idle, name: None, peer: None, peer_cred: None, own_cred: None }),
            inbox: Inbox::default(),
            shut: AtomicU32::new(0),
            error: AtomicU32::new(0),
            options: Options::default(),
            wait: Arc::default(),
            backlog_wait: Arc::default(),
        });
        list::add(&new);
        new
    }

    fn peer(&self) -> Option<Arc<UnixSocket>> {
        self.state.lock().peer.clone()
    }

    fn connection(&self) -> bool {
        self.kind != SOCK_DGRAM
    }

    fn is_shut(&self, bits: u32) -> bool {
        self.shut.load(Ordering::SeqCst) & bits != 0
    }

    fn add_shut(&self, bits: u32) {
        self.shut.fetch_or(bits, Ordering::SeqCst);
        self.wait.wake_all();
        self.inbox.space.wake_all();
    }

    /// Takes the pending error, if there is one.
    fn take_error(&self) -> Result<()> {
        if self.error.load(Ordering::Relaxed) == 0 {
            return Ok(());
        }
        match self.error.swap(0, Ordering::SeqCst) {
            0 => Ok(()),
            e => Err(Errno(e as u16)),
        }
    }

    /// Closes; `reset` also tells the peer ECONNRESET (a connection that nobody accepted).
    fn shut_down_for_good(&self, reset: bool) {
        let (peer, pending, name) = {
            let mut st = self.state.lock();
            let phase = core::mem::replace(&mut st.phase, Phase::Idle);
            let pending = match phase {
                Phase::Listening { queue, .. } => queue,
                _ => VecDeque::new(),
            };
            (st.peer.take(), pending, st.name.clone())
        };
        if let Some(name) = name {
            names::remove(&name, self.kind, &self.me);
        }
        let unread = self.inbox.close();
        self.shut.store(RCV | SEND, Ordering::SeqCst);
        if let Some(p) = peer
            && self.connection()
        {
            if unread || reset {
                p.error.store(u32::from(Errno::ECONNRESET.0), Ordering::SeqCst);
            }
            p.add_shut(RCV | SEND);
        }
        self.wait.wake_all();
        self.backlog_wait.wake_all();
        self.inbox.space.wake_all();
        for s in pending {
            s.shut_down_for_good(true);
        }
    }
}

impl Socket for UnixSocket {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn kind(&self) -> (u32, u32, u32) {
        (AF_UNIX, self.kind, 0)
    }

    fn protocol(&self) -> &'static [u8] {
        if self.kind == SOCK_STREAM { b"UNIX-STREAM" } else { b"UNIX" }
    }

    fn bind(&self, addr: &[u8]) -> Result<()> {
        self.do_bind(addr)
    }

    fn listen(&self, backlog: i32) -> Result<()> {
        self.do_listen(backlog)
    }

    fn accept(&self, file: &File) -> Result<Arc<dyn Socket>> {
        Ok(self.do_accept(file)?)
    }

    fn connect(&self, file: &File, addr: &[u8]) -> Result<()> {
        self.do_connect(file, addr)
    }

    fn name(&self) -> Result<Vec<u8>> {
        Ok(names::encode(self.state.lock().name.as_deref()))
    }

    fn peer_name(&self) -> Result<Vec<u8>> {
        let peer = self.peer().ok_or(Errno::ENOTCONN)?;
        peer.name()
    }

    fn send(&self, file: &File, src: &mut IoBuf, extra: SendExtra) -> Result<usize> {
        self.do_send(file, src, extra)
    }

    fn recv(&self, file: &File, dst: &mut IoBuf, flags: u32) -> Result<(usize, RecvExtra)> {
        self.do_recv(file, dst, flags)
    }

    fn shutdown(&self, how: Shutdown) -> Result<()> {
        let (mine, theirs) = match how {
            Shutdown::Read => (RCV, SEND),
            Shutdown::Write => (SEND, RCV),
            Shutdown::Both => (RCV | SEND, RCV | SEND),
        };
        // Not an error without a connection, unlike in other families (`unix_shutdown`).
        let peer = self.peer();
        self.add_shut(mine);
        if let Some(p) = peer
            && self.connection()
        {
            p.add_shut(theirs);
        }
        Ok(())
    }

    fn set_option(&self, level: i32, name: i32, value: &[u8]) -> Result<()> {
        self.set_opt(level, name, value)
    }

    fn option(&self, level: i32, name: i32, max: usize) -> Result<Vec<u8>> {
        self.get_opt(level, name, max)
    }

    fn poll(&self, _file: &File, mut table: Option<&mut PollTable>) -> Events {
        if let Some(t) = table.as_deref_mut() {
            t.add(&self.wait);
        }
        let mut ev = Events::empty();
        let (peer, idle, listening, waiting) = {
            let st = self.state.lock();
            let (listening, waiting) = match &st.phase {
                Phase::Listening { queue, .. } => (true, !queue.is_empty()),
                _ => (false, false),
            };
            (st.peer.clone(), matches!(st.phase, Phase::Idle | Phase::Connecting), listening, waiting)
        };
        if let (Some(t), Some(p)) = (table, &peer) {
            t.add(&p.inbox.space);
        }
        if self.error.load(Ordering::SeqCst) != 0 {
            ev |= Events::ERR;
        }
        let shut = self.shut.load(Ordering::SeqCst);
        if shut == RCV | SEND || (self.connection() && idle) {
            ev |= Events::HUP;
        }
        if shut & RCV != 0 {
            ev |= Events::RDHUP | Events::READ;
        }
        if waiting || !self.inbox.is_empty() {
            ev |= Events::READ;
        }
        if !listening && self.writable(peer.as_ref()) {
            ev |= Events::WRITE | Events::WRBAND;
        }
        ev
    }

    fn ioctl(&self, _file: &File, cmd: u32, arg: u64) -> Result<i64> {
        let n = match cmd {
            FIONREAD => {
                if matches!(self.state.lock().phase, Phase::Listening { .. }) {
                    return Err(Errno::EINVAL);
                }
                self.inbox.readable_bytes(self.kind == SOCK_STREAM)
            }
            // What the peer has not read yet.
            SIOCOUTQ => self.peer().map_or(0, |p| p.inbox.readable_bytes(true)),
            SIOCATMARK => 0,
            _ => return Err(Errno::ENOTTY),
        };
        UserPtr::<i32>::new(arg).write(n as i32)?;
        Ok(0)
    }

    fn opened(&self, ino: u64) {
        self.ino.store(ino, Ordering::Relaxed);
    }

    fn close(&self) {
        self.shut_down_for_good(false);
        flight::collect();
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        // A socket that never got a file (a failed accept) still holds its peer.
        self.shut_down_for_good(true);
        list::remove(self);
    }
}
