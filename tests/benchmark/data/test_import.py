"""Import of made-up data in the layouts in which people keep TikTok, TED-talks and EMTD."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pil

from benchmark.cli import app
from benchmark.data.import_clips import Imported, import_clips, layout_of
from benchmark.data.layouts.contract import LayoutError
from benchmark.data.layouts.emtd import half_body, seconds
from benchmark.errors import EvaluationError
from benchmark.protocols.protocol import load_protocol
from benchmark.runner.plan import plan_run
from talkingpose.data.clips import ClipDataset, load_clips
from talkingpose.io.errors import UserError
from talkingpose.media import VideoWriter
from tests.benchmark.drawn_clips import Drawn, picture, skeleton
from tests.benchmark.tiny_runs import run, write_pngs

WIDE = Drawn("wide", "wide", Fraction(30), 17, (120, 80))
SQUARE = Drawn("square", "square", Fraction(25), 16, (64, 64))


def frames(clip: Drawn) -> list[np.ndarray]:
    return [picture(clip, t) for t in range(clip.num_frames)]


def write_mp4(path: Path, clip: Drawn, fps: int = 25, number: int | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(path, fps=Fraction(fps), crf=12, preset="veryfast") as writer:
        for t in range(clip.num_frames if number is None else number):
            writer.write(picture(clip, t))
    return path


class Detector:
    """Estimator that knows the drawn keypoints; a face stands at the head."""

    name, version = "drawn", "1"

    def __init__(self) -> None:
        self.t = 0

    def __call__(self, image: np.ndarray) -> np.ndarray:
        points = skeleton(WIDE)[self.t % WIDE.num_frames].astype(np.float32)
        points[23:91] = points[0]
        self.t += 1
        return points

    def close(self) -> None:
        pass


def imported(layout: str, source: Path, out: Path, **options: Any) -> Imported:
    return import_clips(layout_of(layout), source, out, new_estimator=Detector, **options)


@pytest.fixture(scope="module")
def tiktok(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data") / "TikTok_dataset"
    for name in ("00001", "00002"):
        write_pngs(root / name / "images", frames(WIDE))
        write_pngs(root / name / "masks", frames(WIDE))
    (root / "notes").mkdir()
    return root


@pytest.fixture(scope="module")
def tiktok_set(tiktok: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "set"
    # The parent of the folder works as well.
    assert imported("tiktok", tiktok.parent, out).clip_ids == ("00001", "00002")
    return out


def test_tiktok_frames_are_the_central_square_at_256(tiktok_set: Path) -> None:
    clip = load_clips(tiktok_set, split="test")[0]
    assert (clip.size, clip.fps, clip.num_frames, clip.source_id) == ((256, 256), 30, 17, "00001")
    square = Pil.fromarray(picture(WIDE, 3)[:, 20:100]).resize((256, 256), Pil.Resampling.BILINEAR)
    assert np.array_equal(list(clip.frames())[3], np.array(square))
    # Keypoints move with the square; those outside are absent.
    drawn = skeleton(WIDE)[0]
    assert clip.keypoints[0, 5] == pytest.approx([(0.7 * 120 - 20) / 80, 0.5, 0.9], abs=2e-3)
    assert drawn[10, 0] * 120 < 100 and (clip.keypoints[..., :2] <= 1).all()


def test_a_run_of_the_replay(tiktok_set: Path, tmp_path: Path) -> None:
    found = run("frozen", tiktok_set, tmp_path / "run", protocol="disco-tiktok@1", limit=1)
    assert found.status == "complete" and found.protocol.id == "disco-tiktok"
    values = {name: summary.value for name, summary in found.metrics.items()}
    assert values["psnr_disco.overflow"] != pytest.approx(values["psnr_disco.exact"], abs=1)
    # The identical first frame counts as 100 dB in the published mean, and is left out of psnr.
    summary = found.metrics["psnr_disco.exact"]
    assert summary.value == pytest.approx((100 + 16 * values["psnr"]) / 17)
    assert summary.frame_weighted == pytest.approx(summary.value)


def test_ted_talks_as_videos_pictures_and_strips(tmp_path: Path) -> None:
    root = tmp_path / "TED384-v2"
    write_mp4(root / "test" / "abc#id1#0#16.mp4", SQUARE, number=4)
    write_pngs(root / "test" / "abc#id1#16#32", frames(SQUARE)[:3])
    Pil.fromarray(np.concatenate(frames(SQUARE)[:5], axis=1)).save(root / "test" / "def#id1#0#5.png")
    write_mp4(root / "train" / "other.mp4", SQUARE, number=2)
    with pytest.raises(LayoutError, match="--fps"):
        imported("ted", root, tmp_path / "set")
    imported("ted", root, tmp_path / "set", fps=Fraction(25))
    clips = {clip.clip_id: clip for clip in load_clips(tmp_path / "set")}
    assert {name: clip.num_frames for name, clip in clips.items()} == {
        "abc_id1_0_16": 4,
        "abc_id1_16_32": 3,
        "def_id1_0_5": 5,
    }
    assert {clip.size for clip in clips.values()} == {(384, 384)}
    assert [clip.source_id for clip in clips.values()] == ["abc", "abc", "def"]
    plan = plan_run(
        ClipDataset(str(tmp_path / "set")),
        load_protocol("ted-mraa@1"),
        split=None,
        limit=None,
        max_frames=None,
        seed=0,
    )
    assert len(plan.cases) == 3


EMTD_LIST = "URL,start_timecode,end_timecode\n{}\n"


def test_emtd_spans_at_24_frames_a_second(tmp_path: Path) -> None:
    write_mp4(tmp_path / "ori_video_dir" / "-abcdefghij.mp4", WIDE, fps=12, number=15)
    lines = [
        "https://www.youtube.com/watch?v=-abcdefghij,00:00:00.5,00:00:01",
        "https://www.youtube.com/watch?v=-abcdefghij&t=3,1,9",
        "https://youtu.be/missing1234,0:00,0:02",
    ]
    (tmp_path / "benchmark.txt").write_text(EMTD_LIST.format("\n".join(lines)))
    found = imported("emtd", tmp_path, tmp_path / "set")
    assert list(found.failed) == ["missing1234_0:00_0:02"]
    first, last = load_clips(tmp_path / "set")
    assert (first.num_frames, last.num_frames, first.fps, first.size) == (12, 6, 24, (768, 768))
    images = list(first.frames())
    assert np.array_equal(images[0], images[1]) and not np.array_equal(images[1], images[2])


def test_the_square_of_the_upper_body() -> None:
    points = np.zeros((1, 133, 3))
    points[0, [5, 6], :] = (0.6, 0.5, 0.9), (0.4, 0.5, 0.9)
    points[0, [9, 10], :] = (0.6, 0.8, 0.9), (0.4, 0.7, 0.9)
    points[0, 23:91] = (0.5, 0.2, 0.9)
    place = half_body(points, 1000, 1000)
    # Face top 0.2, right wrist 0.7 (the left one does not count), a quarter of it times 0.65 above and 0.5
    # below.
    assert (place.top, place.side, place.left) == (118, 645, 500 - 322)
    assert half_body(points, 768, 768).side == 768
    with pytest.raises(LayoutError, match="shoulders"):
        half_body(np.zeros((1, 133, 3)), 1000, 1000)


@pytest.mark.parametrize(("text", "value"), [("01:02:03.5", 3723.5), ("1:30", 90), ("2", 2)])
def test_timecodes(text: str, value: float) -> None:
    assert seconds(text) == value


def no_pictures(root: Path) -> None:
    (root / "00001" / "images").mkdir(parents=True)


def gap(root: Path) -> None:
    write_pngs(root / "00001" / "images", frames(SQUARE)[:3])
    (root / "00001" / "images" / "0001.png").unlink()


def two_sizes(root: Path) -> None:
    write_pngs(root / "00001" / "images", [frames(SQUARE)[0], frames(WIDE)[0]])


def wide_video(root: Path) -> None:
    write_mp4(root / "a.mp4", WIDE, number=2)


def other_list(root: Path) -> None:
    (root / "notes.txt").write_text("name,length\na,3\n")


def backwards(root: Path) -> None:
    (root / "list.csv").write_text(EMTD_LIST.format("https://www.youtube.com/watch?v=abcd,5,4"))


def no_video(root: Path) -> None:
    (root / "list.csv").write_text(EMTD_LIST.format("https://www.youtube.com/watch?v=abcd,4,5"))


@pytest.mark.parametrize(
    ("layout", "make", "what"),
    [
        ("tiktok", no_pictures, "images/0001.png"),
        ("tiktok", gap, r"0002\.png: number 2 follows 0"),
        ("tiktok", two_sizes, "64x64"),
        ("ted", lambda root: None, "no clips"),
        ("ted", wide_video, "120x80 pixels"),
        ("emtd", lambda root: None, "start_timecode"),
        ("emtd", other_list, "no columns URL"),
        ("emtd", backwards, "line 2: the end"),
        ("emtd", no_video, "none of the 1 spans"),
    ],
)
def test_another_layout_is_one_line(
    layout: str, make: Callable[[Path], None], what: str, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    make(tmp_path / "data")
    with pytest.raises(LayoutError, match=what) as caught:
        imported(layout, tmp_path / "data", tmp_path / "set")
    assert "\n" not in str(caught.value) and not (tmp_path / "set" / "README.md").exists()


def test_a_damaged_video_fails_alone(tmp_path: Path) -> None:
    data = tmp_path / "data"
    write_mp4(data / "a.mp4", SQUARE, number=2)
    whole = write_mp4(data / "half.mp4", SQUARE).read_bytes()
    (data / "half.mp4").write_bytes(whole[: len(whole) * 3 // 4])
    (data / "junk.mp4").write_bytes(b"junk")
    (data / "._a.png").write_bytes(b"resource fork")
    found = imported("ted", data, tmp_path / "set")
    assert found.clip_ids == ("a",) and list(found.failed) == ["half", "junk"]
    assert "frames lost" in found.failed["half"]
    with pytest.raises(LayoutError, match="frames lost"):
        imported("emtd", data, tmp_path / "emtd", only=["half"])


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ("x" * 200_000 + ",0,1", "no table"),
        ("abcd," + "9" * 30 + ",0", "line 2"),
        ("abcd,0," + "9" * 30, "line 2"),
    ],
)
def test_hostile_lists_are_one_line(row: str, what: str, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text(EMTD_LIST.format(row))
    with pytest.raises(LayoutError, match=what):
        imported("emtd", tmp_path, tmp_path / "set")


def test_notes_beside_the_list(tmp_path: Path) -> None:
    (tmp_path / "README.txt").write_text("Read me.\n")
    (tmp_path / "list.csv").write_text(EMTD_LIST.format("abcd,0,1"))
    with pytest.raises(LayoutError, match=r"list\.csv.*none of the 1 spans"):
        imported("emtd", tmp_path, tmp_path / "set")


def test_file_names_of_any_bytes(tmp_path: Path) -> None:
    for name in (b"\xff\xfe", "\u5b57".encode() * 70):
        write_pngs(tmp_path / "data" / os.fsdecode(name) / "images", frames(SQUARE)[:2])
    assert len(imported("tiktok", tmp_path / "data", tmp_path / "set").clip_ids) == 2
    assert len(load_clips(tmp_path / "set")) == 2


def test_wrong_names_and_folders(tiktok: Path, tmp_path: Path) -> None:
    with pytest.raises(LayoutError, match="choose one of tiktok, ted, emtd"):
        layout_of("taichi")
    with pytest.raises(LayoutError, match="no such folder"):
        imported("ted", tmp_path / "nowhere", tmp_path / "set")
    with pytest.raises(LayoutError, match="--only 00335"):
        imported("tiktok", tiktok, tmp_path / "set", only=["00335"])
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match="--out"):
        imported("tiktok", tiktok, tmp_path)


def test_an_interrupted_import_resumes(tiktok: Path, tmp_path: Path) -> None:
    made = []

    def stop() -> Detector:
        made.append(1)
        if len(made) == 2:
            raise KeyboardInterrupt
        return Detector()

    out = tmp_path / "set"
    with pytest.raises(KeyboardInterrupt):
        import_clips(layout_of("tiktok"), tiktok, out, new_estimator=stop)
    assert not (out / "README.md").exists()
    with pytest.raises(UserError, match="another import"):  # the finished clip has the first rate
        imported("tiktok", tiktok, out, fps=Fraction(25))
    import_clips(layout_of("tiktok"), tiktok, out, new_estimator=stop)
    assert len(made) == 3 and len(load_clips(out)) == 2
    assert sorted(path.name for path in out.iterdir()) == ["README.md", "clips"]


def test_a_clip_of_another_size_is_not_admitted(tiktok_set: Path) -> None:
    with pytest.raises(EvaluationError, match=r"256x256.*tp-eval import"):
        plan_run(
            ClipDataset("tp-mini", None),
            load_protocol("disco-tiktok@1"),
            split="test",
            limit=None,
            max_frames=None,
            seed=0,
        )


def test_the_command(
    tiktok: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmark.data.import_clips._refined_estimator", Detector)
    words = ["tp-eval", "import", "tiktok", str(tiktok), "--out", str(tmp_path / "set"), "--only", "00002"]
    monkeypatch.setattr(sys, "argv", [*words, "--json"])
    with pytest.raises(SystemExit) as ended:
        app.main()
    assert ended.value.code == 0
    found = json.loads(capsys.readouterr().out)
    assert found == {"clips": ["00002"], "failed": {}, "protocol": "disco-tiktok@1"}
