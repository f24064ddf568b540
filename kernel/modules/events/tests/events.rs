//! epoll(7), eventfd(2), timerfd(2), signalfd(2), pidfd.
use core_::Errno;
use core_::file::oflag;
use core_::signal::{SigInfo, SigSet, send_process, sig};
use core_::time::Setting;
use events::epoll::{Op, of};
use testkit::{read, spawn, start, write};

const IN: u32 = 1;
const OUT: u32 = 4;
const HUP: u32 = 0x10;
const EDGE: u32 = 1 << 31;
const ONESHOT: u32 = 1 << 30;

#[test]
fn level_edge_oneshot() {
    start();
    let ep = events::epoll::new();
    let ep = of(&ep).unwrap();
    let (r, w) = pipe::pair(oflag::NONBLOCK);
    ep.control(Op::Add, 3, &r, IN, 30).unwrap();
    assert_eq!(ep.control(Op::Add, 3, &r, IN, 30), Err(Errno::EEXIST));
    assert_eq!(ep.control(Op::Delete, 4, &r, 0, 0), Err(Errno::ENOENT));
    assert!(ep.wait(8, Some(0)).unwrap().is_empty());
    write(&w, b"ab").unwrap();
    assert_eq!(ep.wait(8, Some(0)).unwrap(), [(IN, 30)]);
    assert_eq!(ep.wait(8, Some(0)).unwrap(), [(IN, 30)]);
    ep.control(Op::Modify, 3, &r, IN | EDGE, 31).unwrap();
    assert_eq!(ep.wait(8, Some(0)).unwrap(), [(IN, 31)]);
    assert!(ep.wait(8, Some(0)).unwrap().is_empty());
    write(&w, b"c").unwrap();
    assert_eq!(ep.wait(8, Some(0)).unwrap(), [(IN, 31)]);
    ep.control(Op::Modify, 3, &r, IN | ONESHOT, 32).unwrap();
    assert_eq!(ep.wait(8, Some(0)).unwrap(), [(IN, 32)]);
    write(&w, b"d").unwrap();
    assert!(ep.wait(8, Some(0)).unwrap().is_empty());
    ep.control(Op::Modify, 3, &r, IN, 33).unwrap();
    drop(w);
    assert_eq!(ep.wait(8, Some(0)).unwrap(), [(IN | HUP, 33)]);
    // A closed file leaves by itself.
    drop(r);
    assert!(ep.wait(8, Some(0)).unwrap().is_empty());
}

#[test]
fn nested_and_loops() {
    start();
    let eps: Vec<_> = (0..7).map(|_| events::epoll::new()).collect();
    let e = |i: usize| of(&eps[i]).unwrap();
    assert_eq!(e(0).control(Op::Add, 0, &eps[0], IN, 0), Err(Errno::EINVAL));
    e(0).control(Op::Add, 1, &eps[1], IN, 1).unwrap();
    assert_eq!(e(1).control(Op::Add, 0, &eps[0], IN, 0), Err(Errno::ELOOP));
    for i in 1..4 {
        e(i).control(Op::Add, i as i32, &eps[i + 1], IN, 0).unwrap();
    }
    assert_eq!(e(4).control(Op::Add, 5, &eps[5], IN, 0), Err(Errno::ELOOP));
    let ev = events::eventfd::new(0, false, oflag::NONBLOCK);
    e(4).control(Op::Add, 9, &ev, IN, 9).unwrap();
    assert!(e(0).wait(1, Some(0)).unwrap().is_empty());
    write(&ev, &1u64.to_ne_bytes()).unwrap();
    assert_eq!(e(0).wait(1, Some(0)).unwrap(), [(IN, 1)]);
    read(&ev, 8).unwrap();
    assert!(e(0).wait(1, Some(0)).unwrap().is_empty());
}

#[test]
fn many_waiters_many_events() {
    start();
    let ep = events::epoll::new();
    let evs: Vec<_> = (0..8).map(|_| events::eventfd::new(0, true, oflag::NONBLOCK)).collect();
    for (i, f) in evs.iter().enumerate() {
        of(&ep).unwrap().control(Op::Add, i as i32, f, IN | EDGE, i as u64).unwrap();
    }
    let stop = events::eventfd::new(0, false, 0);
    of(&ep).unwrap().control(Op::Add, 99, &stop, IN, 99).unwrap();
    let workers: Vec<_> = (0..3)
        .map(|_| {
            let (ep, evs) = (ep.clone(), evs.clone());
            spawn(move || {
                let mut n = 0;
                loop {
                    for (_, d) in of(&ep).unwrap().wait(4, None).unwrap() {
                        if d == 99 {
                            return n;
                        }
                        while read(&evs[d as usize], 8).is_ok() {
                            n += 1;
                        }
                    }
                }
            })
        })
        .collect();
    for i in 0..8000 {
        write(&evs[i % 8], &1u64.to_ne_bytes()).unwrap();
    }
    std::thread::sleep(std::time::Duration::from_millis(100));
    write(&stop, &1u64.to_ne_bytes()).unwrap();
    assert_eq!(workers.into_iter().map(|w| w.join().unwrap()).sum::<usize>(), 8000);
}

#[test]
fn eventfd_limits() {
    start();
    let f = events::eventfd::new(0, false, oflag::NONBLOCK);
    assert_eq!(write(&f, &u64::MAX.to_ne_bytes()), Err(Errno::EINVAL));
    assert_eq!(write(&f, &(u64::MAX - 1).to_ne_bytes()), Ok(8));
    assert_eq!(write(&f, &1u64.to_ne_bytes()), Err(Errno::EAGAIN));
    assert_eq!(f.ops().poll(&f, None).bits(), IN);
    assert_eq!(read(&f, 8).unwrap(), (u64::MAX - 1).to_ne_bytes());
    assert_eq!(read(&f, 8), Err(Errno::EAGAIN));
    assert_eq!(f.ops().poll(&f, None).bits(), OUT);
    assert_eq!(read(&f, 7), Err(Errno::EINVAL));
}

#[test]
fn timers_fire() {
    let me = start();
    // No supervisor here: the test is it.
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let s = stop.clone();
    let ticker = std::thread::spawn(move || {
        while !s.load(std::sync::atomic::Ordering::Relaxed) {
            core_::time::expire_due();
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    });
    let t = events::timerfd::new(1, 0);
    events::timerfd::set(&t, Setting { value: 20_000_000, interval: 10_000_000 }, false).unwrap();
    let ep = events::epoll::new();
    of(&ep).unwrap().control(Op::Add, 1, &t, IN, 5).unwrap();
    assert_eq!(of(&ep).unwrap().wait(1, None).unwrap(), [(IN, 5)]);
    std::thread::sleep(std::time::Duration::from_millis(25));
    let n = u64::from_ne_bytes(read(&t, 8).unwrap().try_into().unwrap());
    assert!((2..20).contains(&n), "{n}");
    assert!(events::timerfd::get(&t).unwrap().value <= 10_000_000);
    read(&t, 8).unwrap();
    // An interval timer's signal; further expiries of a POSIX timer count as overruns.
    let p = &me.process;
    me.mask.store(u64::MAX, std::sync::atomic::Ordering::SeqCst);
    let id = p
        .timers
        .lock()
        .create(core_::time::Clock::System(1), p, |_| core_::time::Notify::Signal { signo: 34, value: 7, thread: None })
        .unwrap();
    let timer = p.timers.lock().posix(id).unwrap();
    timer.set(Setting { value: 1_000_000, interval: 5_000_000 }, false).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(60));
    let info = p.pending.lock().take(SigSet::of(34)).unwrap();
    assert_eq!((info.code, info.fields[1]), (core_::signal::code::TIMER, 7));
    assert!(info.fields[0] >> 32 >= 3, "{:x}", info.fields[0]);
    assert!(timer.overrun() >= 3);
    p.timers.lock().clear();
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    ticker.join().unwrap();
}

#[test]
fn signals_by_descriptor() {
    let me = start();
    me.mask.store(SigSet::of(sig::USR1).0, std::sync::atomic::Ordering::SeqCst);
    let f = events::signalfd::new(SigSet::of(sig::USR1), 0);
    let p = me.process.clone();
    let t = std::thread::spawn(move || {
        testkit::start();
        std::thread::sleep(std::time::Duration::from_millis(20));
        send_process(&p, SigInfo::user(sig::USR1, 0, 77, 5, 0));
    });
    let r = read(&f, 1000).unwrap();
    assert_eq!(r.len(), 128);
    assert_eq!((r[0], r[12], r[16]), (10, 77, 5));
    t.join().unwrap();
    let pfd = events::pidfd::new(me.process.clone(), 0);
    assert!(pfd.ops().poll(&pfd, None).is_empty());
    *me.process.state.lock() = core_::task::State::Zombie;
    assert_eq!(pfd.ops().poll(&pfd, None).bits() & IN, IN);
}
