"""Strip of short films: the same moment of one clip by every contestant, beside the real video."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from leaderboard.entries.groups import BoardEntry, BoardGroup
from leaderboard.media.pictures import save_picture
from leaderboard.pages.clip_page import clip_page_name, real_entry
from leaderboard.tables.clip_tables import ClipComparison, ClipTables, videos_of

# More films would make the first view of a page larger than 300 kB.
_FILMS = 12
_POSTER_WIDTH = 200
# The moment, as a share of the clip: late, because quality decays with time.
_MOMENT = 2 / 3
# Every poster is decoded from the beginning of its video: clips of minutes show an earlier moment.
_LATEST_FRAME = 250
_SECONDS = 3.0


@dataclass(frozen=True)
class Film:
    """Video and poster of an entry, names under `media/`."""

    entry: BoardEntry
    file: str
    poster: str
    real: bool


@dataclass(frozen=True)
class FilmStrip:
    """Films of one clip; `start` and `end` are seconds as text, `left_out` counts further models."""

    clip: ClipComparison
    page: str
    start: str
    end: str
    films: tuple[Film, ...]
    left_out: int


def film_strip(
    group: BoardGroup,
    clips: ClipTables,
    order: Sequence[BoardEntry],
    media: Mapping[tuple[Path, str], str | None],
    pictures: Path,
) -> FilmStrip | None:
    """Choose a clip and save the posters; None where no clip has a video of a model or a control.

    Args:
        group: the board.
        clips: its clips.
        order: its models, best first.
        media: (run folder, path of a video) -> its name under `media/`.
        pictures: folder of the pictures, which has the videos too.
    """
    found = [_files(group, clip, media) for clip in clips.clips]
    most = max((len(files) for files in found), default=0)
    if most == 0:
        return None
    # Of the clips with the most videos the middle one: neither the worst nor the best.
    candidates = [place for place, files in enumerate(found) if len(files) == most]
    place = candidates[len(candidates) // 2]
    clip, files = clips.clips[place], found[place]
    real = real_entry(files)
    shown = [entry for entry in order if entry in files]
    controls = [entry for entry in group.controls if entry in files and entry is not real]
    entries = [*([real] if real else []), *shown]
    # With few models the controls show the range of what can be seen.
    entries += controls[: max(0, 5 - len(entries))]
    frame = min(clip.num_frames - 1, round(clip.num_frames * _MOMENT), _LATEST_FRAME)
    size = (clip.width, clip.height)
    films = [
        Film(entry, files[entry], poster, entry is real)
        for entry in entries[:_FILMS]
        if (poster := save_picture(pictures / files[entry], frame, size, pictures, _POSTER_WIDTH))
    ]
    if not films:
        return None
    start = frame / clip.fps if clip.fps > 0 else 0.0
    return FilmStrip(
        clip,
        clip_page_name(group, clip),
        f"{start:.2f}",
        f"{start + _SECONDS:.2f}",
        tuple(films),
        max(0, len(entries) - _FILMS),
    )


def _files(
    group: BoardGroup, clip: ClipComparison, media: Mapping[tuple[Path, str], str | None]
) -> dict[BoardEntry, str]:
    return {
        entry: file
        for entry, folder, video in videos_of(clip, group.entries)
        if (file := media.get((folder, video.path)))
    }
