"""Lodger: virtual machines that are ordinary processes.

    import lodger

    with lodger.VM() as vm:
        print(vm.run(["uname", "-a"], text=True).stdout)

Names are loaded when first used, so that ``import lodger`` costs next to nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from lodger.errors import (
        BootError,
        CommandError,
        ConfigError,
        GuestPanic,
        HostError,
        LodgerError,
        ProtocolError,
        SpawnError,
        VMClosed,
    )
    from lodger.machine.result import DEVNULL, PIPE, STDOUT, Result, Usage
    from lodger.machine.vm import VM, Process

__version__ = "0.1.0"

_WHERE = {
    "VM": "lodger.machine.vm",
    "Process": "lodger.machine.vm",
    "Result": "lodger.machine.result",
    "Usage": "lodger.machine.result",
    "PIPE": "lodger.machine.result",
    "STDOUT": "lodger.machine.result",
    "DEVNULL": "lodger.machine.result",
    "LodgerError": "lodger.errors",
    "ConfigError": "lodger.errors",
    "HostError": "lodger.errors",
    "BootError": "lodger.errors",
    "VMClosed": "lodger.errors",
    "GuestPanic": "lodger.errors",
    "ProtocolError": "lodger.errors",
    "SpawnError": "lodger.errors",
    "CommandError": "lodger.errors",
}

__all__ = [
    "DEVNULL",
    "PIPE",
    "STDOUT",
    "VM",
    "BootError",
    "CommandError",
    "ConfigError",
    "GuestPanic",
    "HostError",
    "LodgerError",
    "Process",
    "ProtocolError",
    "Result",
    "SpawnError",
    "Usage",
    "VMClosed",
]


def __getattr__(name: str) -> Any:
    where = _WHERE.get(name)
    if where is None:
        if name == "aio":
            import importlib

            return importlib.import_module("lodger.aio")
        raise AttributeError(f"module 'lodger' has no attribute {name!r}")
    module = __import__(where, fromlist=[name])
    value = getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "aio"])
