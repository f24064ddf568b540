"""More of the programs that must work: every coreutil, a source package's own checks, many machines side by side."""

import os
import subprocess
import sys

import pytest

import lodger

# Each line is run by itself in a directory with these files, on the host and in the guest.
SETUP = "cd $(mktemp -d) && umask 022 && seq 1 30 > n && printf 'b 2\\na 1\\nc 3\\n' > t && printf 'x\\ty\\n' > tab && mkdir d && touch d/f && ln -s n l; "
COREUTILS = """
basename /a/b.c .c; dirname /a/b.c; realpath -m /a/../b; readlink l; pathchk n; pwd -P | wc -c
cat n; tac n; nl t; od -c t; base32 t; base64 t; basenc --base16 t; hexdump -C t
fmt -w 20 n; pr -t -2 n; fold -w 3 t; head -3 n; tail -3 n; split -l 10 n s; ls s*; csplit -s n 10 20; ls xx*
wc t; sum n; cksum n; b2sum n; md5sum n; sha1sum n; sha224sum n; sha256sum n; sha384sum n; sha512sum n
sort t; sort -k2n t | shuf --random-source=n | wc -l; uniq -c n | tail -1; comm n l; ptx t; echo 'a b' | tsort
cut -d' ' -f1 t; paste t n | head -2; join <(sort t) <(sort t); tr a-z A-Z < t; expand tab; unexpand -a n | head -1
ls -1A; dir; vdir -d d | cut -c1-10; dircolors -b | wc -l
cp n c; dd if=n of=o bs=7 count=2 status=none; cat o; install -m 640 n i; stat -c %a i; mv i j; rm j; shred -u c; ls
link n h; ln -s n q; mkdir -p e/f; mkfifo p; mknod z p; rmdir e/f; unlink h; stat -c '%F %A' p z q e
chmod 601 n; stat -c %a n; chown 1:2 n; stat -c %u:%g n; chgrp 3 n; stat -c %g n; touch -d @0 n; stat -c %Y n; truncate -s 5 n; stat -c %s n
echo hi; printf '%05.1f|%s\\n' 3.14159 x; yes | head -2; true; false; echo $?
test -f n && echo f; [ -d d ] && echo d; expr 6 \\* 7; factor 360 1000003; seq -w 8 10; numfmt --to=iec 1048576
echo x | tee a b; cat a b; env -i A=1 env; printenv HOME; nice -n 5 nice; nohup true; timeout 0.1 sleep 5; echo $?; stdbuf -oL echo y
id -u; whoami; groups; logname; id -Gn; users | wc -l; hostid | wc -c; arch; uname -s -m; date -u -d @0; nproc | wc -l; uptime >/dev/null; echo $?
du -b n; df /tmp > /dev/null; echo $?; sync; mktemp -u | wc -c; chroot / /bin/echo in; stty -F /dev/null 2>/dev/null; echo $?; tty; sleep 0.01
""".strip().splitlines()

TEXT_TOOLS = [
    "find . -type f -newer d -o -name 'f*' | sort; find . -name n -exec wc -l {} +; find . -type l -printf '%p %l\\n'; find d -delete; ls",
    "grep -n 1 n | head -2; grep -rc . . | sort; grep -E '^(a|c)' t; grep -P '\\d$' t; grep -vx '.*2' t; echo $?; xargs -n 7 -P 2 echo < n | wc -l",
    "sed -n '2,4p;$=' n; sed -i.bak 's/^/x/' t; cat t t.bak; sed -E ':a;N;$!ba;s/\\n/,/g' n",
    "awk '{s+=$1} END {print s, NR}' n; awk -F' ' '{a[$1]=$2} END {for (k in a) print k, a[k]}' t | sort; awk 'BEGIN {\"echo sub\" | getline x; print x; system(\"echo sys\")}'",
    "tar cJf a.txz n t d; tar tJf a.txz; tar cf - n t l | tar xf - -C d; ls d; tar czf d/a.tgz --exclude=./d .; tar tzf d/a.tgz | sort",
    "gzip -k n; zcat n.gz | cmp - n; xz -k n; xzcat n.xz | cmp - n; bzip2 -k n; bzcat n.bz2 | cmp - n; ls; xz -T2 -c n | xz -dc | md5sum; split -b 10 n; diff -u n l; diff n t | head -3; cmp n t",
    "bc <<< '2^200'; file -b n; ps -o comm= -p $$; kill -l 9; getopt -o a: -- -a 1 b; flock n echo locked; rev t; column -t t; script -qec 'echo in script' /dev/null; setsid -w echo own",
]


@pytest.mark.parametrize("line", range(len(COREUTILS)))
def test_coreutils(oracle, line):
    oracle(["bash", "-c", SETUP + COREUTILS[line]], same_stderr=False)


@pytest.mark.parametrize("line", range(len(TEXT_TOOLS)))
def test_text_tools(oracle, line):
    oracle(["bash", "-c", SETUP + TEXT_TOOLS[line]], same_stderr=False)


def test_fifty_machines_side_by_side(kernel):
    machines = [lodger.VM(memory="64M") for _ in range(50)]
    try:
        running = [
            vm.popen(["sh", "-c", f"echo {n} > /tmp/me; sleep 1; cat /tmp/me"], stdout=lodger.PIPE)
            for n, vm in enumerate(machines)
        ]
        assert [p.communicate()[0] for p in running] == [f"{n}\n".encode() for n in range(50)]
    finally:
        for vm in machines:
            vm.close()


def test_readme_commands(kernel, root, tmp_path):
    """The commands README shows are run as they stand there (`make test` needs a Makefile, bash its input)."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "Makefile").write_text("test:\n\t@echo tested in $$PWD\n")
    text = (root / "README.md").read_text()
    lines = [s.strip().partition("  #")[0] for s in text.splitlines() if s.startswith("    ")]
    shown = [s for s in lines if s.startswith(("./dev run", "lodger run", "lodger doctor"))]
    assert len(shown) == 4, shown
    variables = os.environ | {"PATH": f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"}
    said = []
    for line in shown:
        command = line.replace("./dev", str(root / "dev"), 1)
        done = subprocess.run(
            ["bash", "-c", command], cwd=tmp_path, input=b"echo shell\n", capture_output=True, env=variables
        )
        assert done.returncode == 0 or "doctor" in line, (line, done)
        assert b"Traceback" not in done.stderr, done.stderr
        said.append(done.stdout)
    assert b"hello from" in b"".join(said) and b"shell\n" in said and b"tested in /src\n" in said


def test_readme_python(kernel, root, capfd):
    code = (root / "README.md").read_text().partition("```python\n")[2].partition("```")[0]
    assert "lodger.VM(" in code
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "(b'hello', b'')" in done.stdout and "Python 3" in done.stdout
