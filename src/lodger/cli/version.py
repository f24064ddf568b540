"""``lodger version``."""

from __future__ import annotations

import lodger
from lodger.boot.kernel import ask_kernel
from lodger.cli.options import alone
from lodger.errors import BootError


def version(words: list[str]) -> int:
    """The verb; a missing guest kernel is said, not an error. Raises ConfigError for a word too many."""
    if alone((), words, "version", "The versions of Lodger and of its guest kernel.") is None:
        return 0
    print(f"lodger {lodger.__version__}")
    try:
        print(f"guest kernel {ask_kernel('version').decode('utf-8', 'replace').strip()}")
    except BootError as error:
        print(f"guest kernel: {error}")
    return 0
