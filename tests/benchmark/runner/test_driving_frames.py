"""Driving frames: those of the driving clip, as many as asked for, and said on the board."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.results import ContestantRef, Run, read_run
from benchmark.runner.evaluate import RunSettings, evaluate
from leaderboard import build_site
from talkingpose.data.clips import load_clips
from talkingpose.data.contestant import ContestantError, ContestantInfo
from talkingpose.data.contestant_loading import info_document, info_from
from talkingpose.media import VideoReader
from talkingpose.pose.face_crop import FaceCrop
from tests.benchmark.drawn_clips import NTSC, Drawn, row, video_bytes, write_dataset
from tests.benchmark.short_runs import admit_short_clips

SIDE = 64
BOTH = pytest.mark.parametrize("in_process", [True, False], ids=["in process", "isolated"])


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips of two persons, with points of a face; one is larger than the other."""
    folder = tmp_path_factory.mktemp("faces")
    clips = (Drawn("clip-a", "anna", NTSC, 12, (SIDE, SIDE)), Drawn("clip-b", "bela", NTSC, 10, (96, 96)))
    rows = []
    for clip in clips:
        made = row(clip, video_bytes(clip, folder))
        turn = np.linspace(-0.15, 0.15, 68)
        made["keypoints"][:, 23:91, 0] = 0.5 + turn
        made["keypoints"][:, 23:91, 1] = 0.3 + turn[::-1]
        made["keypoints"][:, 23:91, 2] = 1
        rows.append(made)
    return write_dataset(folder / "set", {"test": rows})


@pytest.fixture(autouse=True)
def _short_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    admit_short_clips(monkeypatch, "psnr", "portrait_colour", "leak")
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1]))


def run(dataset: Path, out: Path, model: str = "sample_contestants:FrameReader", **options: Any) -> Run:
    given = {"protocol": "tp-cross+leak@1", "keep_frames": True, "device": "cpu", **options}
    return evaluate(RunSettings(model=model, dataset=str(dataset), out=out, **given))


def kept(out: Path, clip_id: str) -> list[np.ndarray]:
    with VideoReader(out / f"lossless/{clip_id}.mp4") as reader:
        return [frame.image for frame in reader]


def driver(dataset: Path, clip_id: str, size: int) -> list[np.ndarray]:
    clip = next(clip for clip in load_clips(dataset, "test") if clip.clip_id == clip_id)
    assert clip.dataset is not None
    scaled = None if clip.width == size else (size, size)
    with VideoReader(clip.dataset.video(clip), size=scaled) as reader:
        return [frame.image for frame in reader]


@BOTH
def test_across_identities_they_are_those_of_the_driving_clip(
    faces: Path, tmp_path: Path, in_process: bool
) -> None:
    found = run(faces, tmp_path / "run", in_process=in_process)
    assert found.status == "complete", found.audit
    assert np.array_equal(kept(tmp_path / "run", "clip-a--clip-b"), driver(faces, "clip-b", SIDE))
    assert np.array_equal(kept(tmp_path / "run", "clip-b--clip-a"), driver(faces, "clip-a", 96))
    assert (found.contestant.driving_frames, found.contestant.backbone) == ("all", "svd")
    assert found.metrics["leak"].value == pytest.approx(1, abs=1e-12)


@BOTH
def test_a_face_contestant_sees_only_the_crop(faces: Path, tmp_path: Path, in_process: bool) -> None:
    out = tmp_path / "run"
    found = run(faces, out, model_args={"frames": "face"}, in_process=in_process)
    assert found.status == "complete", found.audit
    who = found.contestant
    assert (who.driving_frames, who.saw_driving_frames) == ("face", True)
    clip = load_clips(faces, "test")[1]
    crop = FaceCrop(clip.keypoints, SIDE, SIDE)
    middle = slice((512 - SIDE) // 2, (512 + SIDE) // 2)
    expected = [crop.crop(f, t)[middle, middle] for t, f in enumerate(driver(faces, "clip-b", SIDE))]
    assert np.array_equal(kept(out, "clip-a--clip-b"), expected)


def test_faces_of_a_clip_without_one_fail_the_clip(short: Path, tmp_path: Path) -> None:
    found = run(short, tmp_path / "run", model_args={"frames": "face"}, in_process=True)
    reasons = [entry.message for entry in found.audit if entry.kind == "failed"]
    assert found.status == "failed" and all("face" in reason for reason in reasons)


def test_paste_driver_is_last_and_frozen_first(faces: Path, tmp_path: Path) -> None:
    runs = {}
    for model in ("paste-driver", "frozen", "sample_contestants:Noise"):
        settings = {"in_process": True, "model_args": {"strength": "60"} if ":" in model else {}}
        runs[model] = run(faces, tmp_path / model.replace(":", "-"), model, **settings)
    values = {model: found.metrics["leak"].value for model, found in runs.items()}
    assert max(values, key=values.__getitem__) == "paste-driver" and values["paste-driver"] == pytest.approx(
        1
    )
    assert min(values, key=values.__getitem__) == "frozen" and values["frozen"] == pytest.approx(-1)
    report = build_site([tmp_path], tmp_path / "site", "t")
    page = (report.site / "index.html").read_text(encoding="utf-8")
    assert page.count('<th scope="row">') >= 3 and "saw the driving frames" in page
    assert not report.refused


def test_a_run_without_the_driver_is_no_paste_driver(faces: Path, tmp_path: Path) -> None:
    """A relabelled run of frozen is refused."""
    from benchmark.results import write_document
    from benchmark.run_check import check_run

    out = tmp_path / "run"
    found = run(faces, out, "frozen", in_process=True)
    who = found.contestant.model_copy(
        update={"name": "paste-driver", "saw_driving_frames": True, "driving_frames": "all"}
    )
    write_document(found.model_copy(update={"contestant": who}), out / "run.json")
    assert any("not paste-driver" in str(problem) for problem in check_run(out).contradictions)
    who = found.contestant.model_copy(update={"driving_frames": "face"})
    write_document(found.model_copy(update={"contestant": who}), out / "run.json")
    assert any("driving_frames" in str(problem) for problem in check_run(out).contradictions)


def test_kept_frames_are_scored_again_with_the_driver(faces: Path, tmp_path: Path) -> None:
    from benchmark.rescore.rescore import rescore

    before = run(faces, tmp_path / "run", "sample_contestants:Noise", in_process=True)
    again = rescore(tmp_path / "run", dataset=None, metrics=["leak"], statistics=False)
    assert again.metrics["leak"] == before.metrics["leak"] and before.metrics["leak"].value < 0


def test_other_driving_frames_are_another_run(faces: Path, tmp_path: Path) -> None:
    run(faces, tmp_path / "run", in_process=True)
    document = read_run(tmp_path / "run")
    assert document.contestant.frames_seen == "all"
    with pytest.raises(ValueError, match=r"driving frames|settings"):
        run(faces, tmp_path / "run", model_args={"frames": "face"}, in_process=True)


def test_both_forms_of_the_request_agree() -> None:
    base = ContestantInfo("a", "1", 0, "MIT")
    old = dataclasses.replace(base, needs_driving_frames=True)
    assert (base.driving_frames, old.driving_frames) == ("none", "all")
    face = dataclasses.replace(base, driving_frames="face", backbone="sd-1.5")
    assert face.needs_driving_frames and info_from(info_document(face)) == face
    for change in (
        {"driving_frames": "some"},
        {"backbone": ""},
        {"backbone": 5},
        {"driving_frames": ["all"]},
    ):
        with pytest.raises(ContestantError, match=next(iter(change))):
            info_document(dataclasses.replace(base, **change))


def test_runs_of_older_versions_keep_their_meaning() -> None:
    assert ContestantRef(name="a", revision="1", saw_driving_frames=True).frames_seen == "all"
    assert ContestantRef(name="a", revision="1").frames_seen == "none"
