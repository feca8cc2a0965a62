"""Settings: defaults, what a file changes, what it may not say."""

from __future__ import annotations

import pytest

from curation.config import ConfigError, load_config
from curation.filters import FILTERS


def written(tmp_path, text):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    return path


def test_a_file_names_only_what_differs(tmp_path):
    config = load_config(written(tmp_path, "filters:\n  length: {min_s: 5}\n  hands: null\n"))
    assert config.filters.length.min_s == 5 and config.filters.hands is None
    assert config.filters.face == load_config().filters.face
    assert list(config.filter_settings) == list(FILTERS)


def test_the_hash_follows_what_changes_a_clip_and_nothing_else(tmp_path):
    default = load_config()
    assert load_config(written(tmp_path, "")).hash == default.hash
    assert load_config(written(tmp_path, "export: {max_shard_mb: 7}")).hash == default.hash
    assert load_config(written(tmp_path, "encode: {crf: 20}")).hash != default.hash
    assert load_config(written(tmp_path, "filters: {people: null}")).hash != default.hash


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
        ("filters: {hand: {min_share: 0.5}}", r"filters\.hand: there is no such setting"),
        ("filters: {hands: {min_share: 1.5}}", r"filters\.hands\.min_share: .*less than or equal to 1"),
        ("encode: {crf: lots}", r"encode\.crf: .*integer"),
        ("export: {splits: {train: 1, holdout: 1}}", "give shares of train, validation, test"),
        ("export: {splits: {train: 0}}", "not all 0"),
        ("filters: {length: {min_s: 0.1}}", "at least 3 samples"),
        ("- a list", "holds no settings"),
        ("a: [", "no YAML"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        load_config(written(tmp_path, text))


def test_no_such_file(tmp_path):
    with pytest.raises(ConfigError, match="No such file"):
        load_config(tmp_path / "none.yaml")
