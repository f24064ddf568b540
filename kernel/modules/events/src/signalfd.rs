//! signalfd(2): a reader gets the signals of the thread and process that reads.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicU64, Ordering};
use core_::file::{File, FileOps, oflag};
use core_::io::IoBuf;
use core_::signal::{SigInfo, SigSet, code, sig};
use core_::wait::{Events, PollTable};
use core_::{Errno, Result};

/// sizeof(struct signalfd_siginfo).
const RECORD: usize = 128;

struct SignalFd {
    mask: AtomicU64,
}

/// A new one for the signals of `mask`; `flags` O_NONBLOCK or 0.
#[must_use]
pub fn new(mask: SigSet, flags: u32) -> Arc<File> {
    let ops = SignalFd { mask: AtomicU64::new(mask.minus(SigSet::UNBLOCKABLE).0) };
    File::new(Arc::new(ops), oflag::RDWR | (flags & oflag::NONBLOCK))
}

/// Changes the mask of an existing one.
///
/// # Errors
/// `EINVAL` where `file` is none.
pub fn set_mask(file: &File, mask: SigSet) -> Result<()> {
    let s = file.downcast::<SignalFd>().ok_or(Errno::EINVAL)?;
    s.mask.store(mask.minus(SigSet::UNBLOCKABLE).0, Ordering::SeqCst);
    core_::current().process.signal_wait.wake(Events::IN);
    Ok(())
}

/// struct signalfd_siginfo, in the field order of signalfd(2).
fn record(i: &SigInfo) -> [u8; RECORD] {
    let mut b = [0; RECORD];
    let mut put = |at: usize, bytes: &[u8]| b[at..at + bytes.len()].copy_from_slice(bytes);
    let (low, high) = (i.fields[0] as u32, (i.fields[0] >> 32) as u32);
    put(0, &i.signo.to_ne_bytes());
    put(4, &i.errno.to_ne_bytes());
    put(8, &i.code.to_ne_bytes());
    let kill_like = |put: &mut dyn FnMut(usize, &[u8])| {
        put(12, &low.to_ne_bytes());
        put(16, &high.to_ne_bytes());
    };
    if i.code == code::TIMER {
        put(24, &low.to_ne_bytes());
        put(32, &high.to_ne_bytes());
        put(44, &(i.fields[1] as u32).to_ne_bytes());
        put(48, &i.fields[1].to_ne_bytes());
    } else if i.code <= 0 {
        kill_like(&mut put);
        if i.code == code::QUEUE {
            put(44, &(i.fields[1] as u32).to_ne_bytes());
            put(48, &i.fields[1].to_ne_bytes());
        }
    } else if i.signo == sig::CHLD {
        kill_like(&mut put);
        put(40, &(i.fields[1] as u32).to_ne_bytes());
        put(56, &i.fields[2].to_ne_bytes());
        put(64, &i.fields[3].to_ne_bytes());
    } else if matches!(i.signo, sig::SEGV | sig::BUS | sig::ILL | sig::FPE | sig::TRAP) {
        put(72, &i.fields[0].to_ne_bytes());
    }
    b
}

impl SignalFd {
    fn mask(&self) -> SigSet {
        SigSet(self.mask.load(Ordering::SeqCst))
    }

    fn take(&self) -> Option<Result<SigInfo>> {
        let me = core_::current();
        let mask = self.mask();
        let own = me.pending.lock().take(mask);
        own.or_else(|| me.process.pending.lock().take(mask)).map(Ok)
    }
}

impl FileOps for SignalFd {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn read(&self, file: &File, dst: &mut IoBuf, _off: u64) -> Result<usize> {
        if dst.left() < RECORD {
            return Err(Errno::EINVAL);
        }
        let mut total = 0;
        while dst.left() >= RECORD {
            let info = match self.take() {
                Some(r) => r?,
                None if total > 0 => break,
                None if file.nonblocking() => return Err(Errno::EAGAIN),
                None => core_::current().process.signal_wait.wait(|| self.take())?,
            };
            match dst.put(&record(&info)) {
                Ok(n) => total += n,
                Err(e) if total == 0 => return Err(e),
                Err(_) => break,
            }
        }
        Ok(total)
    }

    fn poll(&self, _file: &File, table: Option<&mut PollTable>) -> Events {
        let me = core_::current();
        if let Some(t) = table {
            t.add(&me.process.signal_wait);
        }
        let not = SigSet(!self.mask().0);
        if me.pending.lock().any(not) || me.process.pending.lock().any(not) { Events::IN } else { Events::empty() }
    }

    fn seek(&self, _file: &File, _off: i64, _whence: u32) -> Result<u64> {
        Ok(0) // noop_llseek
    }

    fn link_text(&self, _file: &File) -> Option<Vec<u8>> {
        Some(b"anon_inode:[signalfd]".to_vec())
    }

    fn fdinfo(&self, _file: &File) -> Vec<u8> {
        alloc::format!("sigmask:\t{:016x}\n", self.mask().0).into_bytes()
    }
}
