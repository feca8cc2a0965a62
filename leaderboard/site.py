"""A site on disk, built in a temporary folder that then replaces the old site."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.results import ResultError
from leaderboard.entries.groups import BoardGroup, group_runs
from leaderboard.entries.runs import RefusedRun, check_runs, find_runs
from leaderboard.export import board_csv, board_json, pairs_csv
from leaderboard.media.pictures import save_picture
from leaderboard.media.videos import copy_video
from leaderboard.pages.board_page import render_page
from leaderboard.pages.clip_page import Media, render_clip_list, render_clip_page
from leaderboard.pages.contestant_page import contestant_files, render_contestant_page
from leaderboard.pages.film_strip import film_strip
from leaderboard.pages.pair_page import render_pair_page
from leaderboard.pages.site_page import SitePage, asset_texts
from leaderboard.tables.board_table import BoardTable, board_table
from leaderboard.tables.clip_tables import ClipComparison, ClipTables, clip_tables, videos_of
from leaderboard.tables.cost_by_length import cost_by_length
from leaderboard.tables.pairs import BoardPairs, compare_models
from talkingpose.io.errors import UserError
from talkingpose.io.progress import SILENT, Progress

_FILES = {"index.html", "data.json", "board.csv", "pairs.csv", "media", "pages", "runs", "assets"}
_PORTRAIT_WIDTH = 320
# Names of the files that a site has in its folders; anything else there is not this program's.
_NAMES = {
    "media": re.compile(r"[0-9a-f]{16}\.[a-z0-9]+"),
    "runs": re.compile(r"b\d+-run-[a-z0-9-]+\.(csv|json)"),
    "pages": re.compile(r"b\d+-[a-z0-9-]+\.html"),
    "assets": re.compile(r"[a-z]+\.(css|js)"),
}


class SiteError(UserError):
    """The site cannot be written to the given place."""


@dataclass(frozen=True)
class SiteReport:
    """A site that was built.

    Attributes:
        site: its folder; the page is `index.html` in it.
        num_boards, num_runs, num_videos: numbers of boards, of runs on them and of copied videos.
        num_verified: runs that the check found sound.
        page_bytes: size of `index.html`.
        left_out: folders beside runs that hold no run.
        not_verified: shown runs that could not be checked in every part, with the first reason.
        refused: runs that are not shown, because they are damaged or contradict themselves.
    """

    site: Path
    num_boards: int
    num_runs: int
    num_verified: int
    num_videos: int
    page_bytes: int
    left_out: tuple[Path, ...]
    not_verified: tuple[tuple[Path, str], ...]
    refused: tuple[RefusedRun, ...]


def build_site(
    paths: Sequence[Path], out: Path, title: str = "TalkingPose Bench", progress: Progress = SILENT
) -> SiteReport:
    """Check runs and build the site of those that can be shown.

    The same runs give the same bytes, whatever their order. `out` is created, or replaced where it is an
    empty folder or a site of this program.

    Args:
        paths: folders of runs, or folders of such folders.
        out: folder of the site.
        title: of the page.
        progress: receiver of the progress of the check.

    Raises:
        SiteError: `out` is something else; it is not changed.
        ResultError: there is no run, or all are refused; nothing is changed.
    """
    out = Path(os.path.abspath(out))  # noqa: PTH100 - resolve() would follow a link that is to be refused
    _check_place(out)
    folders, left_out = find_runs(paths)
    runs, refused = check_runs(folders, progress)
    if not runs:
        more = f" (and {len(refused) - 1} more runs are refused)" if len(refused) > 1 else ""
        raise ResultError(f"{refused[0].lines()[0]}{more}: nothing is left to show")
    groups = group_runs(runs)
    building = out.with_name(f".{out.name}.{os.getpid()}.building")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        building.mkdir()
        page_bytes, num_videos = _write(groups, refused, title, building)
        _swap(building, out)
    except OSError as error:
        raise SiteError(f"{out}: not writable ({error.strerror}): give another folder") from error
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return SiteReport(
        site=out,
        num_boards=len(groups),
        num_runs=len(runs),
        num_verified=sum(run.verified for run in runs),
        num_videos=num_videos,
        page_bytes=page_bytes,
        left_out=tuple(left_out),
        not_verified=tuple((run.folder, str(run.unchecked[0])) for run in runs if not run.verified),
        refused=tuple(refused),
    )


def _write(
    groups: Sequence[BoardGroup], refused: Sequence[RefusedRun], title: str, folder: Path
) -> tuple[int, int]:
    clips = [clip_tables(group) for group in groups]
    pairs = [compare_models(group) for group in groups]
    media = _copy_videos(groups, clips, folder)
    tables = [board_table(*parts) for parts in zip(groups, pairs, strict=True)]
    strips = [
        film_strip(group, clips_of, [row.entry for row in table.models], media, folder / "media")
        for group, clips_of, table in zip(groups, clips, tables, strict=True)
    ]
    page = render_page(title, groups, clips, pairs, tables, strips, refused).encode("utf-8")
    (folder / "index.html").write_bytes(page)
    (folder / "assets").mkdir()
    for name, text in asset_texts().items():
        (folder / "assets" / name).write_text(text, encoding="utf-8")
    (folder / "pages").mkdir()
    (folder / "runs").mkdir()
    for group, clips_of, pairs_of, table in zip(groups, clips, pairs, tables, strict=True):
        for part in _pages(title, group, clips_of, pairs_of, table, media, folder / "media"):
            (folder / "pages" / part.name).write_bytes(part.html.encode("utf-8"))
        for entry in group.entries:
            for name, text in contestant_files(group, entry).items():
                (folder / "runs" / name).write_bytes(text.encode("utf-8", "backslashreplace"))
    (folder / "data.json").write_bytes(board_json(title, groups, refused).encode("utf-8"))
    (folder / "board.csv").write_bytes(board_csv(groups, pairs).encode("utf-8", "backslashreplace"))
    (folder / "pairs.csv").write_bytes(pairs_csv(groups, pairs).encode("utf-8", "backslashreplace"))
    return len(page), len({name for name in media.values() if name is not None})


def _pages(
    title: str,
    group: BoardGroup,
    clips: ClipTables,
    pairs: BoardPairs,
    table: BoardTable,
    media: Media,
    pictures: Path,
) -> Iterator[SitePage]:
    """Render the pages of a board beside the first page of the site."""
    page = render_pair_page(title, group, pairs)
    if page is not None:
        yield page
    lengths = cost_by_length(group)
    for entry in group.entries:
        yield render_contestant_page(title, group, entry, clips, table, pairs, lengths)
    if clips.clips:
        yield render_clip_list(title, group, clips)
    for place, clip in enumerate(clips.clips):
        portrait = _portrait(group, clip, media, pictures)
        yield render_clip_page(title, group, clips, place, media, portrait)


def _portrait(group: BoardGroup, clip: ClipComparison, media: Media, pictures: Path) -> str | None:
    """Save the portrait of a clip: the first frame of the video of frozen, else of ground-truth."""
    files = {
        entry.run.contestant.name: file
        for entry, folder, video in videos_of(clip, group.entries)
        if entry.control and (file := media.get((folder, video.path)))
    }
    file = files.get("frozen") or files.get("ground-truth")
    if file is None:
        return None
    return save_picture(pictures / file, 0, (clip.width, clip.height), pictures, _PORTRAIT_WIDTH)


def _copy_videos(
    groups: Sequence[BoardGroup], clips: Sequence[ClipTables], folder: Path
) -> dict[tuple[Path, str], str | None]:
    media: dict[tuple[Path, str], str | None] = {}
    for group, of_group in zip(groups, clips, strict=True):
        for clip in of_group.clips:
            for _, run_folder, video in videos_of(clip, group.entries):
                media[run_folder, video.path] = copy_video(run_folder, video, folder / "media")
    return media


def _check_place(out: Path) -> None:
    if out.is_symlink():
        raise SiteError(f"{out}: a link: give the folder itself")
    if not out.exists():
        return
    if not out.is_dir():
        raise SiteError(f"{out}: a file, not a folder: give a folder for the site")
    present = {child.name for child in out.iterdir()}
    if not present:
        return
    strange = present - _FILES
    for folder, names in _NAMES.items():
        if (out / folder).is_dir():
            children = (out / folder).iterdir()
            strange |= {f"{folder}/{child.name}" for child in children if not names.fullmatch(child.name)}
    if strange or not is_site(out):
        what = f" ({min(strange)} is in it)" if strange else ""
        raise SiteError(f"{out}: not a site of tp-leaderboard{what}: give another folder, or empty this one")


def is_site(folder: Path) -> bool:
    """Tell whether a folder holds a site of this program."""
    data = folder / "data.json"
    if not data.is_file():
        return False
    with data.open("rb") as file:
        return file.read(64).startswith(b'{"schema":"talkingpose.board/1"')


def _swap(building: Path, out: Path) -> None:
    if not out.exists():
        building.rename(out)
        return
    old = out.with_name(f".{out.name}.{os.getpid()}.old")
    out.rename(old)
    try:
        building.rename(out)
    except OSError:
        old.rename(out)
        raise
    shutil.rmtree(old)
