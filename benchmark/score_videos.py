"""Scores of a generated video against the real one, without a dataset and without a run."""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmark.frame_input import FrameInput, Frames, ScoreError, open_frames
from benchmark.metrics import AnyMetric, CaseShape, ClipArrays, SetMetric, members
from benchmark.metrics.scoring import Scoring
from benchmark.protocols.protocol import load_protocol
from benchmark.results import CaseScore, Direction, State
from talkingpose.io.image import Image

Keypoints = npt.NDArray[np.float32]

DEFAULT_METRICS = ("psnr", "ssim", "tje@2")
DEFAULT_FPS = Fraction(25)
# Protocol whose rules hold for metrics over several clips.
RULES = "tp-long@2"


@dataclass(frozen=True)
class MetricResult:
    """One metric of one video.

    Attributes:
        value: of the whole video; None where it does not exist, see `state` and `reason`.
        curve: float64 (T,), the score of each frame, NaN where there is none; None for a metric without
            scores of single frames.
        unit: of the value.
        direction: `higher` or `lower` is better, or `none`.
        target: value of a perfect result where neither high nor low is better.
        state: `ok`; `partial` where not every frame can be judged; `unavailable`.
        reason: explanation of the state, or a remark.
        coverage: share of the frames that can be judged; None where no frame can be missing.
        version: of the metric; each change of its numbers raises it.
    """

    value: float | None
    curve: npt.NDArray[np.float64] | None = field(repr=False, compare=False)
    unit: str
    direction: Direction
    target: float | None
    state: State
    reason: str | None
    coverage: float | None
    version: int


def score(
    real: Frames | None,
    generated: Frames,
    metrics: str | Sequence[str] = DEFAULT_METRICS,
    keypoints: Iterable[npt.ArrayLike] | None = None,
    fps: float | Fraction | None = None,
    *,
    reference: str | Path | Image | None = None,
    window: int | None = None,
) -> dict[str, MetricResult]:
    """Score a generated video against the real one.

    Both videos are read once, frame by frame, and only the frames that a metric looks back on are held. The
    numbers equal those of `tp-eval` for the same frames. A metric whose input or weights are missing is
    `unavailable` and says why.

    Args:
        real: uint8 RGB array (T, H, W, 3); the path of a video, or of a folder of pictures in the order of
            the numbers in their names; or an iterable of frames, uint8 RGB (H, W, 3). None where no real
            video exists, for metrics that need none, such as `portrait_colour.mean`.
        generated: the same, of equal size and length.
        metrics: ids such as `tje@2`, or families such as `akd`, which stand for all their metrics; or one.
            `benchmark.metrics.names()` lists the ids.
        keypoints: pose of each real frame, or the driving pose where there is no real video: (T, 133, 3),
            x and y in [0, 1] of the frame, then confidence. Metrics of face, hands and background need it.
        fps: frame rate of both videos. By default their own rate, or 25 where they state none.
        reference: the portrait, or its path. By default the first real frame.
        window: number of frames that the model generates together, which `seam_energy` and `seam_change`
            need.

    Returns:
        metric id -> result, in the order of `metrics`.

    Raises:
        ScoreError: the videos differ in size, length or rate, or a frame is not uint8 RGB.
        MetricError: a metric is unknown.
        MediaError: a video or a picture cannot be read.

    Example:
        >>> import numpy as np
        >>> real = np.random.default_rng(0).integers(0, 200, (4, 32, 32, 3), np.uint8)
        >>> result = score(real, real + np.uint8(5), metrics=["psnr", "tje@2"])
        >>> round(result["psnr"].value, 2), result["psnr"].unit, result["tje@2"].value
        (34.15, 'dB', 0.0)
        >>> result["tje@2"].curve
        array([nan, nan,  0.,  0.])
    """
    names = [metrics] if isinstance(metrics, str) else metrics
    chosen = {metric.spec.id: metric for name in names for metric in members(name)}
    made = open_frames("generated", generated)
    true = None if real is None else open_frames("real", real)
    pairs = _pairs(true, made, keypoints)
    first = next(pairs, None)
    if first is None:
        raise ScoreError("generated: no frames: give at least one")
    height, width = first[1].shape[:2]
    lacking = _lacking(chosen.values(), has_real=true is not None, has_keypoints=keypoints is not None)
    used = [metric for name, metric in chosen.items() if name not in lacking]
    shape = CaseShape("clip", _rate(fps, true, made), width, height, made.num_frames, window)
    scoring = Scoring(shape, _portrait(reference, first), used)
    for pair in itertools.chain([first], pairs):
        scoring.window.push(*pair)
        scoring.score()
    scores, arrays = scoring.finish()
    unavailable = {
        name: CaseScore(value=None, n_frames=0, state="unavailable", reason=reason)
        for name, reason in lacking.items()
    }
    clip = ClipArrays("clip", "clip", arrays)
    return {
        name: _result(metric, (scores | unavailable)[name], scoring.scores.get(name), clip)
        for name, metric in chosen.items()
    }


def _lacking(metrics: Iterable[AnyMetric], *, has_real: bool, has_keypoints: bool) -> dict[str, str]:
    """Metric id -> input that it needs and the caller did not give."""
    found = {}
    for spec in (metric.spec for metric in metrics):
        if spec.needs_real and not has_real:
            found[spec.id] = "needs the real video: give real="
        elif spec.needs_keypoints and not has_keypoints:
            found[spec.id] = "needs the pose of every frame: give keypoints="
        elif spec.needs_driver:
            found[spec.id] = "needs the driving clip of another person: use tp-eval with a cross protocol"
    return found


def _pairs(
    real: FrameInput | None, generated: FrameInput, keypoints: Iterable[npt.ArrayLike] | None
) -> Iterator[tuple[Image | None, Image, Keypoints | None]]:
    """Frames and poses of the same time, checked for equal size and number."""
    end = object()
    streams: list[Iterator[Any]] = [generated.read()]
    names = ["generated"]
    for name, stream in (("real", real.read() if real else None), ("keypoints", keypoints)):
        if stream is not None:
            streams.append(iter(stream))
            names.append(name)
    size: tuple[int, ...] | None = None
    for index, row in enumerate(itertools.zip_longest(*streams, fillvalue=end)):
        ended = [name for name, item in zip(names, row, strict=True) if item is end]
        if ended:
            going = next(name for name in names if name not in ended)
            raise ScoreError(f"{ended[0]}: {index} frames, {going} has more: give one for each frame")
        found = dict(zip(names, row, strict=True))
        size = size or found["generated"].shape
        for name in ("generated", "real"):
            if name in found and found[name].shape != size:
                raise ScoreError(
                    f"{name}, frame {index}: {_size(found[name].shape)}, expected {_size(size)}: "
                    "scale the frames to one size"
                )
        points = _points(index, found["keypoints"]) if "keypoints" in found else None
        yield found.get("real"), found["generated"], points


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]}"


def _points(index: int, keypoints: npt.ArrayLike) -> Keypoints:
    array = np.asarray(keypoints, np.float32)
    if array.shape != (133, 3) or not np.isfinite(array).all():
        raise ScoreError(f"keypoints, frame {index}: {array.shape}: give finite values (133, 3)")
    return array


def _rate(fps: float | Fraction | None, real: FrameInput | None, generated: FrameInput) -> Fraction:
    stated = [source.fps for source in (real, generated) if source is not None and source.fps is not None]
    if fps is not None:
        if not 0 < fps < float("inf"):
            raise ScoreError(f"fps {fps}: give a positive number")
        return Fraction(fps).limit_denominator(10**6)
    if len(stated) == 2 and stated[0] != stated[1]:
        rates = " and ".join(f"{float(rate):g}" for rate in stated)
        raise ScoreError(f"fps: the videos have {rates} frames a second: give fps= if they match one for one")
    return stated[0] if stated else DEFAULT_FPS


def _portrait(
    reference: str | Path | Image | None, first: tuple[Image | None, Image, Keypoints | None]
) -> Image | None:
    from talkingpose.media import read_image

    if reference is None:
        return first[0]
    image = np.asarray(read_image(reference) if isinstance(reference, str | Path) else reference)
    if image.shape != first[1].shape or image.dtype != np.uint8:
        raise ScoreError(
            f"reference: {image.dtype} {image.shape}, the frames are uint8 {first[1].shape}: scale it to them"
        )
    return image


def _result(
    metric: AnyMetric, found: CaseScore, curve: array[float] | None, clip: ClipArrays
) -> MetricResult:
    spec = metric.spec
    value, state, reason = found.value, found.state, found.reason
    if isinstance(metric, SetMetric) and state == "ok":
        together = metric.score([clip], load_protocol(RULES).aggregation)
        value, reason = together.value, together.reason
        state = "unavailable" if value is None else "ok"
    return MetricResult(
        value=value,
        curve=None if curve is None else np.array(curve, np.float64),
        unit=spec.unit,
        direction=spec.direction,
        target=spec.target,
        state=state,
        reason=reason,
        coverage=found.coverage,
        version=spec.version,
    )
