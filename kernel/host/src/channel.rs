//! The control channel: one packet socket to the VMM, with descriptors.

use crate::{Errno, Result, syscall};

#[repr(C)]
struct MsgHdr {
    name: u64,
    namelen: u32,
    _pad: u32,
    iov: *const [u64; 2],
    iovlen: u64,
    control: *mut u8,
    controllen: u64,
    flags: i32,
    _pad2: u32,
}

/// A received packet's size and descriptors.
pub struct Packet {
    pub len: usize,
    pub fds: [i32; abi::wire::MAX_FDS],
    pub fd_count: usize,
    /// The packet or its descriptors did not fit.
    pub truncated: bool,
}

/// Receives one packet into `buf`; waits for it unless `nonblocking`. A length of 0 is the channel's end.
///
/// # Errors
/// The host's; `EAGAIN` where nothing is there.
pub fn receive(fd: i32, buf: &mut [u8], nonblocking: bool) -> Result<Packet> {
    const MSG_CMSG_CLOEXEC: u32 = 0x4000_0000;
    const MSG_DONTWAIT: u32 = 0x40;
    const MSG_TRUNC: i32 = 0x20;
    const MSG_CTRUNC: i32 = 8;
    #[repr(C, align(8))]
    struct Control([u8; 16 + 4 * abi::wire::MAX_FDS]);
    let mut control = Control([0; 16 + 4 * abi::wire::MAX_FDS]);
    let iov = [buf.as_mut_ptr() as u64, buf.len() as u64];
    let mut hdr = MsgHdr {
        name: 0,
        namelen: 0,
        _pad: 0,
        iov: &raw const iov,
        iovlen: 1,
        control: control.0.as_mut_ptr(),
        controllen: control.0.len() as u64,
        flags: 0,
        _pad2: 0,
    };
    let flags = MSG_CMSG_CLOEXEC | if nonblocking { MSG_DONTWAIT } else { 0 };
    // SAFETY: all pointers of the header are valid for the call.
    let len = Errno::from_ret(unsafe { syscall!(recvmsg, fd, &raw mut hdr, flags) })?;
    let mut p = Packet {
        len,
        fds: [-1; abi::wire::MAX_FDS],
        fd_count: 0,
        truncated: hdr.flags & (MSG_TRUNC | MSG_CTRUNC) != 0,
    };
    let word = |at: usize| {
        let c = &control.0;
        i32::from_le_bytes([c[at], c[at + 1], c[at + 2], c[at + 3]])
    };
    // One SCM_RIGHTS message: length, level SOL_SOCKET 1, type SCM_RIGHTS 1, then the numbers (cmsg(3)).
    if hdr.controllen >= 16 && word(8) == 1 && word(12) == 1 {
        let n = ((word(0) as usize).min(hdr.controllen as usize).saturating_sub(16) / 4).min(p.fds.len());
        for i in 0..n {
            p.fds[i] = word(16 + 4 * i);
        }
        p.fd_count = n;
    }
    Ok(p)
}

/// Sends one packet. Waits where the VMM is slow.
///
/// # Errors
/// The host's (`EPIPE` where the VMM is gone).
pub fn send(fd: i32, packet: &[u8]) -> Result<()> {
    const MSG_NOSIGNAL: u32 = 0x4000;
    // SAFETY: the buffer is valid; a connected socket needs no address.
    Errno::from_ret(unsafe { syscall!(sendto, fd, packet.as_ptr(), packet.len(), MSG_NOSIGNAL, 0, 0) }).map(drop)
}
