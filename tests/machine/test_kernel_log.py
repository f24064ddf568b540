"""syslog(2), and what the guest kernel writes there."""

import re

import lodger

CRASH = ["python3", "-c", "import ctypes; ctypes.string_at(0x1008)"]
# glibc's klogctl(action, buffer, length): what each action returns, -errno where it fails.
ACTIONS = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
room = ctypes.create_string_buffer(1 << 16)
def action(number, length=len(room)):
    got = libc.klogctl(number, room, length)
    return -ctypes.get_errno() if got < 0 else got
print(action(3) > 0, action(9) > 0, action(2, 10), action(5), action(3), action(10) > 0)
print(action(8, 9), action(11), action(3, -1))
"""


def test_a_crash_is_in_the_log(kernel):
    with lodger.VM() as vm:
        assert vm.run(CRASH).returncode == -11
        log = vm.sh("dmesg").stdout.decode()
        assert re.search(r"\] python3\[\d+\]: segfault at 1008 ip [0-9a-f]+ sp [0-9a-f]+ error 4\n", log), log
        assert "machine: monitor" in log
        # A signal that somebody sent is no exception.
        assert vm.sh("kill -SEGV $$").returncode == -11
        assert vm.sh("dmesg").stdout.decode() == log


def test_actions(kernel):
    with lodger.VM() as vm:
        done = vm.run(["python3", "-c", ACTIONS], text=True)
        assert done.stdout == "True True 10 0 0 True\n-22 -22 -22\n", done
        assert vm.run(["dmesg", "--clear"], user=1000).returncode == 1
