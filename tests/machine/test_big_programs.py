"""Programs with unusual address spaces, many threads or no mercy: Go and Rust, Java, node, one where the jump table is, stress-ng."""

import pathlib
import shutil
import subprocess

import pytest

import lodger
from programs import CACHE, build

HERE = pathlib.Path(__file__).parent


def everywhere(path):
    """A VM in which the cache of test programs is at the host's path: the oracle runs one path on both sides."""
    return lodger.VM(memory="2G", volumes={str(path): f"{path}:ro"})


@pytest.mark.matrix
def test_program_where_the_jump_table_is(kernel, oracle):
    program = build(HERE / "low.c", "-no-pie", "-Wl,-Ttext-segment=0x5000000")
    with everywhere(CACHE) as vm:
        for _ in range(3):
            done = oracle([str(program)], vm=vm, status=0)
        assert b"inside 1 0\n" in done.stdout, "a wrong test: the program does not lie there"


RUST = """
use std::sync::{mpsc, Arc, Mutex, atomic::{AtomicU64, Ordering}};
fn main() {
    let (send, receive) = mpsc::channel();
    let sum = Arc::new(AtomicU64::new(0));
    let all = Arc::new(Mutex::new(Vec::new()));
    let threads: Vec<_> = (0..200u64).map(|n| {
        let (send, sum, all) = (send.clone(), sum.clone(), all.clone());
        std::thread::spawn(move || {
            for i in 0..1000 { sum.fetch_add(i * n, Ordering::Relaxed); if i % 100 == 0 { all.lock().unwrap().push(n); std::thread::yield_now(); } }
            send.send(n).unwrap();
        })
    }).collect();
    drop(send);
    let got: u64 = receive.iter().sum();
    for t in threads { t.join().unwrap(); }
    println!("{} {} {}", got, sum.load(Ordering::Relaxed), all.lock().unwrap().len());
    let out = std::process::Command::new("echo").arg("child").output().unwrap();
    println!("{}", String::from_utf8_lossy(&out.stdout));
    let r = std::panic::catch_unwind(|| { panic!("caught") });
    println!("{}", r.is_err());
}
"""

GO = """
package main
import ("bufio"; "fmt"; "os/exec"; "os/signal"; "os"; "runtime"; "sync"; "syscall"; "time")
func main() {
    runtime.GOMAXPROCS(8)
    var w sync.WaitGroup
    c := make(chan int, 10)
    for i := 0; i < 10000; i++ { w.Add(1); go func(n int) { defer w.Done(); if n % 100 == 0 { time.Sleep(time.Millisecond) }; c <- n }(i) }
    go func() { w.Wait(); close(c) }()
    s := 0
    for v := range c { s += v }
    fmt.Println(s)
    var garbage [][]byte
    for i := 0; i < 2000; i++ { garbage = append(garbage, make([]byte, 20000)); if i % 500 == 0 { garbage = nil; runtime.GC() } }
    p := exec.Command("sh", "-c", "read x; echo got $x; exit 3")
    in, _ := p.StdinPipe(); out, _ := p.StdoutPipe()
    p.Start(); fmt.Fprintln(in, "line"); l, _ := bufio.NewReader(out).ReadString('\\n')
    fmt.Print(l, p.Wait(), "\\n")
    sig := make(chan os.Signal, 1); signal.Notify(sig, syscall.SIGUSR1)
    syscall.Kill(os.Getpid(), syscall.SIGUSR1); fmt.Println(<-sig)
}
"""

JAVA = """
import java.util.concurrent.*;
import java.util.stream.*;
public class T {
    public static void main(String[] a) throws Exception {
        ExecutorService e = Executors.newFixedThreadPool(16);
        Future<Long>[] f = new Future[50];
        for (int i = 0; i < 50; i++) { long n = i; f[i] = e.submit(() -> LongStream.range(0, 100000).map(x -> x * n).sum()); }
        long s = 0;
        for (Future<Long> x : f) s += x.get();
        e.shutdown();
        System.out.println(s);
        StringBuilder b = new StringBuilder();
        for (int i = 0; i < 200000; i++) b.append(i);
        System.gc();
        System.out.println(b.toString().hashCode());
        Process p = new ProcessBuilder("tr", "a-z", "A-Z").start();
        p.getOutputStream().write("upper".getBytes()); p.getOutputStream().close();
        System.out.println(new String(p.getInputStream().readAllBytes()) + p.waitFor());
        try { Object o = null; o.hashCode(); } catch (NullPointerException x) { System.out.println("null"); }
    }
}
"""

NODE = """
const {spawnSync} = require('child_process'); const {Worker} = require('worker_threads'); const fs = require('fs');
console.log(spawnSync('tr', ['a-z', 'A-Z'], {input: 'upper'}).stdout.toString());
let s = 0; for (let i = 0; i < 3e6; i++) s = (s * 31 + i) | 0; console.log(s);
const w = new Worker("const p = require('worker_threads').parentPort; p.on('message', n => { p.postMessage(n * 2); p.close() })", {eval: true});
w.on('message', n => { console.log('worker', n); setTimeout(() => console.log('late'), 20) });
console.log(require('zlib').gunzipSync(require('zlib').gzipSync(Buffer.alloc(1e5, 7))).length);
fs.promises.readFile('/etc/hostname').then(b => { console.log(b.length > 0); w.postMessage(21) });
"""


def test_rust_program_with_threads(kernel, oracle, tmp_path):
    rustc = shutil.which("rustc") or str(pathlib.Path.home() / ".cargo/bin/rustc")
    (tmp_path / "t.rs").write_text(RUST)
    flags = ["-O", "-C", "target-feature=+crt-static", "-o", str(tmp_path / "t")]
    subprocess.run([rustc, *flags, str(tmp_path / "t.rs")], check=True)
    with everywhere(tmp_path) as vm:
        oracle([str(tmp_path / "t")], vm=vm, status=0, same_stderr=False)


@pytest.mark.matrix
def test_go_program_with_ten_thousand_goroutines(kernel, oracle, tmp_path):
    (tmp_path / "t.go").write_text(GO)
    variables = {
        "PATH": "/usr/local/go/bin:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "CGO_ENABLED": "0",
        "GO111MODULE": "off",
    }
    subprocess.run(["go", "build", "-o", "t", "t.go"], cwd=tmp_path, env=variables, check=True)
    with everywhere(tmp_path) as vm:
        oracle([str(tmp_path / "t")], vm=vm, status=0)


@pytest.mark.heavy
@pytest.mark.skipif(
    not shutil.which("javac"), reason="no Java compiler on this host (it is not among tests/packages.txt)"
)
def test_java(kernel, oracle, tmp_path):
    (tmp_path / "T.java").write_text(JAVA)
    subprocess.run(["javac", "-nowarn", "T.java"], cwd=tmp_path, check=True, capture_output=True)
    with everywhere(tmp_path) as vm:
        oracle(["java", "-cp", str(tmp_path), "T"], vm=vm, status=0)


@pytest.mark.skipif(not shutil.which("node"), reason="no node on this host (it is not among tests/packages.txt)")
def test_node(kernel, oracle):
    with lodger.VM(memory="2G") as vm:
        oracle(["node", "-e", NODE], vm=vm, status=0)


# Each stressor checks what it does; kill, sigq and wait are storms of signals. Some (brk, malloc, vforkmany) take what
# memory they get: the machine has more than they reach in their two seconds, because a stressor that is refused memory
# fails, on Linux without overcommitment as here. Likewise more processes than they make: stress-ng's pthread stressor does not
# join a thread that it makes as the time ends, which then reads a dead stack (so it does on Linux with a limit of 40 processes).
# Every stressor has a buffer as large as the processor's third-level cache, which is 480 MiB on some hosts: the first level's will do.
STRESSORS = [
    "kill sigq wait signal sigfd sigsegv itimer timer", "fork vforkmany clone zombie pthread context",
    "vm mmap mremap mprotect madvise msync brk malloc stack", "shm memrate pipe fifo sockpair eventfd epoll poll",
    "futex mutex switch flock lockf yield clock nanosleep", "dir dentry rename link symlink chmod access fstat getdent hdd seek",
]  # fmt: skip


@pytest.mark.heavy
@pytest.mark.parametrize("names", STRESSORS)
def test_stress(kernel, names):
    with lodger.VM(memory="8G", pids=16384) as vm:
        words = [w for n in names.split() for w in (f"--{n}", "2")]
        options = ["-v", "--cache-level", "1", "--temp-path", "/tmp", "-t", "2"]
        done = vm.run(["stress-ng", *options, *words], timeout=100, text=True)
        assert done.returncode == 0 and done.fault is None, f"{done.fault}\n{done.stderr}"
        assert "fail:" not in done.stderr and "successful run" in done.stderr, done.stderr
