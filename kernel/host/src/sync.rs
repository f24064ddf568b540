//! Locks that work across the guest-machine processes of a VM: futexes on shared kernel memory.

use crate::syscall;
use core::sync::atomic::{AtomicU32, Ordering};

const FUTEX_WAIT: u32 = 0;
const FUTEX_WAKE: u32 = 1;
const FUTEX_WAIT_BITSET: u32 = 9;

/// Sleeps while `*word == expected`, at most until `deadline_ns` (CLOCK_MONOTONIC). Returns for any reason;
/// the caller looks at the word again.
pub fn futex_wait(word: &AtomicU32, expected: u32, deadline_ns: Option<u64>) {
    let ts = deadline_ns.map(|ns| [ns / 1_000_000_000, ns % 1_000_000_000]);
    let ts_ptr = ts.as_ref().map_or(0, |t| t.as_ptr() as u64);
    let op = if ts.is_some() { FUTEX_WAIT_BITSET } else { FUTEX_WAIT };
    // SAFETY: the word and the time are valid for the call; the host only reads them.
    unsafe { syscall!(futex, word.as_ptr(), op, expected, ts_ptr, 0, u32::MAX) };
}

/// Wakes up to `n` sleepers of `word`.
pub fn futex_wake(word: &AtomicU32, n: u32) {
    // SAFETY: waking touches no memory.
    unsafe { syscall!(futex, word.as_ptr(), FUTEX_WAKE, n) };
}

/// A three-state futex lock: 0 free, 1 held, 2 held with sleepers.
pub struct RawLock(AtomicU32);

// SAFETY: `lock` returns only after it changed the word from 0 (acquire), `unlock` is called by the holder (release).
unsafe impl lock_api::RawMutex for RawLock {
    #[allow(clippy::declare_interior_mutable_const)]
    const INIT: RawLock = RawLock(AtomicU32::new(0));
    type GuardMarker = lock_api::GuardNoSend;

    #[inline]
    fn lock(&self) {
        if self.0.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_err() {
            self.lock_slow(true);
        }
    }

    #[inline]
    fn try_lock(&self) -> bool {
        self.0.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    #[inline]
    unsafe fn unlock(&self) {
        if self.0.swap(0, Ordering::Release) == 2 {
            futex_wake(&self.0, 1);
        }
    }
}

impl RawLock {
    #[cold]
    fn lock_slow(&self, schedule: bool) {
        // Critical sections are short: spin about as long as one takes before asking the host.
        for _ in 0..100 {
            if self.0.load(Ordering::Relaxed) == 0
                && self.0.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_ok()
            {
                return;
            }
            core::hint::spin_loop();
        }
        // On the virtual processor the holder may be a guest thread that waits to run, which this one keeps from it.
        if schedule && let Some(s) = crate::cpu::guest_scheduler() {
            while self.0.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_err() {
                s.yield_now();
            }
            return;
        }
        while self.0.swap(2, Ordering::Acquire) != 0 {
            futex_wait(&self.0, 2, None);
        }
    }
}

/// A mutual-exclusion lock for data shared by all processors of the VM. Never held while sleeping for
/// an event or while touching application memory that can fault in.
pub type Mutex<T> = lock_api::Mutex<RawLock, T>;
pub type MutexGuard<'a, T> = lock_api::MutexGuard<'a, RawLock, T>;

/// As [`RawLock`], for the scheduler's own state: never waits by asking the scheduler.
pub struct PlainLock(RawLock);

// SAFETY: as for `RawLock`.
unsafe impl lock_api::RawMutex for PlainLock {
    #[allow(clippy::declare_interior_mutable_const)]
    const INIT: PlainLock = PlainLock(RawLock(AtomicU32::new(0)));
    type GuardMarker = lock_api::GuardNoSend;

    fn lock(&self) {
        if !self.0.try_lock() {
            self.0.lock_slow(false);
        }
    }

    fn try_lock(&self) -> bool {
        self.0.try_lock()
    }

    unsafe fn unlock(&self) {
        // SAFETY: the caller holds it.
        unsafe { self.0.unlock() }
    }
}

pub type PlainMutex<T> = lock_api::Mutex<PlainLock, T>;

/// A [`PlainMutex`] for a static.
pub const fn plain_mutex<T>(value: T) -> PlainMutex<T> {
    PlainMutex::from_raw(PlainLock(RawLock(AtomicU32::new(0))), value)
}

/// Where one thread sleeps. One token: [`Parker::unpark`] before [`Parker::park`] makes the latter return at once.
#[derive(Default)]
pub struct Parker {
    word: AtomicU32,
    /// Who sleeps here, for the guest kernel's scheduler.
    slot: AtomicU32,
}

impl Parker {
    const EMPTY: u32 = 0;
    const TOKEN: u32 = 1;
    const ASLEEP: u32 = 2;

    #[must_use]
    pub const fn new() -> Parker {
        Parker { word: AtomicU32::new(0), slot: AtomicU32::new(0) }
    }

    /// Takes the token, sleeping for it until `deadline_ns` (CLOCK_MONOTONIC). False when the time is over. May
    /// also return true without a reason: callers check their condition in a loop.
    pub fn park(&self, deadline_ns: Option<u64>) -> bool {
        if self.word.swap(Self::EMPTY, Ordering::Acquire) == Self::TOKEN {
            return true;
        }
        let guest = crate::cpu::guest_scheduler();
        if guest.is_some() {
            self.slot.store(crate::thread::slot(), Ordering::Relaxed);
        }
        if self.word.compare_exchange(Self::EMPTY, Self::ASLEEP, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            match guest {
                Some(s) => s.block(deadline_ns),
                None => futex_wait(&self.word, Self::ASLEEP, deadline_ns),
            }
        }
        self.word.swap(Self::EMPTY, Ordering::Acquire) == Self::TOKEN
            || deadline_ns.is_none_or(|d| crate::time::monotonic_ns() < d)
    }

    /// Gives the token to the thread and wakes it if it sleeps.
    pub fn unpark(&self) {
        if self.word.swap(Self::TOKEN, Ordering::AcqRel) == Self::ASLEEP {
            match crate::cpu::scheduler() {
                Some(s) => s.ready(self.slot.load(Ordering::Relaxed)),
                None => futex_wake(&self.word, 1),
            }
        }
    }
}

/// A cell written once, during boot.
pub struct Once<T: 'static>(Mutex<Option<&'static T>>, core::sync::atomic::AtomicPtr<T>);

impl<T: Sync + Send + 'static> Once<T> {
    #[must_use]
    pub const fn new() -> Self {
        Once(mutex(None), core::sync::atomic::AtomicPtr::new(core::ptr::null_mut()))
    }

    /// Sets the value.
    ///
    /// # Panics
    /// When it is set already: a bug of the boot order.
    pub fn set(&self, value: &'static T) {
        let mut g = self.0.lock();
        assert!(g.is_none(), "set twice");
        *g = Some(value);
        self.1.store(core::ptr::from_ref(value).cast_mut(), Ordering::Release);
    }

    /// The value, or None before boot has set it.
    #[inline]
    pub fn get(&self) -> Option<&'static T> {
        let p = self.1.load(Ordering::Acquire);
        // SAFETY: only `set` stores here, a `&'static T`.
        if p.is_null() { None } else { Some(unsafe { &*p }) }
    }
}

impl<T: Sync + Send + 'static> Default for Once<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// A lock for a static.
pub const fn mutex<T>(value: T) -> Mutex<T> {
    Mutex::from_raw(RawLock(AtomicU32::new(0)), value)
}
