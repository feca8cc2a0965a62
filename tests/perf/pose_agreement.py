"""Measure the distance of mediapipe's joints from those of DWPose, in % of the shoulder width.

    python tests/perf/pose_agreement.py ../shared/footage

The folder holds videos in upper_body_hands/ and their DWPose drawings, of the same name and frame for frame,
in pose_renders/. Joints of DWPose are recovered from the drawings. Distances cover all joints that both have.
"""

from __future__ import annotations

import argparse
import sys
from itertools import islice
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "talkingpose" / "pose"))

from drawn_joints import NAMES, distances, recover

from talkingpose.media import VideoReader
from talkingpose.pose import HolisticEstimator, smooth


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--frames", type=int, help="Frames per video; all by default.")
    parser.add_argument("--window-s", type=float, default=0.2, help="Window of the smoothing in seconds.")
    options = parser.parse_args()
    raw, smoothed = {}, {}
    for drawing in sorted((options.folder / "pose_renders").iterdir()):
        video = options.folder / "upper_body_hands" / drawing.name
        with VideoReader(video) as reader:
            rate = float(reader.info.fps)
            frames = islice(reader, options.frames)
            with HolisticEstimator() as estimator:
                keypoints = np.stack([estimator(frame.image) for frame in frames])
            width, height = reader.info.width, reader.info.height
        joints = [recover(frame.image) for frame in islice(VideoReader(drawing), options.frames)]
        for found, points in (
            (raw, keypoints),
            (smoothed, smooth(keypoints, rate, width, height, window_s=options.window_s)),
        ):
            for joint, values in distances(points, joints, width, height).items():
                found.setdefault(joint, []).extend(values)
        print(f"{drawing.name}: {len(keypoints)} frames", file=sys.stderr)
    print("| joint | pairs | median | 90th percentile | smoothed: median |\n|---|---:|---:|---:|---:|")
    joined = {
        "all": (raw, smoothed),
        **{NAMES[j]: ({j: raw[j]}, {j: smoothed[j]}) for j in NAMES if j in raw},
    }
    for name, (own, other) in joined.items():
        values, after = (np.concatenate([*part.values()]) for part in (own, other))
        print(
            f"| {name} | {len(values)} | {np.median(values):.1f} % | {np.percentile(values, 90):.1f} % "
            f"| {np.median(after):.1f} % |"
        )


if __name__ == "__main__":
    main()
