"""Configuration: defaults, differences, refused values, stable hashes."""

from __future__ import annotations

import hashlib
import json
import os

import pytest

from curation import filters
from curation.config import ConfigError, load_config
from talkingpose.io.errors import UserError


def written(tmp_path, text):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    return path


def test_a_file_names_only_what_differs(tmp_path):
    config = load_config(written(tmp_path, "filters:\n  length: {min_s: 5}\n  hands: null\n"))
    assert config.min_length_s == 5 and config.filters["hands"] is None
    assert config.filters["face"] == load_config().filters["face"]
    assert list(config.filters) == list(load_config().filters)


def test_the_hash_follows_what_changes_a_clip_and_nothing_else(tmp_path):
    default = load_config()
    assert load_config(written(tmp_path, "")).hash == default.hash
    assert load_config(written(tmp_path, "export: {max_shard_mb: 7}")).hash == default.hash
    assert load_config(written(tmp_path, "encode: {crf: 20}")).hash != default.hash
    assert load_config(written(tmp_path, "filters: {people: null}")).hash != default.hash


def test_the_hash_uses_the_former_section_names_and_the_versions_of_filters():
    """Records hold the hash: a new name of a section changes nothing, a new version of a filter does."""
    config = load_config()
    stored = config.model_dump(mode="json", exclude={"export", "workers", "download"})
    for later in ("gop", "audio"):  # not in the hash unless they are set
        del stored["encode"][later]
    stored["gate"], stored["rescue"] = stored.pop("keyframe_faces"), stored.pop("trim")
    versions = {name: filters.get(name).spec.version for name, own in config.filters.items() if own}
    stored["filter_versions"] = {name: number for name, number in versions.items() if number != "1"}
    assert stored["filter_versions"]["people"] == "2"
    assert config.hash == hashlib.sha256(json.dumps(stored, sort_keys=True).encode()).hexdigest()
    short = config.model_copy(update={"encode": config.encode.model_copy(update={"gop": 12})})
    assert short.hash != config.hash


def test_nine_to_sixteen_is_no_time_of_day(tmp_path):
    for text in ("crop: {mode: 9:16}", "crop: {mode: '9:16'}"):
        assert load_config(written(tmp_path, text)).crop.mode == "9:16"


def test_a_backend_on_the_command_line_is_over_that_of_the_file(tmp_path):
    file = written(tmp_path, "pose: {backend: dwpose, smooth_s: 0.1}")
    assert load_config(file).pose.backend == "dwpose"
    chosen = load_config(file, pose="mediapipe")
    assert chosen.pose.backend == "mediapipe" and chosen.pose.smooth_s == 0.1
    assert chosen.hash != load_config(file).hash
    with pytest.raises(ConfigError, match=r"--pose openpose: .*choose mediapipe or dwpose"):
        load_config(pose="openpose")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("filters: {hand: {min_share: 0.5}}", r"filters\.hand: no such setting"),
        ("filters: {hands: {min_share: 1.5}}", r"filters\.hands\.min_share: .*less than or equal to 1"),
        ("encode: {crf: lots}", r"encode\.crf: .*integer"),
        ("export: {splits: {train: 1, holdout: 1}}", "give shares of train, validation, test"),
        ("export: {splits: {train: 0}}", "not all 0"),
        ("filters: {length: {min_s: 0.1}}", "at least 3 samples"),
        ("gate: {every_s: 1}", r"gate: .*keyframe_faces"),
        ("rescue: null", r"rescue: .*trim"),
        ("acquisition: {workers: 2}", r"acquisition: .*download"),
        ("[" * 40 + "]" * 40, "nested deeper"),
        ("a: " + "x" * 17_000_000, "larger than"),
        ("? " + "x" * 50_000 + "\n: 1", "no such setting"),
        ("- a list", "no settings"),
        ("a: [", "invalid YAML"),
    ],
)
def test_invalid_files_are_refused_in_one_line(tmp_path, text, message):
    with pytest.raises(UserError, match=message) as raised:
        load_config(written(tmp_path, text))
    assert "\n" not in str(raised.value) and len(str(raised.value)) < 1000


def test_a_file_that_is_missing_or_not_regular_is_refused(tmp_path):
    with pytest.raises(UserError, match="No such file"):
        load_config(tmp_path / "none.yaml")
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(UserError, match="not a regular file"):
        load_config(tmp_path / "fifo")
