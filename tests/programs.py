"""C programs of the tests: built once a session on the host, statically, so that one file runs on both sides."""

import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

SOURCE_PACKAGE = "linux-source-6.1"
SOURCE_ARCHIVE = pathlib.Path(f"/usr/src/{SOURCE_PACKAGE}.tar.xz")
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


def can_install(package):
    """Whether ./dev test installs this Debian package by itself: it is root's to do, where apt knows the package."""
    if os.getuid() != 0 or not shutil.which("apt-cache"):
        return False
    return subprocess.run(["apt-cache", "show", package], capture_output=True).returncode == 0


def selftests():
    """Linux's own tools/testing/selftests, unpacked from Debian's source package; None where that is not installed.

    The archive is one xz stream of 1.3 GB, so the first call takes about 15 s. Kept by the archive's size and time.
    """
    if not SOURCE_ARCHIVE.exists():
        return None
    stat = SOURCE_ARCHIVE.stat()
    tree = CACHE / f"{SOURCE_PACKAGE}-{stat.st_size}-{stat.st_mtime_ns}"
    if not tree.exists():
        CACHE.mkdir(mode=0o700, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as half:
            member = f"{SOURCE_PACKAGE}/tools/testing/selftests"
            subprocess.run(["tar", "-xJf", SOURCE_ARCHIVE, "-C", half, member], check=True)
            (pathlib.Path(half) / SOURCE_PACKAGE).rename(tree)
    return tree / "tools/testing/selftests"


if __name__ == "__main__":  # all programs of some directories, ahead of a run on a slow host
    for folder in sys.argv[1:]:
        for path in sorted(pathlib.Path(folder).glob("*.c")):
            build(path)
