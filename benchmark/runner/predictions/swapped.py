"""Finished videos that seem to belong to another clip, by their first frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmark.results import AuditEntry
from benchmark.runner.inputs import prepare_inputs
from benchmark.runner.plan import PlannedCase
from benchmark.runner.predictions.case_map import printable
from benchmark.runner.predictions.folder import first_frame
from talkingpose.data.clips import ClipDataset
from talkingpose.io.errors import UserError
from talkingpose.io.image import Image

_SIDE = 32
# Mean absolute difference of two thumbnails, in levels. Below it a prediction fits its own clip well enough.
_FAR = 1.0
# A prediction seems to be of another clip where it is so much nearer to the portrait of that clip.
_RATIO = 0.5

_Thumbnail = npt.NDArray[np.float32]


def swapped_predictions(
    dataset: ClipDataset, cases: Sequence[PlannedCase], found: Mapping[str, Path]
) -> list[AuditEntry]:
    """Compare the first frame of each prediction with the portraits of all cases.

    Frames are compared as thumbnails of 32x32 pixels, so that the size does not matter. A prediction is
    reported if its mean absolute difference from its own portrait is above 1 level, and that from the
    portrait of another case less than half of it. Predictions that cannot be read are left out.

    Args:
        dataset: dataset of the cases.
        cases: the cases of the run.
        found: clip id -> prediction.

    Returns:
        One entry for each prediction that seems to be of another clip.
    """
    portraits: dict[str, _Thumbnail] = {}
    made: dict[str, _Thumbnail] = {}
    for planned in cases:
        clip_id = planned.clip.clip_id
        try:
            inputs = prepare_inputs(dataset, planned)
            inputs.close()
            portraits[clip_id] = _thumbnail(inputs.reference)
            if clip_id in found:
                made[clip_id] = _thumbnail(first_frame(found[clip_id]))
        except UserError:
            continue  # reported when the clip is scored
    if not made or not portraits:
        return []
    ids = list(portraits)
    stack = np.stack([portraits[clip_id] for clip_id in ids])
    entries = []
    for clip_id, thumbnail in made.items():
        if clip_id not in portraits:
            continue
        distances = np.abs(stack - thumbnail).mean(axis=(1, 2, 3))
        own = float(distances[ids.index(clip_id)])
        best = int(distances.argmin())
        nearest = float(distances[best])
        if own > _FAR and nearest < _RATIO * own:
            name = printable(found[clip_id].name)
            message = (
                f"warning: {name} seems to be the video of clip {ids[best]}: its first frame is "
                f"{nearest:.1f} levels from that portrait, {own:.1f} from its own"
            )
            entries.append(AuditEntry(kind="swapped", clip_id=clip_id, message=message))
    return entries


def _thumbnail(image: Image) -> _Thumbnail:
    import cv2

    return np.asarray(cv2.resize(image, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA), np.float32)
