"""Variance over seeds, clips and persons: known parts are recovered, and compare averages over seeds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmark.analysis.compare import ComparisonError, compare
from benchmark.analysis.seeds import variance_parts
from benchmark.runner.devices import same_device
from benchmark.runner.evaluate import RunSettings
from benchmark.runner.seeds import evaluate_seeds, seed_folders
from talkingpose.io.progress import SILENT
from tests.benchmark.tiny_runs import IDS


def test_known_parts_are_recovered_on_average() -> None:
    generator = np.random.default_rng(0)
    wanted, found = {"seed": 0.5, "person": 4.0, "clip": 2.0, "residual": 5.0}, []
    persons = [f"p{person}" for person in range(12) for _ in range(1 + person % 4)]
    index = np.unique(persons, return_inverse=True)[1]
    for _ in range(300):
        seeds, clips = 5, len(persons)
        values = generator.normal(0, wanted["residual"] ** 0.5, (seeds, clips))
        values += generator.normal(0, wanted["seed"] ** 0.5, (seeds, 1))
        values += generator.normal(0, wanted["clip"] ** 0.5, clips)
        values += generator.normal(0, wanted["person"] ** 0.5, 12)[index]
        found.append(variance_parts(values, persons))
    for name, value in wanted.items():
        assert np.mean([getattr(parts, name) for parts in found]) == pytest.approx(value, rel=0.15), name


def test_one_clip_of_each_person_gives_no_part_of_persons() -> None:
    values = np.array([[1.0, 5.0, 9.0], [1.0, 5.0, 9.0]])
    parts = variance_parts(values, ["a", "b", "c"])
    assert (parts.seed, parts.person, parts.clip, parts.residual) == (0, 0, 16, 0)
    assert variance_parts(values, ["a", "a", "a"]).person is None
    with pytest.raises(ValueError, match="two seeds"):
        variance_parts(values[:1], ["a", "b", "c"])


@pytest.mark.usefixtures("tiny_rules")
def test_runs_of_several_seeds_are_compared_by_their_means(tiny: Path, tmp_path: Path) -> None:
    def settings(out: Path, strength: str) -> RunSettings:
        return RunSettings(
            model="tests.benchmark.sample_contestants:Noise",
            dataset=str(tiny),
            out=out,
            device="cpu",
            in_process=True,
            model_args={"strength": strength},
        )

    for name, strength in (("a", "9"), ("b", "40")):
        runs = evaluate_seeds(settings(tmp_path / name, strength), 2, same_device("cpu", 1, ""), SILENT)
        assert [run.seed for run in runs] == [0, 1]
    assert [folder.name for folder in seed_folders(tmp_path / "a")] == ["seed-0", "seed-1"]
    found = compare(tmp_path / "a", tmp_path / "b", metrics=["psnr"])
    single = [compare(tmp_path / f"a/seed-{n}", tmp_path / f"b/seed-{n}", metrics=["psnr"]) for n in (0, 1)]
    means = np.mean([one.metrics[0].difference for one in single])
    assert found.metrics[0].difference == pytest.approx(means)
    assert found.variance["psnr"].n_seeds == 2 and found.variance["psnr"].n_clips == len(IDS)
    assert single[0].variance == {}
    (tmp_path / "empty").mkdir()
    with pytest.raises(Exception, match="run"):
        compare(tmp_path / "a", tmp_path / "empty")
    # Other settings in one folder of seeds are no repetition.
    (tmp_path / "b" / "seed-1").rename(tmp_path / "a" / "seed-2")
    with pytest.raises(ComparisonError, match="seed-2"):
        compare(tmp_path / "a", tmp_path / "b")
