"""Motion of torso, neck, head and face as one smooth deformation."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from talkingpose.io.image import Image
from talkingpose.warp.geometry import Affine, Points, about, apply, fit_similarity, invert, rotation
from talkingpose.warp.layers import blend
from talkingpose.warp.mouth import Mouth
from talkingpose.warp.resample import Field, from_lattice, lattice, look_up, sample
from talkingpose.warp.skeleton import CHIN, EARS, FACE_ROWS, HEAD, HIPS, INNER_LIPS, NOSE, SHOULDERS, TORSO

# Distance of the nodes of the map: for the body a share of the longer side, for the face of its width.
_NODE_SHARE, _FACE_NODE = 1 / 64, 1 / 36
_STEPS = 5
# The depth of a torso in its height: it stays that wide when the shoulders turn.
_DEPTH = 0.3
# Radii in face widths of the deformation around a landmark, with their weights, and the smoothing.
_RADII, _RIDGE = ((0.3, 0.6), (0.11, 0.4)), 0.08
_FACE_REACH = 0.5
# Features slide over the head when it turns, by at most this share of the face width, and a landmark by as
# much again. The portrait does not show what comes into view beyond that.
_MAX_SLIDE, _MAX_SHIFT = 0.09, 0.12
# The outline of the face (jaw from ear to ear) stays on the head but for the chin, which the mouth moves.
_OUTLINE = (*range(6), *range(11, 17))
_HEAD_SCALE = (0.88, 1.14)


class Trunk:
    """Torso and head of a portrait.

    Args:
        texture: uint8 (H, W, 4), multiplied by its alpha.
        points: (133, 2) of the portrait in pixels.
        shown: (133,), the points that the portrait shows.
        size: of the body in pixels.
    """

    def __init__(self, texture: Image, points: Points, shown: npt.NDArray[np.bool_], size: float) -> None:
        self._texture, self._points, self._shown, self._size = texture, points, shown, size
        height, width = texture.shape[:2]
        self._torso = [row for row in TORSO if shown[row]]
        self._has_hips = bool(shown[list(TORSO)].all())
        face = [row for row in FACE_ROWS if shown[row]]
        self._face = face if len(face) == len(FACE_ROWS) else []
        self._head = self._face or [row for row in HEAD if shown[row]]
        self._weight = self._head_weight(height, width)
        self._node = max(2.0, _NODE_SHARE * max(height, width))
        if self._face:
            self._prepare_face(height, width)

    def transforms(self, target: Points) -> tuple[Affine, Affine]:
        """Return the transforms of torso and head from the portrait to a frame with given points."""
        torso = self._torso_transform(target)
        if len(self._head) < 2:
            return torso, torso
        return torso, self._head_transform(target, float(np.sqrt(abs(np.linalg.det(torso[:, :2])))))

    def draw(self, frame: Image, target: Points) -> tuple[Affine, Affine]:
        """Draw the trunk onto a frame, in place, and return the transforms of torso and head.

        Args:
            frame: uint8 (H, W, 3).
            target: (133, 2) in pixels.
        """
        torso, head = self.transforms(target)
        height, width = frame.shape[:2]
        shift = self._face_shift(target, head)
        step = self._node
        coarse = self._source(lattice(0, 0, width, height, step), torso, head, shift)
        where = from_lattice(coarse, step, (width, height))
        if shift is not None:
            self._refine(where, torso, head, shift)
        blend(frame, look_up(self._texture, where))
        if shift is not None:
            lips = self._points[list(INNER_LIPS)]
            node = ((lips - self._face_box[:2]) / self._face_step).astype(np.float32)
            moved = lips + sample(shift, node[None])[0]
            self._mouth.draw(frame, apply(head, moved))
        return torso, head

    def _torso_transform(self, target: Points) -> Affine:
        if len(self._torso) < 2:
            rows = self._torso or [NOSE] if self._shown[NOSE] else self._torso
            return fit_similarity(self._points[rows], target[rows]) if rows else np.eye(2, 3)
        source, moved = self._points, target
        shoulders = source[SHOULDERS[0]] - source[SHOULDERS[1]], moved[SHOULDERS[0]] - moved[SHOULDERS[1]]
        if not self._has_hips:
            return fit_similarity(source[self._torso], moved[self._torso], (0.8, 1.25))
        similar = fit_similarity(source[list(TORSO)], moved[list(TORSO)])
        neck = [p[list(SHOULDERS)].mean(axis=0) for p in (source, moved)]
        spine = [p[list(HIPS)].mean(axis=0) - n for p, n in zip((source, moved), neck, strict=True)]
        lengths = [float(np.hypot(*s)) for s in spine]
        depth = _DEPTH * lengths[0]
        widths = [float(np.hypot(*s)) for s in shoulders]
        along = float(np.clip(lengths[1] / max(lengths[0], 1e-6), 0.5, 2))
        across = float(np.clip((widths[1] + depth * along) / (widths[0] + depth), 0.5, 2))
        angle = float(np.arctan2(similar[1, 0], similar[0, 0]))
        upright = float(np.arctan2(spine[0][1], spine[0][0]))
        linear = rotation(angle + upright) @ np.diag([along, across]) @ rotation(-upright)
        return about(linear, neck[0] + 0.3 * spine[0], neck[1] + 0.3 * spine[1])

    def _head_transform(self, target: Points, scale: float) -> Affine:
        """Return the similarity of the head; its size stays near that of the torso."""
        source, moved = self._points[self._head], target[self._head]
        similar = fit_similarity(source, moved)
        low, high = _HEAD_SCALE
        extent = [float(np.hypot(*np.ptp(p, axis=0))) for p in (source, moved)]
        wanted = float(np.clip(extent[1] / max(extent[0], 1e-6), low * scale, high * scale))
        linear = wanted * rotation(float(np.arctan2(similar[1, 0], similar[0, 0])))
        rows = list(EARS)
        centre, where = source.mean(axis=0), moved.mean(axis=0)
        if self._face and self._shown[rows].all():
            # A turning head moves its face further than itself; the ears are on its axis.
            centre = (centre + self._points[rows].mean(axis=0)) / 2
            where = (where + target[rows].mean(axis=0)) / 2
        return about(linear, centre, where)

    def _head_weight(self, height: int, width: int) -> Field:
        """Return how far each pixel follows the head: 0 below the collar, 1 from the chin up."""
        y, x = np.mgrid[0:height, 0:width].astype(np.float32)
        if len(self._head) < 2 or not self._shown[list(SHOULDERS)].all():
            return np.ones((height, width), np.float32)
        neck = self._points[list(SHOULDERS)].mean(axis=0)
        nose = self._points[self._head].mean(axis=0)
        chin = self._points[CHIN] if self._face else nose + 0.45 * (neck - nose)
        axis = chin - neck
        share = ((x - neck[0]) * axis[0] + (y - neck[1]) * axis[1]) / max(float(axis @ axis), 1.0)
        t = np.clip((share - 0.05) / 0.85, 0, 1)
        return np.asarray(t * t * (3 - 2 * t), np.float32)

    def _prepare_face(self, height: int, width: int) -> None:
        """Precompute the weights of the landmarks at the nodes of a lattice over the face."""
        face = self._points[self._face]
        across = max(float(np.ptp(face[:, 0])), float(np.ptp(face[:, 1])), 4.0)
        self._across = across
        reach = _FACE_REACH * across
        low, high = face.min(axis=0) - reach, face.max(axis=0) + reach
        self._face_box = np.array([*np.floor(low), *np.ceil(high)])
        self._face_step = max(1.0, _FACE_NODE * across)
        x0, y0, x1, y1 = (float(v) for v in self._face_box)
        nodes = lattice(x0, y0, x1, y1, self._face_step)
        self._lattice_shape = nodes.shape[:2]

        def kernel(a: Points, b: Points) -> Points:
            square = ((a[:, None] - b[None]) ** 2).sum(axis=-1) / across**2
            return np.asarray(sum(w * np.exp(-square / r**2) for r, w in _RADII))

        solve = np.linalg.inv(kernel(face, face) + _RIDGE * np.eye(len(face)))
        spread = kernel(nodes.reshape(-1, 2).astype(np.float64), face) @ solve
        self._spread = spread.astype(np.float32)
        self._mouth = Mouth(self._texture, self._points[list(INNER_LIPS)])

    def _face_shift(self, target: Points, head: Affine) -> Field | None:
        """Return the displacement (h, w, 2) of the face within the head, on the lattice of the face."""
        if not self._face:
            return None
        residual = apply(invert(head), target[self._face]) - self._points[self._face]
        slide = np.median(residual[17:], axis=0)
        residual -= slide
        slide = _limited(slide[None], _MAX_SLIDE * self._across)
        residual = _limited(residual, _MAX_SHIFT * self._across) + slide
        residual[list(_OUTLINE)] = 0
        shift = (self._spread @ residual.astype(np.float32)).reshape(*self._lattice_shape, 2)
        return _without_folds(shift, self._face_step)

    def _source(self, nodes: Field, torso: Affine, head: Affine, shift: Field | None) -> Field:
        """Return where in the portrait each node of a frame comes from, by fixed-point iteration."""
        q = nodes.astype(np.float64)
        back_torso, back_head = invert(torso), invert(head)
        p = apply(back_torso, q)
        for number in range(_STEPS):
            weight = sample(self._weight, p.astype(np.float32), replicate=True)[..., None]
            inner = np.zeros_like(p)
            if shift is not None:
                node = ((p - self._face_box[:2]) / self._face_step).astype(np.float32)
                inner = sample(shift, node).astype(np.float64)
            moved = (1 - weight) * apply(torso, p) + weight * apply(head, p + inner)
            error = q - moved
            linear = (1 - weight)[..., None] * back_torso[:, :2] + weight[..., None] * back_head[:, :2]
            p = p + np.einsum("...ij,...j->...i", linear, error)
            if number and float(np.abs(error).max()) < 0.05:
                break
        return p.astype(np.float32)

    def _refine(self, where: Field, torso: Affine, head: Affine, shift: Field) -> None:
        """Replace the map around the face by a finer one, in place."""
        height, width = where.shape[:2]
        x0, y0, x1, y1 = self._face_box
        corners = apply(head, np.array([[x0, y0], [x1, y0], [x0, y1], [x1, y1]], np.float64))
        left, top = np.maximum(np.floor(corners.min(axis=0)).astype(int), 0)
        right, bottom = np.minimum(np.ceil(corners.max(axis=0)).astype(int), (width, height))
        if right - left < 2 or bottom - top < 2:
            return
        step = self._face_step
        fine = self._source(lattice(left, top, right, bottom, step), torso, head, shift)
        size = (int(right - left), int(bottom - top))
        where[top:bottom, left:right] = from_lattice(fine, step, size)


def _limited(vectors: Points, length: float) -> Points:
    """Return vectors (N, 2), shortened smoothly to less than a length."""
    ratio = np.hypot(vectors[:, 0], vectors[:, 1]) / length
    return np.asarray(vectors / np.sqrt(1 + ratio**2)[:, None])


def _without_folds(shift: Field, step: float) -> Field:
    """Return a displacement, weakened until no cell of its lattice turns over."""
    along_x, along_y = np.diff(shift, axis=1)[:-1] / step, np.diff(shift, axis=0)[:, :-1] / step
    for share in (1.0, 0.8, 0.6, 0.4, 0.2):
        area = (1 + share * along_x[..., 0]) * (1 + share * along_y[..., 1])
        area = area - share * along_x[..., 1] * share * along_y[..., 0]
        if float(area.min()) > 0.05:
            return np.asarray(share * shift, np.float32)
    return np.zeros_like(shift)
