//! Pipes, as pipe(7) describes them.
use core_::Errno;
use core_::file::{File, oflag};
use core_::signal::sig;
use core_::wait::Events;
use testkit::{read, spawn, start, write};

#[test]
fn bytes_end_of_file_and_epipe() {
    let me = start();
    let (r, w) = pipe::pair(oflag::NONBLOCK);
    assert_eq!(read(&r, 10), Err(Errno::EAGAIN));
    assert_eq!(write(&w, b"hello"), Ok(5));
    assert_eq!(pipe::peek(&r, 3, true).unwrap(), b"hel");
    assert_eq!(read(&r, 3).unwrap(), b"hel");
    assert_eq!(r.ops().poll(&r, None), Events::READ);
    assert_eq!(read(&r, 10).unwrap(), b"lo");
    drop(w);
    assert_eq!(r.ops().poll(&r, None), Events::HUP);
    assert_eq!(read(&r, 10).unwrap(), b"");
    let (r, w) = pipe::pair(0);
    drop(r);
    assert_eq!(w.ops().poll(&w, None), Events::WRITE | Events::ERR);
    assert_eq!(write(&w, b"x"), Err(Errno::EPIPE));
    assert!(me.pending.lock().set().has(sig::PIPE));
}

#[test]
fn capacity_and_atomicity() {
    start();
    let (r, w) = pipe::pair(oflag::NONBLOCK);
    assert_eq!(write(&w, &vec![1; 100_000]), Ok(65536));
    assert_eq!(w.ops().poll(&w, None), Events::empty());
    read(&r, 4000).unwrap();
    // Less than PIPE_BUF is free: such a write is whole or not at all, a longer one is cut.
    assert_eq!(write(&w, &[2; 4096]), Err(Errno::EAGAIN));
    assert_eq!(write(&w, &[2; 5000]), Ok(4000));
    assert_eq!(pipe::set_capacity(&w, 4096), Err(Errno::EBUSY));
    assert_eq!(pipe::set_capacity(&w, 100_000), Ok(131_072));
    assert_eq!(pipe::capacity(&r), Ok(131_072));
}

#[test]
fn packets() {
    start();
    let (r, w) = pipe::pair(oflag::DIRECT | oflag::NONBLOCK);
    write(&w, b"first").unwrap();
    write(&w, b"second").unwrap();
    assert_eq!(read(&r, 2).unwrap(), b"fi");
    assert_eq!(read(&r, 100).unwrap(), b"second");
    assert_eq!(read(&r, 100), Err(Errno::EAGAIN));
}

#[test]
fn blocking_both_ways() {
    start();
    let (r, w) = pipe::pair(0);
    let (r2, w2) = pipe::pair(0);
    let t = spawn(move || {
        let mut sum = 0usize;
        loop {
            let v = read(&r, 70_000).unwrap();
            if v.is_empty() {
                return sum;
            }
            sum += v.len();
            write(&w2, &v[..1]).unwrap();
        }
    });
    for i in 0..2000 {
        write(&w, &[i as u8]).unwrap();
        assert_eq!(read(&r2, 1).unwrap(), [i as u8]);
    }
    let bulk = spawn(move || while !read(&r2, 4096).unwrap().is_empty() {});
    assert_eq!(write(&w, &vec![7; 1_000_000]), Ok(1_000_000));
    drop(w);
    assert_eq!(t.join().unwrap(), 1_002_000);
    bulk.join().unwrap();
}

#[test]
fn fifo_opens_wait_for_each_other() {
    start();
    use core_::vfs::{kind, mknod_at};
    let inode = mknod_at(None, b"/fifo", kind::FIFO | 0o600).unwrap().inode().unwrap().clone();
    assert!(matches!(pipe::open_fifo(&inode, oflag::WRONLY | oflag::NONBLOCK), Err(Errno::ENXIO)));
    let i = inode.clone();
    let t = spawn(move || {
        let w = File::new(pipe::open_fifo(&i, oflag::WRONLY).unwrap(), oflag::WRONLY);
        write(&w, b"through").unwrap();
    });
    let r = File::new(pipe::open_fifo(&inode, oflag::RDONLY).unwrap(), oflag::RDONLY);
    assert_eq!(read(&r, 100).unwrap(), b"through");
    t.join().unwrap();
    assert_eq!(read(&r, 100).unwrap(), b"");
    // A reader from before is hung up, one that comes now is not.
    let flags = oflag::RDONLY | oflag::NONBLOCK;
    let late = File::new(pipe::open_fifo(&inode, flags).unwrap(), flags);
    assert_eq!((r.ops().poll(&r, None), late.ops().poll(&late, None)), (Events::HUP, Events::empty()));
}
