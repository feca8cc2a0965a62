from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from talkingpose.animate.driving_poses import estimate_driving
from talkingpose.animate.driving_source import WHOLE, DrivingError, FolderSource, Span, is_drawn, open_source
from talkingpose.animate.pose_choice import choose_pose
from talkingpose.io.errors import UserError
from talkingpose.media import VideoReader, VideoWriter
from talkingpose.pose import draw_pose
from tests.talkingpose.animate.test_animator import Lines
from tests.talkingpose.animate.test_driving_poses import person


def film(path: Path, frames: list[np.ndarray]) -> Path:
    with VideoWriter(path, fps=Fraction(10)) as writer:
        for frame in frames:
            writer.write(frame)
    return path


def levels(number: int) -> np.ndarray:
    return np.full((16, 16, 3), 20 * number, np.uint8)


def test_pictures_of_a_folder_are_ordered_by_number(tmp_path: Path) -> None:
    for number in (10, 2, 1):
        Image.fromarray(levels(number)).save(tmp_path / f"pose {number}.png")
    (tmp_path / "notes.txt").touch()
    (tmp_path / ".hidden.png").touch()
    source = FolderSource(tmp_path, Fraction(5))
    frames = list(source.frames(WHOLE))
    assert [int(image[0, 0, 0]) for _, image in frames] == [20, 40, 200]
    assert [float(time) for time, _ in frames] == [0, 0.2, 0.4]
    assert [int(i[0, 0, 0]) for _, i in source.frames(Span(start=0.2, duration=0.2))] == [40]
    Image.fromarray(levels(1)[:8]).save(tmp_path / "pose 11.png")
    with pytest.raises(DrivingError, match=r"pose 11.png: 16x8"):
        list(FolderSource(tmp_path).frames(WHOLE))


def test_an_empty_folder_and_a_rate_for_a_video_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DrivingError, match="no picture"):
        open_source(tmp_path)
    with pytest.raises(DrivingError, match="its own rate"):
        open_source(film(tmp_path / "v.mp4", [levels(1)]), Fraction(25))


def test_a_part_of_a_video(tmp_path: Path) -> None:
    source = open_source(film(tmp_path / "v.mp4", [levels(k) for k in range(10)]))
    for span, expected in (
        (Span(start=0.3), range(3, 10)),
        (Span(start=0.3, duration=0.2), range(3, 5)),
        (Span(max_frames=2), range(2)),
    ):
        found = [round(float(image.mean()) / 20) for _, image in source.frames(span)]
        assert found == list(expected) and source.count(span) == len(found)


def test_drawn_poses_are_told_from_films(tmp_path: Path) -> None:
    pose = draw_pose(person(), 256, 256)
    assert is_drawn(open_source(film(tmp_path / "drawn.mp4", [pose] * 2)))
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    black = np.zeros((64, 64, 3), np.uint8)
    for number, frame in enumerate((noise, black)):
        assert not is_drawn(open_source(film(tmp_path / f"{number}.mp4", [frame])))
    # A title on black: white and vivid, but more of it than a figure.
    black[:24] = (255, 255, 0)
    with pytest.raises(DrivingError, match="--driving-kind"):
        is_drawn(open_source(film(tmp_path / "title.mp4", [black])))


def test_real_films_are_told_apart(footage: Path) -> None:
    assert is_drawn(open_source(footage / "pose_renders" / "stage_talk_1.mp4"))
    assert not is_drawn(open_source(footage / "upper_body_hands" / "stage_talk_2.mp4"))
    assert not is_drawn(open_source(footage / "degraded" / "sign_dark.mp4"))


class Uneven:
    """Ten frames in 0.9 s; the fifth stays for six."""

    name, fps, width, height, has_audio = "uneven", Fraction(10), 8, 8, False

    def count(self, span: Span) -> int | None:
        return None

    def frames(self, span: Span) -> Iterator[tuple[Fraction, np.ndarray]]:
        for tick in (0, 1, 2, 3, 4, 10, 11, 12, 13, 14):
            yield Fraction(tick, 10), np.full((8, 8, 3), tick, np.uint8)

    def samples(self) -> list[np.ndarray]:
        return []


def test_a_variable_rate_keeps_its_timing_and_is_said() -> None:
    progress = Lines()

    def estimate(image: np.ndarray) -> np.ndarray:
        return person(image[0, 0, 0] / 100)

    driving = estimate_driving(Uneven(), WHOLE, estimate, progress)  # type: ignore[arg-type]
    ticks = (driving.keypoints[:, 0, 0] * 100).round().astype(int).tolist()
    assert ticks == [0, 1, 2, 3, 4, 4, 4, 4, 4, 4, 10, 11, 12, 13, 14]
    assert any("variable frame rate" in line for line in progress.lines)


def test_the_published_weights_get_dwpose_or_a_warning(
    tmp_path: Path, parity_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TALKINGPOSE_WEIGHTS", str(tmp_path))
    assert choose_pose("auto", "tiny").line is None
    for model in ("hub", str(parity_folder)):
        choice = choose_pose("auto", model)
        assert choice.name == "mediapipe" and choice.line is not None and "dwpose" in choice.line
        with pytest.raises(UserError, match="tp-eval weights fetch"):
            choose_pose("dwpose", model)
    monkeypatch.setattr("talkingpose.animate.pose_choice._require_dwpose", lambda: None)
    assert choose_pose("auto", "hub").name == "dwpose" and choose_pose("auto", "warp").name == "mediapipe"
    assert choose_pose("dwpose", "warp").name == "dwpose"


def test_frames_of_a_video_are_those_of_the_reader(tmp_path: Path) -> None:
    path = film(tmp_path / "v.mp4", [levels(k) for k in range(4)])
    expected = [frame.image for frame in VideoReader(path)]
    found = [image for _, image in open_source(path).frames(WHOLE)]
    assert np.array_equal(expected, found)
