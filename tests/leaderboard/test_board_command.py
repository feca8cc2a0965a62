"""`tp-leaderboard`: the site on disk, refusals, the command line."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import leaderboard
from benchmark.results import ResultError
from leaderboard import build_site
from leaderboard.cli import app
from leaderboard.site import SiteError
from talkingpose.io import console
from tests.leaderboard.run_documents import build_trusted, make_run, write_run


def files_of(site: Path) -> dict[str, bytes]:
    return {str(p.relative_to(site)): p.read_bytes() for p in sorted(site.rglob("*")) if p.is_file()}


def test_same_runs_same_bytes(small_run: Path, tmp_path: Path):
    other = make_run("open-loop", metrics={"psnr": make_run().metrics["psnr"]}, drift={}, n_cases=2)
    runs = [small_run, write_run(tmp_path / "runs/other", other)]
    one, again = (
        build_trusted(paths, tmp_path / name, "t").site for name, paths in (("a", runs), ("b", runs[::-1]))
    )
    assert files_of(again) == files_of(one)


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


def test_a_folder_that_is_not_a_site_is_not_replaced(small_run: Path, small_site: Path, tmp_path: Path):
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


DAMAGE = {
    r"run\.json: invalid JSON": damage_run,
    r"run\.json: not a run of this version: schema": damage_schema,
    "a number is not finite": damage_env,
    r"drift\.psnr: .*lists of different lengths": damage_curve,
    r"clip01\.json: invalid JSON": damage_case,
    "not the file whose hash the case holds": damage_video,
    r"clip00\.json: not a case .*video\.path": escape_folder,
    "not a video by its name": not_a_video,
}


@pytest.mark.parametrize("message", DAMAGE)
def test_a_damaged_run_is_refused_and_changes_nothing(message: str, small_run: Path, tmp_path: Path):
    run = shutil.copytree(small_run, tmp_path / "run")
    DAMAGE[message](run)
    (out := tmp_path / "site").mkdir()
    with pytest.raises(ResultError, match=message):
        build_site([run], out, "t")
    assert not list(out.iterdir())
    assert {child.name for child in tmp_path.iterdir()} == {"run", "site"}


def test_a_missing_video_is_reported(small_run: Path, tmp_path: Path):
    run = shutil.copytree(small_run, tmp_path / "run")
    (run / "videos/clip01.mp4").unlink()
    (run / "cases/clip00.json").unlink()
    site = build_site([run], tmp_path / "site", "t").site
    (clip,) = (site / "pages").glob("b1-clip-*.html")
    assert "The video is not in the run's folder." in clip.read_text("utf-8")
    assert "1 clip file listed by the runs could not be found" in (site / "index.html").read_text("utf-8")


def test_folders_without_a_run(tmp_path: Path, small_run: Path):
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
    report = build_site([tmp_path / "runs"], tmp_path / "site", "t")
    assert report.num_runs == 1 and "the same run as" in report.refused[0].reasons[0]


def test_the_example_of_the_package_runs(
    small_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
):
    example = (leaderboard.__doc__ or "").split("Example:")[1]
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/mine").symlink_to(small_run)
    monkeypatch.chdir(tmp_path)
    exec(textwrap.dedent(example), {})
    assert "0 of 1 verified" in capsys.readouterr().out and (tmp_path / "site/index.html").is_file()


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


def test_help_imports_nothing_heavy():
    program = (
        "import sys; from leaderboard.cli import app; from talkingpose.io import console\n"
        "try: console.run(app, 'tp-leaderboard', ['--help'])\n"
        "finally: print({'numpy', 'pydantic', 'matplotlib', 'jinja2', 'av', 'torch'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "build" in done.stdout and done.stdout.endswith("set()\n")
