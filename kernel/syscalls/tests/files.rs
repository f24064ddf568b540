//! The file calls, called as an application would, on every file system there is.
//!
//! The expectations are Linux's: each was looked up in the manual page that it names, or tried on the host.

mod common;
use common::calls::*;
use common::{call, enter, s};

/// What every writable file system must do the same way.
fn battery(dir: &str) {
    let p = |n: &str| format!("{dir}/{n}");
    put(&p("a"), b"hello");
    assert_eq!(text(&p("a")), "hello");
    assert_eq!(stat(&p("a")).unwrap().st_size, 5);
    assert_eq!(stat(&p("a")).unwrap().st_mode, 0o100_644);
    assert_eq!(stat(&p("nope")).err(), Some("ENOENT"));
    assert_eq!(stat(&p("a/x")).err(), Some("ENOTDIR"));
    assert_eq!(open(&p("a"), WRONLY | CREAT | EXCL, 0o600), Err("EEXIST"));
    assert_eq!(open(dir, WRONLY, 0), Err("EISDIR"));
    assert_eq!(open(&p("a"), DIRECTORY, 0), Err("ENOTDIR"));
    // O_APPEND and positions.
    let fd = open(&p("a"), RDWR | APPEND, 0).unwrap();
    assert_eq!(write(fd, b" world"), Ok(6));
    assert_eq!(call("lseek", &[fd, 0, 1]), Ok(11));
    assert_eq!(call("lseek", &[fd, 0, 0]), Ok(0));
    assert_eq!(read(fd, 100).unwrap(), b"hello world");
    assert_eq!(call("lseek", &[fd, -3i64 as u64, 2]), Ok(8));
    assert_eq!(call("lseek", &[fd, -30i64 as u64, 2]), Err("EINVAL"));
    assert_eq!(call("ftruncate", &[fd, 5]), Ok(0));
    assert_eq!(call("ftruncate", &[fd, 10000]), Ok(0));
    close(fd);
    let mut want = b"hello".to_vec();
    want.resize(10000, 0);
    assert_eq!(cat(&p("a")).unwrap(), want);
    // Hard links.
    assert_eq!(two("link", &p("a"), &p("b")), Ok(0));
    assert_eq!(stat(&p("b")).unwrap().st_nlink, 2);
    assert_eq!(stat(&p("b")).unwrap().st_ino, stat(&p("a")).unwrap().st_ino);
    assert_eq!(two("rename", &p("a"), &p("b")), Ok(0));
    assert_eq!(ls(dir), ["a", "b"]);
    assert_eq!(one("unlink", &p("a")), Ok(0));
    assert_eq!(stat(&p("b")).unwrap().st_nlink, 1);
    assert_eq!(one("unlink", &p("a")), Err("ENOENT"));
    // Directories.
    mkdir(&p("d"));
    assert_eq!(one("mkdir", &p("d")), Err("EEXIST"));
    mkdir(&p("d/e"));
    assert_eq!(one("rmdir", &p("d")), Err("ENOTEMPTY"));
    assert_eq!(one("unlink", &p("d")), Err("EISDIR"));
    assert_eq!(one("rmdir", &p("b")), Err("ENOTDIR"));
    assert_eq!(two("rename", &p("d"), &p("d/e/f")), Err("EINVAL"));
    assert_eq!(two("rename", &p("d/e"), &p("e2")), Ok(0));
    assert_eq!(two("rename", &p("b"), &p("d")), Err("EISDIR"));
    assert_eq!(two("rename", &p("d"), &p("b")), Err("ENOTDIR"));
    put(&p("e2/f"), b"f");
    assert_eq!(two("rename", &p("d"), &p("e2")), Err("ENOTEMPTY"));
    assert_eq!(two("rename", &p("e2"), &p("d")), Ok(0));
    assert_eq!(text(&p("d/f")), "f");
    assert_eq!(ls(&p("d")), ["f"]);
    // renameat2 flags.
    let (b, f) = (s(&p("b")), s(&p("d/f")));
    assert_eq!(call("renameat2", &[AT_FDCWD, b.p(), AT_FDCWD, f.p(), 1]), Err("EEXIST"));
    assert_eq!(call("renameat2", &[AT_FDCWD, b.p(), AT_FDCWD, f.p(), 2]), Ok(0));
    assert_eq!(text(&p("b")), "f");
    assert_eq!(stat(&p("d/f")).unwrap().st_size, 10000);
    // Links.
    assert_eq!(two("symlink", "b", &p("l")), Ok(0));
    assert_eq!(text(&p("l")), "f");
    assert_eq!(stat_by("lstat", &p("l")).unwrap().st_mode, 0o120_777);
    assert_eq!(open(&p("l"), RDONLY | NOFOLLOW, 0), Err("ELOOP"));
    assert_eq!(two("symlink", "gone", &p("dangling")), Ok(0));
    assert_eq!(open(&p("dangling"), WRONLY | CREAT | EXCL, 0o600), Err("EEXIST"));
    put(&p("dangling"), b"made");
    assert_eq!(text(&p("gone")), "made");
    // Removed but open.
    let fd = open(&p("gone"), RDWR, 0).unwrap();
    assert_eq!(one("unlink", &p("gone")), Ok(0));
    assert_eq!(write(fd, b"MADE!"), Ok(5));
    let mut buf = [0u8; 8];
    assert_eq!(call("pread64", &[fd, buf.as_mut_ptr() as u64, 8, 0]), Ok(5));
    assert_eq!(&buf[..5], b"MADE!");
    close(fd);
    // Modes and times.
    assert_eq!(call("chmod", &[s(&p("b")).p(), 0o600]), Ok(0));
    assert_eq!(stat(&p("b")).unwrap().st_mode, 0o100_600);
    let times = [1i64, 5, 2, 7];
    assert_eq!(call("utimensat", &[AT_FDCWD, s(&p("b")).p(), times.as_ptr() as u64, 0]), Ok(0));
    let st = stat(&p("b")).unwrap();
    assert_eq!((st.st_atime, st.st_atime_nsec, st.st_mtime, st.st_mtime_nsec), (1, 5, 2, 7));
    // A FIFO without a pipe module.
    assert_eq!(call("mknod", &[s(&p("fifo")).p(), 0o010_644, 0]), Ok(0));
    assert_eq!(stat(&p("fifo")).unwrap().st_mode, 0o010_644);
    assert_eq!(open(&p("fifo"), RDONLY, 0), Err("ENXIO"));
    for n in ["fifo", "b", "l", "dangling", "d/f"] {
        assert_eq!(one("unlink", &p(n)), Ok(0), "{n}");
    }
    assert_eq!(one("rmdir", &p("d")), Ok(0));
    assert!(ls(dir).is_empty());
}

#[test]
fn tmpfs_battery() {
    let _g = enter();
    mkdir("/tmp/t1");
    battery("/tmp/t1");
}

#[test]
fn overlay_battery() {
    let _g = enter();
    mkdir("/new");
    battery("/new");
}

#[test]
fn volume_battery() {
    let _g = enter();
    mkdir("/vol/v1");
    battery("/vol/v1");
}

#[test]
fn overlay_layers() {
    let _g = enter();
    assert_eq!(text("/etc/passwd"), "root:x:0:0\n");
    assert_eq!(text("/link"), "root:x:0:0\n");
    assert_eq!(text("/abs/sub/deep"), "deep\n");
    assert_eq!(stat("/loop1").err(), Some("ELOOP"));
    let before = stat("/etc/passwd").unwrap();
    let held = open("/etc/passwd", RDONLY, 0).unwrap();
    let fd = open("/etc/passwd", WRONLY | APPEND, 0).unwrap();
    write(fd, b"user:x:1:1\n").unwrap();
    close(fd);
    assert_eq!(text("/etc/passwd"), "root:x:0:0\nuser:x:1:1\n");
    assert_eq!(stat("/etc/passwd").unwrap().st_ino, before.st_ino);
    // Opened before the copy: the lower file (as overlayfs(5) warns).
    assert_eq!(read(held, 100).unwrap(), b"root:x:0:0\n");
    close(held);
    // Directories of the lower layer move with all that is in them.
    assert_eq!(two("rename", "/etc/sub", "/moved"), Ok(0));
    assert_eq!(text("/moved/deep"), "deep\n");
    assert_eq!(stat("/etc/sub").err(), Some("ENOENT"));
    assert_eq!(ls("/etc"), ["passwd"]);
    assert_eq!(one("unlink", "/moved/deep"), Ok(0));
    assert!(ls("/moved").is_empty());
    assert_eq!(one("rmdir", "/moved"), Ok(0));
    // A removed lower directory made anew is empty.
    mkdir("/etc/sub");
    assert!(ls("/etc/sub").is_empty());
    let fd = open("/big", RDWR, 0).unwrap();
    assert_eq!(call("pwrite64", &[fd, b"x".as_ptr() as u64, 1, 150_000]), Ok(1));
    close(fd);
    let big = cat("/big").unwrap();
    assert_eq!((big.len(), big[149_999], big[150_000], big[150_001]), (300_000, 7, b'x', 7));
    assert_eq!(std::fs::read(common::lower_path().join("big")).unwrap(), vec![7u8; 300_000]);
}

#[test]
fn sparse_files_and_fallocate() {
    let _g = enter();
    let fd = open("/tmp/sparse", RDWR | CREAT, 0o600).unwrap();
    assert_eq!(call("pwrite64", &[fd, b"end".as_ptr() as u64, 3, 1 << 30]), Ok(3));
    let st = stat("/tmp/sparse").unwrap();
    assert_eq!((st.st_size, st.st_blocks), ((1 << 30) + 3, 8));
    assert_eq!(call("lseek", &[fd, 0, 3]), Ok(1 << 30));
    assert_eq!(call("lseek", &[fd, 0, 4]), Ok(0));
    assert_eq!(call("lseek", &[fd, 1 << 30, 4]), Ok((1 << 30) + 3));
    assert_eq!(call("lseek", &[fd, 2 << 30, 3]), Err("ENXIO"));
    assert_eq!(call("fallocate", &[fd, 0, 0, 10 << 12]), Ok(0));
    assert_eq!(stat("/tmp/sparse").unwrap().st_blocks, 88);
    assert_eq!(call("fallocate", &[fd, 3, 4096, 4096]), Ok(0));
    assert_eq!(stat("/tmp/sparse").unwrap().st_blocks, 80);
    assert_eq!(call("lseek", &[fd, 0, 4]), Ok(4096));
    assert_eq!(call("fallocate", &[fd, 0, 0, 1 << 40]), Err("ENOSPC"));
    close(fd);
    one("unlink", "/tmp/sparse").unwrap();
}

#[test]
fn freed_frames_read_as_zeros() {
    let _g = enter();
    let before = core_::ram::usage().1;
    for round in 0..20 {
        put("/tmp/secret", &vec![0x55u8; 50_000]);
        one("unlink", "/tmp/secret").unwrap();
        let fd = open("/tmp/fresh", RDWR | CREAT | TRUNC, 0o600).unwrap();
        // Small writes into reused frames, with holes between them.
        for at in [10u64, 5000, 20_000] {
            assert_eq!(call("pwrite64", &[fd, b"ab".as_ptr() as u64, 2, at]), Ok(2));
        }
        assert_eq!(call("fallocate", &[fd, 0, 40_000, 9000]), Ok(0));
        close(fd);
        let data = cat("/tmp/fresh").unwrap();
        let set: Vec<usize> = (0..data.len()).filter(|i| data[*i] != 0).collect();
        assert_eq!(set, [10, 11, 5000, 5001, 20_000, 20_001], "round {round}");
        one("unlink", "/tmp/fresh").unwrap();
    }
    assert_eq!(core_::ram::usage().1, before);
}

#[test]
fn large_files_copy_in_and_out() {
    let _g = enter();
    let data: Vec<u8> = (0..3_000_000u32).map(|i| ((i * 7) >> 3) as u8).collect();
    put("/tmp/large", &data);
    let fd = open("/tmp/large", RDWR, 0).unwrap();
    // Often enough to change from host calls to the window.
    for _ in 0..5 {
        let mut got = vec![0u8; data.len()];
        assert_eq!(call("pread64", &[fd, got.as_mut_ptr() as u64, got.len() as u64, 0]), Ok(data.len() as i64));
        assert!(got == data);
        assert_eq!(call("pwrite64", &[fd, data.as_ptr() as u64, data.len() as u64, 0]), Ok(data.len() as i64));
    }
    let mut a = [0u8; 10];
    let mut b = [0u8; 5000];
    let iov = [a.as_mut_ptr() as u64, 10, b.as_mut_ptr() as u64, 5000];
    assert_eq!(call("preadv", &[fd, iov.as_ptr() as u64, 2, 4090, 0]), Ok(5010));
    assert!(a == data[4090..4100] && b == data[4100..9100]);
    // Bad addresses: EFAULT, or what was copied before.
    assert_eq!(call("read", &[fd, 0x7000_0000, 100]), Err("EFAULT"));
    assert_eq!(call("read", &[fd, abi::layout::RAM_WINDOW, 100]), Err("EFAULT"));
    let out = open("/tmp/copy", RDWR | CREAT, 0o600).unwrap();
    assert_eq!(call("copy_file_range", &[fd, 0, out, 0, 1 << 30, 0]), Ok(data.len() as i64));
    assert!(cat("/tmp/copy").unwrap() == data);
    close(out);
    close(fd);
    one("unlink", "/tmp/large").unwrap();
    one("unlink", "/tmp/copy").unwrap();
}

#[test]
fn disk_full() {
    let _g = enter();
    let fd = open("/tmp/full", WRONLY | CREAT, 0o600).unwrap();
    let block = vec![1u8; 1 << 20];
    let mut total = 0;
    let e = loop {
        match write(fd, &block) {
            Ok(n) => total += n,
            Err(e) => break e,
        }
        assert!(total <= common::RAM as i64);
    };
    assert_eq!(e, "ENOSPC");
    close(fd);
    one("unlink", "/tmp/full").unwrap();
    put("/tmp/ok", b"again");
    one("unlink", "/tmp/ok").unwrap();
}

#[test]
fn permissions() {
    let _g = enter();
    put("/tmp/mine", b"x");
    mkdir("/tmp/locked");
    call("chmod", &[s("/tmp/locked").p(), 0o700]).unwrap();
    put("/tmp/locked/in", b"x");
    let me = core_::current();
    me.set_cred(std::sync::Arc::new(core_::task::Cred::user(1000, 1000, vec![])));
    assert_eq!(open("/tmp/mine", RDWR, 0), Err("EACCES"));
    assert_eq!(stat("/tmp/locked/in").err(), Some("EACCES"));
    // The sticky bit of /tmp.
    assert_eq!(one("unlink", "/tmp/mine"), Err("EPERM"));
    assert_eq!(call("chmod", &[s("/tmp/mine").p(), 0o777]), Err("EPERM"));
    assert_eq!(call("chown", &[s("/tmp/mine").p(), 1000, 1000]), Err("EPERM"));
    assert_eq!(call("mkdir", &[s("/etc/x").p(), 0o755]), Err("EACCES"));
    put("/tmp/own", b"x");
    assert_eq!(stat("/tmp/own").unwrap().st_uid, 1000);
    assert_eq!(one("unlink", "/tmp/own"), Ok(0));
    assert_eq!(call("chroot", &[s("/tmp").p()]), Err("EPERM"));
    me.set_cred(std::sync::Arc::new(core_::task::Cred::user(0, 0, vec![])));
    for n in ["/tmp/mine", "/tmp/locked/in"] {
        one("unlink", n).unwrap();
    }
    one("rmdir", "/tmp/locked").unwrap();
}

#[test]
fn working_directory_and_dot_dot() {
    let _g = enter();
    mkdir("/tmp/w");
    mkdir("/tmp/w/x");
    one("chdir", "/tmp/w/x").unwrap();
    let cwd = || {
        let mut buf = [0u8; 100];
        let n = call("getcwd", &[buf.as_mut_ptr() as u64, 100])?;
        Ok::<_, &str>(String::from_utf8(buf[..n as usize - 1].to_vec()).unwrap())
    };
    assert_eq!(cwd().unwrap(), "/tmp/w/x");
    assert!(stat("../../..//etc").is_ok());
    assert!(stat("../x/").is_ok());
    two("rename", "/tmp/w", "/tmp/w2").unwrap();
    assert_eq!(cwd().unwrap(), "/tmp/w2/x");
    one("rmdir", "/tmp/w2/x").unwrap();
    assert_eq!(cwd(), Err("ENOENT"));
    assert_eq!(open("new", WRONLY | CREAT, 0o600), Err("ENOENT"));
    assert_eq!(one("rmdir", "/tmp/w2"), Ok(0));
}

#[test]
fn openat2_stays_inside() {
    let _g = enter();
    mkdir("/tmp/box");
    put("/tmp/box/f", b"x");
    two("symlink", "/etc/passwd", "/tmp/box/out").unwrap();
    two("symlink", "f", "/tmp/box/in").unwrap();
    let dir = open("/tmp/box", RDONLY | DIRECTORY, 0).unwrap();
    let open2 = |path: &str, resolve: u64| {
        let how = [0u64, 0, resolve];
        let r = call("openat2", &[dir, s(path).p(), how.as_ptr() as u64, 24]);
        if let Ok(fd) = r {
            close(fd as u64);
        }
        r.map(drop)
    };
    assert_eq!(open2("f", 8), Ok(()));
    assert_eq!(open2("in", 8), Ok(()));
    assert_eq!(open2("in", 4), Err("ELOOP"));
    assert_eq!(open2("out", 8), Err("EXDEV"));
    assert_eq!(open2("../x", 8), Err("EXDEV"));
    assert_eq!(open2("/etc/passwd", 8), Err("EXDEV"));
    assert_eq!(open2("../../f", 16), Ok(()));
    assert_eq!(open2("out", 16), Err("ENOENT"));
    assert_eq!(open2("f", 64), Err("EINVAL"));
    close(dir);
    for n in ["f", "out", "in"] {
        one("unlink", &format!("/tmp/box/{n}")).unwrap();
    }
    one("rmdir", "/tmp/box").unwrap();
}

#[test]
fn tmpfile_and_memfd() {
    let _g = enter();
    let fd = open("/tmp", RDWR | TMPFILE, 0o600).unwrap();
    write(fd, b"nameless").unwrap();
    let link = s(&format!("/proc/self/fd/{fd}"));
    assert_eq!(call("linkat", &[AT_FDCWD, link.p(), AT_FDCWD, s("/tmp/named").p(), 0x400]), Ok(0));
    assert_eq!(text("/tmp/named"), "nameless");
    assert_eq!(stat("/tmp/named").unwrap().st_nlink, 1);
    one("unlink", "/tmp/named").unwrap();
    close(fd);
    let m = call("memfd_create", &[s("box").p(), 2]).unwrap() as u64;
    write(m, b"sealed").unwrap();
    let mut buf = [0u8; 64];
    let n = call("readlink", &[s(&format!("/proc/self/fd/{m}")).p(), buf.as_mut_ptr() as u64, 64]).unwrap();
    assert_eq!(&buf[..n as usize], b"/memfd:box (deleted)");
    assert_eq!(call("fcntl", &[m, 1033, 2 | 4 | 8]), Ok(0));
    assert_eq!(call("fcntl", &[m, 1034]), Ok(14));
    assert_eq!(write(m, b"x"), Err("EPERM"));
    assert_eq!(call("ftruncate", &[m, 0]), Err("EPERM"));
    // Opening through /proc gives a description of its own.
    assert_eq!(cat(&format!("/proc/self/fd/{m}")).unwrap(), b"sealed");
    close(m);
}

#[test]
fn extended_attributes() {
    let _g = enter();
    put("/tmp/x", b"");
    let (path, name) = (s("/tmp/x"), s("user.k"));
    assert_eq!(call("setxattr", &[path.p(), name.p(), b"val".as_ptr() as u64, 3, 0]), Ok(0));
    assert_eq!(call("setxattr", &[path.p(), name.p(), b"val".as_ptr() as u64, 3, 1]), Err("EEXIST"));
    assert_eq!(call("getxattr", &[path.p(), name.p(), 0, 0]), Ok(3));
    let mut buf = [0u8; 16];
    assert_eq!(call("getxattr", &[path.p(), name.p(), buf.as_mut_ptr() as u64, 2]), Err("ERANGE"));
    assert_eq!(call("listxattr", &[path.p(), buf.as_mut_ptr() as u64, 16]), Ok(7));
    assert_eq!(&buf[..7], b"user.k\0");
    assert_eq!(call("removexattr", &[path.p(), name.p()]), Ok(0));
    assert_eq!(call("getxattr", &[path.p(), name.p(), 0, 0]), Err("ENODATA"));
    one("unlink", "/tmp/x").unwrap();
}

#[test]
fn locks_conflict_and_go_with_their_owner() {
    let _g = enter();
    put("/tmp/lock", b"0123456789");
    let a = open("/tmp/lock", RDWR, 0).unwrap();
    let b = open("/tmp/lock", RDWR, 0).unwrap();
    assert_eq!(call("flock", &[a, 2]), Ok(0));
    assert_eq!(call("flock", &[b, 1 | 4]), Err("EAGAIN"));
    assert_eq!(call("flock", &[a, 8]), Ok(0));
    assert_eq!(call("flock", &[b, 1 | 4]), Ok(0));
    // Open-file-description locks: 36..38. struct flock: type, whence, start, len, pid.
    let fl = |kind: u16, start: u64, len: u64| [u64::from(kind), start, len, 0];
    let w = fl(1, 2, 3);
    assert_eq!(call("fcntl", &[a, 37, w.as_ptr() as u64]), Ok(0));
    let r = fl(0, 4, 10);
    assert_eq!(call("fcntl", &[b, 37, r.as_ptr() as u64]), Err("EAGAIN"));
    let ask = fl(0, 0, 0);
    assert_eq!(call("fcntl", &[b, 36, ask.as_ptr() as u64]), Ok(0));
    let got = unsafe_free_read(&ask);
    assert_eq!((got[0] & 0xffff, got[1], got[2], got[3] as i32), (1, 2, 3, -1));
    close(a);
    assert_eq!(call("fcntl", &[b, 37, r.as_ptr() as u64]), Ok(0));
    close(b);
    one("unlink", "/tmp/lock").unwrap();
}

/// The handler wrote behind the compiler's back.
fn unsafe_free_read(v: &[u64; 4]) -> [u64; 4] {
    std::hint::black_box(*std::hint::black_box(v))
}

#[test]
fn descriptors() {
    let _g = enter();
    put("/tmp/d", b"abcdef");
    let a = open("/tmp/d", RDONLY, 0).unwrap();
    let b = call("dup", &[a]).unwrap() as u64;
    assert_eq!(read(a, 2).unwrap(), b"ab");
    assert_eq!(read(b, 2).unwrap(), b"cd");
    assert_eq!(call("dup2", &[a, 50]), Ok(50));
    assert_eq!(call("fcntl", &[a, 1030, 60]), Ok(60));
    assert_eq!(call("fcntl", &[60, 1]), Ok(1));
    assert_eq!(call("close_range", &[40, 70, 0]), Ok(0));
    assert_eq!(call("close", &[50]), Err("EBADF"));
    assert_eq!(write(a, b"x"), Err("EBADF"));
    let info = text(&format!("/proc/self/fdinfo/{a}"));
    assert!(info.starts_with("pos:\t4\nflags:\t0100000\n"), "{info}");
    close(a);
    close(b);
    one("unlink", "/tmp/d").unwrap();
}

#[test]
fn devices() {
    let _g = enter();
    let fd = open("/dev/null", RDWR, 0).unwrap();
    assert_eq!(write(fd, b"gone"), Ok(4));
    assert!(read(fd, 10).unwrap().is_empty());
    close(fd);
    let fd = open("/dev/zero", RDONLY, 0).unwrap();
    assert_eq!(read(fd, 5000).unwrap(), vec![0u8; 5000]);
    close(fd);
    let fd = open("/dev/full", WRONLY, 0).unwrap();
    assert_eq!(write(fd, b"x"), Err("ENOSPC"));
    close(fd);
    let fd = open("/dev/urandom", RDONLY, 0).unwrap();
    assert_ne!(read(fd, 64).unwrap(), read(fd, 64).unwrap());
    close(fd);
    let st = stat("/dev/null").unwrap();
    assert_eq!((st.st_mode, st.st_rdev), (0o020_666, 0x103));
    assert!(ls("/dev").contains(&"shm".to_string()));
}

#[test]
fn proc_files() {
    let _g = enter();
    assert!(ls("/proc").contains(&"1".to_string()));
    assert!(text("/proc/self/status").contains("Pid:\t1\n"));
    let stat_line = text("/proc/1/stat");
    assert!(stat_line.starts_with("1 (test) "), "{stat_line}");
    assert_eq!(stat_line.split(' ').count(), 52);
    assert!(text("/proc/meminfo").starts_with("MemTotal:          65536 kB\n"));
    assert!(text("/proc/mounts").contains("tmpfs /tmp tmpfs rw,relatime,size=65536k 0 0\n"));
    assert!(text("/proc/mounts").starts_with("overlay / overlay rw"));
    assert_eq!(text("/proc/sys/kernel/pid_max"), "32768\n");
    assert_eq!(stat("/proc/77").err(), Some("ENOENT"));
    for n in ls("/proc/self") {
        let path = format!("/proc/self/{n}");
        // Regular ones that their owner may read; what is about memory as a whole wants a process that has some.
        if stat_by("lstat", &path).unwrap().st_mode & 0o170_400 == 0o100_400 && n != "smaps_rollup" {
            cat(&path).unwrap();
        }
    }
    for n in ls("/proc") {
        if stat_by("lstat", &format!("/proc/{n}")).unwrap().st_mode & 0o170_000 == 0o100_000 {
            cat(&format!("/proc/{n}")).unwrap();
        }
    }
    let mut buf = [0u8; 64];
    let n = call("readlink", &[s("/proc/self/cwd").p(), buf.as_mut_ptr() as u64, 64]).unwrap();
    assert_eq!(&buf[..n as usize], b"/");
    assert!(stat("/proc/self/cwd/etc").is_ok());
    assert_eq!(text("/proc/self/task/1/comm"), "test\n");
    assert_eq!(text("/sys/devices/system/cpu/online"), "0\n");
    put("/proc/self/comm", b"renamed\n");
    assert_eq!(text("/proc/thread-self/comm"), "renamed\n");
    put("/proc/self/comm", b"test\n");
}

#[test]
fn deep_trees_need_no_stack() {
    let _g = enter();
    mkdir("/tmp/deep");
    one("chdir", "/tmp/deep").unwrap();
    for _ in 0..5000 {
        mkdir("d");
        one("chdir", "d").unwrap();
    }
    one("chdir", "/").unwrap();
    // Comes down one by one, as rm -r with openat does.
    let mut fds = vec![open("/tmp/deep", RDONLY, 0).unwrap()];
    for _ in 0..900 {
        let top = *fds.last().unwrap();
        fds.push(call("openat", &[top, s("d").p(), RDONLY]).unwrap() as u64);
    }
    for fd in fds {
        close(fd);
    }
    two("rename", "/tmp/deep", "/tmp/deep2").unwrap();
}

/// Warm times, to be compared with the host's: `cargo test --release -- --ignored --nocapture warm`.
#[test]
#[ignore = "a measurement"]
fn warm() {
    let _g = enter();
    let time = |name: &str, n: u32, mut f: Box<dyn FnMut()>| {
        f();
        let t = std::time::Instant::now();
        for _ in 0..n {
            f();
        }
        println!("{name}: {} ns", t.elapsed().as_nanos() / u128::from(n));
    };
    mkdir("/tmp/a");
    mkdir("/tmp/a/b");
    put("/tmp/a/b/file", &[1; 4096]);
    let path = s("/tmp/a/b/file");
    let lower = s("/etc/passwd");
    let mut st: abi::linux::stat = core_::uaccess::zeroed();
    let (p, l, to) = (path.p(), lower.p(), &raw mut st as u64);
    let (os, oc) = (path_call("stat"), path_call("open"));
    time("stat /tmp/a/b/file", 200_000, Box::new(move || assert!(os(&[p, to]).is_ok())));
    time("stat /etc/passwd", 200_000, Box::new(move || assert!(os(&[l, to]).is_ok())));
    let cl = path_call("close");
    time("open+close /tmp/a/b/file", 200_000, Box::new(move || assert!(cl(&[oc(&[p, 0, 0]).unwrap() as u64]).is_ok())));
    time("open+close /etc/passwd", 200_000, Box::new(move || assert!(cl(&[oc(&[l, 0, 0]).unwrap() as u64]).is_ok())));
    let fd = open("/tmp/a/b/file", RDWR, 0).unwrap();
    let (fs, pr, pw, se) = (path_call("fstat"), path_call("pread64"), path_call("pwrite64"), path_call("lseek"));
    time("fstat", 200_000, Box::new(move || assert!(fs(&[fd, to]).is_ok())));
    time("lseek", 200_000, Box::new(move || assert!(se(&[fd, 0, 0]).is_ok())));
    let mut buf = vec![0u8; 1 << 20];
    let b = buf.as_mut_ptr() as u64;
    time("pread 4 KiB", 100_000, Box::new(move || assert_eq!(pr(&[fd, b, 4096, 0]), Ok(4096))));
    time("pwrite 4 KiB", 100_000, Box::new(move || assert_eq!(pw(&[fd, b, 4096, 0]), Ok(4096))));
    put("/tmp/a/b/mega", &vec![1; 1 << 20]);
    let fd = open("/tmp/a/b/mega", RDWR, 0).unwrap();
    time("pread 1 MiB", 500, Box::new(move || assert_eq!(pr(&[fd, b, 1 << 20, 0]), Ok(1 << 20))));
    time("pwrite 1 MiB", 500, Box::new(move || assert_eq!(pw(&[fd, b, 1 << 20, 0]), Ok(1 << 20))));
    let zero = open("/dev/zero", RDONLY, 0).unwrap();
    let rd = path_call("read");
    time("read 1 B of /dev/zero", 200_000, Box::new(move || assert_eq!(rd(&[zero, b, 1]), Ok(1))));
    drop(buf);
    host_times();
}

/// The same on the host.
fn host_times() {
    use std::os::unix::fs::FileExt;
    let dir = std::path::Path::new("/dev/shm/lodger-files-test");
    std::fs::create_dir_all(dir).unwrap();
    let path = dir.join("file");
    std::fs::write(&path, vec![1u8; 1 << 20]).unwrap();
    let time = |name: &str, n: u32, f: &mut dyn FnMut()| {
        f();
        let t = std::time::Instant::now();
        for _ in 0..n {
            f();
        }
        println!("host {name}: {} ns", t.elapsed().as_nanos() / u128::from(n));
    };
    time("stat (4 components)", 200_000, &mut || assert!(std::fs::metadata(&path).is_ok()));
    time("stat /etc/passwd", 200_000, &mut || assert!(std::fs::metadata("/etc/passwd").is_ok()));
    time("open+close", 200_000, &mut || drop(std::fs::File::open(&path).unwrap()));
    let f = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let mut buf = vec![0u8; 1 << 20];
    time("fstat", 200_000, &mut || assert!(f.metadata().is_ok()));
    time("pread 4 KiB", 100_000, &mut || assert!(f.read_at(&mut buf[..4096], 0).unwrap() > 0));
    time("pwrite 4 KiB", 100_000, &mut || assert!(f.write_at(&buf[..4096], 0).unwrap() > 0));
    time("pread 1 MiB", 500, &mut || assert!(f.read_at(&mut buf, 0).unwrap() > 0));
    time("pwrite 1 MiB", 500, &mut || assert!(f.write_at(&buf, 0).unwrap() > 0));
    std::fs::remove_dir_all(dir).unwrap();
}

type Direct = dyn Fn(&[u64]) -> Result<i64, core_::Errno>;

/// A handler without the search by name.
fn path_call(name: &str) -> &'static Direct {
    let h = syscalls::CALLS.iter().find(|c| c.name == name).unwrap().handler;
    Box::leak(Box::new(move |args: &[u64]| {
        let mut a = [0; 6];
        a[..args.len()].copy_from_slice(args);
        h(&syscalls::Args(a))
    }))
}
