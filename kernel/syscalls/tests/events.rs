//! The calls of the event side, through the table, with the test's own memory as application memory.
use core_::Errno;
use core_::signal::{SigInfo, SigSet, send_process, sig};
use core_::task::Restart;
use std::time::{Duration, Instant};
use syscalls::{Args, CALLS};
use testkit::{spawn, start};

fn call(name: &str, args: &[u64]) -> core_::Result<i64> {
    let mut a = [0; 6];
    a[..args.len()].copy_from_slice(args);
    let row = CALLS.iter().find(|c| c.name == name).unwrap();
    (row.handler)(&Args(a))
}

fn p<T>(v: &mut T) -> u64 {
    std::ptr::from_mut(v) as u64
}

/// The files of the caller shared with the threads that a test makes.
fn spawn_shared<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> std::thread::JoinHandle<T> {
    let files = core_::current().files();
    spawn(move || {
        core_::current().set_files(files);
        f()
    })
}

fn pipe() -> [i32; 2] {
    let mut fds = [0i32; 2];
    call("pipe2", &[p(&mut fds), 0]).unwrap();
    fds
}

fn put(fd: i32, b: &[u8]) {
    testkit::write(&core_::current().files().get(fd).unwrap(), b).unwrap();
}

#[test]
fn poll_and_ppoll() {
    start();
    let [r, w] = pipe();
    // fd, events | revents << 16
    let mut fds = [[r, 1], [w, 4], [77, 1], [-1, 1]];
    assert_eq!(call("poll", &[p(&mut fds), 4, 0]), Ok(2));
    assert_eq!(fds.map(|f| f[1] >> 16), [0, 4, 0x20, 0]);
    let mut one = [[r, 1]];
    let t = Instant::now();
    assert_eq!(call("poll", &[p(&mut one), 1, 30]), Ok(0));
    assert!(t.elapsed() >= Duration::from_millis(30));
    let th = spawn_shared(move || {
        std::thread::sleep(Duration::from_millis(20));
        put(w, b"x");
    });
    assert_eq!(call("poll", &[p(&mut one), 1, -1i64 as u64]), Ok(1));
    assert_eq!(one[0][1] >> 16, 1);
    th.join().unwrap();
    let mut ts = [1i64, 0];
    assert_eq!(call("ppoll", &[p(&mut one), 1, p(&mut ts), 0, 0]), Ok(1));
    assert!(ts[0] == 0 && ts[1] > 900_000_000);
    ts = [0, 2_000_000_000];
    assert_eq!(call("ppoll", &[p(&mut one), 1, p(&mut ts), 0, 0]), Err(Errno::EINVAL));
    assert_eq!(call("poll", &[p(&mut one), 5000, 0]), Err(Errno::EINVAL));
    assert_eq!(call("poll", &[0x7000_0000, 1, 0]), Err(Errno::EFAULT));
}

#[test]
fn interrupted_by_signals() {
    let me = start();
    let [r, _w] = pipe();
    let target = me.process.clone();
    let kick = move |ms| {
        let target = target.clone();
        std::thread::spawn(move || {
            start();
            std::thread::sleep(Duration::from_millis(ms));
            send_process(&target, SigInfo::kernel(sig::USR1));
        })
    };
    let mut one = [[r, 1]];
    let k = kick(20);
    assert_eq!(call("poll", &[p(&mut one), 1, 1000]), Err(Errno::ERESTART_RESTARTBLOCK));
    assert!(matches!(*me.restart.lock(), Restart::Poll { n: 1, .. }));
    k.join().unwrap();
    me.process.pending.lock().discard(SigSet(u64::MAX));
    let (mut req, mut rem) = ([1i64, 0], [9i64, 9]);
    let k = kick(20);
    assert_eq!(call("nanosleep", &[p(&mut req), p(&mut rem)]), Err(Errno::ERESTART_RESTARTBLOCK));
    assert!(rem[0] == 0 && rem[1] > 500_000_000, "{rem:?}");
    k.join().unwrap();
    me.process.pending.lock().discard(SigSet(u64::MAX));
    // The mask of ppoll lets a pending signal in, and stays in place for its delivery.
    me.mask.store(SigSet::of(sig::USR1).0, std::sync::atomic::Ordering::SeqCst);
    send_process(&me.process, SigInfo::kernel(sig::USR1));
    let mut empty = 0u64;
    assert_eq!(call("ppoll", &[p(&mut one), 1, 0, p(&mut empty), 8]), Err(Errno::ERESTARTNOHAND));
    assert_eq!(*me.saved_mask.lock(), Some(SigSet::of(sig::USR1)));
    assert_eq!(me.blocked(), SigSet::EMPTY);
}

#[test]
fn select_sets() {
    start();
    let [r, w] = pipe();
    let (mut rs, mut ws, mut tv) = (1u64 << r, 1u64 << w, [5i64, 0]);
    assert_eq!(call("select", &[64, p(&mut rs), p(&mut ws), 0, p(&mut tv)]), Ok(1));
    assert_eq!((rs, ws), (0, 1 << w));
    assert!(tv[0] == 4);
    put(w, b"x");
    rs = 1 << r;
    assert_eq!(call("select", &[64, p(&mut rs), p(&mut ws), 0, 0]), Ok(2));
    assert_eq!((rs, ws), (1 << r, 1 << w));
    rs = 1 << 40;
    assert_eq!(call("select", &[64, p(&mut rs), 0, 0, 0]), Err(Errno::EBADF));
    tv = [0, 20_000];
    assert_eq!(call("select", &[0, 0, 0, 0, p(&mut tv)]), Ok(0));
    assert_eq!(tv, [0, 0]);
}

#[test]
fn clocks() {
    start();
    let mut ts = [0i64; 2];
    for id in [0i32, 1, 2, 3, 4, 5, 6, 7, 11, -6, -2] {
        assert_eq!(call("clock_gettime", &[id as u64, p(&mut ts)]), Ok(0), "{id}");
        assert!(ts[0] >= 0 && (0..1_000_000_000).contains(&ts[1]));
        assert_eq!(call("clock_getres", &[id as u64, p(&mut ts)]), Ok(0), "{id}");
    }
    assert_eq!(call("clock_gettime", &[99, p(&mut ts)]), Err(Errno::EINVAL));
    ts = [1, 0];
    assert_eq!(call("clock_settime", &[0, p(&mut ts)]), Err(Errno::EPERM));
    let t = Instant::now();
    ts = [0, 5_000_000];
    assert_eq!(call("clock_nanosleep", &[1, 0, p(&mut ts), 0]), Ok(0));
    assert_eq!(call("clock_nanosleep", &[0, 0, p(&mut ts), 0]), Ok(0));
    assert!(t.elapsed() >= Duration::from_millis(10));
    assert_eq!(call("alarm", &[100]), Ok(0));
    let mut it = [0i64; 4];
    assert_eq!(call("getitimer", &[0, p(&mut it)]), Ok(0));
    assert_eq!((it[0], it[1], it[2]), (0, 0, 99));
    assert_eq!(call("alarm", &[0]), Ok(100));
}

#[test]
fn sockets_with_descriptors() {
    core_::net::register(unix::FAMILY);
    start();
    let mut sv = [0i32; 2];
    assert_eq!(call("socketpair", &[1, 1 | 0o2_000_000, 0, p(&mut sv)]), Ok(0));
    assert_eq!(call("socket", &[2, 1, 0]), Err(Errno::EAFNOSUPPORT));
    let [r, w] = pipe();
    let mut data = *b"payload!";
    let mut iov = [p(&mut data), 8];
    // cmsghdr: length 20, SOL_SOCKET, SCM_RIGHTS, one descriptor.
    let mut control = [20u64, 1 | 1 << 32, w as u64];
    let mut hdr = [0, 0, p(&mut iov), 1, p(&mut control), 20, 0];
    assert_eq!(call("sendmsg", &[sv[0] as u64, p(&mut hdr), 0]), Ok(8));
    let (mut data, mut control) = ([0u8; 16], [0u64; 8]);
    let mut iov = [p(&mut data), 16];
    let mut hdr = [0, 0, p(&mut iov), 1, p(&mut control), 64, 0];
    assert_eq!(call("recvmsg", &[sv[1] as u64, p(&mut hdr), 0x4000_0000]), Ok(8));
    assert_eq!(&data[..8], b"payload!");
    assert_eq!((hdr[5], control[0], control[1]), (24, 20, 1 | 1 << 32));
    let got = control[2] as i32;
    assert_eq!(core_::current().files().cloexec(got), Ok(true));
    put(got, b"z");
    assert_eq!(testkit::read(&core_::current().files().get(r).unwrap(), 5).unwrap(), b"z");
    let (mut v, mut len) = (0u32, 4i32);
    assert_eq!(call("getsockopt", &[sv[0] as u64, 1, 3, p(&mut v), p(&mut len)]), Ok(0));
    assert_eq!((v, len), (1, 4));
    let mut peer = [0u32; 3];
    len = 12;
    assert_eq!(call("getsockopt", &[sv[0] as u64, 1, 17, p(&mut peer), p(&mut len)]), Ok(0));
    assert_eq!(peer[0], core_::current().process.pid);
    assert_eq!(call("listen", &[r as u64, 1]), Err(Errno::ENOTSOCK));
}

#[test]
fn epoll_calls() {
    start();
    let [r, w] = pipe();
    let ep = call("epoll_create1", &[0]).unwrap() as u64;
    let mut ev = [0u32; 3];
    (ev[0], ev[1]) = (1, 42);
    assert_eq!(call("epoll_ctl", &[ep, 1, r as u64, p(&mut ev)]), Ok(0));
    assert_eq!(call("epoll_ctl", &[ep, 9, r as u64, p(&mut ev)]), Err(Errno::EINVAL));
    assert_eq!(call("epoll_ctl", &[ep, 1, 99, p(&mut ev)]), Err(Errno::EBADF));
    let mut out = [[0u32; 3]; 4];
    assert_eq!(call("epoll_wait", &[ep, p(&mut out), 0, 0]), Err(Errno::EINVAL));
    let t = spawn_shared(move || {
        std::thread::sleep(Duration::from_millis(10));
        put(w, b"x");
    });
    assert_eq!(call("epoll_pwait", &[ep, p(&mut out), 4, -1i64 as u64, 0, 8]), Ok(1));
    assert_eq!(out[0], [1, 42, 0]);
    t.join().unwrap();
    let mut ts = [0i64, 1];
    assert_eq!(call("epoll_pwait2", &[ep, p(&mut out), 4, p(&mut ts), 0, 8]), Ok(1));
}
