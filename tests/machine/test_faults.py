"""Result.fault: what the machine's limits did to a command."""

import os
import pathlib

import pytest

import lodger
from lodger.config.machine import machine_config
from programs import CACHE, build

GREEDY = ["python3", "-c", "x = bytearray(1 << 30); x[::4096] = b'x' * (1 << 18)"]
THREADS = """
import threading
threading.stack_size(1 << 18)
end = threading.Event()
try:
    for _ in range(50): threading.Thread(target=end.wait).start()
finally:
    end.set()
"""


@pytest.fixture
def small(kernel):
    CACHE.mkdir(mode=0o700, exist_ok=True)
    with lodger.VM(memory="128M", pids=20, volumes={str(CACHE): "/programs:ro"}) as vm:
        yield vm


@pytest.fixture(scope="module")
def giant():
    return build(pathlib.Path(__file__).parent / "giant.c")


def test_memory_used_up(small):
    done = small.run(GREEDY)
    assert (done.returncode, done.fault) == (1, "oom") and b"MemoryError" in done.stderr
    done = small.sh(f'{GREEDY[0]} {GREEDY[1]} "{GREEDY[2]}"; exit 3')
    assert (done.returncode, done.fault) == (3, "oom")
    assert small.run(["false"]).fault is None, "a fault of one command became another's"


@pytest.mark.matrix
def test_memory_is_the_machines(small):
    """What one command holds, another can not have; when it is gone, it can."""
    # Where a page of an application is a frame of the memory file there is just that memory (docs/decisions/0004-memory-limit.md).
    most, more = (60, 60) if machine_config().spaces == "remap" else (300, 200)
    hold = f"import mmap, sys; m = mmap.mmap(-1, {most} << 20, mmap.MAP_PRIVATE); print('holds', flush=True); sys.stdin.read()"
    first = small.popen(["python3", "-c", hold], stdin=lodger.PIPE, stdout=lodger.PIPE)
    assert first.stdout.readline() == b"holds\n"
    take = ["python3", "-c", f"x = bytearray({more} << 20)"]
    assert small.run(take).fault == "oom"
    first.communicate()
    assert (first.returncode, first.fault) == (0, None)
    assert small.run(take, check=True).fault is None


FORKS = """
import ctypes, mmap, os, sys
def fill(n, what=b'x'):
    m = mmap.mmap(-1, n << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    rewrite(m, what)
    return m
def rewrite(m, what): m[:] = what * len(m)
def child(f):
    pid = os.fork()
    if pid == 0:
        f()
        os._exit(0)
    return pid
def wait(pids): return [os.waitpid(p, 0)[1] for p in pids]
r, w = os.pipe()
def hold():
    os.close(w)
    os.read(r, 1)
"""


@pytest.mark.matrix
def test_forked_children_count_what_they_write(small):
    """Copies that nobody makes count for nothing: 15 children of 50 MB each would be six times what there is."""
    script = (
        FORKS
        + """
m = fill(50)
pids = [child(lambda: (m.__setitem__(i << 12, 1), hold())) for i in range(15)]
os.close(w)
assert wait(pids) == [0] * 15
rewrite(m, b'y')
pids = [child(lambda: (m.__setitem__(i << 12, 1), fill(5))) for i in range(3)]
assert wait(pids) == [0] * 3
"""
    )
    assert small.run(["python3", "-c", script], check=True).fault is None


@pytest.mark.parametrize(
    "script",
    [
        # Originals that only children have, again and again.
        "m = fill(100)\nfor i in range(5): child(hold); rewrite(m, b'%d' % i)",
        # What a parent leaves to its child, who leaves it to the next.
        "def go(n):\n m = fill(100)\n if n: status = wait([child(lambda: go(n - 1))]); os._exit(status[0] != 0)\ngo(5)",
        "ms = []\nfor i in range(5):\n ms.append(fill(100))\n p = os.fork()\n if p: os._exit(wait([p])[0] != 0)",
        # Children who write all that they have.
        "m = fill(60)\npids = [child(lambda: (rewrite(m, b'z'), hold())) for i in range(15)]\nos.close(w)\nif any(wait(pids)): sys.exit(1)",
        # Bits that mmap(2) gives no meaning, and the guest kernel does.
        "m = [mmap.mmap(-1, 100 << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 1 << 30) for i in range(5)]",
    ],
)
def test_forks_do_not_evade_the_limit(small, script):
    done = small.run(["python3", "-c", FORKS + script])
    assert done.returncode != 0 and done.fault == "oom", done
    assert small.run(["python3", "-c", "x = bytearray(200 << 20)"], check=True).fault is None


def test_calls_wait_for_memory(small):
    """A call that writes to what forked processes have in common kills for it as the program's own writes do: no EFAULT."""
    script = (
        FORKS
        + """
m = fill(60)
zero = open('/dev/zero', 'rb', 0)
def read():
    for at in range(0, 60 << 20, 1 << 20): assert os.readv(zero.fileno(), [memoryview(m)[at:at + (1 << 20)]]) == 1 << 20
    hold()
pids = [child(read) for i in range(15)]
os.close(w)
status = wait(pids)
assert set(status) == {0, 9}, status
rewrite(m, b'y')
"""
    )
    small.run(["python3", "-c", script], check=True)


@pytest.mark.matrix
def test_sparse_file_fills_disk(small):
    """Mapping holes takes nothing; touching more of them than the machine has is SIGBUS, and it comes back."""
    fill = "import mmap, os; f = os.memfd_create('f'); os.ftruncate(f, 1 << 40); m = mmap.mmap(f, 1 << 40)"
    touch = "\nfor i in range(%d << 20, 1 << 40, 1 << 36 if %d else 4096): m[i] = 1"
    assert small.run(["python3", "-c", fill + touch % (0, 1)], check=True).fault is None
    done = small.run(["python3", "-c", fill + touch % (1, 0)])
    assert done.returncode == -7
    assert small.run(["python3", "-c", fill + touch % (0, 1)], check=True).fault is None


@pytest.mark.matrix
def test_processes_used_up(small):
    done = small.run(["python3", "-c", THREADS])
    assert (done.returncode, done.fault) == (1, "pids") and b"can't start new thread" in done.stderr
    done = small.run(["dash", "-c", "for i in $(seq 50); do sleep 9 >/dev/null 2>&1 & done"])
    assert done.returncode != 0 and done.fault == "pids"


def test_a_limit_that_was_coped_with_is_no_fault(small):
    done = small.run(["python3", "-c", "try: bytearray(1 << 30)\nexcept MemoryError: print('coped')"])
    assert (done.stdout, done.returncode, done.fault) == (b"coped\n", 0, None)
    done = small.sh("ulimit -v 100000; python3 -c 'bytearray(1 << 30)'")
    assert done.returncode != 0 and done.fault is None, "the program's own limit is not the machine's"


def test_check_tells_of_the_fault(small):
    with pytest.raises(lodger.CommandError, match="oom"):
        small.run(GREEDY, check=True)


def test_giant_mapping(small, giant, oracle):
    """Address space without reservation works as on the host; using up what the machine has kills."""
    oracle([str(giant)], status=0, vm=lodger_vm_with(small, giant))
    done = small.run([f"/programs/{giant.name}", "fill"])
    assert (done.returncode, done.fault) == (-9, "oom")
    done = small.sh(f"/programs/{giant.name} fill; echo $?; exit 1")
    assert (done.stdout, done.fault) == (b"137\n", "oom")
    assert small.run(["true"]).returncode == 0


def lodger_vm_with(vm, program):
    """The oracle runs one path on both sides."""
    vm.sh(f"mkdir -p {program.parent} && cp /programs/{program.name} {program}", check=True)
    return vm


def test_cli_says_which_limit(cli):
    done = cli("run", "--guard", "none", "--memory", "128M", *GREEDY)
    assert done.returncode == 1 and b"--memory" in done.stderr.splitlines()[-1], done.stderr
    done = cli("run", "--guard", "none", "--pids", "20", "python3", "-c", THREADS)
    assert done.returncode == 1 and b"--pids" in done.stderr.splitlines()[-1], done.stderr


def test_processors_are_the_machines(kernel):
    """``cpus`` bounds what a VM may take of the host, whatever its guest asks for."""
    with lodger.VM(cpus=1, machine="default") as vm:
        supervisor = vm._machine.channel.connection.child.pid
        script = "taskset -p ffff $$ >&2; nproc; read x"
        command = vm.popen(["sh", "-c", script], stdin=lodger.PIPE, stdout=lodger.PIPE, stderr=lodger.DEVNULL)
        try:
            assert command.stdout.readline() == b"1\n"
            children = pathlib.Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
            seen = [len(os.sched_getaffinity(p)) for p in map(int, children) if os.path.exists(f"/proc/{p}")]
            assert seen and set(seen) == {1} and len(os.sched_getaffinity(supervisor)) == 1
        finally:
            command.communicate(b"\n")
