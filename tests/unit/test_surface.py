"""The public surface is a list, and starting stays cheap."""

import inspect
import subprocess
import sys

import lodger
import lodger.aio
import lodger.errors

PUBLIC = {
    "VM", "Process", "Result", "Usage", "PIPE", "STDOUT", "DEVNULL", "LodgerError", "ConfigError", "HostError",
    "BootError", "VMClosed", "GuestPanic", "ProtocolError", "SpawnError", "CommandError",
}  # fmt: skip


def test_public_names():
    assert set(lodger.__all__) == PUBLIC == set(lodger._WHERE)
    for name in PUBLIC:
        assert getattr(lodger, name) is not None
    assert set(dir(lodger)) == PUBLIC | {"aio"}
    assert set(lodger.aio.__all__) == {"VM", "Process"}


def test_vm_methods():
    def names(cls):
        return {n for n in vars(cls) if not n.startswith("_")}

    assert names(lodger.VM) == {"run", "sh", "popen", "stats", "close", "check", "config", "layers", "boot_ns"}
    assert names(lodger.aio.VM) == {"run", "sh", "popen", "stats", "close", "layers", "start"}


def test_sync_and_async_take_the_same_arguments():
    for name in ("run", "popen", "stats", "close"):
        ours, theirs = (inspect.signature(getattr(c, name)) for c in (lodger.VM, lodger.aio.VM))
        assert list(ours.parameters.values()) == list(theirs.parameters.values()), name
    for name in ("wait", "communicate", "terminate", "kill", "resize"):
        ours, theirs = (inspect.signature(getattr(c, name)) for c in (lodger.Process, lodger.aio.Process))
        assert list(ours.parameters.values()) == list(theirs.parameters.values()), name


def test_the_exception_tree_is_the_one_that_is_drawn():
    drawn = lodger.errors.__doc__
    for name, cls in vars(lodger.errors).items():
        if isinstance(cls, type) and issubclass(cls, Exception) and cls.__module__ == "lodger.errors":
            assert name in drawn
            assert issubclass(cls, lodger.LodgerError)
    assert issubclass(lodger.GuestPanic, lodger.VMClosed) and issubclass(lodger.ConfigError, ValueError)
    assert str(lodger.HostError("cannot do it", 13)) == "cannot do it: Permission denied"


def test_lodger_run_imports_nothing_heavy():
    code = "import sys, lodger.cli.run, lodger.monitor.inprocess, lodger.image.hostroot; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-I", "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}; " + code],
                            capture_output=True, text=True, check=True).stdout.split()  # fmt: skip
    heavy = {
        "asyncio",
        "dataclasses",
        "inspect",
        "argparse",
        "subprocess",
        "socket",
        "threading",
        "pathlib",
        "json",
        "signal",
        "enum",
        "typing",
        "re",
    }
    assert not heavy & set(loaded)


def test_import_lodger_alone():
    code = "import sys; before = set(sys.modules); import lodger; print(*set(sys.modules) - before)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert set(loaded) <= {"lodger", "__future__"}
