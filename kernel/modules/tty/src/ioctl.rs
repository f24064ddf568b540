//! ioctl_tty(2).

use super::{Todo, Tty, packet};
use alloc::sync::Arc;
use core_::file::{File, oflag};
use core_::signal::{SigInfo, send_group, sig};
use core_::task::Cap;
use core_::uaccess::UserPtr;
use core_::{Errno, Result, counters, current};
use lib::ldisc::termios::{iflag, lflag};
use lib::ldisc::{Effects, Termios};

const TCGETS: u32 = 0x5401;
const TCSETS: u32 = 0x5402;
const TCSETSW: u32 = 0x5403;
const TCSETSF: u32 = 0x5404;
const TCGETA: u32 = 0x5405;
const TCSETA: u32 = 0x5406;
const TCSETAF: u32 = 0x5408;
const TCSBRK: u32 = 0x5409;
const TCXONC: u32 = 0x540a;
const TCFLSH: u32 = 0x540b;
const TIOCEXCL: u32 = 0x540c;
const TIOCNXCL: u32 = 0x540d;
const TIOCSCTTY: u32 = 0x540e;
const TIOCGPGRP: u32 = 0x540f;
const TIOCSPGRP: u32 = 0x5410;
const TIOCOUTQ: u32 = 0x5411;
const TIOCSTI: u32 = 0x5412;
const TIOCGWINSZ: u32 = 0x5413;
const TIOCSWINSZ: u32 = 0x5414;
const FIONREAD: u32 = 0x541b;
const TIOCPKT: u32 = 0x5420;
const TIOCNOTTY: u32 = 0x5422;
const TIOCGETD: u32 = 0x5424;
const TIOCSETD: u32 = 0x5423;
const TCSBRKP: u32 = 0x5425;
const TIOCSBRK: u32 = 0x5427;
const TIOCCBRK: u32 = 0x5428;
const TIOCGSID: u32 = 0x5429;
const TCGETS2: u32 = 0x802c_542a;
const TCSETS2: u32 = 0x402c_542b;
const TCSETSW2: u32 = 0x402c_542c;
const TCSETSF2: u32 = 0x402c_542d;
const TIOCGPTN: u32 = 0x8004_5430;
const TIOCSPTLCK: u32 = 0x4004_5431;
const TIOCSIG: u32 = 0x4004_5436;
const TIOCVHANGUP: u32 = 0x5437;
const TIOCGPKT: u32 = 0x8004_5438;
const TIOCGPTLCK: u32 = 0x8004_5439;
const TIOCGEXCL: u32 = 0x8004_5440;
const TIOCGPTPEER: u32 = 0x5441;

/// When new settings take effect.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    Now,
    Drained,
    Flushed,
}

/// struct termios of the kernel: 36 bytes; termios2 adds the speeds.
fn encode(t: &Termios) -> [u8; 44] {
    let mut b = [0; 44];
    for (i, w) in [t.iflag, t.oflag, t.cflag, t.lflag].iter().enumerate() {
        b[4 * i..4 * i + 4].copy_from_slice(&w.to_ne_bytes());
    }
    b[16] = t.line;
    b[17..36].copy_from_slice(&t.cc);
    b[36..40].copy_from_slice(&t.ispeed.to_ne_bytes());
    b[40..44].copy_from_slice(&t.ospeed.to_ne_bytes());
    b
}

fn word(b: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes([b[at], b[at + 1], b[at + 2], b[at + 3]])
}

/// Speeds of the B… numbers 0..=15 (`tty_baudrate.c`); above, with CBAUDEX.
const SPEEDS: [u32; 16] = [0, 50, 75, 110, 134, 150, 200, 300, 600, 1200, 1800, 2400, 4800, 9600, 19200, 38400];
const FAST: [u32; 15] = [
    57600, 115_200, 230_400, 460_800, 500_000, 576_000, 921_600, 1_000_000, 1_152_000, 1_500_000, 2_000_000, 2_500_000,
    3_000_000, 3_500_000, 4_000_000,
];

fn speed(cflag: u32, old: u32) -> u32 {
    let n = (cflag & 0o17) as usize;
    match cflag & 0o10000 {
        0 => SPEEDS[n],
        _ if n == 0 => old,
        _ => FAST[n - 1],
    }
}

fn decode(b: &[u8], old: &Termios, with_speed: bool) -> Termios {
    let mut t = *old;
    (t.iflag, t.oflag, t.cflag, t.lflag) = (word(b, 0), word(b, 4), word(b, 8), word(b, 12));
    t.line = b[16];
    t.cc.copy_from_slice(&b[17..36]);
    if with_speed {
        (t.ispeed, t.ospeed) = (word(b, 36), word(b, 40));
    } else {
        t.ospeed = speed(t.cflag, old.ospeed);
        t.ispeed = t.ospeed;
    }
    // A pseudo-terminal has eight data bits and no parity (`pty_set_termios`).
    t.cflag = (t.cflag & !(0o60 | 0o400)) | 0o60 | 0o200;
    t
}

/// struct termio: the lower halves of the flags, the line discipline and eight characters; the rest stays.
fn decode_termio(b: &[u8], old: &Termios) -> Termios {
    let mut all = encode(old);
    for i in 0..4 {
        all[4 * i..4 * i + 2].copy_from_slice(&b[2 * i..2 * i + 2]);
    }
    all[16] = b[8];
    all[17..25].copy_from_slice(&b[9..17]);
    decode(&all, old, false)
}

impl Tty {
    pub(super) fn slave_ioctl(self: &Arc<Self>, generation: u64, cmd: u32, arg: u64) -> Result<i64> {
        match cmd {
            TIOCSCTTY => self.set_ctty(arg == 1)?,
            TIOCNOTTY => self.give_up()?,
            TIOCGPGRP | TIOCGSID if !self.is_mine() => return Err(Errno::ENOTTY),
            FIONREAD => {
                let n = self.state.lock().ldisc.input_len();
                UserPtr::<i32>::new(arg).write(n as i32)?;
            }
            TIOCOUTQ => {
                // What waits for a master's reader counts as sent, as Linux's pty driver reports it.
                let n = if self.sink.is_some() { self.state.lock().out.len() } else { 0 };
                UserPtr::<i32>::new(arg).write(n as i32)?;
            }
            TCSBRK | TCSBRKP => {
                self.check_change()?;
                self.drain(generation)?;
            }
            TIOCSBRK | TIOCCBRK => self.check_change()?,
            _ => return self.common_ioctl(generation, cmd, arg),
        }
        Ok(0)
    }

    pub(super) fn master_ioctl(self: &Arc<Self>, cmd: u32, arg: u64) -> Result<i64> {
        let int = UserPtr::<i32>::new(arg);
        match cmd {
            TIOCGPTN => int.write(self.index as i32)?,
            TIOCSPTLCK => {
                let v = int.read()?;
                self.state.lock().locked = v != 0;
            }
            TIOCGPTLCK => {
                let v = self.state.lock().locked;
                int.write(i32::from(v))?;
            }
            TIOCPKT => {
                let on = int.read()? != 0;
                let mut st = self.state.lock();
                if on != st.packet {
                    st.packet = on;
                    st.packet_events = 0;
                }
            }
            TIOCGPKT => {
                let v = self.state.lock().packet;
                int.write(i32::from(v))?;
            }
            TIOCGPTPEER => {
                let flags = arg as u32;
                // With its name where the caller can see one, for ttyname(3).
                let file = File::with_path(crate::slave::open_index(self.index, flags)?, flags, self.place());
                return current().files().add(file, flags & oflag::CLOEXEC != 0).map(i64::from);
            }
            TIOCSIG => {
                let s = arg as u32;
                if s == 0 || s > sig::MAX {
                    return Err(Errno::EINVAL);
                }
                let pgrp = self.state.lock().pgrp;
                if pgrp != 0 {
                    send_group(pgrp, SigInfo::kernel(s));
                }
            }
            FIONREAD => {
                let n = self.state.lock().out.len();
                int.write(n as i32)?;
            }
            TIOCOUTQ => {
                let n = self.state.lock().pending.len();
                int.write(n as i32)?;
            }
            TIOCSCTTY | TIOCNOTTY => return Err(Errno::ENOTTY),
            TCSBRK | TCSBRKP => {}
            _ => {
                let generation = self.state.lock().generation;
                return self.common_ioctl(generation, cmd, arg);
            }
        }
        Ok(0)
    }

    fn common_ioctl(self: &Arc<Self>, generation: u64, cmd: u32, arg: u64) -> Result<i64> {
        let int = UserPtr::<i32>::new(arg);
        match cmd {
            TCGETS | TCGETS2 => {
                let b = encode(self.state.lock().ldisc.termios());
                let n = if cmd == TCGETS { 36 } else { 44 };
                core_::uaccess::write_bytes(arg, &b[..n])?;
            }
            TCSETS..=TCSETSF | TCSETS2..=TCSETSF2 => {
                let old_kind = cmd <= TCSETSF;
                let when = match cmd {
                    TCSETS | TCSETS2 => When::Now,
                    TCSETSW | TCSETSW2 => When::Drained,
                    _ => When::Flushed,
                };
                let b = core_::uaccess::read_bytes(arg, if old_kind { 36 } else { 44 })?;
                self.change(generation, when, |old| decode(&b, old, !old_kind))?;
            }
            TCGETA => {
                let b = encode(self.state.lock().ldisc.termios());
                // struct termio: four 16-bit flags, line, eight characters.
                let mut old = [0u8; 18];
                for i in 0..4 {
                    old[2 * i..2 * i + 2].copy_from_slice(&b[4 * i..4 * i + 2]);
                }
                old[8] = b[16];
                old[9..17].copy_from_slice(&b[17..25]);
                core_::uaccess::write_bytes(arg, &old)?;
            }
            TCSETA..=TCSETAF => {
                let when = match cmd {
                    TCSETA => When::Now,
                    TCSETAF => When::Flushed,
                    _ => When::Drained,
                };
                let b = core_::uaccess::read_bytes(arg, 18)?;
                self.change(generation, when, |old| decode_termio(&b, old))?;
            }
            TIOCGWINSZ => {
                let s = self.state.lock().size;
                UserPtr::<[u16; 4]>::new(arg).write(s)?;
            }
            TIOCSWINSZ => {
                let s = UserPtr::<[u16; 4]>::new(arg).read()?;
                self.set_size(s);
            }
            TIOCGPGRP => {
                let v = self.state.lock().pgrp;
                int.write(v as i32)?;
            }
            TIOCSPGRP => self.set_pgrp(int.read()?)?,
            TIOCGSID => {
                let s = self.state.lock().session.upgrade().ok_or(Errno::ENOTTY)?;
                int.write(s.sid as i32)?;
            }
            TCFLSH => {
                self.check_change()?;
                self.flush(arg)?;
            }
            TCXONC => {
                self.check_change()?;
                self.flow(arg)?;
            }
            TIOCEXCL => self.state.lock().exclusive = true,
            TIOCNXCL => self.state.lock().exclusive = false,
            TIOCGEXCL => {
                let v = self.state.lock().exclusive;
                int.write(i32::from(v))?;
            }
            // Typing for others is refused, as Linux does with dev.tty.legacy_tiocsti=0.
            TIOCSTI => return Err(Errno::EIO),
            TIOCGETD => int.write(0)?,
            TIOCSETD => {
                if int.read()? != 0 {
                    return Err(counters::missing(16, Errno::EINVAL));
                }
            }
            TIOCVHANGUP => {
                if !current().cred().has(Cap::SysAdmin) {
                    return Err(Errno::EPERM);
                }
                self.hang_up();
            }
            _ => return Err(counters::missing(16, Errno::ENOTTY)),
        }
        Ok(0)
    }

    fn change(self: &Arc<Self>, generation: u64, when: When, new: impl FnOnce(&Termios) -> Termios) -> Result<()> {
        self.check_change()?;
        if when != When::Now {
            self.drain(generation)?;
        }
        let mut todo = Todo::default();
        {
            let mut st = self.state.lock();
            if when == When::Flushed {
                st.ldisc.flush_input();
                st.pending.clear();
            }
            let old = *st.ldisc.termios();
            let new = new(&old);
            let fx = st.ldisc.set_termios(new);
            st.apply(fx, &mut todo);
            let normal = |t: &Termios| t.i(iflag::IXON) && t.cc[8] == 0x11 && t.cc[9] == 0x13;
            if normal(&old) != normal(&new) {
                st.packet_events &= !(packet::DOSTOP | packet::NOSTOP);
                st.event(if normal(&new) { packet::DOSTOP } else { packet::NOSTOP }, &mut todo);
            }
            // TIOCPKT_IOCTL: with EXTPROC the master hears of every change.
            if (old.lflag | new.lflag) & lflag::EXTPROC != 0 {
                st.event(64, &mut todo);
            }
            st.digest(&mut todo);
        }
        todo.space = true;
        self.finish(todo);
        Ok(())
    }

    fn flush(&self, what: u64) -> Result<()> {
        let mut todo = Todo::default();
        {
            let mut st = self.state.lock();
            if what == 0 || what == 2 {
                st.ldisc.flush_input();
                st.pending.clear();
                st.event(packet::FLUSHREAD, &mut todo);
                todo.far = true;
            }
            if what == 1 || what == 2 {
                st.out.clear();
                st.event(packet::FLUSHWRITE, &mut todo);
                todo.space = true;
            }
            if what > 2 {
                return Err(Errno::EINVAL);
            }
        }
        self.finish(todo);
        Ok(())
    }

    fn flow(&self, what: u64) -> Result<()> {
        let mut todo = Todo::default();
        {
            let mut st = self.state.lock();
            let mut fx = Effects::default();
            match what {
                0 => st.ldisc.stop(&mut fx),
                1 => st.ldisc.start(&mut fx),
                // TCIOFF, TCION: send the far side a stop or start character.
                2 | 3 => {
                    let c = st.ldisc.termios().cc[if what == 2 { 9 } else { 8 }];
                    if c != 0 {
                        st.out.push_back(c);
                        todo.far = true;
                    }
                }
                _ => return Err(Errno::EINVAL),
            }
            st.apply(fx, &mut todo);
        }
        self.finish(todo);
        Ok(())
    }
}
