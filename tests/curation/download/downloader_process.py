"""Downloads in processes that a test can kill, forked from a warm parent."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))


class DownloaderProcess:
    """Parent of downloader processes, which share its imports."""

    def __init__(self) -> None:
        self._parent = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def start(self, out: Path, settings: dict[str, Any], site: str, copies: int = 1) -> list[int]:
        """Start downloaders of everything in a ledger; returns their process ids."""
        order = {"out": str(out), "settings": settings, "site": site, "copies": copies}
        self._parent.stdin.write(json.dumps(order) + "\n")
        self._parent.stdin.flush()
        return json.loads(self._parent.stdout.readline())

    def wait(self) -> list[int]:
        """Wait for the downloaders; returns their exit codes."""
        return json.loads(self._parent.stdout.readline())

    def close(self) -> None:
        """End the parent."""
        self._parent.stdin.close()
        self._parent.wait()
        self._parent.stdout.close()


def main() -> None:
    """Serve orders from stdin."""
    import yt_dlp.extractor.extractors  # noqa: F401
    from fake_tube import FakeTubeIE

    import curation.download.ytdlp_client  # noqa: F401
    from curation.download.access import Access
    from curation.download.downloader import Downloader
    from curation.download.ledger import open_ledger
    from curation.download.settings import DownloadSettings

    def download(order: dict[str, Any]) -> None:
        os.environ["FAKE_TUBE"] = order["site"]
        out, settings = Path(order["out"]), DownloadSettings.model_validate(order["settings"])
        with open_ledger(out, settings) as ledger:
            Downloader(out, ledger, settings, Access(), extractors=[FakeTubeIE]).run()

    for line in sys.stdin:
        order = json.loads(line)
        children = []
        for _ in range(order["copies"]):
            child = os.fork()
            if child == 0:
                try:
                    download(order)
                except BaseException as error:
                    print(f"{type(error).__name__}: {error}", file=sys.stderr)
                    os._exit(1)
                os._exit(0)
            children.append(child)
        print(json.dumps(children), flush=True)
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        print(json.dumps(codes), flush=True)


if __name__ == "__main__":
    main()
