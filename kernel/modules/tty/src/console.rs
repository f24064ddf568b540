//! A terminal whose far side is the host.

use super::{Todo, Tty};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core_::file::{File, oflag};
use core_::{Errno, Result};

/// Where a console's output goes: a host descriptor.
pub trait ConsoleSink: Send + Sync {
    /// Writes some of `bytes`; how many.
    ///
    /// # Errors
    /// `EAGAIN` where nothing can be written now: [`Console::output_ready`] is called when that has changed. Any other
    /// error ends the output: it is thrown away from then on.
    fn write(&self, bytes: &[u8]) -> Result<usize>;

    /// The terminal may take input again that it had no room for. Called without the terminal's locks, on any thread.
    fn input_room(&self) {}

    /// Somebody reads, and there is nothing. Called without the terminal's locks, on any thread.
    fn input_wanted(&self) {}
}

/// The host's hold on a console.
#[derive(Clone)]
pub struct Console(Arc<Tty>);

impl Console {
    /// A new console and its slave side, open for reading and writing. It is listed as /dev/pts/N like any other
    /// terminal. Without a sink output is kept for [`Console::take_output`].
    ///
    /// # Errors
    /// `ENOSPC` where there are too many terminals.
    pub fn new(rows: u16, cols: u16, sink: Option<Arc<dyn ConsoleSink>>) -> Result<(Arc<File>, Console)> {
        let tty = Tty::new([rows, cols, 0, 0], (0, 5), sink, false)?;
        let file = File::new(tty.open()?, oflag::RDWR);
        Ok((file, Console(tty)))
    }

    /// The terminal itself.
    #[must_use]
    pub fn tty(&self) -> &Arc<Tty> {
        &self.0
    }

    /// Input from the host; how many bytes were taken. The rest is to be offered again when [`Console::input_room`] is
    /// not 0.
    #[must_use]
    pub fn input(&self, bytes: &[u8]) -> usize {
        self.0.feed(bytes)
    }

    /// Bytes of input that would be taken now.
    #[must_use]
    pub fn input_room(&self) -> usize {
        self.0.feed_room()
    }

    /// Takes output, where there is no sink; how many bytes.
    pub fn take_output(&self, buf: &mut [u8]) -> usize {
        self.0.take_out(buf)
    }

    /// The sink can be written again.
    pub fn output_ready(&self) {
        self.0.pump();
    }

    /// True where all output has gone out.
    #[must_use]
    pub fn drained(&self) -> bool {
        let st = self.0.state.lock();
        st.out.is_empty() && !st.draining
    }

    /// The host's window changed: SIGWINCH to the foreground group.
    pub fn resize(&self, rows: u16, cols: u16) {
        self.0.set_size([rows, cols, 0, 0]);
    }

    /// The host's side is gone.
    pub fn hangup(&self) {
        self.0.hang_up();
        self.0.forget();
    }
}

impl Tty {
    /// Writes what is in `out` to the sink: one thread at a time, without the lock.
    pub(super) fn pump(&self) {
        let Some(sink) = &self.sink else { return };
        loop {
            let chunk: Vec<u8> = {
                let mut st = self.state.lock();
                if st.draining || st.out.is_empty() {
                    return;
                }
                st.draining = true;
                st.out.drain(..).collect()
            };
            let mut done = 0;
            while done < chunk.len() {
                match sink.write(&chunk[done..]) {
                    Ok(0) | Err(Errno::EAGAIN) => break,
                    Ok(n) => done += n,
                    Err(Errno::EINTR) => {}
                    Err(_) => done = chunk.len(),
                }
            }
            let left = done < chunk.len();
            {
                let mut st = self.state.lock();
                st.draining = false;
                for b in chunk[done.min(chunk.len())..].iter().rev() {
                    st.out.push_front(*b);
                }
            }
            self.finish_space();
            if left {
                return;
            }
        }
    }

    fn finish_space(&self) {
        self.space.wake(core_::wait::Events::WRITE);
    }

    pub(super) fn take_out(&self, buf: &mut [u8]) -> usize {
        let mut todo = Todo::default();
        let n = {
            let mut st = self.state.lock();
            let n = buf.len().min(st.out.len());
            for (d, s) in buf.iter_mut().zip(st.out.drain(..n)) {
                *d = s;
            }
            todo.space = n > 0;
            n
        };
        self.finish(todo);
        n
    }
}
