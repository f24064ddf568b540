"""What others put around Lodger: a seccomp filter that has calls fail."""

import subprocess
import sys

# seccomp(2): argv[1] is "number:errno" or "number/first argument:errno", with commas between. Then argv[2:] as Python's arguments.
FILTER = """
import ctypes, os, struct, sys
def insn(code, jt, jf, k): return struct.pack("HBBI", code, jt, jf, k)
number, program = insn(0x20, 0, 0, 0), b""
for rule in sys.argv[1].split(","):
    call, errno = rule.split(":")
    fails = insn(0x06, 0, 0, 0x00050000 | int(errno))
    if "/" in call:
        call, option = call.split("/")
        fails = insn(0x20, 0, 0, 16) + insn(0x15, 0, 1, int(option)) + fails
    program += number + insn(0x15, 0, len(fails) // 8, int(call)) + fails
program += insn(0x06, 0, 0, 0x7fff0000)
libc = ctypes.CDLL(None, use_errno=True)
held = ctypes.create_string_buffer(program)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(held)), 0, 0) == 0
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""


def lodger_under(rules, *words):
    """`lodger WORDS` under the filter."""
    argv = [sys.executable, "-c", FILTER, ",".join(rules), "-m", "lodger", *words]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60)
