"""Standard streams that are files of the host: what a program can tell of them, and who goes on where it stopped."""

import subprocess
import sys

import pytest

RUN = [sys.executable, "-m", "lodger", "run", "--guard", "none", "--"]
LOOK = """
import fcntl, os, stat
for fd in range(3):
    st = os.fstat(fd)
    print(fd, stat.filemode(st.st_mode), st.st_size, fcntl.fcntl(fd, fcntl.F_GETFL) & (os.O_ACCMODE | os.O_APPEND))
print(os.lseek(0, 5, os.SEEK_SET), os.read(0, 3), os.pread(0, 4, 1), os.lseek(0, 0, os.SEEK_CUR))
for fd in (1, 2):
    try:
        print(os.lseek(fd, 0, os.SEEK_CUR), os.pwrite(fd, b"", 0))
    except OSError as error:
        print(error)
"""


@pytest.fixture
def lines(tmp_path):
    path = tmp_path / "lines"
    path.write_text("".join(f"line {n}\n" for n in range(20000)))
    path.chmod(0o640)
    return path


def test_facts(kernel, lines, tmp_path):
    found = []
    for before in ([], RUN):
        errors = tmp_path / f"errors{len(before)}"
        with lines.open("rb") as stdin, errors.open("ab") as stderr:
            words = [*before, "python3", "-c", LOOK]
            found.append(subprocess.run(words, stdin=stdin, stdout=subprocess.PIPE, stderr=stderr, check=True).stdout)
    assert found[0] == found[1]
    assert b"-rw-r----- 208890" in found[0]


@pytest.mark.parametrize(
    "script", ["head -n1", "tail -n3", "tail -c5 /dev/stdin", "wc -l", "cp /dev/stdin x && wc -c x && rm x",
               "read a; echo $a; cat | tail -n1", "dd bs=7 skip=3 count=2 2>/dev/null"],
)  # fmt: skip
def test_input_from_a_file(kernel, lines, script, tmp_path):
    texts = []
    for before in ([], RUN):
        with lines.open("rb") as stdin:
            words = [*before, "bash", "-c", f"cd /tmp; {script}"]
            texts.append(subprocess.run(words, stdin=stdin, stdout=subprocess.PIPE, check=True).stdout)
    assert texts[0] == texts[1] != b""


def test_the_next_reader_goes_on(kernel, lines):
    texts = []
    for before in ([], RUN):
        with lines.open("rb") as stdin:
            subprocess.run([*before, "head", "-n2"], stdin=stdin, stdout=subprocess.DEVNULL, check=True)
            texts.append(subprocess.run(["head", "-n1"], stdin=stdin, stdout=subprocess.PIPE, check=True).stdout)
    assert texts == [b"line 2\n"] * 2


def test_output_goes_to_the_end(kernel, tmp_path):
    for before in ([], RUN):
        path = tmp_path / f"log{len(before)}"
        path.write_text("first\n")
        with path.open("ab") as log:
            subprocess.run([*before, "sh", "-c", "echo second; echo third >&2"], stdout=log, stderr=log, check=True)
        assert path.read_text() == "first\nsecond\nthird\n"


def test_epoll_refuses_a_file(kernel, lines):
    script = "import select\ntry: select.epoll().register(0)\nexcept OSError as e: print(e)"
    texts = []
    for before in ([], RUN):
        with lines.open("rb") as stdin:
            words = [*before, "python3", "-c", script]
            texts.append(subprocess.run(words, stdin=stdin, stdout=subprocess.PIPE, check=True).stdout)
    assert texts[0] == texts[1] == b"[Errno 1] Operation not permitted\n"
