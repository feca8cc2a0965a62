"""Films as `tp-animate` makes them; what needs no process of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import talkingpose.animate.animator
from talkingpose import TalkingPosePipeline
from talkingpose.animate import cli
from talkingpose.animate.animator import AnimateOptions, Animator
from talkingpose.animate.batch_list import Job
from talkingpose.animate.driving_poses import missing_parts
from talkingpose.io.errors import UserError
from talkingpose.media import VideoReader, VideoWriter
from talkingpose.pipeline.feedback import FixedGain, LowPass
from tests.talkingpose.animate.test_driving_poses import person, save


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pipe: TalkingPosePipeline) -> Path:
    """A folder with a portrait whose person is found, and poses; the model is loaded already."""
    monkeypatch.setattr(talkingpose.animate.animator, "load_pipeline", lambda checkpoint, device, dtype: pipe)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (128, 96, 3), np.uint8)).save(
        tmp_path / "a.png"
    )
    monkeypatch.setattr(talkingpose.animate.animator, "portrait_pose", lambda picture: person(0.45, 0.3))
    save(tmp_path / "p.npz", keypoints=np.stack([person(0.4 + k / 50) for k in range(3)]), fps=12.5)
    return tmp_path


def maker(parity_folder: Path, lines: list[str], **options: object) -> Animator:
    chosen = AnimateOptions(feedback=FixedGain(), **{"steps": 1, "guidance": 1.0, **options})
    return Animator(str(parity_folder), chosen, device="cpu", say=lines.append)


def film(place: Path, **changes: str) -> Job:
    names = {"reference": "a.png", "driving": "p.npz", "out": "f.mp4"} | changes
    return Job(**{key: place / name for key, name in names.items()})


def test_a_film_with_its_preview_and_what_is_said(place: Path, parity_folder: Path) -> None:
    lines: list[str] = []
    made = film(place)
    maker(parity_folder, lines).make(made)
    info = VideoReader(made.out).info
    assert (info.width, info.height, info.fps, info.num_frames) == (96, 128, Fraction(25, 2), 3)
    assert Image.open(place / "f.preview.png").size == (3 * 96, 128)
    said = "\n".join(lines)
    assert "on cpu, float32; 1 steps, guidance 1, feedback proportional, gain 0.05" in said
    assert "3 frames, 96x128, 12.5 frames/s, poses in the portrait's proportions" in said
    assert {p.name for p in place.iterdir()} == {"a.png", "p.npz", "f.mp4", "f.preview.png"}


def test_the_model_stays_in_one_thread_and_writing_out_of_it(
    place: Path, parity_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CUDA graphs are bound to the thread that they were made in: the one that loads the model."""
    at: dict[str, set[int]] = {"model": set(), "writing": set()}
    decode, write = TalkingPosePipeline.decode, VideoWriter.write

    def seen(where: str, call: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args: (at[where].add(threading.get_ident()), call(*args))[1]

    monkeypatch.setattr(TalkingPosePipeline, "decode", seen("model", decode))
    monkeypatch.setattr(VideoWriter, "write", seen("writing", write))
    maker(parity_folder, []).make(film(place))
    assert at["model"] == {threading.get_ident()}
    assert len(at["writing"]) == 1 and not at["writing"] & at["model"]


def test_time_left_does_not_count_what_comes_before_the_first_item(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred seconds of compiling, then a frame each half second."""
    now = [0.0]
    monkeypatch.setattr(talkingpose.animate.animator.time, "monotonic", lambda: now[0])
    lines: list[str] = []
    with talkingpose.animate.animator._progress("frames", 200, lines.append) as advance:
        now[0] = 100.0
        advance()
        for _ in range(100):
            now[0] += 0.5
            advance()
    assert lines == ["frames: 1 of 200, after 0:01:40", "frames: 61 of 200, 0:01:10 left, 2.00 frames/s"]


def test_a_preview_gets_a_second_row_when_the_person_has_moved(place: Path, parity_folder: Path) -> None:
    save(place / "p.npz", keypoints=np.stack([person()] * 4), fps=1.0)
    maker(parity_folder, []).make(film(place))
    assert Image.open(place / "f.preview.png").size == (3 * 96, 2 * 128)


def test_self_reenactment_leaves_the_poses_alone(
    place: Path, parity_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keypoints = np.stack([person(0.45, 0.3), person(0.5, 0.25)])
    save(place / "p.npz", keypoints=keypoints, width=96, height=128)
    drawn: list[np.ndarray] = []
    one = maker(parity_folder, lines := [])
    monkeypatch.setattr(
        type(one._inference),
        "draw",
        lambda self, k, h, w: (drawn.append(k), np.zeros((h, w, 3), np.uint8))[1],
    )
    one.make(film(place))
    np.testing.assert_array_equal(np.stack(drawn), keypoints)
    assert "the portrait is the first driving frame" in "\n".join(lines)


@pytest.mark.parametrize(("retarget", "size"), [("auto", (96, 128)), ("on", (96, 128))])
def test_another_shape_is_retargeted(
    place: Path, parity_folder: Path, retarget: str, size: tuple[int, int]
) -> None:
    maker(parity_folder, [], retarget=retarget).make(film(place))
    info = VideoReader(place / "f.mp4").info
    assert (info.width, info.height) == size


def test_what_is_missing_is_reported_before_the_model_is_loaded(
    place: Path, parity_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faceless = person()
    faceless[23:91] = 0
    assert missing_parts(faceless)["face"] == 1
    monkeypatch.setattr(talkingpose.animate.animator, "portrait_pose", lambda picture: faceless)
    handless = person()
    handless[91:] = 0
    save(place / "p.npz", keypoints=np.stack([person()] * 3 + [handless]))
    lines: list[str] = []
    one = maker(parity_folder, lines, max_missing=24.0)

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(talkingpose.animate.animator, "load_pipeline", stop)
    with pytest.raises(KeyboardInterrupt):
        one.make(film(place))
    assert lines == [
        f"warning: portrait {place / 'a.png'}: no face found",
        f"warning: driving {place / 'p.npz'}: no hands in 25 % of 4 frames",
    ]
    with pytest.raises(UserError, match=r"no face found; .*no hands in 25 %.*--strict"):
        maker(parity_folder, [], max_missing=24.0, strict=True).make(film(place))
    lines.clear()
    with pytest.raises(KeyboardInterrupt):
        maker(parity_folder, lines, max_missing=25.0).make(film(place))
    assert len(lines) == 1


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({"out": "f.gif"}, {}, "ends in .mp4"),
        ({"out": "nowhere/f.mp4"}, {}, "folder that exists"),
        ({"driving": "f.mp4"}, {}, "replace its own source"),
        ({}, {"audio": True}, "poses has no sound"),
        ({"driving": "silent.mp4"}, {"audio": True}, "has no sound"),
        ({"reference": "p.npz"}, {}, "not a picture"),
        ({"driving": "a.png"}, {}, "a.png"),
    ],
)
def test_a_film_that_cannot_be_made_is_refused_at_once(
    place: Path, parity_folder: Path, changes: dict[str, str], options: dict[str, object], message: str
) -> None:
    for name in ("silent.mp4", "f.mp4"):
        with VideoWriter(place / name, fps=Fraction(25)) as writer:
            writer.write(np.zeros((16, 16, 3), np.uint8))
    before = {path: path.read_bytes() for path in place.iterdir()}
    with pytest.raises((UserError, ValueError), match=message) as caught:
        maker(parity_folder, [], **options).check(film(place, **changes))
    assert "\n" not in str(caught.value)
    assert {path: path.read_bytes() for path in place.iterdir()} == before


def test_a_film_that_breaks_off_leaves_nothing(
    place: Path, parity_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = maker(parity_folder, [])

    def frames(*_: object) -> object:
        poses = _[2]
        for _number in range(2):
            next(poses)
            yield np.zeros((128, 96, 3), np.uint8)
        raise UserError("broken off")

    monkeypatch.setattr(one, "_frames", frames)
    before = set(place.iterdir())
    with pytest.raises(UserError, match="broken off"):
        one.make(film(place))
    assert set(place.iterdir()) == before


def test_a_list_of_films(place: Path, parity_folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    save(place / "nobody.npz", keypoints=np.zeros((2, 133, 3), np.float32))
    rows = ["reference,driving,out", "a.png,p.npz,f.mp4", "a.png,p.npz,g.mp4"]
    (place / "list.csv").write_text("\n".join(rows))
    options = [
        "--batch",
        str(place / "list.csv"),
        "--checkpoint",
        str(parity_folder),
        "--steps",
        "1",
        "--guidance",
        "1",
    ]
    assert run(options) == 0
    assert capfd.readouterr().out.split() == [str(place / "f.mp4"), str(place / "g.mp4")]
    one = (place / "f.mp4").read_bytes()
    assert one == (place / "g.mp4").read_bytes()

    (place / "g.mp4").unlink()
    assert run(options) == 0
    captured = capfd.readouterr()
    assert captured.out.split() == [str(place / "g.mp4")] and "1 of 2 films are there already" in captured.err
    assert (place / "g.mp4").read_bytes() == one

    # Nobody is found where the list is checked, so nothing is made.
    (place / "g.mp4").unlink()
    (place / "list.csv").write_text("\n".join([*rows, "a.png,nobody.npz,h.mp4"]))
    with pytest.raises(UserError, match="nobody is found"):
        run(options)
    assert not (place / "g.mp4").exists()


def test_one_film_that_fails_does_not_stop_the_others(
    place: Path, parity_folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "list.csv").write_text("reference,driving,out\na.png,p.npz,f.mp4\na.png,p.npz,g.mp4\n")
    fitted = talkingpose.animate.animator._fitted
    calls = []

    def first_fails(*arguments: object) -> object:
        calls.append(arguments)
        if len(calls) == 1:
            raise talkingpose.animate.animator.FilmError("out of luck")
        return fitted(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(talkingpose.animate.animator, "_fitted", first_fails)
    options = [
        "--batch",
        str(place / "list.csv"),
        "--checkpoint",
        str(parity_folder),
        "--steps",
        "1",
        "--guidance",
        "1",
    ]
    assert run(options) == 3
    captured = capfd.readouterr()
    assert captured.out.split() == [str(place / "g.mp4")]
    assert "not made: out of luck" in captured.err and "1 of 2 films were not made" in captured.err


def run(options: list[str]) -> int:
    return int(cli.app(args=options, prog_name="tp-animate", standalone_mode=False))


@pytest.mark.parametrize(
    ("text", "gain", "expected"),
    [
        ("proportional", None, FixedGain(0.05)),
        ("proportional", 0.2, FixedGain(0.2)),
        ("low-pass,cutoff=0.5", 0.1, LowPass(0.1, 0.5)),
    ],
)
def test_feedback_from_the_command_line(text: str, gain: float | None, expected: object) -> None:
    assert cli._controller(text, gain) == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--feedback", "low-pass,0.5"], "SETTING=VALUE"),
        (["--feedback", "shrunk-noise", "--gain", "0.1"], "has no gain"),
        (["--feedback", "pid"], "choose one of"),
        (["--batch", "list.csv"], "leave the options out"),
        (["--cpu-offload", "--device", "cpu"], "leave it out"),
    ],
)
def test_options_that_do_not_go_together(
    place: Path, parity_folder: Path, options: list[str], message: str
) -> None:
    given = [
        "--reference",
        "a.png",
        "--driving",
        "p.npz",
        "--out",
        "f.mp4",
        "--checkpoint",
        str(parity_folder),
    ]
    with pytest.raises(UserError, match=message):
        run([*given, *options])
