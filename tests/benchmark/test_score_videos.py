"""The public call that scores two videos."""

from __future__ import annotations

import doctest
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmark import ScoreError, metrics, score
from benchmark.results import read_case
from benchmark.runner.evaluate import RunSettings, evaluate
from benchmark.runner.scorer import read_frame_scores
from talkingpose.data.clips import ClipDataset
from tests.benchmark.metrics.scoring import panned
from tests.benchmark.short_runs import admit_short_clips

NAMES = ["psnr", "tje@2"]


@pytest.fixture(scope="module")
def real() -> np.ndarray:
    return panned(0, 8)


@pytest.fixture(scope="module")
def generated(real: np.ndarray) -> np.ndarray:
    return real + np.uint8(5)


@pytest.mark.parametrize("public", [score, metrics.get])
def test_the_example_in_the_docstring_runs(public: Callable[..., object]) -> None:
    (test,) = doctest.DocTestFinder(recurse=False).find(public, globs={"score": score})
    assert len(test.examples) >= 3
    assert doctest.DocTestRunner().run(test).failed == 0


def test_two_arrays_in_one_line(real: np.ndarray, generated: np.ndarray) -> None:
    result = score(real, generated, metrics=NAMES)
    assert list(result) == NAMES
    psnr = result["psnr"]
    expected = [
        10 * np.log10(255**2 / np.mean((r.astype(float) - g) ** 2))
        for r, g in zip(real, generated, strict=True)
    ]
    assert psnr.value == pytest.approx(np.mean(expected))
    assert psnr.curve == pytest.approx(expected)
    assert (psnr.unit, psnr.direction, psnr.state, psnr.reason) == ("dB", "higher", "ok", None)
    assert np.isnan(result["tje@2"].curve[:2]).all() and not np.isnan(result["tje@2"].curve[2:]).any()


def test_iterators_and_folders_give_the_numbers_of_arrays(
    real: np.ndarray, generated: np.ndarray, tmp_path: Path
) -> None:
    from PIL import Image

    for index, frame in enumerate(generated):
        Image.fromarray(frame).save(tmp_path / f"frame{index + 5}.png")
    expected = score(real, generated, metrics=NAMES)

    def reused() -> Iterator[np.ndarray]:
        buffer = np.empty_like(real[0])
        for frame in real:
            buffer[:] = frame
            yield buffer

    assert score(reused(), (Image.fromarray(frame) for frame in generated), metrics=NAMES) == expected
    assert score(real, tmp_path, metrics=NAMES) == expected


def test_the_numbers_are_those_of_a_run(short: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    admit_short_clips(monkeypatch)
    settings = RunSettings(
        model="flicker",
        dataset=str(short),
        out=tmp_path,
        device="cpu",
        in_process=True,
        limit=1,
        keep_frames=True,
    )
    run = evaluate(settings)
    case = read_case(tmp_path / "cases" / f"{run.cases[0]}.json")
    clips = ClipDataset(str(short))
    clip = next(clip for clip in clips.clips(case.split) if clip.clip_id == case.clip_id)
    video = tmp_path / "real.mp4"
    video.write_bytes(clips.video(clip))
    result = score(
        video,
        tmp_path / case.lossless.path,
        list(case.metrics),
        keypoints=clips.keypoints(clip),
    )
    for name, stored in case.metrics.items():
        if name == "lpips":
            continue
        assert (result[name].value, result[name].state) == (stored.value, stored.state), name
        if result[name].curve is not None:
            curve = read_frame_scores(tmp_path / "frames" / f"{case.clip_id}.parquet", name)
            np.testing.assert_array_equal(result[name].curve, curve)


def test_nothing_but_the_window_is_held() -> None:
    frame = np.zeros((64, 64, 3), np.uint8)
    score(iter([frame]), iter([frame]), metrics=NAMES)
    tracemalloc.start()
    score((frame for _ in range(500)), (frame for _ in range(500)), metrics=NAMES)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 40 * frame.nbytes


def test_a_family_stands_for_its_metrics(real: np.ndarray) -> None:
    assert list(score(real, real, metrics=["colour", "tje@3"])) == ["colour.mean", "colour.std", "tje@3"]
    assert list(score(real, real, metrics="psnr")) == ["psnr"]


def test_missing_inputs_make_a_metric_unavailable(real: np.ndarray) -> None:
    result = score(None, real, metrics=["psnr", "pose_motion", "portrait_colour.mean"], reference=real[0])
    assert [result[name].state for name in result] == ["unavailable", "unavailable", "ok"]
    assert "real=" in result["psnr"].reason and "keypoints=" in result["pose_motion"].reason
    assert score(real, real, metrics=["psnr.face"])["psnr.face"].state == "unavailable"
    without = score(None, real, metrics=["portrait_colour.mean"])["portrait_colour.mean"]
    assert without.state == "failed" and "reference image" in without.reason


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v[:5], "generated: 5 frames, real has more"),
        (lambda v: v[:, :40], r"real, frame 0: 112x96, expected 112x40"),
        (lambda v: v.astype(np.float32), r"generated: float32 \(8, 96, 112, 3\)"),
        (lambda v: [*v[:3], v[3, :, :, 0]], r"generated, frame 3: uint8 \(96, 112\)"),
        (lambda v: v[:0], "generated: 0 frames"),
        (lambda v: 5, "generated: int"),
    ],
)
def test_bad_input_is_one_line(real: np.ndarray, change: object, message: str) -> None:
    with pytest.raises(ScoreError, match=message) as error:
        score(real, change(real), metrics=NAMES)
    assert "\n" not in str(error.value)


def test_bad_poses_and_empty_folders_are_one_line(real: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(ScoreError, match="keypoints, frame 0"):
        score(real, real, keypoints=np.zeros((8, 17, 3)))
    with pytest.raises(ScoreError, match="keypoints: 7 frames"):
        score(real, real, keypoints=np.zeros((7, 133, 3)))
    with pytest.raises(ScoreError, match="no pictures"):
        score(real, tmp_path)
    with pytest.raises(ScoreError, match="fps"):
        score(real, real, fps=0)
    with pytest.raises(ScoreError, match="reference"):
        score(real, real, reference=real[0][:5])


def test_metrics_by_name() -> None:
    assert {"psnr", "psnr.face", "tje@64", "akd.hands", "fvd_third.last"} <= set(metrics.names())
    assert metrics.get("tje@5").spec.id == "tje@5"
    with pytest.raises(metrics.MetricError, match="did you mean psnr"):
        metrics.get("pnsr")
    for name in ("tje@0", "tje@-1", "tje@99999999999999"):
        with pytest.raises(metrics.MetricError):
            metrics.get(name)


def test_the_import_is_light() -> None:
    program = (
        "import sys, benchmark; assert not {'numpy', 'cv2', 'torch'} & set(sys.modules);"
        "from benchmark import score, metrics; assert 'torch' not in sys.modules and callable(score)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
