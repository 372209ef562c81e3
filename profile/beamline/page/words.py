"""Numbers with their units, and times, as a scientist says them."""

import math
import time
from collections.abc import Callable
from typing import Any

from whiteline.beamline.progress import duration

UNKNOWN = "—"

PREFIXES = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")]


def with_prefix(value: float, unit: str) -> str:
    """Return a large number to two digits with the prefix of its unit: 3.2 GGy would be one; "—" if it is not known."""
    if not math.isfinite(value):
        return UNKNOWN
    scale, prefix = next((pair for pair in PREFIXES if abs(value) >= pair[0]), (1.0, ""))
    digits = 0 if abs(value / scale) >= 10 else 1
    return f"{value / scale:.{digits}f} {prefix}{unit}"


def of(value: float, unit: str, digits: int = 1, sign: str = "") -> str:
    """Return a number with its unit, "—" if it is not known; a minus sign is one."""
    if not math.isfinite(value):
        return UNKNOWN
    rounded = round(value, digits) + 0.0  # no minus sign before a zero
    text = f"{rounded:{sign}.{digits}f}".replace("-", "−")
    return f"{text} {unit}".strip()


def with_error(value: float, error: float, most: int = 4) -> str:
    """Return a value and its standard error, to two digits of the error, and at most so many behind the point."""
    if not math.isfinite(value):
        return UNKNOWN
    if not math.isfinite(error) or error <= 0:
        return f"{value:.3f}".replace("-", "−")
    digits = min(most, max(0, 1 - math.floor(math.log10(error))))
    return f"{value:.{digits}f} ± {error:.{digits}f}".replace("-", "−")


def clock_time(when: float, now: float, local: Callable[[float], Any] = time.localtime) -> str:
    """Return a time of day, with the day if it is another one than now."""
    if not math.isfinite(when):
        return UNKNOWN
    there, here = local(when), local(now)
    same = there[:3] == here[:3]
    return time.strftime("%H:%M:%S" if same else "%d %b %H:%M", there)


def ago(when: float, now: float) -> str:
    """Return how long ago something was, or in how long it will be."""
    if not math.isfinite(when):
        return UNKNOWN
    seconds = when - now
    return f"in {duration(seconds)}" if seconds > 0 else f"{duration(-seconds)} ago"
