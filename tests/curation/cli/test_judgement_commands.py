"""Commands explain, report, calibrate and estimate."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from made_records import source, span
from shot_videos import write_shots
from typer.testing import CliRunner

from curation.cli.app import app
from curation.config import load_config
from curation.dataset.export import export
from curation.release.forget import forget
from curation.store import Store
from talkingpose.io.errors import UserError


def tp_curate(*words: object):
    # As `console.run` does: the exit code is the value that the command returns.
    return CliRunner().invoke(app, [str(word) for word in words], standalone_mode=False)


@pytest.fixture
def folder(tmp_path) -> Path:
    store = Store(tmp_path / "data")
    with store.locked():
        pass
    records = [source("good.mp4", span(0, clip_id="abc123")), source("bad.mp4", span(0, sharp=0.1))]
    for record in records:
        clips = store.clip_folder(record.source_id, record.recipe)
        clips.mkdir(parents=True)
        for clip in record.clips:
            (clips / f"{clip.clip_id}.mp4").write_bytes(bytes(clip.num_bytes))
            arrays = {
                "keypoints": np.zeros((100, 133, 3), np.float16),
                "boxes": np.zeros((100, 4), np.float32),
            }
            np.savez(clips / f"{clip.clip_id}.npz", **arrays)
        store.write(record)
    return tmp_path / "data"


def test_explain(folder):
    done = tp_curate("explain", folder, "abc")
    assert done.return_value == 0 and "KEPT  frames 0 to 99" in done.output
    (one,) = json.loads(tp_curate("explain", folder, "bad.mp4", "--json").output)
    assert one["span"]["verdict"] == "reject" and one["span"]["reasons"] == ["bad sharp"]
    assert isinstance(tp_curate("explain", folder, "nothing").exception, UserError)


def test_report_is_deleted_by_forget(folder):
    done = tp_curate("report", folder, "--pictures", 1)
    assert done.return_value == 0 and done.output.strip() == str(folder / "report.html")
    assert "bad sharp" in (folder / "report.html").read_text()
    forget(folder, "id-bad.mp4", load_config().export)
    assert not (folder / "report.html").exists()


def test_forget_updates_tar_files(folder, tmp_path):
    store = Store(folder)
    export(store, store.records(), load_config().export)
    done = tp_curate("webdataset", folder, "--to", tmp_path / "tar")
    assert done.return_value == 0
    (file,) = (tmp_path / "tar").iterdir()
    with tarfile.open(file) as tar:
        assert "abc123.keypoints.npy" in tar.getnames()
    forget(folder, "id-good.mp4", load_config().export)
    assert list((tmp_path / "tar").iterdir()) == []


def test_calibrate(folder, tmp_path):
    table = tmp_path / "labels.csv"
    table.write_text("file,good\ngood.mp4,yes\nbad.mp4,no\n")
    done = tp_curate("calibrate", table, folder, "--column", "good", "--json")
    document = json.loads(done.output)
    assert done.return_value == 0
    assert document["by_source"] == {"precision": 1.0, "recall": 1.0, "yield_": 0.5}
    table.write_text("file,good\ngood.mp4,yes\nbad.mp4,no\nmissing.mp4,no\n")
    done = tp_curate("calibrate", table, folder, "--column", "good")
    assert done.return_value == 3 and "labelled, not in the run: missing.mp4" in done.output
    table.write_text("file,good\nmissing.mp4,no\n")
    assert isinstance(tp_curate("calibrate", table, folder, "--column", "good").exception, UserError)


def test_estimate_curates_a_sample_and_keeps_the_results(tmp_path, fake_models, in_this_process):
    for number in range(3):
        write_shots(tmp_path / "in" / f"{number}.mp4", [((60, 180, 60), 80)], seed=number)
    words = ("--sample", 2, "--workers", 1, "--out", tmp_path / "data", "--json")
    done = tp_curate("estimate", tmp_path / "in", *words)
    assert done.return_value == 0
    document = json.loads(done.stdout)
    assert (document["sources"], document["sampled"], document["errors"]) == (3, 2, 0)
    assert document["hours_kept"]["value"] == pytest.approx(3 * 80 / 25 / 3600)
    assert document["clips"]["value"] == pytest.approx(3) and document["cpu_hours"]["value"] > 0
    assert len(Store(tmp_path / "data").records()) == 2
