"""Speed of `warp`: frames per second of one core, against one copy and one remap of the whole frame.

    python tests/perf/warp.py [--side 512] [--frames 60] [--repeat 3]

A drawn speaker of tp-mini is enlarged to a square of the given side. Processor time counts, because other
work on the machine changes the wall clock; the best of the repetitions counts.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import cv2
import numpy as np

from talkingpose.data.clips import load_clips
from talkingpose.warp.puppet import Puppet


def milliseconds(work: Callable[[int], object], frames: int, repeat: int) -> float:
    """Least processor time of one frame."""
    best = float("inf")
    for _ in range(repeat):
        started = time.process_time()
        for index in range(frames):
            work(index)
        best = min(best, time.process_time() - started)
    return 1e3 * best / frames


def main() -> None:
    """Print the time of a frame and of the preparation, and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--repeat", type=int, default=3)
    given = parser.parse_args()
    cv2.setNumThreads(1)
    clip = load_clips("tp-mini", split="test")[0]
    side = given.side
    portrait = np.asarray(cv2.resize(clip.portrait, (side, side), interpolation=cv2.INTER_CUBIC), np.uint8)
    poses = clip.keypoints[: given.frames]
    started = time.process_time()
    puppet = Puppet(portrait, poses[0], float(clip.fps))
    prepared = time.process_time() - started
    y, x = np.mgrid[0:side, 0:side].astype(np.float32)
    warp = milliseconds(lambda index: puppet.frame(poses[index]), len(poses), given.repeat)
    copy = milliseconds(lambda index: portrait.copy(), len(poses), given.repeat)
    remap = milliseconds(lambda index: cv2.remap(portrait, x, y, cv2.INTER_LINEAR), len(poses), given.repeat)
    print(f"{side}x{side}, {len(poses)} frames, best of {given.repeat}, processor time of one thread")
    print(f"preparation      {prepared:8.2f} s")
    print(f"frozen (copy)    {copy:8.2f} ms")
    print(f"one remap        {remap:8.2f} ms")
    print(f"warp             {warp:8.2f} ms  {1e3 / warp:.0f} frames/s  {warp / remap:.1f} remaps")


if __name__ == "__main__":
    main()
