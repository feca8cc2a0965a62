"""`tp-leaderboard`: what it writes, what it refuses, and that it leaves nothing half done."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmark.results import ResultError
from leaderboard.cli import app, main
from leaderboard.site import SiteError, build_site
from talkingpose.io import console
from tests.leaderboard.run_documents import make_run, write_run


def files_of(site: Path) -> dict[str, bytes]:
    return {str(p.relative_to(site)): p.read_bytes() for p in sorted(site.rglob("*")) if p.is_file()}


def test_same_runs_same_bytes(site: Path, runs_folder: Path, tmp_path: Path):
    again = build_site([*sorted(runs_folder.iterdir(), reverse=True)], tmp_path / "other", "Test board").site
    assert files_of(again) == files_of(site)


def test_a_site_is_replaced_and_nothing_is_left_beside_it(small_run: Path, small_site: Path, tmp_path: Path):
    out = shutil.copytree(small_site, tmp_path / "site")
    assert (out / "media").exists()
    (run := tmp_path / "run").mkdir()
    shutil.copy(small_run / "run.json", run)
    build_site([run], out, "Two")
    shutil.rmtree(run)
    assert {child.name for child in tmp_path.iterdir()} == {"site"}
    assert "Two" in (out / "index.html").read_text("utf-8")
    assert not (out / "media").exists()


def test_what_is_not_a_site_is_not_replaced(small_run: Path, small_site: Path, tmp_path: Path):
    runs = [small_run]
    (tmp_path / "file").write_text("mine")
    with pytest.raises(SiteError, match="a file, not a folder"):
        build_site(runs, tmp_path / "file", "t")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("mine")
    with pytest.raises(SiteError, match=r"notes\.txt is in it"):
        build_site(runs, tmp_path / "mine", "t")
    (tmp_path / "page").mkdir()
    (tmp_path / "page/index.html").write_text("mine")
    with pytest.raises(SiteError, match="not a site of tp-leaderboard"):
        build_site(runs, tmp_path / "page", "t")
    site = shutil.copytree(small_site, tmp_path / "site")
    (site / "CNAME").write_text("mine")
    with pytest.raises(SiteError, match="CNAME"):
        build_site(runs, site, "t")
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    with pytest.raises(SiteError, match="a link"):
        build_site(runs, tmp_path / "link", "t")
    (tmp_path / "empty").mkdir()
    assert build_site(runs, tmp_path / "empty", "t").num_runs == 1


def damage_run(folder: Path) -> None:
    (folder / "run.json").write_text((folder / "run.json").read_text()[:-40])


def damage_schema(folder: Path) -> None:
    document = json.loads((folder / "run.json").read_text()) | {"schema": "talkingpose.run/2"}
    (folder / "run.json").write_text(json.dumps(document))


def damage_env(folder: Path) -> None:
    text = (folder / "run.json").read_text().replace('"3.11.9"', "NaN")
    (folder / "run.json").write_text(text)


def damage_curve(folder: Path) -> None:
    document = json.loads((folder / "run.json").read_text())
    document["drift"]["psnr"]["mean"].pop()
    (folder / "run.json").write_text(json.dumps(document))


def damage_case(folder: Path) -> None:
    (folder / "cases/clip01.json").write_text("{")


def damage_video(folder: Path) -> None:
    with (folder / "videos/clip00.mp4").open("ab") as file:
        file.write(b"x")


def escape_folder(folder: Path) -> None:
    path = folder / "cases/clip00.json"
    document = json.loads(path.read_text())
    document["video"]["path"] = "../../secret.mp4"
    path.write_text(json.dumps(document))


def not_a_video(folder: Path) -> None:
    path = folder / "cases/clip00.json"
    document = json.loads(path.read_text())
    document["video"]["path"] = "videos/clip00.json"
    path.write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damage_run, r"run\.json: no sound JSON"),
        (damage_schema, r"run\.json: not a run of this version: schema"),
        (damage_env, "NaN is no number"),
        (damage_curve, r"drift\.psnr: lists of different lengths"),
        (damage_case, r"clip01\.json: no sound JSON"),
        (damage_video, "not the video that was scored"),
        (escape_folder, r"clip00\.json: not a case .*video\.path"),
        (not_a_video, "not a video by its name"),
    ],
)
def test_a_damaged_run_changes_nothing(
    damage: Callable[[Path], None], message: str, small_run: Path, small_site: Path, tmp_path: Path
):
    run = shutil.copytree(small_run, tmp_path / "run")
    out = shutil.copytree(small_site, tmp_path / "site")
    before = files_of(out)
    damage(run)
    with pytest.raises(ResultError, match=message):
        build_site([run], out, "t")
    assert files_of(out) == before
    assert {child.name for child in tmp_path.iterdir()} == {"run", "site"}


def test_a_missing_video_is_said(small_run: Path, tmp_path: Path):
    run = shutil.copytree(small_run, tmp_path / "run")
    (run / "videos/clip01.mp4").unlink()
    (run / "cases/clip00.json").unlink()
    page = (build_site([run], tmp_path / "site", "t").site / "index.html").read_text("utf-8")
    assert "The video is not in the run's folder." in page
    assert "Not beside the runs that list them: 1 clip file." in page


def test_what_is_no_run(tmp_path: Path, small_run: Path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ResultError, match="no run in it"):
        build_site([tmp_path / "empty"], tmp_path / "site", "t")
    with pytest.raises(ResultError, match="no such folder"):
        build_site([tmp_path / "nowhere"], tmp_path / "site", "t")
    with pytest.raises(ResultError, match="not a folder"):
        build_site([small_run / "run.json"], tmp_path / "site", "t")
    assert {child.name for child in tmp_path.iterdir()} == {"empty"}


def test_a_run_given_twice_counts_once_and_a_copy_is_refused(tmp_path: Path):
    run = write_run(tmp_path / "runs/a", make_run(metrics={}, drift={}), cases=False)
    (tmp_path / "runs/logs").mkdir()
    report = build_site([tmp_path / "runs", run], tmp_path / "site", "t")
    assert (report.num_runs, [path.name for path in report.left_out]) == (1, ["logs"])
    shutil.copytree(run, tmp_path / "runs/b")
    with pytest.raises(ResultError, match="the same run as"):
        build_site([tmp_path / "runs"], tmp_path / "site", "t")


def run_command(*args: str) -> int:
    with pytest.raises(SystemExit) as stop:
        console.run(app, "tp-leaderboard", list(args))
    return stop.value.code


def test_command_prints_json(small_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    code = run_command(str(small_run), "--out", str(tmp_path / "site"), "--json")
    document = json.loads(capsys.readouterr().out)
    assert code == 0
    assert (document["runs"], document["boards"], document["videos"]) == (1, 1, 2)
    assert Path(document["page"]).stat().st_size == document["page_bytes"]


def test_command_refuses_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture):
    code = run_command(str(tmp_path / "nowhere"), "--out", str(tmp_path / "site"))
    error = capsys.readouterr().err
    assert code == 2 and error.count("\n") == 1 and "no such folder" in error
    assert not (tmp_path / "site").exists()


def test_help_is_quick():
    assert main.__module__ == "leaderboard.cli"
    command = [sys.executable, "-c", "from leaderboard.cli import main; main()", "--help"]
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        seconds.append(time.perf_counter() - start)
    assert "--out" in done.stdout
    assert min(seconds) < 0.5
