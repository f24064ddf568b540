//! Messages: decoding what the VMM sends, encoding what it gets.

use abi::wire;
use alloc::string::String;
use alloc::vec::Vec;
use host::file::HostFd;

/// What is wrong with a message.
pub type Bad = &'static str;

/// A received message: fields are taken in order.
pub struct Reader<'a> {
    rest: &'a [u8],
    fds: Vec<Option<HostFd>>,
}

impl<'a> Reader<'a> {
    /// `packet` without its kind and id; takes over the descriptors (those never asked for are closed).
    #[must_use]
    pub fn new(packet: &'a [u8], fds: &[i32]) -> Reader<'a> {
        Reader { rest: packet, fds: fds.iter().map(|fd| Some(HostFd::new(*fd))).collect() }
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], Bad> {
        if n > self.rest.len() {
            return Err("message too short");
        }
        let (a, b) = self.rest.split_at(n);
        self.rest = b;
        Ok(a)
    }

    /// # Errors
    /// The message is too short.
    pub fn u32(&mut self) -> Result<u32, Bad> {
        let b = self.take(4)?;
        Ok(u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
    }

    /// # Errors
    /// The message is too short.
    pub fn u64(&mut self) -> Result<u64, Bad> {
        let mut w = [0; 8];
        w.copy_from_slice(self.take(8)?);
        Ok(u64::from_le_bytes(w))
    }

    /// # Errors
    /// The message is too short.
    pub fn bytes(&mut self) -> Result<&'a [u8], Bad> {
        let n = self.u32()? as usize;
        self.take(n)
    }

    /// # Errors
    /// The message is too short.
    pub fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Result<T, Bad>) -> Result<Vec<T>, Bad> {
        let n = self.u32()? as usize;
        let mut v = Vec::new();
        for _ in 0..n {
            v.push(item(self)?);
        }
        Ok(v)
    }

    /// The descriptor that an index names; None for "none".
    ///
    /// # Errors
    /// An index without a descriptor, or one named twice.
    pub fn fd(&mut self) -> Result<Option<HostFd>, Bad> {
        match self.u32()? {
            wire::NO_FD => Ok(None),
            i => match self.fds.get_mut(i as usize).and_then(Option::take) {
                Some(fd) => Ok(Some(fd)),
                None => Err("a descriptor index without a descriptor"),
            },
        }
    }

    /// # Errors
    /// Bytes are left over.
    pub fn end(&self) -> Result<(), Bad> {
        if self.rest.is_empty() { Ok(()) } else { Err("message too long") }
    }
}

/// A message to the VMM.
pub struct Writer(Vec<u8>);

impl Writer {
    #[must_use]
    pub fn new(kind: u32, id: u32) -> Writer {
        let mut w = Writer(Vec::with_capacity(64));
        w.u32(kind).u32(id);
        w
    }

    pub fn u32(&mut self, v: u32) -> &mut Writer {
        self.0.extend_from_slice(&v.to_le_bytes());
        self
    }

    pub fn u64(&mut self, v: u64) -> &mut Writer {
        self.0.extend_from_slice(&v.to_le_bytes());
        self
    }

    /// Cut where the message would become longer than the protocol allows.
    pub fn bytes(&mut self, b: &[u8]) -> &mut Writer {
        let n = b.len().min(wire::MAX_MESSAGE - self.0.len() - 4);
        self.u32(n as u32);
        self.0.extend_from_slice(&b[..n]);
        self
    }

    #[must_use]
    pub fn packet(&self) -> &[u8] {
        &self.0
    }
}

/// BOOT.
pub struct Boot {
    pub memory: u64,
    pub pids_max: u32,
    pub cpus: u32,
    pub hostname: Vec<u8>,
    pub monitor: u32,
    pub guard: u32,
    pub spaces: u32,
    pub flags: u32,
    pub host_uid: u32,
    pub host_gid: u32,
    pub kernel_memory: HostFd,
    pub ram: HostFd,
    pub landlock: Option<HostFd>,
    pub trace: Option<HostFd>,
    pub max_files: u32,
    pub disk: u64,
    pub random: Vec<u8>,
}

impl Boot {
    /// # Errors
    /// What is wrong with it.
    pub fn read(r: &mut Reader) -> Result<Boot, Bad> {
        if r.u32()? != wire::VERSION {
            return Err("the VMM speaks another version of the protocol");
        }
        let b = Boot {
            memory: r.u64()?,
            pids_max: r.u32()?,
            cpus: r.u32()?,
            hostname: r.bytes()?.to_vec(),
            monitor: r.u32()?,
            guard: r.u32()?,
            spaces: r.u32()?,
            flags: r.u32()?,
            host_uid: r.u32()?,
            host_gid: r.u32()?,
            kernel_memory: r.fd()?.ok_or("no kernel-region memory")?,
            ram: r.fd()?.ok_or("no RAM memory")?,
            landlock: r.fd()?,
            trace: r.fd()?,
            max_files: r.u32()?,
            disk: r.u64()?,
            random: r.bytes()?.to_vec(),
        };
        r.end()?;
        Ok(b)
    }
}

/// MOUNT.
pub struct Mount {
    pub kind: u32,
    pub target: Vec<u8>,
    pub source: Vec<u8>,
    pub dir: Option<HostFd>,
}

impl Mount {
    /// # Errors
    /// What is wrong with it.
    pub fn read(r: &mut Reader) -> Result<Mount, Bad> {
        let m = Mount { kind: r.u32()?, target: r.bytes()?.to_vec(), source: r.bytes()?.to_vec(), dir: r.fd()? };
        r.end()?;
        Ok(m)
    }
}

/// NODE.
pub struct Node {
    pub kind: u32,
    pub path: Vec<u8>,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub content: Vec<u8>,
}

impl Node {
    /// # Errors
    /// What is wrong with it.
    pub fn read(r: &mut Reader) -> Result<Node, Bad> {
        let n = Node {
            kind: r.u32()?,
            path: r.bytes()?.to_vec(),
            mode: r.u32()?,
            uid: r.u32()?,
            gid: r.u32()?,
            content: r.bytes()?.to_vec(),
        };
        r.end()?;
        Ok(n)
    }
}

/// SPAWN.
pub struct Spawn {
    pub id: u32,
    pub argv: Vec<Vec<u8>>,
    pub envp: Vec<Vec<u8>>,
    pub cwd: Vec<u8>,
    pub uid: u32,
    pub gid: u32,
    /// Names, which the numbers give way to; empty where the numbers count.
    pub user: Vec<u8>,
    pub group: Vec<u8>,
    pub tty: bool,
    pub flags: u32,
    pub rows: u32,
    pub cols: u32,
    pub stdio: [Option<HostFd>; 3],
}

impl Spawn {
    /// # Errors
    /// What is wrong with it.
    pub fn read(id: u32, r: &mut Reader) -> Result<Spawn, Bad> {
        let (argv, envp, cwd) = (words(r)?, words(r)?, r.bytes()?.to_vec());
        let (uid, gid) = (r.u32()?, r.u32()?);
        let (user, group) = (r.bytes()?.to_vec(), r.bytes()?.to_vec());
        let flags = r.u32()?;
        let mut s = Spawn {
            id,
            argv,
            envp,
            cwd,
            uid,
            gid,
            user,
            group,
            tty: flags & wire::SPAWN_TTY != 0,
            flags,
            rows: r.u32()?,
            cols: r.u32()?,
            stdio: [r.fd()?, r.fd()?, r.fd()?],
        };
        let (file, len) = (r.fd()?, r.u32()? as usize);
        r.end()?;
        if let Some(file) = file {
            // They did not fit into a packet.
            if len > wire::MAX_WORDS {
                return Err("SPAWN with more words than Linux takes");
            }
            let mut buf = alloc::vec![0; len];
            if host::file::pread_full(file.raw(), &mut buf, 0) != Ok(len) {
                return Err("SPAWN with a file of words that can not be read");
            }
            let mut r = Reader::new(&buf, &[]);
            (s.argv, s.envp) = (words(&mut r)?, words(&mut r)?);
            r.end()?;
        }
        if s.argv.is_empty() {
            return Err("SPAWN without a command");
        }
        if s.gid == wire::NO_ID && s.user.is_empty() && s.group.is_empty() {
            return Err("SPAWN of a user by number without a group");
        }
        Ok(s)
    }
}

fn words(r: &mut Reader) -> Result<Vec<Vec<u8>>, Bad> {
    r.list(|r| Ok(r.bytes()?.to_vec()))
}

/// Text of a fault in a message, for ERROR.
#[must_use]
pub fn refusal(kind: u32, why: &str) -> String {
    alloc::format!("message of kind {kind}: {why}")
}
