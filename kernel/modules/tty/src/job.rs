//! Controlling terminals and job control (credentials(7); Linux `tty_jobctrl.c`).

use super::slave::tty_of;
use super::{Todo, Tty};
use alloc::sync::{Arc, Weak};
use core_::file::File;
use core_::signal::{SigInfo, send_group, send_process, sig};
use core_::task::{Cap, Session, TREE};
use core_::{Errno, Result, current};

/// The controlling terminal of a session.
fn tty_of_session(s: &Session) -> Option<Arc<Tty>> {
    s.tty.lock().clone()?.downcast::<Tty>().ok()
}

/// Device number (as stat(2) packs it) of a session's controlling terminal, and its foreground process group (0 for none).
#[must_use]
pub fn shown(s: &Session) -> Option<(u64, u32)> {
    let tty = tty_of_session(s)?;
    let pgrp = tty.state.lock().pgrp;
    Some((tty.device(), pgrp))
}

/// The calling process's controlling terminal.
pub(super) fn current_tty() -> Option<Arc<Tty>> {
    tty_of_session(&current().process.session())
}

/// An open without O_NOCTTY: a session leader without a terminal gets this one, if it is nobody's.
pub(super) fn adopt(tty: &Arc<Tty>) {
    let p = &current().process;
    let s = p.session();
    if s.sid == p.pid && s.tty.lock().is_none() {
        // Somebody else's terminal is simply not adopted.
        let _ = tty.take_as_controlling(&s, p.pgid(), false);
    }
}

/// Makes the terminal behind `file` the controlling one of `session`, with foreground group `pgid`: for programs that
/// the VMM starts on a console.
///
/// # Errors
/// `ENOTTY` where `file` is no terminal; `EPERM` where it belongs to another session.
pub fn set_controlling(session: &Arc<Session>, file: &File, pgid: u32) -> Result<()> {
    let slave = tty_of(file).ok_or(Errno::ENOTTY)?;
    slave.tty.take_as_controlling(session, pgid, false)
}

/// A session leader exits: nobody in the session has a controlling terminal any more. A console is hung up, and its
/// foreground group gets SIGHUP and SIGCONT; a pseudo-terminal goes on for who has it open, as its master is there, and the
/// foreground group gets SIGHUP alone (`disassociate_ctty`).
pub fn session_leader_exit(session: &Session) {
    let Some(tty) = tty_of_session(session) else { return };
    let pgrp = tty.state.lock().pgrp;
    if tty.sink.is_some() {
        tty.hang_up();
    } else {
        let mut st = tty.state.lock();
        if st.session.upgrade().is_some_and(|s| core::ptr::eq(&raw const *s, session)) {
            st.pgrp = 0;
            st.session = Weak::new();
        }
    }
    // A terminal that had changed hands meanwhile did not let the session go.
    *session.tty.lock() = None;
    if pgrp == 0 {
        return;
    }
    if tty.sink.is_some() {
        hup(pgrp);
    } else {
        send_group(pgrp, SigInfo::kernel(sig::HUP));
    }
}

fn hup(pgrp: u32) {
    send_group(pgrp, SigInfo::kernel(sig::HUP));
    send_group(pgrp, SigInfo::kernel(sig::CONT));
}

impl Tty {
    fn take_as_controlling(self: &Arc<Self>, s: &Arc<Session>, pgid: u32, steal: bool) -> Result<()> {
        let old = {
            let mut st = self.state.lock();
            let old = st.session.upgrade();
            if old.as_ref().is_some_and(|o| !Arc::ptr_eq(o, s)) && !steal {
                return Err(Errno::EPERM);
            }
            st.session = Arc::downgrade(s);
            st.pgrp = pgid;
            old
        };
        if let Some(o) = old
            && !Arc::ptr_eq(&o, s)
        {
            *o.tty.lock() = None;
        }
        *s.tty.lock() = Some(self.clone());
        Ok(())
    }

    /// TIOCSCTTY.
    pub(super) fn set_ctty(self: &Arc<Self>, force: bool) -> Result<()> {
        let p = &current().process;
        let s = p.session();
        if let Some(t) = tty_of_session(&s) {
            return if s.sid == p.pid && Arc::ptr_eq(&t, self) { Ok(()) } else { Err(Errno::EPERM) };
        }
        if s.sid != p.pid {
            return Err(Errno::EPERM);
        }
        let steal = force && current().cred().has(Cap::SysAdmin);
        self.take_as_controlling(&s, p.pgid(), steal)
    }

    /// TIOCNOTTY. A process that does not lead its session keeps the terminal: it belongs to the session here.
    pub(super) fn give_up(self: &Arc<Self>) -> Result<()> {
        if !self.is_mine() {
            return Err(Errno::ENOTTY);
        }
        let p = &current().process;
        let s = p.session();
        if s.sid != p.pid {
            return Ok(());
        }
        let pgrp = {
            let mut st = self.state.lock();
            st.session = Weak::new();
            core::mem::take(&mut st.pgrp)
        };
        *s.tty.lock() = None;
        if pgrp != 0 {
            hup(pgrp);
        }
        Ok(())
    }

    /// True where this is the caller's controlling terminal.
    pub(super) fn is_mine(self: &Arc<Self>) -> bool {
        current_tty().is_some_and(|t| Arc::ptr_eq(&t, self))
    }

    /// May the caller read? Background groups are stopped by SIGTTIN.
    pub(super) fn check_read(self: &Arc<Self>) -> Result<()> {
        self.check(sig::TTIN)
    }

    /// May the caller change settings (or write, with TOSTOP)? Background groups are stopped by SIGTTOU.
    pub(super) fn check_change(self: &Arc<Self>) -> Result<()> {
        self.check(sig::TTOU)
    }

    fn check(self: &Arc<Self>, signo: u32) -> Result<()> {
        let me = current();
        let pgid = me.process.pgid();
        let fg = self.state.lock().pgrp;
        if fg == 0 || fg == pgid || !self.is_mine() {
            return Ok(());
        }
        let deaf = me.blocked().has(signo) || me.process.sighand.lock().ignored(signo);
        if deaf {
            return if signo == sig::TTIN { Err(Errno::EIO) } else { Ok(()) };
        }
        if TREE.lock().orphaned_group(pgid) {
            return Err(Errno::EIO);
        }
        send_group(pgid, SigInfo::kernel(signo));
        Err(Errno::ERESTARTSYS)
    }

    /// TIOCSPGRP.
    pub(super) fn set_pgrp(self: &Arc<Self>, pgid: i32) -> Result<()> {
        match self.check_change() {
            // Without a controlling terminal the error is ENOTTY, below.
            Err(e) if self.is_mine() => return Err(e),
            _ => {}
        }
        let s = current().process.session();
        if !self.is_mine() || !self.state.lock().session.upgrade().is_some_and(|o| Arc::ptr_eq(&o, &s)) {
            return Err(Errno::ENOTTY);
        }
        if pgid < 0 {
            return Err(Errno::EINVAL);
        }
        let (members, known) = {
            let tree = TREE.lock();
            (tree.group(pgid as u32), tree.process(pgid as u32).is_some())
        };
        // A process's number that is no group's is in no session; a number that nobody has is nothing (`tiocspgrp`).
        let Some(first) = members.first() else { return Err(if known { Errno::EPERM } else { Errno::ESRCH }) };
        if first.sid() != s.sid {
            return Err(Errno::EPERM);
        }
        self.state.lock().pgrp = pgid as u32;
        Ok(())
    }

    /// New window size: SIGWINCH where it differs.
    pub(super) fn set_size(&self, size: [u16; 4]) {
        let mut todo = Todo::default();
        {
            let mut st = self.state.lock();
            if st.size == size {
                return;
            }
            st.size = size;
            todo.pgrp = st.pgrp;
            todo.signals.push(sig::WINCH);
        }
        self.finish(todo);
    }

    /// The line is gone: open slaves are dead, the session loses its terminal, its leader gets SIGHUP and SIGCONT
    /// (`__tty_hangup`).
    pub(super) fn hang_up(&self) {
        let session = {
            let mut st = self.state.lock();
            st.generation += 1;
            st.pgrp = 0;
            st.ldisc.flush_input();
            st.pending.clear();
            core::mem::take(&mut st.session).upgrade()
        };
        for q in [&self.input, &self.space, &self.far] {
            q.wake_all();
        }
        if let Some(s) = session {
            *s.tty.lock() = None;
            let leader = TREE.lock().process(s.sid);
            if let Some(p) = leader {
                send_process(&p, SigInfo::kernel(sig::HUP));
                send_process(&p, SigInfo::kernel(sig::CONT));
            }
        }
    }
}
