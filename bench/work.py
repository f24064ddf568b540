"""What is measured: each work's name, limit (guest/host) and command."""

from __future__ import annotations

from typing import NamedTuple

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Work(NamedTuple):
    """``argv`` None: a micro-benchmark that prints nanoseconds. Otherwise a program timed from outside."""

    name: str
    limit: float
    argv: list[str] | None = None
    program: str = ""
    """what must be installed; without it there is no row"""
    rounds: int = 5
    """on the host and in the guest, in turn"""


_LIMITS = {
    0.6: ["getppid"],
    0.8: ["read1", "write1", "lseek", "fstat", "clock"],
    1.0: ["stat", "open", "read4k", "write4k", "read1m", "write1m"],
    1.3: ["pipe", "unix", "futex"],
    1.1: ["touch", "mprotect"],
    1.5: ["fork", "spawn", "thread"],
}
# Two that wake each other: one processor or two, as the host's scheduler happens to place a run's, makes a factor of three.
_PLACED = {"pipe", "unix", "futex"}
MICRO = [Work(name, limit, rounds=9 if name in _PLACED else 5) for limit, names in _LIMITS.items() for name in names]

_COMPILE = 'cd $(mktemp -d) && for i in $(seq 300); do echo "int f$i(int x){int s=0;for(int k=0;k<x;k++)s+=k*$i;return s;}"; done > a.c && gcc -O2 -c a.c'
_GIT = (
    "cd $(mktemp -d) && git init -q && git config user.email a@b && git config user.name n && "
    "for i in $(seq 200); do echo $i > f$i; done && git add . && git commit -qm x"
)
_SQLITE = (
    "import sqlite3; c=sqlite3.connect('/tmp/bench.db'); c.execute('drop table if exists t'); "
    "c.execute('create table t(a)'); [c.execute('insert into t values(?)',(i,)) for i in range(100000)]; c.commit()"
)
_SCENE = """camera { location <0,2,-5> look_at 0 } light_source { <5,9,-7> rgb 1 area_light <2,0,0>,<0,2,0>,4,4 adaptive 1 }
plane { y,-1 pigment { checker rgb 1 rgb .2 } finish { reflection .2 } }
#declare I=0; #while (I<40) sphere { <2*cos(I),.4*sin(I*3),2*sin(I)>,.3 pigment { rgb <.9,I/40,.3> } finish { reflection .3 specular .6 } }
#declare I=I+1; #end"""
_POVRAY = f"cd $(mktemp -d) && echo '{_SCENE}' > s.pov && povray +Is.pov +Os.png -D +W320 +H240 +A0.1 -GA >log 2>&1 && test -s s.png"
PROGRAMS = [
    Work("python", 1.15, ["python3", "-c", "import json, asyncio, sqlite3, email, unittest, xml.dom"]),
    Work("compile", 1.15, ["sh", "-c", _COMPILE]),
    Work("git", 1.15, ["sh", "-c", _GIT]),
    Work("tar", 1.15, ["sh", "-c", "tar cf - /usr/include 2>/dev/null | wc -c"]),
    Work("sqlite", 1.15, ["python3", "-c", _SQLITE]),
    Work("povray", 1.15, ["sh", "-c", _POVRAY], "povray"),
    Work("shell", 1.5, ["sh", "-c", "i=0; while [ $i -lt 500 ]; do /bin/true; i=$((i+1)); done"]),
]
