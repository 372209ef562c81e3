"""What is shown of a run: pictures of a map and of its error, curves, and a few numbers; no browser is known here."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.live.results import Results, detail_of_best
from whiteline.analysis.live.spectrum import FittedSpectrum
from whiteline.analysis.maps.map import Map
from whiteline.beamline.page.facts import Facts
from whiteline.beamline.page.region import Rectangle, mean_of
from whiteline.beamline.page.words import UNKNOWN, ago, clock_time, of, with_error, with_prefix

MOST_PIXELS = 1024
"""Shown along each side: a screen has no more to spare for a map."""

ENDS = 0.01, 0.99
"""Quantiles of a map between which its colours lie, where it has no natural ends."""

ERROR_END = 0.98
"""Quantile of the standard errors at which their colours end."""

FRACTION_ENDS = -0.1, 1.1

STALE_S = 60.0
"""After how long a reading is told with its age [s]."""

Image = NDArray[np.float32]
Numbers = Sequence[float] | NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Picture:
    """A map and its standard error, as they are drawn.

    Parameters
    ----------
    name, unit : str
        Of the map; a fraction has no unit.
    value, error : ndarray of float32, shape (Y, X)
        NaN where the map means nothing; at most 1024 pixels along each side.
    ends, error_ends : tuple of float
        Of the colours.
    shape : tuple of int
        Rows and columns of the map itself.
    pixel_um : float or None
        Size of a pixel of the map [µm].
    valid : float
        Share of its pixels that mean something.
    median_error : float
        Over these.
    """

    name: str
    unit: str
    value: Image
    error: Image
    ends: tuple[float, float]
    error_ends: tuple[float, float]
    shape: tuple[int, int]
    pixel_um: float | None
    valid: float
    median_error: float

    @property
    def extent(self) -> tuple[float, float]:
        """Width and height in the unit of the axes."""
        scale = self.pixel_um or 1.0
        return self.shape[1] * scale, self.shape[0] * scale

    @property
    def axis_unit(self) -> str:
        """Unit of the axes."""
        return "µm" if self.pixel_um else "px"

    @classmethod
    def of(cls, shown: Map, pixel_um: float | None) -> "Picture":
        """Return the picture of a map."""
        step = max(1, -(-max(shown.value.shape) // MOST_PIXELS))
        good = shown.valid & np.isfinite(shown.value)
        value, error = (
            np.where(good, one, np.nan)[::step, ::step].astype(np.float32) for one in (shown.value, shown.error)
        )
        known, sure = value[np.isfinite(value)], error[np.isfinite(error)]
        ends = FRACTION_ENDS
        if not shown.name.startswith("fraction"):
            low, high = (float(one) for one in np.quantile(known, ENDS)) if known.size else (0.0, 1.0)
            ends = (low, high) if high > low else (low - 0.5, low + 0.5)
        top = float(np.quantile(sure, ERROR_END)) if sure.size else 0.0
        return cls(
            name=shown.name,
            unit=shown.unit,
            value=value,
            error=error,
            ends=ends,
            error_ends=(0.0, top if top > 0 else 1.0),
            shape=(int(shown.value.shape[0]), int(shown.value.shape[1])),
            pixel_um=pixel_um,
            valid=float(good.mean()),
            median_error=float(np.median(sure)) if sure.size else math.nan,
        )


@dataclass(frozen=True, eq=False)
class Curves:
    """A spectrum with its fit.

    Parameters
    ----------
    title : str
        Of which pixels.
    energy, measured, error : sequence of float
        Points [eV] with their standard errors, NaN where these are not known.
    fit_energy, fit : sequence of float
        Combination of the references with its background; empty without.
    e0 : float
        Where it rises steepest [eV]; NaN if it does not.
    found : tuple of (str, str)
        What the fits say, each with what is drawn of it: "fit", "edge", or "" for nothing.
    """

    title: str
    energy: Numbers = ()
    measured: Numbers = ()
    error: Numbers = ()
    fit_energy: Numbers = ()
    fit: Numbers = ()
    e0: float = math.nan
    found: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Tile:
    """One number: what it is, how much, and a word beside it; `part` is done of it, from 0 to 1, if it has an end."""

    title: str
    value: str
    beside: str = ""
    part: float | None = None
    alarm: bool = False


@dataclass(frozen=True, eq=False)
class Frames:
    """Drift and focus frame by frame.

    Parameters
    ----------
    number, x, y, detail, detail_error : sequence of float
        Frame; its shift against the first one [in `unit`]; its fine detail over that of the best frame.
    trusted : sequence of bool
        Whether the shift is to be believed.
    unit : str
        Of the shift.
    """

    number: Sequence[float] = ()
    x: Sequence[float] = ()
    y: Sequence[float] = ()
    trusted: Sequence[bool] = ()
    detail: Sequence[float] = ()
    detail_error: Sequence[float] = ()
    unit: str = "px"


def chosen_map(results: Results, name: str | None) -> Map | None:
    """Return the map of a name; else the last fraction that means something somewhere, else the first map.

    None if there is no map yet.
    """
    maps = {key: one for key, one in results.maps.items() if one.value.ndim == 2}
    if name is not None and name in maps:
        return maps[name]
    fractions = [one for key, one in maps.items() if key.startswith("fraction") and one.valid.any()]
    return fractions[-1] if fractions else next(iter(maps.values()), None)


def curves_of(spectrum: FittedSpectrum | None, title: str, why: str = "") -> Curves:
    """Return a spectrum as it is drawn."""
    if spectrum is None:
        return Curves(title, found=((why or "no spectrum yet", ""),))
    found = []
    fit_energy: Any = ()
    fit: Any = ()
    if spectrum.combination is not None:
        both = spectrum.combination
        found += [
            (f"{name}  {with_error(float(value), float(error))}", "fit")
            for name, value, error in zip(both.names, both.fractions, both.fraction_errors, strict=True)
        ]
        fit_energy, fit = both.energy, both.fitted
    e0 = math.nan
    if spectrum.e0 is not None:
        e0 = float(spectrum.e0[0])
        found.append((f"E0  {with_error(*spectrum.e0, most=3)} eV", "edge"))
    if spectrum.normalised is not None:
        found.append((f"edge step  {spectrum.normalised.edge_step:.3f}", ""))
    error = np.full(spectrum.energy.size, np.nan) if spectrum.error is None else spectrum.error
    over = f"{title}, {spectrum.pixels} pixels" if spectrum.pixels else title
    return Curves(over, spectrum.energy, spectrum.absorption, error, fit_energy, fit, e0, tuple(found))


def region_title(region: Rectangle, pixel_um: float | None) -> str:
    """Return what a region is called: its size."""
    height, width = region.bottom - region.top, region.right - region.left
    size = f"{width} × {height} px" if pixel_um is None else f"{width * pixel_um:.3g} × {height * pixel_um:.3g} µm"
    return f"region of {size}"


def region_mean(region: Rectangle, shown: Map) -> str:
    """Return the mean of a map inside a region, with the spread of its pixels."""
    good = np.where(shown.valid, shown.value, np.nan)
    mean, spread, number = mean_of(good, shown.error, region)
    unit = f" {shown.unit}" if shown.unit else ""
    if not number:
        return f"{shown.name}  {UNKNOWN}, no valid pixel"
    return f"{shown.name}  {mean:.4g}{unit}, pixels spread by {spread:.2g}{unit}".replace("-", "−")


def frames_of(results: Results) -> Frames:
    """Return drift and focus frame by frame."""
    frames = results.frames
    scale, unit = (results.pixel_um, "µm") if results.pixel_um else (1.0, "px")
    sure = [one.detail for one in frames if one.detail > 0 and one.detail_error < one.detail / 5]
    best = max(sure, default=math.nan)
    return Frames(
        [float(one.number) for one in frames],
        [one.shift_x * scale for one in frames],
        [one.shift_y * scale for one in frames],
        [one.trusted for one in frames],
        [one.detail / best for one in frames],
        [one.detail_error / best for one in frames],
        unit,
    )


def tiles_of(facts: Facts, results: Results | None, now: float) -> list[Tile]:
    """Return the numbers that are shown: progress, end, dose, error, drift, focus, ring current."""
    return [
        _progress(facts),
        _end(facts, now),
        Tile("dose so far", with_prefix(facts.dose_Gy, "Gy"), facts.dose_by),
        _error(results),
        _drift(results),
        _focus(results),
        _ring(facts, now),
    ]


def _progress(facts: Facts) -> Tile:
    done, total = (facts.energies_done, facts.energies_total) if facts.energies_total else (facts.done, facts.total)
    beside = f"now at {of(facts.energy, 'eV')}" if math.isfinite(facts.energy) else ""
    if math.isfinite(facts.ended):
        beside = f"last at {of(facts.energy, 'eV')}" if math.isfinite(facts.energy) else ""
    value = f"{done} of {total}" if total else f"{done}"
    return Tile(facts.unit, value, beside, min(1.0, done / total) if total else None)


def _end(facts: Facts, now: float) -> Tile:
    if math.isfinite(facts.ended):
        bad = facts.exit_status != "success"
        how = facts.exit_status if bad else f"took {ago(facts.begun, facts.ended).removesuffix(' ago')}"
        return Tile("ended", clock_time(facts.ended, now), f"{how}: {facts.reason}" if facts.reason else how, alarm=bad)
    if not math.isfinite(facts.ends):
        return Tile("predicted end", UNKNOWN, "nothing predicts it yet" if facts.uid else "")
    left = "any moment" if facts.ends <= now else ago(facts.ends, now)
    return Tile("predicted end", clock_time(facts.ends, now), f"{left}, {facts.ends_by}")


def _error(results: Results | None) -> Tile:
    title = "median error of the fraction"
    if results is None or not math.isfinite(results.error.median):
        return Tile(title, UNKNOWN, "not determined yet" if results is not None else "")
    fit = {"clean": "references fit", "unknown": ""}
    told = fit.get(results.error.fit, f"{results.error.lacking:.0%} of the pixels do not fit")
    beside = ", ".join(part for part in (f"{results.error.valid:.0%} of the pixels valid", told) if part)
    return Tile(title, f"± {results.error.median:.3f}", beside, alarm=results.error.fit == "lacking")


def _drift(results: Results | None) -> Tile:
    newest = None if results is None else results.newest
    if results is None or newest is None:
        return Tile("drift", UNKNOWN)
    size = math.hypot(newest.shift_y, newest.shift_x)
    scale, unit, digits = (results.pixel_um, "µm", 2) if results.pixel_um else (1.0, "px", 1)
    beside = f"→ {of(newest.shift_x * scale, '', digits, '+')}  ↓ {of(newest.shift_y * scale, unit, digits, '+')}"
    if not newest.trusted:
        return Tile("drift", of(size * scale, unit, digits), "not to be believed", alarm=True)
    return Tile("drift", of(size * scale, unit, digits), beside)


def _focus(results: Results | None) -> Tile:
    newest = None if results is None else results.newest
    if results is None or newest is None:
        return Tile("focus", UNKNOWN)
    share = detail_of_best(results.frames, newest)
    if not math.isfinite(share):
        return Tile("focus", UNKNOWN, "too noisy to be told")
    return Tile("focus", f"{min(share, 9.99):.0%}", "fine detail of the best frame", alarm=share < 0.5)


def _ring(facts: Facts, now: float) -> Tile:
    ring = facts.ring
    if ring is None:
        return Tile("ring current", UNKNOWN, "not recorded")
    old = now - ring.time > STALE_S
    value = of(ring.value, ring.unit)
    return Tile("ring current", value, f"read {ago(ring.time, now)}" if old else "", alarm=ring.value < 1.0)
