"""The lines of a fly scan over a rectangle: where the pulses of each are, and where the slow axis stands meanwhile.

A pixel is what a gate has seen, from one pulse to the next. Its middle is where a step scan would count, so the first
pulse comes half a step before it.
"""

from dataclasses import dataclass

from whiteline.analysis.laws.fly_line import FlyLine
from whiteline.plans.paths import Range, along


@dataclass(frozen=True)
class PlacedLine:
    """A line, and the position of the slow axis."""

    line: FlyLine
    slow: float


def fly_line(channel: str, fast: Range, dwell_s: float, *, backwards: bool = False) -> FlyLine:
    """Return the line whose pixels have their middles at the places of a range.

    Parameters
    ----------
    channel : str
        Position channel of the fast axis.
    fast : Range
        Two places at least.
    dwell_s : float
        Gate of each pixel [s].
    backwards : bool
        Whether it runs from the end to the beginning.
    """
    start, stop, points = fast
    step = (stop - start) / (points - 1)
    if backwards:
        start, step = stop, -step
    return FlyLine(channel, start - step / 2, step, points, dwell_s)


def placed_lines(
    channel: str, fast: Range, slow: Range, dwell_s: float, *, snake: bool = False, before: int = 0
) -> list[PlacedLine]:
    """Return the lines of a rectangle, one after the other.

    Parameters
    ----------
    channel : str
        Position channel of the fast axis.
    fast, slow : Range
        Along each line, and from line to line.
    dwell_s : float
        Gate of each pixel [s].
    snake : bool
        Whether a line runs backwards if an odd number of lines was flown before it.
    before : int
        Lines that were flown before these, in earlier maps.
    """
    ways = [fly_line(channel, fast, dwell_s, backwards=backwards) for backwards in (False, True)]
    return [PlacedLine(ways[snake and (before + number) % 2], float(place)) for number, place in enumerate(along(slow))]
