"""Memory of contestants by the length of a clip, with tiny random weights on the CPU.

    python tests/perf/contestant_memory.py [--frames N...] [NAME...]

Each length runs in a process of its own. Printed is the growth of resident memory from the start of the clip
to its maximum, sampled every 20 ms, after a clip of 26 frames. The tiny weights show if memory grows with the
length; how much it grows with real weights depends on the size of the frames.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import psutil

# Another distribution may install a package of this name, which would be imported instead.
package = ModuleType("tests")
package.__path__ = [str(Path(__file__).parents[1])]
sys.modules["tests"] = package
sys.path.insert(0, str(Path(__file__).parents[2]))

NAMES = ("talkingpose", "controlnet-ip", "wan-animate", "animate-anyone", "animatediff")


def make(name: str, folder: Path) -> Any:
    """Create a contestant with tiny random weights, one step per frame."""
    from talkingpose.data.contestant_loading import make_contestant
    from tests.baselines import tiny_weights

    settings = {"steps": "1"}
    if name == "wan-animate":
        tiny_weights.write_wan_animate(folder)
        settings |= {"side": "32", "segment": "13"}
    elif name in ("controlnet-ip", "animatediff"):
        tiny_weights.write_stable_diffusion(folder)
    else:
        folder = tiny_weights.write_animate_anyone(folder / "weights")
        settings |= {"guidance": "1"}
    return make_contestant(name, checkpoint=str(folder), device="cpu", args=settings)[0]


def growth(name: str, num_frames: int) -> float:
    """Return the growth of resident memory over a clip, in MB."""
    import torch

    from talkingpose.data.contestant import Case
    from tests.baselines.test_talkingpose_model import case

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        model = make(name, Path(folder))
    process, samples, done = psutil.Process(), [0], threading.Event()

    def clip(length: int) -> Case:
        """A clip whose poses and faces are made when they are read."""
        from dataclasses import replace

        short = case("a", 1, 128, 128)
        points = next(iter(short.keypoints))
        faces = (np.zeros((512, 512, 3), np.uint8) for _ in range(length))
        return replace(
            short, num_frames=length, keypoints=(points for _ in range(length)), driving_frames=faces
        )

    for _ in model.animate([clip(26)], seed=0):  # allocates what every clip needs
        pass
    before = process.memory_info().rss

    def sample() -> None:
        while not done.is_set():
            samples.append(process.memory_info().rss - before)
            time.sleep(0.02)

    thread = threading.Thread(target=sample)
    thread.start()
    for _ in model.animate([clip(num_frames)], seed=0):
        pass
    done.set()
    thread.join()
    return max(samples) / 1e6


def main() -> None:
    """Print one line per contestant."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(NAMES))
    parser.add_argument("--frames", type=int, nargs="+", default=[60, 240, 960])
    given = parser.parse_args()
    print(f"{'MB':16}" + "".join(f"{number:>8}" for number in given.frames), flush=True)
    spawning = multiprocessing.get_context("spawn")
    for name in given.names:
        cells = []
        for number in given.frames:
            with spawning.Pool(1) as pool:
                cells.append(pool.apply(growth, (name, number)))
        print(f"{name:16}" + "".join(f"{cell:8.1f}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
