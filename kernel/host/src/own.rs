//! What only one thread reaches, and therefore without a lock.

use crate::thread::is_within_current;
use core::cell::UnsafeCell;
use core::ops::Deref;
use core::sync::atomic::{AtomicU32, Ordering};

/// A place inside the object that [`crate::thread::set_current`] was given: empty to every thread but the one whose current object that is.
///
/// Nothing that runs in a host signal handler uses it.
pub struct Own<T> {
    value: UnsafeCell<Option<T>>,
    /// Changes with each [`Own::clear`].
    epoch: AtomicU32,
}

// SAFETY: whoever gets at the value is the one thread whose current object it lies in (checked each time), so no two do at once;
// the value itself goes from thread to thread as the object does.
unsafe impl<T: Send> Sync for Own<T> {}

impl<T> Own<T> {
    #[must_use]
    pub const fn new() -> Own<T> {
        Own { value: UnsafeCell::new(None), epoch: AtomicU32::new(0) }
    }

    /// The value, until the loan is dropped.
    #[inline(always)]
    pub fn take(&'static self) -> Option<Lent<T>> {
        if !is_within_current(self.value.get()) {
            return None;
        }
        // SAFETY: see `Sync`; no reference outlives the statement.
        unsafe { (*self.value.get()).take() }.map(|value| self.lend(value))
    }

    /// A value that comes here when the loan is dropped.
    #[inline(always)]
    pub fn lend(&'static self, value: T) -> Lent<T> {
        Lent { value: Some(value), home: Some((self, self.epoch.load(Ordering::Relaxed))) }
    }

    /// Drops the value; what is lent at this moment does not come back.
    pub fn clear(&self) {
        if is_within_current(self.value.get()) {
            self.epoch.store(self.epoch.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
            // SAFETY: see `Sync`; no reference outlives the statement.
            drop(unsafe { (*self.value.get()).take() });
        }
    }
}

impl<T> Default for Own<T> {
    fn default() -> Own<T> {
        Own::new()
    }
}

/// A value on loan from an [`Own`].
pub struct Lent<T: 'static> {
    /// None only while it is dropped.
    value: Option<T>,
    home: Option<(&'static Own<T>, u32)>,
}

impl<T> Lent<T> {
    /// A value that belongs nowhere: dropped with the loan.
    pub const fn stray(value: T) -> Lent<T> {
        Lent { value: Some(value), home: None }
    }
}

impl<T> Deref for Lent<T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        match &self.value {
            Some(v) => v,
            None => unreachable!(),
        }
    }
}

impl<T> Drop for Lent<T> {
    #[inline(always)]
    fn drop(&mut self) {
        if let Some((home, epoch)) = self.home
            && is_within_current(home.value.get())
            && home.epoch.load(Ordering::Relaxed) == epoch
        {
            // SAFETY: see `Sync` of `Own`; no reference outlives the statement.
            drop(unsafe { core::mem::replace(&mut *home.value.get(), self.value.take()) });
        }
    }
}
