"""Time and size of a board of made-up runs.

    .venv/bin/python tests/perf/board.py [--runs 40] [--clips 200]

The documents are made up and believed, so the check of the runs is timed apart, on one run.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmark.results import Video, write_document
from benchmark.run_check import check_run

# An installed distribution may have a package `tests` too: this folder comes first.
sys.path.insert(0, str(Path(__file__).parents[2]))
import tests

tests.__path__ = [str(Path(__file__).parents[1]), *tests.__path__]

from tests.leaderboard.run_documents import (  # noqa: E402
    build_trusted,
    encode,
    make_case,
    make_run,
    write_frames,
)


def make_runs(folder: Path, runs: int, clips: int) -> None:
    """Write runs whose models differ; all clips share one small video per run."""
    rng = np.random.default_rng(0)
    names = ["ground-truth", "reencode", "frozen", *(f"model {number:02d}" for number in range(runs - 3))]
    for name in names:
        look = tuple(rng.uniform((18, 0.6, 1.5, 0.4, -0.05), (28, 0.9, 4, 0.6, 0)))
        look = look if name.startswith("model") else None
        run = make_run(name, look=look, n_cases=clips)
        place = folder / name.replace(" ", "-")
        for part in ("cases", "videos"):
            (place / part).mkdir(parents=True)
        write_document(run, place / "run.json")
        encode(place / "videos/first.mp4", hue=len(names), seconds=0.2, size=256)
        video = (place / "videos/first.mp4").read_bytes()
        digest = hashlib.sha256(video).hexdigest()
        for number, clip_id in enumerate(run.cases):
            write_frames(place, run, number % 19)
            (place / f"frames/{run.cases[number % 19]}.parquet").rename(place / f"frames/{clip_id}.parquet")
            (place / f"videos/{clip_id}.mp4").write_bytes(video)
            found = Video(path=f"videos/{clip_id}.mp4", sha256=digest)
            write_document(make_case(run, number, found), place / f"cases/{clip_id}.json")


def main() -> None:
    """Build the board and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--clips", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make_runs(root / "runs", options.runs, options.clips)
        begin, used = time.perf_counter(), time.process_time()
        report = build_trusted([root / "runs"], root / "site")
        wall, cpu = time.perf_counter() - begin, time.process_time() - used
        begin = time.process_time()
        check_run(root / "runs/model-00")
        print(
            f"{options.runs} runs x {options.clips} clips: built in {wall:.0f} s ({cpu:.0f} s of processor)"
        )
        print(f"check of one run: {time.process_time() - begin:.1f} s of processor")
        posters = sum(path.stat().st_size for path in (root / "site/media").glob("*.jpg"))
        size = sum(path.stat().st_size for path in (root / "site").rglob("*") if path.is_file())
        print(f"index.html {report.page_bytes:,} bytes, pictures {posters:,}, site {size:,} bytes")
        pages = sorted((root / "site/pages").iterdir(), key=lambda path: path.stat().st_size)
        print(f"largest page {pages[-1].name}: {pages[-1].stat().st_size:,} bytes, {len(pages)} pages")
        shutil.rmtree(root / "runs")


if __name__ == "__main__":
    main()
