"""Animate a portrait with the poses of another clip, frame by frame, and write a video.

    python examples/animate.py OUT.mp4 [FRAMES]

Portrait and poses are drawn speakers of the bundled dataset; the model is the bundled one.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from talkingpose import TalkingPosePipeline, load_clips
from talkingpose.media import VideoWriter
from talkingpose.pose import pose_image
from talkingpose.pose.retarget import fullest_frame, retarget


def main(out: Path, num_frames: int) -> None:
    """Write the animated portrait to `out`."""
    portrait, driving = load_clips("tp-mini", split="test")[:2]
    given = driving.keypoints
    keypoints = retarget(given, given[fullest_frame(given)], portrait.keypoints[0])[:num_frames]
    poses = (pose_image(points, portrait.height, portrait.width) for points in keypoints)

    pipe = TalkingPosePipeline.from_pretrained("tiny")
    noise = torch.Generator("cpu").manual_seed(0)
    frames = pipe.stream(portrait.portrait, poses, num_inference_steps=2, guidance_scale=1.0, generator=noise)
    with VideoWriter(out, fps=driving.fps) as writer:
        for frame in frames:
            writer.write(frame)
    print(f"{out}: {len(keypoints)} frames")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 50)
