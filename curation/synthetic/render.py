"""Renderer: an identity and a pose become a picture with keypoints."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import cv2
import numpy as np

from curation.detect.measurements import Keypoints
from curation.synthetic import arms, clothing, face, parts
from curation.synthetic.backdrop import paint_backdrop
from curation.synthetic.canvas import Canvas
from curation.synthetic.figure import Figure, pose_figure
from curation.synthetic.hair import Hair
from curation.synthetic.identity import Identity, draw_identity
from curation.synthetic.keypoints import keypoints_seen
from curation.synthetic.motion import Motion, PoseState
from curation.synthetic.seeds import SeedError
from talkingpose.io.image import Image

# Factor of supersampling in both directions.
_SUPERSAMPLE = 2
_SIZES = (32, 2048)


class Scene:
    """One identity at one size; static parts are painted once."""

    def __init__(self, identity: Identity, size: int) -> None:
        """Paint the static parts.

        Raises:
            SeedError: The size is not an integer in [32, 2048].
        """
        if isinstance(size, bool) or not isinstance(size, int) or not _SIZES[0] <= size <= _SIZES[1]:
            raise SeedError(f"size: {size!r}: give an integer from {_SIZES[0]} to {_SIZES[1]}")
        self.identity = identity
        self.size = size
        self._fine = _SUPERSAMPLE * size
        self._backdrop = paint_backdrop(identity, self._fine)
        self._tile = clothing.pattern_tile(identity, self._fine)
        self._torso = clothing.paint_torso(identity, self._fine, self._tile)
        self._hair = Hair(identity)

    def render(self, state: PoseState) -> tuple[Image, Keypoints]:
        """Render a pose: picture uint8 (size, size, 3) RGB and keypoints float32 (133, 3).

        Keypoints are x, y in [0, 1] and a confidence: 1 for visible points, 0.5 for points hidden by a nearer
        part of the speaker. Points outside the picture, legs and feet are zeros.
        """
        figure = pose_figure(self.identity, state)
        canvas = Canvas(self._backdrop.copy(), self.identity.light)
        self._hair.paint_behind(canvas, figure.head)
        clothing.paint_collar_behind(canvas, self.identity, figure.torso_map)
        face.paint_neck(canvas, self.identity, figure.head, figure.torso_map)
        self._put_torso(canvas, figure)
        face.paint_head(canvas, self.identity, figure.head, state)
        self._hair.paint_front(canvas, figure.head)
        arms.paint_arms(canvas, self.identity, figure, self._tile)
        image = cv2.resize(canvas.image, (self.size, self.size), interpolation=cv2.INTER_AREA)
        return np.asarray(image, np.uint8), keypoints_seen(figure, canvas.owner)

    def _put_torso(self, canvas: Canvas, figure: Figure) -> None:
        matrix = figure.torso_map.copy()
        # The centre of a pixel lies half a pixel from its corner.
        matrix[:, 2] = matrix[:, 2] * self._fine + 0.5 * matrix[:, :2].sum(axis=1) - 0.5
        outline = self._torso.outline @ figure.torso_map[:, :2].T + figure.torso_map[:, 2]
        left, top = np.clip((outline.min(axis=0) * self._fine).astype(int) - 2, 0, self._fine - 2).tolist()
        right = min(int(outline[:, 0].max() * self._fine) + 3, self._fine)
        matrix[:, 2] -= (left, top)
        shape = (max(right - left, 1), self._fine - top)
        color = cv2.warpAffine(self._torso.color, matrix, shape, borderMode=cv2.BORDER_REPLICATE)
        alpha = cv2.warpAffine(self._torso.alpha, matrix, shape, borderMode=cv2.BORDER_CONSTANT)
        canvas.put_layer(np.asarray(color, np.uint8), np.asarray(alpha, np.uint8), (left, top))
        canvas.own([outline], parts.TORSO)


@lru_cache(maxsize=4)
def _scene(identity: Identity, size: int) -> Scene:
    return Scene(identity, size)


def render(identity: Identity, state: PoseState, size: int) -> tuple[Image, Keypoints]:
    """Render an identity in a pose; see `Scene.render`. The last four scenes are cached.

    Raises:
        SeedError: The size is not an integer in [32, 2048].
    """
    return _scene(identity, size).render(state)


def frames(
    identity_seed: int, motion_seed: int, num_frames: int, size: int, fps: float = 25.0
) -> Iterator[tuple[Image, Keypoints]]:
    """Render a clip: picture uint8 (size, size, 3) RGB and keypoints float32 (133, 3) of every frame.

    Raises:
        SeedError: An argument is out of range.
    """
    if isinstance(num_frames, bool) or not isinstance(num_frames, int) or num_frames < 1:
        raise SeedError(f"num_frames: {num_frames!r}: give an integer from 1")
    motion = Motion(motion_seed, fps)
    scene = Scene(draw_identity(identity_seed), size)
    return (scene.render(motion.at(index)) for index in range(num_frames))
