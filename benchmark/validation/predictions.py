"""Check of predictions: one video per clip, each decoded completely."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmark.protocols.protocol import Protocol
from benchmark.runner.plan import plan_run
from benchmark.runner.predictions.case_map import read_case_map
from benchmark.runner.predictions.cases import inputs_hash
from benchmark.runner.predictions.folder import (
    PredictionError,
    check_inputs,
    match,
    match_by_map,
    missing,
    read_prediction,
)
from benchmark.runner.predictions.swapped import swapped_predictions
from benchmark.validation.checks import CheckList
from talkingpose.data.clips import ClipDataset
from talkingpose.data.contestant import Case
from talkingpose.media import MediaError


def check_predictions(
    folder: Path,
    dataset: ClipDataset,
    protocol: Protocol,
    split: str | None,
    notes: CheckList,
    prediction_map: Path | None = None,
) -> str:
    """Check a folder against the clips of a dataset; return what was checked.

    Raises:
        UserError: the folder cannot be read, a clip has two predictions, or there is no clip.
    """
    plan = plan_run(dataset, protocol, split=split, limit=None, max_frames=None, seed=0)
    cases = {planned.clip.clip_id: planned for planned in plan.cases}
    case_map = None if prediction_map is None else read_case_map(prediction_map)
    found = match(folder, list(cases)) if case_map is None else match_by_map(folder, case_map, list(cases))
    for clip_id in found.missing:
        notes.error(clip_id, missing(clip_id, case_map))
    for name in found.foreign:
        notes.warning(name, "belongs to no clip")
    for entry in swapped_predictions(dataset, plan.cases, found.found):
        notes.warning(str(entry.clip_id), entry.message)
    for clip_id, path in sorted(found.found.items()):
        planned = cases[clip_id]
        case = Case(
            clip_id=clip_id,
            reference=np.zeros((planned.height, planned.width, 3), np.uint8),
            keypoints=(),
            fps=planned.clip.fps,
            width=planned.width,
            height=planned.height,
            num_frames=planned.num_frames,
        )
        try:
            check_inputs(clip_id, case_map, {clip_id: inputs_hash(planned)})
            for _ in read_prediction(path, case, []):
                pass
        except (PredictionError, MediaError) as error:
            notes.error(clip_id, str(error))
    return f"{len(found.found)} predictions for {len(cases)} clips, each decoded completely"
