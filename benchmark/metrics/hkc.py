"""HKC: confidence with which the hands of the real video are found in the generated one."""

from __future__ import annotations

from benchmark.features.contract import CaseShape, FrameWindow
from benchmark.metrics.contract import MetricSpec
from benchmark.metrics.keypoint_parts import DETECTED, HANDS, WRISTS, missing_part, present
from benchmark.results import CaseScore


class Hkc:
    """Hand keypoint confidence, by an own definition."""

    spec = MetricSpec(
        id="hkc",
        title="Confidence of detected hands",
        version=1,
        unit="1",
        direction="higher",
        scope="frame",
        lookback=0,
        definition=(
            f"{DETECTED}Mean over all hands in the real frames (one hand of one frame counts once) of the "
            "confidence of the wrist in the generated frame, 0 where the detector does not find the hand "
            "there. The score of a frame is the mean over its hands. Coverage: frames whose real frame shows "
            "a hand."
        ),
        source=(
            "own: no public definition of the HKC of EchoMimicV2 (Meng et al. 2024) exists, and mediapipe "
            "gives no confidence of single hand points; not comparable with the numbers of that paper"
        ),
        blind_spots=(
            "the shape of fingers: a hand of six can be found; the real video does not reach 1, and a frozen "
            "video can exceed it; the confidence is that of the body model, which is high for hidden wrists "
            "too"
        ),
        features=("pose",),
    )

    def start(self, case: CaseShape) -> HkcState:
        """Begin a clip."""
        return HkcState()


class HkcState:
    """Running sum over hands."""

    def __init__(self) -> None:
        self._sum = 0.0
        self._hands = self._shown = self._frames = 0

    def update(self, window: FrameWindow) -> float | None:
        """Return the mean over the hands of the newest pair, None where the real frame shows none."""
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
        """Return the mean over the clip; `n_frames` counts the frames whose real frame shows a hand."""
        if not self._hands:
            reason = missing_part("hands", "real")
            return CaseScore(value=None, n_frames=0, coverage=0.0, state="unavailable", reason=reason)
        coverage = self._shown / self._frames
        return CaseScore(value=self._sum / self._hands, n_frames=self._shown, coverage=coverage, state="ok")
