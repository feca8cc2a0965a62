"""Findings of `tp-eval validate`, and none in sound input."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest

from benchmark.runner.hosts.host import InProcessHost
from benchmark.validation import ValidationError, lines, validate
from talkingpose.data.contestant import Case, ContestantInfo, Image, running
from talkingpose.data.contestant_loading import checked_info
from tests.benchmark.drawn_clips import write_dataset
from tests.benchmark.tiny_runs import CLIPS, frames, run, write_video

pytestmark = pytest.mark.usefixtures("tiny_rules")
HERE = Path(__file__).parents[1]


def found(target: object, **options: Any) -> dict[str, str]:
    """Messages of the errors by place."""
    result = validate(str(target), **options)
    assert all("\n" not in line for line in lines(result))
    assert result.sound == all(f.severity == "warning" for f in result.findings)
    messages: dict[str, str] = {}
    for finding in result.findings:
        if finding.severity == "error":
            messages[finding.where] = f"{messages.get(finding.where, '')}{finding.message}; "
    return messages


@pytest.fixture
def made(tiny: Path, tmp_path: Path) -> Path:
    run("frozen", tiny, tmp_path / "run", keep_frames=True)
    return tmp_path / "run"


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def test_a_run_as_it_was_written_is_sound(made: Path) -> None:
    result = validate(str(made))
    assert (result.kind, result.findings) == ("run", [])


DAMAGE: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "a better number": (
        lambda r: edit(r / "run.json", lambda d: d["metrics"]["psnr"].update(value=99.0)), "run.json", "psnr",
    ),
    "a narrower interval": (
        lambda r: edit(r / "run.json", lambda d: d["metrics"]["ssim"].update(ci95=[0.1, 0.2])),
        "run.json", "ssim",
    ),
    "another curve": (
        lambda r: edit(r / "run.json", lambda d: d["drift"]["ssim"].update(slope_per_100_frames=0.0)),
        "run.json", "drift of ssim",
    ),
    "a better case": (
        lambda r: edit(r / "cases/tiny-a.json", lambda d: d["metrics"]["psnr"].update(value=99.0)),
        "run.json", "psnr",
    ),
    "a clip less": (lambda r: edit(r / "run.json", lambda d: d["cases"].pop()), "run.json", "names 2 clips"),
    "no case": (lambda r: (r / "cases/tiny-a.json").unlink(), "cases/tiny-a.json", "no such file"),
    "a case of another clip": (
        lambda r: (r / "cases/tiny-a.json").write_bytes((r / "cases/tiny-b.json").read_bytes()),
        "cases/tiny-a.json", "is of clip tiny-b",
    ),
    "another video": (lambda r: (r / "videos/tiny-a.mp4").write_bytes(b"x"), "videos/tiny-a.mp4", "hash"),
    "no video": (lambda r: (r / "videos/tiny-a.mp4").unlink(), "videos/tiny-a.mp4", "no such file"),
    "no table": (lambda r: (r / "frames/tiny-a.parquet").write_bytes(b"x"), "frames/tiny-a.parquet", "read"),
    "a shorter table": (lambda r: shorten(r / "frames/tiny-a.parquet"), "frames/tiny-a.parquet", "one row"),
    "still running": (
        lambda r: edit(r / "run.json", lambda d: d.update(status="running")), "run.json", "is running",
    ),
    "a metric of nowhere": (
        lambda r: edit(r / "run.json", lambda d: d["metrics"].update(fvd=d["metrics"]["psnr"])),
        "run.json", "fvd",
    ),
}  # fmt: skip


def shorten(path: Path) -> None:
    pyarrow.parquet.write_table(pyarrow.parquet.read_table(path).slice(0, 5), path)


@pytest.mark.parametrize("what", DAMAGE)
def test_a_changed_run_is_found_out(made: Path, what: str) -> None:
    change, where, says = DAMAGE[what]
    change(made)
    errors = found(made)
    assert says in errors[where], errors


def test_a_run_is_checked_against_its_dataset(made: Path, tiny: Path, dataset: Path) -> None:
    assert found(made, dataset=str(tiny)) == {}
    assert "not in the dataset" in found(made, dataset=str(dataset))["run.json"]
    edit(made / "cases/tiny-a.json", lambda d: d.update(cluster="somebody"))
    assert "person, split or rate" in found(made, dataset=str(tiny))["cases/tiny-a.json"]


def test_a_dataset_is_decoded(tiny: Path) -> None:
    result = validate(str(tiny))
    assert (result.kind, result.findings) == ("dataset", [])
    assert "3 decoded" in result.checked
    assert "1 decoded" in validate(str(tiny), sample=1).checked


def test_what_is_wrong_with_a_dataset(tiny_rows: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    a, b, c = (dict(row) for row in tiny_rows.values())
    a["num_frames"], a["keypoints"] = 11, a["keypoints"][:11]
    b["keypoints"] = b["keypoints"] * 100
    c["sha256"] = "0" * 64
    again = dict(tiny_rows["tiny-c"]) | {"clip_id": "tiny-d"}
    errors = found(write_dataset(tmp_path / "bad", {"train": [again], "test": [a, b, c]}))
    assert "decodes to 12 frames, its row says 11" in errors["tiny-a"]
    assert "must be normalised" in errors["tiny-b"]
    assert "does not have the hash" in errors["tiny-c"]
    assert "test and train" in errors["person 2"]


def test_predictions(tiny: Path, tmp_path: Path) -> None:
    for clip in CLIPS:
        write_video(tmp_path / f"made/{clip.clip_id}.mp4", frames(clip))
    assert found(tmp_path / "made", dataset=str(tiny)) == {}
    write_video(tmp_path / "made/tiny-a.mp4", frames(CLIPS[0])[:-2])
    (tmp_path / "made/tiny-b.mp4").rename(tmp_path / "made/clip-b.mp4")
    errors = found(tmp_path / "made", dataset=str(tiny))
    assert "10 frames, the clip has 12" in errors["tiny-a"] and "no prediction" in errors["tiny-b"]


class Good:
    """A contestant that moves the portrait."""

    info = ContestantInfo(name="good", revision="1", parameters=0, licence="MIT")

    def __init__(self, *, checkpoint: str | None, device: str) -> None:
        pass

    def animate(self, cases: Sequence[Case], *, seed: int) -> Iterator[list[Image]]:
        poses = [iter(case.keypoints) for case in cases]
        for step in itertools.count():
            alive = running(cases, step)
            if not alive:
                return
            yield [np.roll(cases[i].reference, int(90 * next(poses[i])[0, 0]), axis=1) for i in alive]


class Unsteady(Good):
    def animate(self, cases: Sequence[Case], *, seed: int) -> Iterator[list[Image]]:
        for images in super().animate(cases, seed=seed):
            yield [image + np.random.default_rng().integers(0, 2, image.shape, np.uint8) for image in images]


class Gregarious(Good):
    def animate(self, cases: Sequence[Case], *, seed: int) -> Iterator[list[Image]]:
        for images in super().animate(cases, seed=seed):
            yield [image // np.uint8(len(cases)) for image in images]


class Greedy(Good):
    def animate(self, cases: Sequence[Case], *, seed: int) -> Iterator[list[Image]]:
        everything = [list(case.keypoints) for case in cases]
        for step in range(max(map(len, everything))):
            yield [cases[i].reference for i in running(cases, step)]


class Short(Good):
    def animate(self, cases: Sequence[Case], *, seed: int) -> Iterator[list[Image]]:
        return itertools.islice(super().animate(cases, seed=seed), 9)


class Wide(Good):
    def animate(self, cases: Sequence[Case], *, seed: int) -> Iterator[list[Image]]:
        return ([image[:-1] for image in images] for images in super().animate(cases, seed=seed))


class Broken(Good):
    def animate(self, cases: Sequence[Case], *, seed: int) -> Iterator[list[Image]]:
        raise RuntimeError("no\nkernel")


class Fickle(Good):
    calls = 0

    @property
    def info(self) -> ContestantInfo:
        self.calls += 1
        return ContestantInfo(name=f"name {self.calls}", revision="1", parameters=0, licence="MIT")


class Unnamed(Good):
    info = ContestantInfo(name="", revision="1", parameters=-1, licence="unknown", args={"x": float("nan")})


def host_of(kind: type[Good]) -> Callable[..., InProcessHost]:
    def make(*_: object, **__: object) -> InProcessHost:
        contestant = kind(checkpoint=None, device="cpu")
        return InProcessHost(contestant, checked_info(contestant))

    return make


@pytest.mark.parametrize(
    ("name", "where", "says"),
    [
        ("Unsteady", "animate", "other frames the second time"),
        ("Gregarious", "animate", "depend on the other case"),
        ("Short", "animate", "stopped after 9 frames"),
        ("Wide", "animate", "uint8 (255, 256, 3), not uint8 (256, 256, 3)"),
        ("Broken", "animate", "RuntimeError: no kernel"),
        ("Fickle", "info", "changes after"),
        ("Unnamed", "construction", "not plain JSON values"),
    ],
)
def test_a_contestant_that_breaks_the_contract(
    name: str, where: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmark.validation.make_host", host_of(globals()[name]))
    assert says in found("package:Class")[where]


def test_contestants_that_keep_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert validate("frozen").findings == [] and found("ground-truth") == {}
    monkeypatch.chdir(HERE)
    assert found("sample_contestants:Noise") == {}
    monkeypatch.setattr("benchmark.validation.make_host", host_of(Greedy))
    (finding,) = validate("package:Class").findings
    assert finding.severity == "warning" and "reads all 12 poses" in finding.message


@pytest.mark.parametrize(
    ("target", "options", "says"),
    [
        ("nowhere/at/all", {}, "neither a folder nor"),
        (".", {}, "give --dataset"),
        (".", {"kind": "predictions"}, "give --dataset"),
        (".", {"kind": "model"}, "choose one of"),
        (".", {"kind": "dataset", "sample": 0}, "--sample 0"),
    ],
)
def test_what_cannot_be_told_is_refused(
    target: str, options: dict[str, Any], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValidationError, match=says):
        validate(target, **options)
