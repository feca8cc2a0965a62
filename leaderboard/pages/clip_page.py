"""Page of one clip: every contestant in step, frame scores, worst and best moments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmark.results import CaseScore, ResultError
from benchmark.run_check import read_frame_scores
from leaderboard.entries.groups import BoardEntry, BoardGroup
from leaderboard.figures.frame_curves import Floats, FrameCurve, curve_path, value_range
from leaderboard.pages.site_page import SitePage, render_site_page
from leaderboard.tables.clip_tables import ClipComparison, ClipTables, videos_of
from leaderboard.tables.columns import MetricColumn, columns_of
from leaderboard.text import number_format
from leaderboard.text.slugs import slug

Media = Mapping[tuple[Path, str], str | None]

# Moments of one contestant that are listed, and their least distance in seconds.
_WORST, _APART_S = 3, 1.0
# Panels of frame scores.
_CURVES = 6


@dataclass(frozen=True)
class Moment:
    """A frame with its score as text; `time` is the middle of the frame in seconds, for a link."""

    frame: int
    time: str
    text: str


@dataclass(frozen=True)
class ClipPanel:
    """Frame scores of one metric: curves, ends of the axis, moments as (entry, worst ones, best one)."""

    column: MetricColumn
    high: str
    low: str
    curves: tuple[FrameCurve, ...]
    moments: tuple[tuple[BoardEntry, tuple[Moment, ...], Moment], ...]


@dataclass(frozen=True)
class ClipPlayer:
    """One video of the page; `real` marks the one that the others are compared with."""

    entry: BoardEntry
    file: str | None
    real: bool


def clip_page_name(group: BoardGroup, clip: ClipComparison) -> str:
    """Return the file name of the page of a clip; it stays the same from site to site."""
    return f"b{group.number}-clip-{slug(clip.clip_id)}.html"


def clip_list_name(group: BoardGroup) -> str:
    """Return the file name of the page that lists the clips of a board."""
    return f"b{group.number}-clips.html"


def render_clip_list(site_title: str, group: BoardGroup, clips: ClipTables) -> SitePage:
    """Render the tables of all clips, linked to their pages."""
    return render_site_page(
        "clips.html.j2",
        clip_list_name(group),
        site_title,
        group,
        heading="Clip by clip",
        script="board.js",
        clips=clips,
        pages=[clip_page_name(group, clip) for clip in clips.clips],
    )


def render_clip_page(
    site_title: str, group: BoardGroup, clips: ClipTables, place: int, media: Media, portrait: str | None
) -> SitePage:
    """Render the page of a clip.

    Args:
        site_title: title of the site.
        group: the board.
        clips: its clips.
        place: index of the clip.
        media: (run folder, path of a video) -> its name under `media/`.
        portrait: name of the picture of the portrait under `media/`, None where there is none.
    """
    clip = clips.clips[place]
    links = [("All clips", clip_list_name(group))]
    if place > 0:
        links.append(("← Worse clip", clip_page_name(group, clips.clips[place - 1])))
    if place + 1 < len(clips.clips):
        links.append(("Better clip →", clip_page_name(group, clips.clips[place + 1])))
    players = _players(group, clip, media)
    return render_site_page(
        "clip.html.j2",
        clip_page_name(group, clip),
        site_title,
        group,
        heading=f"Clip {clip.clip_id}",
        links=links,
        script="clip.js",
        clip=clip,
        portrait=portrait,
        shape=f"{max(1, clip.width)}x{max(1, clip.height)}",
        players=players,
        real=next((player.entry for player in players if player.real), None),
        frame_panels=_panels(group, clip),
        scores=_scores(group, clip),
    )


def _players(group: BoardGroup, clip: ClipComparison, media: Media) -> list[ClipPlayer]:
    """List the videos: the real one first, if a run shows it."""
    found = [
        (entry, media.get((folder, video.path))) for entry, folder, video in videos_of(clip, group.entries)
    ]
    real = real_entry([entry for entry, file in found if file])
    players = [ClipPlayer(entry, file, entry is real) for entry, file in found]
    return sorted(players, key=lambda player: not player.real)


def real_entry(shown: Iterable[BoardEntry]) -> BoardEntry | None:
    """Return the control that shows the real video: ground-truth, else the re-encoded original."""
    controls = {entry.run.contestant.name: entry for entry in shown if entry.control}
    return controls.get("ground-truth") or controls.get("reencode")


def _panels(group: BoardGroup, clip: ClipComparison) -> list[ClipPanel]:
    """Draw the frame scores of the headline metrics, then of others, up to a number of panels."""
    tables: dict[int, Mapping[str, Floats]] = {}
    for place, (entry, case) in enumerate(zip(group.entries, clip.cases, strict=True)):
        if case is None:
            continue
        try:
            tables[place] = read_frame_scores(entry.checked, clip.clip_id)
        except ResultError:
            continue
    columns = [
        column
        for column in columns_of(entry.run for entry in group.entries)
        if column.direction != "none" and any(column.name in table for table in tables.values())
    ]
    return [
        panel for column in columns[:_CURVES] if (panel := _panel(group, clip, column, tables)) is not None
    ]


def _panel(
    group: BoardGroup, clip: ClipComparison, column: MetricColumn, tables: Mapping[int, Mapping[str, Floats]]
) -> ClipPanel | None:
    values = {place: table[column.name] for place, table in tables.items() if column.name in table}
    ends = value_range(list(values.values()))
    if ends is None:
        return None
    low, high = ends
    if column.direction == "lower" and low >= 0:
        low = 0.0
    curves = tuple(
        FrameCurve(place, path)
        for place, one in values.items()
        if (path := curve_path(one, clip.num_frames, low, high, len(values)))
    )
    moments = tuple(
        (group.entries[place], worst, best)
        for place, one in values.items()
        if (found := _moments(one, column, clip.fps)) is not None
        for worst, best in (found,)
    )
    shown = (number_format.significant(high, 3), number_format.significant(low, 3))
    return ClipPanel(column, *shown, curves, moments)


def _moments(values: Floats, column: MetricColumn, fps: float) -> tuple[tuple[Moment, ...], Moment] | None:
    """Find the worst frames, apart from each other, and the best one; None where there is no value."""
    known = np.flatnonzero(np.isfinite(values))
    if not known.size or fps <= 0:
        return None
    badness = -values if column.direction == "higher" else values
    order = known[np.argsort(-badness[known], kind="stable")]
    worst: list[int] = []
    for frame in order:
        if len(worst) == _WORST:
            break
        if all(abs(int(frame) - other) >= _APART_S * fps for other in worst):
            worst.append(int(frame))
    return tuple(_moment(frame, values, fps) for frame in worst), _moment(int(order[-1]), values, fps)


def _moment(frame: int, values: Floats, fps: float) -> Moment:
    return Moment(frame, f"{(frame + 0.5) / fps:.3f}", number_format.significant(float(values[frame]), 3))


def _scores(
    group: BoardGroup, clip: ClipComparison
) -> tuple[list[MetricColumn], list[tuple[BoardEntry, list[str]]]]:
    """Tabulate the scores of the clip in every metric that has one, with a row for each contestant."""
    columns = columns_of(entry.run for entry in group.entries)
    texts = {
        column: [
            number_format.NOTHING if case is None else _score(case.metrics.get(column.name))
            for case in clip.cases
        ]
        for column in columns
    }
    shown = [c for c in columns if any(text != number_format.NOTHING for text in texts[c])]
    rows = [(entry, [texts[column][place] for column in shown]) for place, entry in enumerate(group.entries)]
    return shown, rows


def _score(score: CaseScore | None) -> str:
    if score is None:
        return number_format.NOTHING
    if score.value is None:
        infinite = score.n_infinite > 0 and score.state == "ok"
        return number_format.INFINITE if infinite else number_format.NOTHING
    return number_format.significant(score.value)
