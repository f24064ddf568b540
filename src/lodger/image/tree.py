"""The pieces of a guest's file tree."""

from __future__ import annotations

from lodger._record import record

OVERLAY, HOST_RO, HOST_RW, TMPFS, PROC, DEV, SYS = (
    "overlay", "host-ro", "host-rw", "tmpfs", "proc", "dev", "sys",
)  # fmt: skip
DIRECTORY, FILE, SYMLINK = "directory", "file", "symlink"


@record(frozen=True)
class Mount:
    """Something mounted at ``target``; ``source`` is a host directory for overlay and host-*.

    An overlay without a source has nothing beneath; one whose target lies in another becomes part of that."""

    kind: str
    target: str
    source: str = ""

    @property
    def writable(self) -> bool:
        """Whether the guest may change the host's files."""
        return self.kind == HOST_RW

    @property
    def on_host(self) -> bool:
        """Whether ``source`` is a host directory."""
        return self.kind in (HOST_RO, HOST_RW) or (self.kind == OVERLAY and self.source != "")


@record(frozen=True)
class Node:
    """A directory, file or symbolic link made in the guest. A directory that exists gets mode and owner."""

    kind: str
    path: str
    mode: int = 0o755
    uid: int = 0
    gid: int = 0
    content: bytes = b""


Step = Mount | Node
