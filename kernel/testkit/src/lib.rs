//! Lets `cargo test` run core and modules on the host as an ordinary program: threads of the test become guest threads.
//!
//! The pages that a guest thread finds through GS are mapped where the guest kernel has them; locks and sleeping work as in the
//! VM, because they are host futexes there too. There is no trap, no address space and no scheduler here: signals become
//! pending and end sleeps, handlers do not run.

use core_::fd::FdTable;
use core_::signal::{Action, Pending, SigHand, SigSet};
use core_::task::{Cred, Process, Relations, Rlimit, Session, State, TREE, Thread, Usage, rlimit};
use core_::vfs::FsContext;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Once};

static MAP: Once = Once::new();
static NEXT_SLOT: AtomicU32 = AtomicU32::new(1);
static NEXT_PID: Mutex<u32> = Mutex::new(100);

fn map_pages() {
    MAP.call_once(|| {
        for base in [abi::layout::OPEN_BASE, abi::layout::TRUSTED_BASE] {
            // mmap: private, anonymous, at exactly this address unless something is there.
            let args = [base, 0x40_0000, 3, 0x2 | 0x20 | 0x10_0000, u64::MAX, 0];
            // SAFETY: MAP_FIXED_NOREPLACE touches no existing mapping.
            let at = unsafe { host::raw::call(host::calls::nr::mmap, args) };
            assert_eq!(at as u64, base, "the address range of the guest kernel is taken");
        }
        let root = tmpfs::TmpFs::new(tmpfs::Quota::new(1 << 20, 1000), 0o755).unwrap();
        core_::vfs::mount_root(root, b"root");
        // Last: from here on every host call is counted in the page that GS leads to, which only `enter` sets.
        host::thread::set_ready();
    });
}

thread_local! {
    static SLOT: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
}

/// The slot of the calling thread, taken and put into GS at the first call: before any lock of the kernel, whose
/// contention is a host call that is counted there.
fn own_slot() -> u32 {
    map_pages();
    SLOT.with(|s| {
        if s.get() == 0 {
            s.set(NEXT_SLOT.fetch_add(1, Ordering::Relaxed));
            host::thread::set_gs(s.get());
        }
        s.get()
    })
}

/// A process of its own session, with all rights.
pub fn process() -> Arc<Process> {
    own_slot();
    let mut next = NEXT_PID.lock().unwrap();
    *next += 1;
    let pid = *next;
    let session = Arc::new(Session { sid: pid, tty: Default::default() });
    let mut limits = [Rlimit { cur: rlimit::INFINITY, max: rlimit::INFINITY }; rlimit::COUNT];
    limits[rlimit::NOFILE] = Rlimit { cur: 1024, max: 1024 };
    let p = Arc::new(Process {
        pid,
        ppid: AtomicU32::new(1),
        pgid: AtomicU32::new(pid),
        rel: core_::Mutex::new(Relations { maker: 1, session, children: Vec::new() }),
        threads: Default::default(),
        state: core_::Mutex::new(State::Running),
        exit: Default::default(),
        group_exit: Default::default(),
        exiting: AtomicBool::new(false),
        child_wait: Arc::default(),
        signal_wait: Arc::default(),
        exit_wait: Arc::default(),
        sighand: core_::Mutex::new(Arc::new(SigHand::new([Action::default(); 64]))),
        pending: core_::Mutex::new(Pending::default()),
        report: AtomicU32::new(0),
        exit_signal: AtomicU32::new(17),
        cred: core_::Mutex::new(Arc::new(Cred::user(0, 0, Vec::new()))),
        comm: Default::default(),
        rlimits: core_::Mutex::new(limits),
        start_ns: 0,
        usage: core_::Mutex::new(Usage::default()),
        child_usage: core_::Mutex::new(Usage::default()),
        pdeath_signal: AtomicU32::new(0),
        did_exec: AtomicBool::new(false),
        dumpable: AtomicBool::new(true),
        subreaper: AtomicBool::new(false),
        marks: Default::default(),
        io: Default::default(),
        origin: 0,
        spawn_id: AtomicU64::new(0),
        mm: Default::default(),
        timers: Default::default(),
    });
    TREE.lock().add_process(&p);
    p
}

/// Makes the calling host thread a thread of `p`; it stays one.
pub fn enter(p: &Arc<Process>) -> Arc<Thread> {
    let slot = own_slot();
    let fs = FsContext::initial().unwrap();
    let cred = Arc::new(Cred::user(0, 0, Vec::new()));
    let tid = if p.threads.lock().is_empty() { p.pid } else { 10_000 + slot };
    let t = Arc::new(Thread::new(tid, p.clone(), slot, cred, FdTable::new(), fs, [0; 16], SigSet::EMPTY));
    p.threads.lock().push(t.clone());
    TREE.lock().add_thread(&t);
    host::thread::trusted_of(slot).slot.store(slot, Ordering::Relaxed);
    host::thread::set_current::<Thread>(slot, t.clone());
    t
}

/// [`enter`] with a process of its own.
pub fn start() -> Arc<Thread> {
    enter(&process())
}

/// Runs `f` as another thread of the same process.
pub fn spawn<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> std::thread::JoinHandle<T> {
    let p = core_::current().process.clone();
    std::thread::spawn(move || {
        enter(&p);
        f()
    })
}

/// Reads up to `max` bytes of a file.
///
/// # Errors
/// The file's.
pub fn read(f: &core_::file::File, max: usize) -> core_::Result<Vec<u8>> {
    let mut v = vec![0; max];
    let n = f.read(&mut core_::io::IoBuf::kernel_out(&mut v))?;
    v.truncate(n);
    Ok(v)
}

/// Writes bytes to a file.
///
/// # Errors
/// The file's.
pub fn write(f: &core_::file::File, bytes: &[u8]) -> core_::Result<usize> {
    f.write(&mut core_::io::IoBuf::kernel_in(bytes))
}
