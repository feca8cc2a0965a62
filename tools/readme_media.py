"""Animation of the README: drawn portraits animated by the bundled model with another speaker's poses.

.venv/bin/python tools/readme_media.py docs/images/demo.webp
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image as PILImage

from talkingpose import Clip, TalkingPosePipeline, load_clips
from talkingpose.io.image import Image
from talkingpose.pose import pose_image
from talkingpose.pose.retarget import fullest_frame, retarget

# Portrait and driving clip, as in cross.csv of tp-mini.
PAIRS = (("234862d5bf482b7d", "2690c96be31ac4d9"), ("820b11a99112ba03", "90bb48c522958a76"))
FRAMES = 60
SIDE = 192
MILLISECONDS = 80


def films(pairs: tuple[tuple[str, str], ...]) -> Iterator[Iterator[Image]]:
    """Yield one iterator of panels per pair: portrait, pose and generated frame side by side."""
    clips = {clip.clip_id: clip for clip in load_clips("tp-mini", split="test")}
    pipe = TalkingPosePipeline.from_pretrained("talkingpose/checkpoints/tiny")
    for portrait, driving in pairs:
        yield panels(pipe, clips[portrait], clips[driving])


def panels(pipe: TalkingPosePipeline, portrait: Clip, driving: Clip) -> Iterator[Image]:
    """Yield uint8 (SIDE, 3 * SIDE, 3) panels at half the frame rate of the driving clip."""
    given = driving.keypoints
    keypoints = retarget(given, given[fullest_frame(given)], portrait.keypoints[0])[: 2 * FRAMES]
    poses = [pose_image(points, portrait.height, portrait.width) for points in keypoints]
    noise = torch.Generator("cpu").manual_seed(0)
    frames = pipe.stream(portrait.portrait, poses, num_inference_steps=2, guidance_scale=1.0, generator=noise)
    for number, (pose, frame) in enumerate(zip(poses, frames, strict=True)):
        if number % 2 == 0:
            yield np.hstack([enlarged(picture) for picture in (portrait.portrait, pose, frame)])


def enlarged(picture: Image) -> Image:
    """Scale a picture to SIDE x SIDE pixels."""
    return np.asarray(PILImage.fromarray(picture).resize((SIDE, SIDE), PILImage.Resampling.BICUBIC))


def main() -> None:
    """Write the animation as WebP."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    pictures = [PILImage.fromarray(np.vstack(rows)) for rows in zip(*films(PAIRS), strict=False)]
    pictures[0].save(
        out, save_all=True, append_images=pictures[1:], duration=MILLISECONDS, loop=0, quality=70, method=6
    )


if __name__ == "__main__":
    main()
