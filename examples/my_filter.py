"""Two filters of your own for tp-curate.

Copy this file into a package of your own and register the classes in its pyproject.toml:

    [project.entry-points."talkingpose.filters"]
    centred = "my_filter:CentredFilter"
    landscape = "my_filter:LandscapeFilter"

After `pip install` of that package, turn them on in a configuration file. Filters of other packages are off
unless the file names them:

    filters:
      centred: {max_offset: 0.2}
      landscape: {}

`tp-curate run VIDEO... --out DIR --config FILE` then applies them. Their results appear in the verdicts, in
`tp-curate explain` and in the report; settings and version are part of the configuration hash.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from curation.detect.measurements import Shot
from curation.filters import FilterSpec, SampleFilter, SampleSettings


class CentredSettings(SampleSettings):
    """Settings of `CentredFilter`. Fields without a default must be given in the configuration.

    Attributes:
        max_offset: Largest horizontal distance of the face from the centre, as a share of the width.
        min_share: Share of the samples that must be within it.
    """

    max_offset: Annotated[float, Field(ge=0, le=0.5)] = 0.25
    min_share: Annotated[float, Field(ge=0, le=1)] = 0.9


class CentredFilter(SampleFilter[CentredSettings]):
    """Reject shots whose speaker sits at the edge of the picture."""

    spec = FilterSpec(
        "centred",
        unit="distance from the centre, share of the width",
        threshold="max_offset",  # the field of the settings above
        direction="at_most",
        reason="speaker off centre",
        source="The middle half of the picture.",
        version="1",  # bump it to have footage judged again
    )
    Settings = CentredSettings

    def values(self, shot: Shot, settings: CentredSettings) -> Iterator[float | None]:
        """Distance of the face from the centre, one value per sample; None (no face) fails."""
        for sample in shot.samples:
            yield None if sample.face is None else abs((sample.face.x0 + sample.face.x1) / 2 - 0.5)


class LandscapeFilter:
    """Reject upright video. The short form: no settings, one verdict per span."""

    name = "landscape"

    def filter(self, shot: Shot) -> bool | tuple[bool, str]:
        """Return True to keep the span, or (False, reason)."""
        return shot.width >= shot.height or (False, "upright video")
