"""Cost of the isolated mode: frames per second of contestants on tp-mini, in process and isolated.

    python tests/perf/isolation.py [--limit N] [--max-frames N] [--repeat N] [MODEL...]

Each model is run in both modes in turn; the best of the repetitions counts, because other work on the
machine only slows a run down. Printed are frames per second of wall-clock time and of processor time, both of
the whole run: the start of the contestant's process and its imports are included. On a machine with other
work only the processor time says something: each step waits twice for its turn.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

from benchmark.runner.evaluate import evaluate
from benchmark.runner.run_settings import RunSettings

CONTROLS = ("frozen", "ground-truth", "lag", "drift", "brightness", "flicker", "late-blur", "reencode")


def measured(model: str, in_process: bool, limit: int | None, max_frames: int | None) -> tuple[float, float]:
    """Frames per second of a run, by wall-clock time and by processor time of all its processes."""
    with tempfile.TemporaryDirectory() as out:
        settings = RunSettings(
            model=model,
            dataset="tp-mini",
            protocol="tp-mini@1",
            out=Path(out),
            device="cpu",
            limit=limit,
            max_frames=max_frames,
            in_process=in_process,
        )
        before, started = sum(os.times()[:4]), time.perf_counter()
        run = evaluate(settings)
        seconds, processor_s = time.perf_counter() - started, sum(os.times()[:4]) - before
    assert run.status == "complete"
    frames = run.metrics["ssim"].n_frames
    return frames / seconds, frames / processor_s


def main() -> None:
    """Print one line per model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=CONTROLS)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--max-frames", type=int)
    parser.add_argument("--repeat", type=int, default=3)
    given = parser.parse_args()
    print(f"{'':14}{'wall-clock, frames/s':>32}{'processor, frames/s':>38}")
    columns = ("in process", "isolated", "cost")
    print(f"{'model':14}" + "".join(f"{name:>14}" for name in (*columns, *columns)))
    measured("frozen", True, 1, 101)  # libraries and file caches
    for model in given.models:
        best = {False: (0.0, 0.0), True: (0.0, 0.0)}
        for _ in range(given.repeat):
            for mode in best:
                found = measured(model, mode, given.limit, given.max_frames)
                best[mode] = max(best[mode][0], found[0]), max(best[mode][1], found[1])
        cells = [
            (best[True][index], best[False][index], 1 - best[False][index] / best[True][index])
            for index in range(2)
        ]
        text = "".join(f"{one:14.1f}{other:14.1f}{cost:14.1%}" for one, other, cost in cells)
        print(f"{model:14}{text}", flush=True)


if __name__ == "__main__":
    main()
