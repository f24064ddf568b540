//! Ancillary data (cmsg(3)) to and from application memory.

use alloc::vec::Vec;
use core_::net::{Control, msg};
use core_::uaccess::{read_bytes, write_bytes};
use core_::{Errno, Result, current};

const SOL_SOCKET: i32 = 1;
const SCM_RIGHTS: i32 = 1;
const SCM_CREDENTIALS: i32 = 2;
const SCM_PIDFD: i32 = 4;
/// sizeof(struct cmsghdr).
const HEADER: usize = 16;
/// The most control bytes of one send (net.core.optmem_max).
const MAX: u64 = 131_072;

fn word(b: &[u8], at: usize) -> i32 {
    b.get(at..at + 4).map_or(0, |w| i32::from_ne_bytes([w[0], w[1], w[2], w[3]]))
}

/// Decodes the control messages at `at`.
pub fn read(at: u64, len: u64) -> Result<Vec<Control>> {
    let mut out = Vec::new();
    if at == 0 || len == 0 {
        return Ok(out);
    }
    if len > MAX {
        return Err(Errno::ENOBUFS);
    }
    let buf = read_bytes(at, len as usize)?;
    let mut pos = 0;
    while buf.len() - pos >= HEADER {
        let mut l = [0; 8];
        l.copy_from_slice(&buf[pos..pos + 8]);
        let size = u64::from_ne_bytes(l);
        if size < HEADER as u64 || size > (buf.len() - pos) as u64 {
            return Err(Errno::EINVAL);
        }
        let size = size as usize;
        let (level, kind) = (word(&buf, pos + 8), word(&buf, pos + 12));
        let data = &buf[pos + HEADER..pos + size];
        out.push(match (level, kind) {
            (SOL_SOCKET, SCM_RIGHTS) => {
                let files = current().files();
                let fds = data.chunks_exact(4).map(|c| files.get(word(c, 0)));
                Control::Rights(fds.collect::<Result<_>>()?)
            }
            (SOL_SOCKET, SCM_CREDENTIALS) if data.len() == 12 => {
                Control::Credentials([word(data, 0) as u32, word(data, 4) as u32, word(data, 8) as u32])
            }
            (SOL_SOCKET, _) => return Err(Errno::EINVAL),
            _ => Control::Other(level, kind, data.to_vec()),
        });
        pos += size.next_multiple_of(8);
        if pos >= buf.len() {
            break;
        }
    }
    Ok(out)
}

/// Encodes `control` into the `len` bytes at `at`, installing descriptors; returns the bytes used. MSG_CTRUNC goes to
/// `flags` where something did not fit; descriptors without a place are closed.
pub fn write(at: u64, len: u64, control: Vec<Control>, cloexec: bool, flags: &mut u32) -> Result<u64> {
    let mut used = 0u64;
    for c in control {
        let room = len.saturating_sub(used) as usize;
        if at == 0 || room < HEADER {
            *flags |= msg::CTRUNC;
            continue;
        }
        let (level, kind, data) = match c {
            Control::Credentials(c) => {
                (SOL_SOCKET, SCM_CREDENTIALS, c.iter().flat_map(|w| w.to_ne_bytes()).collect::<Vec<u8>>())
            }
            Control::Other(level, kind, data) => (level, kind, data),
            Control::Pidfd(_) if room < HEADER + 4 => {
                *flags |= msg::CTRUNC;
                continue;
            }
            Control::Pidfd(p) => {
                // Where there is none, the message says why (`scm_pidfd_recv`).
                let fd = core_::task::new_pidfd(p).and_then(|f| current().files().add(f, true));
                (SOL_SOCKET, SCM_PIDFD, fd.unwrap_or_else(|e| e.to_ret() as i32).to_ne_bytes().to_vec())
            }
            Control::Rights(fds) => {
                let mut data = Vec::new();
                let fit = (room - HEADER) / 4;
                if fds.len() > fit {
                    *flags |= msg::CTRUNC;
                }
                let files = current().files();
                for f in fds.into_iter().take(fit) {
                    match files.add(f, cloexec) {
                        Ok(fd) => data.extend_from_slice(&fd.to_ne_bytes()),
                        // No number left: the rest is lost, and told (unix(7)).
                        Err(_) => {
                            *flags |= msg::CTRUNC;
                            break;
                        }
                    }
                }
                if data.is_empty() {
                    continue;
                }
                (SOL_SOCKET, SCM_RIGHTS, data)
            }
        };
        let mut whole = ((HEADER + data.len()) as u64).to_ne_bytes().to_vec();
        whole.extend_from_slice(&level.to_ne_bytes());
        whole.extend_from_slice(&kind.to_ne_bytes());
        whole.extend_from_slice(&data);
        if whole.len() > room {
            *flags |= msg::CTRUNC;
            whole.truncate(room);
            let n = whole.len() as u64;
            whole[..8].copy_from_slice(&n.to_ne_bytes());
        }
        write_bytes(at + used, &whole)?;
        used += (whole.len().next_multiple_of(8) as u64).min(len - used);
    }
    Ok(used)
}
