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
        shapes: Sequence[np.ndarray],
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
    ) -> None:
        """Paint the union of polygons as one soft, lit body.

        `bulge` is how far from its edge a body is round (unit square), `depth` the contrast of its light,
        `rim` the darkening towards all edges, `touches` light and shade on it, blurred by `soften`;
        `pattern` is (tile, second ramp, 2x3 map from tile to canvas pixels); `tone` shifts all shading.
        """
        radius = self.pixels(bulge)
        box = self._box(shapes, 2 * radius)
        if box is None:
            return
        x0, y0, x1, y1 = box
        mask = self._mask(shapes, box)
        shade = self._shade(mask, radius, depth, rim, tone)
        if touches:
            shade = self._touched(shade, touches, box, soften)
        inside = self._crop(box)
        colored = cv2.applyColorMap(shade[inside], ramp)
        if pattern is not None:
            tile, second, matrix = pattern
            moved = matrix.copy()
            moved[:, 2] -= (x0, y0)
            figure = cv2.warpAffine(
                tile, moved, (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP
            )
            colored = _blend(cv2.applyColorMap(shade[inside], second), colored, figure[inside])
        self._put(colored, mask[inside], box, part)

    def flat(self, shapes: Sequence[np.ndarray], color: Sequence[int], opacity: float = 1.0) -> None:
        """Paint polygons in one colour, without light and without changing the owner."""
        box = self._box(shapes, 1)
        if box is None:
            return
        mask = self._mask(shapes, box)[self._crop(box)]
        if opacity < 1.0:
            mask = cv2.convertScaleAbs(mask, alpha=opacity)
        target = self._window(self.image, box)
        target[...] = _blend(_solid(color, mask.shape), target, mask)

    def glow(
        self, shape: np.ndarray, color: Sequence[int], opacity: float, blur: float, *, on_cover: bool = False
    ) -> None:
        """Lay a blurred veil of one colour over the picture, or only over what can receive a shadow."""
        radius = self.pixels(blur)
        box = self._box([shape], 2 * radius)
        if box is None:
            return
        mask = _soft(self._mask([shape], box), radius)[self._crop(box)]
        if on_cover:
            mask = cv2.multiply(mask, self._window(self.cover, box), scale=opacity / 255.0)
        else:
            mask = cv2.convertScaleAbs(mask, alpha=opacity)
        target = self._window(self.image, box)
        target[...] = _blend(_solid(color, mask.shape), target, mask)

    def inset(self, hole: np.ndarray, layers: Sequence[tuple[np.ndarray, Sequence[int]]]) -> None:
        """Paint flat polygons, one after the other, only inside `hole`."""
        box = self._box([hole], 1)
        if box is None:
            return
        x0, y0 = max(box[0], 0), max(box[1], 0)
        target = self._window(self.image, box)
        filled = target.copy()
        for shape, color in layers:
            paint = tuple(int(c) for c in color)
            cv2.fillPoly(filled, [self._fixed(shape, (x0, y0))], paint, cv2.LINE_AA, _SHIFT)
        target[...] = _blend(filled, target, self._mask([hole], box)[self._crop(box)])

    def line(self, points: np.ndarray, color: Sequence[int], width: float, closed: bool = False) -> None:
        """Draw an anti-aliased line; a width below one pixel is drawn with one pixel."""
        cv2.polylines(
            self.image,
            [self._fixed(points)],
            closed,
            tuple(int(c) for c in color),
            self.pixels(width),
            cv2.LINE_AA,
            _SHIFT,
        )

    def put_layer(self, layer: np.ndarray, alpha: np.ndarray, top: int) -> None:
        """Blend a layer that spans the picture's width, from row `top` to the bottom."""
        target = self.image[top:]
        target[...] = _blend(layer, target, alpha)
        np.maximum(self.cover[top:], alpha, out=self.cover[top:])

    def own(self, shapes: Sequence[np.ndarray], part: int) -> None:
        """Say that `part` is seen inside these polygons."""
        for shape in shapes:
            cv2.fillPoly(self.owner, [self._fixed(shape)], part, cv2.LINE_8, _SHIFT)

    def _fixed(self, points: np.ndarray, offset: tuple[int, int] = (0, 0)) -> np.ndarray:
        shifted = points * self.size - 0.5 - np.asarray(offset)
        return np.rint(shifted * (1 << _SHIFT)).astype(np.int32)

    def _box(self, shapes: Sequence[np.ndarray], pad: int) -> tuple[int, int, int, int] | None:
        points = shapes[0] if len(shapes) == 1 else np.concatenate(shapes)
        low = np.floor(points.min(axis=0) * self.size).astype(int) - pad - 2
        high = np.ceil(points.max(axis=0) * self.size).astype(int) + pad + 2
        height, width = self.image.shape[:2]
        # The box may leave the picture by the padding, so that a body cut by the frame keeps its shading.
        x0, y0 = max(int(low[0]), -pad), max(int(low[1]), -pad)
        x1, y1 = min(int(high[0]), width + pad), min(int(high[1]), height + pad)
        if x1 <= max(x0, 0) or y1 <= max(y0, 0) or x0 >= width or y0 >= height:
            return None
        return x0, y0, x1, y1

    def _mask(self, shapes: Sequence[np.ndarray], box: tuple[int, int, int, int]) -> np.ndarray:
        x0, y0, x1, y1 = box
        mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
        for shape in shapes:
            cv2.fillPoly(mask, [self._fixed(shape, (x0, y0))], 255, cv2.LINE_AA, _SHIFT)
        return mask

    def _crop(self, box: tuple[int, int, int, int]) -> tuple[slice, slice]:
        x0, y0, x1, y1 = box
        height, width = self.image.shape[:2]
        return (
            slice(max(0, -y0), y1 - y0 - max(0, y1 - height)),
            slice(max(0, -x0), x1 - x0 - max(0, x1 - width)),
        )

    def _window(self, array: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
        x0, y0, x1, y1 = box
        return array[max(y0, 0) : y1, max(x0, 0) : x1]

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
        for touch in touches:
            points = self._fixed(touch.points, box[:2])
            level = int(np.clip(_NEUTRAL + touch.amount, 0, 255))
            if touch.width:
                cv2.polylines(layer, [points], False, level, self.pixels(touch.width), cv2.LINE_AA, _SHIFT)
            else:
                cv2.fillPoly(layer, [points], level, cv2.LINE_AA, _SHIFT)
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


def _solid(color: Sequence[int], shape: tuple[int, ...]) -> np.ndarray:
    layer = np.empty((*shape[:2], 3), np.uint8)
    layer[:] = np.asarray(color, np.uint8)
    return layer


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


_CIRCLE = np.stack([np.cos(np.arange(20) * np.pi / 10), np.sin(np.arange(20) * np.pi / 10)], axis=1)


def disc(center: np.ndarray, radius: float | tuple[float, float]) -> np.ndarray:
    """Return a circle or an upright ellipse as a polygon (20, 2)."""
    return center + _CIRCLE * radius


def capsule(a: np.ndarray, b: np.ndarray, radius_a: float, radius_b: float) -> np.ndarray:
    """Return the outline of a limb between two points with a round end of its own radius at each."""
    outline = np.concatenate([disc(a, radius_a), disc(b, radius_b)]).astype(np.float32)
    return cv2.convexHull(outline)[:, 0].astype(np.float64)
