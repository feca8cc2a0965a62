"""Filters of other packages: `examples/my_filter.py`, installed as a package of its own."""

from __future__ import annotations

import pickle
import shutil
import sys
from pathlib import Path

import pytest
from fake_detectors import FAKE, SPEAKER
from shot_videos import frames

from curation import filters
from curation.config import Config, ConfigError, load_config
from curation.filters import FilterError, registry
from curation.report import explain
from curation.sources import find_sources, identify
from curation.store import Store
from curation.worker import Job, process
from talkingpose.media import VideoWriter

EXAMPLE = Path(__file__).parents[3] / "examples" / "my_filter.py"


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Make a module importable and register entry points, as `pip install` does."""

    def package(name: str, entries: dict[str, str]) -> None:
        info = tmp_path / "site" / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        lines = [f"{key} = {target}" for key, target in entries.items()]
        (info / "entry_points.txt").write_text("\n".join(["[talkingpose.filters]", *lines]))
        shutil.copy(EXAMPLE, tmp_path / "site" / "my_filter.py")
        monkeypatch.syspath_prepend(str(tmp_path / "site"))
        clear()

    def clear() -> None:
        registry._entries.cache_clear()
        registry.get.cache_clear()

    yield package
    monkeypatch.undo()
    sys.modules.pop("my_filter", None)
    clear()


@pytest.fixture
def example(install) -> None:
    install(
        "my-filters",
        {
            "centred": "my_filter:CentredFilter",
            "landscape": "my_filter:LandscapeFilter",
            "broken": "my_filter:Nil",
        },
    )


def config(folder: Path, text: str) -> Config:
    path = folder / "config.yaml"
    path.write_text(text)
    return load_config(path)


ON = "filters: {landscape: {}, centred: {max_offset: 0.2}}"


def test_the_example_appears_in_the_verdict_and_in_explain(tmp_path, example):
    video = tmp_path / "upright.mp4"
    with VideoWriter(video, fps=25, preset="ultrafast") as writer:
        for picture in frames(SPEAKER, 80, 0, (96, 160)):
            writer.write(picture)
    own = pickle.loads(pickle.dumps(config(tmp_path, ON)))  # as it travels to a worker
    store = Store(tmp_path / "data")
    job = Job(identify(find_sources([video])[0]), own, "recipe", {}, FAKE, tmp_path / "clips")
    with store.locked():
        store.write(process(job))
    (shot,) = store.records()[0].shots
    assert (shot.verdict, shot.reason) == ("reject", "upright video")
    by_name = {one.filter: one for one in shot.findings}
    assert list(by_name)[-3:] == ["centred", "landscape", "steady"]
    centred = by_name["centred"]
    assert (centred.passed, centred.threshold, centred.at_least, centred.min_share) == (True, 0.2, False, 0.9)
    assert centred.measured == pytest.approx(0)
    text = "\n".join(explain.lines(explain.find_decisions(store.out, "upright.mp4")))
    assert "centred" in text and "landscape" in text and "upright video" in text


def test_the_hash_follows_settings_and_version_of_a_filter_and_not_its_presence(
    tmp_path, example, monkeypatch
):
    assert {"centred", "landscape", "face"} <= set(filters.names())
    plain = load_config().hash
    assert "centred" not in load_config().filters
    assert config(tmp_path, "filters: {centred: null}").hash == plain
    hashes = {
        plain,
        config(tmp_path, ON).hash,
        config(tmp_path, "filters: {landscape: {}}").hash,
        config(tmp_path, ON.replace("0.2", "0.3")).hash,
    }
    import my_filter

    monkeypatch.setattr(my_filter.LandscapeFilter, "version", "2", raising=False)
    registry.get.cache_clear()
    hashes.add(config(tmp_path, ON).hash)
    assert len(hashes) == 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("filters: {centred: {max_offset: 2}}", r"filters\.centred\.max_offset: .*0\.5"),
        ("filters: {landscape: {max: 2}}", r"filters\.landscape\.max: no such setting"),
        ("filters: {centered: {}}", r"filters\.centered: no such setting: .*centred"),
    ],
)
def test_settings_are_checked_as_those_of_bundled_filters(tmp_path, example, text, message):
    with pytest.raises(ConfigError, match=message):
        config(tmp_path, text)


def test_a_filter_that_cannot_be_loaded_disturbs_nobody_who_does_not_name_it(tmp_path, example):
    assert load_config().filters
    with pytest.raises(FilterError, match=r"filter broken: cannot load my_filter:Nil"):
        config(tmp_path, "filters: {broken: {}}")


def test_a_name_stands_for_one_filter(install):
    install("others", {"face": "my_filter:CentredFilter", "other": "my_filter:CentredFilter"})
    with pytest.raises(FilterError, match=r"filter face: registered as curation.* and my_filter"):
        filters.get("face")
    with pytest.raises(FilterError, match="another name"):
        filters.get("other")
