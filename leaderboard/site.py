"""A site on disk: built whole in a folder beside its place, then swapped in."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from leaderboard.clips import Clips, group_clips, videos_of
from leaderboard.export import board_csv, board_json
from leaderboard.groups import BoardGroup, group_runs
from leaderboard.page import render_page
from leaderboard.runs import find_runs, load_runs
from leaderboard.videos import copy_video
from talkingpose.io.errors import UserError

_FILES = {"index.html", "data.json", "board.csv", "media"}
_MEDIA_NAME = re.compile(r"[0-9a-f]{16}\.[a-z0-9]+")


class SiteError(UserError):
    """The site cannot be written where it was asked for."""


@dataclass(frozen=True)
class SiteReport:
    """What was built: counts, and folders that were passed over because they hold no run."""

    site: Path
    num_boards: int
    num_runs: int
    num_videos: int
    page_bytes: int
    left_out: tuple[Path, ...]


def build_site(paths: Sequence[Path], out: Path, title: str) -> SiteReport:
    """Build the site of some runs; the same runs give the same bytes, whatever their order.

    `out` is created, or replaced where it is an empty folder or a site of this program; otherwise, and
    whenever a run is unfit, nothing is changed.

    Raises:
        SiteError: `out` is something else.
        ResultError: a run or one of its files is damaged, or there is none.
    """
    out = Path(os.path.abspath(out))  # noqa: PTH100 - resolve() would follow a link that is to be refused
    _check_place(out)
    folders, left_out = find_runs(paths)
    groups = group_runs(load_runs(folders))
    building = out.with_name(f".{out.name}.{os.getpid()}.building")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        building.mkdir()
        page_bytes, num_videos = _write(groups, title, building)
        _swap(building, out)
    except OSError as error:
        raise SiteError(f"{out}: cannot be written ({error.strerror}): give another folder") from error
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return SiteReport(out, len(groups), len(folders), num_videos, page_bytes, tuple(left_out))


def _write(groups: Sequence[BoardGroup], title: str, folder: Path) -> tuple[int, int]:
    clips = [group_clips(group) for group in groups]
    media = _copy_videos(groups, clips, folder)
    page = render_page(title, groups, clips, media).encode("utf-8")
    (folder / "index.html").write_bytes(page)
    (folder / "data.json").write_bytes(board_json(title, groups).encode("utf-8"))
    (folder / "board.csv").write_bytes(board_csv(groups).encode("utf-8", "backslashreplace"))
    return len(page), len({name for name in media.values() if name is not None})


def _copy_videos(
    groups: Sequence[BoardGroup], clips: Sequence[Clips], folder: Path
) -> dict[tuple[Path, str], str | None]:
    media: dict[tuple[Path, str], str | None] = {}
    for group, group_clips_ in zip(groups, clips, strict=True):
        for clip in group_clips_.clips:
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
    media = out / "media"
    strange = present - _FILES
    if media.is_dir():
        strange |= {
            f"media/{child.name}" for child in media.iterdir() if not _MEDIA_NAME.fullmatch(child.name)
        }
    if strange or not _is_ours(out):
        what = f" ({min(strange)} is in it)" if strange else ""
        raise SiteError(f"{out}: not a site of tp-leaderboard{what}: give another folder, or empty this one")


def _is_ours(folder: Path) -> bool:
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
