//! The end of a VM that has lost its footing: say so, then take every process along.

use core::fmt::Write;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Host pid of the supervisor, whose death ends all processes of the VM.
pub static SUPERVISOR: AtomicU32 = AtomicU32::new(0);
static PANICKING: AtomicBool = AtomicBool::new(false);

/// A fixed buffer: the allocator may be what is broken.
struct Text {
    buf: [u8; 1024],
    len: usize,
}

impl Write for Text {
    fn write_str(&mut self, s: &str) -> core::fmt::Result {
        let n = s.len().min(self.buf.len() - self.len);
        self.buf[self.len..self.len + n].copy_from_slice(&s.as_bytes()[..n]);
        self.len += n;
        Ok(())
    }
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo) -> ! {
    if !PANICKING.swap(true, Ordering::SeqCst) {
        let mut t = Text { buf: [0; 1024], len: 0 };
        // Kind and id of PANIC, then the text with its length.
        let _ = t.write_str("............");
        let _ = write!(t, "guest kernel panic: {info}");
        let n = t.len as u32 - 12;
        t.buf[0..4].copy_from_slice(&abi::wire::PANIC.to_le_bytes());
        t.buf[4..8].fill(0);
        t.buf[8..12].copy_from_slice(&n.to_le_bytes());
        let _ = host::file::write(2, &t.buf[12..t.len]);
        let _ = host::file::write(2, b"\n");
        let _ = host::channel::send(control::server::CHANNEL, &t.buf[..t.len]);
    }
    end()
}

/// Ends the VM: the supervisor and with it everybody.
pub fn end() -> ! {
    let sup = SUPERVISOR.load(Ordering::Relaxed);
    if sup != 0 && sup != host::process::getpid() {
        let _ = host::process::tgkill(sup, sup, 9);
    }
    loop {
        // SAFETY: ends this process.
        unsafe { host::syscall!(exit_group, 125) };
    }
}
