"""A finished dataset in use: code of its card, streaming, WebDataset, the Hub."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import load_dataset
from fsspec.implementations.local import LocalFileSystem
from huggingface_hub import HfApi
from typer.testing import CliRunner

import talkingpose.data.clips
from curation.cli.app import app
from curation.dataset.push import PushError, plan_upload, push
from curation.dataset.webdataset import WebDatasetError, write_webdataset
from curation.report.pages import write_report
from talkingpose.data.clips import ClipDataset, decodable, video_frames
from talkingpose.media import VideoReader


def test_counts_of_summary_report_and_dataset_agree(summary, made, monkeypatch):
    monkeypatch.setattr("curation.report.pages.histogram_figure", lambda one: "")
    rows = [row for path in made.glob("manifest/*.parquet") for row in pq.read_table(path).to_pylist()]
    counts = summary.document()["clips"]
    assert (counts["kept"], counts["duplicates"]) == (len(rows), 1)
    assert counts["frames"] == sum(row["num_frames"] for row in rows)
    assert f"{len(rows)} clips, " in write_report(made, made.parent / "report.html", pictures=0).read_text()
    kept = [json.loads(line) for line in (made / "verdicts.jsonl").read_text().splitlines()]
    assert sum(line["verdict"] == "keep" and "duplicate_of" not in line for line in kept) == len(rows)


def split_with_most(folder: Path) -> str:
    dataset = ClipDataset(str(folder))
    return max(dataset.splits, key=lambda split: len(dataset.clips(split)))


def test_the_code_of_the_card_runs(made, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path))
    card = (made / "README.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    assert len(blocks) == 3 and all("PATH_OR_REPO" in b for b in (blocks[0], blocks[2]))
    names: dict[str, object] = {}
    for block in blocks:
        exec(block.replace("PATH_OR_REPO", str(made)), names)
    assert {"clips", "annotations", "manifest", "few"} <= set(names)


def test_the_card_has_statistics_licences_and_leakage(made):
    card = (made / "README.md").read_text()
    assert re.search(r"\| frames \| 3 \| 80 \| 81 \| 90 \| 117 \| 120 \|", card)
    assert "| unknown | 3 | 2 |" in card
    assert "| sources | 0 |" in card and "person is unknown" not in card
    assert "Not measured in any clip:" in card and "`face_speed_max`" in card.split("Not measured")[1]
    assert json.loads((made / "leakage.json").read_text())["sources"] == []


def test_rows_are_decoded_without_torchcodec(made, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchcodec", None)
    streamed = decodable(load_dataset(str(made), streaming=True, cache_dir=str(tmp_path)))
    rows = [row for split in streamed.values() for row in split]
    assert len(rows) == 3
    for row in rows:
        frames = list(video_frames(row["video"]))
        assert len(frames) == len(row["keypoints"]) == row["num_frames"]
        assert frames[0].shape == (row["height"], row["width"], 3) and frames[0].dtype == np.uint8


@pytest.mark.parametrize("video", [{"bytes": None, "path": "a.mp4"}, "a.mp4", None])
def test_what_holds_no_video_is_refused(video):
    with pytest.raises(talkingpose.data.clips.DatasetError, match="video: "):
        list(video_frames(video))


class CountedFiles(LocalFileSystem):
    """Local files under another name, which count what is read of them."""

    protocol = "counted"
    num_bytes = 0

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return "/" + str(path).removeprefix("counted://").lstrip("/")

    def _open(self, path: str, mode: str = "rb", **options: object) -> io.RawIOBase:
        return CountedFile(path)


class CountedFile(io.FileIO):
    def read(self, size: int = -1) -> bytes:
        data = super().read(size)
        CountedFiles.num_bytes += len(data)
        return data

    def readinto(self, buffer) -> int:
        count = super().readinto(buffer)
        CountedFiles.num_bytes += count
        return count


def test_streaming_with_filters_and_columns_reads_no_video(made, tmp_path):
    fsspec.register_implementation("counted", CountedFiles, clobber=True)
    split = split_with_most(made)
    (file,) = made.glob(f"clips/{split}-*.parquet")
    # Videos as large as real ones, so that it shows whether they are read.
    table = pq.read_table(file)
    videos = [{"bytes": bytes(2_000_000), "path": row["path"]} for row in table["video"].to_pylist()]
    index = table.schema.get_field_index("video")
    table = table.set_column(index, table.schema.field("video"), pa.array(videos, table["video"].type))
    pq.write_table(table, tmp_path / "large.parquet", compression="none", use_dictionary=False)
    size = (tmp_path / "large.parquet").stat().st_size
    assert size > 2_000_000 * len(videos)

    def stream(**options: object) -> tuple[list[dict], int]:
        CountedFiles.num_bytes = 0
        data = load_dataset(
            "parquet", data_files=f"counted://{tmp_path}/large.parquet", split="train", streaming=True,
            cache_dir=str(tmp_path / "cache"), **options,
        )  # fmt: skip
        return list(data.decode(False)), CountedFiles.num_bytes

    frames = sorted(table["num_frames"].to_pylist())
    rows, num_bytes = stream(columns=["clip_id", "num_frames"], filters=[("num_frames", ">", frames[0])])
    assert [set(row) for row in rows] == [{"clip_id", "num_frames"}] * (len(frames) - 1)
    assert 0 < num_bytes < size / 20
    rows, num_bytes = stream(columns=["video"])
    assert len(rows) == len(frames) and num_bytes > 2_000_000 * len(videos)


def test_streaming_with_filters_and_columns(made, tmp_path):
    split = split_with_most(made)
    options = {"split": split, "streaming": True, "cache_dir": str(tmp_path)}
    wanted = load_dataset(str(made), columns=["clip_id"], filters=[("num_frames", ">", 85)], **options)
    every = load_dataset(str(made), "manifest", **options)
    assert [row["clip_id"] for row in wanted] == [r["clip_id"] for r in every if r["num_frames"] > 85]
    assert all(set(row) == {"clip_id"} for row in wanted)


def test_webdataset_holds_the_same_and_loads(made, tmp_path):
    files = write_webdataset(made, tmp_path / "tar")
    dataset = ClipDataset(str(made))
    clips = {clip.clip_id: clip for split in dataset.splits for clip in dataset.clips(split)}
    seen = 0
    for split in dataset.splits:
        loaded = load_dataset(
            "webdataset", data_files={split: [str(f) for f in files if f.name.startswith(split)]},
            split=split, streaming=True,
        ).decode(False)  # fmt: skip
        for row in loaded:
            clip = clips[row["__key__"]]
            assert row["mp4"]["bytes"] == dataset.video(clip)
            keypoints = np.array(row["keypoints.npy"], np.float32)
            assert np.array_equal(keypoints, dataset.keypoints(clip))
            assert len(row["boxes.npy"]) == row["json"]["num_frames"] == len(keypoints)
            assert row["json"]["sha256"] == clip.sha256 and "video" not in row["json"]
            seen += 1
    assert seen == len(clips) == 3
    before = {path.name: path.read_bytes() for path in files}
    assert {p.name: p.read_bytes() for p in write_webdataset(made, tmp_path / "tar")} == before


def test_webdataset_shards_are_bounded_and_other_files_are_left_alone(made, tmp_path):
    files = write_webdataset(made, tmp_path / "tar", max_shard_mb=0.001)
    assert len(files) == 3 and all(path.name.endswith(".tar") for path in files)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("mine")
    with pytest.raises(WebDatasetError, match="holds other files"):
        write_webdataset(made, tmp_path / "mine")


class FakeHub:
    """Remembers what it was asked."""

    def __init__(self, error: Exception | None = None) -> None:
        self.calls: list[tuple[str, dict]] = []
        self.error = error

    def create_repo(self, name: str, **options: object) -> None:
        self.calls.append((name, options))

    def upload_folder(self, **options: object) -> str:
        if self.error:
            raise self.error
        self.calls.append(("upload", options))
        return "https://hub.example/datasets/me/talks/commit/1"


def test_a_dry_run_says_what_would_go_and_needs_no_network(made, monkeypatch):
    monkeypatch.setattr("huggingface_hub.HfApi.__init__", lambda self: pytest.fail("network"))
    done = CliRunner().invoke(app, ["push", str(made), "me/talks", "--dry-run", "--json"])
    assert done.exit_code == 0, done.output
    document = json.loads(done.output)
    names = {file["path"] for file in document["files"]}
    assert {"README.md", "leakage.json", "verdicts.jsonl"} < names
    assert not any(name.startswith(".curation") for name in names)
    assert document["num_bytes"] == sum((made / name).stat().st_size for name in names)
    assert (document["clips"], document["clips_without_licence"]) == (3, 3)
    assert document["private"] is True and document["address"] is None


def test_push_uploads_the_dataset_and_nothing_else(made):
    hub = FakeHub()
    plan = plan_upload(made, "me/talks")
    assert push(plan, api=hub).startswith("https://")
    (name, created), (_, upload) = hub.calls
    assert name == "me/talks" and created["private"] is True and created["repo_type"] == "dataset"
    assert sorted(upload["allow_patterns"]) == sorted(path for path, _ in plan.files)
    assert "clips/*.parquet" in upload["delete_patterns"]


def test_what_must_not_or_cannot_be_uploaded_is_one_line(made, tmp_path):
    with pytest.raises(PushError, match="the licence of 3 of 3 clips is unknown"):
        plan_upload(made, "me/talks", private=False)
    with pytest.raises(PushError, match="OWNER/NAME"):
        plan_upload(made, "talks")
    with pytest.raises(PushError, match="no clips to upload"):
        plan_upload(tmp_path, "me/talks")
    with pytest.raises(PushError, match="OSError: no route: check the name"):
        push(plan_upload(made, "me/talks"), api=FakeHub(OSError("no route")))


def test_without_a_network_the_upload_fails_in_one_line(made):
    nowhere = HfApi(endpoint="http://127.0.0.1:9", token="hf_none")
    with pytest.raises(PushError, match=r"upload me/talks: .*check the name, the network") as caught:
        push(plan_upload(made, "me/talks"), api=nowhere)
    assert "\n" not in str(caught.value)


def test_rows_read_back_from_the_stored_bytes(made):
    dataset = ClipDataset(str(made))
    for split in dataset.splits:
        for clip in dataset.clips(split):
            assert sum(1 for _ in VideoReader(dataset.video(clip))) == len(dataset.keypoints(clip))
