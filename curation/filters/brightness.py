"""Too dark: noise instead of detail, and a face that nobody can make out."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from curation.detect.measurements import FrameSample, Shot
from curation.filters.filter_result import Levels, SampleSettings, measured_of


class Settings(SampleSettings):
    """`min_luma`: 0 to 255, in `min_share` of the samples."""

    min_luma: Annotated[float, Field(ge=0, le=255)]


def levels(shot: Shot, settings: Settings) -> Levels:
    """Median luma of the main face; of the whole picture where there is no face.

    The face, and not the picture: a stage is black, and the speaker on it is lit.
    """
    values = measured_of(luma_of, shot)
    return Levels(values, settings.min_luma, True, settings.min_share, "luma, 0 to 255", "too dark")


def luma_of(sample: FrameSample) -> float | None:
    """Luma of the face, else of the picture inside borders; None where neither was measured."""
    if sample.face_luma is not None or sample.luma is None:
        return sample.face_luma
    height, width = sample.luma.shape
    box = sample.picture
    rows = slice(int(box.y0 * height), max(round(box.y1 * height), int(box.y0 * height) + 1))
    columns = slice(int(box.x0 * width), max(round(box.x1 * width), int(box.x0 * width) + 1))
    return float(sample.luma[rows, columns].mean())
