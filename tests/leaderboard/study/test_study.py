"""A study from its runs to its result: pages, key, votes, hostile votes, and a rater in a browser."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from benchmark.results import read_run, write_document
from leaderboard.cli import app
from leaderboard.study.build import StudySettings, build_study
from leaderboard.study.documents import StudyError, StudyKey, read_key
from leaderboard.study.votes import count_votes, vote_table
from tests.browser import CHROMIUM, Browser
from tests.leaderboard.html_outline import Outline
from tests.leaderboard.run_documents import LOOKS, make_run, trusted, write_run

SETTINGS = StudySettings(raters=6, pairs=6, checks=2, seconds=12, title="A <b>study</b>")
# PSNR of the models in LOOKS gives this order.
ORDER = ["reencode", "talkingpose", "open-loop", "frozen"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study") / "runs"
    for name in LOOKS:
        write_run(folder / name, make_run(name, n_cases=3), video=True, seconds=0.4, size=64)
    return folder


@pytest.fixture(scope="module")
def study(runs: Path) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("leaderboard.study.build.check_runs", trusted)
        return build_study([runs], runs.parent / "built", SETTINGS).folder


@pytest.fixture(scope="module")
def key(study: Path) -> StudyKey:
    return read_key(study)


def answers(key: StudyKey, code: str, prefer: Callable[[str, str], str]) -> dict[str, Any]:
    """Votes of a rater who passes the checks and prefers one of two names, `prefer(left, right)`."""
    names = [one.name for one in key.contestants]
    given = []
    for trial in key.raters[code]:
        if trial.check is not None:
            choice = trial.check.intact
        else:
            left, right = names[trial.left], names[trial.right]
            choice = {left: "left", right: "right"}.get(prefer(left, right), "tie")
        given.append({"trial": trial.trial, **dict.fromkeys(key.questions, choice), "seconds": 4.5})
    return {"schema": "talkingpose.votes/1", "study": key.study, "rater": code, "answers": given}


def by_order(left: str, right: str) -> str:
    return min(left, right, key=ORDER.index)


def write(folder: Path, documents: list[dict[str, Any]]) -> list[Path]:
    paths = []
    for index, document in enumerate(documents):
        paths.append(folder / f"votes-{index}.json")
        paths[-1].write_text(json.dumps(document))
    return paths


def test_pages_hide_the_contestants(study: Path, key: StudyKey):
    pages = sorted((study / "pages").glob("*.html"))
    assert {page.stem for page in pages} == set(key.raters) and len(pages) == 6
    hidden = [*LOOKS, "frozen", "damaged", "clip00", key.protocol_sha256[:12]]
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert Outline(text).faults == []
        # The name of the schema is that of the project, and of a contestant of this test.
        rest = text.replace("talkingpose.votes/1", "").replace("talkingpose-study", "")
        assert not [word for word in hidden if word in rest]
        assert "<b>study" not in text and "http://" not in text and "https://" not in text
    for film in (study / "pages/media").iterdir():
        assert re.fullmatch(r"[0-9A-Z]{16}\.mp4", film.name)
        assert not [word for word in LOOKS if word.encode() in film.read_bytes()]
    assert not (study / "pages/key.json").exists()


def test_metadata_of_a_video_does_not_name_the_contestant(runs: Path, tmp_path: Path):
    import hashlib

    import av

    from benchmark.results import Video
    from leaderboard.study.clips import blind_copy

    named = tmp_path / "named.mp4"
    source = runs / "talkingpose/videos/clip00.mp4"
    with av.open(str(source)) as reader, av.open(str(named), "w") as writer:
        writer.metadata["title"] = "made by talkingpose"
        stream = writer.add_stream_from_template(reader.streams.video[0])
        for packet in reader.demux(reader.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                writer.mux(packet)
    (tmp_path / "videos").mkdir()
    shutil.copy(named, tmp_path / "videos/a.mp4")
    video = Video(path="videos/a.mp4", sha256=hashlib.sha256(named.read_bytes()).hexdigest())
    assert b"made by" in named.read_bytes()
    blind_copy(tmp_path, video, tmp_path / "blind.mp4")
    assert b"made by" not in (tmp_path / "blind.mp4").read_bytes()
    with av.open(str(tmp_path / "blind.mp4")) as reader:
        assert sum(1 for _ in reader.decode(video=0)) == 10
    wrong = video.model_copy(update={"sha256": "0" * 64})
    with pytest.raises(StudyError, match="SHA-256"):
        blind_copy(tmp_path, wrong, tmp_path / "wrong.mp4")


def test_votes_recover_the_order_and_the_metric_that_agrees(key: StudyKey, study: Path, tmp_path: Path):
    files = write(tmp_path, [answers(key, code, by_order) for code in key.raters])
    result = count_votes(files, study, draws=50)
    real = result.questions[0]
    assert result.n_raters == 6 and not result.excluded and not result.refused
    assert [one.name for one in real.strengths] == ORDER
    assert real.n_votes == 6 * 6 and real.alpha == pytest.approx(1) and real.raters_agree == 1
    psnr = next(one for one in real.metrics if one.metric == "psnr")
    assert psnr.accuracy is not None and psnr.accuracy > 0.8 and psnr.rank_correlation == pytest.approx(1)
    assert sum(pair.wins_a + pair.wins_b + pair.ties for pair in real.pairs) == real.n_votes
    assert any("talkingpose" in line for line in vote_table(result))
    json.loads(result.model_dump_json(by_alias=True))


def test_rater_who_fails_a_check_is_left_out_and_listed(key: StudyKey, study: Path, tmp_path: Path):
    codes = list(key.raters)
    careless = answers(key, codes[0], by_order)
    check = next(trial for trial in key.raters[codes[0]] if trial.check)
    one = next(one for one in careless["answers"] if one["trial"] == check.trial)
    one[check.check.question] = "tie"
    files = write(tmp_path, [careless, *(answers(key, code, by_order) for code in codes[1:3])])
    result = count_votes(files, study, draws=20)
    assert [one.rater for one in result.excluded] == [codes[0]] and result.n_raters == 2
    assert count_votes(files, study, allow_failed=1, draws=20).n_raters == 3


def _other_study(document: dict[str, Any]) -> None:
    document["study"] = "ABCDEFGHJKLM"


def _other_rater(document: dict[str, Any]) -> None:
    document["rater"] = "ABCDEFGH"


def _forged_pair(document: dict[str, Any]) -> None:
    document["answers"][0]["trial"] = "ABCDEFGHJK"


def _twice(document: dict[str, Any]) -> None:
    document["answers"].append(document["answers"][0])


def _unknown_choice(document: dict[str, Any]) -> None:
    document["answers"][0]["real"] = "mine"


def _half_answered(document: dict[str, Any]) -> None:
    document["answers"][0]["person"] = None


def _extra(document: dict[str, Any]) -> None:
    document["answers"][0]["weight"] = 1000


@pytest.mark.parametrize(
    ("attack", "word"),
    [
        (_other_study, "study"),
        (_other_rater, "not invited"),
        (_forged_pair, "not on the page"),
        (_twice, "twice"),
        (_unknown_choice, "real"),
        (_half_answered, "not every question"),
        (_extra, "weight"),
    ],
    ids=lambda value: value.__name__.strip("_") if callable(value) else None,
)
def test_forged_votes_are_refused_by_name(
    key: StudyKey, study: Path, tmp_path: Path, attack: Callable[[dict[str, Any]], None], word: str
):
    codes = list(key.raters)
    forged = answers(key, codes[0], by_order)
    attack(forged)
    files = write(tmp_path, [forged, answers(key, codes[1], by_order)])
    result = count_votes(files, study, draws=10)
    assert result.n_raters == 1
    assert [one.file for one in result.refused] == [str(files[0])] and word in result.refused[0].reason


def test_files_that_are_no_votes_are_refused(key: StudyKey, study: Path, tmp_path: Path):
    files = write(tmp_path, [answers(key, code, by_order) for code in list(key.raters)[:2]])
    damaged = tmp_path / "damaged.json"
    for content in (
        "[" * 100_000,
        "{",
        '{"answers": NaN}',
        "[]",
    ):
        damaged.write_text(content)
        result = count_votes([*files, damaged], study, draws=10)
        assert len(result.refused) == 1 and "\n" not in result.refused[0].reason
    with pytest.raises(StudyError, match="no votes to count"):
        count_votes([tmp_path / "missing.json"], study)
    with pytest.raises(StudyError, match="key"):
        count_votes(files, tmp_path)


def test_two_files_of_a_rater(key: StudyKey, study: Path, tmp_path: Path):
    codes = list(key.raters)
    same, other = answers(key, codes[0], by_order), answers(key, codes[0], lambda a, b: a)
    third = answers(key, codes[1], by_order)
    result = count_votes(write(tmp_path, [same, same, third]), study, draws=10)
    assert result.n_raters == 2 and "the same votes" in result.refused[0].reason
    result = count_votes(write(tmp_path, [same, other, third]), study, draws=10)
    assert result.n_raters == 1 and len(result.refused) == 2


def test_runs_that_cannot_be_studied(
    runs: Path, study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("leaderboard.study.build.check_runs", trusted)
    models = [runs / "talkingpose", runs / "open-loop"]
    with pytest.raises(StudyError, match="no reference"):
        build_study(models, tmp_path / "s", SETTINGS)
    with pytest.raises(StudyError, match="fewer than 2"):
        build_study([models[0], runs / "ground-truth"], tmp_path / "s", SETTINGS)
    with pytest.raises(StudyError, match="never replaced"):
        build_study([runs], study, SETTINGS)
    with pytest.raises(StudyError, match="--pairs 0"):
        build_study([runs], tmp_path / "s", StudySettings(pairs=0))
    other = Path(shutil.copytree(runs / "open-loop", tmp_path / "other"))
    document = read_run(other)
    dataset = document.dataset.model_copy(update={"cases_sha256": "f" * 64})
    write_document(document.model_copy(update={"dataset": dataset}), other / "run.json")
    with pytest.raises(StudyError, match="other clips"):
        build_study([runs / "ground-truth", runs / "talkingpose", other], tmp_path / "s", SETTINGS)
    (other / "videos/clip00.mp4").unlink()
    assert not (tmp_path / "s").exists() and not list(tmp_path.glob(".*.part"))


def test_portraits_stand_in_for_the_real_video(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("leaderboard.study.build.check_runs", trusted)
    names = ("frozen", "talkingpose", "open-loop")
    built = build_study([runs / name for name in names], tmp_path / "s", SETTINGS)
    assert read_key(built.folder).questions == ["real", "person"]
    assert built.notes and "motion" in built.notes[-1]


def test_commands(study: Path, key: StudyKey, tmp_path: Path):
    files = write(tmp_path, [answers(key, code, by_order) for code in list(key.raters)[:2]])
    out = tmp_path / "result.json"
    args = ["votes", *map(str, files), "--study", str(study), "--out", str(out)]
    result = CliRunner().invoke(app, args)
    assert result.exit_code == 0, result.output
    assert "reencode" in result.stdout
    assert json.loads(out.read_text())["schema"] == "talkingpose.vote-result/1"
    for option in ("--seed", "--allow-failed"):
        assert CliRunner().invoke(app, [*args, option, "-1"]).exit_code == 2


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_a_rater_votes_by_keyboard_and_downloads(study: Path, key: StudyKey, tmp_path: Path):
    code = next(iter(key.raters))
    trials = key.raters[code]
    ready = "[...document.querySelectorAll('video')].every(film => film.readyState >= 2 && !film.seeking)"
    with Browser(tmp_path / "profile", 390, 800) as browser:
        browser.open((study / f"pages/{code}.html").as_uri())
        browser.run("document.getElementById('start').click()")
        assert browser.run("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        for index, trial in enumerate(trials):
            browser.wait_for(
                f"document.getElementById('progress').textContent === 'Pair {index + 1} of {len(trials)}'"
            )
            browser.wait_for(ready)
            for _ in key.questions:
                browser.press({"left": "1", "right": "3"}[trial.check.intact] if trial.check else "2")
            assert browser.run("document.getElementById('next').disabled"), "not watched yet"
            browser.press(" ")
            browser.wait_for("!document.getElementById('next').disabled")
            if index == 1:  # an answer is kept over a reload of the page
                browser.open((study / f"pages/{code}.html").as_uri())
                browser.run("document.getElementById('start').click()")
                browser.wait_for(ready)
                for _ in key.questions:
                    browser.press({"left": "1", "right": "3"}[trial.check.intact] if trial.check else "2")
                browser.press(" ")
                browser.wait_for("!document.getElementById('next').disabled")
            browser.press("Enter")
        browser.wait_for("!document.getElementById('done').hidden")
        browser.run("document.getElementById('download').click()")
        saved = browser.downloads / f"votes-{code}.json"
        end = 100
        while not saved.exists() and end:
            browser.run("new Promise(done => setTimeout(done, 50))")
            end -= 1
        result = count_votes([saved], study, draws=10)
    assert result.n_raters == 1 and result.questions[0].ties == 1.0
