//! Addresses: struct sockaddr_un, abstract names, names in the file system.

use super::UnixSocket;
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core_::net::{AF_UNIX, names};
use core_::{Errno, Mutex, Result};

/// sizeof(struct sockaddr_un).
const MAX: usize = 110;

/// By kind of socket and name: a stream and a datagram socket may have the same name (`unix_abstract_hash`).
static ABSTRACT: Mutex<BTreeMap<(u32, Arc<[u8]>), Weak<UnixSocket>>> = host::sync::mutex(BTreeMap::new());
static NEXT_AUTO: Mutex<u32> = host::sync::mutex(0);

/// A decoded address.
pub enum Addr {
    /// Only the family: autobind.
    Unnamed,
    Abstract(Arc<[u8]>),
    Path(Arc<[u8]>),
}

/// The bytes of a sockaddr_un.
pub fn decode(addr: &[u8]) -> Result<Addr> {
    if addr.len() < 2 || addr.len() > MAX || u32::from(u16::from_ne_bytes([addr[0], addr[1]])) != AF_UNIX {
        return Err(Errno::EINVAL);
    }
    let path = &addr[2..];
    Ok(match path.first() {
        None => Addr::Unnamed,
        Some(0) => Addr::Abstract(path.into()),
        Some(_) => {
            let end = path.iter().position(|b| *b == 0).unwrap_or(path.len());
            Addr::Path(path[..end].into())
        }
    })
}

/// A sockaddr_un for a name; path names end with a NUL (unix(7)).
pub fn encode(name: Option<&[u8]>) -> Vec<u8> {
    let mut v = (AF_UNIX as u16).to_ne_bytes().to_vec();
    if let Some(n) = name {
        v.extend_from_slice(n);
        if n.first() != Some(&0) {
            v.push(0);
        }
    }
    v
}

/// Who is bound to `addr`, asked by a socket of `kind`.
pub fn lookup(addr: &Addr, kind: u32) -> Result<Arc<UnixSocket>> {
    match addr {
        Addr::Unnamed => Err(Errno::EINVAL),
        Addr::Abstract(name) => {
            ABSTRACT.lock().get(&(kind, name.clone())).and_then(Weak::upgrade).ok_or(Errno::ECONNREFUSED)
        }
        Addr::Path(path) => names()?.lookup_path(path)?.downcast::<UnixSocket>().map_err(|_| Errno::ECONNREFUSED),
    }
}

/// Binds `socket`; gives the name it has now.
pub fn bind(addr: &Addr, socket: &Arc<UnixSocket>) -> Result<Arc<[u8]>> {
    match addr {
        Addr::Unnamed => {
            // Autobind: five hexadecimal digits (unix(7)).
            for _ in 0..=0xf_ffff {
                let n = {
                    let mut next = NEXT_AUTO.lock();
                    *next = (*next + 1) & 0xf_ffff;
                    *next
                };
                let name: Arc<[u8]> = alloc::format!("\0{n:05x}").into_bytes().into();
                if claim(&name, socket) {
                    return Ok(name);
                }
            }
            Err(Errno::ENOSPC)
        }
        Addr::Abstract(name) => {
            if claim(name, socket) {
                Ok(name.clone())
            } else {
                Err(Errno::EADDRINUSE)
            }
        }
        Addr::Path(path) => {
            names()?.bind_path(path, socket.clone())?;
            Ok(path.clone())
        }
    }
}

fn claim(name: &Arc<[u8]>, socket: &Arc<UnixSocket>) -> bool {
    let mut map = ABSTRACT.lock();
    let key = (socket.kind, name.clone());
    if map.get(&key).is_some_and(|w| w.strong_count() > 0) {
        return false;
    }
    map.insert(key, Arc::downgrade(socket));
    true
}

/// Frees an abstract name at close.
pub fn remove(name: &Arc<[u8]>, kind: u32, socket: &Weak<UnixSocket>) {
    if name.first() == Some(&0) {
        let key = (kind, name.clone());
        let mut map = ABSTRACT.lock();
        if map.get(&key).is_some_and(|w| w.ptr_eq(socket)) {
            map.remove(&key);
        }
    }
}
