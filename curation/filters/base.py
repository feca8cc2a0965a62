"""Contract of a filter: specification, settings and measurement."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Generic, Literal, Protocol, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from curation.detect.measurements import BoolArray, FloatArray, Shot
from curation.records import Evidence, FilterResult, Step

# Detectors err in up to this share of the samples; what they find no more often is absent.
STRAY_SHARE = 0.1
_TOLERANCE = 1e-9
_MAX_EVIDENCE = 8

Share = Annotated[float, Field(ge=0, le=1)]
# One value per sample; None or NaN where nothing can be measured, which fails.
Values = Iterable[float | None]


class FilterSettings(BaseModel):
    """Settings of a filter. Unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @property
    def required_share(self) -> float:
        """Share of the samples that must reach the threshold, 0-1."""
        return 1.0


class SampleSettings(FilterSettings):
    """Settings of a filter that tolerates some failing samples.

    Attributes:
        min_share: Share of the samples that must reach the threshold, 0-1.
    """

    min_share: Share

    @property
    def required_share(self) -> float:
        """Share of the samples that must reach the threshold, 0-1."""
        return self.min_share


@dataclass(frozen=True)
class FilterSpec:
    """Description of a filter.

    Attributes:
        name: Key in the section `filters` of the configuration, and in verdicts.
        unit: Unit of the values and of the threshold.
        reason: Reason given for a span that fails.
        threshold: Field of the settings that holds the threshold. None for a yes-or-no filter: its values are
            0 or 1, and the share of ones is compared with `min_share`.
        direction: `at_least` if values from the threshold upwards pass, `at_most` if those up to it pass.
        never: Reason if next to no sample (at most 10 %) reaches the threshold; None means `reason`.
        per: `sample` for one value per sample, `span` for one value of the whole span.
        source: Origin of the default threshold: a paper or a measurement.
        steady: The threshold must also be reached without a gap longer than `trim.max_gap_s`. None: if more
            than half of the samples must reach it.
        version: Bump to invalidate cached results.
    """

    name: str
    unit: str
    reason: str
    threshold: str | None = None
    direction: Literal["at_least", "at_most"] = "at_least"
    never: str | None = None
    per: Literal["sample", "span"] = "sample"
    source: str = ""
    steady: bool | None = None
    version: str = "1"

    def threshold_of(self, settings: FilterSettings) -> float:
        """Threshold of single values."""
        return 1.0 if self.threshold is None else float(getattr(settings, self.threshold))

    def not_asked(self, settings: FilterSettings, step: Step = "scan") -> FilterResult:
        """Result of a filter that did not run, with its threshold."""
        share = settings.required_share
        return FilterResult(
            filter=self.name,
            step=step,
            passed=None,
            measured=None,
            threshold=share if self.threshold is None else self.threshold_of(settings),
            at_least=self.direction == "at_least",
            unit=self.unit,
            reason=None,
            min_share=share if self.per == "sample" else None,
        )


@dataclass(frozen=True)
class Measurement:
    """Values of a filter for one span, with the settings that judge them.

    Attributes:
        spec: Description of the values.
        settings: Threshold and required share.
        values: float64 (N,), one per sample, or (1,) for a span. NaN where nothing could be measured: that
            fails.
        evidence: Places at which the filter saw what it rejects.
    """

    spec: FilterSpec
    settings: FilterSettings
    values: FloatArray
    evidence: tuple[Evidence, ...] = ()

    @property
    def required_share(self) -> float:
        """Share of the samples that must reach the threshold, 0-1."""
        return self.settings.required_share

    @property
    def reached(self) -> BoolArray:
        """Samples that reach the threshold, bool (N,)."""
        threshold = self.spec.threshold_of(self.settings)
        tolerance = _TOLERANCE if self.spec.per == "span" else 0.0
        with np.errstate(invalid="ignore"):
            if self.spec.direction == "at_least":
                return self.values >= threshold - tolerance
            return self.values <= threshold + tolerance

    def result(self, step: Step = "scan") -> FilterResult:
        """Compare the values with the threshold.

        The measured value is the one that `min_share` of the samples reach, so that a span passes exactly if
        it reaches the threshold.
        """
        total, reached = len(self.values), int(self.reached.sum())
        share = reached / total if total else 0.0
        passed = total > 0 and reached >= self.required_share * total - _TOLERANCE
        measured = share if self.spec.threshold is None else self._reached_by_share()
        never = self.spec.never if share <= STRAY_SHARE else None
        return self.spec.not_asked(self.settings, step).model_copy(
            update={
                "passed": passed,
                "measured": None if measured is None else round(measured, 6),
                "share": round(share, 6) if self.spec.per == "sample" else None,
                "reason": None if passed else never or self.spec.reason,
                "evidence": () if passed else self.evidence[:: -(-len(self.evidence) // _MAX_EVIDENCE) or 1],
            }
        )

    def _reached_by_share(self) -> float | None:
        if not len(self.values):
            return None
        sign = 1.0 if self.spec.direction == "at_least" else -1.0
        best_first = np.sort(np.where(np.isnan(self.values), -np.inf, sign * self.values))[::-1]
        # A share of 0 requires nothing and reports the best sample.
        place = max(math.ceil(self.required_share * len(best_first) - _TOLERANCE), 1) - 1
        value = sign * float(best_first[place])
        return None if math.isinf(value) else value


class Filter(Protocol):
    """Measures one property of a span; registered as an entry point of the group `talkingpose.filters`.

    The class is called without arguments. `SampleFilter` is a base class that fits.
    """

    spec: FilterSpec
    Settings: type[FilterSettings]

    def measure(self, shot: Shot, settings: Any) -> Measurement:
        """Measure every sample of a span; `settings` is an instance of `Settings`."""


SettingsT = TypeVar("SettingsT", bound=FilterSettings)


class SampleFilter(ABC, Generic[SettingsT]):
    """Base class of filters that measure one value per sample."""

    spec: FilterSpec
    Settings: type[SettingsT]

    @abstractmethod
    def values(self, shot: Shot, settings: SettingsT) -> Values:
        """Measure every sample of a shot."""

    def measure(self, shot: Shot, settings: SettingsT) -> Measurement:
        """Measure every sample of a span."""
        return Measurement(self.spec, settings, float_array(self.values(shot, settings)))


def float_array(values: Values) -> FloatArray:
    """Values as float64 (N,), with NaN for None."""
    return np.array([math.nan if value is None else value for value in values], np.float64)
