//! What one process wants to know of another's memory.
//!
//! A host process reaches its own address space only. So whoever wants to read or measure another's leaves an errand with it,
//! and a thread of that address space runs it: at once where it runs application code (it is kicked), or where it sleeps in the
//! guest kernel (it is woken, and goes on sleeping after); the same way signals go. No call of the application sees that.

use super::Mm;
use crate::signal::wake_all;
use crate::task::TREE;
use crate::uaccess;
use crate::wait::{Interrupt, WaitQueue, wait_on};
use crate::{Errno, Mutex, Result};
use abi::layout::PAGE;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// How often who waits for an answer looks whether there is still somebody to give it.
const LOOK_NS: u64 = 100_000_000;
/// The most bytes of one errand that copies: they are kept in the guest kernel's memory on the way.
pub const MOST: usize = 256 << 10;

type Work = Box<dyn FnOnce(&Mm) + Send>;

/// Errands that wait for a thread of the address space. Each has a number by which it can be taken back.
#[derive(Default)]
pub(super) struct Errands(Mutex<Vec<(u64, Work)>>);

/// Where an errand's result comes.
struct Answer<T> {
    value: Mutex<Option<T>>,
    queue: WaitQueue,
}

impl Mm {
    fn is_current(&self) -> bool {
        crate::current().process.mm.lock().as_ref().is_some_and(|mm| core::ptr::eq(&**mm, self))
    }

    /// Wakes the threads of this address space; false where there are none.
    fn wake_threads(&self) -> bool {
        let all = TREE.lock().all();
        let mut some = false;
        for p in all {
            if p.mm.lock().as_ref().is_some_and(|mm| core::ptr::eq(&**mm, self)) {
                some |= wake_all(&p);
            }
        }
        some
    }

    /// What `f` gives, run by a thread whose address space this is: the caller if it is its own. No lock may be held, and `f`
    /// must not sleep. Not later than `deadline_ns` (CLOCK_MONOTONIC).
    ///
    /// # Errors
    /// `ESRCH` where the last thread of the space has gone, `ERESTARTSYS` where a signal came before the answer, `ETIMEDOUT`.
    pub fn ask<T: Send + 'static>(
        &self,
        deadline_ns: Option<u64>,
        f: impl FnOnce(&Mm) -> T + Send + 'static,
    ) -> Result<T> {
        if self.is_current() {
            return Ok(f(self));
        }
        let answer = Arc::new(Answer { value: Mutex::default(), queue: WaitQueue::new() });
        let to = answer.clone();
        let work = move |mm: &Mm| {
            let value = f(mm);
            *to.value.lock() = Some(value);
            to.queue.wake_all();
        };
        let number = Arc::as_ptr(&answer) as usize as u64;
        self.errands.0.lock().push((number, Box::new(work)));
        let there = || answer.value.lock().take().map(Ok);
        let until = deadline_ns.unwrap_or(u64::MAX);
        let mut how = Interrupt::Signal;
        loop {
            let failure = if self.wake_threads() {
                let look = host::time::monotonic_ns() + LOOK_NS;
                match wait_on(&[&answer.queue], Some(look.min(until)), how, there) {
                    Err(Errno::ETIMEDOUT) if look < until => continue,
                    Err(e) => e,
                    Ok(value) => return Ok(value),
                }
            } else {
                Errno::ESRCH
            };
            let taken_back = {
                let mut errands = self.errands.0.lock();
                let at = errands.iter().position(|(n, _)| *n == number);
                at.map(|i| errands.swap_remove(i))
            };
            // Where it is not there any more somebody is at it, which does not take long.
            if taken_back.is_some() || failure == Errno::ESRCH || how == Interrupt::Killable {
                return there().unwrap_or(Err(failure));
            }
            how = Interrupt::Killable;
        }
    }

    /// Runs what others want to know of this space, which is the caller's.
    pub fn run_errands(&self) {
        loop {
            let Some((_, work)) = self.errands.0.lock().pop() else { return };
            work(self);
        }
    }

    /// Up to `n` bytes at `addr`, and no more than [`MOST`]: those before the first that can not be read.
    ///
    /// # Errors
    /// As [`Mm::ask`].
    pub fn peek(&self, addr: u64, n: usize) -> Result<Vec<u8>> {
        self.ask(None, move |_| {
            let mut out = Vec::new();
            for (at, len) in pieces(addr, n) {
                match uaccess::read_bytes(at, len) {
                    Ok(bytes) => out.extend_from_slice(&bytes),
                    Err(_) => break,
                }
            }
            out
        })
    }

    /// Stores `bytes`, of which no more than [`MOST`] are looked at, at `addr`; says how many came before the first place that can not be written.
    ///
    /// # Errors
    /// As [`Mm::ask`].
    pub fn poke(&self, addr: u64, bytes: Vec<u8>) -> Result<usize> {
        self.ask(None, move |_| {
            let mut done = 0;
            for (at, len) in pieces(addr, bytes.len()) {
                if uaccess::write_bytes(at, &bytes[done..done + len]).is_err() {
                    break;
                }
                done += len;
            }
            done
        })
    }
}

/// The pages, or parts of such, of `n` bytes at `addr`.
fn pieces(addr: u64, n: usize) -> impl Iterator<Item = (u64, usize)> {
    let n = n.min(MOST);
    let mut done = 0;
    core::iter::from_fn(move || {
        let at = addr.checked_add(done as u64)?;
        let len = ((PAGE - at % PAGE) as usize).min(n - done);
        done += len;
        (len > 0).then_some((at, len))
    })
}
