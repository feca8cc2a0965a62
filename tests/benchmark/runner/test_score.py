"""Finished videos: matched by clip id, refused where they are not what the clip asks for, never changed."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from benchmark.analysis.lag import LagDetector
from benchmark.errors import EvaluationError
from benchmark.results import Run, read_case
from benchmark.runner.predictions.folder import PredictionError, match
from talkingpose.media import VideoReader
from tests.benchmark.tiny_runs import CLIPS, IDS, frames, run, score, write_pngs, write_video

pytestmark = pytest.mark.usefixtures("tiny_rules")

A = CLIPS[0]


def reasons(found: Run) -> dict[str | None, str]:
    return {entry.clip_id: entry.message for entry in found.audit if entry.kind == "failed"}


def audit(found: Run, kind: str) -> list[str]:
    return [entry.message for entry in found.audit if entry.kind == kind]


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """A good prediction for each clip."""
    for clip in CLIPS:
        write_video(tmp_path / f"made/{clip.clip_id}.mp4", frames(clip, 5))
    return tmp_path / "made"


def test_decoded_frames_are_scored(videos: Path, tiny: Path, tmp_path: Path) -> None:
    found = score(videos, tiny, tmp_path / "run")
    assert (found.status, found.contestant.origin, found.contestant.name) == (
        "complete",
        "predictions",
        "mine",
    )
    assert not found.contestant.saw_driving_frames and found.cost is not None
    assert (found.cost.seconds_per_frame, found.cost.generation_s) == (None, 0)
    case = read_case(tmp_path / "run/cases/tiny-a.json")
    assert case.cost is not None and case.cost.seconds_per_frame is None
    assert case.cost.scoring_s_per_frame == case.scoring_s / case.num_frames
    assert 0 < case.cost.peak_rss_mb <= found.cost.peak_rss_mb and case.cost.peak_device_mb is None
    with VideoReader(videos / "tiny-a.mp4") as made:
        import hashlib

        digest = hashlib.sha256()
        for frame in made:
            digest.update(np.ascontiguousarray(frame.image).data)
    assert case.frames_sha256 == digest.hexdigest()
    assert [e.kind for e in case.audit] == ["prediction"] and "tiny-a.mp4, sha256 " in case.audit[0].message


def test_png_frames_score_as_the_frames_that_a_model_yields(tiny: Path, tmp_path: Path) -> None:
    """The same pixels have the same numbers, generated or as finished frames."""
    for clip in CLIPS:
        with VideoReader(tiny_video(tiny, clip.clip_id)) as real:
            write_pngs(tmp_path / "made" / clip.clip_id, [frame.image for frame in real])
    found = score(tmp_path / "made", tiny, tmp_path / "scored")
    generated = run("ground-truth", tiny, tmp_path / "generated")
    assert found.metrics == generated.metrics and found.drift == generated.drift
    for clip_id in IDS:
        one, other = (
            read_case(tmp_path / f"{name}/cases/{clip_id}.json") for name in ("scored", "generated")
        )
        assert (one.frames_sha256, one.metrics) == (other.frames_sha256, other.metrics)
    assert len(audit(found, "rate")) == 3


def tiny_video(dataset: Path, clip_id: str) -> bytes:
    from talkingpose.data.clips import ClipDataset

    opened = ClipDataset(str(dataset))
    return opened.video(next(clip for clip in opened.clips("test") if clip.clip_id == clip_id))


def test_names_decide_not_order(videos: Path, tiny: Path, tmp_path: Path) -> None:
    before = score(videos, tiny, tmp_path / "before")
    (videos / "0-first-of-all.mp4").write_bytes((videos / "tiny-c.mp4").read_bytes())
    (videos / "tiny-b.mp4").rename(videos / "tiny-b.MOV")
    found = score(videos, tiny, tmp_path / "run")
    assert found.metrics == before.metrics
    assert audit(found, "foreign") == ["no clip of this run: 0-first-of-all.mp4"]


def test_a_missing_video_makes_the_run_partial(videos: Path, tiny: Path, tmp_path: Path) -> None:
    (videos / "tiny-b.mp4").unlink()
    found = score(videos, tiny, tmp_path / "run")
    assert found.status == "partial" and list(reasons(found)) == ["tiny-b"]
    assert "no prediction" in reasons(found)["tiny-b"]
    assert all(m.state == "partial" and m.coverage == pytest.approx(2 / 3) for m in found.metrics.values())
    write_video(videos / "tiny-b.mp4", frames(CLIPS[1], 5))
    stamps = {p: p.stat().st_mtime_ns for p in (tmp_path / "run/cases").iterdir()}
    again = score(videos, tiny, tmp_path / "run")
    assert again.status == "complete" and stamps.items() <= {
        p: p.stat().st_mtime_ns for p in (tmp_path / "run/cases").iterdir()
    }.items()  # fmt: skip


def test_a_replaced_video_is_scored_again(videos: Path, tiny: Path, tmp_path: Path) -> None:
    before = score(videos, tiny, tmp_path / "run")
    write_video(videos / "tiny-b.mp4", frames(CLIPS[1], 40))
    after = score(videos, tiny, tmp_path / "run")
    assert after.metrics["psnr"].value < before.metrics["psnr"].value
    assert after.contestant.revision != before.contestant.revision
    with pytest.raises(EvaluationError, match="holds another run"):
        run("frozen", tiny, tmp_path / "run")


def change_fps(folder: Path) -> None:
    write_video(folder / "tiny-a.mp4", frames(A), fps=Fraction(30))


def sixteen_bits(folder: Path) -> None:
    """A PNG whose header says 16 bits, as a model that keeps its precision writes it."""
    (folder / "tiny-a.mp4").unlink()
    write_pngs(folder / "tiny-a", frames(A))
    path = folder / "tiny-a/0003.png"
    data = path.read_bytes()
    path.write_bytes(data[:24] + struct.pack(">B", 16) + data[25:])


def as_pngs(name: str, images: Callable[[], list[np.ndarray]]) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / "tiny-a.mp4").unlink()
        write_pngs(folder / "tiny-a", images(), name)

    return change


def instead(name: str, data: bytes) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / "tiny-a.mp4").unlink()
        (folder / name).write_bytes(data)

    return change


def a_gap(folder: Path) -> None:
    as_pngs("{:04}.png", lambda: frames(A))(folder)
    (folder / "tiny-a/0005.png").unlink()


def a_pipe(folder: Path) -> None:
    (folder / "tiny-a.mp4").unlink()
    os.mkfifo(folder / "tiny-a.mp4")


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "too short": (lambda f: write_video(f / "tiny-a.mp4", frames(A)[:-1]), "11 frames, the clip has 12"),
    "too long": (lambda f: write_video(f / "tiny-a.mp4", [*frames(A), frames(A)[0]]), "more than the 12"),
    "other size": (
        lambda f: write_video(f / "tiny-a.mp4", [image[:40] for image in frames(A)]), "48x40, the protocol",
    ),
    "other rate": (change_fps, "30 frames per second, the clip has 25"),
    "cut off": (lambda f: cut(f / "tiny-a.mp4"), "tiny-a.mp4: "),
    "empty": (instead("tiny-a.mp4", b""), "empty"),
    "no video": (instead("tiny-a.mp4", b"hello" * 99), "not a readable video"),
    "an array": (instead("tiny-a.npy", b"\x93NUMPY"), "tiny-a.npy: not a finished video"),
    "a pipe": (a_pipe, "not a regular file"),
    "16 bits": (sixteen_bits, "tiny-a/0003.png: not 8-bit RGB"),
    "a gap": (a_gap, "no frame between 4 and 6"),
    "frames of no number": (as_pngs("frame.png", lambda: frames(A)[:1]), "frame.png: not a numbered PNG"),
    "counted from 7": (as_pngs("7{:02}.png", lambda: frames(A)), "numbered from 700"),
    "grey": (as_pngs("{}.png", lambda: [image[..., 0] for image in frames(A)]), "not 8-bit RGB"),
    "small frames": (as_pngs("{}.png", lambda: [image[:40] for image in frames(A)]), "48x40, the protocol"),
    "no frame": (as_pngs("{}.png", list), "0 frames, the clip has 12"),
}  # fmt: skip


def cut(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_not_the_clip_is_refused_by_name(videos: Path, tiny: Path, tmp_path: Path, what: str) -> None:
    change, says = REFUSED[what]
    change(videos)
    found = score(videos, tiny, tmp_path / "run")
    assert found.status == "partial" and list(reasons(found)) == ["tiny-a"], reasons(found)
    assert says in reasons(found)["tiny-a"] and "\n" not in reasons(found)["tiny-a"]
    assert not (tmp_path / "run/cases/tiny-a.json").exists()
    assert all(summary.n_cases == 2 for summary in found.metrics.values())


def test_two_videos_for_one_clip_are_refused(videos: Path, tiny: Path, tmp_path: Path) -> None:
    (videos / "tiny-a.mkv").write_bytes((videos / "tiny-a.mp4").read_bytes())
    with pytest.raises(PredictionError, match=r"two for clip tiny-a: tiny-a.mkv and tiny-a.mp4: keep one"):
        score(videos, tiny, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_folder_without_any_of_the_clips_is_refused(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    (tmp_path / "made/video.mp4").write_bytes(b"x")
    with pytest.raises(PredictionError, match=r"such as tiny-a.mp4"):
        score(tmp_path / "made", tiny, tmp_path / "run")
    with pytest.raises(PredictionError, match="cannot be read"):
        score(tmp_path / "nowhere", tiny, tmp_path / "run")


def test_a_limit_leaves_the_rest_of_a_video_alone(videos: Path, tiny: Path, tmp_path: Path) -> None:
    write_video(videos / "tiny-b.mp4", frames(CLIPS[1])[:10])
    found = score(videos, tiny, tmp_path / "run", max_frames=10)
    assert found.status == "complete" and not found.comparable
    assert audit(found, "max-frames") == ["at most 10 frames of each clip"]


def test_hostile_names_are_shown_escaped(videos: Path) -> None:
    (videos / "a\nb\x1b[31m.mp4").write_bytes(b"")
    Path(os.fsdecode(os.fsencode(videos) + b"/\xff.mp4")).write_bytes(b"")
    found = match(videos, IDS)
    assert found.foreign == ("a\\nb\\x1b[31m.mp4", "\\udcff.mp4") and not found.missing


def test_a_rate_that_is_a_rounding_apart_is_recorded(videos: Path, tiny: Path, tmp_path: Path) -> None:
    write_video(videos / "tiny-a.mp4", frames(A, 5), fps=Fraction(24975, 1000))
    found = score(videos, tiny, tmp_path / "run")
    assert found.status == "complete"
    assert audit(found, "rate") == [
        "24.9750 frames per second, the clip has 25: less than half a frame apart at the end"
    ]


@pytest.mark.parametrize("lag", [-2, 1, 3])
def test_a_constant_lag_is_a_warning(videos: Path, tiny: Path, tmp_path: Path, lag: int) -> None:
    real = frames(A)
    late = [real[min(max(t - lag, 0), len(real) - 1)] for t in range(len(real))]
    write_video(videos / "tiny-a.mp4", late)
    found = score(videos, tiny, tmp_path / "run")
    (message,) = audit(found, "lag")
    assert message.startswith(f"warning: the motion is {abs(lag)} frames {'late' if lag > 0 else 'early'}")


def test_noise_and_stillness_are_no_lag() -> None:
    generator = np.random.default_rng(0)
    real = [generator.integers(0, 256, (48, 48, 3)).astype(np.uint8) for _ in range(40)]
    for made in (real, real[:1] * 40, [255 - image for image in real]):
        detector = LagDetector()
        for pair in zip(real, made, strict=True):
            detector.update(*pair)
        assert detector.lag() is None
