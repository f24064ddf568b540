"""More of the programs that must work: every coreutil, a source package's own checks, many machines side by side."""

import os
import pathlib
import re
import shutil
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
[ a = a ]; echo $?; /usr/bin/[ a = b ]; echo $?; md5sum.textutils n; who /dev/null; pinky -s nobody | tail -n +2 | wc -l; chcon x n; echo $?; runcon x true; echo $?
""".strip().splitlines()

TEXT_TOOLS = [
    "find . -type f -newer d -o -name 'f*' | sort; find . -name n -exec wc -l {} +; find . -type l -printf '%p %l\\n'; find d -delete; ls",
    "grep -n 1 n | head -2; grep -rc . . | sort; grep -E '^(a|c)' t; grep -P '\\d$' t; grep -vx '.*2' t; echo $?; xargs -n 7 -P 2 echo < n | wc -l",
    "sed -n '2,4p;$=' n; sed -i.bak 's/^/x/' t; cat t t.bak; sed -E ':a;N;$!ba;s/\\n/,/g' n",
    "awk '{s+=$1} END {print s, NR}' n; awk -F' ' '{a[$1]=$2} END {for (k in a) print k, a[k]}' t | sort; awk 'BEGIN {\"echo sub\" | getline x; print x; system(\"echo sys\")}'",
    "tar cJf a.txz n t d; tar tJf a.txz; tar cf - n t l | tar xf - -C d; ls d; tar czf d/a.tgz --exclude=./d .; tar tzf d/a.tgz | sort",
    "gzip -k n; zcat n.gz | cmp - n; xz -k n; xzcat n.xz | cmp - n; bzip2 -k n; bzcat n.bz2 | cmp - n; ls; xz -T2 -c n | xz -dc | md5sum; split -b 10 n; diff -u n l; diff n t | head -3; cmp n t",
    "bc <<< '2^200'; file -b n; ps -o comm= -p $$; kill -l 9; getopt -o a: -- -a 1 b; flock n echo locked; rev t; column -t t; script -qec 'echo in script; tty | tr -d 0-9' /dev/null; setsid -w echo own",
    "lscpu | grep -E '^(Architecture|CPU.s.:|NUMA node.s.)' | tr -s ' '; lscpu -p=CPU,NODE | tail -1; cd /sys/devices/system; cat cpu/online node/online node/node0/cpulist; lsblk >/dev/null; echo $?; top -bn1 | head -1 | cut -c1-5; stat -c %s /proc/self/exe /proc/self/fd/0",
]


@pytest.mark.parametrize("line", range(len(COREUTILS)))
def test_coreutils(oracle, line):
    oracle(["bash", "-c", SETUP + COREUTILS[line]], same_stderr=False)


def test_no_coreutil_is_left_out():
    files = subprocess.run(["dpkg", "-L", "coreutils"], capture_output=True, text=True, check=True).stdout.split()
    names = {os.path.basename(f) for f in files if os.path.dirname(f) in ("/bin", "/usr/bin", "/usr/sbin")}
    words = set(re.split(r"[^\w.\[-]+", " ".join(COREUTILS)))
    assert len(names) > 90 and names - words == set()


@pytest.mark.parametrize("line", range(len(TEXT_TOOLS)))
def test_text_tools(oracle, line):
    oracle(["bash", "-c", SETUP + TEXT_TOOLS[line]], same_stderr=False)


def test_git_clones_and_checks_itself(oracle):
    lines = [
        "cd $(mktemp -d) && export HOME=$PWD GIT_AUTHOR_DATE='2001-01-01T00:00Z' GIT_COMMITTER_DATE='2001-01-01T00:00Z'",
        "git init -q --bare up && git init -q w && cd w && git config user.email a@b && git config user.name n",
        "for i in 1 2 3 4 5; do seq $((i * 500)) > f$i; git add . && git commit -qm $i; done; git push -q ../up HEAD:master; cd ..",
        "for how in --local --no-local --depth=2; do git clone -q $how file://$PWD/up c$how && cd ./c$how && git fsck --full --strict 2>&1",
        "git log --format=%H; git gc -q; git fsck; git worktree add -q ../wt$how HEAD~1; git archive HEAD | tar tf -; cd ..; done",
    ]
    oracle(["bash", "-c", "; ".join(lines)], same_stderr=False, status=0)


def test_root_becomes_somebody_else(shared):
    for argv in (["runuser", "-u", "nobody", "--", "id", "-un"], ["su", "nobody", "-s", "/bin/sh", "-c", "id -un"]):
        done = shared.run(argv)
        assert (done.returncode, done.stdout) == (0, b"nobody\n"), done
    # Nobody has a password, so that is the only way.
    done = shared.run(["su", "root", "-c", "id"], user=65534)
    assert done.returncode != 0 and b"uid=0" not in done.stdout, done


def test_death_of_the_parent(oracle):
    # A child that asked for it hears of its parent's end (PR_SET_PDEATHSIG).
    # Two pipes: the end of the first writer must not be the end of what is read second.
    lines = [
        "rm -f p q; mkfifo p q; (setpriv --pdeathsig TERM sh -c '",
        'trap "echo told > q; exit" TERM; echo > p; while :; do sleep 0.05; done',
        "' & read x < p; kill -9 $BASHPID); cat q",
    ]
    oracle(["bash", "-c", SETUP + "".join(lines)], same_stderr=False, status=0)


def test_tmux(oracle):
    if not shutil.which("tmux"):
        pytest.skip("no tmux on this host (it is not among tests/packages.txt)")
    lines = [
        'export TMUX_TMPDIR=$(mktemp -d) TERM=xterm; t() { tmux -L t -f /dev/null "$@"; }',
        'until_seen() { for i in $(seq 100); do t capture-pane -p | grep -q "$1" && echo "seen $1" && return; sleep 0.1; done; }',
        "t new-session -d -x 80 -y 24 sh; t send-keys 'echo out$((6*7))' Enter; until_seen out42",
        "t split-window cat; t list-panes | wc -l; t send-keys typed Enter; until_seen typed; t kill-server",
    ]
    oracle(["bash", "-c", "; ".join(lines)], same_stderr=False, status=0)


def test_busybox_is_a_whole_system(kernel, tmp_path):
    busybox = shutil.which("busybox") or pytest.fail("busybox-static is missing: see tests/packages.txt")
    (tmp_path / "bin").mkdir()
    shutil.copy(busybox, tmp_path / "bin/busybox")
    names = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split()
    for name in set(names) - {"busybox"}:
        (tmp_path / "bin" / name).symlink_to("busybox")
    script = "cd /bin; tar cf - sh | tar tf -; ps | grep -c '\\[init\\]'; seq 100 | sort -rn | md5sum; free | wc -l; mount | grep -c ^proc; sh -c 'exit 3'; echo $?"
    with lodger.VM(rootfs=str(tmp_path)) as vm:
        done = vm.run(["sh", "-c", script])
    assert (done.returncode, done.fault) == (0, None), done
    host = subprocess.run("seq 100 | sort -rn | md5sum", shell=True, capture_output=True, text=True).stdout
    assert done.stdout.decode().splitlines() == ["sh", "1", host.strip(), "3", "1", "3"], done


@pytest.mark.heavy
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
    shown = [s for s in lines if s.startswith(("./dev run", "lodger "))]
    assert len(shown) == 8, shown
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


def test_small_files_of_the_host_are_read_once(kernel):
    names = sorted(str(p) for p in pathlib.Path("/usr/include/linux").glob("*.h") if p.stat().st_size <= 32 << 10)[:300]
    want = b"".join(pathlib.Path(n).read_bytes() for n in names)
    with lodger.VM(memory="1G") as vm:
        calls = []
        for _ in range(3):
            before = vm.stats()["host_calls"]
            assert vm.run(["cat", *names], check=True).stdout == want
            calls.append(vm.stats()["host_calls"] - before)
        # An open and a read each, and one more for each name that is looked up.
        assert calls[0] - calls[2] >= 2 * len(names), calls
        # The same bytes by mmap, which the kept content does not serve.
        look = "import mmap, sys; [sys.stdout.buffer.write(mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)) for n in sys.argv[1:] for f in [open(n)]]"
        assert vm.run(["python3", "-c", look, *names], check=True).stdout == want


def test_small_files_beyond_the_budget(kernel):
    script = "find /usr/include/linux -type f | sort | xargs cat | md5sum"
    want = subprocess.run(script, shell=True, capture_output=True, check=True).stdout
    # A sixteenth of the memory is kept, which is less than all.
    with lodger.VM(memory="32M") as vm:
        for _ in range(3):
            assert vm.sh(script).stdout == want


def test_small_file_that_grows_after_all(kernel, tmp_path):
    """The layer below is taken as unchanging; a host that changes it must not bring the guest kernel down."""
    busybox = shutil.which("busybox") or pytest.fail("busybox-static is missing: see tests/packages.txt")
    shutil.copy(busybox, tmp_path / "busybox")
    (tmp_path / "a").write_text("short\n")
    os.link(tmp_path / "a", tmp_path / "b")
    with lodger.VM(rootfs=str(tmp_path)) as vm:
        assert vm.run(["/busybox", "cat", "/a"], check=True).stdout == b"short\n"
        with open(tmp_path / "a", "a") as file:
            file.write("and longer\n")
        # The other name's lookup tells the guest kernel of the new length.
        tail = vm.run(["/busybox", "dd", "if=/b", "bs=1", "skip=10", "status=none"], check=True)
        assert tail.stdout == b"longer\n"
        assert vm.run(["/busybox", "cat", "/a"], check=True).stdout == b"short\nand longer\n"
