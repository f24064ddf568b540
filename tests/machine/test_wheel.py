"""The wheel as a new user gets it: no Rust, no sources, an environment of its own."""

import subprocess
import sys

import pytest


@pytest.mark.slow
def test_wheel_without_rust(kernel, root, tmp_path):
    wheels = tmp_path / "wheels"
    flags = ["-q", "--no-build-isolation", "--no-deps", "--disable-pip-version-check"]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *flags, "-w", wheels, root], check=True, timeout=300)
    (wheel,) = wheels.iterdir()
    assert wheel.name.endswith("-py3-none-manylinux_2_17_x86_64.whl")
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    subprocess.run([tmp_path / "venv/bin/pip", "install", "-q", "--no-index", wheel], check=True)
    variables = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}

    def lodger(*words):
        argv = [tmp_path / "venv/bin/lodger", *words]
        return subprocess.run(argv, env=variables, cwd=tmp_path, capture_output=True, text=True, timeout=60)

    done = lodger("run", "--guard", "none", "--", "sh", "-c", "echo $((6*7)); exit 3")
    assert (done.returncode, done.stdout, done.stderr) == (3, "42\n", "")
    assert "A VM can run here" in lodger("doctor").stdout
    assert "guest kernel" in lodger("version").stdout
