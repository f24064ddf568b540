"""``rootfs="host"``: the host's programs without the host's state.

What goes in is a list below, not "everything but": system directories, the named part of /etc, and
the prefix of the running Python. Nobody's home, no /proc, /sys, /run, /var, no key or password.
"""

from __future__ import annotations

import os
import stat
import sys

from lodger.image.tree import DEV, DIRECTORY, FILE, OVERLAY, PROC, SYMLINK, SYS, TMPFS, Mount, Node

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator

    from lodger.image.tree import Step

SYSTEM_DIRECTORIES = ("/usr", "/opt")
#: Links into /usr on merged systems, directories on others.
MERGED = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")

#: Copied when they are there, are readable by everybody, and are not larger than this.
MAX_FILE = 96 * 1024
ETC_FILES = (
    "nsswitch.conf", "ld.so.cache", "ld.so.conf", "localtime", "timezone", "services", "protocols", "rpc",
    "networks", "host.conf", "gai.conf", "os-release", "debian_version", "debian_release", "redhat-release",
    "alpine-release", "lsb-release", "profile", "bash.bashrc", "bashrc", "inputrc", "mime.types", "shells",
    "login.defs", "locale.conf", "locale.alias", "magic", "magic.mime", "manpath.config", "environment",
    "issue", "papersize", "octave.conf", "nanorc", "screenrc", "tmux.conf", "ksh.kshrc", "mailcap",
    "ssl/openssl.cnf", "pki/tls/openssl.cnf",
)  # fmt: skip
#: Shown read-only under a writable layer when they are there. Never /etc/ssl/private and its like.
ETC_DIRECTORIES = (
    "alternatives", "ld.so.conf.d", "ssl/certs", "ca-certificates", "pki/tls/certs", "pki/ca-trust/extracted",
    "perl", "terminfo", "fonts", "profile.d", "bash_completion.d", "skel", "povray", "mono", "groff",
    "R", "texmf", "vim", "emacs", "php", "chromium.d", "dictionaries-common", "gtk-2.0", "gtk-3.0", "X11", "xdg", "gdb",
    "zsh", "fish", "erlang", "octave", "mercurial", "subversion", "sgml", "xml", "alsa", "OpenCL", "dconf", "dbus-1",
    "guile", "sane.d", "systemd/user",
)  # fmt: skip
ETC_PREFIXES = ("python", "java", "ImageMagick")

#: (path, mode) of directories that programs expect.
DIRECTORIES = (
    ("/etc", 0o755), ("/root", 0o700), ("/home", 0o755), ("/var", 0o755), ("/var/tmp", 0o1777),
    ("/var/lib", 0o755), ("/var/cache", 0o755), ("/var/log", 0o755), ("/var/spool", 0o755),
    ("/run", 0o755), ("/run/lock", 0o1777), ("/mnt", 0o755), ("/srv", 0o755), ("/media", 0o755),
)  # fmt: skip

#: PAM's rules for su and runuser (pam.conf(5)). The host's may ask for services and files that a guest has not:
#: in the guest nobody has a password, so root may become anybody, and nobody else may.
PAM_OTHER = b"""auth sufficient pam_rootok.so
auth required pam_deny.so
account required pam_permit.so
password required pam_deny.so
session required pam_permit.so
"""

FIRST_PERSON, NOBODY = 1000, 65534

_cache: dict[tuple[str, str | bytes], tuple[tuple[int, int, int], bytes]] = {}


def host_root(hostname: str) -> list[Step]:
    """The steps that make the tree, in order. Unreadable or missing pieces are left out."""
    steps: list[Step] = [Mount(OVERLAY, "/")]
    for path, mode in DIRECTORIES:
        steps.append(Node(DIRECTORY, path, mode))
    steps += (
        Node(SYMLINK, "/var/run", 0o777, content=b"/run"),
        Node(SYMLINK, "/var/lock", 0o777, content=b"/run/lock"),
    )
    for path in SYSTEM_DIRECTORIES:
        if os.path.isdir(path):
            steps.append(Mount(OVERLAY, path, path))
    for path in MERGED:
        try:
            steps.append(Node(SYMLINK, path, 0o777, content=os.fsencode(os.readlink(path))))
        except OSError:
            if os.path.isdir(path):
                steps.append(Mount(OVERLAY, path, path))
    # Before the interpreter, whose prefix may be in it.
    steps += (Mount(TMPFS, "/tmp", "tmpfs"), Node(DIRECTORY, "/tmp", 0o1777))
    for prefix in interpreter_prefixes():
        steps.append(Mount(OVERLAY, prefix, prefix))
    steps += _etc(hostname)
    return [*steps, *special_mounts()]


def special_mounts() -> list[Step]:
    """What every guest has: /proc, /dev, /sys."""
    return [Mount(PROC, "/proc", "proc"), Mount(DEV, "/dev", "devtmpfs"), Mount(SYS, "/sys", "sysfs")]


def interpreter_prefixes() -> list[str]:
    """Directories of the running Python that the system directories do not hold already.

    Only the prefix itself: for /home/ann/.pyenv/versions/3.12 nothing else of /home/ann is shown.
    A prefix that is a whole home or a system directory is refused by being left out.
    """
    found: list[str] = []
    for prefix in (sys.base_prefix, sys.base_exec_prefix, sys.prefix):
        for path in (os.path.realpath(prefix), os.path.abspath(prefix)):
            inside = any(path == d or path.startswith(d + "/") for d in (*SYSTEM_DIRECTORIES, *found))
            if inside or _too_wide(path) or not os.path.isdir(path):
                continue
            found.append(path)
    return found


def interpreter_path() -> list[str]:
    """Directories to put first in PATH so that ``python3`` is the running one."""
    found = []
    for prefix in (sys.prefix, sys.base_prefix):
        path = os.path.join(os.path.abspath(prefix), "bin")
        if not path.startswith(("/usr/", "/bin")) and path not in found and not _too_wide(os.path.dirname(path)):
            found.append(path)
    return found


def _too_wide(path: str) -> bool:
    # "/", a top directory such as /home or /etc, or somebody's whole home.
    return path.count("/") < 2 or path == os.path.expanduser("~") or os.path.dirname(path) == "/home"


def _etc(hostname: str) -> Iterator[Step]:
    passwd = _cached("/etc/passwd", "passwd", _system_entries) or b"root:x:0:0:root:/root:/bin/sh\n"
    yield _file("/etc/passwd", passwd)
    # What is kept of it depends on who is known.
    group = _cached("/etc/group", passwd, lambda text: _system_entries(text, _names(passwd)))
    yield _file("/etc/group", group or b"root:x:0:\n")
    name = hostname.encode()
    yield _file("/etc/hostname", name + b"\n")
    yield _file("/etc/hosts", b"127.0.0.1\tlocalhost\n127.0.1.1\t" + name + b"\n::1\tlocalhost ip6-localhost\n")
    yield _file("/etc/resolv.conf", b"")
    yield _file("/etc/pam.d/other", PAM_OTHER)
    yield Node(SYMLINK, "/etc/mtab", 0o777, content=b"/proc/self/mounts")
    for name_in_etc in ETC_FILES:
        step = _copied("/etc/" + name_in_etc)
        if step is not None:
            yield step
    directories = [f"/etc/{d}" for d in ETC_DIRECTORIES]
    try:
        entries = sorted(os.listdir("/etc"))
    except OSError:
        entries = []
    directories += [f"/etc/{e}" for e in entries if e.startswith(ETC_PREFIXES)]
    for path in directories:
        if os.path.isdir(path) and not os.path.islink(path):
            yield Mount(OVERLAY, path, path)


def _file(path: str, content: bytes) -> Node:
    return Node(FILE, path, 0o644, content=content)


def _copied(path: str) -> Node | None:
    """A link that leads to a shown place stays a link; a file is copied; anything else is left out."""
    try:
        target = os.readlink(path)
    except OSError:
        target = ""
    if target and os.path.realpath(path).startswith("/usr/"):
        return Node(SYMLINK, path, 0o777, content=os.fsencode(target))
    content = _cached(path, "copy", bytes)
    return None if content is None else _file(path, content)


def _cached(path: str, how: str | bytes, change: Callable[[bytes], bytes]) -> bytes | None:
    """A small, world-readable host file through ``change``; read again only when it was changed."""
    try:
        info = os.stat(path)
        if not stat.S_ISREG(info.st_mode) or info.st_size > MAX_FILE or not info.st_mode & stat.S_IROTH:
            return None
        key = (info.st_mtime_ns, info.st_size, info.st_ino)
        known = _cache.get((path, how))
        if known is not None and known[0] == key:
            return known[1]
        with open(path, "rb", buffering=0) as file:
            content = change(file.read(MAX_FILE))
    except OSError:
        return None
    _cache[path, how] = (key, content)
    return content


def _names(table: bytes) -> set[bytes]:
    return {line.partition(b":")[0] for line in table.splitlines()}


def _system_entries(text: bytes, users: Container[bytes] = ()) -> bytes:
    """The lines of passwd or group that belong to the system, groups with the members that are among ``users``: people
    of the host stay unknown.
    """
    kept = []
    for line in text.splitlines():
        parts = line.split(b":")
        if len(parts) < 4 or not parts[2].isdigit():
            continue
        number = int(parts[2])
        if number < FIRST_PERSON or number == NOBODY:
            if len(parts) == 4:
                parts[3] = b",".join(name for name in parts[3].split(b",") if name in users)
            kept.append(b":".join(parts))
    return b"\n".join(kept) + b"\n"
