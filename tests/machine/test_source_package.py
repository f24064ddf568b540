"""A real source package, configured, compiled with make -j2 and checked by its own tests, on the host and in the guest."""

import os
import pathlib
import shutil
import subprocess

import pytest

import lodger

PACKAGE = "hello"


def fetch(folder):
    """The unpacked source from the host's own apt sources, by a private configuration that adds what "deb-src" adds; or a skip."""
    if not shutil.which("apt-get") or not shutil.which("dpkg-source"):
        pytest.skip("no apt-get or dpkg-source on this host: no Debian source package to build")
    apt = folder / "apt"
    for name in ("lists/partial", "archives/partial", "sources.list.d"):
        (apt / name).mkdir(parents=True, exist_ok=True)
    lines = []
    for path in [pathlib.Path("/etc/apt/sources.list"), *sorted(pathlib.Path("/etc/apt/sources.list.d").glob("*"))]:
        text = path.read_text(errors="replace") if path.is_file() else ""
        if path.suffix == ".sources":
            text = text.replace("Types: deb\n", "Types: deb-src\n")
            # Only what is Debian's own: other vendors' lists need not have sources.
            blocks = [b for b in text.split("\n\n") if "debian-archive-keyring" in b]
            (apt / "sources.list.d" / path.name).write_text("\n\n".join(blocks) + "\n")
        elif path.suffix == ".list":
            lines += [line.replace("deb ", "deb-src ", 1) for line in text.splitlines() if line.startswith("deb ")]
    (apt / "sources.list").write_text("\n".join(line for line in lines if " main" in line and "debian" in line) + "\n")
    options = {
        "Dir::Etc::sourcelist": apt / "sources.list",
        "Dir::Etc::sourceparts": apt / "sources.list.d",
        "Dir::State::lists": apt / "lists",
        "Dir::Cache": apt,
        "APT::Sandbox::User": "",
        "Acquire::Retries": "1",
        "Acquire::http::Timeout": "20",
    }
    words = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
    for verb in (["update", "-qq"], ["source", "-qq", PACKAGE]):
        done = subprocess.run(["apt-get", *words, *verb], cwd=folder, capture_output=True, text=True, timeout=300)
        if done.returncode != 0:
            pytest.skip(f"apt-get {verb[0]} failed, so there is no source to build: {done.stderr.strip()[-300:]}")


@pytest.fixture(scope="module")
def source(root):
    cache = root / ".dev" / "sources"
    ready = lambda: [d for d in cache.glob(f"{PACKAGE}-*") if (d / "configure").exists()]  # noqa: E731
    if not ready():
        cache.mkdir(parents=True, exist_ok=True)
        fetch(cache)
    assert ready(), f"apt-get source {PACKAGE} left no {PACKAGE}-*/configure in {cache}"
    return ready()[0]


SCRIPT = """set -e; rm -rf /tmp/lodger-build; cp -a {source} /tmp/lodger-build; cd /tmp/lodger-build
(./configure --quiet && make -s -j2 && make check) > log 2>&1 || {{ tail -50 log; exit 1; }}
./{package} --greeting='built here'; grep -E '^# (TOTAL|PASS|FAIL|XFAIL|ERROR)' log"""


@pytest.mark.slow
# The classic machine needs a quarter of an hour.
@pytest.mark.timeout(2000)
def test_source_package(kernel, oracle, source):
    with lodger.VM(memory="2G", volumes={str(source): f"{source}:ro"}) as vm:
        script = SCRIPT.format(source=source, package=PACKAGE)
        done = oracle(["sh", "-c", script], vm=vm, status=0, same_stderr=False, timeout=1800)
    assert b"built here" in done.stdout and b"# FAIL:  0" in done.stdout, done.stdout
    shutil.rmtree("/tmp/lodger-build", ignore_errors=True)
    assert not os.path.exists("/tmp/lodger-build")
