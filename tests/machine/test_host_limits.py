"""A host that gives little: descriptors, memory, sizes."""

import subprocess
import sys

LODGER = [sys.executable, "-m", "lodger", "run", "--guard", "none"]
#: Reads directories and files far beyond the limit, one after another and at once.
WORK = """
import os, subprocess
files = [open("/etc/hostname") for _ in range(400)]
for top in ("/usr/bin", "/usr/lib", "/usr/share", "/etc"):
    for name in sorted(os.listdir(top))[:150]:
        path = os.path.join(top, name)
        os.listdir(path) if os.path.isdir(path) else os.path.isfile(path) and open(path, "rb").read(9000)
print(len(files), subprocess.run(["sh", "-c", "echo a | cat | cat"], capture_output=True).stdout)
"""


def under(limit, words, before=""):
    script = f'{before} ulimit -n {limit}; exec "$0" "$@"'
    return subprocess.run(["bash", "-c", script, *words], capture_output=True, text=True, timeout=60)


def test_work_with_64_descriptors(kernel):
    done = under(64, [*LODGER, "--", "python3", "-c", WORK])
    assert done.returncode == 0 and done.stdout == "400 b'a\\n'\n", done


def test_a_descriptor_beyond_the_limit_is_none_of_the_guests(kernel):
    """Inherited from a program that had a higher limit."""
    done = under(64, [*LODGER, "--", "sh", "-c", "echo here"], before="exec 200</dev/null;")
    assert (done.returncode, done.stdout) == (0, "here\n"), done


def test_too_few_are_said(kernel, tmp_path):
    for limit, words in (
        ("-f 1000", "(ulimit -f is 1000): raise it"),
        ("-v 1000000", "(ulimit -v is 1000000): raise it"),
    ):
        done = under(f"1024; ulimit {limit}", [*LODGER, "true"])
        assert done.returncode == 125 and words in done.stderr and len(done.stderr.splitlines()) == 1, done
    done = under(50, [*LODGER, "true"])
    assert done.returncode == 125 and "of 50 are free: raise the limit (ulimit -n)" in done.stderr, done
    volumes = []
    for number in range(60):
        (tmp_path / str(number)).mkdir()
        volumes += ["-v", f"{tmp_path}/{number}:/v/{number}"]
    done = under(64, [*LODGER, *volumes, "true"])
    assert done.returncode == 125 and "ulimit -n" in done.stderr and len(done.stderr.splitlines()) == 1, done
