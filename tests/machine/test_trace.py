"""`--trace`: what a user of strace expects. strace on the host is the oracle: the same program, the same lines."""

import re
import signal
import subprocess
import sys

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

#: Calls of many kinds; what is before getsid is the interpreter's own start.
PROGRAM = r"""
import ctypes, fcntl, os, select, signal, socket, struct, termios, time
call = ctypes.CDLL(None, use_errno=True).syscall
os.getsid(0)
fd = os.open("/tmp/lodger-trace", os.O_CREAT | os.O_RDWR | os.O_TRUNC, 0o640)
os.write(fd, b"a\x1b[31m\n\0009" * 5); os.lseek(fd, 0, os.SEEK_SET); os.read(fd, 9); os.pread(fd, 99, 2)
os.writev(fd, [b"one", b"two"]); os.fchmod(fd, 0); os.ftruncate(fd, 7); os.dup2(fd, 9); fcntl.flock(fd, fcntl.LOCK_SH)
fcntl.fcntl(fd, fcntl.F_GETFD); fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 20); fcntl.lockf(fd, fcntl.LOCK_EX)
os.access("/tmp", os.R_OK | os.X_OK); os.umask(0o22); os.getcwd(); os.symlink("there", "/tmp/lodger-trace-link")
os.readlink("/tmp/lodger-trace-link"); os.unlink("/tmp/lodger-trace-link"); os.unlink("/tmp/lodger-trace")
call(263, -100, b"/tmp/no-such-directory", 0x200); call(8, fd, 0, 9); call(334, 1)
r, w = os.pipe(); os.write(w, b"x"); poll = select.poll(); poll.register(r, select.POLLIN); poll.poll(10)
e = select.epoll(); e.register(r, select.EPOLLIN | select.EPOLLET); e.poll(1); e.unregister(r)
select.select([r], [], [r], 1); call(35, struct.pack("qq", 0, 7), 0)
a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET); a.send(b"hi"); b.recv(9, socket.MSG_PEEK); a.shutdown(2)
s = socket.socket(socket.AF_UNIX); s.connect_ex("/tmp/no-such-socket")
try: termios.tcgetattr(0)
except termios.error: pass
signal.signal(signal.SIGUSR2, lambda *_: None); os.kill(os.getpid(), signal.SIGUSR2); os.kill(os.getpid(), signal.SIGURG)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, 40]); signal.sigpending(); signal.setitimer(signal.ITIMER_REAL, 0)
call(302, 0, 7, 0, ctypes.create_string_buffer(16)); call(157, 38, 1, 0, 0, 0); call(26, 0x10000, 4096, 5)
call(9, 0, 4096, 0, 0x22, -1, 0); call(28, 0, 4096, 4); call(202, ctypes.byref(ctypes.c_int(1)), 128, 7, 0)
pid = os.fork()
if pid == 0: os.execv("/bin/sh", ["sh", "-c", "exit 7"])
os.waitpid(pid, 0)
try: os.execv("/no/such", ["such"])
except OSError: pass
pid = os.fork()
if pid == 0: signal.pause()
os.kill(pid, signal.SIGKILL); os.waitpid(pid, 0)
signal.raise_signal(signal.SIGTERM)
"""
#: Not compared: what depends on memory and chance, and what strace says with the result behind it (poll, lengths).
NOISE = (
    "brk|mmap|munmap|mprotect|futex|rseq|set_robust_list|getpid|gettid|rt_sigreturn|clone3?|v?fork|poll|pselect6|"
    "getsockname|getrandom|prlimit64|getsid|getppid|set_tid_address"
)


def traced(text):
    """The lines of each thread from its getsid or execve on, in the order in which the threads appear."""
    threads, held = {}, {}
    for line in text.splitlines():
        tid, said = re.fullmatch(r"\[? *(\d+)\]? +(.*)", line).groups()
        if said.endswith(" <unfinished ...>"):
            held[tid] = said.removesuffix(" <unfinished ...>")
            continue
        said = re.sub(r"<\.\.\. \w+ resumed>", lambda _: held.pop(tid), said)  # noqa: B023
        threads.setdefault(tid, []).append(said)
    names = {tid: f"P{n}" for n, tid in enumerate(threads)}

    def plain(line):
        line = re.sub(r"\) += ", ") = ", re.sub(r"0x[0-9a-f]{6,}", "ADDRESS", line))
        line = re.sub(r"\d+ vars", "N vars", re.sub(r"(si_[us]time)=\d+", r"\1=T", line))
        if not pids.search(line):
            return line
        return re.sub(r"(\(|=|, |= )(\d+)", lambda m: m[1] + names.get(m[2], m[2]), line)

    pids = re.compile(r"^(kill|tgkill|wait4)\(|si_pid=")
    noise = re.compile(rf"({NOISE})\(")
    result = []
    for lines in threads.values():
        start = next((i for i, line in enumerate(lines) if line.startswith("getsid(")), 0)
        kept = [plain(line) for line in lines[start:] if not noise.match(line)]
        # When a parent hears of its child is chance.
        result.append(
            ([line for line in kept if "SIGCHLD {" not in line], [line for line in kept if "SIGCHLD {" in line])
        )
    return result


def test_as_strace(cli, tmp_path):
    program = [sys.executable, "-S", "-c", PROGRAM]
    host, guest = tmp_path / "host", tmp_path / "guest"
    silent = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
    witness = subprocess.run(["strace", "-f", "-o", host, *program], cwd="/", env={"PATH": PATH}, check=False, **silent)
    assert witness.returncode in (-signal.SIGTERM, 128 + signal.SIGTERM)
    assert cli("run", "--guard", "none", f"--trace={guest}", "--", *program).returncode == 128 + signal.SIGTERM
    assert traced(guest.read_text()) == traced(host.read_text())


def lines(cli, tmp_path, *words):
    """The lines of a command without addresses."""
    cli("run", "--guard", "none", f"--trace={tmp_path / 'trace'}", "--", *words)
    return [re.sub(r"0x[0-9a-f]{6,}", "ADDRESS", line) for line in (tmp_path / "trace").read_text().splitlines()]


def test_a_life(cli, tmp_path):
    """Birth, signals and ends; no strace needed."""
    seen = lines(cli, tmp_path, "sh", "-c", "true & wait; exec /bin/sh -c 'kill -USR1 $$' \t'\x1b[2J'")
    assert re.fullmatch(
        r'\[    2\] execve\("/\S+", \["sh", "-c", "true & wait; .*\], \[/\* \d+ vars \*/\]\) = 0', seen[0]
    )
    assert '[    2] openat(AT_FDCWD, "/etc/ld.so.cache", O_RDONLY|O_CLOEXEC) = 3' in seen
    assert [line for line in seen if line.startswith("[    3]")][-2:] == [
        "[    3] exit_group(0) = ?",
        "[    3] +++ exited with 0 +++",
    ]
    told = "--- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=3, si_uid=0, si_status=0, si_utime="
    assert any(told in line for line in seen)
    assert r'["/bin/sh", "-c", "kill -USR1 $$", "\33[2J"]' in next(line for line in seen if 'execve("/bin/sh"' in line)
    assert seen[-3:] == [
        "[    2] kill(2, SIGUSR1) = 0",
        "[    2] --- SIGUSR1 {si_signo=SIGUSR1, si_code=SI_USER, si_pid=2, si_uid=0} ---",
        "[    2] +++ killed by SIGUSR1 +++",
    ]


THREADS = """
import os, subprocess, threading
subprocess.run(["/bin/sh", "-c", "exit 3"])
ready = threading.Event()
threading.Thread(target=lambda: (ready.set(), os.read(os.pipe()[0], 1))).start()
ready.wait()
os._exit(5)
"""


def test_threads_and_vfork(cli, tmp_path):
    """Each thread has an end; the vfork child's execve is said by whoever runs the new program."""
    seen = lines(cli, tmp_path, sys.executable, "-S", "-c", THREADS)
    ends = [line for line in seen if "+++" in line]
    assert sorted(ends) == [f"[    {tid}] +++ exited with {code} +++" for tid, code in ((2, 5), (3, 3), (4, 5))]
    child = [line for line in seen if line.startswith("[    3]")]
    assert re.search(
        r'execve\("/bin/sh", \["/bin/sh", "-c", "exit 3"\], ADDRESS /\* \d+ vars \*/\) = 0', "\n".join(child)
    )
    assert sum("execve(" in line and line.startswith("[    3]") for line in seen) == 1


def test_a_trace_that_cannot_be_written_is_said(cli):
    done = cli("trace", "--guard", "none", "--host", "-o", "/dev/full", "--", "sh", "-c", "exit 3", text=True)
    assert (
        done.returncode == 3
        and done.stderr == "lodger: the trace ends here: it cannot be written: No space left on device\n"
    )


def test_the_status_is_that_of_lodger_run(cli):
    for words in (["profile"], ["trace"], ["trace", "--host"]):
        for command, status in (("no-such", 127), ("/etc/passwd", 126), ("false", 1)):
            done = cli(*words, "--guard", "none", "--", command)
            assert done.returncode == status and b"Traceback" not in done.stderr, done
