"""Groups of runs that may be compared: same rules, same clips, same limits."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from benchmark.results import Run
from benchmark.run_check import CheckedRun
from leaderboard.text.number_format import counted

# Longer names are cut on the page; data.json has them whole.
_LABEL_LENGTH = 400
CONTROL_ORDER = (
    *("ground-truth", "reencode", "frozen", "lag", "drift", "brightness", "flicker", "late-blur"),
    "paste-driver",
)


@dataclass(frozen=True, eq=False)
class BoardEntry:
    """One run in its group. `series` numbers the models and the controls of a page, each from 0."""

    checked: CheckedRun
    label: str
    series: int

    @property
    def run(self) -> Run:
        """Document of the run."""
        return self.checked.run

    @property
    def control(self) -> bool:
        """True for a control row, which is never ranked."""
        return self.run.contestant.control


@dataclass(frozen=True)
class BoardGroup:
    """Runs that may be compared with each other; `why` explains what sets them apart from other groups."""

    number: int
    ranked: bool
    why: str
    models: tuple[BoardEntry, ...]
    controls: tuple[BoardEntry, ...]

    @property
    def entries(self) -> tuple[BoardEntry, ...]:
        """Models, then controls."""
        return self.models + self.controls

    @property
    def any_run(self) -> Run:
        """Any of the runs, for the protocol and the clips that all of them share."""
        return self.entries[0].run

    @property
    def frozen(self) -> BoardEntry | None:
        """Control that repeats its first frame, the zero of the skill score."""
        return next((entry for entry in self.controls if entry.run.contestant.name == "frozen"), None)


def group_runs(runs: Sequence[CheckedRun]) -> list[BoardGroup]:
    """Sort runs into groups that may be compared; ranked groups come first."""
    by_key: dict[tuple[object, ...], list[CheckedRun]] = {}
    for checked in runs:
        by_key.setdefault(_key(checked.run), []).append(checked)
    ordered = sorted(by_key.values(), key=lambda members: _order(members[0].run))
    labelled = [list(zip(members, _labels(members), strict=True)) for members in ordered]
    series = _series(labelled)
    groups = []
    for number, named in enumerate(labelled, start=1):
        run, first = named[0][0].run, ordered[0][0].run
        why = _why(run, first, alone=len(ordered) == 1, newest=_newest(runs, run.protocol.id))
        entries = [
            BoardEntry(checked, label, series[_series_key(checked, label)]) for checked, label in named
        ]
        entries.sort(key=lambda entry: entry.series)
        models = tuple(entry for entry in entries if not entry.control)
        controls = tuple(entry for entry in entries if entry.control)
        groups.append(BoardGroup(number, is_rankable(run), why, models, controls))
    return groups


def is_rankable(run: Run) -> bool:
    """Tell whether a run may be ranked: marked as comparable, complete, without limits."""
    return run.comparable and run.status == "complete" and run.limit is None and run.max_frames is None


def setting_text(value: str | int | float | bool | None) -> str:
    """Format a setting of a run for people."""
    if value is None:
        return "not set"
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def _key(run: Run) -> tuple[object, ...]:
    clips = (run.dataset.cases_sha256, run.limit, run.max_frames)
    rules = (run.protocol.id, run.protocol.version, run.protocol.sha256)
    return (*rules, *clips, run.comparable, run.status)


def _order(run: Run) -> tuple[object, ...]:
    rules = (run.protocol.id, -run.protocol.version, run.protocol.sha256)
    limits = (run.limit or 0, run.max_frames or 0, run.comparable, run.status)
    return (not is_rankable(run), *rules, run.dataset.cases_sha256, *limits)


def _newest(runs: Sequence[CheckedRun], protocol: str) -> int:
    return max(checked.run.protocol.version for checked in runs if checked.run.protocol.id == protocol)


def _why(run: Run, first: Run, *, alone: bool, newest: int) -> str:
    reasons = []
    if run.status != "complete":
        reasons.append(f"Not ranked: these runs are not complete (status {run.status}).")
    limits = [f"the first {counted(run.limit, 'clip')}"] if run.limit is not None else []
    if run.max_frames is not None:
        limits.append(f"the first {counted(run.max_frames, 'frame')} of a clip")
    if limits:
        reasons.append(f"Not ranked: these runs were limited to {' and '.join(limits)}.")
    elif not run.comparable:
        reasons.append("Not ranked: these runs are marked as not comparable.")
    if alone:
        return " ".join(reasons)
    if run.protocol.version < newest:
        reasons.append(f"Superseded: version {newest} of this protocol exists.")
    if run.protocol.id != first.protocol.id:
        reasons.append("Another protocol: its numbers cannot be compared with those of other boards.")
    elif run.protocol.sha256 != first.protocol.sha256:
        reasons.append("The rules differ from those of the first board (another protocol hash).")
    elif run.dataset.cases_sha256 != first.dataset.cases_sha256:
        reasons.append("The same rules as on the first board, but other clips.")
    return " ".join(reasons)


_SeriesKey = tuple[bool, int, str, str]


def _series(labelled: Sequence[Sequence[tuple[CheckedRun, str]]]) -> dict[_SeriesKey, int]:
    """Number every label, models and controls each from 0, the same on all boards of a page."""
    keys = sorted({_series_key(checked, label) for named in labelled for checked, label in named})
    num_models = sum(not key[0] for key in keys)
    return {key: place - num_models if key[0] else place for place, key in enumerate(keys)}


def _series_key(checked: CheckedRun, label: str) -> _SeriesKey:
    """Sort key: the label for models, a fixed order for known controls."""
    control, name = checked.run.contestant.control, checked.run.contestant.name
    known = control and name in CONTROL_ORDER
    return (control, CONTROL_ORDER.index(name) if known else len(CONTROL_ORDER), label.casefold(), label)


def _labels(members: Sequence[CheckedRun]) -> list[str]:
    """Label runs by name; runs of one name also by revision, settings, seed, origin or number."""
    labels = []
    for checked in members:
        namesakes = [
            other.run for other in members if other.run.contestant.name == checked.run.contestant.name
        ]
        labels.append(_label(checked.run, namesakes))
    return [
        label if labels.count(label) == 1 else f"{label} #{labels[: place + 1].count(label)}"
        for place, label in enumerate(labels)
    ]


def _label(run: Run, namesakes: Sequence[Run]) -> str:
    who = run.contestant
    shown = who.name if len(who.name) <= _LABEL_LENGTH else f"{who.name[:_LABEL_LENGTH]}\u2026"
    if len(namesakes) == 1:
        return shown
    parts = []
    if len({other.contestant.revision for other in namesakes}) > 1:
        parts.append(who.revision[:12])
    for name in sorted({name for other in namesakes for name in other.contestant.args}):
        values = {json.dumps(other.contestant.args.get(name)) for other in namesakes}
        if len(values) > 1 and name in who.args:
            parts.append(f"{name}={setting_text(who.args[name])}")
    if len({other.seed for other in namesakes}) > 1:
        parts.append(f"seed {run.seed}")
    if len({other.contestant.origin for other in namesakes}) > 1:
        parts.append(who.origin)
    return f"{shown} ({', '.join(parts)})" if parts else shown
