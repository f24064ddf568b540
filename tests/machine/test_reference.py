"""The pages of docs/ that are made, and those whose commands are run."""

import os
import re
import subprocess
import sys

SAID = [
    r"a machine with a kernel of its own: .*lodger.*\n0$", r"status 7", r"is gone, in there", r"^/usr/bin/env$",
    r"hello from the project", r"^built$", r"status 1\n", r"status 124", r"^0 b'hello from the project\\n'$", r"^b'1000\\n'$",
    r"^b'c\\nb\\na\\n'$", r"^failed with 1$", r"^timeout$", r"^\[0, 1, 4, 9\]$",
]  # fmt: skip


def test_made_pages_are_as_made_now(kernel, root):
    done = subprocess.run([sys.executable, root / "tools/reference", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_tutorial(kernel, root, tmp_path):
    blocks = re.findall(r"^```(sh|python)\n(.*?)^```", (root / "docs/tutorial.md").read_text(), re.M | re.S)
    variables = os.environ | {"PATH": f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"}
    out = ""
    for language, text in blocks:
        argv = ["bash", "-c"] if language == "sh" else [sys.executable, "-c"]
        done = subprocess.run([*argv, text], cwd=tmp_path, capture_output=True, text=True, env=variables, timeout=60)
        assert done.returncode == 0, (text, done.stderr)
        out += done.stdout
    at = 0
    for pattern in SAID:
        found = re.compile(pattern, re.M).search(out, at)
        assert found, (pattern, out[at:])
        at = found.end()
