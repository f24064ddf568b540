"""``rootfs=DIR``: any root file system in a directory, under a writable layer."""

from __future__ import annotations

import os

from lodger.image.hostroot import special_mounts
from lodger.image.tree import DIRECTORY, OVERLAY, TMPFS, Mount, Node

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lodger.image.tree import Step


def directory_root(path: str) -> list[Step]:
    """The steps that make the tree. /tmp is added only where the directory has none, not even a link: where that leads
    only the guest knows.
    """
    steps: list[Step] = [Mount(OVERLAY, "/", path), *special_mounts()]
    if not os.path.lexists(os.path.join(path, "tmp")):
        steps += [Mount(TMPFS, "/tmp", "tmpfs"), Node(DIRECTORY, "/tmp", 0o1777)]
    return steps
