"""Numbers as text, rounded by their intervals."""

from __future__ import annotations

import math

NOTHING = "\u2013"
INFINITE = "\u221e"
_MINUS = "\u2212"


def significant(value: float, digits: int = 4) -> str:
    """Format a number with the given count of significant digits; zero is plain `0`."""
    if value == 0:
        return "0"
    exponent = math.floor(math.log10(abs(value)))
    if exponent >= 6 or exponent < -4:
        mantissa, _, power = f"{value:.{digits - 1}e}".partition("e")
        return _signed(f"{mantissa}e{int(power)}")
    return fixed(value, max(0, digits - 1 - exponent))


def fixed(value: float, decimals: int) -> str:
    """Format a number with the given count of decimals, without a negative zero."""
    # Adding zero turns -0.0 into 0.0.
    return _signed(f"{round(value, decimals) + 0.0:.{decimals}f}")


def measured(value: float, interval: tuple[float, float] | None, decimals: int | None = None) -> str:
    """Round a value to the given decimals, else by its interval, else to four significant digits."""
    if decimals is None:
        decimals = decimals_of(interval)
    return significant(value) if decimals is None else fixed(value, decimals)


def bounds(interval: tuple[float, float], decimals: int | None = None) -> str:
    """Format an interval as `[low, high]`, both ends rounded as the value between them."""
    low, high = (measured(end, interval, decimals) for end in interval)
    return f"[{low}, {high}]"


def shortest(value: float) -> str:
    """Format a rate with at most four significant digits and no trailing zeros: 25, 29.97."""
    return f"{value:.4g}"


def counted(number: int, one: str) -> str:
    """Format a count with its noun: 1 run, 3 runs."""
    return f"{number} {one}" if number == 1 else f"{number} {one}s"


def percent(share: float) -> str:
    """Format a share in [0, 1] as a percentage; only 1 itself reads 100 %."""
    if 0.999 <= share < 1:
        return "> 99.9\u202f%"
    return f"{significant(100 * share, 3)}\u202f%" if share < 1 else "100\u202f%"


def memory(megabytes: float) -> str:
    """Format memory in GB or MB."""
    if megabytes >= 1000:
        return f"{significant(megabytes / 1000, 3)}\u202fGB"
    return f"{significant(megabytes, 3)}\u202fMB"


def count(number: int) -> str:
    """Format a large count with its unit: 2.10 G, 860 M."""
    for scale, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= scale:
            return f"{significant(number / scale, 3)}\u202f{unit}"
    return str(number)


def decimals_of(interval: tuple[float, float] | None) -> int | None:
    """Return the decimals that show two significant digits of the width of an interval.

    At most five significant digits of the ends are shown, however narrow the interval is. None without an
    interval, or where its width is extreme.
    """
    if interval is None:
        return None
    width = abs(interval[1] - interval[0])
    if not 1e-6 < width < 1e6:
        return None
    largest = max(abs(interval[0]), abs(interval[1]))
    return max(0, min(1 - math.floor(math.log10(width)), 4 - math.floor(math.log10(largest))))


def _signed(text: str) -> str:
    return text.replace("-", _MINUS)
