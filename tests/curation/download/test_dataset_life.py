"""Dataset of downloaded sources: rows, release, rebuild, forget, audit."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import shutil
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fake_detectors import NOBODY, SPEAKER
from fake_tube import FakeTubeIE
from in_process import InProcess
from loopback import Loopback
from own_keypoints import OWN
from scenario import LICENSE, Lines, own, settings
from shot_videos import frames, write_shots
from yt_dlp.downloader.common import FileDownloader

import curation.release.rebuild
from curation import curate, orchestrator
from curation.config import Config, load_config
from curation.download.ledger import State, download_folder, open_ledger
from curation.download.settings import DownloadSettings
from curation.download.source_list import parse_address
from curation.release.forget import ForgetError, forget
from curation.release.manifest import read_manifest
from curation.release.release import ReleaseError, release_ids, remember_release
from curation.run import CurationSummary, RunOptions
from curation.store import StoreError
from talkingpose.data.clips import ClipDataset
from talkingpose.data.schema import CONFIGS
from talkingpose.io.progress import SILENT, Progress
from talkingpose.media import VideoReader, VideoWriter

pytestmark = pytest.mark.usefixtures("in_this_process")

IDS = ("speaker00aa", "speaker00bb", "speaker00cc")


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> dict[str, bytes]:
    """One video per source, with a shot to keep and one to reject."""
    folder = tmp_path_factory.mktemp("videos")
    return {
        name: write_shots(folder / f"{name}.mp4", [(NOBODY, 20), (SPEAKER, 90)], seed=seed).read_bytes()
        for seed, name in enumerate(IDS, 1)
    }


@pytest.fixture
def site(videos, monkeypatch):
    with Loopback() as made:
        serve(made, videos)
        monkeypatch.setenv("FAKE_TUBE", made.url(""))
        yield made


def serve(site: Loopback, videos: dict[str, bytes]) -> None:
    for name, data in videos.items():
        site.files[f"{name}.mp4"] = data
        site.infos[name] = {
            "formats": [
                {"format_id": "h264", "url": site.url(f"ok/{name}.mp4"), "ext": "mp4", "vcodec": "avc1"}
            ],
            "duration": 4.4,
            "license": LICENSE,
            "uploader_id": f"@{name}",
        }


def patient(**changes) -> DownloadSettings:
    """Settings for which no host is slow, however loaded the machine is."""
    return settings(timeout_s=60, min_bytes_per_s=0, **changes)


def configured(download: DownloadSettings | None = None) -> Config:
    """Defaults without the search for duplicates, which takes similar test videos for one."""
    config = load_config()
    export = config.export.model_copy(update={"duplicates": None})
    return config.model_copy(update={"export": export, "download": download or patient()})


def run(
    out: Path, *names: str, chosen: DownloadSettings | None = None, progress: Progress = SILENT, **options
) -> CurationSummary:
    given = RunOptions(workers=1, detectors=OWN, extractors=[FakeTubeIE], **options)
    return curate(names, out, configured(chosen), progress=progress, options=given)


def rows(out: Path, config: str = "clips") -> list[dict]:
    return [
        row for path in sorted(out.glob(f"{config}/*.parquet")) for row in pq.read_table(path).to_pylist()
    ]


def decoded(data: bytes) -> np.ndarray:
    with VideoReader(data) as reader:
        return np.stack([frame.image for frame in reader])


def test_rows_have_the_provenance_of_their_source(site, tmp_path):
    out = tmp_path / "out"
    address = site.url("ok/direct.mp4")
    site.files["direct.mp4"] = own(site.files[f"{IDS[2]}.mp4"], 1)
    listed = tmp_path / "list.csv"
    listed.write_text(f"video_id\n{IDS[0]}\n{IDS[1]}\n{IDS[0]}\n../nothing\n")
    local = tmp_path / "local.mp4"
    local.write_bytes(own(site.files[f"{IDS[2]}.mp4"], 2))
    summary = run(out, str(listed), address, str(local))
    assert not summary.is_partial and not summary.downloads.missing
    found = {row["source_id"]: row for row in rows(out)}
    assert len(found) == 4
    for name in IDS[:2]:
        row = found[name]
        assert row["source"] == "youtube" and row["url"] == f"https://www.youtube.com/watch?v={name}"
        assert row["license"] == LICENSE and row["uploader_id"] == f"@{name}"
        assert row["fetched_at"].tzinfo is not None
        evidence = json.loads(row["rights_evidence"])
        info = next(download_folder(out).glob(f"sources/{parse_address(name).key}/info.json"))
        assert evidence["info_json_sha256"] == hashlib.sha256(info.read_bytes()).hexdigest()
    direct = found[parse_address(address).source_id]
    assert direct["source"] == "url" and direct["url"] == address and direct["license"] is None
    assert next(row for row in found.values() if row["source"] == "file")["url"] is None
    # The same command again sends no request.
    asked = len(site.log)
    run(out, str(listed), address, str(local))
    assert len(site.log) == asked and len(rows(out)) == 4


def test_spans_of_a_list_bound_the_clips(site, tmp_path):
    listed = tmp_path / "spans.csv"
    listed.write_text(f"id,start,end\n{IDS[0]},1.2,4.3\n")
    run(tmp_path / "out", str(listed))
    row = rows(tmp_path / "out")[0]
    assert (row["start_s"], row["end_s"]) == (pytest.approx(1.2), pytest.approx(4.32, abs=0.041))


def test_a_required_license_is_checked_before_the_download(site, tmp_path):
    site.infos[IDS[1]]["license"] = "Standard YouTube License"
    chosen = patient(prefilter={"require_license": ["creativecommons"]})
    status = run(tmp_path / "out", *IDS[:2], chosen=chosen).downloads.status
    assert status["rejected"] == 1 and status["done"] == 1
    assert not site.requests(f"ok/{IDS[1]}")
    assert {row["source_id"] for row in rows(tmp_path / "out")} == {IDS[0]}


def test_a_budget_ends_downloads_and_deleted_sources_make_room(site, tmp_path):
    out = tmp_path / "out"
    budget = 1.5 * max(len(data) for data in site.files.values()) / 1e9
    notes = Lines()
    chosen = patient(disk={"budget_gb": budget, "min_free_gb": 0, "poll_s": 0.1}, workers=2)
    for name in IDS:
        site.infos[name]["formats"][0]["filesize"] = len(site.files[f"{name}.mp4"])
    summary = run(out, *IDS, chosen=chosen, progress=notes)
    # Nothing may be deleted: one source is downloaded and curated, the others wait.
    status = summary.downloads.status
    assert summary.is_partial and (status["done"], status["waiting"]) == (1, 2)
    assert len(summary.downloads.document()["missing"]) == 2
    assert not summary.errors and len(rows(out)) == 1
    assert any("--delete-sources" in note for note in notes) and len(site.requests("/ok/")) == 1
    summary = run(out, *IDS, chosen=chosen, delete_sources=True)
    assert not summary.is_partial and len(rows(out)) == 3
    assert not list(download_folder(out).glob("sources/*")) and len(site.requests("/ok/")) == 3
    asked = len(site.log)
    run(out, *IDS, chosen=chosen, delete_sources=True)
    assert len(site.log) == asked and len(rows(out)) == 3


def test_a_full_disk_pauses_the_run_until_there_is_room(site, tmp_path, monkeypatch):
    """Three writes of the download fail as on a full disk."""
    real, failures = FileDownloader.sanitize_open, [3]

    class Full:
        def __init__(self, file):
            self._file = file

        def write(self, data):
            self._file.write(data[:100])
            raise OSError(errno.ENOSPC, "No space left on device")

        def __getattr__(self, name):
            return getattr(self._file, name)

    def opened(self, filename, open_mode):
        stream, name = real(self, filename, open_mode)
        if failures[0]:
            failures[0] -= 1
            stream = Full(stream)
        return stream, name

    monkeypatch.setattr(FileDownloader, "sanitize_open", opened)
    summary = run(tmp_path / "out", IDS[0])
    assert failures == [0] and not summary.errors
    with open_ledger(tmp_path / "out") as ledger:
        entry = ledger.entries()[0]
    assert entry.state is State.DONE and entry.attempts == 1
    file = download_folder(tmp_path / "out") / entry.file
    assert file.read_bytes() == site.files[f"{IDS[0]}.mp4"]


@pytest.fixture(scope="module")
def released_once(videos, tmp_path_factory) -> Path:
    """A dataset of three sources and its release."""
    folder = tmp_path_factory.mktemp("released")
    with Loopback() as site, pytest.MonkeyPatch.context() as patch:
        serve(site, videos)
        patch.setenv("FAKE_TUBE", site.url(""))
        patch.setattr("curation.executors.local_executor.LocalExecutor.run", InProcess.run)
        run(folder / "out", *IDS)
    release_ids(folder / "out", folder / "release")
    return folder


@pytest.fixture
def released(released_once, site, tmp_path) -> tuple[Path, Path]:
    """A copy of the dataset and of its release, which the ledger knows."""
    shutil.copytree(released_once, tmp_path, dirs_exist_ok=True)
    out, to = tmp_path / "out", tmp_path / "release"
    remember_release(out, to)
    return out, to


def rebuild(release: Path, to: Path, chosen: Config | None = None, **options):
    given = RunOptions(workers=1, detectors=OWN, extractors=[FakeTubeIE], **options)
    return orchestrator.rebuild(read_manifest(release), to, chosen or configured(), given)


def test_a_release_has_neither_pixels_nor_keypoints(released):
    out, to = released
    found = rows(to, "manifest")
    assert len(found) == 3 and not {"video", "keypoints", "boxes"} & set(found[0])
    assert sorted(path.suffix for path in to.rglob("*") if path.is_file())[0] == ".md"
    before = {path: path.read_bytes() for path in to.rglob("*") if path.is_file()}
    release_ids(out, to)
    assert before == {path: path.read_bytes() for path in to.rglob("*") if path.is_file()}
    other = to.parent / "other"
    other.mkdir()
    (other / "mine.txt").write_text("mine")
    with pytest.raises(ReleaseError, match="other files"):
        release_ids(out, other)


def test_rebuild_from_the_same_sources_matches_frame_for_frame(released, tmp_path):
    out, to = released
    again = tmp_path / "again"
    report = rebuild(to, again)
    assert report["verdicts"] == {"identical": 3}
    before, after = ({row["clip_id"]: row for row in rows(folder)} for folder in (out, again))
    assert before.keys() == after.keys()
    for clip_id, row in before.items():
        assert np.array_equal(decoded(row["video"]["bytes"]), decoded(after[clip_id]["video"]["bytes"]))
        assert np.array_equal(row["keypoints"], after[clip_id]["keypoints"])
        for name in ("source_id", "start_pts", "end_pts", "crop_xyxy", "sha256", "phash", "license"):
            assert row[name] == after[clip_id][name]


def test_rebuild_resumes(released, site, tmp_path, monkeypatch):
    to, again = released[1], tmp_path / "again"
    site.infos[IDS[2]] = {"error": "Private video. Sign in if you've been granted access to this video"}
    real, made = curation.release.rebuild._rebuild_source, []

    def fails_at_the_second(job):
        if made:
            raise KeyboardInterrupt
        made.append(job.found.origin.source_id)
        return real(job)

    monkeypatch.setattr("curation.release.rebuild._rebuild_source", fails_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        rebuild(to, again, delete_sources=True)
    monkeypatch.setattr(
        "curation.release.rebuild._rebuild_source", lambda job: (made.append(job), real(job))[1]
    )
    report = rebuild(to, again, delete_sources=True)
    assert report["verdicts"] == {"identical": 2, "missing: private": 1}
    assert len(made) == 2 and not list(download_folder(again).glob("sources/*"))
    # Nothing is downloaded or cut again, although the files of the sources are deleted.
    asked, before = len(site.log), {path: path.read_bytes() for path in again.glob("*/*.parquet")}
    assert rebuild(to, again) == report and len(made) == 2
    assert len(site.log) == asked and len(site.requests("/ok/")) == 2
    assert before == {path: path.read_bytes() for path in again.glob("*/*.parquet")}
    # Other settings make other clips: the files are downloaded again.
    coarse = load_config().encode.model_copy(update={"crf": 30})
    report = rebuild(to, again, configured().model_copy(update={"encode": coarse}))
    assert report["verdicts"] == {"same frames": 2, "missing: private": 1}
    assert len(site.requests("/ok/")) == 2 + 2


def test_rebuild_refuses_folders_of_other_programs(released, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("mine")
    with pytest.raises(StoreError, match="not empty"):
        rebuild(released[1], mine)
    assert [path.name for path in mine.iterdir()] == ["thesis.txt"]


def moving(seed: int, count: int) -> list[np.ndarray]:
    """Return frames that change fast, so that an offset of three frames is measurable."""
    texture = np.kron(np.random.default_rng(seed).integers(0, 256, (6, 40)), np.ones((16, 16))) - 128.0
    pictures = []
    for index, picture in enumerate(frames(SPEAKER, count, seed)):
        # The texture drifts; a texture that fades would be a dissolve.
        wave = np.roll(texture, 3 * index, axis=1)[: picture.shape[0], : picture.shape[1]]
        pictures.append(np.clip(picture + 0.3 * wave[..., None], 0, 255).astype(np.uint8))
    return pictures


def written(path: Path, pictures: list[np.ndarray], crf: int = 18) -> bytes:
    with VideoWriter(path, fps=Fraction(25), crf=crf, preset="ultrafast") as writer:
        for picture in pictures:
            writer.write(picture)
    return path.read_bytes()


def test_rebuild_detects_re_encoded_changed_and_deleted_sources(site, tmp_path):
    pictures = {name: moving(seed, 100) for seed, name in enumerate(IDS, 1)}
    for name in IDS:
        site.files[f"{name}.mp4"] = written(tmp_path / f"{name}.mp4", pictures[name])
    out, to, again = tmp_path / "out", tmp_path / "release", tmp_path / "again"
    run(out, *IDS)
    release_ids(out, to)
    shifted = [*moving(9, 3), *pictures[IDS[0]]]
    site.files[f"{IDS[0]}.mp4"] = written(tmp_path / "shifted.mp4", shifted, crf=30)
    site.files[f"{IDS[1]}.mp4"] = written(tmp_path / "changed.mp4", moving(77, 110))
    site.infos[IDS[2]] = {"error": "Private video. Sign in if you've been granted access to this video"}
    report = rebuild(to, again)
    verdicts = {row["source_id"]: row["verdict"] for row in report["rows"]}
    assert verdicts == {
        IDS[0]: "re-encoded, offset 3 frames",
        IDS[1]: "different",
        IDS[2]: "missing: private",
    }
    assert report["rebuilt"] == 1 and json.loads((again / "rebuild.json").read_text()) == report
    (row,) = rows(again)
    original = next(one for one in rows(out) if one["source_id"] == IDS[0])
    before, after = decoded(original["video"]["bytes"]), decoded(row["video"]["bytes"])
    assert before.shape == after.shape
    assert np.abs(before.astype(int) - after).mean() < 6


def test_rebuild_finds_a_clip_in_another_container_and_time_base(site, tmp_path):
    pictures = moving(5, 100)
    site.files[f"{IDS[0]}.mp4"] = written(tmp_path / "a.mp4", pictures)
    out, to, again = tmp_path / "out", tmp_path / "release", tmp_path / "again"
    run(out, IDS[0])
    release_ids(out, to)
    file = io.BytesIO()
    with av.open(str(tmp_path / "a.mp4")) as source, av.open(file, "w", format="matroska") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    site.files[f"{IDS[0]}.mp4"] = file.getvalue()
    # The source id of a manifest is not trusted: it must not name a folder.
    (shard,) = (to / "manifest").glob("*.parquet")
    table = pq.read_table(shard)
    column = table.column_names.index("source_id")
    pq.write_table(table.set_column(column, "source_id", pa.array(["../../../../evil"])), shard)
    assert rebuild(to, again)["verdicts"] == {"identical": 1}
    assert rows(again)[0]["source_id"] == IDS[0]
    assert not [path for path in tmp_path.rglob("*") if "evil" in path.name]


def traces(out: Path, name: str) -> list[str]:
    """Return everything in the dataset that identifies a source."""
    row = next(row for row in rows(out) if row["source_id"] == name)
    found = [name, row["url"], row["clip_id"], row["sha256"], row["source_sha256"], row["phash"]]
    found += [row["uploader_id"], json.loads(row["rights_evidence"])["info_json_sha256"]]
    return [*found, parse_address(name).key]


def everything(*folders: Path) -> bytes:
    """Return all names and bytes; Parquet also as text, since it is compressed."""
    parts = []
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            parts.append(str(path.relative_to(folder)).encode())
            if path.is_file():
                parts.append(path.read_bytes())
            if path.suffix == ".parquet":
                table = pq.read_table(path)
                packed = {"video", "keypoints"} & set(table.column_names)
                parts.append(str(table.drop_columns(sorted(packed)).to_pylist()).encode())
    return b"\n".join(parts)


def test_forget_removes_all_traces_and_bars_the_source(released, site, tmp_path):
    out, to = released
    name = IDS[1]
    marks = traces(out, name)
    row = next(row for row in rows(out) if row["source_id"] == name)
    keypoints = np.asarray(row["keypoints"], np.float16)
    clip = row["video"]["bytes"]
    data = everything(out, to)
    assert all(mark.encode() in data for mark in marks)
    present = [frame[91:133].tobytes() for frame in keypoints]
    assert all(frame in data for frame in present) and clip in data
    kept = {row["clip_id"]: row for row in rows(out) if row["source_id"] != name}

    difference = forget(out, f"https://youtu.be/{name}", configured().export)
    assert (difference.before.clips, difference.after.clips) == (3, 2)
    assert difference.after.num_bytes < difference.before.num_bytes and difference.releases == (str(to),)
    data = everything(out, to)
    for mark in marks:
        assert mark.encode() not in data, mark
    assert (
        clip not in data
        and clip[len(clip) // 2 :][:200] not in data
        and site.files[f"{name}.mp4"] not in data
    )
    for config in ("clips", "annotations"):
        for row in rows(out, config):
            other = np.asarray(row["keypoints"], np.float16)
            assert not (other[: len(keypoints)] == keypoints[: len(other)]).all(axis=(1, 2)).any()
    assert all(frame not in data for frame in present)
    for config in CONFIGS:
        assert {row["source_id"] for row in rows(out, config)} == {IDS[0], IDS[2]}
    assert {row["clip_id"]: row["sha256"] for row in rows(out)} == {k: r["sha256"] for k, r in kept.items()}
    assert len(rows(to, "manifest")) == 2
    dataset = ClipDataset(str(out))
    for split in dataset.splits:
        for one in dataset.clips(split):
            assert dataset.keypoints(one).shape[0] == one.num_frames and dataset.video(one)

    asked = len(site.log)
    summary = run(out, *IDS)
    assert len(site.log) == asked and len(rows(out)) == 2 and not summary.errors
    # A local copy of its file is barred, too.
    local = tmp_path / "copy.mp4"
    local.write_bytes(site.files[f"{name}.mp4"])
    run(out, str(local))
    assert len(rows(out)) == 2
    # Repetition is no error: it finishes an interrupted command.
    again = forget(out, name, configured().export)
    assert again.before == again.after
    with pytest.raises(ForgetError, match="not found"):
        forget(out, "neverSeen00", configured().export)


@pytest.mark.parametrize("step", ["_remove", "export", "_update_releases"])
def test_an_interrupted_forget_is_finished_by_the_same_command(released, monkeypatch, step):
    out, to = released
    marks = traces(out, IDS[1])
    module = sys.modules["curation.release.forget"]
    real = getattr(module, step)

    def interrupted(*arguments, **options):
        real(*arguments, **options)
        raise KeyboardInterrupt

    monkeypatch.setattr(module, step, interrupted)
    with pytest.raises(KeyboardInterrupt):
        forget(out, IDS[1], configured().export)
    monkeypatch.setattr(module, step, real)
    forget(out, IDS[1], configured().export)
    data = everything(out, to)
    assert not [mark for mark in marks if mark.encode() in data]
    assert len(rows(out)) == 2 and len(rows(to, "manifest")) == 2


def test_forget_a_local_file_and_the_last_source(tmp_path, videos):
    local = tmp_path / "films" / "a.mp4"
    local.parent.mkdir()
    local.write_bytes(videos[IDS[0]])
    out = tmp_path / "out"
    run(out, str(local))
    row = rows(out)[0]
    forget(out, row["source_sha256"], configured().export)
    data = everything(out)
    for mark in (row["source_id"], row["clip_id"], row["sha256"], row["source_sha256"], "a.mp4"):
        assert mark.encode() not in data, mark
    run(out, str(local))
    assert not list(out.glob("clips/*.parquet"))


def test_audit_counts_deleted_sources_without_downloads(site, tmp_path):
    site.infos[IDS[1]] = {"error": "Video unavailable. This video has been removed by the uploader"}
    wanted = [parse_address(name) for name in IDS] + [parse_address(site.url("status/404/x"))]

    def audit(wanted=wanted, **options):
        given = RunOptions(extractors=[FakeTubeIE], **options)
        return orchestrator.audit(wanted, tmp_path / "out", patient(), given)

    report = audit()
    assert (report["available"], report["gone"], report["attrition"]) == (2, 2, 0.5)
    assert report["by_cause"] == {"deleted": 2} and report["licenses"] == {LICENSE: 2}
    assert not site.requests("ok/") and not list((tmp_path / "out").rglob("*.mp4"))
    asked = len(site.log)
    assert audit() == report and len(site.log) == asked
    assert audit(wanted[:1])["sources"] == 1
    site.infos[IDS[0]] = site.infos[IDS[1]]
    assert audit()["available"] == 2
    report = audit(fresh=True)
    assert (report["available"], report["gone"], report["attrition"]) == (1, 3, 0.75)
