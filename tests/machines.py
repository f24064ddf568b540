"""The kinds of machine that tests run on: one list, so that a new kind is one line.

Every test that needs the real guest kernel runs on the default machine; those marked ``matrix`` run on each step of the
ladder, too. ``--machine NAME`` (any name of KINDS) runs everything on one kind instead.
"""

from __future__ import annotations

import dataclasses
import os

SWITCHES = ("machine", "monitor", "guard", "spaces")

#: What a test may need of a machine, by a marker of this name.
NEEDS = {
    "parallel": "threads that run at the same moment, or several processors",
    "pace": "milliseconds in which something happens: every call of the classic machine takes a good part of one",
    "heavy": "speed: it takes minutes where every page and every call has its full price",
}


@dataclasses.dataclass(frozen=True)
class Kind:
    name: str
    options: dict[str, str] = dataclasses.field(default_factory=dict)
    """what lodger.VM is told"""
    lacks: frozenset[str] = frozenset()
    """names of NEEDS that this kind has not: tests that need them are not run on it"""

    def environment(self) -> dict[str, str]:
        """The same for VMs that are made without options."""
        return {f"LODGER_{name.upper()}": value for name, value in self.options.items()}


REMAP = frozenset({"parallel"})
SLOW = frozenset({"heavy", "pace"})

KINDS = [
    # The ladder.
    Kind("default"),
    Kind("+multi", {"machine": "+multi"}),
    Kind("+pkey", {"machine": "+pkey"}, REMAP),
    Kind("+host", {"machine": "+host"}, REMAP | SLOW),
    Kind("classic", {"machine": "classic"}, REMAP | SLOW),
    # One switch of the default turned, or two that belong together.
    Kind("process", {"monitor": "process"}, SLOW),
    Kind("remap", {"spaces": "remap"}, REMAP),
    Kind("mprotect", {"guard": "mprotect", "spaces": "remap"}, REMAP | SLOW),
]
BY_NAME = {kind.name: kind for kind in KINDS}
#: What tests marked ``matrix`` run on.
MATRIX = [kind for kind in KINDS if "machine" in kind.options or not kind.options]


def current() -> Kind:
    """The kind that the environment asks for: VMs that are made without options are of it."""
    asked = {name: value for name in SWITCHES if (value := os.environ.get(f"LODGER_{name.upper()}"))}
    for kind in KINDS:
        if {"guard": asked.get("guard"), **kind.options} == {"guard": None, **asked}:
            return kind
    return Kind("as LODGER_... say", asked, REMAP if "remap" in asked.values() else frozenset())
