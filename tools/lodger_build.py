"""The build backend: setuptools, plus the guest kernel compiled by cargo into the package.

The wheel carries one static ELF that uses no libc, so it is tagged for any Python 3 on x86-64
Linux. LODGER_SKIP_KERNEL=1 leaves the kernel out (for work on the Python half).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from setuptools import build_meta

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "src" / "lodger" / "_kernel" / "lodger-kernel"
PLACES = (
    "kernel/target/x86_64-unknown-linux-gnu/release/lodger-kernel",
    "kernel/target/release/lodger-kernel",
)
TAG = "py3-none-manylinux_2_17_x86_64"

get_requires_for_build_sdist = build_meta.get_requires_for_build_sdist
get_requires_for_build_editable = build_meta.get_requires_for_build_editable
prepare_metadata_for_build_wheel = build_meta.prepare_metadata_for_build_wheel
prepare_metadata_for_build_editable = build_meta.prepare_metadata_for_build_editable
build_sdist = build_meta.build_sdist


def get_requires_for_build_wheel(config_settings: Any = None) -> list[str]:
    """Setuptools' own, and wheel to set the tag."""
    return [*build_meta.get_requires_for_build_wheel(config_settings), "wheel"]


def build_kernel() -> Path | None:
    """Compile the guest kernel and put it into the package. Exits with a sentence when that fails."""
    if os.environ.get("LODGER_SKIP_KERNEL"):
        return None
    if not (ROOT / "kernel" / "Cargo.toml").exists():
        if TARGET.exists():
            return TARGET
        sys.exit("lodger: no guest kernel: kernel/Cargo.toml is missing (LODGER_SKIP_KERNEL=1 builds without it)")
    cargo = shutil.which("cargo") or str(Path.home() / ".cargo/bin/cargo")
    try:
        subprocess.run([cargo, "build", "--release", "--quiet"], cwd=ROOT / "kernel", check=True)
    except FileNotFoundError:
        sys.exit("lodger: cargo is missing: install Rust (rustup.rs) to build from source, or install a wheel")
    except subprocess.CalledProcessError as error:
        sys.exit(f"lodger: the guest kernel does not compile (cargo's status {error.returncode})")
    built = [ROOT / place for place in PLACES if (ROOT / place).exists()]
    if not built:
        sys.exit(f"lodger: cargo built no lodger-kernel; looked at {', '.join(PLACES)}")
    newest = max(built, key=lambda path: path.stat().st_mtime)
    if not TARGET.exists() or TARGET.read_bytes() != newest.read_bytes():
        # A new file in place of the old one: running VMs keep theirs.
        fresh = TARGET.with_suffix(".new")
        shutil.copyfile(newest, fresh)
        fresh.chmod(0o755)
        fresh.replace(TARGET)
    return TARGET


def build_wheel(wheel_directory: str, config_settings: Any = None, metadata_directory: str | None = None) -> str:
    """A platform wheel with the guest kernel inside."""
    build_kernel()
    name = build_meta.build_wheel(wheel_directory, config_settings, metadata_directory)
    done = subprocess.run(
        [sys.executable, "-m", "wheel", "tags", "--remove", "--python-tag", "py3", "--abi-tag", "none",
         "--platform-tag", "manylinux_2_17_x86_64", str(Path(wheel_directory) / name)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return Path(done.stdout.strip().splitlines()[-1]).name


def build_editable(wheel_directory: str, config_settings: Any = None, metadata_directory: str | None = None) -> str:
    """For work on the sources: ./dev builds the kernel itself."""
    name: str = build_meta.build_editable(wheel_directory, config_settings, metadata_directory)
    return name


if __name__ == "__main__":
    print(build_kernel())
