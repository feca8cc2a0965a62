"""`tp-curate run` with stand-ins for the models, as a program that a test can stop."""

from __future__ import annotations

import functools
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from fake_detectors import FAKE

import curation.orchestrator
import curation.run
from curation.cli.app import main

if __name__ == "__main__":
    curation.run.plan_only = functools.partial(curation.run.plan_only, detectors=FAKE)
    curation.orchestrator.fetch_and_curate = functools.partial(
        curation.orchestrator.fetch_and_curate, detectors=FAKE
    )
    main()
