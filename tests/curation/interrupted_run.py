"""`tp-curate` with stand-ins for the models, as a program that a test can stop."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from fake_detectors import FAKE

import curation.run
from curation.cli.app import main

if __name__ == "__main__":
    curation.run.detectors_of = lambda pose: FAKE
    main()
