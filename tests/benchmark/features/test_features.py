"""Features: computed once per frame, dropped with age, unavailable without weights, stored for sets."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark import entry_points
from benchmark.features import registry
from benchmark.features.contract import FeatureError, FeatureSpec
from benchmark.features.registry import identity, load_extractors, with_needed
from benchmark.metrics import CaseShape, ClipArrays, MetricSpec, SetScore
from benchmark.metrics.scoring import Scoring
from benchmark.metrics.window import PairWindow
from benchmark.protocols.protocol import load_protocol
from benchmark.results import CaseResult
from benchmark.rules import Aggregation
from benchmark.runner.aggregate import summaries
from benchmark.runner.evaluate import RunSettings, evaluate
from benchmark.runner.scorer import read_features
from talkingpose.weights import WeightsError, read_lock


class Brightness:
    """Mean of a frame; counts its computations."""

    spec = FeatureSpec(id="brightness", version=1, definition="mean")
    asked = 0

    def extract(self, window: PairWindow, side: Any, back: int) -> float:
        type(self).asked += 1
        return float(window.image(side, back).mean())


class Doubled:
    """A feature of a feature."""

    spec = FeatureSpec(id="doubled", version=3, definition="twice the mean", features=("brightness",))

    def extract(self, window: PairWindow, side: Any, back: int) -> float:
        return 2 * window.feature("brightness", side, back)


class Absent:
    """A feature without its weights."""

    spec = FeatureSpec(id="absent", version=1, definition="none", weights=("lpips-alex",))

    def __init__(self) -> None:
        raise WeightsError("absent needs it: not here: tp-eval weights fetch lpips-alex")


class Levels:
    """A collection: mean of both frames, of every tenth pair."""

    spec = FeatureSpec(id="levels", version=1, definition="means", features=("brightness",))

    def __init__(self) -> None:
        self.rows: list[tuple[float, float]] = []

    def start(self, case: CaseShape) -> Levels:
        return Levels()

    def update(self, window: PairWindow) -> None:
        if window.t % 10 == 0:
            self.rows.append(
                (window.feature("brightness", "real"), window.feature("brightness", "generated"))
            )

    def finish(self) -> dict[str, np.ndarray]:
        rows = np.array(self.rows, np.float32)
        return {"real": rows[:, :1], "generated": rows[:, 1:]}


class FrameLevel:
    """A metric of frames that reads a feature of the frame and of the portrait."""

    def __init__(self, feature: str = "doubled", name: str = "level") -> None:
        self.spec = MetricSpec(name, 1, "level", "none", "frame", 0, "a", "b", "c", features=(feature,))

    def start(self, case: CaseShape) -> FrameLevel:
        return self

    def update(self, window: PairWindow) -> float:
        (name,) = self.spec.features
        return window.feature(name, "generated") - window.feature(name, "reference")

    def finish(self) -> Any:
        from benchmark.results import CaseScore

        return CaseScore(value=1.0, n_frames=1, state="ok")


class LevelGap:
    """A metric of the whole set."""

    spec = MetricSpec("gap", 1, "level", "lower", "set", 0, "a", "b", "c", collections=("levels",))

    def score(self, clips: Sequence[ClipArrays], rule: Aggregation) -> SetScore:
        real, generated = (
            np.concatenate([clip.arrays["levels"][name] for clip in clips]) for name in ("real", "generated")
        )
        return SetScore(float(np.abs(real.mean() - generated.mean())), (0.0, 1.0), f"{len(real)} samples")


def register(monkeypatch: pytest.MonkeyPatch, known: dict[str, Any]) -> None:
    """Let the registry find these classes first."""
    monkeypatch.setattr(
        registry, "load", lambda group, name: known[name] if name in known else entry_points.load(group, name)
    )


@pytest.fixture(autouse=True)
def own_features(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"brightness": Brightness, "doubled": Doubled, "absent": Absent, "levels": Levels}
    register(monkeypatch, known)
    monkeypatch.setattr(registry, "_loaded", {})
    monkeypatch.setattr(Brightness, "asked", 0)


def frames(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 16, 16, 3), np.uint8)


def scored(metrics: list[Any], count: int = 6) -> Scoring:
    scoring = Scoring(CaseShape("clip", Fraction(25), 16, 16, count), frames(1)[0], metrics)
    for real, generated in zip(frames(count), frames(count)[::-1], strict=True):
        scoring.window.push(real, generated)
        scoring.score()
    return scoring


def test_a_feature_is_computed_once_per_frame_however_many_metrics_read_it() -> None:
    scored([FrameLevel("doubled", "a"), FrameLevel("doubled", "b"), FrameLevel("brightness", "c")])
    assert Brightness.asked == 6 + 1  # every generated frame, and the portrait once


def test_the_real_frame_and_its_features_are_shared_by_a_second_window() -> None:
    window, beside = (PairWindow(2, extractors=load_extractors(["brightness"])) for _ in range(2))
    for frame in frames(3):
        window.push(frame, frame)
        beside.push_beside(window, frame)
        assert window.feature("brightness", "real") == beside.feature("brightness", "real")
    assert Brightness.asked == 3


def test_features_are_dropped_with_age() -> None:
    window = PairWindow(4, extractors=load_extractors(["brightness"]), feature_lookback=1)
    for frame in frames(5):
        window.push(frame, frame)
        window.feature("brightness", "real")
    window.feature("brightness", "real", 1)
    assert Brightness.asked == 5
    window.feature("brightness", "real", 3)
    assert Brightness.asked == 6


def test_an_undeclared_feature_is_an_error() -> None:
    window = PairWindow(0)
    window.push(*frames(2))
    for ask in (
        lambda: window.feature("brightness", "real"),
        lambda: window.keypoints(),
        lambda: window.reference,
    ):
        with pytest.raises(LookupError):
            ask()


def test_needed_features_come_first() -> None:
    assert with_needed(["doubled", "brightness"]) == ("brightness", "doubled")
    assert set(load_extractors(["doubled"])) == {"brightness", "doubled"}


def test_a_missing_feature_makes_its_metric_unavailable() -> None:
    scores, _ = scored([FrameLevel("absent", "lost"), FrameLevel("brightness", "kept")]).finish()
    assert (scores["lost"].state, scores["lost"].value) == ("unavailable", None)
    assert scores["lost"].reason == "absent needs it: not here: tp-eval weights fetch lpips-alex"
    assert scores["kept"].state == "ok"


def test_a_missing_library_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(Brightness):
        def __init__(self) -> None:
            raise ImportError("No module named 'onnxruntime'")

    register(monkeypatch, {"brightness": Broken})
    with pytest.raises(FeatureError, match=r"onnxruntime.*install"):
        load_extractors(["brightness"])


def test_the_identity_covers_versions_and_weights() -> None:
    assert identity(["doubled"]) == {
        "brightness": {"version": 1, "weights": {}},
        "doubled": {"version": 3, "weights": {}},
    }
    assert identity(["absent"])["absent"]["weights"] == {"lpips-alex": read_lock()["lpips-alex"].sha256}


@pytest.mark.usefixtures("tiny_rules")
def test_collected_arrays_are_stored_and_scored_together(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "benchmark.runner.summarize.metrics_of", lambda versions, deltas: [LevelGap(), FrameLevel()]
    )
    found = []
    for batch_size in (1, 3):
        out = tmp_path / str(batch_size)
        run = evaluate(
            RunSettings(
                model="frozen",
                dataset=str(tiny),
                out=out,
                device="cpu",
                in_process=True,
                batch_size=batch_size,
            ),
        )
        found.append({path.name: path.read_bytes() for path in sorted((out / "features").iterdir())})
        gap = run.metrics["gap"]
        assert (gap.state, gap.n_cases, gap.n_frames, gap.ci95) == ("ok", 3, 2 + 2 + 2, (0.0, 1.0))
        assert gap.reason == "6 samples" and gap.value is not None and gap.value > 0
        case = CaseResult.model_validate_json((out / "cases/tiny-a.json").read_bytes())
        assert case.features is not None and case.features.path == "features/tiny-a.npz"
        stored = read_features(out / case.features.path)["levels"]
        assert stored["real"].shape == (2, 1)
    assert found[0] == found[1] and len(found[0]) == 3


@pytest.mark.usefixtures("tiny_rules")
def test_a_lost_features_file_is_written_again(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmark.runner.summarize.metrics_of", lambda versions, deltas: [LevelGap()])
    settings = RunSettings(
        model="frozen", dataset=str(tiny), out=tmp_path / "run", device="cpu", in_process=True
    )
    first = evaluate(settings)
    lost = tmp_path / "run/features/tiny-b.npz"
    content = lost.read_bytes()
    lost.unlink()
    assert evaluate(settings).metrics == first.metrics
    assert lost.read_bytes() == content


def test_a_set_metric_without_its_feature_is_unavailable() -> None:
    class Lost(LevelGap):
        spec = MetricSpec("gap", 1, "level", "lower", "set", 0, "a", "b", "c", features=("absent",))

    scores, arrays = scored([Lost()]).finish()
    case = CaseResult(
        schema="talkingpose.case/1",
        key="k",
        clip_id="clip",
        split="test",
        cluster="anna",
        seed=0,
        num_frames=6,
        width=16,
        height=16,
        fps="25",
        metrics=scores,
        frames_sha256="0",
        generation_s=0,
        scoring_s=0,
    )
    rule = load_protocol("tp-long@1").aggregation
    summary = summaries([Lost()], [case], 1, rule, lambda case: arrays)["gap"]
    assert (summary.state, summary.value) == ("unavailable", None)
    assert "tp-eval weights fetch" in str(summary.reason)
