"""Random pairs of frames per processor second by distance of key frames, on re-encoded clips of tp-mini.

python tests/perf/random_frames.py [--clips N] [--gops 250,24,12,6] [--rounds N]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from talkingpose import load_clips
from talkingpose.data.clips import Clip
from talkingpose.data.pairs import RandomPairs
from talkingpose.media import VideoWriter


class _Reencoded:
    """A dataset with other videos."""

    def __init__(self, dataset: object, videos: dict[str, bytes]) -> None:
        self._dataset, self._videos = dataset, videos

    def video(self, clip: Clip) -> bytes:
        return self._videos[clip.clip_id]

    def keypoints(self, clip: Clip) -> object:
        return self._dataset.keypoints(clip)


def main() -> None:
    """Print one line per distance."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=4)
    parser.add_argument("--gops", default="250,24,12,6")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    clips = load_clips("tp-mini")[: given.clips]
    print("key frame every  pairs/s     bytes")
    for gop in map(int, given.gops.split(",")):
        videos = {}
        with tempfile.TemporaryDirectory() as folder:
            for clip in clips:
                path = Path(folder) / f"{clip.clip_id}.mp4"
                with VideoWriter(path, fps=clip.fps, preset="veryfast", gop=gop) as writer:
                    for image in clip.frames():
                        writer.write(image)
                videos[clip.clip_id] = path.read_bytes()
        pairs = RandomPairs([replace(clip, dataset=_Reencoded(clip.dataset, videos)) for clip in clips])
        begun = time.process_time()
        for epoch in range(given.rounds):
            pairs.set_epoch(epoch)
            for _ in pairs:
                pass
        rate = given.rounds * len(pairs) / (time.process_time() - begun)
        print(f"{gop:15}  {rate:7.1f}  {sum(map(len, videos.values())):8}", flush=True)


if __name__ == "__main__":
    main()
