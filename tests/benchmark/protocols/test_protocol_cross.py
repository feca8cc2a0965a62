"""Cross-identity protocols: pairs of different people, retargeting, metrics without real frames."""

from __future__ import annotations

import dataclasses
import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.data.bundled import open_dataset
from benchmark.errors import EvaluationError
from benchmark.metrics import CaseShape, family
from benchmark.metrics.window import PairWindow
from benchmark.protocols.pairs import case_id, choose_pairs
from benchmark.protocols.protocol import CrossProtocol, ProtocolError, load_protocol
from benchmark.results import CaseScore, Run
from benchmark.run_dir import RunDir
from benchmark.runner.evaluate import RunSettings, evaluate
from benchmark.runner.inputs import prepare_inputs
from benchmark.runner.plan import plan_run
from benchmark.runner.summarize import metrics_under
from benchmark.validation.checks import CheckList
from benchmark.validation.run import check_run
from talkingpose.data.clips import Clip, ClipDataset
from talkingpose.data.schema import DatasetError
from tests.benchmark.short_runs import admit_short_clips

SHAPE = CaseShape("x", Fraction(25), 64, 64, 9, window=4)


def cross(name: str = "tp-cross@1") -> CrossProtocol:
    protocol = load_protocol(name)
    assert isinstance(protocol, CrossProtocol)
    return protocol


def clip(number: int, person: int, source: str | None = None, size: tuple[int, int] = (128, 128)) -> Clip:
    return Clip(f"c{number}", "test", Fraction(25), *size, 110, f"p{person}", None, source)


def paired(clips: list[Clip], tmp_path: Path) -> tuple[list[tuple[Clip, Clip]], list[str]]:
    nowhere = type("Nowhere", (), {"folder": tmp_path})()
    pairs, audit = choose_pairs(nowhere, clips, cross())
    return pairs, [entry.message for entry in audit]


def score(name: str, frames: list[np.ndarray], poses: list[np.ndarray], detected: Any = None) -> CaseScore:
    """The score of a case without real frames; `detected` stands in for the pose detector."""
    metric = family(name)[0]
    window = PairWindow(2, reference=frames[0], extractors=extractors(detected))
    state = metric.start(SHAPE)
    for frame, pose in zip(frames, poses, strict=True):
        window.push(None, frame, pose)
        state.update(window)
    return state.finish()


def extractors(detected: Any) -> dict[str, Any]:
    from benchmark.features.registry import load_extractors

    class Detector:
        def extract(self, window: PairWindow, side: str, back: int) -> np.ndarray:
            assert side == "generated"
            return detected[window.t - back]

    return {**load_extractors(["colour", "laplacian"]), "pose": Detector()}


def pose(shift: float = 0.0) -> np.ndarray:
    points = np.zeros((133, 3), np.float32)
    points[:17] = [(0.3 + 0.02 * i + shift, 0.5, 1) for i in range(17)]
    points[5], points[6] = (0.7 + shift, 0.5, 1), (0.5 + shift, 0.5, 1)
    return points


GREY = [np.full((64, 64, 3), 90, np.uint8)] * 9


def test_retargeting_is_in_the_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    from talkingpose.pose import retarget

    first, raw = cross(), cross("tp-cross-raw@1")
    assert (first.retarget, raw.retarget) == (True, False)
    assert (first.metrics, first.drift) == (raw.metrics, raw.drift)
    before = first.sha256(), raw.sha256()
    monkeypatch.setattr(retarget, "VERSION", 2)
    assert first.sha256() != before[0] and raw.sha256() == before[1]


def test_no_metric_asks_for_real_frames() -> None:
    plain = {metric.spec.id for metric in metrics_under(cross())}
    assert {"akd_target.body", "pose_motion", "portrait_sharpness"} <= plain
    identity = metrics_under(cross("tp-cross+identity@1"))
    added = {"csim.reference", "csim-arcface.reference", "aed.reference"}
    assert {metric.spec.id for metric in identity} == plain | added
    with pytest.raises(ProtocolError, match="needs real frames"):
        load_protocol("tp-cross+pose@1")
    assert "csim.frame" in {metric.spec.id for metric in metrics_under(load_protocol("tp-long+identity@1"))}


def test_each_clip_drives_once_and_another_person(tmp_path: Path) -> None:
    clips = [clip(i, i % 4, source=f"s{i}") for i in range(13)]
    pairs, audit = paired(clips, tmp_path)
    names = {c.clip_id for c in clips}
    assert not audit and len(pairs) == 13
    assert {p.clip_id for p, _ in pairs} == {d.clip_id for _, d in pairs} == names
    assert all(p.group != d.group for p, d in pairs)
    assert {(p.clip_id, d.clip_id) for p, d in paired(clips[::-1], tmp_path)[0]} == {
        (p.clip_id, d.clip_id) for p, d in pairs
    }


def test_people_of_one_recording_are_not_paired(tmp_path: Path) -> None:
    clips = [clip(0, 0, "a"), clip(1, 1, "a"), clip(2, 1, "b"), clip(3, 2, "c"), clip(4, 3, "d"), clip(5, 4)]
    pairs, audit = paired(clips, tmp_path)
    together = {"c0", "c1", "c2"}
    assert not audit and len(pairs) == 6
    assert all(not {p.clip_id, d.clip_id} <= together for p, d in pairs)


def test_clips_without_a_partner_are_listed(tmp_path: Path) -> None:
    clips = [clip(0, 0), clip(1, 0), clip(2, 0), clip(3, 1), clip(4, 2, size=(160, 96))]
    pairs, audit = paired(clips, tmp_path)
    assert {(p.group, d.group) for p, d in pairs} == {("p0", "p1"), ("p1", "p0")}
    assert len(audit) == 3 and any("c4" in message for message in audit)


def test_ids_of_pairs_are_distinct_file_names() -> None:
    names = [("a", "b"), ("a--b", "c"), ("a", "b--c"), ("a-", "b"), ("a", "-b"), ("x" * 200, "y" * 200)]
    ids = [case_id(*(dataclasses.replace(clip(0, 0), clip_id=n) for n in pair)) for pair in names]
    assert ids[0] == "a--b" and len(set(ids)) == len(ids) and max(map(len, ids)) <= 120


def test_tp_mini_is_paired_by_its_list() -> None:
    dataset = open_dataset("tp-mini")
    found = plan_run(dataset, cross(), split=None, limit=2, max_frames=120, seed=0)
    raw = plan_run(dataset, cross("tp-cross-raw@1"), split=None, limit=2, max_frames=120, seed=0)
    assert found.audit[0].message == "the first 2 of 20 admitted clips by clip id"
    first = found.cases[0]
    assert first.pair is not None and raw.cases[0].pair is not None
    assert first.clip.clip_id == "234862d5bf482b7d--2690c96be31ac4d9"
    assert first.clip.group == first.pair.portrait.group and first.clip.fps == first.pair.driving.fps
    stage, plain = prepare_inputs(dataset, first), prepare_inputs(dataset, raw.cases[0])
    assert stage.real_video is None and len(stage.keypoints) == first.num_frames == 120
    np.testing.assert_array_equal(plain.keypoints, dataset.keypoints(first.pair.driving)[:120])
    portrait = dataset.keypoints(first.pair.portrait)[0]
    widths = [np.linalg.norm(p[5, :2] - p[6, :2]) for p in (stage.keypoints[0], plain.keypoints[0], portrait)]
    assert abs(widths[0] - widths[2]) < abs(widths[1] - widths[2])


@pytest.mark.parametrize(
    "text", ["portrait,driving\nclip-a,nobody\n", "portrait,driving\nclip-a,clip-a\n", "a,b\n", "", "\0"]
)
def test_an_invalid_list_is_refused(short: Path, tmp_path: Path, text: str) -> None:
    copied = Path(shutil.copytree(short, tmp_path / "set"))
    (copied / "cross.csv").write_text(text)
    with pytest.raises(DatasetError, match=r"cross\.csv"):
        choose_pairs(ClipDataset(str(copied)), [], cross())


def test_pose_motion_of_a_still_and_of_a_perfect_video() -> None:
    poses = [pose(0.01 * t) for t in range(9)]
    assert score("pose_motion", GREY, poses, [pose()] * 9).value == 0
    assert score("pose_motion", GREY, poses, poses).value == pytest.approx(1)
    lost = score("pose_motion", GREY, poses, [np.zeros_like(pose())] * 9)
    assert lost.value is None and lost.coverage == 0


def test_distance_from_the_given_pose() -> None:
    poses = [pose()] * 9
    assert score("akd_target", GREY, poses, poses).value == 0
    away = score("akd_target", GREY, poses, [pose(0.02)] * 9)
    assert away.value == pytest.approx(10, rel=1e-4) and away.state == "ok"
    half = score("akd_target", GREY, poses, [pose()] * 6 + [np.zeros_like(pose())] * 3)
    assert half.state == "partial" and half.coverage == pytest.approx(6 / 9)
    none = score("akd_target", GREY, [np.zeros_like(pose())] * 9, poses)
    assert none.value is None and none.reason == "the driving poses show no body"
    assert score("mkr_target", GREY, poses, [pose()] * 6 + [np.zeros_like(pose())] * 3).value == 1 / 3


def test_drift_from_the_portrait() -> None:
    noise = np.random.default_rng(0).integers(0, 200, (64, 64, 3), np.uint8)
    assert score("portrait_colour", [noise] * 9, [pose()] * 9).value == 0
    brighter = [noise, *[noise + 20] * 3]
    assert score("portrait_colour", brighter, [pose()] * 4).value == pytest.approx(15)
    assert score("portrait_sharpness", [noise] * 9, [pose()] * 9).value == 0
    assert score("portrait_sharpness", [noise, noise // 2], [pose()] * 2).value == pytest.approx(-1, abs=0.05)


def test_a_jump_at_the_seam_raises_seam_change() -> None:
    steady = [np.full((64, 64, 3), 10 * t, np.uint8) for t in range(9)]
    jumping = [np.full((64, 64, 3), 10 * t + 20 * (t // 4), np.uint8) for t in range(9)]
    assert score("seam_change", steady, [pose()] * 9).value == pytest.approx(1)
    assert score("seam_change", jumping, [pose()] * 9).value == pytest.approx(3)
    assert score("seam_change", GREY, [pose()] * 9).value is None


def run(dataset: Path, out: Path, **options: Any) -> Run:
    given = {"model": "frozen", "protocol": "tp-cross@1", "device": "cpu", "max_frames": 16} | options
    return evaluate(RunSettings(dataset=str(dataset), out=out, in_process=True, **given))


@pytest.fixture(scope="module")
def made(short: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("cross") / "run"
    with pytest.MonkeyPatch.context() as patch:
        admit_short_clips(patch)
        run(short, out, keep_frames=True)
    return out


def test_a_cross_identity_run(short: Path, made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    admit_short_clips(monkeypatch)
    found = RunDir(made).run()
    assert found is not None and found.status == "complete"
    # Bela has two of the three clips, so that one of them has no partner.
    assert len(found.cases) == 2 and "no-pair" in {entry.kind for entry in found.audit}
    assert found.metrics["portrait_sharpness"].value == pytest.approx(0)
    assert found.metrics["seam_change"].value is None
    assert set(found.drift) >= {"portrait_colour.mean", "portrait_sharpness"}
    assert not {"psnr", "csim.frame"} & set(found.metrics)
    notes = CheckList()
    check_run(RunDir(made), ClipDataset(str(short)), notes)
    assert not [f for f in notes.found if f.severity == "error"], notes.found


def test_a_cross_identity_run_is_resumed_and_rescored(
    short: Path, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmark.rescore.rescore import rescore

    admit_short_clips(monkeypatch)
    before = RunDir(made).run()
    assert before is not None
    again = run(short, made, keep_frames=True)
    assert again.metrics == before.metrics
    rescored = rescore(made, dataset=None, metrics=["portrait_colour.mean"], statistics=False)
    assert rescored.metrics == before.metrics


def test_the_leaderboard_shows_it(made: Path, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from leaderboard.cli import app

    done = CliRunner().invoke(app, [str(made), "--out", str(tmp_path / "board")])
    assert done.exit_code == 0, done.output
    pages = "".join(p.read_text() for p in (tmp_path / "board").rglob("*.html"))
    assert "tp-cross@1" in pages and "akd_target.body" in pages


@pytest.mark.parametrize("model", ["ground-truth", "reencode"])
def test_a_contestant_that_needs_driving_frames_is_refused(
    short: Path, tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    admit_short_clips(monkeypatch)
    with pytest.raises(EvaluationError, match="needs driving frames") as caught:
        run(short, tmp_path / "run", model=model)
    assert "\n" not in str(caught.value) and not (tmp_path / "run").exists()


def test_a_codec_control_is_refused(short: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    admit_short_clips(monkeypatch)
    with pytest.raises(EvaluationError, match="no real video"):
        run(short, tmp_path / "run", codec_run=tmp_path)
