"""HKC: how surely the hands of the real video are found in the generated one."""

from __future__ import annotations

from benchmark.metrics.keypoint_parts import DETECTED, HANDS, WRISTS, present
from benchmark.metrics.metric import CaseShape, MetricSpec
from benchmark.metrics.window import PairWindow
from benchmark.results import CaseScore


class Hkc:
    """Hand keypoint confidence, under a definition of our own."""

    spec = MetricSpec(
        id="hkc",
        version=1,
        unit="1",
        direction="higher",
        scope="frame",
        lookback=0,
        definition=(
            f"{DETECTED}Mean over all hands that the real frames show (one hand of one frame counts once) of "
            "the confidence of that wrist in the generated frame where the detector finds that hand there, "
            "of 0 where it does not; the score of a frame is the mean over its hands. Coverage: frames whose "
            "real frame shows a hand."
        ),
        source=(
            "own: no public definition of the HKC of EchoMimicV2 (Meng et al. 2024) exists, and mediapipe "
            "has no confidence of single hand points; not comparable with numbers of that paper"
        ),
        blind_spots=(
            "the shape of fingers: a hand of six may be found; the real video itself does not reach 1, and a "
            "frozen one may be above it; the confidence is that of the body model, which is sure of hidden "
            "wrists too"
        ),
        features=("pose",),
    )

    def start(self, case: CaseShape) -> HkcState:
        """A fresh state for one clip."""
        return HkcState()


class HkcState:
    """Running sum over hands."""

    def __init__(self) -> None:
        self._sum = 0.0
        self._hands = self._shown = self._frames = 0

    def update(self, window: PairWindow) -> float | None:
        """Mean over the hands of the newest pair, None where the real frame shows none."""
        real, generated = window.feature("pose", "real"), window.feature("pose", "generated")
        self._frames += 1
        confidences = [
            float(generated[WRISTS[side], 2]) if present(generated[rows]).any() else 0.0
            for side, rows in HANDS.items()
            if present(real[rows]).any()
        ]
        if not confidences:
            return None
        self._sum += sum(confidences)
        self._hands += len(confidences)
        self._shown += 1
        return sum(confidences) / len(confidences)

    def finish(self) -> CaseScore:
        """Mean over the clip; `n_frames` counts the frames whose real frame shows a hand."""
        if not self._hands:
            reason = "the detector finds no hands in the real video"
            return CaseScore(value=None, n_frames=0, coverage=0.0, state="unavailable", reason=reason)
        coverage = self._shown / self._frames
        return CaseScore(value=self._sum / self._hands, n_frames=self._shown, coverage=coverage, state="ok")
