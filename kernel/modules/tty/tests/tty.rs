//! Terminals: pairs, console, job control.
use core_::Errno;
use core_::file::{File, oflag};
use core_::signal::{SigSet, sig};
use core_::wait::Events;
use std::sync::Arc;
use testkit::{read, spawn, start, write};

fn ioctl<T>(f: &File, cmd: u32, v: &mut T) -> core_::Result<i64> {
    f.ops().ioctl(f, cmd, std::ptr::from_mut(v) as u64)
}

fn open_pair() -> (Arc<File>, Arc<File>) {
    let m = File::new(tty::open_ptmx().unwrap(), oflag::RDWR);
    let mut n = 0i32;
    ioctl(&m, 0x8004_5430, &mut n).unwrap();
    assert!(matches!(tty::open_index(n as u32, oflag::RDWR), Err(Errno::EIO)));
    let mut off = 0i32;
    ioctl(&m, 0x4004_5431, &mut off).unwrap();
    let s = File::new(tty::open_index(n as u32, oflag::RDWR).unwrap(), oflag::RDWR);
    (m, s)
}

#[test]
fn lines_and_echo() {
    start();
    let (m, s) = open_pair();
    write(&m, b"hello\r").unwrap();
    assert_eq!(read(&m, 100).unwrap(), b"hello\r\n");
    assert_eq!(read(&s, 100).unwrap(), b"hello\n");
    write(&s, b"out\n").unwrap();
    assert_eq!(m.ops().poll(&m, None), Events::READ | Events::WRITE);
    assert_eq!(read(&m, 100).unwrap(), b"out\r\n");
    assert_eq!(s.ops().poll(&s, None), Events::WRITE);
    drop(s);
    assert!(m.ops().poll(&m, None).contains(Events::HUP));
    assert_eq!(read(&m, 1), Err(Errno::EIO));
}

#[test]
fn settings_and_raw_reads() {
    start();
    let (m, s) = open_pair();
    let mut t = [0u8; 36];
    ioctl(&s, 0x5401, &mut t).unwrap();
    assert_eq!(u32::from_ne_bytes(t[12..16].try_into().unwrap()), 0o105073);
    t[12..16].copy_from_slice(&0u32.to_ne_bytes());
    // VMIN 0, VTIME 1.
    (t[17 + 6], t[17 + 5]) = (0, 1);
    ioctl(&s, 0x5402, &mut t).unwrap();
    let now = std::time::Instant::now();
    assert_eq!(read(&s, 10).unwrap(), b"");
    assert!(now.elapsed().as_millis() >= 90);
    (t[17 + 6], t[17 + 5]) = (3, 0);
    ioctl(&s, 0x5402, &mut t).unwrap();
    let s2 = s.clone();
    let r = spawn(move || read(&s2, 10).unwrap());
    write(&m, b"ab").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(20));
    write(&m, b"cd").unwrap();
    let got = r.join().unwrap();
    assert!(got.len() >= 3, "{got:?}");
}

#[test]
fn job_control() {
    let me = start();
    let p = me.process.clone();
    let (m, s) = open_pair();
    // The leader's first open made it the controlling terminal.
    let mut v = 0i32;
    ioctl(&s, 0x540f, &mut v).unwrap();
    assert_eq!(v as u32, p.pid);
    ioctl(&s, 0x5429, &mut v).unwrap();
    assert_eq!(v as u32, p.pid);
    assert!(tty::open_controlling().is_ok());
    me.mask.store(u64::MAX, std::sync::atomic::Ordering::SeqCst);
    write(&m, b"typed\x03").unwrap();
    assert!(p.pending.lock().take(SigSet::of(sig::INT)).is_some());
    assert_eq!(read(&m, 100).unwrap(), b"^C");
    let mut size = [50u16, 100, 0, 0];
    ioctl(&m, 0x5414, &mut size).unwrap();
    assert!(p.pending.lock().take(SigSet::of(sig::WINCH)).is_some());
    ioctl(&m, 0x5414, &mut size).unwrap();
    assert!(p.pending.lock().take(SigSet::of(sig::WINCH)).is_none());
    // A group of another session.
    let mut other = testkit::process().pid as i32;
    assert_eq!(ioctl(&s, 0x5410, &mut other), Err(Errno::EPERM));
    let mut none = 31000i32;
    assert_eq!(ioctl(&s, 0x5410, &mut none), Err(Errno::ESRCH));
    // In the background with SIGTTIN blocked a read fails.
    p.set_pgid(p.pid + 1);
    assert_eq!(read(&s, 1), Err(Errno::EIO));
    p.set_pgid(p.pid);
    // The master goes: hang-up.
    drop(m);
    assert!(p.pending.lock().take(SigSet::of(sig::HUP)).is_some());
    assert_eq!(read(&s, 1).unwrap(), b"");
    assert_eq!(write(&s, b"x"), Err(Errno::EIO));
    assert!(s.ops().poll(&s, None).contains(Events::HUP | Events::IN));
    assert!(matches!(tty::open_controlling(), Err(Errno::ENXIO)));
}

#[test]
fn console() {
    let me = start();
    struct Sink(std::sync::Mutex<Vec<u8>>);
    impl tty::ConsoleSink for Sink {
        fn write(&self, b: &[u8]) -> core_::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(&b[..b.len().min(3)]);
            Ok(b.len().min(3))
        }
    }
    let sink = Arc::new(Sink(Default::default()));
    let (f, c) = tty::Console::new(24, 80, Some(sink.clone())).unwrap();
    tty::set_controlling(&me.process.session(), &f, me.process.pgid()).unwrap();
    write(&f, b"prompt> \n").unwrap();
    assert_eq!(c.input(b"ls\r"), 3);
    assert_eq!(*sink.0.lock().unwrap(), b"prompt> \r\nls\r\n");
    assert!(c.drained());
    assert_eq!(read(&f, 100).unwrap(), b"ls\n");
    me.mask.store(u64::MAX, std::sync::atomic::Ordering::SeqCst);
    c.resize(30, 90);
    assert!(me.process.pending.lock().take(SigSet::of(sig::WINCH)).is_some());
    let mut size = [0u16; 4];
    ioctl(&f, 0x5413, &mut size).unwrap();
    assert_eq!(size, [30, 90, 0, 0]);
    tty::session_leader_exit(&me.process.session());
    assert_eq!(write(&f, b"x"), Err(Errno::EIO));
    c.hangup();
}

#[test]
fn packet_mode_and_backpressure() {
    start();
    let (m, s) = open_pair();
    let mut on = 1i32;
    ioctl(&m, 0x5420, &mut on).unwrap();
    write(&s, b"x").unwrap();
    assert_eq!(read(&m, 10).unwrap(), b"\0x");
    write(&m, b"\x13").unwrap();
    assert!(m.ops().poll(&m, None).contains(Events::PRI));
    assert_eq!(read(&m, 10).unwrap(), [4]);
    write(&m, b"\x11").unwrap();
    assert_eq!(read(&m, 10).unwrap(), [8]);
    let mut off = 0i32;
    ioctl(&m, 0x5420, &mut off).unwrap();
    let m2 = m.clone();
    let t = spawn(move || {
        let mut n = 0;
        while n < 500_000 {
            n += read(&m2, 4096).unwrap().len();
        }
        n
    });
    assert_eq!(write(&s, &vec![b'a'; 500_000]), Ok(500_000));
    assert_eq!(t.join().unwrap(), 500_000);
}
