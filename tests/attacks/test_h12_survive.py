"""H12: a VMM killed with SIGKILL leaves nothing behind, even where somebody else holds its end of the control channel."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

VMM = """
import os, sys, time, lodger
vm = lodger.VM(memory="128M").__enter__()
vm.popen(["sh", "-c", "sleep 100 & sleep 101 & wait"])
child = None
if sys.argv[1] == "forked" and (child := os.fork()) == 0:
    os.close(1); time.sleep(30); os._exit(0)
time.sleep(0.3)
print(child or 0, flush=True)
time.sleep(60)
"""


def machine_processes(kernel_file):
    """Host pids that run this guest kernel."""
    found = set()
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                # The program is also visible to root where the process is not dumpable.
                if os.path.samefile(entry / "exe", kernel_file):
                    found.add(int(entry.name))
            except OSError:
                continue
    return found


@pytest.mark.matrix
@pytest.mark.parametrize("how", ["alone", "forked"])
def test_nothing_survives(kernel, how):
    if os.getuid() != 0:
        pytest.skip("only root may look at processes that are not dumpable")
    before = machine_processes(kernel)
    vmm = subprocess.Popen([sys.executable, "-c", VMM, how], stdout=subprocess.PIPE)
    holder = int(vmm.stdout.readline())
    try:
        mine = machine_processes(kernel) - before
        assert len(mine) >= 2, "no guest-machine processes to be seen: a wrong test"
        vmm.send_signal(signal.SIGKILL)
        vmm.wait()
        end = time.monotonic() + 2
        while (left := machine_processes(kernel) & mine) and time.monotonic() < end:
            time.sleep(0.01)
        assert not left
    finally:
        vmm.stdout.close()
        if holder:
            os.kill(holder, signal.SIGKILL)
