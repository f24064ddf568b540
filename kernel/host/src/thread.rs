//! What a host thread knows of itself: its open page (GS), its trusted page and its slot.
//!
//! GS of every guest-machine thread holds the address of its open page
//! ([`abi::layout::OPEN_BASE`]); the trusted page lies at a fixed distance. Before [`set_gs`] has run
//! (early boot, host-side unit tests) nothing here may be called except [`count_host_call`].

use abi::layout;
use alloc::sync::Arc;
use core::any::TypeId;
use core::arch::asm;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// The trusted page: applications may read it (the host reads the selector under the application's
/// rights), never write it. Offsets are known to `trap`'s assembly.
#[repr(C)]
pub struct Trusted {
    /// Selector of syscall user dispatch: 0 allow (guest kernel), 1 block (application).
    pub selector: AtomicU8,
    _pad: [u8; 3],
    /// Slot number of this thread.
    pub slot: AtomicU32,
    /// Address of the thread's `trap::Context`.
    pub context: AtomicU64,
    /// Kernel stack pointer to resume the spine with.
    pub kernel_rsp: AtomicU64,
    /// The guest kernel's object for the thread that runs here (`core::task::Thread`).
    pub current: AtomicPtr<()>,
    /// 1 while application code may run: decides what a host signal interrupted.
    pub in_user: AtomicU32,
    /// Work is pending: checked by interruptible host calls.
    pub pending: AtomicU32,
    pub host_tid: AtomicU32,
    pub host_pid: AtomicU32,
    /// Counters shown by `--stats`.
    pub host_calls: AtomicU64,
    pub gate_entries: AtomicU64,
    pub trap_entries: AtomicU64,
    /// mprotect calls of the guard.
    pub protects: AtomicU64,
    /// Processor ticks (RDTSC) that they took.
    pub protect_tsc: AtomicU64,
    /// 1 while another slot's thread runs on this one's host thread (vfork): a kick would reach that one.
    pub lent: AtomicU32,
}

/// Offsets of the fields above, for assembly.
pub mod offset {
    use super::Trusted;
    use core::mem::offset_of;
    pub const SELECTOR: usize = offset_of!(Trusted, selector);
    pub const CONTEXT: usize = offset_of!(Trusted, context);
    pub const KERNEL_RSP: usize = offset_of!(Trusted, kernel_rsp);
    pub const IN_USER: usize = offset_of!(Trusted, in_user);
    pub const PENDING: usize = offset_of!(Trusted, pending);
    pub const GATE_ENTRIES: usize = offset_of!(Trusted, gate_entries);
    pub const PROTECT_TSC: usize = offset_of!(Trusted, protect_tsc);
    pub const PROTECTS: usize = offset_of!(Trusted, protects);
}

static READY: AtomicBool = AtomicBool::new(false);

/// Declares that GS is set in every thread from now on.
pub fn set_ready() {
    READY.store(true, Ordering::Release);
}

/// The trusted page of slot `slot`.
#[must_use]
pub fn trusted_of(slot: u32) -> &'static Trusted {
    assert!((slot as usize) < layout::MAX_SLOTS);
    // SAFETY: boot maps the whole array of trusted pages, zeroed, shared and for the VM's life; every
    // field is an atomic, for which zero is valid.
    unsafe { &*((layout::TRUSTED_BASE + u64::from(slot) * layout::THREAD_PAGE) as *const Trusted) }
}

/// The trusted page of the calling thread.
#[inline(always)]
#[must_use]
pub fn trusted() -> &'static Trusted {
    let open: u64;
    // SAFETY: reads GS's base; `rdgsbase` is enabled on every supported host (checked at boot).
    unsafe { asm!("rdgsbase {}", out(reg) open, options(nomem, nostack, preserves_flags)) };
    // SAFETY: GS holds the open page's address (module text), whose trusted page is mapped.
    unsafe { &*((open + layout::TRUSTED_DELTA) as *const Trusted) }
}

/// Whether the process page is there.
static KEEP_GS: AtomicBool = AtomicBool::new(false);

/// The process page is mapped: from now on it has the value of GS, which applications can change.
pub fn keep_gs() {
    KEEP_GS.store(true, Ordering::Relaxed);
}

/// The first words of the calling thread's open page, as they are now: the application's to change.
#[must_use]
pub fn open_words() -> [u64; 6] {
    let open: u64;
    // SAFETY: reads a register.
    unsafe { asm!("rdgsbase {}", out(reg) open, options(nomem, nostack, preserves_flags)) };
    // SAFETY: GS holds the open page's address (module text), which is always mapped.
    unsafe { (open as *const [u64; 6]).read_volatile() }
}

/// A word of the process page.
///
/// # Panics
/// Before [`keep_gs`], and beyond the page's three words.
#[must_use]
pub fn process_word(n: usize) -> &'static AtomicU64 {
    assert!(KEEP_GS.load(Ordering::Relaxed) && n < 3, "no such word");
    // SAFETY: boot has mapped the page for good; its words are used as atomics only.
    unsafe { &*(layout::PROCESS_PAGE as *const AtomicU64).add(n) }
}

/// Points GS of the calling thread to the open page of `slot`.
pub fn set_gs(slot: u32) {
    let open = layout::OPEN_BASE + u64::from(slot) * layout::THREAD_PAGE;
    if KEEP_GS.load(Ordering::Relaxed) {
        // First: a signal in between makes GS what is said here.
        process_word(0).store(open, Ordering::SeqCst);
    }
    // SAFETY: the guest kernel uses GS for nothing else. The store faults for whoever jumps to the WRGSBASE with the guard closed
    // (A4), and the handler of that fault finds the wrong base.
    unsafe {
        asm!(
            "wrgsbase {}",
            "mov byte ptr [rip + {}], 0",
            in(reg) open,
            sym GUARDED,
            options(nostack, preserves_flags)
        );
    }
}

/// A byte that only the guest kernel can write.
static GUARDED: AtomicU8 = AtomicU8::new(0);

/// The application's FS base (thread-local storage).
#[must_use]
pub fn fs_base() -> u64 {
    let fs;
    // SAFETY: reads a register; the guest kernel has no thread-local storage of its own.
    unsafe { asm!("rdfsbase {}", out(reg) fs, options(nomem, nostack, preserves_flags)) };
    fs
}

/// Sets the application's FS base; the address must be canonical (below 2^47 is checked by the caller).
pub fn set_fs_base(fs: u64) {
    assert!(fs < 1 << 47);
    // SAFETY: a register that the guest kernel does not use; canonical, so it does not fault.
    unsafe { asm!("wrfsbase {}", in(reg) fs, options(nostack, preserves_flags)) };
}

/// Counts one host call, where the thread is known.
#[inline(always)]
pub fn count_host_call() {
    if READY.load(Ordering::Relaxed) {
        let t = trusted();
        t.host_calls.store(t.host_calls.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }
}

static CURRENT_TYPE: AtomicU64 = AtomicU64::new(0);
/// Size of the type.
static CURRENT_SIZE: AtomicUsize = AtomicUsize::new(0);

fn type_hash<T: 'static>() -> u64 {
    use core::hash::{Hash, Hasher};
    struct H(u64);
    impl Hasher for H {
        fn finish(&self) -> u64 {
            self.0
        }
        fn write(&mut self, bytes: &[u8]) {
            for b in bytes {
                self.0 = (self.0 ^ u64::from(*b)).wrapping_mul(0x100_0000_01b3);
            }
        }
    }
    let mut h = H(0xcbf2_9ce4_8422_2325);
    TypeId::of::<T>().hash(&mut h);
    h.0 | 1
}

/// Makes `t` the object that [`current`] returns on the thread of `slot`; the slot keeps it alive until the next call for
/// the same slot. One type for the whole kernel.
pub fn set_current<T: Send + Sync + 'static>(slot: u32, t: Arc<T>) {
    replace_current::<T>(slot, Arc::into_raw(t));
}

/// The slot has nobody's object from now on: it is taken for a thread that has none yet. One type, as above.
pub fn clear_current<T: Send + Sync + 'static>(slot: u32) {
    replace_current::<T>(slot, core::ptr::null());
}

fn replace_current<T: 'static>(slot: u32, new: *const T) {
    let hash = type_hash::<T>();
    let old = CURRENT_TYPE.swap(hash, Ordering::Relaxed);
    assert!(old == 0 || old == hash, "two types of current thread");
    CURRENT_SIZE.store(size_of::<T>(), Ordering::Relaxed);
    let old = trusted_of(slot).current.swap(new.cast_mut().cast(), Ordering::AcqRel);
    if !old.is_null() {
        // SAFETY: stored by an earlier call with the same type; a slot changes hands only when its thread is gone.
        drop(unsafe { Arc::from_raw(old.cast_const().cast::<T>()) });
    }
}

/// Whether `t` is (still) what [`set_current`] gave the slot: false once the slot is another thread's.
#[must_use]
pub fn is_current<T>(slot: u32, t: &Arc<T>) -> bool {
    core::ptr::eq(trusted_of(slot).current.load(Ordering::Acquire).cast::<T>(), Arc::as_ptr(t))
}

/// The object set by [`set_current`] for the calling thread.
#[inline(always)]
#[must_use]
pub fn current<T: Sync + 'static>() -> &'static T {
    debug_assert_eq!(CURRENT_TYPE.load(Ordering::Relaxed), type_hash::<T>());
    let p: *const T = trusted().current.load(Ordering::Relaxed).cast();
    debug_assert!(!p.is_null());
    // SAFETY: only `set_current` stores here, with the one type there is; it stays alive while the slot's thread does.
    unsafe { &*p }
}

/// As [`current`]; None on a thread that has no such object (the supervisor).
#[must_use]
pub fn current_if_any<T: Sync + 'static>() -> Option<&'static T> {
    let any = READY.load(Ordering::Relaxed) && !trusted().current.load(Ordering::Relaxed).is_null();
    any.then(current)
}

/// Runs `f` as the thread of `slot`, whose object [`current`] then returns: what only that thread reaches ([`crate::own`]) can be
/// put in order when its host thread is gone.
///
/// # Safety
/// The host thread of `slot` has ended, and the caller has no object of its own.
pub unsafe fn in_place_of<R>(slot: u32, f: impl FnOnce() -> R) -> R {
    let mine = &trusted().current;
    let own = mine.swap(trusted_of(slot).current.load(Ordering::Acquire), Ordering::Relaxed);
    let r = f();
    mine.store(own, Ordering::Relaxed);
    r
}

/// True for an address inside the object that [`current`] returns.
#[inline]
pub(crate) fn is_within_current<T>(at: *const T) -> bool {
    READY.load(Ordering::Relaxed)
        && (at as usize).wrapping_sub(trusted().current.load(Ordering::Relaxed) as usize)
            < CURRENT_SIZE.load(Ordering::Relaxed)
}

/// The processor and memory node that the caller runs on (RDTSCP's auxiliary word, as the vDSO's getcpu reads it).
#[must_use]
pub fn cpu_and_node() -> (u32, u32) {
    let aux: u32;
    // SAFETY: RDTSCP is in every processor that has protection keys or XSAVE; it changes only the named registers.
    unsafe { asm!("rdtscp", out("ecx") aux, out("eax") _, out("edx") _, options(nomem, nostack)) };
    (aux & 0xfff, aux >> 12)
}

/// The processor's tick counter.
#[must_use]
pub fn ticks() -> u64 {
    // SAFETY: RDTSC is enabled on Linux unless a process asks otherwise.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// The slot of the calling thread.
#[inline(always)]
#[must_use]
pub fn slot() -> u32 {
    trusted().slot.load(Ordering::Relaxed)
}
