"""Face size filter: faces of too few pixels."""

from __future__ import annotations

from curation.detect.measurements import FrameSample, Shot
from curation.filters import face
from curation.filters.base import FilterSpec, SampleFilter, SampleSettings, Share, Values


class FaceSizeSettings(SampleSettings):
    """`min_height`: lowest height of the face, as a share of the picture's shorter side, 0-1."""

    min_height: Share


class FaceSizeFilter(SampleFilter[FaceSizeSettings]):
    """Reject shots whose face is too small to be generated.

    Measures the height from brows to chin against the shorter side of the picture inside the letterbox.
    """

    spec = FilterSpec(
        "face_size",
        unit="face height, share of the shorter side",
        threshold="min_height",
        reason="face too small",
        source="32 pixels of 512: four cells of a diffusion model's latents.",
    )
    Settings = FaceSizeSettings

    def values(self, shot: Shot, settings: FaceSizeSettings) -> Values:
        """Height of every face."""
        return (height(sample, shot) for sample in shot.samples)


def height(sample: FrameSample, shot: Shot) -> float | None:
    """Height of the face as a share of the shorter side; None without landmarks."""
    if sample.face is None or not face.visible(sample):
        return None
    return sample.face.height * shot.height / shot.shorter_side
