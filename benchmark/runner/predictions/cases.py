"""Export of the cases of a protocol, for models that run in an environment of their own.

    OUT/cases.csv              one line per case: files, size, rate, seed, and the name of its prediction
    OUT/export.json            dataset, protocol and options
    OUT/CLIP/portrait.png
    OUT/CLIP/poses.mp4         pose pictures, H.264 in RGB without loss
    OUT/CLIP/poses/frame_0.png on request
    OUT/CLIP/keypoints.npz     keypoints, fps, size and seed as arrays
    OUT/CLIP/driving.mp4       frames of the driving clip, H.264 in RGB without loss, where they may be seen
    OUT/CLIP/case.json         written with the folder, which appears complete or not at all

The paths in `cases.csv` are relative to OUT. `tp-eval score --map` reads the columns `clip_id`, `prediction`
and `inputs`.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from benchmark.data.bundled import open_dataset
from benchmark.errors import EvaluationError
from benchmark.protocols.protocol import CrossProtocol, Protocol, load_protocol
from benchmark.runner.environment import project_version
from benchmark.runner.inputs import CaseInputs, prepare_inputs
from benchmark.runner.plan import PlannedCase, RunPlan, plan_run
from benchmark.runner.predictions.case_map import INPUTS, PREDICTION
from talkingpose.data.clips import ClipDataset
from talkingpose.data.contestant import FRAMES_SEEN, FramesSeen
from talkingpose.data.schema import DatasetError
from talkingpose.io.atomic import write_text
from talkingpose.io.documents import DocumentError, read_json
from talkingpose.io.image import Image
from talkingpose.io.progress import SILENT, Progress
from talkingpose.media import MediaError, VideoWriter
from talkingpose.pose.face_crop import FaceCrop
from talkingpose.pose.keypoints import KEYPOINT_NAMES, PoseError
from talkingpose.pose.styles import POSE_STYLES, PoseStyle, draw_style

MAP, EXPORT, CASE = "cases.csv", "export.json", "case.json"
COLUMNS = (
    *("clip_id", PREDICTION, "portrait", "poses", "pose_frames", "keypoints", "driving", "driving_frames"),
    *("width", "height", "num_frames", "fps", "seed", "portrait_clip", "driving_clip", "protocol", INPUTS),
)
_SCHEMA = "talkingpose.cases/1"
_LOCK = ".lock"


class ExportError(EvaluationError):
    """An export that cannot be made: one line that says why and what to do."""


@dataclass(frozen=True)
class ExportSettings:
    """Options of `tp-eval cases`.

    `driving_frames` None stands for `all` under a cross-identity protocol and `none` under any other, where
    they are the frames to generate.
    """

    dataset: str
    out: Path
    protocol: str = "tp-long@2"
    split: str | None = None
    limit: int | None = None
    max_frames: int | None = None
    seed: int = 0
    pose_style: PoseStyle = "dwpose"
    png: bool = False
    driving_frames: FramesSeen | None = None
    overwrite: bool = False


@dataclass(frozen=True)
class CaseExport:
    """Result of an export: the lines of `cases.csv`, and clip id -> reason of each case that failed."""

    rows: tuple[Mapping[str, str], ...]
    failed: Mapping[str, str]
    audit: tuple[str, ...]


def export_cases(settings: ExportSettings, progress: Progress = SILENT) -> CaseExport:
    """Write the cases of a protocol; the same call completes an export that was interrupted.

    Raises:
        UserError: an option, the dataset or the protocol cannot be used, or the folder holds something else.
    """
    if settings.pose_style not in POSE_STYLES:
        raise ExportError(f"--pose-style {settings.pose_style}: choose one of {', '.join(POSE_STYLES)}")
    if settings.driving_frames not in (None, *FRAMES_SEEN):
        raise ExportError(
            f"--driving-frames {settings.driving_frames}: choose one of {', '.join(FRAMES_SEEN)}"
        )
    protocol = load_protocol(settings.protocol)
    seen = settings.driving_frames or ("all" if isinstance(protocol, CrossProtocol) else "none")
    dataset = open_dataset(settings.dataset)
    plan = plan_run(
        dataset,
        protocol,
        split=settings.split,
        limit=settings.limit,
        max_frames=settings.max_frames,
        seed=settings.seed,
    )
    work = _Export(settings, protocol, dataset, plan, seen)
    with _locked(settings):
        return work.run(progress)


def inputs_hash(planned: PlannedCase) -> str:
    """Return a hash, 16 hexadecimal digits, of what a contestant is given: clips, size, retargeting."""
    from talkingpose.pose.retarget import VERSION

    retargeted = VERSION if planned.pair is not None and planned.pair.retarget else None
    facts = [planned.clip.clip_id, planned.clip.sha256, planned.width, planned.height, retargeted]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


class _Export:
    """One export."""

    def __init__(
        self,
        settings: ExportSettings,
        protocol: Protocol,
        dataset: ClipDataset,
        plan: RunPlan,
        seen: FramesSeen,
    ) -> None:
        self._settings, self._protocol, self._dataset, self._plan = settings, protocol, dataset, plan
        self._out, self._seen = settings.out, seen

    def run(self, progress: Progress) -> CaseExport:
        """Write every case that is missing, then the map."""
        if self._settings.overwrite:
            _clear(self._out)
        for left in self._out.glob(".*.part"):
            shutil.rmtree(left, ignore_errors=True)
        todo = [planned for planned in self._plan.cases if not self._is_done(planned)]
        write_text(self._out / EXPORT, json.dumps(self._document(), indent=1) + "\n")
        progress.start("frames", sum(planned.num_frames for planned in todo), "frames")
        if len(todo) < len(self._plan.cases):
            done = len(self._plan.cases) - len(todo)
            progress.message(f"{done} of {len(self._plan.cases)} cases are written already")
        failed: dict[str, str] = {}
        for number, planned in enumerate(todo, start=1):
            clip_id = planned.clip.clip_id
            try:
                self._write(planned, progress)
                progress.message(f"{number}/{len(todo)} {clip_id}: {planned.num_frames} frames")
            except (DatasetError, MediaError, PoseError) as error:
                failed[clip_id] = str(error)
                progress.message(f"{number}/{len(todo)} {clip_id}: failed: {error}")
        rows = tuple(self._row(p) for p in self._plan.cases if p.clip.clip_id not in failed)
        write_text(self._out / MAP, map_text(rows))
        return CaseExport(rows, failed, tuple(entry.message for entry in self._plan.audit))

    def _is_done(self, planned: PlannedCase) -> bool:
        """Return whether the case is written.

        Raises:
            ExportError: its folder belongs to another export.
        """
        folder = self._out / planned.clip.clip_id
        if not folder.exists():
            return False
        try:
            stored = read_json(folder / CASE, "case")
        except DocumentError as error:
            raise ExportError(
                f"--out {self._out}: {folder.name} is not a case: give another folder"
            ) from error
        if not isinstance(stored, dict) or stored.get("key") != self._key(planned):
            raise ExportError(
                f"--out {self._out}: holds case {folder.name} of other options, clips or seed: give another "
                "folder, or --overwrite"
            )
        return True

    def _key(self, planned: PlannedCase) -> str:
        facts = [
            *(_SCHEMA, project_version(), inputs_hash(planned), planned.num_frames, planned.seed),
            *(str(planned.clip.fps), self._settings.pose_style, self._settings.png, self._seen),
        ]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def _document(self) -> dict[str, Any]:
        settings, plan = self._settings, self._plan
        return {
            "schema": _SCHEMA,
            "protocol": {"name": self._protocol.name, "sha256": self._protocol.sha256()},
            "dataset": {
                "location": settings.dataset,
                "revision": self._dataset.revision,
                "split": plan.split,
                "cases_sha256": plan.cases_sha256,
                "n_cases": len(plan.cases),
            },
            "limit": settings.limit,
            "max_frames": settings.max_frames,
            "seed": settings.seed,
            "pose_style": settings.pose_style,
            "png": settings.png,
            "driving_frames": self._seen,
            "project": project_version(),
        }

    def _write(self, planned: PlannedCase, progress: Progress) -> None:
        clip_id = planned.clip.clip_id
        draft = self._out / f".{clip_id}.part"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir()
        try:
            with contextlib.closing(
                prepare_inputs(self._dataset, planned, with_driver=self._seen != "none")
            ) as inputs:
                self._write_inputs(draft, planned, inputs, progress)
            case = {"schema": _SCHEMA, "key": self._key(planned), **self._row(planned)}
            write_text(draft / CASE, json.dumps(case, indent=1) + "\n")
            draft.rename(self._out / clip_id)
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def _write_inputs(
        self, draft: Path, planned: PlannedCase, inputs: CaseInputs, progress: Progress
    ) -> None:
        if len(inputs.keypoints) != planned.num_frames:
            raise DatasetError(f"clip {planned.clip.clip_id}: {len(inputs.keypoints)} poses: curate it again")
        _write_png(inputs.reference, draft / "portrait.png")
        _write_arrays(draft / "keypoints.npz", planned, inputs)
        if self._settings.png:
            (draft / "poses").mkdir()
        crop = None
        if self._seen == "face":
            crop = FaceCrop(inputs.driver_keypoints, planned.height, planned.width)
        with contextlib.ExitStack() as stack:
            poses = stack.enter_context(_writer(draft / "poses.mp4", planned))
            driving = None
            if self._seen != "none":
                driving = stack.enter_context(_writer(draft / "driving.mp4", planned))
            for index, points in enumerate(inputs.keypoints):
                picture = draw_style(points, planned.height, planned.width, self._settings.pose_style)
                poses.write(picture)
                if self._settings.png:
                    _write_png(picture, draft / "poses" / f"frame_{index}.png")
                if driving is not None and inputs.driver_video is not None:
                    image = inputs.driver_video.next()
                    if image is None:
                        raise MediaError(f"{inputs.driver_video.name}: ends after {index} frames")
                    driving.write(image if crop is None else crop.crop(image, index))
                progress.advance()

    def _row(self, planned: PlannedCase) -> dict[str, str]:
        clip, pair = planned.clip, planned.pair
        name = clip.clip_id
        values = {
            "clip_id": name,
            PREDICTION: f"{name}.mp4",
            "portrait": f"{name}/portrait.png",
            "poses": f"{name}/poses.mp4",
            "pose_frames": f"{name}/poses" if self._settings.png else "",
            "keypoints": f"{name}/keypoints.npz",
            "driving": f"{name}/driving.mp4" if self._seen != "none" else "",
            "driving_frames": self._seen,
            "width": planned.width,
            "height": planned.height,
            "num_frames": planned.num_frames,
            "fps": clip.fps,
            "seed": planned.seed,
            "portrait_clip": name if pair is None else pair.portrait.clip_id,
            "driving_clip": name if pair is None else pair.driving.clip_id,
            "protocol": self._protocol.name,
            INPUTS: inputs_hash(planned),
        }
        return {column: str(values[column]) for column in COLUMNS}


def map_text(rows: Sequence[Mapping[str, str]]) -> str:
    """Return the lines of `cases.csv`."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


@contextlib.contextmanager
def _locked(settings: ExportSettings) -> Iterator[None]:
    """Create the folder, check that it is empty or an export, and lock it.

    Raises:
        ExportError: it holds something else, cannot be written, or another process works in it.
    """
    out = settings.out
    try:
        out.mkdir(parents=True, exist_ok=True)
        inside = sorted(path.name for path in out.iterdir() if path.name != _LOCK)
        if inside and not (out / EXPORT).is_file():
            raise ExportError(f"--out {out}: holds {inside[0]}, and no export: give a new or empty folder")
        with FileLock(out / _LOCK).acquire(timeout=0):
            yield
    except Timeout as error:
        raise ExportError(f"--out {out}: another tp-eval is at work in it: wait, or give another") from error
    except OSError as error:
        raise ExportError(
            f"--out {out}: cannot be written ({error.strerror or error}): check the disk, then run the "
            "command again"
        ) from error


def _clear(out: Path) -> None:
    """Delete what an export wrote into the folder, and nothing else."""
    for name in (MAP, EXPORT):
        (out / name).unlink(missing_ok=True)
    for path in out.iterdir():
        if (path / CASE).is_file() and not path.is_symlink():
            shutil.rmtree(path)


def _writer(path: Path, planned: PlannedCase) -> VideoWriter:
    return VideoWriter(path, fps=planned.clip.fps, lossless=True, preset="veryfast")


def _write_png(image: Image, path: Path) -> None:
    import cv2

    # OpenCV takes BGR.
    encoded, data = cv2.imencode(".png", image[:, :, ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 3])
    if not encoded:
        raise MediaError(f"{path}: cannot be encoded as PNG: give another size")
    path.write_bytes(data.tobytes())


def _write_arrays(path: Path, planned: PlannedCase, inputs: CaseInputs) -> None:
    fps = planned.clip.fps
    np.savez_compressed(
        path,
        keypoints=inputs.keypoints.astype(np.float32),
        names=np.array(KEYPOINT_NAMES),
        fps=np.array([fps.numerator, fps.denominator], np.int64),
        width=np.int64(planned.width),
        height=np.int64(planned.height),
        num_frames=np.int64(planned.num_frames),
        seed=np.int64(planned.seed),
    )
