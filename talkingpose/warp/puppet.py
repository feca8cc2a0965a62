"""Puppet of one portrait: a frame for each driving pose."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from talkingpose.io.image import Image
from talkingpose.pose.keypoints import validate
from talkingpose.warp.geometry import Affine, Points, apply, bone_transform, fit_similarity
from talkingpose.warp.layers import PARTS, Part, cut_layers
from talkingpose.warp.pose_track import PoseTrack
from talkingpose.warp.skeleton import ARMS, body_size
from talkingpose.warp.trunk import Trunk

# Range of the length of a limb against the portrait's, and of the size of a hand.
_STRETCH = (0.15, 2.5)
_HAND_SCALE = (0.6, 1.6)
# Share by which an arm hangs on the torso rather than on the shoulder's own place.
_ATTACHED = 1.0


class Puppet:
    """Layers of a portrait, moved by the poses of one video in order.

    Args:
        portrait: uint8 RGB (H, W, 3).
        pose: keypoints of the portrait, (133, 3): x and y in [0, 1], confidence; zeros for a missing point.
        fps: rate of the driving poses.
        smooth_torso: smooth the torso of the driving poses; False where `with_steady_torso` has done it.

    Raises:
        PoseError: invalid keypoints.
    """

    def __init__(
        self, portrait: Image, pose: npt.NDArray[Any], fps: float, *, smooth_torso: bool = True
    ) -> None:
        validate(pose, "keypoints of the portrait")
        height, width = portrait.shape[:2]
        self._unit = np.array([width, height, 1.0])
        own = pose.astype(np.float64) * self._unit
        self._track = PoseTrack(own, fps, height, smooth_torso=smooth_torso)
        self._points: Points = own[:, :2]
        shown = self._track.shown
        self._layers = cut_layers(portrait, self._points, shown)
        size = body_size(self._points, shown, height)
        self._trunk = Trunk(self._layers.trunk, self._points, shown, size)

    def frame(self, keypoints: npt.NDArray[Any]) -> Image:
        """Return the next frame, uint8 RGB of the portrait's size.

        Args:
            keypoints: (133, 3), in the frame of the portrait: x and y in [0, 1], confidence.

        Raises:
            PoseError: invalid keypoints.
        """
        validate(keypoints, "driving keypoints")
        return self._drawn(self._track.update(keypoints.astype(np.float64) * self._unit))

    def _drawn(self, target: Points) -> Image:
        frame = self._layers.background.copy()
        torso, _ = self._trunk.draw(frame, target)
        scale = float(np.sqrt(abs(np.linalg.det(torso[:, :2]))))
        for part in PARTS:
            for index in range(len(ARMS)):
                layer = self._layers.limbs.get((part, index))
                if layer is not None:
                    layer.draw(frame, self._limb_transform(part, index, target, torso, scale))
        return frame

    def _limb_transform(self, part: Part, index: int, target: Points, torso: Affine, scale: float) -> Affine:
        arm = ARMS[index]
        if part == "hand":
            rows = [row for row in arm.hand if self._track.shown[row]]
            return fit_similarity(self._points[rows], target[rows], _HAND_SCALE)
        rows = [arm.shoulder, arm.elbow] if part == "upper" else [arm.elbow, arm.wrist]
        ends = target[rows]
        if part == "upper":
            # The sleeve hangs on the torso, which does not follow a turn of the shoulders all the way.
            attached = apply(torso, self._points[arm.shoulder])
            ends = np.stack([ends[0] + _ATTACHED * (attached - ends[0]), ends[1]])
        return bone_transform(self._points[rows], ends, scale, _STRETCH)
