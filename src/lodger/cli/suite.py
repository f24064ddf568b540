"""The kinds of work that the 2003 paper measured, for ``lodger ladder --suite``.

Null system call, guest process switch, bulk transfer (through a pipe until guests have inet sockets), a ray tracer, a
compile of a real package, a request/response server. The first, second, third and last are one small C program
(``suite.c``), built with the host's compiler.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile

from lodger.cli.ladder import Work
from lodger.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    Skipped = list[tuple[str, str]]

_SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "suite.c")
#: (name, mode of suite.c, how often): a tenth of a second to some seconds on the classic machine.
_SMALL = (
    ("null system call", "null", "20000"),
    ("guest process switch", "switch", "500"),
    ("bulk transfer, pipe", "pipe", "2000"),
    ("request/response server", "server", "500"),
)
_SCENE = """\
camera { location <0, 2, -5> look_at <0, 1, 0> }
light_source { <4, 6, -6> color rgb <1, 1, 1> }
plane { y, 0 pigment { checker color rgb <1, 1, 1> color rgb <0.2, 0.2, 0.4> } finish { reflection 0.2 } }
sphere { <0, 1, 0>, 1 pigment { color rgb <0.8, 0.2, 0.2> } finish { reflection 0.3 phong 0.8 } }
sphere { <1.6, 0.6, -0.6>, 0.6 texture { pigment { color rgb <0.9, 0.9, 0.9> } finish { reflection 0.6 } } }
"""


@contextlib.contextmanager
def suite(package: object) -> Iterator[tuple[list[Work], Skipped]]:
    """The works that this host can run, and those that it cannot, with the reason. Raises ConfigError."""
    if isinstance(package, str) and not os.path.exists(os.path.join(package, "Makefile")):
        raise ConfigError(f"--package {package}: there is no Makefile: configure the source tree first")
    with tempfile.TemporaryDirectory(prefix="lodger-suite-") as folder:
        skipped: Skipped = []
        works = [*_small(folder, skipped), *_tracer(folder, skipped)]
        if isinstance(package, str):
            works.append(_compile(folder, os.path.abspath(package)))
        else:
            skipped.append(("compile", "no --package DIR was given"))
        yield works, skipped


def _small(folder: str, skipped: Skipped) -> Iterator[Work]:
    compiler = shutil.which("cc") or shutil.which("gcc")
    program = os.path.join(folder, "suite")
    if compiler is None:
        skipped.extend((name, "no C compiler (cc) on this host") for name, _, _ in _SMALL)
        return
    built = subprocess.run([compiler, "-O2", "-o", program, _SOURCE], capture_output=True, check=False)
    if built.returncode:
        raise ConfigError(f"{compiler} does not build {_SOURCE}: {built.stderr.decode('utf-8', 'replace').strip()}")
    for name, mode, count in _SMALL:
        yield Work(name, (program, mode, count), ("/suite/suite", mode, count), ((folder, "/suite:ro"),))


def _tracer(folder: str, skipped: Skipped) -> Iterator[Work]:
    if shutil.which("povray") is None:
        skipped.append(("ray tracer", "povray is not installed"))
        return
    with open(os.path.join(folder, "scene.pov"), "w", encoding="ascii") as file:
        file.write(_SCENE)
    words = ("povray", "+W320", "+H240", "-D", "+A0.3", "+O/dev/null", "+FN")
    yield Work(
        "ray tracer (POV-Ray)",
        (*words, f"+I{folder}/scene.pov"),
        (*words, "+I/suite/scene.pov"),
        ((folder, "/suite:ro"),),
    )


def _compile(folder: str, package: str) -> Work:
    """Each run compiles a fresh copy, on the host below the temporary directory, in the guest below /tmp."""
    script = 'rm -rf "$2"; cp -a "$1" "$2" && cd "$2" && make -s clean >/dev/null 2>&1; make -s'
    host = ("sh", "-c", script, "sh", package, os.path.join(folder, "build"))
    return Work(
        f"compile of {os.path.basename(package)}", host, ("sh", "-c", script, "sh", "/package", "/tmp/build"),
        ((package, "/package:ro"),),
    )  # fmt: skip
