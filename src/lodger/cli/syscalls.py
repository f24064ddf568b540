"""``lodger syscalls``: the guest kernel's own table of system calls."""

from __future__ import annotations

import json
import sys

from lodger.boot.kernel import ask_kernel
from lodger.cli.options import Option, alone
from lodger.errors import BootError


def syscalls(words: list[str]) -> int:
    """The verb. Raises BootError when the guest kernel is missing or answers nonsense."""
    about = "Every Linux system call, and how far the guest kernel supports it."
    values = alone((Option("--json", "flag", "for machines"),), words, "syscalls", about)
    if values is None:
        return 0
    text = ask_kernel("syscalls")
    try:
        table = json.loads(text)
    except ValueError as error:
        raise BootError(f"the guest kernel's system-call table is not JSON: {error}") from None
    if values.get("json"):
        sys.stdout.write(json.dumps(table) + "\n")
        return 0
    counts: dict[str, int] = {}
    for row in table:
        counts[row["support"]] = counts.get(row["support"], 0) + 1
        print(f"{row['nr']:>4}  {row['name']:<24} {row['support']:<8} {row['note']}".rstrip())
    print("\n" + ", ".join(f"{number} {word}" for word, number in sorted(counts.items())))
    return 0
