//! bind, listen, accept, connect.

use super::names::{self, Addr};
use super::{Peer, Phase, RCV, UnixSocket, transfer};
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;
use core_::file::File;
use core_::net::SOCK_DGRAM;
use core_::wait::{Events, Interrupt, wait_on};
use core_::{Errno, Result};

/// The longest accept queue (/proc/sys/net/core/somaxconn).
const SOMAXCONN: usize = 4096;

impl UnixSocket {
    fn arc(&self) -> Result<Arc<UnixSocket>> {
        self.me.upgrade().ok_or(Errno::EINVAL)
    }

    pub(super) fn do_bind(&self, addr: &[u8]) -> Result<()> {
        let addr = names::decode(addr)?;
        if self.state.lock().name.is_some() {
            // Autobind of a bound socket does nothing.
            return if matches!(addr, Addr::Unnamed) { Ok(()) } else { Err(Errno::EINVAL) };
        }
        let me = self.arc()?;
        let name = names::bind(&addr, &me)?;
        let mut st = self.state.lock();
        if st.name.is_some() {
            drop(st);
            names::remove(&name, self.kind, &self.me);
            return Err(Errno::EINVAL);
        }
        st.name = Some(name);
        Ok(())
    }

    /// A name for a socket that passes credentials and has none (unix(7), SO_PASSCRED).
    pub(super) fn autobind(&self) -> Result<()> {
        if self.options.pass_cred() && self.state.lock().name.is_none() {
            self.do_bind(&names::encode(None))?;
        }
        Ok(())
    }

    pub(super) fn do_listen(&self, backlog: i32) -> Result<()> {
        if !self.connection() {
            return Err(Errno::EOPNOTSUPP);
        }
        let new = (backlog as u32 as usize).min(SOMAXCONN);
        let cred = transfer::peer_cred();
        let mut st = self.state.lock();
        if st.name.is_none() {
            return Err(Errno::EINVAL);
        }
        st.own_cred = Some(cred);
        match &mut st.phase {
            Phase::Idle => st.phase = Phase::Listening { queue: VecDeque::new(), backlog: new },
            Phase::Listening { backlog, .. } => *backlog = new,
            Phase::Connecting | Phase::Connected => return Err(Errno::EINVAL),
        }
        drop(st);
        self.backlog_wait.wake_all();
        Ok(())
    }

    pub(super) fn do_accept(&self, file: &File) -> Result<Arc<UnixSocket>> {
        if !self.connection() {
            return Err(Errno::EOPNOTSUPP);
        }
        let next = || {
            let mut st = self.state.lock();
            match &mut st.phase {
                Phase::Listening { queue, .. } => match queue.pop_front() {
                    Some(s) => Some(Ok(s)),
                    None if self.is_shut(RCV) => Some(Err(Errno::EINVAL)),
                    None => None,
                },
                _ => Some(Err(Errno::EINVAL)),
            }
        };
        let s = match next() {
            Some(r) => r?,
            None if file.nonblocking() => return Err(Errno::EAGAIN),
            None => self.options.wait_recv(&self.wait, next)?,
        };
        self.backlog_wait.wake(Events::WRITE);
        Ok(s)
    }

    pub(super) fn do_connect(&self, file: &File, addr: &[u8]) -> Result<()> {
        if addr.len() >= 2 && addr[..2] == [0, 0] && self.kind == SOCK_DGRAM {
            // AF_UNSPEC dissolves the association (connect(2)).
            let mut st = self.state.lock();
            st.peer = None;
            st.phase = Phase::Idle;
            return Ok(());
        }
        let addr = names::decode(addr)?;
        if self.kind == SOCK_DGRAM {
            let target = names::lookup(&addr, self.kind)?;
            self.check_target(&target)?;
            self.autobind()?;
            let mut st = self.state.lock();
            st.peer = Some(target);
            st.phase = Phase::Connected;
            return Ok(());
        }
        self.autobind()?;
        {
            let mut st = self.state.lock();
            match st.phase {
                Phase::Idle => st.phase = Phase::Connecting,
                Phase::Connected => return Err(Errno::EISCONN),
                Phase::Connecting => return Err(Errno::EALREADY),
                Phase::Listening { .. } => return Err(Errno::EINVAL),
            }
        }
        let r = self.connect_stream(file, &addr);
        let mut st = self.state.lock();
        match r {
            Ok((server, cred)) => {
                st.phase = Phase::Connected;
                st.peer = Some(server);
                st.peer_cred = cred;
                Ok(())
            }
            Err(e) => {
                st.phase = Phase::Idle;
                Err(e)
            }
        }
    }

    /// May this datagram socket send to `target`?
    pub(super) fn check_target(&self, target: &Arc<UnixSocket>) -> Result<()> {
        if target.kind != self.kind {
            return Err(Errno::EPROTOTYPE);
        }
        if target.inbox.is_closed() {
            return Err(Errno::ECONNREFUSED);
        }
        // A connected datagram socket takes from its peer only (`unix_may_send`).
        match target.peer() {
            Some(p) if !core::ptr::eq(Arc::as_ptr(&p), self) => Err(Errno::EPERM),
            _ => Ok(()),
        }
    }

    fn connect_stream(&self, file: &File, addr: &Addr) -> Result<(Arc<UnixSocket>, Option<Peer>)> {
        let target = names::lookup(addr, self.kind)?;
        if target.kind != self.kind {
            return Err(Errno::EPROTOTYPE);
        }
        let me = self.arc()?;
        let cred = transfer::peer_cred();
        let server = UnixSocket::new(self.kind);
        {
            let mut st = server.state.lock();
            st.phase = Phase::Connected;
            st.peer = Some(me);
            st.peer_cred = Some(cred);
        }
        let enter = || {
            let mut st = target.state.lock();
            let (name, their_cred) = (st.name.clone(), st.own_cred.clone());
            let Phase::Listening { queue, backlog } = &mut st.phase else {
                return Some(Err(Errno::ECONNREFUSED));
            };
            if target.is_shut(RCV) {
                return Some(Err(Errno::ECONNREFUSED));
            }
            // One more than the backlog, as Linux counts (`unix_recvq_full`).
            if queue.len() > *backlog {
                return None;
            }
            server.set_accepted_name(name);
            queue.push_back(server.clone());
            Some(Ok(their_cred))
        };
        let r = match enter() {
            Some(r) => r,
            None if file.nonblocking() => Err(Errno::EAGAIN),
            None => {
                let deadline = self.options.send_deadline();
                match wait_on(&[&target.backlog_wait], deadline, Interrupt::Signal, enter) {
                    Err(Errno::ETIMEDOUT) => Err(Errno::EAGAIN),
                    Err(Errno::ERESTARTSYS) if deadline.is_some() => Err(Errno::EINTR),
                    r => r,
                }
            }
        };
        match r {
            Ok(their) => {
                target.wait.wake(Events::READ);
                Ok((server, their))
            }
            Err(e) => {
                // The unborn connection must not hang up its maker when it is dropped.
                server.state.lock().peer = None;
                Err(e)
            }
        }
    }

    /// An accepted socket has the listener's name, but does not own it: the address stays the listener's.
    fn set_accepted_name(&self, name: Option<Arc<[u8]>>) {
        // The caller holds the listener's lock; this socket is not known to anybody yet, so the order is free.
        self.state.lock().name = name;
        self.error.store(0, Ordering::Relaxed);
    }
}
