"""Lodger for asyncio: the same VM, awaited. Everything comes from lodger.machine.core.

async with lodger.aio.VM(memory="256M") as vm:
    result = await vm.run(["true"])
"""

from __future__ import annotations

from lodger.machine.aio import VM, Process

__all__ = ["VM", "Process"]
