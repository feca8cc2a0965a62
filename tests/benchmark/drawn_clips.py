"""A small dataset of the project's schema, drawn here: moving shapes with keypoints that follow them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from talkingpose.data.schema import COLUMNS, SCORES, features
from talkingpose.media import VideoWriter

NTSC = Fraction(30000, 1001)


@dataclass(frozen=True)
class Drawn:
    """One clip of the fixture."""

    clip_id: str
    person: str
    fps: Fraction
    num_frames: int
    size: tuple[int, int] = (128, 128)


CLIPS = (
    Drawn("clip-a", "anna", Fraction(25), 110),
    Drawn("clip-b", "bela", NTSC, 130),
    Drawn("clip-c", "bela", NTSC, 121),
    Drawn("clip-short", "cleo", Fraction(25), 60),
)


def picture(clip: Drawn, t: int) -> np.ndarray:
    """A head and two hands on a ground with texture; everything moves smoothly."""
    width, height = clip.size
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    phase = t / 9 + len(clip.clip_id) + ord(clip.clip_id[-1])
    image = np.stack(
        [110 + 40 * np.sin(x / 7), 100 + 40 * np.sin(y / 9 + 1), 120 + 30 * np.sin((x + y) / 5)], -1
    )
    for (u, v), radius, colour in zip(
        centres(phase), (0.16, 0.07, 0.07), ((230, 180, 150), (200, 90, 70), (70, 90, 210)), strict=True
    ):
        inside = (x / width - u) ** 2 + (y / height - v) ** 2 < radius**2
        image[inside] = colour
    return image.clip(0, 255).astype(np.uint8)


def centres(phase: float) -> list[tuple[float, float]]:
    """Head and hands, normalised x, y."""
    return [
        (0.5 + 0.05 * np.sin(phase / 2), 0.3),
        (0.25 + 0.08 * np.sin(phase), 0.7 + 0.08 * np.cos(phase)),
        (0.75 + 0.08 * np.cos(phase), 0.7 + 0.08 * np.sin(phase)),
    ]


def skeleton(clip: Drawn) -> np.ndarray:
    """Keypoints (T, 133, 3) float16: head, shoulders, elbows and wrists; zeros elsewhere."""
    points = np.zeros((clip.num_frames, 133, 3), np.float16)
    for t in range(clip.num_frames):
        head, left, right = centres(t / 9 + len(clip.clip_id) + ord(clip.clip_id[-1]))
        body = {0: head, 5: (0.7, 0.5), 6: (0.3, 0.5), 7: (0.8, 0.65), 8: (0.2, 0.65), 9: right, 10: left}
        for index, (x, y) in body.items():
            points[t, index] = (x, y, 0.9)
    return points


def video_bytes(clip: Drawn, folder: Path) -> bytes:
    """The clip as an mp4 file."""
    path = folder / f"{clip.clip_id}.mp4"
    with VideoWriter(path, fps=clip.fps, crf=12, preset="veryfast") as writer:
        for t in range(clip.num_frames):
            writer.write(picture(clip, t))
    return path.read_bytes()


def row(clip: Drawn, video: bytes) -> dict[str, Any]:
    """The clip as a row of the configuration `clips`."""
    width, height = clip.size
    known = {
        "clip_id": clip.clip_id,
        "source": "synthetic",
        "source_id": f"source of {clip.clip_id}",
        "fps": float(clip.fps),
        "width": width,
        "height": height,
        "num_frames": clip.num_frames,
        "video": {"bytes": video, "path": f"{clip.clip_id}.mp4"},
        "keypoints": skeleton(clip),
        "boxes": [[0.1, 0.1, 0.9, 0.9]] * clip.num_frames,
        "scores": dict.fromkeys(SCORES),
        "person_id": clip.person,
        "sha256": hashlib.sha256(video).hexdigest(),
    }
    return {name: known.get(name) for name in COLUMNS["clips"]}


def write_dataset(folder: Path, splits: dict[str, list[dict[str, Any]]]) -> Path:
    """Card and Parquet files of the configuration `clips`."""
    import datasets

    (folder / "clips").mkdir(parents=True)
    lines = ["---", "configs:", "- config_name: clips", "  data_files:"]
    for split, rows in splits.items():
        name = f"clips/{split}-00000-of-00001.parquet"
        table = {key: [r[key] for r in rows] for key in rows[0]}
        datasets.Dataset.from_dict(table, features=features("clips")).to_parquet(folder / name)
        lines += [f"  - split: {split}", f"    path: {name}"]
    (folder / "README.md").write_text("\n".join([*lines, "---", ""]), encoding="utf-8")
    return folder
