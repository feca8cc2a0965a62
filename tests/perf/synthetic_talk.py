"""Synthetic talks for measurements: a head and two hands on a textured background, with keypoints."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from curation.detect.measurements import Keypoints
from talkingpose.data.schema import COLUMNS, SCORES, features
from talkingpose.io.image import Image
from talkingpose.media import VideoWriter
from talkingpose.pose import BODY, FACE, FEET, LEFT_HAND, RIGHT_HAND

FPS = Fraction(25)


@dataclass(frozen=True)
class Talk:
    """Clip of square frames of `side` pixels."""

    clip_id: str
    num_frames: int
    side: int


def centres(talk: Talk, t: int) -> list[tuple[float, float]]:
    """Centres of the head, the right hand and the left hand: x, y in [0, 1]."""
    phase = t / 9 + ord(talk.clip_id[-1])
    return [
        (0.5 + 0.04 * np.sin(phase / 2), 0.3 + 0.02 * np.cos(phase / 3)),
        (0.25 + 0.06 * np.sin(phase), 0.75 + 0.06 * np.cos(phase)),
        (0.75 + 0.06 * np.cos(phase), 0.75 + 0.06 * np.sin(phase)),
    ]


def pictures(talk: Talk) -> Iterator[Image]:
    """Frames, uint8 (side, side, 3), with fixed noise in the background."""
    import cv2

    side = talk.side
    y, x = np.mgrid[0:side, 0:side].astype(np.float32)
    ground = np.stack(
        [110 + 40 * np.sin(x / 17), 100 + 40 * np.sin(y / 23 + 1), 120 + 30 * np.sin((x + y) / 9)], -1
    )
    ground += np.random.default_rng(side).normal(0, 4, ground.shape)
    ground = ground.clip(0, 255).astype(np.uint8)
    for t in range(talk.num_frames):
        image = ground.copy()
        body = np.array([[0.3, 0.5], [0.7, 0.5], [0.75, 1.0], [0.25, 1.0]]) * side
        cv2.fillConvexPoly(image, np.rint(body).astype(np.int32), (70, 80, 130))
        colours = ((230, 180, 150), (220, 170, 140), (225, 175, 145))
        for (u, v), radius, colour in zip(centres(talk, t), (0.15, 0.07, 0.07), colours, strict=True):
            middle = round(u * side), round(v * side)
            cv2.circle(image, middle, round(radius * side), colour, -1, cv2.LINE_AA)
            open_by = round((0.02 + 0.015 * np.sin(t / 2)) * side)
            below, axes = (middle[0], middle[1] + open_by), (round(0.04 * side), open_by)
            cv2.ellipse(image, below, axes, 0, 0, 360, (120, 50, 50), -1)
        yield image


def worse(images: Iterator[Image]) -> Iterator[Image]:
    """Frames as a model might generate them: blurred, noisy, and brighter over time."""
    import cv2

    random = np.random.default_rng(0)
    noise: list[Image] = []
    for t, image in enumerate(images):
        if len(noise) < 8:
            noise.append(random.integers(0, 9, image.shape, dtype=np.uint8))
        yield cv2.add(cv2.GaussianBlur(image, (0, 0), 0.8), noise[t % 8] + np.uint8(min(t // 40, 20)))


def keypoints(talk: Talk) -> Keypoints:
    """Keypoints float32 (num_frames, 133, 3): circles for face and hands, and the upper body."""
    points = np.zeros((talk.num_frames, 133, 3), np.float32)
    points[:, :, 2] = 0.9
    points[:, FEET, 2] = 0
    for t in range(talk.num_frames):
        head, right, left = centres(talk, t)
        for part, middle, radius in ((FACE, head, 0.13), (LEFT_HAND, left, 0.06), (RIGHT_HAND, right, 0.06)):
            angle = np.linspace(0, 2 * np.pi, part.stop - part.start, endpoint=False)
            points[t, part, :2] = np.stack(
                [middle[0] + radius * np.cos(angle), middle[1] + radius * np.sin(angle)], -1
            )
        body = points[t, BODY]
        body[:5, :2] = head
        body[5:11, :2] = (0.7, 0.5), (0.3, 0.5), (0.8, 0.65), (0.2, 0.65), left, right
        body[11:, 2] = 0
    return points


def write_video(path: Path, images: Iterator[Image]) -> bytes:
    """Write an mp4 and return its bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(path, fps=FPS, crf=16, preset="veryfast") as writer:
        for image in images:
            writer.write(image)
    return path.read_bytes()


def row(talk: Talk, video: bytes) -> dict[str, Any]:
    """Row of the configuration `clips`."""
    known = {
        "clip_id": talk.clip_id,
        "source": "synthetic",
        "source_id": f"source of {talk.clip_id}",
        "fps": float(FPS),
        "width": talk.side,
        "height": talk.side,
        "num_frames": talk.num_frames,
        "video": {"bytes": video, "path": f"{talk.clip_id}.mp4"},
        "keypoints": keypoints(talk),
        "boxes": [[0.1, 0.1, 0.9, 0.9]] * talk.num_frames,
        "scores": dict.fromkeys(SCORES),
        "person_id": talk.clip_id,
        "sha256": hashlib.sha256(video).hexdigest(),
    }
    return {name: known.get(name) for name in COLUMNS["clips"]}


def write_dataset(folder: Path, rows: list[dict[str, Any]]) -> Path:
    """Write a card and one Parquet file of the configuration `clips`, split `test`."""
    import datasets

    (folder / "clips").mkdir(parents=True)
    name = "clips/test-00000-of-00001.parquet"
    table = {key: [r[key] for r in rows] for key in rows[0]}
    datasets.Dataset.from_dict(table, features=features("clips")).to_parquet(folder / name)
    files = f"data_files:\n  - split: test\n    path: {name}"
    (folder / "README.md").write_text(f"---\nconfigs:\n- config_name: clips\n  {files}\n---\n")
    return folder
