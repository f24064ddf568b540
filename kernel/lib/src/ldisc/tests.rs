use super::termios::{cc, lflag};
use super::*;
use std::string::ToString;

fn typed(l: &mut Ldisc, s: &[u8]) -> Effects {
    let mut fx = Effects::default();
    assert_eq!(l.receive(s, &mut fx), s.len());
    fx
}

fn hex(s: &str) -> Vec<u8> {
    if s == "-" {
        return Vec::new();
    }
    (0..s.len()).step_by(2).map(|i| u8::from_str_radix(&s[i..i + 2], 16).unwrap()).collect()
}

#[test]
fn line_limit_keeps_the_beginning() {
    let mut l = Ldisc::default();
    typed(&mut l, &[b'a'; 5000]);
    typed(&mut l, b"\n");
    let Ready::Bytes(b) = l.read(10000) else { panic!() };
    assert_eq!((b.len(), b[4095]), (4096, b'\n'));
}

#[test]
fn raw_mode_reports_a_full_buffer() {
    let mut l = Ldisc::default();
    let mut t = *l.termios();
    t.lflag &= !(lflag::ICANON | lflag::ECHO);
    t.cc[cc::VMIN] = 1;
    l.set_termios(t);
    let mut fx = Effects::default();
    assert_eq!(l.receive(&[b'x'; 5000], &mut fx), 4095);
    assert!(!l.has_room());
}

#[test]
fn signals_flush_and_echo() {
    let mut l = Ldisc::default();
    let fx = typed(&mut l, b"abc\x03");
    assert_eq!((fx.signals.as_slice(), fx.output.as_slice()), (&[SIGINT][..], &b"^C"[..]));
    assert_eq!(l.read(10), Ready::Wait);
}

/// Replays the traces that tests/golden/record_ldisc.py recorded on Linux.
#[test]
fn golden() {
    let mut wrong = Vec::new();
    for (nr, line) in include_str!("../../../../tests/golden/ldisc.trace").lines().enumerate() {
        let w: Vec<&str> = line.split(' ').collect();
        if line.starts_with('#') || line.is_empty() {
            continue;
        }
        // name | iflag oflag lflag cc | then steps
        let num = |s: &str| u32::from_str_radix(s, 8).unwrap();
        let mut t = Termios { iflag: num(w[1]), oflag: num(w[2]), lflag: num(w[3]), ..Termios::default() };
        t.cc.copy_from_slice(&hex(w[4]));
        let mut l = Ldisc::new(t);
        let mut echo: Vec<u8> = Vec::new();
        for step in &w[5..] {
            let at = std::format!("line {} ({}), step {step}", nr + 1, w[0]);
            let (kind, rest) = step.split_at(1);
            match kind {
                "I" => {
                    let mut fx = Effects::default();
                    l.receive(&hex(rest), &mut fx);
                    if fx.flush_output {
                        echo.clear();
                    }
                    echo.extend(fx.output);
                }
                "W" => {
                    let n = l.write(&hex(rest), 65536, &mut echo);
                    assert_eq!(n, hex(rest).len(), "{at}");
                }
                "O" => {
                    let got = core::mem::take(&mut echo);
                    if got != hex(rest) {
                        wrong.push(std::format!(
                            "{at}: {:?}, not {:?}",
                            got.escape_ascii().to_string(),
                            hex(rest).escape_ascii().to_string()
                        ));
                    }
                }
                "R" => {
                    let (max, want) = rest.split_once('=').unwrap();
                    let got = l.read(max.parse().unwrap());
                    let want = if want == "wait" { Ready::Wait } else { Ready::Bytes(hex(want)) };
                    if got != want {
                        wrong.push(std::format!("{at}: {got:?}, not {want:?}"));
                    }
                }
                "L" => {
                    let mut t = *l.termios();
                    t.lflag = num(rest);
                    let fx = l.set_termios(t);
                    echo.extend(fx.output);
                }
                _ => panic!("{at}"),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
