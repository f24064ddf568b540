//! Whom a command runs as: names are those of the guest's own /etc/passwd and /etc/group, whatever has become of these.

use abi::wire;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use control::message::Spawn;
use core_::Errno;
use core_::file::oflag;
use core_::vfs::{Walk, kind, kopen};
use lib::accounts;

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";
/// The guest may have made a file of any size; what is beyond this is not looked at.
const LONGEST: usize = 8 << 20;

/// Numbers for the credentials of a command, and its HOME.
pub struct Identity {
    pub uid: u32,
    pub gid: u32,
    pub groups: Vec<u32>,
    pub home: Vec<u8>,
}

/// Looks up what SPAWN says of the user. A name brings its groups with it, unless a group is given (as in Docker).
///
/// # Errors
/// The errno and a sentence: a name is unknown, or there is nothing to look it up in.
pub fn identify(s: &Spawn) -> Result<Identity, (Errno, String)> {
    let passwd = table(PASSWD);
    let account = if s.user.is_empty() {
        passwd.as_ref().ok().and_then(|t| accounts::owner(t, s.uid))
    } else {
        let passwd = passwd.as_ref().map_err(|e| unusable(*e, PASSWD, "user", &s.user))?;
        Some(accounts::user(passwd, &s.user).ok_or_else(|| unknown(PASSWD, "user", &s.user))?)
    };
    let uid = match account {
        Some(a) if !s.user.is_empty() => a.uid,
        _ => s.uid,
    };
    let (mut gid, mut others) = (s.gid, Vec::new());
    if !s.group.is_empty() {
        let groups = table(GROUP).map_err(|e| unusable(e, GROUP, "group", &s.group))?;
        gid = accounts::group(&groups, &s.group).ok_or_else(|| unknown(GROUP, "group", &s.group))?;
    } else if gid == wire::NO_ID
        && let Some(a) = account
    {
        gid = a.gid;
        others = table(GROUP).map_or_else(|_| Vec::new(), |t| accounts::memberships(&t, a.name));
        others.retain(|g| *g != gid);
    }
    let home = match account {
        Some(a) if !a.home.is_empty() => a.home.to_vec(),
        None if uid == 0 => b"/root".to_vec(),
        _ => b"/".to_vec(),
    };
    let groups = [&[gid], others.as_slice()].concat();
    Ok(Identity { uid, gid, groups, home })
}

fn unknown(path: &str, what: &str, name: &[u8]) -> (Errno, String) {
    let name = String::from_utf8_lossy(name);
    (Errno::ENOENT, format!("{what} '{name}' is not in the machine's {path}: give one that is, or a number"))
}

fn unusable(e: Errno, path: &str, what: &str, name: &[u8]) -> (Errno, String) {
    let name = String::from_utf8_lossy(name);
    (e, format!("{what} '{name}' cannot be looked up in the machine's {path} ({e}): give a number"))
}

/// A file of accounts. Nothing but a regular file is opened: the supervisor must not wait for a writer of a FIFO.
fn table(path: &str) -> Result<Vec<u8>, Errno> {
    if Walk::kernel()?.lookup(path.as_bytes(), true)?.inode()?.kind() != kind::FILE {
        return Err(Errno::EINVAL);
    }
    let file = kopen(path.as_bytes(), oflag::RDONLY | oflag::NONBLOCK)?;
    let size = file.inode().ok_or(Errno::EINVAL)?.attr()?.size;
    let mut text = alloc::vec![0; LONGEST.min(size as usize)];
    let n = core_::exec::read_file(&file, 0, &mut text)?;
    text.truncate(n);
    Ok(text)
}
