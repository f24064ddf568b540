//! /dev/pts: the terminals there are, as the terminal module tells.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core_::vfs::pseudo::{Changing, Entries, Id};
use core_::vfs::special::{self, Pts};
use core_::vfs::{Attr, Caching, DirList, FileSystem, Inode, SetAttr, Statfs, anon_dev, kind, makedev, now};
use core_::{Errno, Result};

const PTS_MAJOR: u32 = 136;

/// The devpts file system.
pub struct PtsFs {
    root: Arc<dyn Inode>,
    dev: u64,
}

impl PtsFs {
    #[must_use]
    pub fn new() -> Arc<PtsFs> {
        let dev = anon_dev();
        Arc::new(PtsFs { root: Changing::inode(Id::root(dev, 1, 0o755), Caching::Never, Dir { dev }), dev })
    }
}

impl FileSystem for PtsFs {
    fn name(&self) -> &'static str {
        "devpts"
    }
    fn root(&self) -> Arc<dyn Inode> {
        self.root.clone()
    }
    fn statfs(&self) -> Result<Statfs> {
        const DEVPTS_SUPER_MAGIC: u64 = 0x1cd1;
        Ok(Statfs { magic: DEVPTS_SUPER_MAGIC, bsize: 4096, fsid: self.dev, ..Statfs::default() })
    }
    fn options(&self) -> Vec<u8> {
        b",gid=5,mode=620,ptmxmode=000".to_vec()
    }
}

struct Dir {
    dev: u64,
}

impl Entries for Dir {
    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>> {
        if name == b"ptmx" {
            let number = None;
            return Ok(Arc::new(Node { dev: self.dev, number }));
        }
        // Only the plain decimal form is a name.
        if name.is_empty()
            || name.len() > 9
            || !name.iter().all(u8::is_ascii_digit)
            || (name[0] == b'0' && name.len() > 1)
        {
            return Err(Errno::ENOENT);
        }
        let n = name.iter().fold(0, |n, d| n * 10 + u32::from(d - b'0'));
        special::pts().and_then(|p| p.get(n)).ok_or(Errno::ENOENT)?;
        Ok(Arc::new(Node { dev: self.dev, number: Some(n) }))
    }

    fn list(&self) -> Result<DirList> {
        let mut out = DirList::new();
        out.push(b"ptmx", 2, kind::CHAR);
        for p in special::pts().map(|p| p.list()).unwrap_or_default() {
            out.push(alloc::format!("{}", p.number).as_bytes(), u64::from(p.number) + 3, kind::CHAR);
        }
        Ok(out)
    }
}

/// A terminal's node, or ptmx.
struct Node {
    dev: u64,
    number: Option<u32>,
}

impl Node {
    fn pts(&self) -> Option<Pts> {
        self.number.and_then(|n| special::pts().and_then(|p| p.get(n)))
    }
}

impl Inode for Node {
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
    fn kind(&self) -> u32 {
        kind::CHAR
    }
    fn attr(&self) -> Result<Attr> {
        let t = now();
        // A terminal that is gone but still open shows its last owner as root.
        let p = self.pts();
        let (ino, rdev) = match self.number {
            Some(n) => (u64::from(n) + 3, makedev(PTS_MAJOR, n)),
            None => (2, makedev(5, 2)),
        };
        Ok(Attr {
            dev: self.dev,
            ino,
            mode: kind::CHAR | p.map_or(0, |p| p.mode & 0o7777),
            nlink: 1,
            uid: p.map_or(0, |p| p.uid),
            gid: p.map_or(0, |p| p.gid),
            rdev,
            blksize: 1024,
            atime: t,
            mtime: t,
            ctime: t,
            btime: t,
            ..Attr::default()
        })
    }
    fn setattr(&self, set: &SetAttr) -> Result<()> {
        let Some(dir) = special::pts() else { return Err(Errno::EPERM) };
        let mut p = self.pts().ok_or(Errno::EPERM)?;
        p.mode = set.mode.unwrap_or(p.mode);
        p.uid = set.uid.unwrap_or(p.uid);
        p.gid = set.gid.unwrap_or(p.gid);
        dir.set(p);
        Ok(())
    }
}
