"""``python -m lodger``."""

from __future__ import annotations

from lodger.cli.main import script

script()
