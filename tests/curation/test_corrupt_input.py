"""Damaged, unusual and hostile files: none stops a run; each is processed or gives one clear error."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from fake_detectors import FAKE, NOBODY, SPEAKER
from in_process import IN_PROCESS
from shot_videos import frames, write_shots

from curation import curate
from curation.run import RunOptions
from talkingpose.data.clips import ClipDataset
from talkingpose.media import VideoReader

PLACES = 5
OPTIONS = RunOptions(detectors=FAKE, executor=IN_PROCESS)
NAMES = ("with spaces .mp4", "quotes'\".mp4", "new\nline.mp4", "-rf.mp4", "ünï$(touch x)`;.mp4")


def encode(
    path: Path, pictures, *, codec="libx264", pixel_format="yuv420p", pts=None, rotation=None, rate=25, g=250
):
    """Encode with PyAV; `pts` in hundredths of a second."""
    pictures = list(pictures)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options={"preset": "ultrafast", "g": str(g)})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = pixel_format
        stream.codec_context.time_base = Fraction(1, 100)
        if rotation:
            stream.set_display_rotation(rotation)
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pixel_format)
            frame.pts = pts[number] if pts else number * 100 // rate
            frame.time_base = Fraction(1, 100)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def audio_only(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        for start in range(0, 44100, 1024):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 44100, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[Path, object, Path]:
    folder = tmp_path_factory.mktemp("made") / "footage"
    good = write_shots(folder / "good.mp4", [(SPEAKER, 100)], seed=1)
    data = good.read_bytes()
    streamed = tmp_path_factory.mktemp("streamed") / "a.ts"
    encode(streamed, frames(SPEAKER, 100, 5))
    whole = streamed.read_bytes()
    (folder / "empty.mp4").write_bytes(b"")
    for place in range(1, PLACES + 1):
        (folder / f"cut{place}.mp4").write_bytes(data[: len(data) * place // (PLACES + 1)])
        (folder / f"cut{place}.ts").write_bytes(whole[: len(whole) * place // (PLACES + 1)])
    (folder / "text.mp4").write_text("this is no video\n" * 100)
    audio_only(folder / "audio.mp4")
    encode(
        folder / "pixel.mkv", [np.full((1, 1, 3), SPEAKER, np.uint8)] * 100, codec="ffv1", pixel_format="bgr0"
    )
    huge = np.zeros((4320, 7680, 3), np.uint8)
    encode(folder / "8k.mkv", [huge], codec="mjpeg", pixel_format="yuvj420p")
    write_shots(folder / "one.mp4", [(SPEAKER, 1)], seed=3)
    steps = np.cumsum([2 + i % 7 for i in range(100)]).tolist()
    encode(folder / "variable.mp4", frames(SPEAKER, 100, 4), pts=steps)
    encode(folder / "rotated.mp4", frames(SPEAKER, 100, 6), rotation=90)
    lying = bytearray(data)
    for box, place in ((b"mvhd", 20), (b"tkhd", 24), (b"mdhd", 20)):
        at = lying.index(box) + place
        lying[at : at + 4] = (2**31 - 1).to_bytes(4, "big")
    (folder / "lying.mp4").write_bytes(lying)
    for number, name in enumerate(NAMES):
        write_shots(folder / "n.mp4", [(SPEAKER, 80 + number)], seed=20 + number).rename(folder / name)
    out = tmp_path_factory.mktemp("out") / "data"
    write_shots(folder.parent / "beside" / "up.mp4", [(SPEAKER, 90)], seed=40)
    outside = folder / ".." / "beside" / "up.mp4"
    summary = curate([folder, outside], out, options=OPTIONS)
    return out, summary, folder


def verdicts(out: Path) -> dict[str, list[dict]]:
    found: dict[str, list[dict]] = {}
    for line in (out / "verdicts.jsonl").read_text().splitlines():
        row = json.loads(line)
        found.setdefault(row["name"].removeprefix("footage/"), []).append(row)
    return found


def only(out: Path, name: str) -> dict:
    (row,) = verdicts(out)[name]
    return row


def test_every_file_has_a_verdict_and_the_good_one_is_kept(made):
    out, _, folder = made
    found = verdicts(out)
    assert {path.name for path in folder.iterdir()} | {"up.mp4"} == set(found)
    assert only(out, "good.mp4")["verdict"] == "keep"
    assert not (folder / "x").exists()


def test_a_file_that_is_not_a_video_is_an_error_of_one_line(made):
    out, summary, _ = made
    for name in ("empty.mp4", "text.mp4", "audio.mp4"):
        row = only(out, name)
        assert row["verdict"] == "error" and name in row["reason"] and "\n" not in row["reason"]
    assert {name for name, _ in summary.errors} >= {"footage/audio.mp4", "footage/text.mp4"}


def test_truncated_files_are_curated_or_give_an_error(made):
    out, _, folder = made
    kept = 0
    for suffix in ("mp4", "ts"):
        for place in range(1, PLACES + 1):
            row = only(out, f"cut{place}.{suffix}")
            if row["verdict"] == "error":
                assert f"cut{place}" in row["reason"]
                continue
            with VideoReader(folder / f"cut{place}.{suffix}") as reader:
                there = sum(1 for _ in reader)
            kept += row["verdict"] == "keep"
            assert row["verdict"] == "keep" or (row["reason"] == "too short" and row["end_s"] < 3.1)
            if row["verdict"] == "keep":
                assert row["end_frame"] == there
    assert kept >= 1


def test_unusual_sizes_and_lengths(made):
    out, _, _ = made
    assert only(out, "8k.mkv")["reason"] == "too short"
    assert only(out, "one.mp4")["reason"] == "too short"
    assert only(out, "one.mp4")["step"] == "index"
    pixel = only(out, "pixel.mkv")
    assert pixel["verdict"] in ("reject", "error") and pixel["reason"]


def test_variable_rate_and_rotation(made):
    out, _, folder = made
    dataset = ClipDataset(str(out))
    clips = {c.clip_id: c for split in dataset.splits for c in dataset.clips(split)}
    variable = only(out, "variable.mp4")
    clip = clips[variable["clip_id"]]
    assert clip.num_frames == 100 == variable["end_frame"]
    assert float(clip.fps) == pytest.approx(100 / (variable["end_s"] - variable["start_s"]), rel=1e-3)
    rotated = clips[only(out, "rotated.mp4")["clip_id"]]
    with VideoReader(folder / "rotated.mp4") as reader:
        assert (reader.info.width, reader.info.height) == (96, 160)
    assert rotated.num_frames == 100 and rotated.width <= 96


def test_a_wrong_duration_in_the_header_is_ignored(made):
    out, _, _ = made
    row = only(out, "lying.mp4")
    assert row["verdict"] == "keep" and row["end_frame"] == 100 and row["end_s"] == 4


@pytest.mark.parametrize("number", range(len(NAMES)))
def test_unusual_names(made, number):
    out, _, _ = made
    row = only(out, NAMES[number])
    assert row["verdict"] == "keep" and row["end_frame"] == 80 + number


def test_a_path_with_dots(made):
    out, _, _ = made
    row = only(out, "up.mp4")
    assert row["verdict"] == "keep" and row["end_frame"] == 90


def test_nothing_is_written_outside_the_output(made):
    out, _, folder = made
    assert {path.name for path in out.parent.iterdir()} == {"data"}
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]
    assert not [path for path in out.rglob("*") if "\n" in path.name]


def test_a_source_without_people_is_rejected_by_its_key_frames(tmp_path):
    video = encode(tmp_path / "nobody.mp4", frames(NOBODY, 428, 7), g=50)
    summary = curate([video], tmp_path / "data", options=OPTIONS)
    (record,) = summary.records
    (verdict,) = record.shots
    assert (verdict.step, verdict.reason) == ("gate", "no face to be seen")
    assert "scan" not in record.seconds and record.num_frames == verdict.end_frame == 428
    asked = {finding.filter: finding.passed for finding in verdict.findings}
    assert asked["gate"] is False and asked["length"] is True and asked["hands"] is None
    assert all(finding.unit for finding in verdict.findings)
