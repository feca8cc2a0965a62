"""Numbers as text, rounded by their intervals."""

from __future__ import annotations

import math

NOTHING = "\u2013"
_MINUS = "\u2212"


def measured(value: float | None, interval: tuple[float, float] | None = None) -> str:
    """Round a value to two digits of the width of its interval, else to four significant digits."""
    if value is None:
        return NOTHING
    decimals = _decimals(interval)
    text = f"{value:.4g}" if decimals is None else f"{round(value, decimals) + 0.0:.{decimals}f}"
    return text.replace("-", _MINUS)


def between(interval: tuple[float, float] | None) -> str:
    """Format an interval as `low to high`."""
    if interval is None:
        return NOTHING
    return f"{measured(interval[0], interval)} to {measured(interval[1], interval)}"


def percent(share: float | None) -> str:
    """Format a share in [0, 1] as a percentage; only 1 itself reads 100 %."""
    if share is None:
        return NOTHING
    return "100 %" if share >= 1 else f"{min(100 * share, 99.9):.3g} %"


def unit_text(unit: str) -> str:
    """Return a unit for a table; a plain number has none."""
    return unit if unit not in ("", "1") else NOTHING


def counted(number: int, one: str) -> str:
    """Format a count with its noun: 1 clip, 3 clips."""
    return f"{number} {one}" if number == 1 else f"{number} {one}s"


def _decimals(interval: tuple[float, float] | None) -> int | None:
    if interval is None:
        return None
    width = abs(interval[1] - interval[0])
    if not 1e-6 < width < 1e6:
        return None
    return max(0, min(6, 1 - math.floor(math.log10(width))))
