//! Not a test of rightness: prints how long a ping-pong takes here and on the host. Run with `--ignored --nocapture`.
use std::io::{Read, Write};
use std::time::Instant;
use testkit::{read, spawn, start, write};

const N: u32 = 50_000;

#[test]
#[ignore = "a measurement"]
fn ping_pong() {
    start();
    for _ in 0..3 {
        let (r, w) = pipe::pair(0);
        let (r2, w2) = pipe::pair(0);
        let t = spawn(move || {
            for _ in 0..N {
                let v = read(&r, 1).unwrap();
                write(&w2, &v).unwrap();
            }
        });
        let start = Instant::now();
        for _ in 0..N {
            write(&w, b"x").unwrap();
            read(&r2, 1).unwrap();
        }
        let here = start.elapsed() / N;
        t.join().unwrap();
        let (mut r, mut w) = std::io::pipe().unwrap();
        let (mut r2, mut w2) = std::io::pipe().unwrap();
        let t = std::thread::spawn(move || {
            let mut b = [0];
            for _ in 0..N {
                r.read_exact(&mut b).unwrap();
                w2.write_all(&b).unwrap();
            }
        });
        let start = Instant::now();
        let mut b = [0];
        for _ in 0..N {
            w.write_all(b"x").unwrap();
            r2.read_exact(&mut b).unwrap();
        }
        let host = start.elapsed() / N;
        t.join().unwrap();
        println!("round trip: {here:?}, host {host:?}");
    }
}
