"""Pictures of moments: the real frame, the generated frame and their difference, as embedded JPEG."""

from __future__ import annotations

import base64
import io
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmark.data.bundled import TP_MINI, open_dataset
from benchmark.protocols.protocol import load_protocol
from benchmark.results import CaseResult, Run
from benchmark.runner.inputs import prepare_inputs
from benchmark.runner.plan import PlannedCase, plan_run, planning_rules
from talkingpose.data.clips import ClipDataset
from talkingpose.io.errors import UserError
from talkingpose.io.image import Image
from talkingpose.media import VideoReader, resize_image

# Differences of 64 levels and more are white.
AMPLIFIED = 4
_WIDTH = 288
_QUALITY = 80

Moments = Mapping[str, Collection[int]]
Frames = dict[tuple[str, int], Image]


@dataclass(frozen=True)
class RealFrames:
    """Real frames of some moments; where they are missing, the reason."""

    frames: Frames
    reason: str | None = None
    # "real frame", or "portrait" across identities, which has no real frame.
    label: str = "real"


def real_frames(run: Run, moments: Moments, dataset: str | None) -> RealFrames:
    """Decode the real frames of moments from the dataset of a run.

    Across identities there are no real frames, and the portrait takes their place.

    Args:
        run: document of the run.
        moments: clip id -> frame numbers.
        dataset: location of the dataset; None for the location that the run names, if it is `tp-mini` or a
            local folder. A run may come from a stranger, so a Hub repository is opened only by request.
    """
    location = dataset or run.dataset.location
    if dataset is None and location != TP_MINI and not Path(location).is_dir():
        return RealFrames({}, f"the dataset {location[:200]} is not on this machine: give --dataset")
    try:
        data, planned = _open(run, location)
        if planned is None:
            return RealFrames({}, f"dataset {location[:200]} holds other clips than the run: give --dataset")
        frames: Frames = {}
        cross = False
        for clip_id, times in moments.items():
            if clip_id in planned:
                cross = cross or planned[clip_id].pair is not None
                frames.update(_of_clip(data, planned[clip_id], clip_id, times))
    except UserError as error:
        return RealFrames({}, str(error))
    return RealFrames(frames, label="portrait" if cross else "real")


def generated_frames(
    folder: Path, cases: Mapping[str, CaseResult], moments: Moments
) -> tuple[Frames, list[str]]:
    """Decode generated frames of moments; return them, and one line for each video that cannot be read."""
    frames: Frames = {}
    missing = []
    for clip_id, times in moments.items():
        case = cases[clip_id]
        video = case.lossless or case.video
        try:
            if video is None or not (folder / video.path).is_file():
                missing.append(f"{clip_id}: its video is not in the folder of the run")
                continue
            frames.update(_decoded(folder / video.path, clip_id, times))
        except UserError as error:
            missing.append(f"{clip_id}: {error}")
    return frames, missing


def difference(real: Image, generated: Image) -> Image | None:
    """Return the amplified absolute difference of two frames, uint8 RGB; None if their sizes differ."""
    if real.shape != generated.shape:
        return None
    gap = np.abs(real.astype(np.int16) - generated) * AMPLIFIED
    return np.asarray(np.minimum(gap, 255), np.uint8)


def data_uri(image: Image) -> str:
    """Return a frame as embedded JPEG, at most 288 pixels wide."""
    from PIL import Image as PilImage

    height, width = image.shape[:2]
    if width > _WIDTH:
        image = resize_image(image, (_WIDTH, max(1, round(height * _WIDTH / width))))
    buffer = io.BytesIO()
    PilImage.fromarray(image).save(buffer, "JPEG", quality=_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def _open(run: Run, location: str) -> tuple[ClipDataset, dict[str, PlannedCase] | None]:
    """Open the dataset and plan the run again; None for the plan if the clips are others."""
    data = open_dataset(location)
    plan = plan_run(
        data,
        planning_rules(load_protocol(f"{run.protocol.id}@{run.protocol.version}"), run.max_frames),
        split=run.dataset.split if run.dataset.split in data.splits else None,
        limit=run.limit,
        max_frames=run.max_frames,
        seed=run.seed,
    )
    if plan.cases_sha256 != run.dataset.cases_sha256:
        return data, None
    return data, {case.clip.clip_id: case for case in plan.cases}


def _of_clip(
    data: ClipDataset, planned: PlannedCase, clip_id: str, times: Collection[int]
) -> Iterator[tuple[tuple[str, int], Image]]:
    inputs = prepare_inputs(data, planned)
    try:
        if inputs.real_video is None:
            yield from (((clip_id, t), inputs.reference) for t in times)
            return
        for t in range(max(times) + 1):
            image = inputs.real_video.next()
            if image is None:
                return
            if t in times:
                yield (clip_id, t), image
    finally:
        inputs.close()


def _decoded(path: Path, clip_id: str, times: Collection[int]) -> Iterator[tuple[tuple[str, int], Image]]:
    last = max(times)
    with VideoReader(path) as reader:
        for number, frame in enumerate(reader.lazy_frames()):
            if number in times:
                yield (clip_id, number), frame.image()
            if number >= last:
                return
