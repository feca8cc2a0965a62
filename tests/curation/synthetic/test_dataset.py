"""`tp-curate synth`: a dataset of synthetic speakers."""

from __future__ import annotations

import hashlib
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from commands import tp_curate

from curation.store import StoreError
from curation.synthetic import SeedError, frames
from curation.synthetic.dataset import (
    SyntheticError,
    SyntheticSettings,
    draw_dataset,
)
from curation.synthetic.pairs import SyntheticPairs
from curation.synthetic.seeds import HELD_OUT_SEEDS
from talkingpose.data.clips import ClipDataset
from talkingpose.data.schema import COLUMNS, CONFIGS
from talkingpose.io.progress import Progress
from talkingpose.media import VideoReader

OPTIONS: dict[str, Any] = {
    "clips": 4,
    "frames": (5, 9),
    "size": 64,
    "first_seed": 40,
    "rates": (Fraction(25), Fraction(30000, 1001)),
    "splits": (("train", 1), ("test", 1)),
    "crf": 14,
}
WORDS = ("--clips", "4", "--frames", "5-9", "--size", "64", "--seed", "40", "--fps", "25,30000/1001",
         "--splits", "train=1,test=1", "--crf", "14")  # fmt: skip


def content(folder: Path) -> dict[str, str]:
    """Hashes of the files of a dataset, without the state of runs."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if ".curation" not in path.parts
    }


def rows(folder: Path) -> dict[str, dict[str, Any]]:
    """Rows of all splits by source id."""
    found = [row for path in sorted((folder / "clips").iterdir()) for row in pq.read_table(path).to_pylist()]
    return {row["source_id"]: row for row in found}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("drawn") / "set"
    draw_dataset(SyntheticSettings(**OPTIONS), out, workers=1)
    return out


@pytest.mark.usefixtures("in_this_process")
def test_the_command_gives_the_bytes_of_other_processes(folder: Path, tmp_path: Path) -> None:
    code, out, error = tp_curate("synth", "--out", tmp_path / "again", *WORDS, "--json")
    assert code == 0, error
    assert content(tmp_path / "again") == content(folder)
    document = json.loads(out)
    assert document["clips"] == 4 and sum(document["splits"].values()) == 4


def test_clips_contain_the_frames_and_keypoints_of_the_renderer(folder: Path) -> None:
    found = rows(folder)
    assert sorted(found) == ["drawn-40", "drawn-41", "drawn-42", "drawn-43"]
    for index, (source_id, row) in enumerate(sorted(found.items())):
        rate = OPTIONS["rates"][index % 2]
        assert set(row) == set(COLUMNS["clips"])
        assert row["fps"] == float(rate) and (row["width"], row["height"]) == (64, 64)
        assert (row["time_base_num"], row["time_base_den"]) == (rate.denominator, rate.numerator)
        assert 5 <= row["num_frames"] <= 9 and row["end_pts"] == row["num_frames"]
        seed = int(source_id.removeprefix("drawn-"))
        drawn = list(frames(seed, seed, row["num_frames"], 64, float(rate)))
        assert np.array_equal(
            np.array(row["keypoints"], np.float16),
            np.stack([points for _, points in drawn]).astype(np.float16),
        )
        with VideoReader(row["video"]["bytes"], name=source_id) as reader:
            decoded = [frame.image for frame in reader]
        errors = [
            (image.astype(float) - stored) ** 2 for (image, _), stored in zip(drawn, decoded, strict=True)
        ]
        assert np.mean(errors) < 60
        assert hashlib.sha256(row["video"]["bytes"]).hexdigest() == row["sha256"]
        assert (row["source"], row["person_id"], row["license"]) == ("synthetic", source_id, "CC0-1.0")
        assert {k for k, v in row["scores"].items() if v is not None} == {"brightness", "single_person"}
        assert row["source_sha256"] is None and row["fetched_at"] is None and row["url"] is None


def test_datasets_and_clip_dataset_read_it(folder: Path, tmp_path: Path) -> None:
    import datasets

    for config in CONFIGS:
        loaded = datasets.load_dataset(str(folder), config, cache_dir=str(tmp_path))
        assert sum(len(split) for split in loaded.values()) == 4
    dataset = ClipDataset(str(folder))
    people = [{clip.group for clip in dataset.clips(split)} for split in dataset.splits]
    assert sum(map(len, people)) == len(set().union(*people)) == 4
    card = (folder / "README.md").read_text()
    assert "license: cc0-1.0" in card and f"tp-curate synth --out DIR {' '.join(WORDS)}" in card


@pytest.mark.usefixtures("in_this_process")
def test_finished_clips_are_not_drawn_again(folder: Path, tmp_path: Path) -> None:
    smaller = SyntheticSettings(**OPTIONS | {"clips": 2})
    draw_dataset(smaller, tmp_path / "set", workers=1)
    steps: list[int] = []

    class Counted(Progress):
        def advance(self, count: int = 1) -> None:
            steps.append(count)

    for _ in range(2):
        draw_dataset(SyntheticSettings(**OPTIONS), tmp_path / "set", workers=1, progress=Counted())
    assert steps == [2, 1, 1, 4]
    # Rates are used in turn from the first clip on, so a longer dataset begins like a shorter one.
    assert content(tmp_path / "set") == content(folder)
    with pytest.raises(SyntheticError, match="another dataset"):
        draw_dataset(smaller, tmp_path / "set", workers=1)


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(StoreError, match="not empty"):
        draw_dataset(SyntheticSettings(**OPTIONS), tmp_path, workers=1)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("change", "option"),
    [
        ({"clips": 0}, "--clips 0"),
        ({"frames": (9, 5)}, "--frames 9-5"),
        ({"size": 100}, "--size 100"),
        ({"size": 4096}, "--size 4096"),
        ({"first_seed": -1}, "--seed -1"),
        ({"first_seed": 2**63 - 2}, "--seed"),
        ({"rates": (Fraction(1000),)}, "--fps 1000"),
        ({"splits": (("val", 1.0),)}, "--splits val=1"),
        ({"splits": (("test", 0.0),)}, "--splits test=0"),
        ({"crf": 52}, "--crf 52"),
    ],
)
def test_invalid_settings_are_refused(change: dict[str, Any], option: str) -> None:
    with pytest.raises(SyntheticError, match=option) as caught:
        SyntheticSettings(**OPTIONS | change)
    assert "\n" not in str(caught.value)


def test_options_are_parsed_or_refused() -> None:
    def parse(frames: str = "7", fps: str = "25", splits: str = "train=1") -> SyntheticSettings:
        return SyntheticSettings.parse(1, frames, 64, 0, fps, splits, 18)

    assert parse("7").frames == (7, 7) and parse("7-9").frames == (7, 9)
    assert parse(fps="25,24000/1001").rates == (Fraction(25), Fraction(24000, 1001))
    assert parse(splits="train=9,test=1").splits == (("train", 9.0), ("test", 1.0))
    for wrong in ({"frames": "7-"}, {"frames": "many"}, {"fps": "1/0"}, {"splits": "a"}):
        (text,) = wrong.values()
        with pytest.raises(SyntheticError, match=text):
            parse(**wrong)


def test_a_wrong_option_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    code, out, error = tp_curate("synth", "--out", tmp_path / "set", *WORDS, "--fps", "fast")
    assert (code, out) == (2, "")
    assert len(error.splitlines()) == 1 and "--fps fast" in error
    assert not (tmp_path / "set").exists()


def test_training_never_uses_the_speakers_of_tp_mini() -> None:
    first = HELD_OUT_SEEDS.start
    for identities, seed in ((1, first), (2, first - 1), (1, HELD_OUT_SEEDS.stop - 1), (10**6, first - 9)):
        with pytest.raises(SeedError, match="tp-mini"):
            SyntheticPairs(identities, seed)
    assert len(SyntheticPairs(1, first - 1)) == len(SyntheticPairs(1, HELD_OUT_SEEDS.stop)) == 1
