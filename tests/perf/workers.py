"""Frames per second of `tp-eval --devices` by number of workers, with a model that sleeps as a GPU would.

    python tests/perf/workers.py [--sleep S] [--clips-each N] [--workers 1,2,4,8]

The rate is taken between 50 and 85 % of the frames, when all processes have started and none is out of work.
Linear is the rate of the first number of workers, per worker.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmark"))

import yaml
from drawn_clips import Drawn, row, video_bytes, write_dataset

from benchmark.protocols.protocol import load_protocol
from benchmark.runner.devices import same_device
from benchmark.runner.run_settings import RunSettings
from benchmark.runner.workers import evaluate_in_workers
from talkingpose.io.progress import Progress

FRAMES = 24


class _Times(Progress):
    """Time of each frame."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def advance(self, steps: int = 1) -> None:
        self.times += [time.perf_counter()] * steps


def rate(dataset: Path, protocol: Path, workers: int, clips: int, sleep: float, out: Path) -> float:
    """Frames per second in the middle of a run."""
    settings = RunSettings(
        model="sleeper:Sleeper",
        model_args={"sleep": str(sleep)},
        dataset=str(dataset),
        protocol=str(protocol),
        out=out,
        limit=clips,
        batch_size=1,
        device="cpu",
        in_process=True,
    )
    progress = _Times()
    run = evaluate_in_workers(settings, same_device("cpu", workers, ""), progress)
    assert run.status == "complete"
    first, last = (int(share * len(progress.times)) for share in (0.5, 0.85))
    return (last - first) / (progress.times[last] - progress.times[first])


def main() -> None:
    """Print one line per number of workers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sleep", type=float, default=0.5)
    parser.add_argument("--clips-each", type=int, default=6)
    parser.add_argument("--workers", default="1,2,4,8")
    given = parser.parse_args()
    numbers = [int(number) for number in given.workers.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        clips = [
            Drawn(f"clip-{index:03}", f"person {index}", Fraction(25), FRAMES, (48, 48))
            for index in range(given.clips_each * max(numbers))
        ]
        rows = [row(clip, video_bytes(clip, place)) for clip in clips]
        dataset = write_dataset(place / "set", {"test": rows})
        rules = load_protocol("tp-long@2").model_dump(mode="json")
        rules |= {
            "id": "short",
            "metrics": {"psnr": 1, "ssim": 1},
            "deltas": [1],
            "admission": {"min_frames": 8},
        }
        protocol = place / "short.yaml"
        protocol.write_text(yaml.safe_dump(rules))
        print("workers  frames/s  of 1 / sleep  of linear")
        single = 0.0
        for number in numbers:
            found = rate(
                dataset, protocol, number, given.clips_each * number, given.sleep, place / str(number)
            )
            single = single or found / number
            shares = f"{found * given.sleep / number:12.3f}  {found / number / single:9.3f}"
            print(f"{number:7}  {found:8.2f}  {shares}", flush=True)


if __name__ == "__main__":
    main()
