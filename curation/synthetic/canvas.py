"""Painting of soft, lit shapes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from curation.detect.measurements import FloatArray
from talkingpose.io.image import Image

# Coverage or shading, uint8 (H, W).
Mask = npt.NDArray[np.uint8]
# Fixed-point pixel coordinates, int32 (n, 2).
Fixed = npt.NDArray[np.int32]
Box = tuple[int, int, int, int]

# Fixed-point bits of OpenCV's drawing: coordinates are rounded to 1/16 of a pixel.
_SHIFT = 4
_NEUTRAL = 128


@dataclass(frozen=True)
class Touch:
    """Stroke or patch of light or shadow on a shape.

    Attributes:
        points: (n, 2) in the unit square.
        amount: Shading levels; positive is light.
        width: Width of the stroke in the unit square; 0 fills the polygon.
    """

    points: FloatArray
    amount: float
    width: float = 0.0


@dataclass(frozen=True)
class Finish:
    """Surface of a painted body.

    Attributes:
        bulge: Width of the rounded edge, in the unit square.
        depth: Contrast of its light.
        rim: Darkening towards all edges.
        soften: Blur of its touches, in the unit square.
        tone: Shift of all shading, in levels.
    """

    bulge: float = 0.03
    depth: float = 0.5
    rim: float = 0.0
    soften: float = 0.006
    tone: float = 0.0


class Pattern(NamedTuple):
    """Repeated pattern: a tile, the ramp of its second colour, and the map (2, 3) from tile to canvas."""

    tile: Mask
    ramp: Image
    matrix: FloatArray


class Canvas:
    """Picture of `size` pixels on which shapes in the unit square are painted.

    Attributes:
        image: uint8 (size, size, 3) RGB.
        owner: uint8 (size, size), number of the visible part.
        cover: uint8 (size, size), coverage of everything that can receive a shadow.
    """

    def __init__(self, image: Image, light: tuple[float, float], height: float = 1.0) -> None:
        self.image = image
        self.size = round(image.shape[0] / height)
        self.light = light
        self.owner = np.zeros(image.shape[:2], np.uint8)
        self.cover = np.zeros(image.shape[:2], np.uint8)

    def pixels(self, length: float) -> int:
        """Length in the unit square as whole pixels, at least 1."""
        return max(1, round(length * self.size))

    def paint(
        self,
        shapes: Sequence[FloatArray] | FloatArray,
        ramp: Image,
        part: int,
        finish: Finish = Finish(),
        *,
        touches: Sequence[Touch] = (),
        pattern: Pattern | None = None,
        beyond: Sequence[FloatArray] = (),
        fade: FloatArray | None = None,
    ) -> None:
        """Paint the union of polygons as one soft, lit body.

        Args:
            shapes: Polygons (n, 2) in the unit square.
            ramp: Shading ramp of the colour.
            part: Number of the part in `owner`.
            finish: Surface of the body.
            touches: Light and shadow on it.
            pattern: Pattern on it.
            beyond: Polygons into which the body continues; its light shows no edge there.
            fade: Polygon in which the body fades into what is already painted.
        """
        radius = self.pixels(finish.bulge)
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
            # Only over painted pixels; elsewhere the body keeps its edge.
            faded = _soft(_mask([self._fixed(fade)], box), radius)[inside]
            covered = cv2.multiply(faded, self._window(self.cover, tight), scale=1 / 255)
            mask = _bytes(cv2.subtract(mask, covered))
        shade = self._shade(whole, radius, finish)[inside]
        if touches:
            shade = self._touched(shade, touches, tight, finish.soften)
        colored = _bytes(cv2.applyColorMap(shade, ramp))
        if pattern is not None:
            matrix = pattern.matrix.copy()
            matrix[:, 2] -= tight[:2]
            size = (shade.shape[1], shade.shape[0])
            figure = cv2.warpAffine(
                pattern.tile, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP
            )
            colored = _blend(_bytes(cv2.applyColorMap(shade, pattern.ramp)), colored, _bytes(figure))
        self._put(colored, mask, tight, part)

    def flat(
        self, shapes: Sequence[FloatArray] | FloatArray, color: Sequence[int], opacity: float = 1.0
    ) -> None:
        """Paint polygons in one colour, without light and without changing the owner."""
        drawn = self._drawn(shapes)
        if opacity >= 1.0:
            for shape in drawn:
                _fill(self.image, shape, color)
            return
        box = self._box(drawn, 1)
        if box is not None:
            mask = _mask(drawn, box)
            self._veil(_bytes(cv2.convertScaleAbs(mask, alpha=opacity)), color, box)

    def glow(
        self, shape: FloatArray, color: Sequence[int], opacity: float, blur: float, *, on_cover: bool = False
    ) -> None:
        """Blend a blurred shape of one colour, everywhere or only where `cover` allows a shadow."""
        radius = self.pixels(blur)
        drawn = self._drawn([shape])
        box = self._box(drawn, radius + 1)
        if box is None:
            return
        mask = _soft(_mask(drawn, box), radius)
        if on_cover:
            mask = _bytes(cv2.multiply(mask, self._window(self.cover, box), scale=opacity / 255.0))
        else:
            mask = _bytes(cv2.convertScaleAbs(mask, alpha=opacity))
        self._veil(mask, color, box)

    def inset(self, hole: FloatArray, layers: Sequence[tuple[FloatArray, Sequence[int]]]) -> None:
        """Paint flat polygons in order, only inside `hole`."""
        drawn = self._drawn([hole])
        box = self._box(drawn, 1)
        if box is None:
            return
        target = self._window(self.image, box)
        filled = target.copy()
        for shape, color in layers:
            _fill(filled, self._fixed(shape), color, box)
        target[...] = _blend(filled, target, _mask(drawn, box))

    def line(self, points: FloatArray, color: Sequence[int], width: float, closed: bool = False) -> None:
        """Draw an anti-aliased line, at least one pixel wide."""
        paint = tuple(int(c) for c in color)
        cv2.polylines(
            self.image, [self._fixed(points)], closed, paint, self.pixels(width), cv2.LINE_AA, _SHIFT
        )

    def put_layer(self, layer: Image, alpha: Mask, corner: tuple[int, int]) -> None:
        """Blend a layer into the picture; `corner` is its upper left pixel (x, y)."""
        left, top = corner
        window = (slice(top, top + layer.shape[0]), slice(left, left + layer.shape[1]))
        target, cover = self.image[window], self.cover[window]
        target[...] = _blend(layer, target, alpha)
        np.maximum(cover, alpha, out=cover)

    def own(self, shapes: Sequence[FloatArray] | FloatArray, part: int) -> None:
        """Mark `part` as visible inside these polygons."""
        for shape in shapes:
            cv2.fillPoly(self.owner, [self._fixed(shape)], (part,), cv2.LINE_8, _SHIFT)

    def _fixed(self, points: FloatArray) -> Fixed:
        """Convert points of the unit square to OpenCV's fixed-point pixel coordinates."""
        return np.asarray(np.rint(points * (self.size << _SHIFT) - (1 << _SHIFT) / 2), np.int32)

    def _drawn(self, shapes: Sequence[FloatArray] | FloatArray) -> list[Fixed]:
        return [self._fixed(shape) for shape in shapes]

    def _box(self, drawn: Sequence[Fixed], pad: int) -> Box | None:
        """Pixels (x0, y0, x1, y1) around the shapes; None if they lie outside the picture."""
        x, y, width, height = cv2.boundingRect(drawn[0] if len(drawn) == 1 else np.concatenate(drawn))
        rows, columns = self.image.shape[:2]
        x0, y0 = max((x >> _SHIFT) - pad - 1, 0), max((y >> _SHIFT) - pad - 1, 0)
        x1 = min(((x + width) >> _SHIFT) + pad + 3, columns)
        y1 = min(((y + height) >> _SHIFT) + pad + 3, rows)
        return None if x1 <= x0 or y1 <= y0 else (x0, y0, x1, y1)

    def _veil(self, mask: Mask, color: Sequence[int], box: Box) -> None:
        target = self._window(self.image, box)
        layer = np.empty_like(target)
        paint = tuple(int(c) for c in color)
        cv2.rectangle(layer, (0, 0), (layer.shape[1], layer.shape[0]), paint, cv2.FILLED)
        target[...] = _blend(layer, target, mask)

    def _window(self, array: Mask, box: Box) -> Mask:
        x0, y0, x1, y1 = box
        return array[y0:y1, x0:x1]

    def _shade(self, mask: Mask, radius: int, finish: Finish) -> Mask:
        """Light a body that rises from its edge: the difference of its blurred mask along the light."""
        height = _soft(mask, radius)
        step = max(1.0, radius * 0.7)
        dx, dy = round(self.light[0] * step), round(self.light[1] * step)
        away, toward = _shifted(height, -dx, -dy), _shifted(height, dx, dy)
        level = _NEUTRAL + finish.tone - 255 * finish.rim
        shade = cv2.addWeighted(away, finish.depth, toward, -finish.depth, level)
        if finish.rim:
            shade = cv2.addWeighted(shade, 1.0, height, finish.rim, 0.0)
        return _bytes(shade)

    def _touched(self, shade: Mask, touches: Sequence[Touch], box: Box, soften: float) -> Mask:
        layer = np.full(shade.shape, _NEUTRAL, np.uint8)
        for touch in touches:
            shape = self._fixed(touch.points)
            level = (min(max(round(_NEUTRAL + touch.amount), 0), 255),)
            if touch.width:
                shape -= np.array(box[:2], np.int32) << _SHIFT
                cv2.polylines(layer, [shape], False, level, self.pixels(touch.width), cv2.LINE_AA, _SHIFT)
            else:
                _fill(layer, shape, level, box)
        if soften:
            layer = _soft(layer, self.pixels(soften))
        return _bytes(cv2.addWeighted(shade, 1.0, layer, 1.0, -_NEUTRAL))

    def _put(self, colored: Image, mask: Mask, box: Box, part: int) -> None:
        target = self._window(self.image, box)
        target[...] = _blend(colored, target, mask)
        cover = self._window(self.cover, box)
        np.maximum(cover, mask, out=cover)
        owner = self._window(self.owner, box)
        # A pixel belongs to the last part that covers at least half of it.
        owner[mask > 127] = part


def _mask(drawn: Sequence[Fixed], box: Box) -> Mask:
    x0, y0, x1, y1 = box
    mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
    for shape in drawn:
        _fill(mask, shape, (255,), box)
    return mask


def _fill(target: Image, shape: Fixed, color: Sequence[int], box: Box = (0, 0, 0, 0)) -> None:
    """Fill a polygon; `target` shows the part `box` of the picture."""
    # OpenCV adds the offset before it removes the fixed-point bits.
    offset = (-box[0] * (1 << _SHIFT), -box[1] * (1 << _SHIFT))
    cv2.fillPoly(target, [shape], tuple(int(c) for c in color), cv2.LINE_AA, _SHIFT, offset)


def _soft(mask: Mask, radius: int) -> Mask:
    side = 2 * ((radius + 1) // 2) + 1
    return _bytes(cv2.blur(cv2.blur(mask, (side, side)), (side, side)))


def _shifted(array: Mask, dx: int, dy: int) -> Mask:
    """Array read at (x + dx, y + dy), with its border repeated."""
    height, width = array.shape
    pad_x, pad_y = abs(dx), abs(dy)
    padded = _bytes(cv2.copyMakeBorder(array, pad_y, pad_y, pad_x, pad_x, cv2.BORDER_REPLICATE))
    return padded[pad_y + dy : pad_y + dy + height, pad_x + dx : pad_x + dx + width]


def _blend(top: Image, below: Image, mask: Mask) -> Image:
    weight = mask.astype(np.float32) * np.float32(1 / 255)
    return _bytes(cv2.blendLinear(top, np.ascontiguousarray(below), weight, 1.0 - weight))


def _bytes(array: npt.ArrayLike) -> Image:
    """Type of OpenCV's results."""
    return np.asarray(array, np.uint8)


@lru_cache(maxsize=64)
def _spline_matrix(count: int, steps: int, closed: bool) -> FloatArray:
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


def points(*coordinates: Sequence[float] | FloatArray) -> FloatArray:
    """Points (n, d) from one sequence per axis: x, y and possibly z."""
    return np.stack([np.asarray(axis, np.float64) for axis in coordinates], axis=1)


def smooth(points: FloatArray, steps: int = 4, closed: bool = True) -> FloatArray:
    """Catmull-Rom spline through (n, d) points, with `steps` points per span."""
    return np.asarray(_spline_matrix(len(points), steps, closed) @ points)


def ribbon(a: FloatArray, b: FloatArray) -> FloatArray:
    """Polygon between two open splines of three points per span."""
    return np.concatenate([smooth(a, 3, closed=False), smooth(b, 3, closed=False)[::-1]])


_TURN = np.arange(20) * np.pi / 10
_CIRCLE = np.stack([np.cos(_TURN), np.sin(_TURN)], axis=1)
# Round end of a limb: half a turn.
_HALF = np.linspace(-np.pi / 2, np.pi / 2, 9)
_END = np.stack([np.cos(_HALF), np.sin(_HALF)], axis=1)


def moved(points: FloatArray, x: float, y: float) -> FloatArray:
    """Move (n, 2) points or one point by (x, y)."""
    return np.asarray(points + np.array([x, y]))


def disc(center: FloatArray, radius: float | tuple[float, float]) -> FloatArray:
    """Circle or upright ellipse as a polygon (20, 2)."""
    return np.asarray(center + _CIRCLE * radius)


def capsules(a: FloatArray, b: FloatArray, radius_a: FloatArray, radius_b: FloatArray) -> FloatArray:
    """Outlines (n, 18, 2) of limbs with round ends, from points a to points b (n, 2)."""
    along = b - a
    along = along / np.maximum(np.sqrt((along * along).sum(axis=1, keepdims=True)), 1e-6)
    across = np.stack([-along[:, 1], along[:, 0]], axis=1)
    end = _END[:, :1] * along[:, None] + _END[:, 1:] * across[:, None]
    far = b[:, None] + radius_b[:, None, None] * end
    near = a[:, None] - radius_a[:, None, None] * end
    return np.concatenate([far, near], axis=1)


def capsule(a: FloatArray, b: FloatArray, radius_a: float, radius_b: float) -> FloatArray:
    """Outline (18, 2) of one limb; see `capsules`."""
    return np.asarray(capsules(a[None], b[None], np.array([radius_a]), np.array([radius_b]))[0])
