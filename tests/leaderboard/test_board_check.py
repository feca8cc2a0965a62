"""The check of runs before they are shown: forgeries and hostile documents are refused, the others shown."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmark.results import ResultError
from benchmark.run_check import CheckedRun, check_run, check_together
from leaderboard import build_site
from leaderboard.cli import app
from talkingpose.io import console
from tests.benchmark.tiny_runs import USERS_OF_PROTOCOLS, run, tiny, tiny_rows
from tests.leaderboard.real_runs import FORGERIES, HOSTILE, NOISE, PROTOCOL, as_model, edit

__all__ = ["tiny", "tiny_rows"]
CONTESTANTS = {"ground-truth": "ground-truth", "frozen": "frozen", "reencode": "reencode", "noise": NOISE}


@pytest.fixture(scope="module", autouse=True)
def _protocol() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for module in USERS_OF_PROTOCOLS:
            patch.setattr(f"benchmark.{module}.load_protocol", lambda name: PROTOCOL)
        yield


@pytest.fixture(scope="module")
def honest(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of three controls and a model over three small clips."""
    folder = tmp_path_factory.mktemp("honest")
    for name, model in CONTESTANTS.items():
        run(model, tiny, folder / name)
    return folder


@pytest.fixture
def runs(honest: Path, tmp_path: Path) -> Path:
    """A copy to forge."""
    return shutil.copytree(honest, tmp_path / "runs")


@pytest.fixture(autouse=True)
def _without_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("drift_panels", "spectrum_panels"):
        monkeypatch.setattr(f"leaderboard.figures.board_figures.{name}", lambda *arguments: [])
    monkeypatch.setattr("leaderboard.figures.board_figures.cost_panels", lambda *arguments: {})


def test_honest_runs_are_verified(honest: Path, tmp_path: Path):
    report = build_site([honest], tmp_path / "site")
    assert (report.num_runs, report.num_verified, report.refused, report.not_verified) == (4, 4, (), ())
    data = json.loads((report.site / "data.json").read_text())
    assert {entry["check"] for board in data["boards"] for entry in board["runs"]} == {"verified"}
    assert ">verified<" in (report.site / "index.html").read_text("utf-8")


@pytest.fixture(scope="module")
def checked(honest: Path) -> list[CheckedRun]:
    return [check_run(honest / name) for name in CONTESTANTS]


def contradictions(folder: Path, checked: list[CheckedRun]) -> list[str]:
    """Check a run alone, then together with honest runs of the other contestants."""
    try:
        run = check_run(folder)
    except ResultError as error:
        return [str(error)]
    if not run.contradictions:
        *others, run = check_together([*(one for one in checked if one.folder.name != folder.name), run])
        assert not any(one.contradictions for one in others)
    return [str(problem) for problem in run.contradictions]


@pytest.mark.parametrize("what", FORGERIES)
def test_a_forged_run_contradicts_itself_or_the_others(what: str, runs: Path, checked: list[CheckedRun]):
    name, attack, reason = FORGERIES[what]
    attack(runs / name)
    found = contradictions(runs / name, checked)
    assert any(reason in line for line in found), found


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_document_is_refused_in_one_line(what: str, runs: Path, checked: list[CheckedRun]):
    attack, reason = HOSTILE[what]
    attack(runs / "noise")
    found = contradictions(runs / "noise", checked)
    assert any(reason in line for line in found), found
    assert all(len(line) < 2000 and "\n" not in line for line in found)


def test_refused_runs_are_listed_and_the_others_shown(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture
):
    for name in ("psnr everywhere", "every score everywhere"):
        shutil.copytree(runs / "noise", runs / name)
        FORGERIES[name][1](runs / name)
    shutil.copytree(runs / "noise", runs / "pipe")
    HOSTILE["a FIFO as run.json"][0](runs / "pipe")
    with pytest.raises(SystemExit) as stop:
        console.run(app, "tp-leaderboard", [str(runs), "--out", str(tmp_path / "site"), "--json"])
    assert stop.value.code == console.EXIT_PARTIAL
    output = capsys.readouterr()
    document = json.loads(output.out)
    refused = {str(runs / name) for name in ("psnr everywhere", "every score everywhere", "pipe")}
    assert {one["run"] for one in document["refused"]} == refused
    assert (document["runs"], document["verified"]) == (4, 4)
    assert {
        line.split(": ")[1] for line in output.err.splitlines() if line.startswith("refused: ")
    } == refused
    page = (tmp_path / "site/index.html").read_text("utf-8")
    assert "Refused runs" in page and "45.0" not in page.split('id="refused"')[0]


def test_a_false_control_does_not_take_the_honest_runs_with_it(runs: Path, tmp_path: Path):
    """A forged ground-truth contradicts the videos of most other runs, so it is the one that is refused."""
    for path in (runs / "ground-truth/videos").iterdir():
        shutil.copy(runs / "noise/videos" / path.name, path)
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        edit(
            runs / f"ground-truth/cases/{path.stem}.json",
            lambda d, sha256=sha256: d["video"].update(sha256=sha256),
        )
    report = build_site([runs], tmp_path / "site")
    assert [one.folder.name for one in report.refused] == ["ground-truth"]
    assert (report.num_runs, report.num_verified) == (3, 0)
    assert all("no sound run of ground-truth" in reason for _, reason in report.not_verified)


def test_missing_parts_are_not_verified(runs: Path, tmp_path: Path):
    (runs / "noise/frames/tiny-a.parquet").unlink()
    (runs / "frozen/videos/tiny-a.mp4").unlink()
    report = build_site([runs], tmp_path / "site")
    reasons = {folder.name: reason for folder, reason in report.not_verified}
    assert reasons["noise"] == "frames/tiny-a.parquet: no such file"
    assert reasons["frozen"] == "videos/tiny-a.mp4: no such file"
    page = (report.site / "index.html").read_text("utf-8")
    assert "not verified" in page and "frames/tiny-a.parquet: no such file" in page


def test_without_ground_truth_nothing_is_verified_and_nothing_ranked(runs: Path, tmp_path: Path):
    report = build_site([runs / "noise", runs / "frozen"], tmp_path / "site")
    assert (report.num_runs, report.num_verified) == (2, 0)
    assert 'class="rank"' not in (report.site / "index.html").read_text("utf-8").split("Scores</h3>")[1]


@pytest.mark.parametrize(
    ("control", "reason"), [("frozen", "nothing moves"), ("reencode", "as close to the real frames")]
)
def test_a_relabelled_control_without_the_control_itself_is_not_verified(
    control: str, reason: str, runs: Path, tmp_path: Path
):
    as_model(control)(runs / "noise")
    shutil.rmtree(runs / control)
    report = build_site([runs], tmp_path / "site")
    assert any(folder.name == "noise" and reason in why for folder, why in report.not_verified)
