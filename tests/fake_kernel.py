#!/usr/bin/env python3
"""A guest kernel in Python for tests of the VMM: speaks the control protocol, runs commands on the host.

LODGER_FAKE chooses how it misbehaves; see ``misbehave``. It is an executable, spawned like the real one.
"""

import json
import os
import signal
import socket
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "src"))

from lodger.boot import wire

HOW = os.environ.get("LODGER_FAKE", "")
# The guest kernel's environment is not the caller's, so the way to misbehave is in the file's name.
if "--" in os.path.basename(sys.argv[0]) or "--" in os.path.basename(__file__):
    HOW = os.path.basename(__file__).partition("--")[2]


def receive(control):
    packet, ancillary, _, _ = control.recvmsg(wire.MAX_PACKET + 1, socket.CMSG_SPACE(4 * wire.MAX_FDS))
    fds = []
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            fds += struct.unpack(f"{len(data) // 4}i", data)
    return packet, fds


class Fake:
    def __init__(self):
        self.control = socket.socket(fileno=3)
        self.running = {}
        self.steps = []
        self.boot = []

    def send(self, kind, ident, *values):
        self.control.send(wire.encode(kind, ident, *values))

    def serve(self):
        import selectors

        chosen = selectors.DefaultSelector()
        chosen.register(self.control, selectors.EVENT_READ)
        read, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(write)
        chosen.register(read, selectors.EVENT_READ)
        while True:
            for key, _ in chosen.select():
                if key.fileobj == read:
                    os.read(read, 4096)
                    self.reap()
                elif not self.message():
                    return

    def reap(self):
        for ident, pid in list(self.running.items()):
            done, status, usage = os.wait4(pid, os.WNOHANG)
            if done:
                del self.running[ident]
                micros = [int(t * 1e6) for t in (usage.ru_utime, usage.ru_stime)]
                self.send(wire.EXITED, ident, status, *micros, usage.ru_maxrss, 0)

    def message(self):
        packet, fds = receive(self.control)
        if not packet:
            return False
        message = wire.decode(packet)
        kind, ident, values = message.kind, message.id, message.fields
        if kind == wire.BOOT:
            self.boot = values
        elif kind in (wire.MOUNT, wire.NODE):
            self.steps.append([wire.NAMES[kind], *[v.decode() if isinstance(v, bytes) else v for v in values[:3]]])
        elif kind == wire.START:
            if not misbehave(self, ident):
                self.send(wire.READY, ident, self.boot[8] >> 2 & 1, 0, self.boot[6], self.boot[5], 1234)
        elif kind == wire.SPAWN:
            self.spawn(ident, values, fds)
        elif kind == wire.SIGNAL:
            pid = self.running.get(values[0])
            if pid:
                try:
                    (os.killpg if values[2] else os.kill)(pid, values[1])
                except ProcessLookupError:
                    os.kill(pid, values[1])  # its setsid() is still to come
            self.send(wire.ACK, ident, 0 if pid else 3)
        elif kind in (wire.WINSIZE, wire.TERMINAL):
            self.send(wire.ACK, ident, 0)
        elif kind == wire.STATS:
            self.send(wire.STATS_REPLY, ident, json.dumps({"steps": self.steps, "fds": os.listdir("/proc/self/fd")}))
        elif kind == wire.SHUTDOWN:
            return False
        for fd in fds:
            os.close(fd)
        return True

    def spawn(self, ident, values, fds):
        argv, envp, cwd, _, _, _, _, flags, _, _, *indices, words, length = values
        if words != wire.NO_FD:
            reader = wire._Reader(os.pread(fds[words], length, 0), 0, "words")
            argv, envp = ([reader.data() for _ in range(reader.items())] for _ in range(2))
        name = argv[0].decode()
        if name == "asks":
            # The second word says what for; then it is over, and asks once more.
            self.send(wire.STARTED, ident, 7)
            for what in map(int, argv[1].split()):
                self.send(wire.ASKS, ident, what)
            self.send(wire.EXITED, ident, 0, 0, 0, 0, 0)
            self.send(wire.ASKS, ident, wire.ASK_READ)
            return
        if name == "panic":
            self.send(wire.STARTED, ident, 7)
            self.send(wire.PANIC, 0, "out of \x1b[31mcheese")
            os._exit(1)
        if name == "die":
            self.send(wire.STARTED, ident, 7)
            os.kill(os.getpid(), signal.SIGKILL)
        if name == "garbage":
            self.control.send(b"\xff" * 40)
            return
        if name == "deaf":
            self.send(wire.STARTED, ident, 7)
            return
        environment = {b"HOME": b"/root", **dict(e.split(b"=", 1) for e in envp)}
        places = environment[b"PATH"].decode().split(":")
        path = name if "/" in name else next((p for d in places if os.path.exists(p := f"{d}/{name}")), None)
        if path is None or not os.path.exists(path):
            self.send(wire.SPAWN_FAILED, ident, 2, "No such file or directory", 0)
            return
        if not os.access(path, os.X_OK) or os.path.isdir(path):
            self.send(wire.SPAWN_FAILED, ident, 13, "Permission denied", 0)
            return
        pid = os.fork()
        if pid == 0:
            os.setsid()
            os.chdir(cwd)
            ends = [fds[i] if i != wire.NO_FD else -1 for i in indices]
            if flags & wire.SPAWN_TTY:
                ends[2] = ends[1]
            ends = [os.dup(fd) + 0 if fd >= 0 else -1 for fd in ends]
            for target, fd in enumerate(ends):
                if fd >= 0:
                    os.dup2(fd, target)
                else:
                    os.close(target)
            os.closerange(3, 256)
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)
            os.execve(path, argv, environment)
        self.running[ident] = pid
        self.send(wire.STARTED, ident, pid)


def misbehave(fake, ident):
    if HOW == "silent":
        return True
    if HOW == "panic":
        fake.send(wire.PANIC, 0, "at boot")
        return True
    if HOW == "exit":
        os.write(2, b"no room at the inn\n")
        os._exit(3)
    if HOW == "truncated":
        fake.control.send(wire.encode(wire.READY, ident, 0, 0, 0, 0, 0)[:-3])
    elif HOW == "long":
        fake.control.send(wire.encode(wire.READY, ident, 0, 0, 0, 0, 0) + b"x")
    elif HOW == "unknown":
        fake.control.send(struct.pack("<II", 999, ident))
    elif HOW == "huge":
        fake.control.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        fake.control.send(struct.pack("<II", wire.PANIC, 0) + b"x" * (wire.MAX_PACKET + 100))
    elif HOW == "count":
        fake.control.send(struct.pack("<III", wire.STATS_REPLY, ident, 0xFFFFFFFF))
    elif HOW == "stranger":
        fake.send(wire.ACK, 4242, 0)
    elif HOW == "refuse":
        fake.send(wire.ERROR, ident, "not today")
    else:
        return False
    return True


if __name__ == "__main__":
    if len(sys.argv) > 1:
        if sys.argv[1] == "syscalls":
            print('[{"nr":0,"name":"read","args":[["fd","int"]],"support":"full","note":""}]')
        elif sys.argv[1] == "version":
            print("fake 0")
        sys.exit(0)
    fake = Fake()
    try:
        fake.serve()
    finally:
        for pid in fake.running.values():
            try:
                os.killpg(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
