"""Messages to the person at the terminal."""

from __future__ import annotations

import sys


def say(text: str) -> None:
    """``lodger: TEXT`` on standard error. A full disk or a closed pipe there must not change the exit status."""
    try:
        print(f"lodger: {text}", file=sys.stderr, flush=True)
    except (OSError, ValueError):
        pass
