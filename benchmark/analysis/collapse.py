"""Collapse of a clip: a loss of quality that begins at some second and does not end.

A hard gesture also costs quality, but it ends. The detector therefore asks what the rest of the clip looks
like, and compares it with the beginning of the same clip, so that a contestant that is poor throughout has
not collapsed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from benchmark.protocols.protocol import CollapseRule
from benchmark.results import Collapse, CollapseEvent

Floats = npt.NDArray[np.float64]


def collapse_second(bins: Floats, threshold: float, rule: CollapseRule) -> int | None:
    """Return the second at which one score of a clip collapses, None where it does not.

    That is the first second, after the baseline, that is beyond the threshold and after which at least
    `rule.share` of the remaining seconds are, if at least `rule.lasting_s` remain.

    Args:
        bins: score of each second, float64 (seconds,), NaN where there is none (not beyond).
        threshold: allowed difference from the median of the first `rule.baseline_s` seconds: a lower score is
            beyond a negative one, a higher score beyond a positive one.
        rule: of the protocol.
    """
    baseline = bins[: rule.baseline_s]
    if np.isnan(baseline).all():
        return None
    difference = bins - np.nanmedian(baseline)
    with np.errstate(invalid="ignore"):
        beyond = difference <= threshold if threshold < 0 else difference >= threshold
    # Share of the seconds from each one to the end that are beyond.
    remaining = np.arange(len(bins), 0, -1)
    share = np.cumsum(beyond[::-1])[::-1] / remaining
    late = np.arange(len(bins)) >= rule.baseline_s
    found = np.flatnonzero(beyond & late & (share >= rule.share) & (remaining >= rule.lasting_s))
    return int(found[0]) if len(found) else None


def collapse_of(
    clips: Sequence[str],
    bins: Mapping[str, Sequence[Floats]],
    thresholds: Mapping[str, float],
    rule: CollapseRule,
) -> Collapse:
    """Count the clips in which any of several scores collapses.

    Args:
        clips: clip ids.
        bins: metric -> scores of the seconds of each clip.
        thresholds: metric -> as in `collapse_second`.
        rule: of the protocol.
    """
    events = []
    for place, clip_id in enumerate(clips):
        seconds = {
            name: collapse_second(series[place], thresholds[name], rule)
            for name, series in bins.items()
            if name in thresholds
        }
        found = sorted((second, name) for name, second in seconds.items() if second is not None)
        if found:
            events.append(CollapseEvent(clip_id=clip_id, second=found[0][0], metric=found[0][1]))
    return Collapse(n_clips=len(clips), events=events)
