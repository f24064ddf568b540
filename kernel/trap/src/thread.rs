//! Host threads of the VM: making them, and what each does before its first guest instruction.

use crate::guard::{self, Guard};
use abi::layout;
use core::arch::global_asm;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use host::process::{CLONE_FILES, CLONE_FS, CLONE_PARENT, CLONE_SIGHAND, CLONE_SYSVSEM, CLONE_THREAD, CLONE_VM};
use host::{Errno, Result, syscall};

global_asm!(
    ".pushsection .text.clone,\"ax\",@progbits",
    // lodger_clone(rdi flags, rsi stack top, rdx parent_tid address, rcx entry, r8 slot)
    ".global lodger_clone",
    "lodger_clone:",
    "sub rsi, 16",
    "mov [rsi], rcx",
    "mov [rsi + 8], r8",
    "xor r10d, r10d",
    "xor r8d, r8d",
    "mov eax, 56",
    "syscall",
    "test rax, rax",
    "je 2f",
    "ret",
    "2: pop rcx",
    "pop rdi",
    "xor ebp, ebp",
    "call rcx",
    "ud2",
    // lodger_leave(rdi flag address): the last thing a thread does: it frees its stack and is gone
    ".global lodger_leave",
    "lodger_leave:",
    "mov eax, 60",
    "mov dword ptr [rdi], 0",
    "xor edi, edi",
    "syscall",
    "ud2",
    // lodger_switch_stack(rdi new stack top, rsi entry, rdx argument)
    ".global lodger_switch_stack",
    "lodger_switch_stack:",
    "mov rsp, rdi",
    "mov rdi, rdx",
    "xor ebp, ebp",
    "call rsi",
    "ud2",
    // lodger_swap(rdi where to save our stack pointer, rsi stack pointer to take)
    ".global lodger_swap",
    "lodger_swap:",
    "push rbx",
    "push rbp",
    "push r12",
    "push r13",
    "push r14",
    "push r15",
    "mov [rdi], rsp",
    "mov rsp, rsi",
    "pop r15",
    "pop r14",
    "pop r13",
    "pop r12",
    "pop rbp",
    "pop rbx",
    "ret",
    // first activation of a stack prepared by prepare_stack: rbx entry, r12 argument
    ".global lodger_first",
    "lodger_first:",
    "mov rdi, r12",
    "xor ebp, ebp",
    "call rbx",
    "ud2",
    ".popsection",
);

unsafe extern "C" {
    fn lodger_clone(flags: u64, stack: u64, parent_tid: *const AtomicU32, entry: u64, slot: u64) -> i64;
    fn lodger_leave(flag: *const AtomicU32) -> !;
    fn lodger_switch_stack(top: u64, entry: u64, arg: u64) -> !;
    fn lodger_swap(save: *mut u64, take: u64);
    static lodger_first: u8;
}

/// Which slots are taken. A thread gives its own back with its very last instructions.
static SLOTS: [AtomicU32; layout::MAX_SLOTS] = [const { AtomicU32::new(0) }; layout::MAX_SLOTS];
static HINT: AtomicU32 = AtomicU32::new(0);

/// Value at the lowest word of each kernel stack.
const CANARY: u64 = 0x10d6_e212_57ac_4b0d;

fn slot_base(slot: u32) -> u64 {
    layout::SLOTS_BASE + u64::from(slot) * layout::SLOT_SIZE
}

fn stack_top(slot: u32) -> u64 {
    slot_base(slot) + layout::SLOT_SIZE
}

/// Takes a free slot and prepares its pages.
///
/// # Errors
/// `EAGAIN` when all are taken.
pub fn alloc_slot() -> Result<u32> {
    let start = HINT.load(Ordering::Relaxed) as usize;
    for i in 0..layout::MAX_SLOTS {
        let n = (start + i) % layout::MAX_SLOTS;
        if SLOTS[n].compare_exchange(0, 1, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
            // The lowest free slots again and again: their pages are there already.
            if i > 0 {
                HINT.store(n as u32, Ordering::Relaxed);
            }
            let slot = n as u32;
            let page = host::thread::trusted_of(slot);
            page.slot.store(slot, Ordering::Relaxed);
            page.context.store(slot_base(slot) + layout::SLOT_CONTEXT, Ordering::Relaxed);
            page.in_user.store(0, Ordering::Relaxed);
            page.selector.store(0, Ordering::Relaxed);
            page.pending.store(0, Ordering::Relaxed);
            page.host_tid.store(0, Ordering::Relaxed);
            page.host_pid.store(0, Ordering::Relaxed);
            page.lent.store(0, Ordering::Relaxed);
            // SAFETY: the lowest word of a stack that nobody uses yet.
            unsafe { ((slot_base(slot) + layout::SLOT_STACK) as *mut u64).write(CANARY) };
            return Ok(slot);
        }
    }
    Err(Errno::EAGAIN)
}

/// Gives back a slot whose thread was never made.
pub fn free_slot(slot: u32) {
    SLOTS[slot as usize].store(0, Ordering::Release);
    HINT.store(HINT.load(Ordering::Relaxed).min(slot), Ordering::Relaxed);
}

/// True while the slot belongs to a thread.
#[must_use]
pub fn slot_in_use(slot: u32) -> bool {
    SLOTS[slot as usize].load(Ordering::Acquire) != 0
}

/// Checks the calling thread's stack for an overflow that has happened.
///
/// # Panics
/// On one: the neighbour's memory is no longer trustworthy.
pub fn check_stack(slot: u32) {
    // SAFETY: the lowest word of this thread's stack.
    let word = unsafe { ((slot_base(slot) + layout::SLOT_STACK) as *const u64).read_volatile() };
    assert!(word == CANARY, "kernel stack overflow in slot {slot}");
}

/// What kind of host thread to make.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A process with a copy of the caller's address space; sibling of the caller (child of the supervisor).
    Process,
    /// A process made by the supervisor: its child.
    FirstProcess,
    /// A thread of the caller's host process.
    Thread,
}

/// Makes a guest thread that starts at `entry(slot)` on the slot's kernel stack: a host thread of its own, or one more in the
/// guest kernel's run queue.
///
/// # Errors
/// The host's (`EAGAIN`, `ENOMEM`).
pub fn spawn(kind: Kind, slot: u32, entry: extern "C" fn(u64) -> !) -> Result<()> {
    if crate::sched::on() {
        crate::sched::add(slot, entry);
        return Ok(());
    }
    spawn_host(kind, slot, entry).map(drop)
}

/// Makes a host thread, whoever schedules guest threads; its host identity.
///
/// # Errors
/// The host's.
pub(crate) fn spawn_host(kind: Kind, slot: u32, entry: extern "C" fn(u64) -> !) -> Result<u32> {
    const CLONE_PARENT_SETTID: u64 = 0x10_0000;
    const SIGCHLD: u64 = 17;
    let flags = CLONE_PARENT_SETTID
        | match kind {
            Kind::Process => CLONE_FILES | CLONE_PARENT | SIGCHLD,
            Kind::FirstProcess => CLONE_FILES | SIGCHLD,
            Kind::Thread => CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM,
        };
    let page = host::thread::trusted_of(slot);
    // In shared memory before the child runs: whoever wants to kick it finds the numbers. A new process writes its own (`start`): it
    // may have ended, and the slot be another's, before the caller of clone goes on.
    if kind == Kind::Thread {
        page.host_pid.store(host::thread::trusted().host_pid.load(Ordering::Relaxed), Ordering::Relaxed);
    }
    host::thread::count_host_call();
    // SAFETY: the stack is the slot's own; the child runs only `entry`, which never returns. A child without CLONE_VM has a
    // copy of application memory and shares all guest kernel memory, which only locks and atomics guard.
    hold_signals(true);
    // SAFETY: as above.
    let ret = unsafe {
        lodger_clone(flags, stack_top(slot), &raw const page.host_tid, entry as usize as u64, u64::from(slot))
    };
    hold_signals(false);
    Ok(Errno::from_ret(ret)? as u32)
}

/// What every new host thread does first: GS, trap stack, and for a new process the tie to the supervisor.
///
/// # Panics
/// Where the host refuses what it granted at boot.
pub fn start(slot: u32, process: bool) {
    host::thread::set_gs(slot);
    let page = host::thread::trusted();
    if process {
        page.host_pid.store(page.host_tid.load(Ordering::Relaxed), Ordering::Relaxed);
        // The process dies with the supervisor, also when that was killed (H12).
        host::process::set_parent_death_signal(9).expect("parent-death signal");
        if host::process::getppid() != SUPERVISOR.load(Ordering::Relaxed) {
            exit_host(slot);
        }
    }
    set_altstack(slot);
}

static SUPERVISOR: AtomicU32 = AtomicU32::new(0);

/// Tells whose death ends everything: the supervisor's host pid.
pub fn set_supervisor(pid: u32) {
    SUPERVISOR.store(pid, Ordering::Relaxed);
}

/// By trap stack (a slot): the slots that its host thread may have in GS, the present one and the next. The signal entry looks here.
#[unsafe(no_mangle)]
static lodger_on_stack: [[AtomicU32; 2]; layout::MAX_SLOTS] =
    [const { [const { AtomicU32::new(0) }; 2] }; layout::MAX_SLOTS];

/// By slot: the trap stack of its host thread, which is another slot's where the host thread is borrowed.
static STACK_OF: [AtomicU32; layout::MAX_SLOTS] = [const { AtomicU32::new(0) }; layout::MAX_SLOTS];

/// The calling host thread, which is slot `from`'s, is slot `to`'s from now on. Signals may come at any moment.
pub(crate) fn become_slot(from: u32, to: u32) {
    let stack = STACK_OF[from as usize].load(Ordering::Relaxed);
    STACK_OF[to as usize].store(stack, Ordering::Relaxed);
    let may = &lodger_on_stack[stack as usize];
    may[1].store(to, Ordering::SeqCst);
    host::thread::set_gs(to);
    may[0].store(to, Ordering::SeqCst);
}

/// Holds back the signals that others send, or lets them come again: while the calling host thread has no trap stack of its
/// own. A new thread has none at first, and a new process has its parent's, which lies in memory that both share: two
/// handlers on one stack.
fn hold_signals(hold: bool) {
    let kick_and_alarm: u64 = 1 << (crate::signal::KICK - 1) | 1 << 13;
    // SAFETY: reads 8 bytes that live on.
    let r = unsafe { syscall!(rt_sigprocmask, u32::from(!hold), &raw const kick_and_alarm, 0, 8) };
    assert!(r == 0, "rt_sigprocmask: {r}");
}

/// Gives the calling host thread its trap stack.
///
/// # Panics
/// Where the host refuses.
pub fn set_altstack(slot: u32) {
    // The host writes the frame before anybody has opened the guest kernel's memory.
    let base = match guard::in_force() {
        Guard::Mprotect => layout::OUTSIDE_STACKS + u64::from(slot) * layout::ALTSTACK_SIZE,
        Guard::Pkey | Guard::None => slot_base(slot) + layout::SLOT_ALTSTACK,
    };
    let ss = [base, 0, layout::ALTSTACK_SIZE];
    // SAFETY: struct stack_t of memory that is this thread's alone.
    let ret = unsafe { syscall!(sigaltstack, ss.as_ptr(), 0) };
    assert!(ret == 0, "sigaltstack: {ret}");
    STACK_OF[slot as usize].store(slot, Ordering::Relaxed);
    for may in &lodger_on_stack[slot as usize] {
        may.store(slot, Ordering::SeqCst);
    }
    hold_signals(false);
}

/// Ends the calling host thread and gives its slot back in the same breath. The host process ends with its last thread and
/// never by exit_group: a thread that the guest kernel counts as gone may still be on its way here, and what it holds (a lock, or
/// the wake-up that a lock's next owner waits for) must not go with it.
pub fn exit_host(slot: u32) -> ! {
    if crate::sched::on() {
        crate::sched::exit(slot);
    }
    HINT.store(HINT.load(Ordering::Relaxed).min(slot), Ordering::Relaxed);
    // Whoever has read `host_tid` before may still send: on a stack that is the slot's next owner's by then.
    hold_signals(true);
    host::thread::trusted().host_tid.store(0, Ordering::SeqCst);
    // SAFETY: after the flag is cleared no stack is touched, and no signal comes.
    unsafe { lodger_leave(SLOTS[slot as usize].as_ptr().cast::<AtomicU32>()) }
}

/// Leaves the boot stack for the kernel stack of `slot`.
pub fn switch_to_slot(slot: u32, entry: extern "C" fn(u64) -> !, arg: u64) -> ! {
    // SAFETY: the slot's stack is unused; the entry never returns.
    unsafe { lodger_switch_stack(stack_top(slot), entry as usize as u64, arg) }
}

/// Saves the caller's place in `save` and goes on at `to`.
///
/// # Safety
/// `to` must be a place that was saved the same way (or made by [`Stack::fresh`]) and that nobody else will go on from.
pub(crate) unsafe fn swap(save: &AtomicU64, to: u64) {
    // SAFETY: by the caller's word.
    unsafe { lodger_swap(save.as_ptr(), to) };
}

/// A kernel stack that can be switched to: used by vfork, whose child borrows its parent's host thread.
pub struct Stack {
    saved: u64,
}

impl Stack {
    /// The caller's own place, to come back to.
    #[must_use]
    pub const fn here() -> Stack {
        Stack { saved: 0 }
    }

    /// The stack of a fresh `slot`, which starts at `entry(slot)` when first switched to.
    #[must_use]
    pub fn fresh(slot: u32, entry: extern "C" fn(u64) -> !) -> Stack {
        let top = stack_top(slot) - 16;
        let frame = [0u64, 0, 0, u64::from(slot), 0, entry as usize as u64, (&raw const lodger_first) as u64];
        let sp = top - size_of_val(&frame) as u64;
        // SAFETY: the slot's stack is unused.
        unsafe { (sp as *mut [u64; 7]).write(frame) };
        Stack { saved: sp }
    }

    /// Switches from here to `to`; returns when somebody switches back.
    ///
    /// # Safety
    /// `to` must be a place that nobody else will switch to, and stay valid.
    pub unsafe fn switch(&mut self, to: u64) {
        // SAFETY: by the caller's word.
        unsafe { lodger_swap(&raw mut self.saved, to) };
    }

    #[must_use]
    pub const fn saved(&self) -> u64 {
        self.saved
    }
}

/// Where a borrowed host thread goes back to, by the borrower's slot.
static OWNER_SP: [core::sync::atomic::AtomicU64; layout::MAX_SLOTS] =
    [const { core::sync::atomic::AtomicU64::new(0) }; layout::MAX_SLOTS];

/// And whose it is: a slot, plus one.
static OWNER: [AtomicU32; layout::MAX_SLOTS] = [const { AtomicU32::new(0) }; layout::MAX_SLOTS];

/// Who lent its host thread to `child`, and the stack pointer to go on at.
pub(crate) fn lender(child: u32) -> Option<(u32, u64)> {
    let owner = OWNER[child as usize].swap(0, Ordering::Relaxed).checked_sub(1)?;
    let at = OWNER_SP[child as usize].load(Ordering::Relaxed) as *const u64;
    // SAFETY: `lend` stored the address of its `saved`, which lives until somebody goes on there.
    Some((owner, unsafe { at.read() }))
}

/// Runs the thread of fresh slot `child` on the calling host thread (vfork: the parent waits anyway). Returns when the child calls
/// [`give_back`]. The application's FS base is as before then.
pub fn lend(child: u32, entry: extern "C" fn(u64) -> !) {
    let mine = host::thread::trusted();
    let slot = mine.slot.load(Ordering::Relaxed);
    let fs = host::thread::fs_base();
    let page = host::thread::trusted_of(child);
    page.host_pid.store(mine.host_pid.load(Ordering::Relaxed), Ordering::Relaxed);
    page.host_tid.store(mine.host_tid.load(Ordering::Relaxed), Ordering::Relaxed);
    become_slot(slot, child);
    // No kicks for us meanwhile: we look for work when we are back. A signal to a chain of a thousand such processes would be a
    // thousand kicks of one host thread, and its trap stack has room for a few.
    mine.lent.store(1, Ordering::SeqCst);
    if crate::sched::on() {
        crate::sched::lent(child);
        crate::monitor::arm();
    }
    let mut here = Stack::here();
    OWNER_SP[child as usize].store((&raw mut here.saved) as u64, Ordering::Relaxed);
    OWNER[child as usize].store(slot + 1, Ordering::Relaxed);
    let to = Stack::fresh(child, entry).saved();
    // SAFETY: the fresh stack is the child's own; it comes back here by `give_back` and nowhere else.
    unsafe { here.switch(to) };
    page.host_tid.store(0, Ordering::SeqCst);
    OWNER[child as usize].store(0, Ordering::Relaxed);
    become_slot(child, slot);
    mine.lent.store(0, Ordering::SeqCst);
    if crate::sched::on() {
        crate::sched::returned(child);
        crate::sched::lent(slot);
    }
    crate::monitor::arm();
    host::thread::set_fs_base(fs);
    // Whoever wanted to kick us has not, or has found the child running.
    mine.pending.store(1, Ordering::SeqCst);
}

/// Ends a loan: the host thread goes on as its owner, in [`lend`]. The caller's stack is never used again.
pub fn give_back(child: u32) -> ! {
    let at = OWNER_SP[child as usize].load(Ordering::Relaxed) as *const u64;
    let mut dead = Stack::here();
    // SAFETY: `lend` stored the address of its `saved`, which lives until we switch there.
    unsafe { dead.switch(at.read()) };
    unreachable!("a dead stack was resumed");
}

static ENTRY: core::sync::atomic::AtomicU64 = core::sync::atomic::AtomicU64::new(0);

/// Tells where a new guest thread starts: the spine (`entry::run`).
pub fn set_entry(f: extern "C" fn(u64) -> !) {
    ENTRY.store(f as usize as u64, Ordering::Release);
}

/// Where a new guest thread starts.
///
/// # Panics
/// Before boot has told it.
#[must_use]
pub fn entry() -> extern "C" fn(u64) -> ! {
    let f = ENTRY.load(Ordering::Acquire);
    assert!(f != 0, "no entry");
    // SAFETY: only `set_entry` stores here.
    unsafe { core::mem::transmute::<usize, extern "C" fn(u64) -> !>(f as usize) }
}
