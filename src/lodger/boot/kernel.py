"""Finding the guest-kernel ELF and asking it about itself."""

from __future__ import annotations

import os

from lodger.errors import BootError

VARIABLE = "LODGER_KERNEL"


def kernel_path() -> str:
    """The guest kernel: $LODGER_KERNEL, else the one in this package. Raises BootError."""
    named = os.environ.get(VARIABLE)
    if named:
        if not os.access(named, os.X_OK) or os.path.isdir(named):
            raise BootError(f"{VARIABLE}={named} is not an executable file: build the guest kernel, or unset it")
        return os.path.abspath(named)
    path = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "_kernel", "lodger-kernel")
    if not os.path.exists(path):
        raise BootError(
            f"the guest kernel is missing from this installation ({path}): "
            "install a wheel, or run ./dev build in a source tree"
        )
    return path


def ask_kernel(word: str) -> bytes:
    """What ``lodger-kernel WORD`` prints. Raises BootError."""
    import subprocess

    try:
        done = subprocess.run([kernel_path(), word], capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BootError(f"the guest kernel did not answer {word!r}: {error}") from None
    if done.returncode != 0:
        text = done.stderr.decode("utf-8", "replace").strip()
        raise BootError(f"the guest kernel refused {word!r} with status {done.returncode}: {text}")
    return done.stdout


def call_names() -> dict[int, str]:
    """System-call names by number, from the guest kernel's table. Raises BootError."""
    import json

    return {row["nr"]: row["name"] for row in json.loads(ask_kernel("syscalls"))}
