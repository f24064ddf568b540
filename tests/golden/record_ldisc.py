#!/usr/bin/env python3
"""Records what Linux's terminal line discipline does, for kernel/lib/src/ldisc/tests.rs to replay.

Usage: record_ldisc.py > ldisc.trace

One case a line: name, iflag, oflag, lflag (octal), cc (hex), steps:
I<hex> typed; O<hex> what came out at the far side since the last O; W<hex> written by the program;
R<max>=<hex> a read (`wait`: it would block, `-`: no bytes); L<octal> a new lflag.
"""

import errno
import os
import pty
import select
import sys
import termios
import time

IFLAG = termios.ICRNL | termios.IXON
OFLAG = termios.OPOST | termios.ONLCR
ECHOCTL, ECHOPRT, ECHOKE = 0o1000, 0o2000, 0o4000
LFLAG = termios.ISIG | termios.ICANON | termios.ECHO | termios.ECHOE | termios.ECHOK | ECHOCTL | ECHOKE | termios.IEXTEN
CC = bytes([3, 0x1C, 0x7F, 0x15, 4, 0, 1, 0, 0x11, 0x13, 0x1A, 0, 0x12, 0x0F, 0x17, 0x16, 0, 0, 0])


def case(name, steps, iflag=IFLAG, oflag=OFLAG, lflag=LFLAG, cc=()):
    master, slave = pty.openpty()
    chars = bytearray(CC)
    for index, value in cc:
        chars[index] = value

    def apply(lf):
        attrs = termios.tcgetattr(slave)
        attrs[0], attrs[1], attrs[3] = iflag, oflag, lf
        for i, value in enumerate(chars):
            attrs[6][i] = bytes([value])
        if not lf & termios.ICANON:
            attrs[6][termios.VMIN], attrs[6][termios.VTIME] = chars[termios.VMIN], chars[termios.VTIME]
        termios.tcsetattr(slave, termios.TCSANOW, attrs)

    apply(lflag)
    os.set_blocking(slave, False)
    os.set_blocking(master, False)

    def out():
        got = b""
        while select.select([master], [], [], 0.02)[0]:
            got += os.read(master, 65536)
        return got.hex() or "-"

    words = [name, f"{iflag:o}", f"{oflag:o}", f"{lflag:o}", bytes(chars).hex()]
    for kind, value in steps:
        if kind == "I":
            os.write(master, value)
            time.sleep(0.02)
            words += ["I" + value.hex(), "O" + out()]
        elif kind == "W":
            os.write(slave, value)
            words += ["W" + value.hex(), "O" + out()]
        elif kind == "L":
            apply(value)
            words += [f"L{value:o}", "O" + out()]
        else:
            try:
                got = os.read(slave, value).hex() or "-"
            except OSError as e:
                if e.errno != errno.EAGAIN:
                    raise
                got = "wait"
            words.append(f"R{value}={got}")
    os.close(slave)
    os.close(master)
    print(*words)


def main():
    print("# Recorded on Linux by record_ldisc.py; see there for the format.")
    case("line", [("I", b"hello"), ("R", 100), ("I", b"\r"), ("R", 100), ("R", 100)])
    case("two-lines", [("I", b"ab\ncd\n"), ("R", 100), ("R", 1), ("R", 100), ("R", 10)])
    case("erase", [("I", b"abc\x7f\x7fx\n"), ("R", 100)])
    case("erase-nothing", [("I", b"\x7f\x7fa\n"), ("R", 100)])
    case("erase-control", [("I", b"a\x01b\x7f\x7f\x7f\n"), ("R", 100)])
    case("erase-tab", [("I", b"ab\tc\x7f\x7f\x7f\n"), ("R", 100)])
    case("erase-two-tabs", [("I", b"a\t\t\x7f\x7fx\n"), ("R", 100)])
    case("erase-tab-after-prompt", [("W", b"$ "), ("I", b"a\t\x7f\n"), ("R", 100)])
    case("erase-tab-after-control", [("I", b"\x01a\t\x7f\n"), ("R", 100)])
    case("erase-utf8", [("I", "aé€\x7f\x7fx\n".encode()), ("R", 100)], iflag=IFLAG | 0o40000)
    case("erase-bytes", [("I", "é\x7fx\n".encode()), ("R", 100)])
    case("werase", [("I", b"foo bar_1  \x17x\n"), ("R", 100)])
    case("werase-punctuation", [("I", b"foo.bar--\x17\x17x\n"), ("R", 100)])
    case("kill", [("I", b"foo bar\x15x\n"), ("R", 100)])
    case("kill-echok", [("I", b"foo\x15x\n"), ("R", 100)], lflag=LFLAG & ~ECHOKE)
    case("kill-plain", [("I", b"foo\x15x\n"), ("R", 100)], lflag=LFLAG & ~ECHOKE & ~termios.ECHOK)
    case("kill-no-echoe", [("I", b"foo\x15x\n"), ("R", 100)], lflag=LFLAG & ~termios.ECHOE)
    case("erase-no-echoe", [("I", b"foo\x7fx\n"), ("R", 100)], lflag=LFLAG & ~termios.ECHOE)
    case("erase-echoprt", [("I", b"foo\x7f\x7fx\x7f\x7f\x7fy\n"), ("R", 100)], lflag=LFLAG | ECHOPRT)
    case("kill-echoprt", [("I", b"foo\x15y\n"), ("R", 100)], lflag=LFLAG | ECHOPRT)
    case("lnext", [("I", b"a\x16\x03b\x16\x7f\n"), ("R", 100)])
    case("lnext-newline", [("I", b"a\x16\nb\n"), ("R", 100)])
    case("lnext-cr", [("I", b"a\x16\rb\n"), ("R", 100)])
    case("reprint", [("I", b"foo\x01\x12bar\n"), ("R", 100)])
    case("eof-empty", [("I", b"\x04"), ("R", 100), ("R", 100)])
    case("eof-after-text", [("I", b"abc\x04"), ("R", 100), ("R", 100)])
    case("eof-exact", [("I", b"abc\x04"), ("R", 3), ("R", 100)])
    case("eof-short", [("I", b"abc\x04"), ("R", 2), ("R", 2), ("R", 2)])
    case("eof-twice", [("I", b"abc\x04\x04"), ("R", 100), ("R", 100), ("R", 100)])
    case("eol", [("I", b"ab;cd\n"), ("R", 100), ("R", 100)], cc=[(11, ord(";"))])
    case("eol2", [("I", b"ab!cd\n"), ("R", 100), ("R", 100)], cc=[(16, ord("!"))])
    case("intr", [("I", b"abc\x03def\n"), ("R", 100)])
    case("quit", [("I", b"abc\x1cdef\n"), ("R", 100)])
    case("susp", [("I", b"abc\x1adef\n"), ("R", 100)])
    case("intr-noflsh", [("I", b"abc\x03def\n"), ("R", 100)], lflag=LFLAG | termios.NOFLSH)
    case("no-isig", [("I", b"a\x03b\n"), ("R", 100)], lflag=LFLAG & ~termios.ISIG)
    case("no-echo", [("I", b"abc\n"), ("R", 100)], lflag=LFLAG & ~termios.ECHO)
    case("echonl", [("I", b"abc\n"), ("R", 100)], lflag=LFLAG & ~termios.ECHO | termios.ECHONL)
    case("no-echoctl", [("I", b"a\x01\x02b\x7f\x7f\n"), ("R", 100)], lflag=LFLAG & ~ECHOCTL)
    case("no-iexten", [("I", b"a b\x17\x16\x12\n"), ("R", 100)], lflag=LFLAG & ~termios.IEXTEN)
    case("igncr", [("I", b"a\rb\n"), ("R", 100)], iflag=termios.IGNCR)
    case("inlcr", [("I", b"a\nb\r"), ("R", 100)], iflag=termios.INLCR)
    case("no-icrnl", [("I", b"a\rb\n"), ("R", 100)], iflag=0)
    case("istrip", [("I", b"\xe1\xe2\n"), ("R", 100)], iflag=IFLAG | termios.ISTRIP)
    case("iuclc", [("I", b"AbC\n"), ("R", 100)], iflag=IFLAG | 0o1000)
    case("parmrk", [("I", b"a\xffb\n"), ("R", 100)], iflag=IFLAG | termios.PARMRK)
    case("ixon", [("I", b"a\x13b"), ("I", b"c\x11d\n"), ("R", 100)])
    case("ixany", [("I", b"a\x13"), ("I", b"b"), ("I", b"\n"), ("R", 100)], iflag=IFLAG | termios.IXANY)
    raw = LFLAG & ~(termios.ICANON | termios.ECHO | termios.ISIG | termios.IEXTEN)
    case("raw", [("I", b"ab\x03\x7f\r\n"), ("R", 2), ("R", 100), ("R", 100)], iflag=0, lflag=raw)
    case("raw-echo", [("I", b"a\x01\t\r\n"), ("R", 100)], iflag=0, lflag=raw | termios.ECHO)
    case("cbreak", [("I", b"a\x03b\n"), ("R", 100)], lflag=LFLAG & ~termios.ICANON)
    case("to-raw", [("I", b"ab"), ("R", 10), ("L", raw), ("R", 10)])
    case("to-raw-line", [("I", b"ab\ncd\x04"), ("L", raw), ("R", 100)])
    case("to-canon", [("I", b"abc"), ("L", LFLAG), ("R", 2), ("R", 10), ("I", b"x\n"), ("R", 10)], lflag=raw)
    case("to-canon-typed", [("I", b"abc"), ("L", LFLAG), ("I", b"x\n"), ("R", 10), ("R", 10)], lflag=raw)
    case("onlcr", [("W", b"a\nb\r\n\tc")])
    case("no-opost", [("W", b"a\nb\tc")], oflag=0)
    case("ocrnl", [("W", b"a\rb")], oflag=termios.OPOST | termios.OCRNL)
    case("onocr", [("W", b"\ra\r\rb")], oflag=termios.OPOST | termios.ONOCR)
    case("onlret", [("W", b"ab\n\tc")], oflag=termios.OPOST | termios.ONLRET | 0o14000)
    case("olcuc", [("W", b"aBc\xe9")], oflag=termios.OPOST | 0o2)
    case("xtabs", [("W", b"a\tbb\t\tc\x08\td")], oflag=OFLAG | 0o14000)
    case("xtabs-echo", [("I", b"a\tb\x7f\x7f\n")], oflag=OFLAG | 0o14000)
    case("olcuc-echo", [("I", b"ab\x01\n")], oflag=OFLAG | 0o2)
    case("long-line", [("I", b"a" * 4000), ("I", b"b" * 200), ("I", b"\n"), ("R", 10000)], lflag=LFLAG & ~termios.ECHO)


if __name__ == "__main__":
    sys.exit(main())
