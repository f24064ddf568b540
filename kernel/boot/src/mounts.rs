//! MOUNT and NODE: the guest's tree of files.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use control::message::{Mount, Node};
use core::sync::atomic::{AtomicU16, Ordering};
use core_::Errno;
use core_::vfs::{self, FileSystem, kernel};
use hostfs::{HostFs, Mode};
use tmpfs::{Quota, TmpFs};

/// What mounts need to know of the machine.
pub struct Mounts {
    /// Shared by all writable layers: `disk_bytes` of BOOT.
    pub quota: Arc<Quota>,
    pub host_uid: u32,
    pub host_gid: u32,
    layers: AtomicU16,
}

/// Most inodes of the writable layers.
const INODES: u64 = 1 << 20;

impl Mounts {
    #[must_use]
    pub fn new(disk: u64, host_uid: u32, host_gid: u32) -> Mounts {
        Mounts { quota: Quota::new(disk, INODES), host_uid, host_gid, layers: AtomicU16::new(0) }
    }

    /// What all file systems in memory share: the machine's limit.
    pub fn quota(&self) -> &Arc<Quota> {
        &self.quota
    }

    /// For a directory of which an overlay is made, or becomes larger; see [`HostFs::new`].
    fn numbers(&self) -> Result<u16, String> {
        /// A directory rarely has more file systems of the host mounted within.
        const DEVICES: u16 = 64;
        let n = self.layers.fetch_add(1, Ordering::Relaxed);
        n.checked_mul(DEVICES).ok_or_else(|| format!("{n} host directories are too many"))
    }

    fn hostfs(&self, m: &mut Mount, mode: Mode) -> Result<Arc<dyn FileSystem>, String> {
        let dir = m.dir.take().ok_or("a mount of a host directory without its descriptor")?;
        // A volume has its own device number, and the host's inode numbers.
        let numbers = if mode == Mode::Cached { self.numbers()? } else { 0 };
        // The file system keeps the descriptor for the VM's life.
        HostFs::new(dir.into_raw(), mode, self.host_uid, self.host_gid, numbers)
            .map(|f| f as Arc<dyn FileSystem>)
            .map_err(|e| format!("{}: {e}", String::from_utf8_lossy(&m.source)))
    }

    fn tmpfs(&self, mode: u32) -> Result<Arc<dyn FileSystem>, String> {
        TmpFs::new(self.quota.clone(), mode).map(|f| f as Arc<dyn FileSystem>).map_err(|e| format!("tmpfs: {e}"))
    }

    /// Makes the file system of files without a name: memfds, magic links to pipes.
    ///
    /// # Errors
    /// A sentence for the kernel log.
    pub fn unnamed(&self) -> Result<(), String> {
        vfs::set_anon(self.tmpfs(0o700)?);
        Ok(())
    }

    /// # Errors
    /// A sentence for the VMM.
    pub fn mount(&self, mut m: Mount) -> Result<(), String> {
        let mut flags = 0;
        let target = m.target.clone();
        let where_ = |e| format!("mount on {}: {e}", String::from_utf8_lossy(&target));
        let fs: Arc<dyn FileSystem> = match m.kind {
            0 if m.source.is_empty() => {
                m.source = b"overlay".to_vec();
                overlay::Overlay::empty(self.tmpfs(0o755)?).map_err(|e| format!("overlay: {e}"))?
            }
            0 => {
                let lower = self.hostfs(&mut m, Mode::Cached)?;
                // On an overlay it is part of it: one file system, as on a usual machine.
                match kernel::kput(&m.target, |dir, name| overlay::graft(dir, name, &lower)) {
                    Ok(_) => return Ok(()),
                    Err(Errno::ENOENT | Errno::EEXIST | Errno::EXDEV) => {}
                    Err(e) => return Err(where_(e)),
                }
                overlay::Overlay::new(&lower, self.tmpfs(0o755)?).map_err(|e| format!("overlay: {e}"))?
            }
            1 => {
                flags = vfs::ms::RDONLY;
                self.hostfs(&mut m, Mode::ReadOnly)?
            }
            2 => self.hostfs(&mut m, Mode::ReadWrite)?,
            3 => self.tmpfs(0o755)?,
            4..=6 => return crate::wiring::special_mount(m.kind, &m.target, &self.quota),
            k => return Err(format!("mount type {k} is unknown")),
        };
        if m.target == b"/" {
            vfs::mount_root(fs, &m.source);
            return Ok(());
        }
        kernel::kmkdir_p(&m.target).map_err(where_)?;
        kernel::mount_at(&m.target, fs, &m.source, flags).map(drop).map_err(where_)
    }

    /// # Errors
    /// A sentence for the VMM.
    pub fn node(&self, n: &Node) -> Result<(), String> {
        let r = match n.kind {
            0 => kernel::kmkdir(&n.path, n.mode, n.uid, n.gid).map(drop),
            1 => kernel::kcreate_file(&n.path, n.mode, n.uid, n.gid, &n.content),
            2 => kernel::ksymlink(&n.path, &n.content),
            k => return Err(format!("node type {k} is unknown")),
        };
        r.map_err(|e| format!("{}: {e}", String::from_utf8_lossy(&n.path)))
    }
}
