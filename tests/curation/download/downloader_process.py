"""Runs of the acquisition in processes that a test can kill: one a line, forked from a warm parent."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from fake_tube import FakeTubeIE

from curation import orchestrator
from curation.download.downloader import Downloader, open_ledger
from curation.download.machines import parse_shard
from curation.download.settings import DownloadSettings
from curation.download.source_list import parse_address
from curation.download.together import Together
from curation.download.ytdlp_client import Access


def acquire(out: Path, settings: DownloadSettings, together: dict[str, Any] | None) -> None:
    """Do what the ledger says is left, or as one machine of a run what is its part of a list."""
    if together is not None:
        place = Together(
            parse_shard(together["shard"]),
            ("127.0.0.1", together["port"]),
            together["serves"],
            together["secret"].encode(),
        )
        wanted = [parse_address(name) for name in together["wanted"]]
        orchestrator.fetch(wanted, out, settings, Access(), together=place, extractors=[FakeTubeIE])
        return
    with open_ledger(out, settings) as ledger:
        Downloader(out, ledger, settings, Access(), extractors=[FakeTubeIE]).run()


def main() -> None:
    """Read `{"out": ..., "settings": ..., "together": ...}`; say the process id, then its exit code."""
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            # A group of its own, so that nothing of it outlives a kill.
            os.setsid()
            try:
                settings = DownloadSettings.model_validate(order["settings"])
                acquire(Path(order["out"]), settings, order.get("together"))
            except BaseException as error:
                print(f"{type(error).__name__}: {error}", file=sys.stderr)
                os._exit(1)
            os._exit(0)
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
