"""Painting of soft, lit shapes: the only place that touches pixels of moving parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

# Fixed-point bits of OpenCV's drawing: geometry is rounded to 1/16 of a pixel before anything is drawn.
_SHIFT = 4
_NEUTRAL = 128


@dataclass(frozen=True)
class Touch:
    """A stroke or patch of light (amount > 0) or shadow (amount < 0) on a shape, in the shape's shading.

    `points` is (n, 2) in the unit square; a width of 0 fills the polygon. `amount` is in shading levels.
    """

    points: np.ndarray
    amount: float
    width: float = 0.0


class Canvas:
    """A square picture of `size` pixels on which shapes in the unit square are painted.

    `image` is (size, size, 3) uint8 RGB, `owner` (size, size) uint8 the number of the part that is seen,
    `cover` (size, size) uint8 the coverage of all that can receive a shadow.
    """

    def __init__(self, image: np.ndarray, light: tuple[float, float], height: float = 1.0) -> None:
        self.image = image
        self.size = round(image.shape[0] / height)
        self.light = light
        self.owner = np.zeros(image.shape[:2], np.uint8)
        self.cover = np.zeros(image.shape[:2], np.uint8)

    def pixels(self, length: float) -> int:
        """Return a length in the unit square in whole pixels, at least 1."""
        return max(1, round(length * self.size))

    def paint(
        self,
        shapes: Sequence[np.ndarray] | np.ndarray,
        ramp: np.ndarray,
        part: int,
        *,
        bulge: float = 0.03,
        depth: float = 0.5,
        rim: float = 0.0,
        touches: Sequence[Touch] = (),
        soften: float = 0.006,
        pattern: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None,
        tone: float = 0.0,
        beyond: Sequence[np.ndarray] = (),
        fade: np.ndarray | None = None,
    ) -> None:
        """Paint the union of polygons as one soft, lit body.

        `bulge` is how far from its edge a body is round (unit square), `depth` the contrast of its light,
        `rim` the darkening towards all edges, `touches` light and shade on it, blurred by `soften`;
        `pattern` is (tile, second ramp, 2x3 map from tile to canvas pixels); `tone` shifts all shading;
        `beyond` are polygons into which the body continues, so that its light shows no edge there; `fade` is
        where it fades into what is painted already.
        """
        radius = self.pixels(bulge)
        drawn = self._drawn(shapes)
        tight = self._box(drawn, 0)
        if tight is None:
            return
        # Around the shape only its height is needed, to light its edge.
        box = (tight[0] - 2 * radius, tight[1] - 2 * radius, tight[2] + 2 * radius, tight[3] + 2 * radius)
        inside = np.s_[2 * radius : -2 * radius, 2 * radius : -2 * radius]
        mask = _mask(drawn, box)
        whole = mask if not beyond else np.maximum(mask, _mask(self._drawn(beyond), box))
        mask = mask[inside]
        if fade is not None:
            # Only over what is painted; elsewhere the body keeps its edge.
            faded = _soft(_mask([self._fixed(fade)], box), radius)[inside]
            mask = cv2.subtract(mask, cv2.multiply(faded, self._window(self.cover, tight), scale=1 / 255))
        shade = self._shade(whole, radius, depth, rim, tone)[inside]
        if touches:
            shade = self._touched(shade, touches, tight, soften)
        colored = cv2.applyColorMap(shade, ramp)
        if pattern is not None:
            tile, second, matrix = pattern
            moved = matrix.copy()
            moved[:, 2] -= tight[:2]
            size = (shade.shape[1], shade.shape[0])
            figure = cv2.warpAffine(tile, moved, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
            colored = _blend(cv2.applyColorMap(shade, second), colored, figure)
        self._put(colored, mask, tight, part)

    def flat(
        self, shapes: Sequence[np.ndarray] | np.ndarray, color: Sequence[int], opacity: float = 1.0
    ) -> None:
        """Paint polygons in one colour, without light and without changing the owner."""
        drawn = self._drawn(shapes)
        if opacity >= 1.0:
            paint = tuple(int(c) for c in color)
            for shape in drawn:
                cv2.fillPoly(self.image, [shape], paint, cv2.LINE_AA, _SHIFT)
            return
        box = self._box(drawn, 1)
        if box is not None:
            mask = _mask(drawn, box)
            self._veil(cv2.convertScaleAbs(mask, alpha=opacity), color, box)

    def glow(
        self, shape: np.ndarray, color: Sequence[int], opacity: float, blur: float, *, on_cover: bool = False
    ) -> None:
        """Lay a blurred veil of one colour over the picture, or only over what can receive a shadow."""
        radius = self.pixels(blur)
        drawn = self._drawn([shape])
        box = self._box(drawn, radius + 1)
        if box is None:
            return
        mask = _soft(_mask(drawn, box), radius)
        if on_cover:
            mask = cv2.multiply(mask, self._window(self.cover, box), scale=opacity / 255.0)
        else:
            mask = cv2.convertScaleAbs(mask, alpha=opacity)
        self._veil(mask, color, box)

    def inset(self, hole: np.ndarray, layers: Sequence[tuple[np.ndarray, Sequence[int]]]) -> None:
        """Paint flat polygons, one after the other, only inside `hole`."""
        drawn = self._drawn([hole])
        box = self._box(drawn, 1)
        if box is None:
            return
        target = self._window(self.image, box)
        filled = target.copy()
        # OpenCV adds the offset before it removes the fixed-point bits.
        offset = (-box[0] * (1 << _SHIFT), -box[1] * (1 << _SHIFT))
        for shape, color in layers:
            paint = tuple(int(c) for c in color)
            cv2.fillPoly(filled, [self._fixed(shape)], paint, cv2.LINE_AA, _SHIFT, offset)
        target[...] = _blend(filled, target, _mask(drawn, box))

    def line(self, points: np.ndarray, color: Sequence[int], width: float, closed: bool = False) -> None:
        """Draw an anti-aliased line; a width below one pixel is drawn with one pixel."""
        paint = tuple(int(c) for c in color)
        cv2.polylines(
            self.image, [self._fixed(points)], closed, paint, self.pixels(width), cv2.LINE_AA, _SHIFT
        )

    def put_layer(self, layer: np.ndarray, alpha: np.ndarray, corner: tuple[int, int]) -> None:
        """Blend a layer into the picture with its upper left pixel at `corner` (x, y)."""
        left, top = corner
        window = (slice(top, top + layer.shape[0]), slice(left, left + layer.shape[1]))
        target, cover = self.image[window], self.cover[window]
        target[...] = _blend(layer, target, alpha)
        np.maximum(cover, alpha, out=cover)

    def own(self, shapes: Sequence[np.ndarray] | np.ndarray, part: int) -> None:
        """Say that `part` is seen inside these polygons."""
        for shape in shapes:
            cv2.fillPoly(self.owner, [self._fixed(shape)], part, cv2.LINE_8, _SHIFT)

    def _fixed(self, points: np.ndarray) -> np.ndarray:
        """Return points of the unit square as OpenCV's fixed-point pixel coordinates."""
        return np.rint(points * (self.size << _SHIFT) - (1 << _SHIFT) / 2).astype(np.int32)

    def _drawn(self, shapes: Sequence[np.ndarray] | np.ndarray) -> list[np.ndarray]:
        if isinstance(shapes, np.ndarray):
            return list(self._fixed(shapes))
        return [self._fixed(shape) for shape in shapes]

    def _box(self, drawn: Sequence[np.ndarray], pad: int) -> tuple[int, int, int, int] | None:
        """Return (x0, y0, x1, y1) of the shapes' part of the picture, or None where there is none."""
        x, y, width, height = cv2.boundingRect(drawn[0] if len(drawn) == 1 else np.concatenate(drawn))
        rows, columns = self.image.shape[:2]
        x0, y0 = max((x >> _SHIFT) - pad - 1, 0), max((y >> _SHIFT) - pad - 1, 0)
        x1 = min(((x + width) >> _SHIFT) + pad + 3, columns)
        y1 = min(((y + height) >> _SHIFT) + pad + 3, rows)
        return None if x1 <= x0 or y1 <= y0 else (x0, y0, x1, y1)

    def _veil(self, mask: np.ndarray, color: Sequence[int], box: tuple[int, int, int, int]) -> None:
        target = self._window(self.image, box)
        layer = np.empty_like(target)
        paint = tuple(int(c) for c in color)
        cv2.rectangle(layer, (0, 0), (layer.shape[1], layer.shape[0]), paint, cv2.FILLED)
        target[...] = _blend(layer, target, mask)

    def _window(self, array: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
        x0, y0, x1, y1 = box
        return array[y0:y1, x0:x1]

    def _shade(self, mask: np.ndarray, radius: int, depth: float, rim: float, tone: float) -> np.ndarray:
        """Light a body as if it rose from its edge: the difference of its blurred mask along the light."""
        height = _soft(mask, radius)
        step = max(1.0, radius * 0.7)
        dx, dy = round(self.light[0] * step), round(self.light[1] * step)
        away, toward = _shifted(height, -dx, -dy), _shifted(height, dx, dy)
        shade = cv2.addWeighted(away, depth, toward, -depth, _NEUTRAL + tone - 255 * rim)
        if rim:
            shade = cv2.addWeighted(shade, 1.0, height, rim, 0.0)
        return shade

    def _touched(
        self, shade: np.ndarray, touches: Sequence[Touch], box: tuple[int, int, int, int], soften: float
    ) -> np.ndarray:
        layer = np.full(shade.shape, _NEUTRAL, np.uint8)
        offset = (-box[0] * (1 << _SHIFT), -box[1] * (1 << _SHIFT))
        for touch in touches:
            points = self._fixed(touch.points)
            level = min(max(round(_NEUTRAL + touch.amount), 0), 255)
            if touch.width:
                moved = points + np.array(offset, np.int32)
                cv2.polylines(layer, [moved], False, level, self.pixels(touch.width), cv2.LINE_AA, _SHIFT)
            else:
                cv2.fillPoly(layer, [points], level, cv2.LINE_AA, _SHIFT, offset)
        if soften:
            layer = _soft(layer, self.pixels(soften))
        return cv2.addWeighted(shade, 1.0, layer, 1.0, -_NEUTRAL)

    def _put(self, colored: np.ndarray, mask: np.ndarray, box: tuple[int, int, int, int], part: int) -> None:
        target = self._window(self.image, box)
        target[...] = _blend(colored, target, mask)
        cover = self._window(self.cover, box)
        np.maximum(cover, mask, out=cover)
        owner = self._window(self.owner, box)
        # A pixel belongs to the last part that covers at least half of it.
        np.copyto(owner, part, where=mask > 127)


def _mask(drawn: Sequence[np.ndarray], box: tuple[int, int, int, int]) -> np.ndarray:
    x0, y0, x1, y1 = box
    mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
    offset = (-x0 * (1 << _SHIFT), -y0 * (1 << _SHIFT))
    for shape in drawn:
        cv2.fillPoly(mask, [shape], 255, cv2.LINE_AA, _SHIFT, offset)
    return mask


def _soft(mask: np.ndarray, radius: int) -> np.ndarray:
    kernel = (2 * ((radius + 1) // 2) + 1,) * 2
    return cv2.blur(cv2.blur(mask, kernel), kernel)


def _shifted(array: np.ndarray, dx: int, dy: int) -> np.ndarray:
    """Return `array` read at (x + dx, y + dy), its border repeated."""
    height, width = array.shape
    pad_x, pad_y = abs(dx), abs(dy)
    padded = cv2.copyMakeBorder(array, pad_y, pad_y, pad_x, pad_x, cv2.BORDER_REPLICATE)
    return padded[pad_y + dy : pad_y + dy + height, pad_x + dx : pad_x + dx + width]


def _blend(top: np.ndarray, below: np.ndarray, mask: np.ndarray) -> np.ndarray:
    weight = mask.astype(np.float32) * np.float32(1 / 255)
    return cv2.blendLinear(top, np.ascontiguousarray(below), weight, 1.0 - weight)


@lru_cache(maxsize=64)
def _spline_matrix(count: int, steps: int, closed: bool) -> np.ndarray:
    """Matrix from `count` control points to points of the Catmull-Rom spline through them."""
    spans = count if closed else count - 1
    t = np.arange(steps) / steps
    basis = 0.5 * np.stack(
        [-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, -(t**2) + t**3], axis=1
    )
    rows = spans * steps + (0 if closed else 1)
    matrix = np.zeros((rows, count))
    for span in range(spans):
        for offset in range(4):
            index = span + offset - 1
            index = index % count if closed else min(max(index, 0), count - 1)
            matrix[span * steps : (span + 1) * steps, index] += basis[:, offset]
    if not closed:
        matrix[-1, -1] = 1.0
    return matrix


def smooth(points: np.ndarray, steps: int = 4, closed: bool = True) -> np.ndarray:
    """Return the Catmull-Rom spline through (n, d) points, `steps` points per span."""
    return _spline_matrix(len(points), steps, closed) @ points


_TURN = np.arange(20) * np.pi / 10
_CIRCLE = np.stack([np.cos(_TURN), np.sin(_TURN)], axis=1)
# A round end: half a turn, from one side of a limb to the other.
_HALF = np.linspace(-np.pi / 2, np.pi / 2, 9)
_END = np.stack([np.cos(_HALF), np.sin(_HALF)], axis=1)


def moved(points: np.ndarray, x: float, y: float) -> np.ndarray:
    """Return (n, 2) points or one point, each moved by (x, y)."""
    return points + np.array([x, y])


def disc(center: np.ndarray, radius: float | tuple[float, float]) -> np.ndarray:
    """Return a circle or an upright ellipse as a polygon (20, 2)."""
    return center + _CIRCLE * radius


def capsules(a: np.ndarray, b: np.ndarray, radius_a: np.ndarray, radius_b: np.ndarray) -> np.ndarray:
    """Return the outlines of limbs from points a to points b (n, 2), each end round: (n, 18, 2)."""
    along = b - a
    along = along / np.maximum(np.sqrt((along * along).sum(axis=1, keepdims=True)), 1e-6)
    across = np.stack([-along[:, 1], along[:, 0]], axis=1)
    end = _END[:, :1] * along[:, None] + _END[:, 1:] * across[:, None]
    far = b[:, None] + radius_b[:, None, None] * end
    near = a[:, None] - radius_a[:, None, None] * end
    return np.concatenate([far, near], axis=1)


def capsule(a: np.ndarray, b: np.ndarray, radius_a: float, radius_b: float) -> np.ndarray:
    """Return the outline of one limb, (18, 2); see `capsules`."""
    return capsules(a[None], b[None], np.array([radius_a]), np.array([radius_b]))[0]
