//! From path to dentry (path_resolution(7)).

use super::dentry::Dentry;
use super::inode::Inode;
use super::{FsContext, Path, mount, perm};
use crate::task::{Cap, Cred, my_cred, my_fs};
use crate::{Errno, Result};
use alloc::sync::Arc;
use core::cell::OnceCell;
use host::own::Lent;

bitflags::bitflags! {
    /// How a walk treats links and borders; RESOLVE_* of openat2(2).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct Resolve: u32 {
        const NO_XDEV = 1;
        const NO_MAGICLINKS = 2;
        const NO_SYMLINKS = 4;
        const BENEATH = 8;
        const IN_ROOT = 16;
        const CACHED = 32;
    }
}

/// The most symbolic links in one walk (Linux's MAXSYMLINKS).
const MAX_LINKS: u32 = 40;
/// Longest component (NAME_MAX).
pub const NAME_MAX: usize = 255;

/// The last component of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Last<'p> {
    /// An ordinary name; `slash` where slashes follow.
    Name {
        name: &'p [u8],
        slash: bool,
    },
    Dot,
    DotDot,
    /// The path was only slashes.
    Root,
}

/// One walk: who walks, what is `/` for it, how many links it has followed.
pub struct Walk {
    pub cred: Lent<Arc<Cred>>,
    /// `ops::renames_over` when a confined walk began.
    renames: u64,
    /// Root and working directory are fetched when they are needed: references cost more than the rest of a short walk.
    fs: Option<Lent<Arc<FsContext>>>,
    root: OnceCell<Path>,
    base: Option<Path>,
    pub resolve: Resolve,
    links: u32,
}

impl Walk {
    /// A walk by the calling thread; relative paths start at `base`, or at the working directory.
    #[must_use]
    pub fn new(base: Option<Path>) -> Walk {
        Walk {
            cred: my_cred(),
            fs: Some(my_fs()),
            root: OnceCell::new(),
            base,
            resolve: Resolve::empty(),
            links: 0,
            renames: 0,
        }
    }

    /// A walk by the guest kernel itself, from the root.
    ///
    /// # Errors
    /// `ENOENT` before there is a root.
    pub fn kernel() -> Result<Walk> {
        let root = mount::root()?;
        let cred = Lent::stray(Arc::new(Cred::user(0, 0, alloc::vec::Vec::new())));
        Ok(Walk {
            cred,
            fs: None,
            root: OnceCell::from(root),
            base: None,
            resolve: Resolve::empty(),
            links: 0,
            renames: 0,
        })
    }

    /// Searches directories as somebody else than the caller (access(2)).
    pub fn set_cred(&mut self, cred: Arc<Cred>) {
        self.cred = Lent::stray(cred);
    }

    /// Relative paths start at `base`.
    pub fn set_base(&mut self, base: Path) {
        self.base = Some(base);
    }

    /// Applies the flags of openat2(2): a walk confined to `base`.
    pub fn confine(&mut self, resolve: Resolve) {
        self.resolve = resolve;
        self.renames = super::ops::renames_over();
        if resolve.intersects(Resolve::IN_ROOT | Resolve::BENEATH) {
            self.root = OnceCell::from(self.here());
        }
    }

    fn start(&self, path: &[u8]) -> Result<Path> {
        if path.first() == Some(&b'/') {
            if self.resolve.contains(Resolve::BENEATH) {
                return Err(Errno::EXDEV);
            }
            return Ok(match (self.root.get(), &self.fs) {
                (Some(r), _) => r.clone(),
                (None, Some(fs)) => fs.root(),
                (None, None) => self.root().clone(),
            });
        }
        Ok(self.here())
    }

    fn here(&self) -> Path {
        match (&self.base, &self.fs) {
            (Some(b), _) => b.clone(),
            (None, Some(fs)) => fs.cwd(),
            (None, None) => self.root().clone(),
        }
    }

    /// A name in a directory. The guest kernel itself is nobody that /proc could tell about (`self`): for it nothing is
    /// in there.
    #[inline]
    fn child(&self, dir: &Path, name: &[u8]) -> Result<Arc<Dentry>> {
        if self.fs.is_none() && dir.mnt.fs.name() == "proc" {
            return Err(Errno::ENOENT);
        }
        dir.dentry.child(name)
    }

    /// One step: `name` in directory `cur` (which is a directory: checked by the caller's search).
    #[inline]
    fn step(&self, cur: &Path, name: &[u8]) -> Result<Path> {
        if name.len() > NAME_MAX {
            return Err(Errno::ENAMETOOLONG);
        }
        let dentry = self.child(cur, name)?;
        self.enter(Path { mnt: cur.mnt.clone(), dentry })
    }

    /// [`Walk::step`] in the middle of a path: the directory's references are handed on.
    #[inline]
    fn step_through(&mut self, mut cur: Path, name: &[u8]) -> Result<Path> {
        if name.len() > NAME_MAX {
            return Err(Errno::ENAMETOOLONG);
        }
        let dentry = self.child(&cur, name)?;
        if dentry.is_link() {
            let link = Path { mnt: cur.mnt.clone(), dentry };
            return self.follow(cur, &link);
        }
        dentry.inode()?;
        cur.dentry = dentry;
        self.enter(cur)
    }

    #[inline]
    fn enter(&self, p: Path) -> Result<Path> {
        if p.dentry.mounts.load(core::sync::atomic::Ordering::Acquire) == 0 {
            return Ok(p);
        }
        let old = p.mnt.id;
        let p = mount::covered(p);
        if self.resolve.contains(Resolve::NO_XDEV) && p.mnt.id != old {
            return Err(Errno::EXDEV);
        }
        Ok(p)
    }

    fn up(&self, cur: Path) -> Result<Path> {
        // What was beneath the root may have been moved away from it: then no root would be met on the way up (openat2(2)).
        if self.resolve.intersects(Resolve::BENEATH | Resolve::IN_ROOT) && super::ops::renamed_since(self.renames) {
            return Err(Errno::EAGAIN);
        }
        let mut p = cur;
        loop {
            if p.same(self.root()) {
                return if self.resolve.contains(Resolve::BENEATH) { Err(Errno::EXDEV) } else { Ok(p) };
            }
            if Arc::ptr_eq(&p.dentry, &p.mnt.root) {
                let Some(at) = p.mnt.parent() else { return Ok(p) };
                if self.resolve.contains(Resolve::NO_XDEV) {
                    return Err(Errno::EXDEV);
                }
                p = at;
                continue;
            }
            let Some(dentry) = p.dentry.parent() else { return Ok(p) };
            return self.enter(Path { mnt: p.mnt, dentry });
        }
    }

    #[inline]
    fn search(&self, cur: &Path) -> Result<()> {
        let inode = cur.dentry.inode()?;
        if inode.kind() != super::kind::DIR {
            return Err(Errno::ENOTDIR);
        }
        perm::search(inode, &self.cred)
    }

    /// Walks all but the last component.
    ///
    /// # Errors
    /// `ENOENT` for an empty path; what the way there says.
    pub fn parent<'p>(&mut self, path: &'p [u8]) -> Result<(Path, Last<'p>)> {
        if path.is_empty() {
            return Err(Errno::ENOENT);
        }
        let start = self.start(path)?;
        self.parent_from(start, path)
    }

    fn parent_from<'p>(&mut self, mut cur: Path, path: &'p [u8]) -> Result<(Path, Last<'p>)> {
        let mut rest = path;
        loop {
            while let [b'/', r @ ..] = rest {
                rest = r;
            }
            if rest.is_empty() {
                return Ok((cur, Last::Root));
            }
            let end = rest.iter().position(|b| *b == b'/').unwrap_or(rest.len());
            let (name, mut after) = rest.split_at(end);
            let slash = !after.is_empty();
            while let [b'/', r @ ..] = after {
                after = r;
            }
            if after.is_empty() {
                self.search(&cur)?;
                let last = match name {
                    b"." => Last::Dot,
                    b".." => Last::DotDot,
                    _ => Last::Name { name, slash },
                };
                return Ok((cur, last));
            }
            self.search(&cur)?;
            cur = match name {
                b"." => cur,
                b".." => self.up(cur)?,
                _ => self.step_through(cur, name)?,
            };
            rest = after;
        }
    }

    /// Follows the symbolic link `link`, found in directory `dir`. `ENOENT` where it dangles.
    fn follow(&mut self, dir: Path, link: &Path) -> Result<Path> {
        let inode = link.dentry.inode()?;
        self.count_link()?;
        if let Some(magic) = inode.magic() {
            if self.resolve.intersects(Resolve::NO_MAGICLINKS | Resolve::NO_SYMLINKS) {
                return Err(Errno::ELOOP);
            }
            if self.resolve.intersects(Resolve::BENEATH | Resolve::IN_ROOT) {
                return Err(Errno::EXDEV);
            }
            return magic;
        }
        let target = inode.readlink()?;
        self.resolve_target(dir, &target)
    }

    fn count_link(&mut self) -> Result<()> {
        self.links += 1;
        if self.links > MAX_LINKS || self.resolve.contains(Resolve::NO_SYMLINKS) { Err(Errno::ELOOP) } else { Ok(()) }
    }

    fn resolve_target(&mut self, dir: Path, target: &[u8]) -> Result<Path> {
        if target.is_empty() {
            return Err(Errno::ENOENT);
        }
        let from = if target[0] == b'/' { self.start(target)? } else { dir };
        let p = self.resolve_from(from, target, true)?;
        p.dentry.inode()?;
        Ok(p)
    }

    /// One symbolic link, for callers that walk the last component themselves: the directory and last
    /// component of its target. `Err(path)` inside for a magic link.
    pub(super) fn link_parent<'p>(&mut self, dir: Path, target: &'p [u8]) -> Result<(Path, Last<'p>)> {
        self.count_link()?;
        if target.is_empty() {
            return Err(Errno::ENOENT);
        }
        let from = if target[0] == b'/' { self.start(target)? } else { dir };
        self.parent_from(from, target)
    }

    pub(super) fn magic_allowed(&self) -> Result<()> {
        if self.resolve.intersects(Resolve::NO_MAGICLINKS | Resolve::NO_SYMLINKS) {
            return Err(Errno::ELOOP);
        }
        if self.resolve.intersects(Resolve::BENEATH | Resolve::IN_ROOT) { Err(Errno::EXDEV) } else { Ok(()) }
    }

    fn resolve_from(&mut self, start: Path, path: &[u8], follow: bool) -> Result<Path> {
        let (dir, last) = self.parent_from(start, path)?;
        match last {
            Last::Root | Last::Dot => Ok(dir),
            Last::DotDot => self.up(dir),
            Last::Name { name, slash } => {
                if name.len() > NAME_MAX {
                    return Err(Errno::ENAMETOOLONG);
                }
                let dentry = self.child(&dir, name)?;
                if dentry.is_link() && (follow || slash) {
                    let link = Path { mnt: dir.mnt.clone(), dentry };
                    let p = self.follow(dir, &link)?;
                    return if slash && !p.dentry.is_dir() { Err(Errno::ENOTDIR) } else { Ok(p) };
                }
                let p = self.enter(Path { mnt: dir.mnt, dentry })?;
                if slash && !p.dentry.is_dir() {
                    return Err(if p.dentry.is_negative() { Errno::ENOENT } else { Errno::ENOTDIR });
                }
                Ok(p)
            }
        }
    }

    /// The whole way; the result exists.
    ///
    /// # Errors
    /// `ENOENT`, `ENOTDIR`, `ELOOP`, `EACCES`, `ENAMETOOLONG`…
    pub fn lookup(&mut self, path: &[u8], follow: bool) -> Result<Path> {
        if path.is_empty() {
            return Err(Errno::ENOENT);
        }
        let start = self.start(path)?;
        let p = self.resolve_from(start, path, follow)?;
        p.dentry.inode()?;
        Ok(p)
    }

    /// The entry that `last` names in `dir`, perhaps negative; mounts on it are entered.
    pub(super) fn last(&self, dir: &Path, last: Last) -> Result<Path> {
        match last {
            Last::Root | Last::Dot => Ok(dir.clone()),
            Last::DotDot => self.up(dir.clone()),
            Last::Name { name, .. } => self.step(dir, name),
        }
    }

    /// The directory in which a new name is to be made, and the name: `EEXIST` for `.`, `..` and `/`.
    ///
    /// # Errors
    /// As [`Walk::parent`].
    pub fn for_create<'p>(&mut self, path: &'p [u8]) -> Result<(Path, &'p [u8], bool)> {
        let (dir, last) = self.parent(path)?;
        let Last::Name { name, slash } = last else { return Err(Errno::EEXIST) };
        if name.len() > NAME_MAX {
            return Err(Errno::ENAMETOOLONG);
        }
        Ok((dir, name, slash))
    }

    /// May the walker change directory `dir`?
    ///
    /// # Errors
    /// `EROFS`, `EACCES`.
    pub fn may_write_dir(&self, dir: &Path) -> Result<()> {
        if dir.mnt.read_only() {
            return Err(Errno::EROFS);
        }
        perm::check(dir.dentry.inode()?, &self.cred, perm::WRITE | perm::EXEC)
    }

    #[must_use]
    pub fn capable(&self, cap: Cap) -> bool {
        self.cred.has(cap)
    }

    /// What is `/` for this walk.
    #[must_use]
    pub fn root(&self) -> &Path {
        // A walk by the kernel has it from the start; the other has a context.
        self.root.get_or_init(|| match &self.fs {
            Some(fs) => fs.root(),
            None => crate::current().fs().root(),
        })
    }
}

/// The inode and dentry of a path together, for callers that need both.
pub fn inode_of(p: &Path) -> Result<Arc<dyn Inode>> {
    p.dentry.inode().cloned()
}

/// True where `d` is the directory lock order's first of the two: ancestors before descendants, else by address.
#[must_use]
pub(super) fn locks_before(a: &Arc<Dentry>, b: &Arc<Dentry>) -> bool {
    if b.is_beneath(a) {
        true
    } else if a.is_beneath(b) {
        false
    } else {
        Arc::as_ptr(a) < Arc::as_ptr(b)
    }
}
