"""Worker processes import the stand-ins by name, and a package called `tests` may be installed as well."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
