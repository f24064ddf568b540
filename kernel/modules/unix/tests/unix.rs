//! Local sockets, as unix(7) describes them.
use core_::file::{File, oflag};
use core_::io::IoBuf;
use core_::net::{
    Control, RecvExtra, SOCK_DGRAM, SOCK_SEQPACKET, SOCK_STREAM, SendExtra, Shutdown, SocketFile, msg, of,
};
use core_::wait::Events;
use core_::{Errno, Result};
use std::sync::Arc;
use testkit::{read, spawn, start, write};

fn pair(kind: u32, flags: u32) -> (Arc<File>, Arc<File>) {
    let (a, b) = (unix::FAMILY.pair)(kind, 0).unwrap();
    (SocketFile::open(a, flags), SocketFile::open(b, flags))
}

fn socket(kind: u32, flags: u32) -> Arc<File> {
    SocketFile::open((unix::FAMILY.socket)(kind, 0).unwrap(), flags)
}

fn recv(f: &File, max: usize, flags: u32) -> Result<(usize, Vec<u8>, RecvExtra)> {
    let mut v = vec![0; max];
    let (n, x) = of(f)?.socket.recv(f, &mut IoBuf::kernel_out(&mut v), flags)?;
    v.truncate(n);
    Ok((n, v, x))
}

fn send(f: &File, bytes: &[u8], extra: SendExtra) -> Result<usize> {
    of(f)?.socket.send(f, &mut IoBuf::kernel_in(bytes), extra)
}

fn addr(name: &str) -> Vec<u8> {
    [&[1, 0, 0], name.as_bytes()].concat()
}

#[test]
fn stream_pair() {
    start();
    let (a, b) = pair(SOCK_STREAM, oflag::NONBLOCK);
    assert_eq!(read(&a, 1), Err(Errno::EAGAIN));
    write(&a, b"one").unwrap();
    write(&a, b"two").unwrap();
    assert_eq!(recv(&b, 4, msg::PEEK).unwrap().1, b"onet");
    assert_eq!(read(&b, 100).unwrap(), b"onetwo");
    let n = write(&a, &vec![0; 1_000_000]).unwrap();
    assert!(n > 100_000 && n < 1_000_000);
    assert!(!a.ops().poll(&a, None).contains(Events::OUT));
    while read(&b, 65536).is_ok() {}
    assert!(a.ops().poll(&a, None).contains(Events::OUT));
    of(&a).unwrap().socket.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read(&b, 10).unwrap(), b"");
    assert_eq!(b.ops().poll(&b, None) & (Events::RDHUP | Events::HUP), Events::RDHUP);
    assert_eq!(send(&a, b"x", SendExtra { flags: msg::NOSIGNAL, ..Default::default() }), Err(Errno::EPIPE));
    write(&b, b"unread").unwrap();
    drop(a);
    assert!(b.ops().poll(&b, None).contains(Events::HUP | Events::ERR));
    assert_eq!(read(&b, 10), Err(Errno::ECONNRESET));
    assert_eq!(read(&b, 10).unwrap(), b"");
}

#[test]
fn records() {
    start();
    for kind in [SOCK_SEQPACKET, SOCK_DGRAM] {
        let (a, b) = pair(kind, oflag::NONBLOCK);
        write(&a, b"first").unwrap();
        write(&a, b"").unwrap();
        write(&a, b"third").unwrap();
        let (n, v, x) = recv(&b, 2, msg::TRUNC).unwrap();
        assert_eq!((n, &v[..2], x.flags), (5, &b"fi"[..], msg::TRUNC));
        assert_eq!(recv(&b, 10, 0).unwrap().0, 0);
        assert_eq!(recv(&b, 10, 0).unwrap().1, b"third");
        assert_eq!(write(&a, &vec![0; 300_000]), Err(Errno::EMSGSIZE));
    }
}

#[test]
fn descriptors_travel() {
    let me = start();
    let (a, b) = pair(SOCK_STREAM, oflag::NONBLOCK);
    of(&b).unwrap().socket.set_option(1, 16, &1i32.to_ne_bytes()).unwrap();
    let ev = pair(SOCK_STREAM, oflag::NONBLOCK);
    write(&a, b"before").unwrap();
    let control = vec![Control::Rights(vec![ev.0.clone()])];
    send(&a, b"with", SendExtra { control, ..Default::default() }).unwrap();
    write(&a, b"after").unwrap();
    let (_, v, x) = recv(&b, 100, 0).unwrap();
    assert_eq!(v, b"beforewith");
    assert!(x.control.iter().any(|c| matches!(c, Control::Credentials([p, 0, 0]) if *p == me.process.pid)));
    let got = x.control.into_iter().find_map(|c| if let Control::Rights(f) = c { Some(f) } else { None }).unwrap();
    write(&got[0], b"alive").unwrap();
    assert_eq!(read(&ev.1, 10).unwrap(), b"alive");
    assert_eq!(recv(&b, 100, 0).unwrap().1, b"after");
    // Sockets inside sockets inside sockets: bounded.
    let mut inner = ev.0.clone();
    let mut keep = Vec::new();
    let r = loop {
        let (x, y) = pair(SOCK_STREAM, 0);
        let control = vec![Control::Rights(vec![inner.clone()])];
        if let Err(e) = send(&x, b"x", SendExtra { control, ..Default::default() }) {
            break e;
        }
        keep.push(x);
        inner = y;
        assert!(keep.len() < 10);
    };
    assert_eq!(r, Errno::ETOOMANYREFS);
}

#[test]
fn long_chains_are_dropped_without_recursion() {
    start();
    // Built from the outside in, a chain can be longer than the check of a single send sees.
    let (first, mut tail) = pair(SOCK_STREAM, 0);
    let mut outer = Vec::new();
    for _ in 0..300 {
        let (x, y) = pair(SOCK_STREAM, 0);
        let control = vec![Control::Rights(vec![y.clone()])];
        send(&tail, b"x", SendExtra { control, ..Default::default() }).unwrap();
        outer.push(core::mem::replace(&mut tail, x));
        if outer.len() > 2 {
            outer.remove(0);
        }
        drop(y);
    }
    drop(outer);
    drop(tail);
    drop(first);
}

#[test]
fn listen_connect_accept() {
    start();
    let l = socket(SOCK_STREAM, 0);
    let s = |f: &Arc<File>| of(f).unwrap().socket.clone();
    let c = socket(SOCK_STREAM, 0);
    assert_eq!(s(&c).connect(&c, &addr("nobody")), Err(Errno::ECONNREFUSED));
    assert_eq!(c.ops().poll(&c, None) & (Events::HUP | Events::OUT), Events::HUP | Events::OUT);
    s(&l).bind(&addr("here")).unwrap();
    assert_eq!(s(&c).connect(&c, &addr("here")), Err(Errno::ECONNREFUSED));
    s(&l).listen(0).unwrap();
    let other = socket(SOCK_STREAM, 0);
    assert_eq!(s(&other).bind(&addr("here")), Err(Errno::EADDRINUSE));
    let server = l.clone();
    let t = spawn(move || {
        let mut total = 0;
        for _ in 0..3 {
            let conn = of(&server).unwrap().socket.accept(&server).unwrap();
            let conn = SocketFile::open(conn, 0);
            total += read(&conn, 100).unwrap().len();
            write(&conn, b"bye").unwrap();
        }
        total
    });
    for _ in 0..3 {
        let c = socket(SOCK_STREAM, 0);
        s(&c).connect(&c, &addr("here")).unwrap();
        assert_eq!(s(&c).peer_name().unwrap(), addr("here"));
        assert_eq!(s(&c).connect(&c, &addr("here")), Err(Errno::EISCONN));
        write(&c, b"hi").unwrap();
        assert_eq!(read(&c, 10).unwrap(), b"bye");
        assert_eq!(read(&c, 10).unwrap(), b"");
    }
    assert_eq!(t.join().unwrap(), 6);
    // The backlog, and what waits in it when the listener goes.
    let n = || {
        let c = socket(SOCK_STREAM, oflag::NONBLOCK);
        s(&c).connect(&c, &addr("here")).map(|()| c)
    };
    let waiting = n().unwrap();
    assert_eq!(n().map(drop), Err(Errno::EAGAIN));
    drop(l);
    assert_eq!(read(&waiting, 1), Err(Errno::ECONNRESET));
    assert_eq!(s(&waiting).connect(&waiting, &addr("here")), Err(Errno::EISCONN));
    assert_eq!(n().map(drop), Err(Errno::ECONNREFUSED));
}

#[test]
fn datagrams_by_name() {
    start();
    let s = |f: &Arc<File>| of(f).unwrap().socket.clone();
    let (a, b) = (socket(SOCK_DGRAM, oflag::NONBLOCK), socket(SOCK_DGRAM, oflag::NONBLOCK));
    s(&a).bind(&addr("dgram-a")).unwrap();
    s(&b).bind(&[1, 0]).unwrap();
    let to = || SendExtra { to: Some(addr("dgram-a")), ..Default::default() };
    send(&b, b"x", to()).unwrap();
    let (_, v, x) = recv(&a, 10, 0).unwrap();
    assert_eq!((v, x.from.unwrap()), (b"x".to_vec(), s(&b).name().unwrap()));
    let n = (0..100).take_while(|_| send(&b, b"y", to()).is_ok()).count();
    assert_eq!(n, 11);
    let st = socket(SOCK_STREAM, 0);
    // Not a name of stream sockets.
    assert_eq!(s(&st).connect(&st, &addr("dgram-a")), Err(Errno::ECONNREFUSED));
    s(&b).connect(&b, &addr("dgram-a")).unwrap();
    drop(a);
    assert_eq!(write(&b, b"z"), Err(Errno::ECONNREFUSED));
    assert_eq!(write(&b, b"z"), Err(Errno::ENOTCONN));
}

#[test]
fn blocking_ping_pong() {
    start();
    for kind in [SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM] {
        let (a, b) = pair(kind, 0);
        let t = spawn(move || {
            for _ in 0..2000 {
                let v = read(&b, 100).unwrap();
                write(&b, &v).unwrap();
            }
        });
        for i in 0..2000u32 {
            write(&a, &i.to_ne_bytes()).unwrap();
            assert_eq!(read(&a, 100).unwrap(), i.to_ne_bytes());
        }
        t.join().unwrap();
    }
    let (a, b) = pair(SOCK_STREAM, 0);
    let t = spawn(move || recv(&b, 3_000_000, msg::WAITALL).unwrap().0);
    assert_eq!(write(&a, &vec![1; 3_000_000]), Ok(3_000_000));
    assert_eq!(t.join().unwrap(), 3_000_000);
}

#[test]
fn cycles_are_freed() {
    start();
    let (r, w) = pipe::pair(oflag::NONBLOCK);
    {
        // Each end travels in its own connection, with a witness.
        let (a, b) = pair(SOCK_STREAM, 0);
        let control = vec![Control::Rights(vec![a.clone(), b.clone(), w])];
        send(&a, b"x", SendExtra { control, ..Default::default() }).unwrap();
        let control = vec![Control::Rights(vec![a.clone()])];
        send(&b, b"x", SendExtra { control, ..Default::default() }).unwrap();
    }
    // Another test's descriptors may be collected at the same time.
    for _ in 0..50 {
        drop(pair(SOCK_STREAM, 0));
        if r.ops().poll(&r, None).contains(Events::HUP) {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    panic!("the witness is still open");
}

#[test]
fn what_can_be_received_is_kept() {
    start();
    let (a, b) = pair(SOCK_STREAM, 0);
    let (x, y) = pair(SOCK_STREAM, 0);
    write(&x, b"inside").unwrap();
    send(&a, b"1", SendExtra { control: vec![Control::Rights(vec![y])], ..Default::default() }).unwrap();
    drop(pair(SOCK_STREAM, 0));
    let got = recv(&b, 10, 0).unwrap().2.control.pop();
    let Some(Control::Rights(f)) = got else { panic!() };
    assert_eq!(read(&f[0], 10).unwrap(), b"inside");
}
