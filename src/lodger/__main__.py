"""``python -m lodger``."""

from __future__ import annotations

import sys

from lodger.cli.main import main

sys.exit(main())
