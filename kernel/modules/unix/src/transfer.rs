//! Sending and receiving.

use super::inbox::{How, Meta, Taken, bury};
use super::{Peer, Phase, RCV, SEND, UnixSocket};
use super::{flight, names};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core_::file::File;
use core_::io::IoBuf;
use core_::net::{Control, RecvExtra, SOCK_DGRAM, SOCK_SEQPACKET, SOCK_STREAM, SendExtra, msg};
use core_::signal::{own_signal, send_current, sig};
use core_::task::{Cap, TREE};
use core_::wait::Events;
use core_::{Errno, Result, current};

/// Bookkeeping that Linux keeps beside each message: the longest record is that much below SO_SNDBUF.
const OVERHEAD: usize = 32;
/// The most descriptors on one message (SCM_MAX_FD).
const MAX_FDS: usize = 253;

/// What SO_PEERCRED and its like tell: effective ids.
pub(super) fn peer_cred() -> Peer {
    let me = current();
    let c = me.cred();
    Peer { ids: [me.process.pid, c.euid, c.egid], groups: Arc::from(&c.groups[..]), process: me.process.clone() }
}

/// What goes with each message: real ids.
fn message_cred() -> [u32; 3] {
    let me = current();
    let c = me.cred();
    [me.process.pid, c.uid, c.gid]
}

/// SCM_CREDENTIALS as claimed by the sender (unix(7)).
fn check_cred(c: [u32; 3]) -> Result<[u32; 3]> {
    let me = current();
    let own = me.cred();
    let pid = c[0] == me.process.pid || own.has(Cap::SysAdmin);
    let uid = [own.uid, own.euid, own.suid].contains(&c[1]) || own.has(Cap::Setuid);
    let gid = [own.gid, own.egid, own.sgid].contains(&c[2]) || own.has(Cap::Setgid);
    if pid && TREE.lock().process(c[0]).is_none() {
        return Err(Errno::ESRCH);
    }
    if pid && uid && gid { Ok(c) } else { Err(Errno::EPERM) }
}

impl UnixSocket {
    pub(super) fn writable(&self, peer: Option<&Arc<UnixSocket>>) -> bool {
        let Some(p) = peer else { return true };
        // A pair of datagram sockets has no limit of messages.
        let count = self.kind == SOCK_DGRAM && !p.peered_with(self);
        p.inbox.has_room(self.options.send_buf(), count)
    }

    fn peered_with(&self, other: &UnixSocket) -> bool {
        self.state.lock().peer.as_ref().is_some_and(|q| core::ptr::eq(Arc::as_ptr(q), other))
    }

    pub(super) fn do_send(&self, file: &File, src: &mut IoBuf, extra: SendExtra) -> Result<usize> {
        let SendExtra { flags, to, control } = extra;
        if flags & msg::OOB != 0 {
            return Err(Errno::EOPNOTSUPP);
        }
        let mut cred = None;
        let mut fds: Vec<Arc<File>> = Vec::new();
        for c in control {
            match c {
                Control::Rights(f) => fds.extend(f),
                Control::Credentials(c) => cred = Some(check_cred(c)?),
                // Of another layer: not for this one (`__scm_send`).
                Control::Other(..) | Control::Pidfd(_) => {}
            }
        }
        if fds.len() > MAX_FDS {
            return Err(Errno::EINVAL);
        }
        flight::check_nesting(&fds)?;
        flight::begin(&fds)?;
        let mut meta = Meta {
            cred: cred.unwrap_or_else(message_cred),
            process: None,
            fds,
            from: None,
            limit: self.options.send_buf(),
            record: self.kind != SOCK_STREAM,
            count: false,
        };
        let r = match self.kind {
            SOCK_STREAM => self.send_stream(file, src, flags, to.is_some(), &mut meta),
            SOCK_SEQPACKET => self.send_record(file, src, flags, None, &mut meta),
            _ => self.send_record(file, src, flags, to, &mut meta),
        };
        // What was not taken did not fly.
        flight::end(&meta.fds);
        bury(core::mem::take(&mut meta.fds));
        if r == Err(Errno::EPIPE) && self.connection() && flags & msg::NOSIGNAL == 0 {
            send_current(own_signal(sig::PIPE));
        }
        r
    }

    /// Who sends goes along where one of the two wants it (`unix_maybe_add_creds`).
    fn sign(&self, peer: &UnixSocket, meta: &mut Meta) {
        if meta.process.is_none() && (peer.options.pass_pidfd() || self.options.pass_pidfd()) {
            meta.process = TREE.lock().process(meta.cred[0]);
        }
    }

    fn send_stream(&self, file: &File, src: &mut IoBuf, flags: u32, named: bool, meta: &mut Meta) -> Result<usize> {
        let peer = {
            let st = self.state.lock();
            if named {
                return Err(if st.peer.is_some() { Errno::EISCONN } else { Errno::EOPNOTSUPP });
            }
            match &st.peer {
                Some(p) => p.clone(),
                None => return Err(Errno::ENOTCONN),
            }
        };
        // Descriptors travel with bytes: without any there is nothing to send.
        if src.left() == 0 {
            return Ok(0);
        }
        let nonblock = file.nonblocking() || flags & msg::DONTWAIT != 0;
        let mut total = 0;
        loop {
            let mut step = || {
                if self.is_shut(SEND) || peer.is_shut(RCV) {
                    return Some(Err(Errno::EPIPE));
                }
                self.sign(&peer, meta);
                peer.inbox.push(src, meta)
            };
            let r = match step() {
                Some(r) => r,
                None if nonblock => Err(Errno::EAGAIN),
                None => self.options.wait_send(&peer.inbox.space, step),
            };
            match r {
                Ok(n) => {
                    peer.wait.wake(Events::READ);
                    total += n;
                    if src.left() == 0 || n == 0 {
                        return Ok(total);
                    }
                }
                Err(_) if total > 0 => return Ok(total),
                Err(e) => return Err(e),
            }
        }
    }

    fn send_record(
        &self,
        file: &File,
        src: &mut IoBuf,
        flags: u32,
        to: Option<Vec<u8>>,
        meta: &mut Meta,
    ) -> Result<usize> {
        self.take_error()?;
        self.autobind()?;
        if src.left() > meta.limit.saturating_sub(OVERHEAD) {
            return Err(Errno::EMSGSIZE);
        }
        let peer = match to {
            Some(a) => names::lookup(&names::decode(&a)?, self.kind)?,
            None => self.peer().ok_or(Errno::ENOTCONN)?,
        };
        if self.kind == SOCK_DGRAM {
            if let Err(e) = self.check_target(&peer) {
                self.lose_peer(&peer, e);
                return Err(e);
            }
            meta.count = !peer.peered_with(self);
            meta.from = self.state.lock().name.clone();
        }
        let nonblock = file.nonblocking() || flags & msg::DONTWAIT != 0;
        let step = || {
            if self.is_shut(SEND) || peer.is_shut(RCV) {
                let gone = self.kind == SOCK_DGRAM && peer.inbox.is_closed();
                return Some(Err(if gone { Errno::ECONNREFUSED } else { Errno::EPIPE }));
            }
            self.sign(&peer, meta);
            peer.inbox.push(src, meta)
        };
        let n = self.push_or_wait(&peer, nonblock, step)?;
        peer.wait.wake(Events::READ);
        Ok(n)
    }

    /// A datagram socket forgets a peer that is gone: the next send finds no connection.
    fn lose_peer(&self, peer: &Arc<UnixSocket>, e: Errno) {
        let mut st = self.state.lock();
        if e == Errno::ECONNREFUSED && st.peer.as_ref().is_some_and(|p| Arc::ptr_eq(p, peer)) {
            st.phase = Phase::Idle;
            let gone = st.peer.take();
            drop(st);
            drop(gone);
        }
    }

    fn push_or_wait(
        &self,
        peer: &UnixSocket,
        nonblock: bool,
        mut step: impl FnMut() -> Option<Result<usize>>,
    ) -> Result<usize> {
        match step() {
            Some(r) => r,
            None if nonblock => Err(Errno::EAGAIN),
            None => self.options.wait_send(&peer.inbox.space, step),
        }
    }

    /// One look at the inbox.
    fn try_take(&self, dst: &mut IoBuf, how: How) -> Option<Result<Taken>> {
        // Shut before empty: what was sent before the end is found by the look at the inbox that follows.
        let shut = self.is_shut(RCV);
        if let Some(r) = self.inbox.take(dst, how) {
            return Some(r);
        }
        if let Err(e) = self.take_error() {
            return Some(Err(e));
        }
        shut.then(|| Ok(Taken::default()))
    }

    pub(super) fn do_recv(&self, file: &File, dst: &mut IoBuf, flags: u32) -> Result<(usize, RecvExtra)> {
        if flags & msg::OOB != 0 {
            return Err(Errno::EOPNOTSUPP);
        }
        if self.connection() && !self.is_shut(RCV) && !matches!(self.state.lock().phase, Phase::Connected) {
            return Err(if self.kind == SOCK_STREAM { Errno::EINVAL } else { Errno::ENOTCONN });
        }
        let o = &self.options;
        let peek = flags & msg::PEEK != 0;
        let how = How {
            peek,
            skip: if peek { o.peek_from() } else { 0 },
            record: self.kind != SOCK_STREAM,
            by_cred: o.pass_cred() || o.pass_pidfd(),
        };
        if !how.record && dst.left() == 0 {
            return Ok((0, RecvExtra::default()));
        }
        let nonblock = file.nonblocking() || flags & msg::DONTWAIT != 0;
        let mut all = Taken::default();
        loop {
            let step = match self.try_take(dst, how) {
                Some(r) => r,
                None if nonblock => Err(Errno::EAGAIN),
                None => self.options.wait_recv(&self.wait, || self.try_take(dst, how)),
            };
            let t = match step {
                Ok(t) => t,
                Err(_) if all.bytes > 0 => break,
                Err(e) => return Err(e),
            };
            if !how.peek && (t.full > 0 || how.record) && self.inbox.has_room(self.options.send_buf(), how.record) {
                self.inbox.space.wake(Events::WRITE);
            }
            let (n, fds) = (t.bytes, !t.fds.is_empty());
            all.bytes += t.bytes;
            all.full += t.full;
            all.cred = all.cred.or(t.cred);
            all.process = all.process.or(t.process);
            all.fds.extend(t.fds);
            all.from = t.from;
            let more = flags & msg::WAITALL != 0 && !how.record && !how.peek && n > 0 && !fds && dst.left() > 0;
            if !more {
                break;
            }
        }
        o.peeked(if how.peek { all.bytes } else { all.full }, !how.peek);
        Ok(self.finish(all, flags))
    }

    fn finish(&self, t: Taken, flags: u32) -> (usize, RecvExtra) {
        let mut extra = RecvExtra::default();
        let mut n = t.bytes;
        if t.full > t.bytes {
            extra.flags |= msg::TRUNC;
            if flags & msg::TRUNC != 0 {
                n = t.full;
            }
        }
        if self.kind == SOCK_DGRAM {
            extra.from = t.from.as_deref().map(|f| names::encode(Some(f)));
        }
        if let Some(c) = t.cred
            && self.options.pass_cred()
        {
            extra.control.push(Control::Credentials(c));
        }
        if !t.fds.is_empty() {
            extra.control.push(Control::Rights(t.fds));
        }
        if let Some(p) = t.process
            && self.options.pass_pidfd()
        {
            extra.control.push(Control::Pidfd(p));
        }
        (n, extra)
    }
}
