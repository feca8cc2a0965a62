"""Curation of generated videos with stand-ins for the models: verdicts, clips, Parquet, card."""

from __future__ import annotations

import hashlib
import io
import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pyarrow.parquet as pq
import pytest
from datasets import Video, load_dataset
from fake_detectors import CRASH, FAKE, NO_HANDS, NOBODY, RAISE, SPEAKER
from in_process import IN_PROCESS
from shot_videos import write_shots

from curation import curate
from curation.config import load_config
from curation.executors.local_executor import LocalExecutor
from curation.run import RunOptions, dry_run
from curation.sources import find_sources
from curation.store import StoreError
from talkingpose.data.clips import ClipDataset
from talkingpose.data.schema import CONFIGS, features
from talkingpose.io.progress import SILENT, Progress
from talkingpose.media import VideoReader


def configured(tmp_path, text):
    path = tmp_path / f"{hashlib.sha256(text.encode()).hexdigest()[:8]}.yaml"
    path.write_text(text)
    return load_config(path)


def run(sources, out, config=None, *, progress=SILENT, executor=IN_PROCESS, workers=1, **options):
    given = RunOptions(detectors=FAKE, executor=executor, **options)
    found = sources if isinstance(sources, list) else [sources]
    return curate(found, out, config, workers=workers, progress=progress, options=given)


def parquet(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.glob("*/*.parquet"))}


def verdicts(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "verdicts.jsonl").read_text().splitlines()]


def matroska(path: Path) -> bytes:
    """Return the same packets in another container."""
    file = io.BytesIO()
    with av.open(str(path)) as source, av.open(file, "w", format="matroska") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    return file.getvalue()


@pytest.fixture(scope="module")
def footage_made(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "footage"
    write_shots(
        folder / "reel.mp4",
        [(NOBODY, 30), (SPEAKER, 80), (NO_HANDS, 80), (SPEAKER, 40), (NOBODY, 20), (SPEAKER, 90)],
        seed=1,
    )
    write_shots(folder / "talk.mp4", [(SPEAKER, 100)], seed=2, fps=Fraction(30000, 1001))
    (folder / "broken.mp4").write_bytes(b"this is no video")
    # Matroska has no index at its end that the truncation removes.
    data = matroska(write_shots(tmp_path_factory.mktemp("whole") / "whole.mp4", [(SPEAKER, 120)], seed=3))
    (folder / "cut_off.mkv").write_bytes(data[: int(len(data) * 0.9)])
    return folder


@pytest.fixture(scope="module")
def made(footage_made, tmp_path_factory) -> tuple[Path, object]:
    out = tmp_path_factory.mktemp("out") / "data"
    return out, run(footage_made, out)


def test_verdicts_have_reasons(made):
    out, summary = made
    reel = [v for v in verdicts(out) if v["name"] == "footage/reel.mp4"]
    assert [(v["start_frame"], v["end_frame"], v["verdict"], v["reason"]) for v in reel] == [
        (0, 30, "reject", "too short"),
        (30, 110, "keep", None),
        (110, 190, "reject", "no hands to be seen"),
        (190, 230, "reject", "too short"),
        (230, 250, "reject", "too short"),
        (250, 340, "keep", None),
    ]
    hands = next(f for f in reel[2]["findings"] if f["filter"] == "hands")
    assert (hands["measured"], hands["threshold"], hands["min_share"]) == (0, 0.1, 0.5)
    (broken,) = [v for v in verdicts(out) if v["name"] == "footage/broken.mp4"]
    assert broken["verdict"] == "error" and "broken.mp4" in broken["reason"]
    assert [name for name, _ in summary.errors] == ["footage/broken.mp4"]


def test_a_truncated_video_is_curated_and_its_loss_reported(made, footage_made):
    out, _ = made
    with VideoReader(footage_made / "cut_off.mkv") as reader:
        there = sum(1 for _ in reader)
    assert 75 < there < 120
    (line,) = [v for v in verdicts(out) if v["name"] == "footage/cut_off.mkv"]
    assert line["verdict"] == "keep" and line["end_frame"] == there and line["lost_frames"] > 0


def test_clips_are_exact_to_the_frame(made, footage_made):
    out, _ = made
    dataset = ClipDataset(str(out))
    clips = {c.clip_id: c for split in dataset.splits for c in dataset.clips(split)}
    for line in verdicts(out):
        if line["name"] != "footage/reel.mp4" or line["clip_id"] is None:
            continue
        clip = clips[line["clip_id"]]
        row = next(r for t in tables(out, "clips") for r in t.to_pylist() if r["clip_id"] == clip.clip_id)
        x0, y0, x1, y1 = np.round(np.array(row["crop_xyxy"]) * [160, 96, 160, 96]).astype(int)
        source = [f.image[y0:y1, x0:x1] for f in VideoReader(footage_made / "reel.mp4")]
        written = [f.image for f in VideoReader(dataset.video(clip))]
        assert len(written) == clip.num_frames == line["end_frame"] - line["start_frame"]
        for index in (0, 1, clip.num_frames - 1):
            near = range(max(line["start_frame"] + index - 2, 0), min(line["start_frame"] + index + 3, 340))
            distance = {i: np.abs(source[i].astype(int) - written[index]).mean() for i in near}
            assert min(distance, key=distance.get) == line["start_frame"] + index
        assert row["start_s"] == line["start_frame"] / 25 and row["end_s"] == line["end_frame"] / 25


def tables(out: Path, config: str):
    return [pq.read_table(path) for path in sorted((out / config).glob("*.parquet"))]


def test_rows_agree_with_clips_and_sources(made, footage_made):
    out, _ = made
    rows = [row for table in tables(out, "clips") for row in table.to_pylist()]
    assert len(rows) == 4
    for row in rows:
        data = row["video"]["bytes"]
        assert row["video"]["path"] == f"{row['clip_id']}.mp4"
        assert row["sha256"] == hashlib.sha256(data).hexdigest()
        frames = [f.image for f in VideoReader(data)]
        assert len(frames) == row["num_frames"] == len(row["keypoints"]) == len(row["boxes"])
        assert frames[0].shape == (row["height"], row["width"], 3)
        keypoints = np.array(row["keypoints"], np.float32)
        assert (
            keypoints.shape == (row["num_frames"], 133, 3) and keypoints.min() >= 0 and keypoints.max() <= 1
        )
        assert keypoints[:, 5, 2].all()
        assert row["source"] == "file" and row["url"] is None and row["license"] is None
        assert row["scores"]["hands_visible"] == 1 and row["scores"]["identity_min"] is None
        assert row["config_hash"] == load_config().hash
        assert json.loads(row["tool_versions"])["fake"] == "1"
        assert len(row["phash"]) == 16 * min(32, row["num_frames"]) and int(row["phash"], 16) >= 0
        span = (row["end_pts"] - row["start_pts"]) * Fraction(row["time_base_num"], row["time_base_den"])
        assert float(span) == pytest.approx(row["num_frames"] / row["fps"], abs=0.002)
    talk = next(r for r in rows if r["fps"] != 25)
    assert talk["fps"] == 30000 / 1001
    assert talk["source_sha256"] == hashlib.sha256((footage_made / "talk.mp4").read_bytes()).hexdigest()


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("streaming", [False, True])
def test_load_dataset(made, tmp_path, config, streaming):
    out, _ = made
    loaded = load_dataset(str(out), config, streaming=streaming, cache_dir=str(tmp_path))
    columns = features(config)
    total = 0
    for split in loaded.values():
        assert split.features == columns
        if "video" in columns:
            split = split.cast_column("video", Video(decode=False))
        for row in split:
            total += 1
            if "video" in columns:
                assert sum(1 for _ in VideoReader(row["video"]["bytes"])) == row["num_frames"]
    assert total == 4


def test_clips_are_the_default_and_columns_and_rows_can_be_selected(made, tmp_path):
    out, _ = made
    loaded = load_dataset(str(out), cache_dir=str(tmp_path))
    assert "video" in next(iter(loaded.values())).column_names
    chosen = load_dataset(
        str(out), streaming=True, columns=["clip_id", "num_frames"], filters=[("num_frames", ">", 85)]
    )
    rows = [row for split in chosen.values() for row in split]
    assert {row["num_frames"] for row in rows} >= {90, 100} and all(
        set(row) == {"clip_id", "num_frames"} for row in rows
    )


def test_the_card_describes_the_dataset(made):
    out, _ = made
    card = (out / "README.md").read_text()
    for text in (
        "| all | 4 | 3 |",
        "rejected: too short",
        "rejected: no hands to be seen",
        "load_dataset",
        "## Licences",
    ):
        assert text in card
    assert str(out) not in card and "/tmp" not in card
    splits = {path.name.split("-")[0] for path in out.glob("clips/*.parquet")}
    assert all((f"- split: {name}" in card) == (name in splits) for name in ("train", "validation", "test"))


def test_the_same_run_resumes(made, footage_made):
    out, _ = made
    before = parquet(out)
    again = run(footage_made, out)
    assert (again.done_before, again.worked_on, again.exported) == (3, 1, False)  # the error is retried
    assert parquet(out) == before


def test_the_result_depends_neither_on_workers_nor_on_order(made, footage_made, tmp_path):
    out, _ = made
    sources = sorted(footage_made.iterdir(), reverse=True)
    run(sources, tmp_path / "other", executor=LocalExecutor(), workers=3)
    assert parquet(tmp_path / "other") == parquet(out)


def test_sources_of_earlier_runs_stay_and_fresh_discards_them(footage_made, tmp_path):
    out = tmp_path / "data"
    run(footage_made / "talk.mp4", out)
    summary = run(footage_made / "cut_off.mkv", out)
    assert summary.document()["clips"]["kept"] == 2
    (out / "notes.txt").write_text("mine")
    summary = run(footage_made / "cut_off.mkv", out, fresh=True)
    assert summary.document()["clips"]["kept"] == 1
    assert (out / "notes.txt").read_text() == "mine"


def test_another_configuration_processes_everything_again(footage_made, tmp_path):
    out = tmp_path / "data"
    run(footage_made / "talk.mp4", out)
    before = parquet(out)
    strict = configured(tmp_path, "filters: {length: {min_s: 60}}")
    summary = run(footage_made / "talk.mp4", out, strict)
    assert summary.worked_on == 1 and not parquet(out)
    assert not list((out / ".curation" / "clips").rglob("*.mp4"))
    run(footage_made / "talk.mp4", out)
    assert parquet(out) == before
    shards = configured(tmp_path, "export: {splits: {test: 1}}")
    summary = run(footage_made / "talk.mp4", out, shards)
    assert (
        summary.worked_on == 0
        and summary.exported
        and next(iter(parquet(out))).endswith("test-00000-of-00001.parquet")
    )


def test_a_card_says_that_no_clip_was_kept(tmp_path):
    out = tmp_path / "data"
    summary = run(write_shots(tmp_path / "a.mp4", [(NOBODY, 90)]), out)
    assert summary.errors == [] and summary.document()["clips"]["kept"] == 0
    card = (out / "README.md").read_text()
    assert "No clip was kept" in card and "configs" not in card and "no face to be seen" in card


def test_a_source_whose_worker_crashes_or_fails_is_an_error_and_the_run_continues(tmp_path):
    folder = tmp_path / "footage"
    write_shots(folder / "crash.mp4", [(CRASH, 80)])
    write_shots(folder / "raise.mp4", [(RAISE, 80)])
    write_shots(folder / "good.mp4", [(SPEAKER, 80)])
    summary = run(folder, tmp_path / "data", executor=LocalExecutor())
    assert [name for name, _ in summary.errors] == ["footage/crash.mp4", "footage/raise.mp4"]
    assert "crashed" in summary.errors[0][1] and "made to fail" in summary.errors[1][1]
    assert summary.document()["clips"]["kept"] == 1
    assert summary.document()["rejected"] == {}


def test_an_error_is_dropped_when_the_file_was_repaired(tmp_path):
    video = tmp_path / "a.mp4"
    video.write_text("no video")
    out = tmp_path / "data"
    assert len(run(video, out).errors) == 1
    write_shots(video, [(SPEAKER, 80)])
    assert run(video, out).errors == []
    assert [line["verdict"] for line in verdicts(out)] == ["keep"]


def test_shards_are_bounded(tmp_path):
    video = write_shots(tmp_path / "a.mp4", [(SPEAKER, 80), (NOBODY, 20)] * 3)
    out = tmp_path / "data"
    run(video, out, configured(tmp_path, "export: {max_shard_mb: 0.1}"))
    (split,) = {path.name.split("-")[0] for path in out.glob("clips/*")}
    assert sorted(p.name for p in out.glob("clips/*")) == [
        f"{split}-{i:05d}-of-00003.parquet" for i in range(3)
    ]
    assert len(ClipDataset(str(out)).clips(split)) == 3
    run(video, out)
    assert len(list(out.glob("clips/*"))) == 1
    assert len(ClipDataset(str(out)).clips(split)) == 3


def test_files_of_equal_content_are_processed_once(tmp_path):
    video = write_shots(tmp_path / "in" / "a.mp4", [(SPEAKER, 80)])
    (tmp_path / "in" / "b.mp4").write_bytes(video.read_bytes())
    found = find_sources([tmp_path / "in"])
    assert dry_run(found, tmp_path / "data", load_config()).same_content == ("in/b.mp4",)
    assert run(tmp_path / "in", tmp_path / "data").worked_on == 1


def test_a_second_run_in_a_folder_and_folders_of_other_programs_are_refused(tmp_path):
    video = write_shots(tmp_path / "a.mp4", [(NOBODY, 10)])
    out = tmp_path / "data"

    refused = []

    class Second(Progress):
        def message(self, text):
            with pytest.raises(StoreError, match="another tp-curate"):
                run(video, out)
            refused.append(text)

    run(video, out, progress=Second())
    assert refused
    other = tmp_path / "other"
    other.mkdir()
    (other / "README.md").write_text("mine")
    with pytest.raises(StoreError, match="not empty"):
        run(video, other)
    assert [p.name for p in other.iterdir()] == ["README.md"]


def test_a_damaged_record_or_clip_is_processed_again(footage_made, tmp_path):
    out = tmp_path / "data"
    run(footage_made / "talk.mp4", out)
    before = parquet(out)
    (record,) = (out / ".curation" / "sources").iterdir()
    record.write_text(record.read_text()[:100])
    assert run(footage_made / "talk.mp4", out).worked_on == 1
    (video,) = (out / ".curation" / "clips").rglob("*.mp4")
    video.write_bytes(b"")
    assert run(footage_made / "talk.mp4", out).worked_on == 1
    assert parquet(out) == before


def test_parquet_has_no_local_path(made, footage_made):
    out, _ = made
    for data in [*parquet(out).values(), (out / "verdicts.jsonl").read_bytes()]:
        assert str(footage_made).encode() not in data and str(out).encode() not in data
    assert next(iter(parquet(out).values()))[:4] == b"PAR1"


def test_load_dataset_sees_later_additions(footage_made, tmp_path):
    # The library caches what it loaded under a digest of the card.
    out, cache = tmp_path / "data", str(tmp_path / "cache")
    counts = []
    for name in ("talk.mp4", "reel.mp4"):
        run(footage_made / name, out)
        counts.append(sum(s.num_rows for s in load_dataset(str(out), cache_dir=cache).values()))
    assert counts[1] > counts[0]
    assert counts[1] == sum(len(ClipDataset(str(out)).clips(s)) for s in ClipDataset(str(out)).splits)
