"""The rules of CONTRIBUTING.md that have no tool of their own."""

import re
import subprocess
import tomllib

import pytest

from lodger.boot import wire


def sources(root, *patterns):
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=root, capture_output=True, text=True, check=True
    )
    return [root / n for n in listed.stdout.splitlines() if n.endswith(patterns) and (root / n).is_file()]


def test_short_files(root):
    long = {
        str(p.relative_to(root)): n
        for p in sources(root, ".py", ".rs", ".c", ".md")
        if (n := p.read_text().count("\n")) >= 600
    }
    assert not long


def test_one_ctypes(root):
    users = {
        p.parent.name
        for p in (root / "src").rglob("*.py")
        if re.search(r"^\s*(import|from) ctypes", p.read_text(), re.M)
    }
    assert users <= {"host"}


def test_wire_mirror(root):
    rust = root / "kernel" / "abi" / "src" / "wire.rs"
    if not rust.exists():
        pytest.skip("kernel/abi/src/wire.rs is not in this tree yet")
    text = rust.read_text()
    numbers = {n: int(v.replace("_", ""), 0) for n, v in re.findall(r"pub const (\w+): u\d+ = ([\dxa-fA-F_]+);", text)}
    for kind, name in wire.NAMES.items():
        assert numbers.get(name) == kind, name
    for name in numbers.keys() & vars(wire).keys():
        assert numbers[name] == getattr(wire, name), name


def test_contract_names_every_message(root):
    text = (root / "docs" / "reference" / "control-protocol.md").read_text()
    rows = {int(n): name for n, name in re.findall(r"^\| (\d+) \| (\w+) \|", text, re.M)}
    assert rows == wire.NAMES


def test_every_layer_is_named(root):
    contract = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]
    packages = {p.name for p in (root / "src" / "lodger").iterdir() if (p / "__init__.py").exists()}
    assert packages - {"_kernel"} <= set(contract["layers"])


def test_one_door(root):
    door = (root / "dev").read_text()
    for verb in ("run", "test", "check", "fix", "bench", "boot", "trace", "doctor", "ci"):
        assert re.search(rf"\b{verb}\b", door)
    assert 'dev" ci' in (root / ".ci" / "run").read_text()


def test_no_binaries(root):
    for path in sources(root, ""):
        assert b"\0" not in path.read_bytes()[:4096], path


def test_readme_commands_exist(root):
    """What README shows in code is there: verbs of ./dev, verbs and options of lodger, names of the API."""
    import lodger
    from lodger.cli.main import _verb
    from lodger.cli.run import OPTIONS

    text = (root / "README.md").read_text()
    door = (root / "dev").read_text()
    for verb in re.findall(r"^ +\./dev (\w+)", text, re.M):
        assert re.search(rf"^    ([\w| ]+ )?{verb}\b.*\)", door, re.M), verb
    for verb in re.findall(r"^ +lodger (\w+)", text, re.M):
        assert _verb(verb), verb
    known = {s for o in OPTIONS for s in (o.name, *o.short)}
    for option in re.findall(r"lodger run (-\w)", text) + re.findall(r"`(--\w+)", text):
        assert option in known, option
    for name in re.findall(r"\blodger\.([A-Z]\w+)", text):
        assert hasattr(lodger, name), name
    for name in re.findall(r"\bvm\.(\w+)\(", text):
        assert hasattr(lodger.VM, name), name


def test_links_and_paths_of_the_documents_exist(root):
    """Links lead to files; `crate/src/file.rs` names a file of the guest kernel."""
    missing = []
    for page in sources(root, ".md"):
        text = page.read_text()
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", text):
            if not (page.parent / target).exists():
                missing.append(f"{page.name}: {target}")
        for path in re.findall(r"`((?:kernel/)?\w+/src/[\w/]+\.rs)`", text):
            if not (root / "kernel" / path.removeprefix("kernel/")).exists():
                missing.append(f"{page.name}: {path}")
    assert not missing
