"""``./dev boot``: from VM() to the end of the first command, and `lodger run` beside `python3 -c pass`."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

import lodger


def median_ms(call: object, rounds: int = 15) -> float:
    """Median milliseconds of a call."""
    assert callable(call)
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times)


def boot() -> None:
    """A VM that does nothing."""
    lodger.VM(guard="auto").close()


def first() -> None:
    """A VM with one command."""
    with lodger.VM() as vm:
        vm.run(["/bin/true"], check=True)


def program(*argv: str) -> None:
    """A program on the host."""
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, capture_output=True)


if __name__ == "__main__":
    first()
    print(f"VM() and close                 {median_ms(boot):8.2f} ms")
    print(f"VM(), /bin/true, close         {median_ms(first):8.2f} ms   (at most 10 to the first instruction)")
    installed = str(Path(sys.executable).with_name("lodger"))
    base = median_ms(lambda: program(sys.executable, "-c", "pass"))
    cli = median_ms(lambda: program(installed, "run", "--guard", "none", "--", "/bin/true"))
    print(f"lodger run -- /bin/true        {cli:8.2f} ms   {cli / base:.2f} x python3 -c pass (at most 2.5)")
