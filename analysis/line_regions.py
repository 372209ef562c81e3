"""Where the fluorescence lines of elements lie in a spectrum, and how wide a region holds them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from whiteline.analysis import tables
from whiteline.analysis.channels import Channels
from whiteline.analysis.checks import OutOfRange, require_positive

WEAK = 0.01
"""Lines of a family with a smaller share of the fluorescence do not widen its region."""

WIDTHS = 2.0
"""Width of a region in full widths at half maximum: it holds 98 % of a line."""

EDGES = ("K", "L1", "L2", "L3", "M1", "M2", "M3", "M4", "M5")

Pair = tuple[str, str] | list[str] | str


@dataclass(frozen=True)
class LineRegion:
    """The region of a line in a spectrum.

    Parameters
    ----------
    element, line : str
        Symbol, and Siegbahn name as it was asked for: "Ka" is the family of Ka1 and Ka2.
    energy : float
        Of its strongest line [eV].
    first, beyond : int
        First channel, and the first one behind it.
    """

    element: str
    line: str
    energy: float
    first: int
    beyond: int

    @property
    def label(self) -> str:
        """What it is called in readings, such as "Ni_Ka"."""
        return f"{self.element}_{self.line}"


def named(pairs: Sequence[Pair] | str) -> tuple[tuple[str, str], ...]:
    """Return elements and lines, each written as ("Ni", "Ka"), "Ni_Ka" or "Ni Ka"; a text holds several, by spaces.

    Raises
    ------
    ValueError
        If one is no pair, or is named twice.
    """
    given: Sequence[Pair] = pairs.split() if isinstance(pairs, str) else pairs
    found: list[tuple[str, str]] = []
    for one in given:
        pair = tuple(one.replace("_", " ").split()) if isinstance(one, str) else tuple(one)
        if len(pair) != 2:
            raise ValueError(f"line {one!r} must name an element and a line, such as Ni_Ka")
        if pair in found:
            raise ValueError(f"line {'_'.join(pair)} is named twice; each has one region")
        found.append((pair[0], pair[1]))
    return tuple(found)


def line_regions(
    pairs: Sequence[tuple[str, str]], energy: float, channels: Channels, widths: float = WIDTHS, most: int | None = None
) -> tuple[LineRegion, ...]:
    """Return the regions of some lines.

    Parameters
    ----------
    pairs : sequence of (str, str)
        Elements and lines.
    energy : float
        Of the photons that excite them [eV].
    channels : Channels
        Of the spectrum in which they lie.
    widths : float
        Width of a region, in full widths at half maximum of its line; the distance of the lines of a family is added.
    most : int or None
        Regions that the detector has; as many as are asked for if None.

    Raises
    ------
    OutOfRange
        If a line is not excited, which names its edge, or its region leaves the spectrum, or there are too many.
    ValueError
        If there is no such element or line.
    """
    require_positive(widths, "width of a region", "times the width of its line")
    if most is not None and len(pairs) > most:
        limit = f"are more than the {most} regions that each element of the detector has"
        raise OutOfRange("lines: these", len(pairs), limit, "", "choose fewer")
    return tuple(_region(element, line, energy, channels, widths) for element, line in pairs)


def _region(element: str, line: str, energy: float, channels: Channels, widths: float) -> LineRegion:
    strongest = tables.excitable_line(element, line, energy)
    family = [one.energy for one in _family(element, line, strongest)]
    half = widths * channels.fwhm(strongest.energy) / 2
    first = int(np.floor((min(family) - half) / channels.bin_eV))
    beyond = int(np.ceil((max(family) + half) / channels.bin_eV))
    if first < 0 or beyond > channels.bins:
        limit = f"with a region from {min(family) - half:.6g} to {max(family) + half:.6g} eV leaves the spectrum, 0 to"
        raise OutOfRange(
            f"line {element}_{line} at",
            strongest.energy,
            f"eV {limit} {channels.end:g} eV",
            "",
            "choose another line of it",
        )
    return LineRegion(element, line, strongest.energy, first, beyond)


def _family(element: str, line: str, strongest: tables.Line) -> list[tables.Line]:
    """Return the lines of the same edge whose names begin alike, the weak ones left out."""
    for edge in EDGES:
        if tables.has_edge(element, edge) and strongest in (known := tables.lines(element, edge)):
            return [one for one in known if one.name.startswith(line) and one.branching >= WEAK] or [strongest]
    return [strongest]
