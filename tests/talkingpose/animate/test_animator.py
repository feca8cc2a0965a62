"""Videos of `tp-animate`, without a process."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import talkingpose.animate.animator
import talkingpose.animate.portrait_check
import talkingpose.animate.unfinished_film
from talkingpose import TalkingPosePipeline
from talkingpose.animate import cli
from talkingpose.animate.animator import AnimateOptions, Animator, _fit
from talkingpose.animate.batch_list import AnimateJob
from talkingpose.animate.driving_poses import DrivingPoses, missing_parts
from talkingpose.animate.unfinished_film import UnfinishedFilm
from talkingpose.io.errors import UserError
from talkingpose.io.progress import SILENT, Progress
from talkingpose.media import VideoReader, VideoWriter
from talkingpose.model.inference_settings import InferenceSettings
from talkingpose.pipeline.feedback import FixedGain, LowPass
from talkingpose.pose import draw_pose
from tests.talkingpose.animate.test_driving_poses import person, save


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pipe: TalkingPosePipeline) -> Path:
    """A folder with poses and a portrait with a person; the model is loaded already."""
    monkeypatch.setattr(talkingpose.animate.animator, "load_pipeline", lambda checkpoint, device, dtype: pipe)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (128, 96, 3), np.uint8)).save(
        tmp_path / "a.png"
    )
    monkeypatch.setattr(talkingpose.animate.animator, "portrait_pose", lambda *_: person(0.45, 0.3))
    monkeypatch.setattr(talkingpose.animate.portrait_check, "count_faces", lambda picture: 1)
    save(tmp_path / "p.npz", keypoints=np.stack([person(0.4 + k / 50) for k in range(3)]), fps=12.5)
    return tmp_path


class Lines(Progress):
    """Messages and events in order."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.events: list[str] = []

    def message(self, text: str) -> None:
        self.lines.append(text)

    def start(self, label: str, total: int | None, unit: str = "") -> None:
        self.events.append(f"{label} {total}")

    def advance(self, steps: int = 1) -> None:
        self.events.append("advance")


def animator(parity_folder: Path, progress: Progress = SILENT, **options: object) -> Animator:
    chosen = AnimateOptions(**{"feedback": FixedGain(), "steps": 1, "guidance": 1.0, **options})
    return Animator(str(parity_folder), chosen, device="cpu", progress=progress)


def job(place: Path, **changes: str) -> AnimateJob:
    names = {"reference": "a.png", "driving": "p.npz", "out": "f.mp4"} | changes
    return AnimateJob(**{key: place / name for key, name in names.items()})


def test_a_video_with_its_preview_and_messages(place: Path, parity_folder: Path) -> None:
    progress = Lines()
    made = job(place)
    animator(parity_folder, progress).make(made)
    info = VideoReader(made.out).info
    assert (info.width, info.height, info.fps, info.num_frames) == (96, 128, Fraction(25, 2), 3)
    assert Image.open(place / "f.preview.png").size == (3 * 96, 128)
    messages = "\n".join(progress.lines)
    assert "on cpu, float32; 1 steps, guidance 1, feedback proportional, gain 0.05" in messages
    assert "3 frames, 96x128, 12.5 frames/s, poses in the proportions of the portrait" in messages
    assert progress.events == ["frames 3", *["advance"] * 3]
    assert {p.name for p in place.iterdir()} == {"a.png", "p.npz", "f.mp4", "f.preview.png"}


def test_the_model_stays_in_one_thread_and_writing_out_of_it(
    place: Path, parity_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CUDA graphs are bound to the thread that recorded them: the one that loads the model."""
    at: dict[str, set[int]] = {"model": set(), "writing": set()}
    decode, write = TalkingPosePipeline.decode, VideoWriter.write

    def seen(where: str, call: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args: (at[where].add(threading.get_ident()), call(*args))[1]

    monkeypatch.setattr(TalkingPosePipeline, "decode", seen("model", decode))
    monkeypatch.setattr(VideoWriter, "write", seen("writing", write))
    animator(parity_folder).make(job(place))
    assert at["model"] == {threading.get_ident()}
    assert len(at["writing"]) == 1 and not at["writing"] & at["model"]


def test_progress_starts_with_the_first_frame(
    place: Path, parity_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time left does not count loading and compiling."""
    progress = Lines()
    decode = TalkingPosePipeline.decode
    at_decode: list[int] = []
    monkeypatch.setattr(
        TalkingPosePipeline, "decode", lambda *a: (at_decode.append(len(progress.events)), decode(*a))[1]
    )
    animator(parity_folder, progress).make(job(place))
    assert at_decode[:2] == [0, 2]


def test_a_preview_gets_a_second_row_when_the_person_has_moved(place: Path, parity_folder: Path) -> None:
    save(place / "p.npz", keypoints=np.stack([person()] * 4), fps=1.0)
    animator(parity_folder).make(job(place))
    assert Image.open(place / "f.preview.png").size == (3 * 96, 2 * 128)


def test_self_reenactment_leaves_the_poses_alone(
    place: Path, parity_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keypoints = np.stack([person(0.45, 0.3), person(0.5, 0.25)])
    save(place / "p.npz", keypoints=keypoints, width=96, height=128)
    drawn: list[np.ndarray] = []
    one = animator(parity_folder, progress := Lines())
    monkeypatch.setattr(
        InferenceSettings,
        "draw",
        lambda self, k, h, w: (drawn.append(k), np.zeros((h, w, 3), np.uint8))[1],
    )
    one.make(job(place))
    # Some are drawn twice, for the preview.
    np.testing.assert_array_equal(np.unique(np.stack(drawn), axis=0), np.unique(keypoints, axis=0))
    assert "the portrait is the first driving frame" in "\n".join(progress.lines)


def test_a_portrait_of_another_shape_needs_retargeting() -> None:
    driving = DrivingPoses(np.stack([person()] * 2), Fraction(25), 640, 480)
    for retarget in ("auto", "on"):
        fitted, how, own = _fit(driving, person(0.45, 0.3), 96, 128, retarget)
        assert (fitted.width, fitted.height) == (96, 128) and "proportions" in how and not own
    with pytest.raises(UserError, match="poses are not retargeted"):
        _fit(driving, person(0.45, 0.3), 96, 128, "off")
    with pytest.raises(UserError, match="no person found in the portrait"):
        _fit(driving, np.zeros((133, 3), np.float32), 640, 480, "on")


def test_missing_parts_are_reported_before_the_model_is_loaded(
    place: Path, parity_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faceless = person()
    faceless[23:91] = 0
    assert missing_parts(faceless)["face"] == 1
    monkeypatch.setattr(talkingpose.animate.animator, "portrait_pose", lambda *_: faceless)
    handless = person()
    handless[91:] = 0
    save(place / "p.npz", keypoints=np.stack([person()] * 3 + [handless]))
    progress = Lines()
    one = animator(parity_folder, progress, max_missing=24.0)

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(talkingpose.animate.animator, "load_pipeline", stop)
    with pytest.raises(KeyboardInterrupt):
        one.make(job(place))
    assert progress.lines == [
        f"warning: portrait {place / 'a.png'}: no face found",
        f"warning: driving {place / 'p.npz'}: no hands in 25 % of 4 frames",
    ]
    with pytest.raises(UserError, match=r"no face found; .*no hands in 25 %.*--strict"):
        animator(parity_folder, max_missing=24.0, strict=True).make(job(place))
    progress.lines.clear()
    with pytest.raises(KeyboardInterrupt):
        animator(parity_folder, progress, max_missing=25.0).make(job(place))
    assert len(progress.lines) == 1


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({"out": "f.gif"}, {}, "ends in .mp4"),
        ({"out": "nowhere/f.mp4"}, {}, "folder that exists"),
        ({"driving": "f.mp4"}, {}, "is an input"),
        ({}, {"audio": True}, "poses have no audio"),
        ({"driving": "silent.mp4"}, {"audio": True}, "has no audio"),
        ({"reference": "p.npz"}, {}, "not a readable picture"),
        ({"driving": "a.png"}, {}, "a.png"),
    ],
)
def test_an_impossible_job_is_refused_at_once(
    place: Path, parity_folder: Path, changes: dict[str, str], options: dict[str, object], message: str
) -> None:
    for name in ("silent.mp4", "f.mp4"):
        with VideoWriter(place / name, fps=Fraction(25)) as writer:
            writer.write(np.zeros((16, 16, 3), np.uint8))
    before = {path: path.read_bytes() for path in place.iterdir()}
    with pytest.raises((UserError, ValueError), match=message) as caught:
        animator(parity_folder, **options).check(job(place, **changes))
    assert "\n" not in str(caught.value)
    assert {path: path.read_bytes() for path in place.iterdir()} == before


class Stop(Lines):
    """Stops at a frame as Ctrl-C does, once a file is there."""

    def __init__(self, at: int, after: Path | None = None) -> None:
        super().__init__()
        self.left, self.after = at, after

    def advance(self, steps: int = 1) -> None:
        self.left -= 1
        if not self.left:
            for _ in range(6000):
                if self.after is None or self.after.exists():
                    break
                time.sleep(0.01)
            raise KeyboardInterrupt


@pytest.mark.parametrize("window", [1, 2])
def test_a_stopped_video_continues_and_equals_the_undisturbed_one(
    place: Path, parity_folder: Path, window: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(place / "p.npz", keypoints=np.stack([person(0.4 + k / 50) for k in range(5)]), fps=12.5)
    options = {"parallel_frames": window, "feedback": FixedGain(0.5)}
    animator(parity_folder, **options).make(job(place, out="whole.mp4"))
    before = {path.name for path in place.iterdir()}
    # Pieces after every frame, as a slow model has them.
    monkeypatch.setattr(talkingpose.animate.unfinished_film, "SAVE_EVERY_S", 0.0)
    state = place / ".f.mp4.unfinished" / "state.pt"
    for stop in (3, 4):
        with pytest.raises(KeyboardInterrupt):
            animator(parity_folder, Stop(stop, state), **options).make(job(place))
        assert {path.name for path in place.iterdir()} == before | {".f.mp4.unfinished"}
    frames = count_calls(monkeypatch, TalkingPosePipeline, "encode_pose")
    progress = Lines()
    animator(parity_folder, progress, **options).make(job(place))
    assert any(line.startswith("continuing at frame") for line in progress.lines)
    assert frames[0] < 5
    assert (place / "f.mp4").read_bytes() == (place / "whole.mp4").read_bytes()
    assert {path.name for path in place.iterdir()} == before | {"f.mp4", "f.preview.png"}


def test_drawn_poses_go_to_the_model_as_they_are(
    place: Path, parity_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = place / "poses"
    folder.mkdir()
    drawn = [draw_pose(person(0.4 + k / 50), 128, 128) for k in range(3)]
    for number, picture in enumerate(drawn):
        Image.fromarray(picture).save(folder / f"{number}.png")
    seen: list[np.ndarray] = []
    encode = TalkingPosePipeline.encode_pose
    monkeypatch.setattr(
        TalkingPosePipeline,
        "encode_pose",
        lambda self, pixels: (seen.extend(pixels.numpy()), encode(self, pixels))[1],
    )
    progress = Lines()
    animator(parity_folder, progress, fps=Fraction(5)).make(job(place, driving="poses"))
    assert np.array_equal(seen, drawn)
    info = VideoReader(place / "f.mp4").info
    assert (info.width, info.height, info.fps, info.num_frames) == (128, 128, Fraction(5), 3)
    assert "drawn poses as they are, bars around the portrait" in "\n".join(progress.lines)
    with pytest.raises(UserError, match="warp needs keypoints"):
        Animator("warp", AnimateOptions()).check(job(place, driving="poses"))


def test_a_size_gets_bars_and_a_preview_makes_no_video(place: Path, parity_folder: Path) -> None:
    options = {"size": (160, 128), "max_frames": 1, "keep_background": True}
    animator(parity_folder, **options).make(job(place))
    (frame,) = VideoReader(place / "f.mp4")
    assert frame.image.shape == (128, 160, 3)
    assert frame.image[:, :28].max() < 20 and frame.image[:, 40:120].max() > 60
    with pytest.raises(UserError, match="nearest is 96x80"):
        animator(parity_folder, size=(97, 81)).check(job(place))
    animator(parity_folder).preview(job(place, out="g.mp4"))
    assert Image.open(place / "g.preview.png").size == (3 * 96, 128)
    assert not (place / "g.mp4").exists() and not (place / ".g.mp4.unfinished").exists()


def test_other_settings_and_fresh_start_over(place: Path, parity_folder: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        animator(parity_folder, Stop(2)).make(job(place))
    # Written at the stop, if the writing thread came so far.
    (place / ".f.mp4.unfinished" / "state.pt").touch()
    progress = Lines()
    with pytest.raises(KeyboardInterrupt):
        animator(parity_folder, both := Stop(2), seed=1).make(job(place))
    assert any("other settings (seed)" in line for line in both.lines)
    one = Animator(
        str(parity_folder),
        AnimateOptions(feedback=FixedGain(), steps=1, guidance=1.0, seed=1),
        device="cpu",
        fresh=True,
        progress=progress,
    )
    one.make(job(place))
    assert not any("continuing" in line or "other settings" in line for line in progress.lines)


def test_two_processes_do_not_make_one_film(place: Path, parity_folder: Path) -> None:
    one = animator(parity_folder)
    with (
        one._unfinished(job(place), one._setup(job(place))),
        pytest.raises(UserError, match="another process"),
    ):
        animator(parity_folder).make(job(place))


def test_the_folder_of_the_next_process_is_left_alone(tmp_path: Path) -> None:
    first, second = (UnfinishedFilm(tmp_path / "f.mp4", poses={}, film={}) for _ in range(2))
    with first:
        first.film_path().write_bytes(b"film")
        first.finish(first.film_path())
        assert not first.folder.exists()
        second.__enter__()
        second.film_path().write_bytes(b"next")
    assert second.film_path().read_bytes() == b"next"
    with pytest.raises(UserError, match="another process"), first:
        pass
    second.__exit__(None, None, None)
    assert {path.name for path in tmp_path.iterdir()} == {"f.mp4"}


def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    unfinished = UnfinishedFilm(tmp_path / "f.mp4", poses={}, film={})
    with unfinished, monkeypatch.context() as patch:
        patch.setattr(np, "savez", full)
        with pytest.raises(UserError, match=r"f\.mp4: No space left.*free space"):
            unfinished.save_poses(DrivingPoses(np.stack([person()]), Fraction(25), 64, 64))
    assert not unfinished.folder.exists()
    monkeypatch.setattr(talkingpose.animate.unfinished_film, "write_text", full)
    with pytest.raises(UserError, match="No space left"):
        unfinished.__enter__()


def test_a_film_that_fails_after_its_last_frame_is_finished_by_the_next_run(
    place: Path, parity_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", refused(Path.replace, "film.mp4"))
        with pytest.raises(PermissionError):
            animator(parity_folder).make(job(place))
    frames = count_calls(monkeypatch, TalkingPosePipeline, "decode")
    animator(parity_folder, progress := Lines()).make(job(place))
    assert frames == [0] and any("continuing at frame 3" in line for line in progress.lines)
    assert VideoReader(place / "f.mp4").info.num_frames == 3
    assert not (place / ".f.mp4.unfinished").exists()


def refused(replace: Callable[..., Path], name: str) -> Callable[..., Path]:
    """Refuse to rename the files of a name."""

    def checked(self: Path, target: Path) -> Path:
        if self.name == name:
            raise PermissionError(errno.EACCES, "Permission denied", str(target))
        return replace(self, target)

    return checked


def count_calls(monkeypatch: pytest.MonkeyPatch, owner: type, name: str) -> list[int]:
    calls, method = [0], getattr(owner, name)

    def counted(*args: object, **named: object) -> object:
        calls[0] += 1
        return method(*args, **named)

    monkeypatch.setattr(owner, name, counted)
    return calls


def test_a_list_of_videos(place: Path, parity_folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
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
    assert captured.out.split() == [str(place / "g.mp4")] and "1 of 2 videos exist already" in captured.err
    assert (place / "g.mp4").read_bytes() == one

    # The check of the whole list comes first, so nothing is made.
    (place / "g.mp4").unlink()
    (place / "list.csv").write_text("\n".join([*rows, "a.png,nobody.npz,h.mp4"]))
    with pytest.raises(UserError, match="no person found"):
        run(options)
    assert not (place / "g.mp4").exists()


def test_a_failed_video_does_not_stop_the_others(
    place: Path, parity_folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "list.csv").write_text("reference,driving,out\na.png,p.npz,f.mp4\na.png,p.npz,g.mp4\n")
    fit = talkingpose.animate.animator._fit
    calls = []

    def first_fails(*arguments: object) -> object:
        calls.append(arguments)
        if len(calls) == 1:
            raise UserError("out of luck")
        return fit(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(talkingpose.animate.animator, "_fit", first_fails)
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
    assert "failed: out of luck" in captured.err and "1 of 2 videos failed" in captured.err


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
        (["--batch", "list.csv"], "leave them out"),
        (["--cpu-offload", "--device", "cpu"], "leave it out"),
        (["--seed", "99999999999999999999"], "at most 18 digits"),
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
