"""Window over the last pairs of frames of a clip, with their features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmark.features.contract import Extractor, Keypoints, Side
from talkingpose.io.image import Image


class _Frame:
    """A picture with its features; a cross-identity case has no real picture."""

    def __init__(self, image: Image | None, keypoints: Keypoints | None = None) -> None:
        self._image, self.keypoints = image, keypoints
        self.features: dict[str, Any] = {}

    @property
    def missing(self) -> bool:
        return self._image is None

    @property
    def image(self) -> Image:
        if self._image is None:
            raise LookupError("the case has no real frames: set needs_real in the spec of the metric")
        return self._image


_NO_DRIVER = _Frame(None)
_PLACES: Mapping[Side, int] = {"real": 0, "generated": 1, "driver": 2}


class PairWindow:
    """The last `lookback + 1` pairs of real and generated frames, a `FrameWindow`.

    Args:
        lookback: number of earlier pairs that are kept.
        reference: the portrait, of the size of the frames.
        extractors: feature id -> extractor.
        feature_lookback: number of earlier frames whose features are kept; older ones are computed again.

    Attributes:
        t: index of the newest pair, -1 before the first.
    """

    def __init__(
        self,
        lookback: int,
        *,
        reference: Image | None = None,
        extractors: Mapping[str, Extractor] | None = None,
        feature_lookback: int = 1,
    ) -> None:
        self.t = -1
        self._pairs: list[tuple[_Frame, _Frame, _Frame] | None] = [None] * (lookback + 1)
        self._reference = None if reference is None else _Frame(reference)
        self._extractors = extractors or {}
        self._feature_lookback = feature_lookback

    def push(
        self,
        real: Image | None,
        generated: Image,
        keypoints: Keypoints | None = None,
        driver: Image | None = None,
    ) -> None:
        """Add the next pair and drop the oldest. Arrays are kept, not copied.

        Args:
            real: uint8 RGB (H, W, 3); None in a cross-identity case.
            generated: uint8 RGB (H, W, 3).
            keypoints: pose that the contestant was given, float32 (133, 3).
            driver: frame of the driving clip in a cross-identity case, uint8 RGB (H, W, 3).
        """
        self._push(_Frame(real, keypoints), _Frame(generated), _Frame(driver))

    def push_beside(self, other: PairWindow, generated: Image) -> None:
        """Add the newest real frame of another window, with its features, and another generated frame."""
        self._push(other._pair(0)[0], _Frame(generated), _NO_DRIVER)

    @property
    def reference(self) -> Image:
        """The portrait, uint8 RGB (H, W, 3).

        Raises:
            LookupError: the window has none.
        """
        return self._frame("reference", 0).image

    def real(self, back: int = 0) -> Image:
        """Return the real frame `back` frames ago.

        Raises:
            LookupError: the case has none.
        """
        return self._pair(back)[0].image

    def generated(self, back: int = 0) -> Image:
        """Return the generated frame `back` frames ago."""
        return self._pair(back)[1].image

    def image(self, side: Side, back: int = 0) -> Image:
        """Return the frame of one side `back` frames ago; the portrait does not depend on time."""
        return self._frame(side, back).image

    def keypoints(self, back: int = 0) -> Keypoints:
        """Return the pose that the contestant was given for the frame `back` frames ago, float32 (133, 3).

        Raises:
            LookupError: there is none.
        """
        keypoints = self._pair(back)[0].keypoints
        if keypoints is None:
            raise LookupError(f"no keypoints for frame {self.t - back}: set needs_keypoints in the spec")
        return keypoints

    def feature(self, name: str, side: Side, back: int = 0) -> Any:
        """Return a feature of the frame of one side `back` frames ago; it is computed at the first request.

        Raises:
            LookupError: the window has no such extractor.
        """
        frame = self._frame(side, back)
        if name not in frame.features:
            if name not in self._extractors:
                raise LookupError(f"feature {name}: name it in the features of the metric's spec")
            frame.features[name] = self._extractors[name].extract(self, side, back)
        return frame.features[name]

    def _push(self, real: _Frame, generated: _Frame, driver: _Frame) -> None:
        self.t += 1
        self._pairs[self.t % len(self._pairs)] = (real, generated, driver)
        outdated = self._feature_lookback + 1
        if outdated <= min(self.t, len(self._pairs) - 1):
            for frame in self._pair(outdated):
                frame.features.clear()

    def _frame(self, side: Side, back: int) -> _Frame:
        if side == "reference":
            if self._reference is None:
                raise LookupError("no portrait: give the reference image")
            return self._reference
        frame = self._pair(back)[_PLACES[side]]
        if side == "driver" and frame.missing:
            raise LookupError("no driving frames: set needs_driver in the spec of the metric")
        return frame

    def _pair(self, back: int) -> tuple[_Frame, _Frame, _Frame]:
        pair = self._pairs[(self.t - back) % len(self._pairs)] if 0 <= back <= self.t else None
        if pair is None or back >= len(self._pairs):
            raise IndexError(f"no pair {back} frames before {self.t} in a window of {len(self._pairs)}")
        return pair
