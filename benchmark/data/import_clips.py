"""Import of one's own copy of published test data as a dataset that `tp-eval` reads.

    OUT/README.md              card, written last: a folder with it is complete
    OUT/clips/*.parquet        configuration `clips`
    OUT/.import/               finished clips of an interrupted import

Videos are stored without loss, so that a protocol scores the pixels that the layout prescribes.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmark.data.layouts.contract import Layout, LayoutError, SquareCrop, SourceClip
from talkingpose.data.schema import COLUMNS, SCORES, features
from talkingpose.io.atomic import atomic_write, write_text
from talkingpose.io.documents import DocumentError, read_arrays, read_json
from talkingpose.io.errors import UserError
from talkingpose.io.image import Image
from talkingpose.io.progress import SILENT, Progress
from talkingpose.media import VideoWriter
from talkingpose.pose import PoseEstimator, smooth
from talkingpose.pose.keypoints import NUM_KEYPOINTS

LAYOUTS = ("tiktok", "ted", "emtd")
SPLIT = "test"
# Raised whenever imported clips change.
_VERSION = 1
_SHARD_BYTES = 400_000_000
_MIN_CONFIDENCE = 0.3
_STAGED, _RECIPE = ".import", "recipe.json"


@dataclass(frozen=True)
class Imported:
    """Result of an import: ids of the clips in the dataset, and the reason for each clip that failed."""

    clip_ids: tuple[str, ...]
    failed: Mapping[str, str]
    protocol: str


def layout_of(name: str) -> Layout:
    """Return a layout by its name.

    Raises:
        LayoutError: there is no such layout.
    """
    if name not in LAYOUTS:
        raise LayoutError(f"layout {name!r}: unknown: choose one of {', '.join(LAYOUTS)}")
    layout: Layout = import_module(f"benchmark.data.layouts.{name}").LAYOUT
    return layout


def import_clips(
    layout: Layout,
    source: Path,
    out: Path,
    *,
    only: Sequence[str] | None = None,
    fps: Fraction | None = None,
    new_estimator: Callable[[], PoseEstimator] | None = None,
    progress: Progress = SILENT,
) -> Imported:
    """Write the clips of a folder as a dataset; the same call resumes.

    Args:
        layout: of the folder.
        source: the user's data; never changed.
        out: folder to write; new, empty, or that of an interrupted import.
        only: names of the clips to take; None for all.
        fps: frame rate of pictures.
        new_estimator: makes a pose estimator without state; by default that of `tp-curate`.

    Raises:
        LayoutError: the folder has another layout, or holds no clip that can be imported.
        UserError: `out` holds something else.
    """
    if not source.is_dir():
        raise LayoutError(f"{layout.name} data {source}: no such folder: give the folder of the data")
    clips = _chosen(layout, source, layout.find(source, fps), only)
    ids = _clip_ids(clips)
    staged = _prepared(layout, source, out, fps)
    done: list[tuple[str, SourceClip]] = []
    failed = {}
    progress.start("clips", len(clips))
    for clip_id, clip in zip(ids, clips, strict=True):
        try:
            if not (staged / f"{clip_id}.npz").is_file():
                _stage(clip, clip_id, staged, new_estimator or _refined_estimator)
            done.append((clip_id, clip))
        except UserError as error:
            failed[clip.name] = str(error)
        progress.advance()
    if not done:
        name, reason = next(iter(failed.items()))
        raise LayoutError(f"{layout.name} data {source}: no clip can be imported: {name}: {reason}")
    files = _write_shards(done, staged, out / "clips")
    write_text(out / "README.md", _card(layout, files, done))
    shutil.rmtree(staged)
    return Imported(tuple(clip_id for clip_id, _ in done), failed, layout.protocol)


def _chosen(
    layout: Layout, source: Path, clips: Sequence[SourceClip], only: Sequence[str] | None
) -> list[SourceClip]:
    """Return the clips of the given names, in the order of the folder."""
    if only is None:
        return list(clips)
    unknown = sorted(set(only) - {clip.name for clip in clips})
    if unknown:
        some = ", ".join(clip.name for clip in clips[:3])
        raise LayoutError(
            f"--only {unknown[0]}: no such clip in {source}: the {layout.name} data has {len(clips)}: {some}, ..."
        )
    return [clip for clip in clips if clip.name in only]


def _clip_ids(clips: Sequence[SourceClip]) -> list[str]:
    """Return clip ids: the names, with `_` for what a clip id must not have."""
    ids = [
        "".join(c if c.isalnum() or c in "-_." else "_" for c in clip.name).lstrip(".-") or "clip" for clip in clips
    ]
    ids = [clip_id.encode()[:120].decode(errors="ignore") for clip_id in ids]
    seen: dict[str, str] = {}
    for clip_id, clip in zip(ids, clips, strict=True):
        if clip_id in seen:
            raise LayoutError(f"clips {seen[clip_id]} and {clip.name}: both become {clip_id}: rename one")
        seen[clip_id] = clip.name
    return ids


def _prepared(layout: Layout, source: Path, out: Path, fps: Fraction | None) -> Path:
    """Return the folder of finished clips, made by the same import or empty."""
    staged = out / _STAGED
    recipe = {
        "layout": layout.name,
        "version": _VERSION,
        "source": str(source.resolve()),
        "fps": str(fps),
    }
    if staged.is_dir() and (staged / _RECIPE).is_file():
        try:
            same = read_json(staged / _RECIPE, "import") == recipe
        except DocumentError:
            same = False
        if same:
            return staged
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"--out {out}: holds another import or other files: give a new folder, or delete it")
    staged.mkdir(parents=True)
    write_text(staged / _RECIPE, json.dumps(recipe) + "\n")
    return staged


def _stage(
    clip: SourceClip, clip_id: str, folder: Path, new_estimator: Callable[[], PoseEstimator]
) -> None:
    """Write CLIP.mp4, then CLIP.npz with the keypoints: the mark of a finished clip."""
    keypoints, width, height = _detected(clip, new_estimator)
    place = clip.place(keypoints, width, height)
    with VideoWriter(folder / f"{clip_id}.mp4", fps=clip.fps, lossless=True, preset="veryfast") as writer:
        for image in clip.frames():
            writer.write(place.resample(_square(image, place), place.out))
    moved = _moved(keypoints, place, width, height)
    with atomic_write(folder / f"{clip_id}.npz") as path:
        np.savez(path, keypoints=moved.astype(np.float16), side=np.int32(place.out))


def _detected(
    clip: SourceClip, new_estimator: Callable[[], PoseEstimator]
) -> tuple[npt.NDArray[np.float32], int, int]:
    """Return smoothed keypoints of all frames, (T, 133, 3), and the size of the source."""
    found = []
    size = (0, 0)
    estimator = new_estimator()
    try:
        for image in clip.frames():
            size = (image.shape[1], image.shape[0])
            found.append(estimator(np.ascontiguousarray(image)))
    finally:
        estimator.close()
    if not found:
        raise LayoutError(f"{clip.name}: no frames: give the frames of a clip")
    return smooth(np.stack(found), float(clip.fps), *size), *size


def _square(image: Image, place: SquareCrop) -> Image:
    """Return the square of a picture; what lies beyond the picture is black."""
    height, width = image.shape[:2]
    square = np.zeros((place.side, place.side, 3), np.uint8)
    top, left = max(place.top, 0), max(place.left, 0)
    inside = image[top : min(place.top + place.side, height), left : min(place.left + place.side, width)]
    square[top - place.top :, left - place.left :][: inside.shape[0], : inside.shape[1]] = inside
    return square


def _moved(
    keypoints: npt.NDArray[np.float32], place: SquareCrop, width: int, height: int
) -> npt.NDArray[np.float32]:
    """Return keypoints of the square; those outside are zeros, as absent ones are."""
    moved = keypoints.astype(np.float64)
    moved[..., 0] = (moved[..., 0] * width - place.left) / place.side
    moved[..., 1] = (moved[..., 1] * height - place.top) / place.side
    inside = ((moved[..., :2] >= 0) & (moved[..., :2] <= 1)).all(axis=-1) & (keypoints[..., 2] > 0)
    return np.where(inside[..., None], moved, 0).astype(np.float32)


def _write_shards(done: Sequence[tuple[str, SourceClip]], staged: Path, folder: Path) -> list[str]:
    """Write the Parquet files of all clips; return their names relative to the dataset."""
    import datasets
    from datasets.utils import disable_progress_bars

    disable_progress_bars()  # of single files, beside the one of this command
    columns = features("clips")
    shards = list(_shards(done, staged))
    folder.mkdir(exist_ok=True)
    names = [f"{SPLIT}-{number:05d}-of-{len(shards):05d}.parquet" for number in range(len(shards))]
    for name, shard in zip(names, shards, strict=True):
        rows = [_row(clip_id, clip, staged) for clip_id, clip in shard]
        table = {column: [row[column] for row in rows] for column in columns}
        with atomic_write(folder / name) as path:
            datasets.Dataset.from_dict(table, features=columns).to_parquet(path)
    return [f"{folder.name}/{name}" for name in names]


def _shards(done: Sequence[tuple[str, SourceClip]], staged: Path) -> Iterator[list[tuple[str, SourceClip]]]:
    """Yield groups of clips whose videos have some hundred megabytes together."""
    group: list[tuple[str, SourceClip]] = []
    size = 0
    for clip_id, clip in done:
        own = (staged / f"{clip_id}.mp4").stat().st_size
        if group and size + own > _SHARD_BYTES:
            yield group
            group, size = [], 0
        group.append((clip_id, clip))
        size += own
    yield group


def _row(clip_id: str, clip: SourceClip, staged: Path) -> dict[str, Any]:
    """Return the row of the configuration `clips`."""
    arrays = read_arrays(staged / f"{clip_id}.npz", "keypoints")
    keypoints: npt.NDArray[np.float16] = arrays["keypoints"].reshape(-1, NUM_KEYPOINTS, 3)
    video, side = (staged / f"{clip_id}.mp4").read_bytes(), int(arrays["side"])
    known = {
        "clip_id": clip_id,
        "source": "file",
        "source_id": clip.source_id.encode(errors="replace").decode(),  # a file name may be no UTF-8
        "fps": float(clip.fps),
        "width": side,
        "height": side,
        "num_frames": len(keypoints),
        "video": {"bytes": video, "path": f"{clip_id}.mp4"},
        "keypoints": keypoints,
        "boxes": _boxes(keypoints),
        "scores": dict.fromkeys(SCORES),
        "sha256": hashlib.sha256(video).hexdigest(),
        "tool_versions": json.dumps({"import": _VERSION, "mediapipe": version("mediapipe")}),
    }
    return {name: known.get(name) for name in COLUMNS["clips"]}


def _boxes(keypoints: npt.NDArray[np.float16]) -> list[list[float]]:
    """Return the box of the confident points of each frame, xyxy; zeros without one."""
    boxes = []
    for points in keypoints.astype(np.float64):
        known = points[points[:, 2] >= _MIN_CONFIDENCE, :2]
        ends = (known.min(axis=0), known.max(axis=0)) if len(known) else (np.zeros(2), np.zeros(2))
        boxes.append([float(value) for value in np.concatenate(ends)])
    return boxes


def _card(layout: Layout, files: Sequence[str], done: Sequence[tuple[str, SourceClip]]) -> str:
    lines = ["---", f"pretty_name: {layout.title}", "configs:", "- config_name: clips", "  default: true"]
    lines += ["  data_files:", f"  - split: {SPLIT}", "    path:", *(f"    - {name}" for name in files), "---", ""]
    lines += [
        f"# {layout.title}",
        "",
        f"{len(done)} clips, imported by `tp-eval import {layout.name}` of TalkingPose Bench for the protocol "
        f"`{layout.protocol}`. Keypoints are by mediapipe. The clips keep the licence of their sources, which "
        "is not recorded here: do not redistribute them.",
        "",
    ]
    return "\n".join(lines)


def _refined_estimator() -> PoseEstimator:
    from talkingpose.pose import RefinedHolisticEstimator

    return RefinedHolisticEstimator()
