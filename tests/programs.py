"""C programs of the tests: built once a session on the host, statically, so that one file runs on both sides."""

import hashlib
import os
import pathlib
import subprocess
import tempfile

CACHE = pathlib.Path(tempfile.gettempdir()) / f"lodger-test-programs-{os.getuid()}"


def build(source, *flags):
    """The static program of a C file. Kept by content: a second run of the tests builds nothing."""
    source = pathlib.Path(source)
    headers = b"".join(h.read_bytes() for h in sorted(source.parent.glob("*.h")))
    key = hashlib.sha256(source.read_bytes() + headers + repr(flags).encode()).hexdigest()[:16]
    program = CACHE / f"{source.stem}-{key}"
    if not program.exists():
        CACHE.mkdir(mode=0o700, exist_ok=True)
        half = program.with_suffix(f".{os.getpid()}")
        subprocess.run(
            ["cc", "-std=gnu11", "-O1", "-w", "-static", "-pthread", *flags, "-o", half, source, "-lm"], check=True
        )
        half.rename(program)
    return program
