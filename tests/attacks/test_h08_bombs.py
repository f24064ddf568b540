"""H8: what eats memory, processes, descriptors or disk gets the error; the host and the VM go on."""

import os
import time

import pytest

import lodger

MIB = 1 << 20
BOMBS = {
    "bytearrays": (
        "b=[]\ntry:\n while 1: b.append(bytearray(1<<24))\nexcept MemoryError: n=len(b); b=None; print('MemoryError', n)",
        b"MemoryError",
    ),
    "mmap": (
        "import mmap\nb=[]\ntry:\n while 1: b.append(mmap.mmap(-1,1<<24,mmap.MAP_PRIVATE|mmap.MAP_ANONYMOUS)); b[-1].write(b'x'*(1<<24))\nexcept OSError as e: print(e.errno)",
        b"12\n",
    ),
    "shared": (
        "import mmap\nb=[]\ntry:\n while 1: b.append(mmap.mmap(-1,1<<24)); b[-1].write(b'x'*(1<<24))\nexcept OSError as e: print(e.errno)",
        b"12\n",
    ),
    "tmpfs": (
        "f=open('/tmp/fill','wb',0)\ntry:\n while 1:\n  f.write(b'x'*(1<<20))\nexcept OSError as e: print(e.errno); import os; os.unlink('/tmp/fill')",
        b"28\n",
    ),
    "descriptors": ("import os\ntry:\n while 1: os.dup(0)\nexcept OSError as e: print(e.errno)", b"24\n"),
    "processes": (
        "import os,signal,sys\np=[]\ntry:\n while 1:\n  q=os.fork()\n  if not q: signal.pause()\n  p.append(q)\nexcept OSError as e: print(e.errno in (11,12))\nfor q in p: os.kill(q,9)\nfor q in p: os.waitpid(q,0)",
        b"True\n",
    ),
    "forked memory": (
        "import os,signal\nb=bytearray(1<<26)\np=[]\ntry:\n while 1:\n  q=os.fork()\n  if not q:\n   for i in range(0,len(b),4096): b[i]=1\n   signal.pause()\n  p.append(q)\nexcept OSError as e: print(e.errno in (11,12))\nfor q in p: os.kill(q,9)\nfor q in p: os.waitpid(q,0)",
        b"True\n",
    ),
}


def available():
    return next(int(line.split()[1]) << 10 for line in open("/proc/meminfo") if line.startswith("MemAvailable"))


@pytest.mark.parametrize("name", BOMBS)
def test_bomb(kernel, name):
    script, expected = BOMBS[name]
    if available() < 1500 * MIB:
        pytest.skip("this host has too little memory to let a bomb go off")
    with lodger.VM(memory="256M", pids=100) as vm:
        done = vm.run(["python3", "-c", script], timeout=60)
        assert done.fault != "guest_panic", done
        assert done.stdout.startswith(expected), done
        start = time.monotonic()
        os.stat("/")
        after = vm.run(
            ["sh", "-c", "echo alive | cat; dd if=/dev/zero of=/tmp/x bs=1M count=4 2>&1 | tail -1 | grep -c copied"],
            timeout=30,
        )
        assert after.stdout == b"alive\n1\n", after
        assert time.monotonic() - start < 20
