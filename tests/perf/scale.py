"""Processor time and memory of the end of a curation by number of clips, with made-up sources of real shape.

    python tests/perf/scale.py [--sizes 1000,10000,100000] [--exact 1000] [--svg FILE]

A source has one clip of 50 hashes of the picture and of the person. Hashes change by 3 % from one to the
next; 100 sources share a studio, and the hashes of two of them differ in about 12 % of the bits; every 20th
source is a copy, re-encoded, later, and half of the copies are mirrored. Each size runs in a process of its
own. `--exact` adds the search of all against all up to that size.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path[0] = str(Path(__file__).parents[2])  # curation.py beside this file is not the package

from curation.config import load_config  # noqa: E402
from curation.dataset import dedup  # noqa: E402
from curation.dataset.dedup import find_duplicates, mirrored  # noqa: E402
from curation.dataset.export import _rows, _write_config  # noqa: E402
from curation.dataset.leakage import find_leakage  # noqa: E402
from curation.dataset.persons import groups_of  # noqa: E402
from curation.records import ClipRecord, SourceRecord  # noqa: E402
from curation.store import Store  # noqa: E402

HASHES = 50
STUDIO, STEP, ROOM = 100, 0.03, 0.064
COPY_EVERY = 20


def looks(number: int, salt: int) -> np.ndarray:
    """Bits of the hashes of a source, uint8 (HASHES + 10, 256)."""
    room = np.random.default_rng([salt, number // STUDIO]).integers(0, 2, 256).astype(np.uint8)
    rng = np.random.default_rng([salt, number, 1])
    start = room ^ (rng.random(256) < ROOM)
    steps = (rng.random((HASHES + 10, 256)) < STEP).astype(np.uint8)
    return np.asarray(start ^ (np.cumsum(steps, axis=0) & 1), np.uint8)


def shown(number: int, salt: int) -> tuple[str, ...]:
    """Hashes of a source or of a copy, in hex."""
    original, copied = (number - COPY_EVERY // 2, True) if number % COPY_EVERY == 11 else (number, False)
    bits = looks(original, salt)
    if copied:
        bits = bits[7:] ^ (np.random.default_rng([salt, number]).random((HASHES + 3, 256)) < 0.015)
        bits = mirrored(bits) if number % 2 * (number // COPY_EVERY) % 2 else bits
    packed = np.packbits(bits[:HASHES].astype(np.uint8), axis=1)
    return tuple(row.tobytes().hex() for row in packed)


def record(number: int) -> SourceRecord:
    """A source with a clip."""
    rng = np.random.default_rng(number)
    clip = ClipRecord.model_construct(
        clip_id=f"{rng.integers(1 << 62):016x}",
        start_pts=0,
        end_pts=5000,
        time_base_num=1,
        time_base_den=1000,
        start_s=0.0,
        end_s=5.0,
        fps=25.0,
        width=512,
        height=512,
        num_frames=125,
        crop_xyxy=(0.0, 0.0, 1.0, 1.0),
        scores={"brightness": 90.0},
        sha256="ab" * 32,
        phash=rng.bytes(256).hex(),
        num_bytes=1_000_000,
        looks=shown(number, 1),
        person_looks=shown(number, 2),
        face=None,
        person_id=None,
    )
    return SourceRecord.model_construct(
        source="file",
        source_id=f"{number:016x}",
        name=f"{number}.mp4",
        source_sha256="cd" * 32,
        recipe="r" * 16,
        config_hash="c" * 64,
        tool_versions={"tool": "1"},
        error=None,
        clips=(clip,),
        uploader_id=f"channel {number // STUDIO}",
    )


def measure(size: int, exact: bool) -> dict[str, Any]:
    """Processor seconds of each step, and the peak of the memory in MB."""
    seconds: dict[str, float] = {}

    def timed(name: str, step: Callable[[], Any]) -> Any:
        begun = time.process_time()
        result = step()
        seconds[name] = time.process_time() - begun
        return result

    records = timed("made up", lambda: [record(number) for number in range(size)])
    settings = load_config().export
    if exact:
        chosen, dedup._candidates = dedup._candidates, dedup.all_candidates
        expected = timed("all against all", lambda: find_duplicates(records, settings.duplicates))
        dedup._candidates = chosen
    duplicates = timed("duplicates", lambda: find_duplicates(records, settings.duplicates))
    if exact:
        assert duplicates == expected
    groups = timed("groups", lambda: groups_of(records, {}, duplicates))
    rows = timed("rows", lambda: _rows(records, settings, duplicates, {}, groups))
    timed("leakage", lambda: find_leakage(rows) if len(rows) <= 20_000 else None)
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        timed("manifest", lambda: _write_config(store, Path(folder) / "staged", "manifest", rows, settings))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"clips": size, "duplicates": len(duplicates), "seconds": seconds, "peak_mb": round(peak)}


def plot(results: list[dict[str, Any]], path: Path) -> None:
    """Write a log-log plot of seconds by clips."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for name in dict.fromkeys(name for one in results for name in one["seconds"]):
        points = [
            (one["clips"], one["seconds"][name]) for one in results if one["seconds"].get(name, 0) > 0.01
        ]
        if len(points) > 1:
            axes.loglog(*zip(*points, strict=True), marker="o", label=name)
    axes.set(xlabel="clips", ylabel="processor seconds")
    axes.legend(fontsize="small")
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Print one line per size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="1000,10000,100000")
    parser.add_argument("--exact", type=int, default=1000)
    parser.add_argument("--svg", type=Path)
    parser.add_argument("--one", type=int)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(given.one, given.one <= given.exact)))
        return
    results = []
    for size in map(int, given.sizes.split(",")):
        command = [sys.executable, __file__, "--one", str(size), "--exact", str(given.exact)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        results.append(json.loads(done.stdout))
        print(results[-1], flush=True)
    for name in results[0]["seconds"]:
        points = [(one["clips"], one["seconds"][name]) for one in results if name in one["seconds"]]
        (low, first), (high, last) = points[0], points[-1]
        if high > low and first > 0.01:
            print(f"{name:12} slope {np.log(last / first) / np.log(high / low):.2f}")
    if given.svg:
        plot(results, given.svg)


if __name__ == "__main__":
    main()
