"""Layers of the portrait: background, trunk (torso and head), upper arms, forearms and hands.

Composed in their own places they give the portrait: a layer's colours are what the portrait needs on top of
the layers below.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from talkingpose.io.image import Image
from talkingpose.warp.fill import continue_edges, fill
from talkingpose.warp.geometry import Affine, Points
from talkingpose.warp.matte import Mask, person_matte
from talkingpose.warp.regions import (
    arm_bones,
    hand_region,
    limb_distances,
    pixel_grid,
    refined,
    torso_region,
)
from talkingpose.warp.resample import warp_image
from talkingpose.warp.skeleton import ARMS, body_size

Part = Literal["upper", "fore", "hand"]
# From back to front.
PARTS: tuple[Part, ...] = ("upper", "fore", "hand")

# Widths in body sizes: of the soft seam, of the rim around the person that the background does not keep, and
# around an arm that the trunk does not keep.
_SEAM, _RIM, _CUT = 0.012, 0.01, 0.03
# Half the width, in body sizes, below which a piece of the trunk is a sliver.
_SLIVER = 0.06


@dataclass(frozen=True)
class Layer:
    """Part of the portrait that can be moved.

    Attributes:
        texture: uint8 (h, w, 4): colours multiplied by alpha, then alpha.
        origin: x and y of its first pixel in the portrait.
    """

    texture: Image
    origin: tuple[int, int]

    def draw(self, frame: Image, transform: Affine) -> None:
        """Draw the layer onto a frame, in place.

        Args:
            frame: uint8 (H, W, 3).
            transform: from the portrait to the frame.
        """
        x, y = self.origin
        h, w = self.texture.shape[:2]
        corners = np.array([[x, y], [x + w, y], [x, y + h], [x + w, y + h]], np.float64)
        moved = corners @ transform[:, :2].T + transform[:, 2]
        left, top = np.maximum(np.floor(moved.min(axis=0)).astype(int), 0)
        right, bottom = np.minimum(
            np.ceil(moved.max(axis=0)).astype(int) + 1, (frame.shape[1], frame.shape[0])
        )
        if left >= right or top >= bottom:
            return
        local = transform.copy()
        local[:, 2] += transform[:, :2] @ (x, y) - (left, top)
        warped = warp_image(self.texture, local, (int(right - left), int(bottom - top)))
        blend(frame[top:bottom, left:right], warped)


@dataclass(frozen=True)
class Layers:
    """Layers of a portrait.

    Attributes:
        background: uint8 (H, W, 3), filled behind the person.
        trunk: uint8 (H, W, 4), torso and head, as a `Layer`'s texture.
        limbs: of each arm that the portrait shows, by part and index into `ARMS`.
    """

    background: Image
    trunk: Image
    limbs: dict[tuple[Part, int], Layer]


def blend(frame: Image, texture: Image) -> None:
    """Lay a texture (h, w, 4), multiplied by its alpha, over a frame of its size (h, w, 3), in place."""
    colours = cv2.cvtColor(texture, cv2.COLOR_RGBA2RGB)
    through = cv2.cvtColor(255 - texture[..., 3], cv2.COLOR_GRAY2RGB)
    below = cv2.multiply(frame, through, scale=1 / 255)
    cv2.add(below, colours, dst=below)
    frame[...] = below


def cut_layers(portrait: Image, points: Points, shown: npt.NDArray[np.bool_]) -> Layers:
    """Cut a portrait into layers.

    Args:
        portrait: uint8 RGB (H, W, 3).
        points: (133, 2) in pixels.
        shown: (133,), the points that the portrait shows.
    """
    shape = (portrait.shape[0], portrait.shape[1])
    size = body_size(points, shown, shape[0])
    matte = person_matte(portrait, points[shown])
    torso = torso_region(points, shown, size, shape)
    regions = _limb_regions(portrait, points, shown, size, torso)
    person = _grown((matte > 0.3).astype(np.float32), 0.02 * size)
    regions = {key: region if key[0] == "hand" else region * person for key, region in regions.items()}
    _take_slivers(regions, matte, size)
    arms = _union(list(regions.values()), shape)

    # 1. The background: the portrait without the person and a rim around it.
    hands = [_shrunk(region, 0.04 * size) for (part, _), region in regions.items() if part == "hand"]
    solid = _union([matte, *hands], shape)
    hole = _grown((solid > 0.02).astype(np.float32), _RIM * size)
    background = continue_edges(portrait, hole)
    below = background.astype(np.float32)

    # 2. The trunk: without the arms, and filled where they hide it.
    keeps = _shoulder_discs(points, shown, size, shape)
    wide = _grown(arms, _CUT * size)
    cut = _soft(arms, _SEAM * size) * (1 - keeps)
    behind = np.maximum(_silhouette(matte, wide * (matte > 0.5)), torso)
    alpha = matte * (1 - cut * (1 - behind))
    trunk = _colours(portrait, below, alpha, matte, wide * (1 - keeps), size)
    below = below * (1 - alpha[..., None]) + trunk

    # 3. The arms from back to front, each on top of what is below it, and filled where the next hides it.
    limbs = {}
    order = [(part, index) for part in PARTS for index in range(len(ARMS)) if (part, index) in regions]
    for number, key in enumerate(order):
        own = _soft(regions[key], _SEAM * size)
        # The matte loses fingers: the inside of a hand counts in any case.
        alpha_limb = own * (
            np.maximum(matte, _shrunk(regions[key], 0.04 * size)) if key[0] == "hand" else matte
        )
        front = _union([regions[other] for other in order[number + 1 :] if other[0] != key[0]], shape)
        colours = _colours(
            portrait, below, alpha_limb, regions[key] * matte, _grown(front, _CUT * size), size
        )
        below = below * (1 - alpha_limb[..., None]) + colours
        layer = _cropped(colours, alpha_limb)
        if layer is not None:
            limbs[key] = layer
    return Layers(background, _texture(trunk, alpha), limbs)


def _limb_regions(
    portrait: Image, points: Points, shown: npt.NDArray[np.bool_], size: float, torso: Mask
) -> dict[tuple[Part, int], Mask]:
    """Return the region of each visible part of the arms, 0 or 1."""
    shape = (torso.shape[0], torso.shape[1])
    grid = pixel_grid(*shape)
    regions: dict[tuple[Part, int], Mask] = {}
    for index, arm in enumerate(ARMS):
        bones = arm_bones(points, shown, arm, size)
        for name, distance in limb_distances(bones, grid, torso).items():
            region = (distance < 1).astype(np.float32)
            if name == "upper":
                regions["upper", index] = region
            else:
                core = (distance < 0.4).astype(np.float32)
                regions["fore", index] = refined(portrait, region, core, 0.05 * size)
        hand = hand_region(points, shown, arm, size, shape)
        if hand is not None:
            core = _shrunk(hand, 0.1 * size)
            regions["hand", index] = refined(portrait, hand, core, 0.06 * size)
    return regions


def _take_slivers(regions: dict[tuple[Part, int], Mask], matte: Mask, size: float) -> None:
    """Give slivers of the person beside an arm, too thin to belong to the trunk, to the arm; in place."""
    if not regions:
        return
    keys = list(regions)
    arms = _union(list(regions.values()), (matte.shape[0], matte.shape[1]))
    person = (matte > 0.5).astype(np.float32)
    rest = person * (1 - arms)
    thick = _grown(_shrunk(rest, _SLIVER * size), 1.2 * _SLIVER * size)
    slivers = (rest > 0) & (thick == 0) & (_grown(arms, 2 * _SLIVER * size) > 0)
    away = [cv2.distanceTransform((regions[key] == 0).astype(np.uint8), cv2.DIST_L2, 3) for key in keys]
    nearest = np.argmin(away, axis=0)
    for number, key in enumerate(keys):
        regions[key] = np.maximum(regions[key], slivers & (nearest == number)).astype(np.float32)


def _shoulder_discs(
    points: Points, shown: npt.NDArray[np.bool_], size: float, shape: tuple[int, int]
) -> Mask:
    """Return soft discs at the shoulders, which the trunk keeps so that an arm can turn on them."""
    mask = np.zeros(shape, np.uint8)
    for arm in ARMS:
        if shown[arm.shoulder]:
            x, y = np.rint(points[arm.shoulder]).astype(int)
            cv2.circle(mask, (int(x), int(y)), max(1, round(0.2 * size)), (1,), -1)
    return _soft(mask.astype(np.float32), 2 * _SEAM * size)


def _union(masks: list[Mask], shape: tuple[int, int]) -> Mask:
    return np.asarray(np.maximum.reduce([np.zeros(shape, np.float32), *masks]), np.float32)


def _grown(mask: Mask, radius: float) -> Mask:
    side = 2 * max(1, round(radius)) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return np.asarray(cv2.dilate(mask, kernel), np.float32)


def _shrunk(mask: Mask, radius: float) -> Mask:
    return np.asarray(1 - _grown(1 - mask, radius), np.float32)


def _silhouette(matte: Mask, hidden: Mask) -> Mask:
    """Return the matte of the trunk, guessed where the arms hide it from what is around them."""
    grey = np.repeat(np.rint(255 * matte)[..., None], 3, axis=-1).astype(np.uint8)
    guess = fill(grey, 1 - hidden)[..., 0].astype(np.float32) / 255
    return np.asarray(np.clip((guess - 0.35) / 0.3, 0, 1), np.float32)


def _soft(mask: Mask, sigma: float) -> Mask:
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), max(0.6, sigma)), np.float32)


def _on_top(portrait: Image, below: npt.NDArray[np.float32], alpha: Mask) -> npt.NDArray[np.float32]:
    """Return colours that, laid over `below` with `alpha`, give the portrait."""
    wanted = portrait - below * (1 - alpha[..., None])
    return np.asarray(np.clip(wanted, 0, 255 * alpha[..., None]), np.float32)


def _colours(
    portrait: Image, below: npt.NDArray[np.float32], alpha: Mask, own: Mask, hidden: Mask, size: float
) -> npt.NDArray[np.float32]:
    """Return the colours of a layer, multiplied by alpha.

    Args:
        portrait: uint8 (H, W, 3).
        below: what the layers below give, (H, W, 3).
        alpha: of the layer.
        own: where the portrait shows the layer, unless it is hidden.
        hidden: 1 where something in front hides the layer: colours are guessed from the rest of it.
        size: of the body in pixels.
    """
    colours = _on_top(portrait, below, alpha)
    if not (hidden * alpha).any():
        return colours
    share = _soft(hidden, _SEAM * size)
    known = (own > 0.95) * (share < 0.02).astype(np.float32)
    if known.sum() < 16:
        return colours
    share = share[..., None]
    guess = fill(portrait, np.asarray(known, np.float32))
    return np.asarray(colours * (1 - share) + guess * alpha[..., None] * share, np.float32)


def _texture(colours: npt.NDArray[np.float32], alpha: Mask) -> Image:
    joined = np.concatenate([colours, 255 * alpha[..., None]], axis=-1)
    return np.asarray(np.clip(np.rint(joined), 0, 255), np.uint8)


def _cropped(colours: npt.NDArray[np.float32], alpha: Mask) -> Layer | None:
    """Return the part of a layer that is not empty."""
    rows, columns = np.flatnonzero((alpha > 0.004).any(axis=1)), np.flatnonzero((alpha > 0.004).any(axis=0))
    if not len(rows):
        return None
    # A transparent rim, so that the border is interpolated.
    top, left = max(0, rows[0] - 1), max(0, columns[0] - 1)
    bottom, right = rows[-1] + 2, columns[-1] + 2
    part = _texture(colours[top:bottom, left:right], alpha[top:bottom, left:right])
    return Layer(part, (int(left), int(top)))
