"""Programs that must work, their real output compared with the host's."""

import shutil
import subprocess

import pytest

import lodger

SCRIPTS = {
    "pipeline": "seq 1000 | grep 7 | sort -r | head -20 | wc -l; printf 'a\\nb\\n' | sed s/a/c/",
    "redirections": "cd $(mktemp -d); echo one >a; echo two >>a; cat <a; cat <<X\nhere $((6*7))\nX\n exec 3>b; echo three >&3; cat b",
    "traps": "trap 'echo bye' EXIT; trap 'echo usr' USR1; kill -USR1 $$; (exit 3); echo $?",
    "wait": "(exit 5) & wait $!; echo $?; sleep 0.1 & wait; echo done",
    "glob": "cd /usr/share/zoneinfo && echo Europe/B* | tr ' ' '\\n' | sort",
    "files": "cd $(mktemp -d); mkdir -p a/b; ln -s b a/c; touch a/b/f; chmod 640 a/b/f; find . | sort; stat -c '%A %h %s %F' a/c a/b/f; mv a d; rm -r d; ls -A",
    "text": "printf '3 c\\n1 a\\n2 b\\n' | sort -n | awk '{s+=$1; print $2} END {print s}' | tac | nl | cut -c1-8",
    "sums": "seq 10000 | md5sum; seq 10000 | sha256sum; seq 10000 | cksum; seq 10000 | gzip -9n | gunzip | wc -c; seq 10000 | xz | xz -d | tail -1",
    "tar": "cd $(mktemp -d); mkdir s; seq 100 >s/a; ln s/a s/h; ln -s a s/l; tar cf - --sort=name --mtime=@0 --owner=0 --group=0 s | md5sum; tar czf x.tgz s; rm -r s; tar xzf x.tgz; ls s; cat s/l | wc -l",
    "fifo": "cd $(mktemp -d); mkfifo p; (echo through >p) & cat p; wait",
    "subst": "diff <(seq 3) <(seq 4); echo $?",
    "jobs": "set -m; sleep 0.2 & sleep 0.1 & jobs | wc -l; fg %1 >/dev/null; wait; (kill -STOP $BASHPID 2>/dev/null; exit 4) & wait $!; echo $?; kill -CONT %3 2>/dev/null; kill %3 2>/dev/null; echo end",
    "pipes": "yes | head -100000 | tee >(wc -l >&2) 2>/dev/null | sort -u; set -o pipefail; false | true; echo $?; seq 5 | while read x; do echo $((x*x)) | cat; done | paste -sd+ | bc",
    "here-exec": "cd $(mktemp -d); printf '#!/bin/sh\\necho $0 $@\\n' >s; chmod +x s; ./s a b",
}

PYTHON = {
    "threads": "import threading as t; r=[]; x=[t.Thread(target=r.append,args=(i,)) for i in range(20)]; [i.start() for i in x]; [i.join() for i in x]; print(sorted(r))",
    "subprocess": "import subprocess as s; print(s.run(['tr','a-z','A-Z'],input=b'abc',capture_output=True)); print(s.getoutput('echo hi'))",
    "asyncio": "import asyncio\nasync def m():\n p=await asyncio.create_subprocess_exec('cat',stdin=-1,stdout=-1); print(await p.communicate(b'x'*99999) == (b'x'*99999, None))\nasyncio.run(m())",
    "sqlite": "import sqlite3; c=sqlite3.connect('/tmp/lodger-t.db'); c.execute('pragma journal_mode=wal'); c.execute('drop table if exists t'); c.execute('create table t(a)'); c.executemany('insert into t values(?)',[(i,) for i in range(1000)]); c.commit(); print(c.execute('select sum(a) from t').fetchone())",
    "signals": "import signal,os; signal.signal(10,lambda *a:print('got',a[0])); os.kill(os.getpid(),10); signal.setitimer(0,.05); signal.signal(14,lambda *a:print('alarm')); signal.pause()",
    "mmap": "import mmap,os; m=mmap.mmap(-1,1<<20); m[:5]=b'hello'; p=os.fork()\nif not p: m[:5]=b'child'; os._exit(0)\nos.waitpid(p,0); print(m[:5])",
    "sockets": "import socket,array; a,b=socket.socketpair(); a.sendall(b'x'*10); print(b.recv(99)); r=open('/etc/passwd'); socket.send_fds(a,[b'f'],[r.fileno()]); print(len(socket.recv_fds(b,9,1)[1]))",
    "asyncio-many": "import asyncio\nasync def one(n):\n p=await asyncio.create_subprocess_shell(f'echo {n}; echo e{n} >&2; exit {n}',stdout=-1,stderr=-1); return await p.communicate(), p.returncode\nasync def m(): print(await asyncio.gather(*map(one, range(12))))\nasyncio.run(m())",
    "pool": "from concurrent.futures import ProcessPoolExecutor as P, ThreadPoolExecutor as T\nwith T(8) as t, P(2) as p: print(sum(t.map(abs, range(1000))), sum(p.map(abs, range(200), chunksize=20)))",
    "limits": "import resource; print(resource.getrlimit(resource.RLIMIT_STACK)[0] > 0)",
}
MP = """
import multiprocessing as mp, sys
def f(q, n): q.put(n * n)
if __name__ == "__main__":
    for how in ("fork", "spawn"):
        c = mp.get_context(how); q = c.Queue(); ps = [c.Process(target=f, args=(q, i)) for i in range(4)]
        [p.start() for p in ps]; print(how, sorted(q.get() for _ in ps)); [p.join() for p in ps]
        v = c.Value("i", 0); print(v.value)
    with mp.Pool(2) as p: print(p.map(abs, range(-5, 5)))
    from multiprocessing.shared_memory import SharedMemory
    s = SharedMemory(create=True, size=4096); s.buf[0] = 7; t = SharedMemory(s.name); print(t.buf[0]); t.close(); s.close(); s.unlink()
"""


@pytest.mark.parametrize("shell", ["bash", "dash"])
@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts(oracle, shell, name):
    if shell == "dash" and name in ("subst", "jobs", "pipes"):
        return  # not dash's language
    oracle([shell, "-c", SCRIPTS[name]])


@pytest.mark.matrix
@pytest.mark.parametrize("name", PYTHON)
def test_python(oracle, name):
    oracle(["python3", "-c", PYTHON[name]], status=0)


@pytest.mark.matrix
def test_multiprocessing(oracle):
    oracle(
        ["sh", "-c", "cat > /tmp/lodger-mp.py && python3 /tmp/lodger-mp.py"],
        input=MP.encode(),
        status=0,
        same_stderr=False,
    )


def test_numpy_with_threads(oracle):
    code = "import numpy as n; a=n.arange(250000.).reshape(500,500); print((a@a).sum(), n.linalg.det(n.eye(50)))"
    oracle(["/usr/bin/python3", "-c", code], status=0)


def test_venv_and_offline_pip(vm):
    script = """
set -e; cd /tmp; mkdir -p pkg/hello; echo 'print("hi from wheel")' > pkg/hello/__init__.py
printf '[project]\\nname="hello"\\nversion="1"\\n' > pkg/pyproject.toml
python3 - <<'P'
import zipfile
z = zipfile.ZipFile('/tmp/hello-1-py3-none-any.whl', 'w')
z.write('/tmp/pkg/hello/__init__.py', 'hello/__init__.py')
z.writestr('hello-1.dist-info/METADATA', 'Metadata-Version: 2.1\\nName: hello\\nVersion: 1\\n')
z.writestr('hello-1.dist-info/WHEEL', 'Wheel-Version: 1.0\\nGenerator: t\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')
z.writestr('hello-1.dist-info/RECORD', '')
z.close()
P
python3 -m venv v; v/bin/pip install -q --no-index hello-1-py3-none-any.whl; v/bin/python -c 'import hello'
"""
    result = vm.sh(script, timeout=120)
    assert (result.returncode, result.stdout) == (0, b"hi from wheel\n"), result.stderr


@pytest.mark.matrix
def test_git(oracle):
    script = """cd $(mktemp -d) && export GIT_AUTHOR_DATE='1000000000 +0000' GIT_COMMITTER_DATE='1000000000 +0000'
git init -q -b main r && cd r && git config user.email a@b && git config user.name n && seq 100 > f && git add f && git commit -qm one
echo more >> f && git commit -qam two && git log --format='%H %s' && cd .. && git clone -q r c && git -C c log --oneline | cat && git -C c fsck"""
    oracle(["sh", "-c", script], status=0, same_stderr=False)


@pytest.mark.matrix
def test_gcc_and_make(oracle):
    script = r"""cd $(mktemp -d) && for i in 1 2 3 4; do echo "int f$i(void){return $i;}" > f$i.c; done
printf 'int f1(),f2(),f3(),f4();\n#include <stdio.h>\nint main(){printf("%%d\\n",f1()+f2()+f3()+f4());}\n' > m.c
printf 'p: f1.o f2.o f3.o f4.o m.o\n\tgcc -o p $^\n' > Makefile && make -s -j2 && ./p && gcc -static -O2 -o q m.c f?.c && ./q"""
    oracle(["sh", "-c", script], status=0, same_stderr=False)


def test_perl(oracle):
    oracle(
        [
            "perl",
            "-e",
            'print join(",", map { $_ ** 2 } 1..9), "\n"; print `echo sub`; open(F, "<", "/etc/hostname") or die; fork() or exit 3; wait; print $? >> 8, "\n"',
        ],
        status=0,
    )


@pytest.mark.matrix
def test_sqlite_between_processes(oracle):
    script = """cd $(mktemp -d); sqlite3 d 'pragma journal_mode=wal; create table t(a);'
for p in 1 2; do (for i in $(seq 50); do sqlite3 -cmd '.timeout 20000' d "insert into t values($i)"; done) & done; wait; sqlite3 d 'select count(*), sum(a) from t'"""
    oracle(["bash", "-c", script], status=0)


def test_go_program_with_threads(oracle, vm):
    source = b"""package main
import ("fmt"; "sync"; "runtime")
func main() { runtime.GOMAXPROCS(8); var w sync.WaitGroup; c := make(chan int, 100)
 for i := 0; i < 100; i++ { w.Add(1); go func(n int) { defer w.Done(); c <- n * n }(i) }
 w.Wait(); close(c); s := 0; for v := range c { s += v }; fmt.Println(s) }
"""
    script = "mkdir -p /tmp/lodger-go && cd /tmp/lodger-go && cat > m.go && HOME=/tmp GOFLAGS=-mod=mod GO111MODULE=off go build -o m m.go && ./m"
    oracle(["sh", "-c", script], input=source, status=0, vm=vm, timeout=180)


def test_busybox_as_a_root_of_its_own(kernel, tmp_path):
    busybox = shutil.which("busybox")
    assert busybox, "busybox-static is missing: see tests/packages.txt"
    (tmp_path / "bin").mkdir()
    shutil.copy(busybox, tmp_path / "bin" / "busybox")
    for name in subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split():
        if name != "busybox":
            (tmp_path / "bin" / name).symlink_to("busybox")
    with lodger.VM(rootfs=tmp_path) as vm:
        assert vm.sh("echo hi | tr a-z A-Z; ls / | sort | head -3; id -u").stdout == b"HI\nbin\ndev\nproc\n0\n"
        assert vm.sh("cd /tmp && seq 1000 > a && tar c a | tar t && md5sum < a").returncode == 0
    assert not (tmp_path / "tmp").exists()
