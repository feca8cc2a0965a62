"""A site on disk, built in a temporary folder that then replaces the old site."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.results import ResultError
from leaderboard.clip_tables import ClipTables, clip_tables, videos_of
from leaderboard.export import board_csv, board_json, pairs_csv
from leaderboard.groups import BoardGroup, group_runs
from leaderboard.page import render_page
from leaderboard.pair_page import render_pair_page
from leaderboard.pairs import BoardPairs, compare_models
from leaderboard.runs import RefusedRun, check_runs, find_runs
from leaderboard.site_page import SitePage, asset_texts
from leaderboard.videos import copy_video
from talkingpose.io.errors import UserError
from talkingpose.io.progress import SILENT, Progress

_FILES = {"index.html", "data.json", "board.csv", "pairs.csv", "media", "pages", "assets"}
# Names of the files that a site has in its folders; anything else there is not this program's.
_NAMES = {
    "media": re.compile(r"[0-9a-f]{16}\.[a-z0-9]+"),
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
    page = render_page(title, groups, clips, media, pairs, refused).encode("utf-8")
    (folder / "index.html").write_bytes(page)
    for part, texts in _parts(title, groups, pairs).items():
        (folder / part).mkdir()
        for name, text in texts.items():
            (folder / part / name).write_bytes(text.encode("utf-8"))
    (folder / "data.json").write_bytes(board_json(title, groups, refused).encode("utf-8"))
    (folder / "board.csv").write_bytes(board_csv(groups, pairs).encode("utf-8", "backslashreplace"))
    (folder / "pairs.csv").write_bytes(pairs_csv(groups, pairs).encode("utf-8", "backslashreplace"))
    return len(page), len({name for name in media.values() if name is not None})


def _parts(
    title: str, groups: Sequence[BoardGroup], pairs: Sequence[BoardPairs]
) -> dict[str, dict[str, str]]:
    """Render the pages beside the first one, and what they share: folder -> file name -> text."""
    pages: list[SitePage] = []
    for group, of_group in zip(groups, pairs, strict=True):
        page = render_pair_page(title, group, of_group)
        pages += [page] if page is not None else []
    return {"pages": {page.name: page.html for page in pages}, "assets": asset_texts()} if pages else {}


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
    if strange or not _is_site(out):
        what = f" ({min(strange)} is in it)" if strange else ""
        raise SiteError(f"{out}: not a site of tp-leaderboard{what}: give another folder, or empty this one")


def _is_site(folder: Path) -> bool:
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
