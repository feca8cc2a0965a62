"""Metrics that another package registers."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml

from benchmark import entry_points, metrics, score
from benchmark.cli.listing import listing
from benchmark.metrics import registry
from benchmark.metrics.registry import MetricError, family, metrics_of
from benchmark.protocols.protocol import ProtocolError, load_protocol
from benchmark.runner.evaluate import RunSettings, evaluate

EXAMPLE = Path(__file__).parents[3] / "examples" / "my_metric.py"
Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install a package with one module, given as text, and these entry points."""
    folder = tmp_path / "site-packages"

    def add(package: str, module: str, text: str, group: str = "talkingpose.metrics", **points: str) -> Path:
        info = folder / f"{package}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        lines = [f"{name} = {module}:{target}" for name, target in points.items()]
        (info / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines, ""]))
        (folder / f"{module}.py").write_text(text)
        monkeypatch.syspath_prepend(folder)
        clear()
        return folder / f"{module}.py"

    def clear() -> None:
        entry_points.registered.cache_clear()
        entry_points.load.cache_clear()
        for name in ("my_metric", "theirs"):
            sys.modules.pop(name, None)

    yield add
    monkeypatch.undo()
    clear()


@pytest.fixture
def example(install: Install) -> Path:
    return install(
        "example", "my_metric", EXAMPLE.read_text("utf-8"), edge_error="EdgeError", worst_frame="WorstFrame"
    )


def pair() -> tuple[np.ndarray, np.ndarray]:
    real = np.random.default_rng(0).integers(0, 200, (4, 16, 16, 3), np.uint8)
    generated = real.copy()
    generated[2] += np.uint8(8)
    return real, generated


@pytest.mark.usefixtures("example")
def test_the_example_is_listed_and_scored() -> None:
    rows = {row["id"]: row for row in listing("metrics")}
    assert rows["edge_error"]["package"] == "example" and rows["psnr"]["package"] == ""
    assert {"edge_error", "worst_frame"} <= set(metrics.names())
    result = score(*pair(), metrics=["edge_error", "worst_frame", "psnr"])
    assert (result["edge_error"].value, result["worst_frame"].value) == (0, 8)
    assert list(result["edge_error"].curve) == [0, 0, 0, 0]


@pytest.mark.usefixtures("example")
def test_the_example_is_part_of_a_protocol_and_of_its_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = load_protocol("tp-long@1").sha256()
    protocol = load_protocol("tp-long+worst_frame+pose+edge_error@1")
    assert protocol.name == "tp-long+pose+edge_error+worst_frame@1"
    assert load_protocol(protocol.name) == protocol
    before = protocol.sha256()
    assert load_protocol("tp-long@1").sha256() == plain
    monkeypatch.setattr(registry, "distribution", lambda entry: "another")
    assert protocol.sha256() != before  # the package that registers a metric counts


def test_a_new_version_is_a_new_hash(example: Path) -> None:
    before = load_protocol("tp-long+edge_error@1")
    example.write_text(example.read_text("utf-8").replace("version=1", "version=2"), "utf-8")
    sys.modules.pop("my_metric")
    entry_points.load.cache_clear()
    assert load_protocol("tp-long+edge_error@1").sha256() != before.sha256()
    with pytest.raises(MetricError, match="version 1 is demanded, version 2 is installed"):
        metrics_of(before.metrics, before.deltas)


@pytest.mark.usefixtures("example")
def test_a_protocol_file_names_it(tiny: Path, tmp_path: Path) -> None:
    rules = load_protocol("tp-mini@1").model_dump(mode="json")
    rules |= {"id": "mine", "title": "Mine", "metrics": {"psnr": 1, "edge_error": 1}, "deltas": [1]}
    rules["admission"]["min_frames"] = 8
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(rules), "utf-8")
    settings = RunSettings(
        model="brightness",
        dataset=str(tiny),
        out=tmp_path / "run",
        device="cpu",
        protocol=str(path),
        in_process=True,
    )
    run = evaluate(settings)
    assert run.status == "complete"
    assert (run.protocol.id, run.protocol.sha256) == ("mine", load_protocol(str(path)).sha256())
    assert run.metrics["edge_error"].state == "ok" and "edge_error" in run.drift
    assert json.loads((tmp_path / "run/run.json").read_text())["metrics"]["edge_error"]["unit"] == "level"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": "tp-long"}, "name of a bundled protocol"),
        ({"id": "../up"}, "id: "),
        ({"metrics": None}, "metrics: "),
        ({"deltas": ["x"]}, r"deltas\.0: "),
        ({"colour": 1}, "colour: "),
    ],
)
def test_a_protocol_file_with_errors_is_one_line(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(load_protocol("tp-long@1").model_dump(mode="json") | change), "utf-8")
    with pytest.raises(ProtocolError, match=message) as error:
        load_protocol(str(path))
    assert "\n" not in str(error.value)


def test_a_broken_package_breaks_only_its_own_metric(install: Install) -> None:
    install("broken", "theirs", "raise RuntimeError('no licence')", theirs="Metric")
    assert "psnr" in metrics.names() and "theirs" not in metrics.names()
    row = next(row for row in listing("metrics") if row["id"] == "theirs")
    assert "RuntimeError: no licence" in str(row["title"])
    with pytest.raises(MetricError, match=r"theirs.*no licence"):
        load_protocol("tp-long+theirs@1")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("class Metric: pass", "is not a metric"),
        ("Metric = [1]", "is not a metric"),
        ("class Metric:\n    def __init__(self, size): pass", "cannot be created"),
        ("Other = 1", "has no attribute"),
    ],
)
def test_an_object_that_breaks_the_contract_is_named(install: Install, text: str, message: str) -> None:
    install("odd", "theirs", text, theirs="Metric")
    with pytest.raises(MetricError, match=message) as error:
        family("theirs")
    assert "\n" not in str(error.value)


def test_nobody_replaces_a_metric(install: Install) -> None:
    install("rival", "my_metric", EXAMPLE.read_text("utf-8"), psnr="EdgeError", other="EdgeError")
    with pytest.raises(MetricError, match=r"psnr: registered twice: benchmark.*rival"):
        load_protocol("tp-long@1").sha256()
    install("copy", "theirs", EXAMPLE.read_text("utf-8"), edge_error="EdgeError")
    with pytest.raises(MetricError, match="edge_error is taken"):
        metrics_of({"other": 1, "edge_error": 1}, ())


def test_a_feature_of_another_package_is_read(install: Install) -> None:
    text = """
from benchmark.features.contract import FeatureSpec

class Red:
    spec = FeatureSpec(id="red", version=4, definition="mean of red", packages=("numpy",))

    def extract(self, window, side, back):
        return float(window.image(side, back)[..., 0].mean())
"""
    install("reds", "theirs", text, group="talkingpose.features", red="Red")
    from benchmark.features.registry import identity, load_extractors

    assert identity(["red"])["red"] == {
        "version": 4,
        "weights": {},
        "packages": {"numpy": np.__version__},
    }
    assert set(load_extractors(["red"])) == {"red"}


BROKEN = """
from benchmark.metrics import CaseScore, FrameMean, MetricSpec

class Metric:
    spec = MetricSpec("theirs", 1, "1", "lower", "frame", 0, "a", "b", "c")

    def start(self, case):
        return self

    def update(self, window):
        if window.t == 2:
            raise ValueError("cannot\\ndivide")
        return float("inf") if window.t else 1.0

    def finish(self):
        return CaseScore(value=float("nan"), n_frames=1, state="ok")
"""


def test_a_metric_that_raises_stops_alone(install: Install) -> None:
    install("odd", "theirs", BROKEN, theirs="Metric")
    result = score(*pair(), metrics=["theirs", "l1"])
    assert (result["theirs"].value, result["theirs"].state) == (None, "failed")
    assert "failed at frame 2: ValueError: cannot divide (theirs.py:" in str(result["theirs"].reason)
    np.testing.assert_array_equal(result["theirs"].curve, [1, np.nan, np.nan, np.nan])
    assert result["l1"].value == 2
    real, generated = pair()
    late = score(real[:2], generated[:2], metrics=["theirs"])["theirs"]
    assert late.state == "failed" and "after the last frame" in str(late.reason)
