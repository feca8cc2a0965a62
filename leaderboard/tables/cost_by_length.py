"""Cost of a frame by the length of the clip."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from benchmark.results import CaseResult
from leaderboard.entries.groups import BoardEntry, BoardGroup
from leaderboard.text import number_format

# The first class ends here; each further one is twice as long.
_FIRST = 200


@dataclass(frozen=True)
class CostTable:
    """Titles of the length classes, and a row of cells for each contestant that generated."""

    columns: tuple[str, ...]
    rows: tuple[tuple[BoardEntry, tuple[str, ...]], ...]


def cost_by_length(group: BoardGroup) -> CostTable | None:
    """Tabulate seconds per frame and peak memory by clip length; None where no case has its cost."""
    found: list[tuple[BoardEntry, dict[int, list[CaseResult]]]] = []
    for entry in group.models:
        classes: dict[int, list[CaseResult]] = defaultdict(list)
        for case in entry.checked.cases.values():
            if case.cost is not None and case.cost.seconds_per_frame is not None:
                classes[length_class(case.num_frames)].append(case)
        if classes:
            found.append((entry, classes))
    ends = sorted({end for _, classes in found for end in classes})
    if not ends:
        return None
    rows = tuple((entry, tuple(_cell(classes.get(end, ())) for end in ends)) for entry, classes in found)
    return CostTable(tuple(class_title(end) for end in ends), rows)


def length_class(num_frames: int) -> int:
    """Return the number of frames that all clips of the class stay below."""
    end = _FIRST
    while num_frames >= end:
        end *= 2
    return end


def class_title(end: int) -> str:
    """Return the numbers of frames of a class in words."""
    return f"below {end}" if end == _FIRST else f"{end // 2} to {end - 1}"


def _cell(cases: Sequence[CaseResult]) -> str:
    """Format seconds per frame over all frames, and the highest peak at the end of a clip."""
    if not cases:
        return number_format.NOTHING
    seconds = sum(case.generation_s for case in cases) / sum(case.num_frames for case in cases)
    costs = [case.cost for case in cases if case.cost is not None]
    parts = [
        f"{number_format.significant(seconds, 3)} s",
        number_format.memory(max(cost.peak_rss_mb for cost in costs)),
    ]
    device = [cost.peak_device_mb for cost in costs if cost.peak_device_mb is not None]
    if device:
        parts.append(f"{number_format.memory(max(device))} device")
    return ", ".join(parts)
