"""Hair: the part behind the head, the cap, and the locks in front of the shoulders."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from curation.detect.measurements import FloatArray
from curation.synthetic import colors, parts
from curation.synthetic.canvas import Canvas, Finish, Touch, disc, moved, points, smooth
from curation.synthetic.head import HeadPose, surface
from curation.synthetic.identity import Identity
from curation.synthetic.seeds import stream


@dataclass(frozen=True)
class _Style:
    """Haircut: distance from the head above and at the sides, sideburns, hairline, and shape."""

    top: float
    side: float
    sideburn: float
    line: float
    part: bool = False
    fringe: bool = False
    curl: float = 0.0
    fall: float = 0.0
    knot: str = ""


STYLES = {
    "crop": _Style(0.055, 0.014, 0.07, -0.30),
    "side": _Style(0.085, 0.020, 0.08, -0.29, part=True),
    "quiff": _Style(0.125, 0.012, 0.06, -0.32, knot="quiff"),
    "curly": _Style(0.115, 0.075, 0.12, -0.27, curl=0.035),
    "afro": _Style(0.165, 0.150, 0.16, -0.29, curl=0.022),
    "long": _Style(0.065, 0.050, 0.22, -0.34, part=True, fall=1.0),
    "bob": _Style(0.070, 0.065, 0.25, -0.31, part=True, fall=0.36),
    "bun": _Style(0.045, 0.016, 0.06, -0.29, knot="bun"),
    "ponytail": _Style(0.050, 0.016, 0.06, -0.30, part=True, knot="tail"),
    "bangs": _Style(0.070, 0.055, 0.25, -0.10, fringe=True, fall=0.85),
    "wavy": _Style(0.085, 0.075, 0.25, -0.30, part=True, curl=0.022, fall=0.62),
    "bald": _Style(0.0, 0.0, 0.0, 0.0),
}


class Hair:
    """Hair of one identity in head coordinates; its shape is fixed, only the head turns."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self._style = style = STYLES[identity.hair_style]
        self._rng = stream("hair", identity.hair_seed)
        self._ramp = colors.cloth_ramp(identity.hair_color, 0.42)
        self._dark = colors.cloth_ramp(colors.mix(identity.hair_color, (14, 10, 16), 0.38), 0.3)
        if identity.hair_style == "bald":
            return
        self._outer, line = self._edges()
        self._cap = np.concatenate([self._outer, line[::-1]])
        self._strands = self._comb(line)
        self._fall = self._falling(1.0)
        self._locks = [self._lock(sign) for sign in (-1.0, 1.0)] if style.fall else []

    def paint_behind(self, canvas: Canvas, head: HeadPose) -> None:
        """Paint the hair behind neck and head."""
        if self._identity.hair_style == "bald":
            return
        style = self._style
        if style.knot == "bun":
            knot = head.project(np.array([[0.05 * self._identity.parting, -0.56, -0.20]]))[0]
            radius = 0.115 * self._identity.hair_volume * head.scale
            swirl = Touch(smooth(disc(knot, radius * 0.55)[:14], 2, closed=False), -24, 0.006)
            canvas.paint(
                [disc(knot, radius)],
                self._ramp,
                parts.HAIR_BEHIND,
                Finish(0.03, 0.6, soften=0.003),
                touches=[swirl],
            )
        if style.knot == "tail":
            sign = np.sign(self._identity.parting)
            tail = points(
                [0.28, 0.46, 0.56, 0.52, 0.44, 0.40],
                [-0.30, -0.30, 0.05, 0.42, 0.62, 0.30],
                [-0.3, -0.3, -0.3, -0.3, -0.3, -0.3],
            )
            shape = smooth(head.project(tail * (sign, 1.0, 1.0)))
            canvas.paint([shape], self._ramp, parts.HAIR_BEHIND, Finish(0.03, 0.55))
        shape = smooth(self._hang(head, self._fall), 3)
        canvas.paint([shape], self._dark, parts.HAIR_BEHIND, Finish(0.05, 0.4))

    def paint_front(self, canvas: Canvas, head: HeadPose) -> None:
        """Paint cap and locks over the face and the shoulders."""
        if self._identity.hair_style == "bald":
            return
        light = np.array(canvas.light)
        for lock in self._locks:
            hung = self._hang(head, lock)
            shape = smooth(hung, 4)
            canvas.glow(shape - 0.012 * light, (18, 8, 14), 0.34, 0.012, on_cover=True)
            canvas.paint(
                [shape],
                self._ramp,
                parts.LOCKS,
                Finish(0.024, 0.5, soften=0.003),
                touches=self._lock_strands(hung),
            )
        cap = smooth(head.project(self._cap), 2)
        canvas.glow(moved(cap, 0.0, 0.010), (60, 20, 16), 0.34, 0.010, on_cover=True)
        touches = [Touch(head.project(points), amount, width) for points, amount, width in self._strands]
        canvas.paint([cap], self._ramp, parts.HAIR, Finish(0.045, 0.50, 0.05, soften=0.004), touches=touches)

    def _edges(self) -> tuple[FloatArray, FloatArray]:
        """Outer edge and hairline, both from the head's right over the top to its left."""
        face, style, rng = self._identity.face, self._style, self._rng
        volume = self._identity.hair_volume
        angle = np.linspace(-0.12, np.pi + 0.12, 25)
        rise = np.maximum(np.sin(angle), 0.0)
        off = (style.side + (style.top - style.side) * rise) * volume
        lean = np.sign(self._identity.parting)
        if style.part:
            off = off + 0.022 * volume * rise * np.cos(angle) * lean
        if style.knot == "quiff":
            off = off + 0.05 * volume * np.exp(-(((angle - np.pi / 2 - 0.35 * lean) / 0.45) ** 2))
        if style.curl:
            off = off + style.curl * np.abs(
                np.sin(angle * (7.5 if style.curl > 0.03 else 11.0) + rng.uniform(0, 3))
            )
        off = off + 0.004 * rng.normal(0, 1, 25)
        cos, sin = np.cos(angle), np.sin(angle)
        x = -(face.cheek + 0.015 + off) * np.sign(cos) * np.abs(cos) ** 0.85
        y = 0.02 - (0.52 + off) * np.sign(sin) * np.abs(sin) ** 0.88
        y[0] = y[-1] = style.sideburn + 0.04
        outer = np.stack([x, y, np.full(25, -0.02)], axis=1)
        return outer, self._hairline()

    def _hairline(self) -> FloatArray:
        face, style, rng = self._identity.face, self._style, self._rng
        u = np.linspace(-1.0, 1.0, 15)
        x = (face.cheek - 0.012) * np.sign(u) * np.abs(u) ** 0.8
        y = style.line + 0.06 * np.abs(u) ** 2 + (style.sideburn - style.line - 0.06) * np.abs(u) ** 7
        if style.part:
            # Hair is combed from the parting to both sides.
            at = 0.42 * self._identity.parting
            y = (
                style.line
                - 0.05
                + 0.20 * np.abs(u - at) ** 1.3
                + (style.sideburn - style.line - 0.1) * np.abs(u) ** 6
            )
        if style.fringe:
            y = style.line - 0.02 + 0.03 * u**2 + 0.012 * rng.normal(0, 1, 15) + 0.30 * np.abs(u) ** 8
        if style.curl:
            y = y + 0.6 * style.curl * np.sin(u * 17.0)
        y = np.minimum(y, style.sideburn)
        # At the temples the hairline meets the outer edge in the middle of the head, so that no gap shows
        # between the two when the head turns.
        depth = (surface(x, y) + 0.02) * (1.0 - u**4)
        return np.stack([x, y, depth], axis=1)

    def _comb(self, line: FloatArray) -> list[tuple[FloatArray, float, float]]:
        """Strands between hairline and outer edge as (points, amount, width)."""
        rng, style = self._rng, self._style
        u = np.linspace(0.0, 1.0, 40)
        outer = np.stack(
            [np.interp(u, np.linspace(0, 1, len(self._outer)), c) for c in self._outer.T], axis=1
        )
        inner = np.stack([np.interp(u, np.linspace(0, 1, len(line)), c) for c in line.T], axis=1)
        strands = []
        sweep = 9.0 * np.sign(self._identity.parting) if style.part else 0.0
        for index, base in enumerate(np.linspace(3, 36, 15) + rng.uniform(-1, 1, 15)):
            points = []
            for step in np.linspace(0.02, 0.98, 5):
                at = np.clip(
                    base + sweep * (1 - step) * (0.5 - step) + 0.8 * rng.normal() * bool(style.curl), 0, 39
                )
                mixed = (1 - step) * inner[int(at)] + step * outer[int(at)]
                # The crown bulges between the two edges.
                mixed[2] += 0.10 * np.sin(np.pi * step)
                points.append(mixed)
            amount = (26.0, -24.0, 14.0)[index % 3] * float(rng.uniform(0.7, 1.2))
            strands.append(
                (smooth(np.array(points), 3, closed=False), amount, float(rng.uniform(0.004, 0.010)))
            )
        light = 0.5 + 0.22 * np.sign(self._identity.light[0])
        for step, amount in ((0.62, 20.0), (0.70, 26.0)):
            index = np.clip(np.linspace(light - 0.20, light + 0.20, 9) * 39, 0, 39).astype(int)
            band = (1 - step) * inner[index] + step * outer[index]
            strands.append((band, amount, 0.020))
        return strands

    def _falling(self, width: float) -> FloatArray:
        """Hair behind the neck."""
        style, volume = self._style, self._identity.hair_volume
        side = self._identity.face.cheek + style.side * volume
        low = 0.20 + style.fall * 0.62
        if not style.fall:
            low, side = (0.40, side) if style.curl else (0.22, 0.9 * side)
        half = points(
            [0.6 * side, side, side + 0.02, side * (1.06 if style.fall else 0.75), 0.6 * side],
            [-0.3, 0.0, 0.5 * low, 0.85 * low, low],
        )
        both = np.concatenate([half, half[::-1] * (-1.0, 1.0)]) * (width, 1.0)
        if style.curl:
            both[:, 0] += np.sign(both[:, 0]) * 0.02 * np.sin(np.arange(10) * 2.1)
        return np.concatenate([both, np.full((10, 1), -0.12)], axis=1)

    def _lock(self, sign: float) -> FloatArray:
        style, rng = self._style, self._rng
        side = self._identity.face.cheek + style.side * self._identity.hair_volume
        low = 0.18 + style.fall * float(rng.uniform(0.55, 0.64))
        wave = 0.03 * rng.normal(0, 1, 3) + (0.03 if style.curl else 0.0)
        inner = self._identity.face.cheek * 0.86
        points = np.array(
            [
                [inner, -0.22],
                [side * 0.98, -0.22],
                [side + 0.012, 0.05],
                [side + 0.015 + wave[0], 0.45 * low + 0.05],
                [side + 0.01 + wave[1], 0.8 * low],
                [side - 0.07 + wave[2], low],
                [side - 0.115, 0.78 * low],
                [inner + 0.012 + 0.3 * wave[1], 0.45 * low + 0.05],
                [inner + 0.018, 0.10],
            ]
        )
        return np.concatenate([points * (sign, 1.0), np.full((9, 1), 0.03)], axis=1)

    def _hang(self, head: HeadPose, local: FloatArray) -> FloatArray:
        """Project hanging hair; the lower it is, the less it turns with the head."""
        turned = head.project(local)
        straight = head.center[:2] + head.scale * local[:, :2]
        free = np.clip((local[:, 1:2] - 0.1) / 0.7, 0.0, 0.75)
        return np.asarray(turned + free * (straight - turned))

    def _lock_strands(self, hung: FloatArray) -> list[Touch]:
        inner, outer = hung[[0, 8, 7, 6, 5]], hung[[1, 2, 3, 4, 5]]
        lines = ((0.25, -26.0), (0.5, 24.0), (0.75, -20.0))
        return [
            Touch(smooth(inner + at * (outer - inner), 3, closed=False), amount, 0.007)
            for at, amount in lines
        ]
