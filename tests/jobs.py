"""`lodger run` as a shell's job: what Ctrl-Z and fg do to it, on the fake guest kernel and on the real one."""

import os
import pty
import select
import signal
import subprocess
import sys
import time

LODGER = [sys.executable, "-m", "lodger"]
TICKS = "i=0; while [ $i -lt 40 ]; do echo $i; i=$((i+1)); sleep 0.05; done"


class Terminal:
    """A person at a terminal."""

    def __init__(self, argv, **options):
        self.ours, theirs = pty.openpty()
        self.seen = b""
        self.child = subprocess.Popen(argv, stdin=theirs, stdout=theirs, stderr=theirs,
                                      start_new_session=True, **options)  # fmt: skip
        os.close(theirs)

    def until(self, words, seconds=20):
        end = time.monotonic() + seconds
        while words not in self.seen:
            assert select.select([self.ours], [], [], max(0, end - time.monotonic()))[0], self.seen
            self.seen += os.read(self.ours, 4096)
        before, _, self.seen = self.seen.partition(words)
        return before

    def type(self, text):
        os.write(self.ours, text)

    def again_and_again(self, text, words):
        """Type it until these words come."""
        for _ in range(100):
            self.type(text)
            end = time.monotonic() + 0.2
            while select.select([self.ours], [], [], max(0, end - time.monotonic()))[0]:
                self.seen += os.read(self.ours, 4096)
            if words in self.seen:
                return self.until(words)
        raise AssertionError(self.seen)

    def close(self):
        self.child.kill()
        self.child.wait()
        os.close(self.ours)


def started(script, **options):
    """`lodger run` of a shell script that has begun to speak: (child, its first line)."""
    # As a shell's job: the suite's group may be orphaned, and SIGTSTP stops no such group.
    child = subprocess.Popen([*LODGER, "run", "--guard", "none", "--", "sh", "-c", script], stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, process_group=0, **options)  # fmt: skip
    line = child.stdout.readline()
    assert line
    return child, line


def stops_and_goes_on():
    """Ctrl-Z stops the command as well as `lodger run`, and fg continues both."""
    child, line = started(TICKS)
    assert line == b"0\n"
    child.send_signal(signal.SIGTSTP)
    assert os.WIFSTOPPED(os.waitpid(child.pid, os.WUNTRACED)[1])
    time.sleep(0.3)
    os.set_blocking(child.stdout.fileno(), False)
    child.stdout.read()
    time.sleep(0.5)
    assert not child.stdout.read(), "it went on while stopped"
    os.set_blocking(child.stdout.fileno(), True)
    child.send_signal(signal.SIGCONT)
    assert child.communicate(timeout=20)[0].endswith(b"39\n") and child.returncode == 0
