"""The last pairs of frames of a clip, with the features that were asked of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from benchmark.features.feature import Extractor

Image = npt.NDArray[np.uint8]
Keypoints = npt.NDArray[np.float32]
Side = Literal["real", "generated", "reference"]


class _Frame:
    """One picture and what was computed of it; a case of two identities has no real picture."""

    def __init__(self, image: Image | None, keypoints: Keypoints | None = None) -> None:
        self._image, self.keypoints = image, keypoints
        self.features: dict[str, Any] = {}

    @property
    def image(self) -> Image:
        if self._image is None:
            raise LookupError("the case has no real frames: a metric that reads them says needs_real")
        return self._image


class PairWindow:
    """The last `lookback + 1` pairs of real and generated frames, uint8 RGB (H, W, 3), newest first.

    Args:
        lookback: how many pairs before the newest are kept.
        reference: the portrait, of the size of the frames.
        extractors: of the features that may be asked for, by id.
        feature_lookback: how many frames back features are kept; older ones are computed anew if asked for.

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
        self._pairs: list[tuple[_Frame, _Frame] | None] = [None] * (lookback + 1)
        self._reference = None if reference is None else _Frame(reference)
        self._extractors = extractors or {}
        self._feature_lookback = feature_lookback

    def push(self, real: Image | None, generated: Image, keypoints: Keypoints | None = None) -> None:
        """Add the next pair; the oldest is forgotten once the window is full. Arrays are kept, not copied.

        Args:
            real, generated: uint8 RGB (H, W, 3); no real one in a case of two identities.
            keypoints: that the contestant was given, of the real frame where there is one: float32 (133, 3),
                x, y, confidence in [0, 1], 0 where absent.
        """
        self._push(_Frame(real, keypoints), _Frame(generated))

    def push_beside(self, other: PairWindow, generated: Image) -> None:
        """Add the newest real frame of another window, with its features, and another generated one."""
        self._push(other._pair(0)[0], _Frame(generated))

    @property
    def reference(self) -> Image:
        """The portrait, uint8 RGB (H, W, 3).

        Raises:
            LookupError: the window was opened without one.
        """
        return self._frame("reference", 0).image

    def real(self, back: int = 0) -> Image:
        """The real frame `back` steps ago.

        Raises:
            LookupError: the case has none.
        """
        return self._pair(back)[0].image

    def generated(self, back: int = 0) -> Image:
        """The generated frame `back` steps ago."""
        return self._pair(back)[1].image

    def image(self, side: Side, back: int = 0) -> Image:
        """The frame of one side `back` steps ago; the portrait is the same at any time."""
        return self._frame(side, back).image

    def keypoints(self, back: int = 0) -> Keypoints:
        """Keypoints that the contestant was given for the frame `back` steps ago, float32 (133, 3).

        Raises:
            LookupError: they were not given.
        """
        keypoints = self._pair(back)[0].keypoints
        if keypoints is None:
            raise LookupError(f"no keypoints were given for frame {self.t - back}")
        return keypoints

    def feature(self, name: str, side: Side, back: int = 0) -> Any:
        """A feature of the frame of one side `back` steps ago, computed when it is first asked for.

        Raises:
            LookupError: the window was opened without its extractor.
        """
        frame = self._frame(side, back)
        if name not in frame.features:
            if name not in self._extractors:
                raise LookupError(f"feature {name}: declare it in the features of the metric")
            frame.features[name] = self._extractors[name].extract(self, side, back)
        return frame.features[name]

    def _push(self, real: _Frame, generated: _Frame) -> None:
        self.t += 1
        self._pairs[self.t % len(self._pairs)] = (real, generated)
        outdated = self._feature_lookback + 1
        if outdated <= min(self.t, len(self._pairs) - 1):
            for frame in self._pair(outdated):
                frame.features.clear()

    def _frame(self, side: Side, back: int) -> _Frame:
        if side == "reference":
            if self._reference is None:
                raise LookupError("the window was opened without a portrait")
            return self._reference
        return self._pair(back)[0 if side == "real" else 1]

    def _pair(self, back: int) -> tuple[_Frame, _Frame]:
        pair = self._pairs[(self.t - back) % len(self._pairs)] if 0 <= back <= self.t else None
        if pair is None or back >= len(self._pairs):
            raise IndexError(f"no pair {back} steps before {self.t} in a window of {len(self._pairs)}")
        return pair
