"""Identity of a synthetic speaker: everything that does not move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from curation.synthetic import colors
from curation.synthetic.colors import Color
from curation.synthetic.seeds import stream

_T = TypeVar("_T")

GARMENTS = ("tee", "sweater", "shirt", "suit", "hoodie", "vneck", "turtleneck")
PATTERNS = ("plain", "stripes", "pinstripes", "checks", "dots")
BACKDROPS = ("gallery", "shelf", "window", "studio", "panels", "office")


@dataclass(frozen=True)
class Body:
    """Proportions in picture heights; the frame is the unit square, y points down."""

    center_x: float
    chin_y: float
    head_height: float
    shoulder_y: float
    shoulder_half: float
    hip_y: float
    hip_half: float
    neck_half: float
    upper_arm: float
    forearm: float
    hand: float
    arm_radius: float


@dataclass(frozen=True)
class FaceShape:
    """Face shape in head heights, from chin to crown without hair."""

    cheek: float
    jaw: float
    chin: float
    eye_x: float
    eye_y: float
    eye_half: float
    eye_open: float
    eye_tilt: float
    brow_y: float
    brow_arch: float
    brow_thickness: float
    nose_y: float
    nose_half: float
    mouth_y: float
    mouth_half: float
    lip: float
    ear: float
    lashes: float


@dataclass(frozen=True)
class Clothing:
    """Garment, pattern and colours."""

    garment: str
    pattern: str
    color: Color
    second: Color
    accent: Color
    long_sleeves: bool
    period: float
    tie: bool


@dataclass(frozen=True)
class Backdrop:
    """Room behind the speaker; `seed` determines its furniture."""

    kind: str
    wall: Color
    wood: Color
    accent: Color
    seed: int
    blur: float


@dataclass(frozen=True)
class Identity:
    """Synthetic speaker. `light` is the unit vector (x, y) in the picture towards the light."""

    seed: int
    body: Body
    face: FaceShape
    skin: Color
    lips: Color
    iris: Color
    hair_style: str
    hair_color: Color
    hair_volume: float
    hair_seed: int
    parting: float
    beard: str
    glasses: str
    glasses_color: Color
    earrings: bool
    blush: float
    clothing: Clothing
    backdrop: Backdrop
    light: tuple[float, float]


def draw_identity(seed: int) -> Identity:
    """Sample the speaker of a seed; equal seeds give equal speakers.

    Raises:
        SeedError: The seed is not an integer in [0, 2**63).
    """
    rng = stream("identity", seed)
    feminine = bool(rng.random() < 0.5)
    skin_index = int(rng.integers(len(colors.SKIN)))
    skin = _vary(rng, colors.SKIN[skin_index], 5)
    hair_color = _vary(rng, colors.HAIR[_hair_index(rng, skin_index)], 7)
    backdrop = _draw_backdrop(rng)
    styles = (
        "long bob bun ponytail bangs wavy long curly afro side"
        if feminine
        else "crop side quiff curly afro crop side bald quiff wavy"
    )
    style = _pick(rng, styles.split())
    beard = "none" if feminine else _pick(rng, ("none", "none", "stubble", "full", "goatee", "moustache"))
    glasses = _pick(rng, ("none", "none", "none", "round", "square"))
    angle = rng.uniform(0.45, 1.05) * (1 if rng.random() < 0.5 else -1)
    return Identity(
        seed=int(seed),
        body=_draw_body(rng, feminine),
        face=_draw_face(rng, feminine),
        skin=skin,
        lips=_lip_color(rng, skin, feminine),
        iris=_vary(rng, colors.IRIS[0 if skin_index > 5 else int(rng.integers(len(colors.IRIS)))], 8),
        hair_style=style,
        hair_color=hair_color,
        hair_volume=float(rng.uniform(0.75, 1.25)),
        hair_seed=int(rng.integers(2**31)),
        parting=float(rng.uniform(0.45, 1.0) * rng.choice((-1.0, 1.0))),
        beard=beard,
        glasses=glasses,
        glasses_color=_pick(rng, ((34, 32, 36), (92, 58, 36), (60, 72, 96), (140, 52, 48), (176, 150, 96))),
        earrings=feminine and bool(rng.random() < 0.45),
        blush=float(rng.uniform(0.25, 1.0) if feminine else rng.uniform(0.05, 0.5)),
        clothing=_draw_clothing(rng, feminine, backdrop, skin),
        backdrop=backdrop,
        light=(float(np.sin(angle)), float(-np.cos(angle))),
    )


def _pick(rng: np.random.Generator, options: Sequence[_T]) -> _T:
    return options[int(rng.integers(len(options)))]


def _vary(rng: np.random.Generator, color: Color, spread: float) -> Color:
    shift = rng.normal(0.0, spread) + rng.normal(0.0, spread * 0.4, 3)
    red, green, blue = (min(max(round(c + s), 0), 255) for c, s in zip(color, shift.tolist(), strict=True))
    return red, green, blue


def _hair_index(rng: np.random.Generator, skin_index: int) -> int:
    if skin_index >= 5:
        return int(rng.choice((0, 0, 1, 1, 2, 8, 10)))
    return int(rng.integers(len(colors.HAIR)))


def _lip_color(rng: np.random.Generator, skin: Color, feminine: bool) -> Color:
    natural = (min(255, round(skin[0] * 0.86 + 4)), round(skin[1] * 0.60), round(skin[2] * 0.62))
    painted = _pick(rng, ((178, 52, 62), (190, 84, 88), (150, 44, 70)))
    return colors.mix(natural, painted, float(rng.uniform(0.15, 0.65)) if feminine else 0.0)


def _draw_body(rng: np.random.Generator, feminine: bool) -> Body:
    head = float(rng.uniform(0.325, 0.355))
    chin = float(rng.uniform(0.435, 0.455))
    broad = rng.uniform(0.205, 0.225) if feminine else rng.uniform(0.225, 0.248)
    return Body(
        center_x=float(rng.uniform(0.48, 0.52)),
        chin_y=chin,
        head_height=head,
        shoulder_y=chin + float(rng.uniform(0.105, 0.12)),
        shoulder_half=float(broad),
        hip_y=float(rng.uniform(1.0, 1.04)),
        hip_half=float(rng.uniform(0.135, 0.16)),
        neck_half=float(rng.uniform(0.054, 0.062) if feminine else rng.uniform(0.064, 0.078)),
        upper_arm=float(rng.uniform(0.275, 0.30)),
        forearm=float(rng.uniform(0.235, 0.255)),
        hand=float(rng.uniform(0.205, 0.22) if feminine else rng.uniform(0.215, 0.235)),
        arm_radius=float(rng.uniform(0.046, 0.053) if feminine else rng.uniform(0.052, 0.061)),
    )


def _draw_face(rng: np.random.Generator, feminine: bool) -> FaceShape:
    jaw = rng.uniform(0.255, 0.30) if feminine else rng.uniform(0.285, 0.335)
    return FaceShape(
        cheek=float(rng.uniform(0.355, 0.395)),
        jaw=float(jaw),
        chin=float(rng.uniform(0.07, 0.10) if feminine else rng.uniform(0.09, 0.14)),
        eye_x=float(rng.uniform(0.158, 0.178)),
        eye_y=float(rng.uniform(0.035, 0.06)),
        eye_half=float(rng.uniform(0.082, 0.096) if feminine else rng.uniform(0.076, 0.088)),
        eye_open=float(rng.uniform(0.044, 0.056) if feminine else rng.uniform(0.036, 0.048)),
        eye_tilt=float(rng.normal(0.008, 0.008)),
        brow_y=float(rng.uniform(0.105, 0.125)),
        brow_arch=float(rng.uniform(0.012, 0.03)),
        brow_thickness=float(rng.uniform(0.014, 0.02) if feminine else rng.uniform(0.02, 0.03)),
        nose_y=float(rng.uniform(0.205, 0.24)),
        nose_half=float(rng.uniform(0.055, 0.08)),
        mouth_y=float(rng.uniform(0.325, 0.35)),
        mouth_half=float(rng.uniform(0.115, 0.145)),
        lip=float(rng.uniform(0.024, 0.034) if feminine else rng.uniform(0.016, 0.026)),
        ear=float(rng.uniform(0.85, 1.15)),
        lashes=float(rng.uniform(0.7, 1.0) if feminine else rng.uniform(0.2, 0.5)),
    )


def _draw_backdrop(rng: np.random.Generator) -> Backdrop:
    return Backdrop(
        kind=_pick(rng, BACKDROPS),
        wall=_vary(rng, _pick(rng, colors.WALL), 4),
        wood=_vary(rng, _pick(rng, colors.WOOD), 5),
        accent=_vary(rng, _pick(rng, colors.CLOTH), 6),
        seed=int(rng.integers(2**31)),
        blur=float(rng.uniform(0.6, 1.6)),
    )


def _draw_clothing(rng: np.random.Generator, feminine: bool, backdrop: Backdrop, skin: Color) -> Clothing:
    garment = str(_pick(rng, GARMENTS))
    palette = colors.SUIT if garment == "suit" else colors.CLOTH
    candidates = [
        c for c in palette if colors.distance(c, backdrop.wall) > 90 and colors.distance(c, skin) > 80
    ]
    color = _vary(rng, _pick(rng, tuple(candidates) or palette), 5)
    pattern = {
        "tee": ("plain", "plain", "stripes", "dots"),
        "sweater": ("plain", "stripes", "checks"),
        "shirt": ("plain", "pinstripes", "checks", "checks"),
        "suit": ("plain", "plain", "pinstripes"),
        "hoodie": ("plain",),
        "vneck": ("plain", "dots", "stripes"),
        "turtleneck": ("plain", "stripes"),
    }[garment]
    pale = colors.luminance(color) > 140
    second = colors.mix(color, (40, 44, 60) if pale else (244, 240, 232), float(rng.uniform(0.45, 0.85)))
    short = garment in ("tee", "vneck") and rng.random() < 0.7
    others = [c for c in colors.CLOTH if colors.distance(c, color) > 110]
    return Clothing(
        garment=garment,
        pattern=_pick(rng, pattern),
        color=color,
        second=second,
        accent=_vary(rng, _pick(rng, tuple(others)), 5),
        long_sleeves=not short,
        period=float(rng.uniform(0.042, 0.07)),
        tie=(garment == "suit" and not feminine) or (garment == "shirt" and bool(rng.random() < 0.3)),
    )
